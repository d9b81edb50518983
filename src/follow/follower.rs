//! One pathname as one perpetual source of whole lines, whatever happens to the files under it.
//!
//! A [`Follower`] holds every file open that may still grow: the log itself, last, and before it the files it was rotated
//! to, until they have been quiet for a grace. A file held open is the same file whatever becomes of its name; content is
//! compared only where no open file proves it: after a restart, and when a file was written anew in place.

use std::{
    collections::{VecDeque, vec_deque::Drain},
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    Lines, Next, Source, SourceError,
    clock::{Clock, SystemClock},
    identity::FileId,
    incident::{Incident, Incidents},
    line_buffer::Piece,
    position::{FilePosition, Position},
    reader::{Filled, Match, Reader},
    siblings::{Scan, Sibling, Siblings},
    watch::Watch,
};
use crate::point::TimestampMs;

/// `ESTALE`: the server of a network file system has forgotten the open file; it has to be found and opened again.
const STALE: i32 = 116;

/// More rotated files than this are not held open: then the oldest has seen as many rotations, and nginx left it long ago.
const HELD: usize = 64;

/// Files done with that are remembered, so that one that comes back (a symbolic link switched back) is not read again.
const REMEMBERED: usize = 64;

/// How to follow a log.
#[derive(Clone)]
pub struct FollowOptions {
    /// The log.
    pub path: PathBuf,
    /// Where to begin.
    pub start: Start,
    /// How often to look for changes, at least; also how long [`next`](Source::next) blocks, at most.
    pub poll: Duration,
    /// Longest line, in bytes without its newline; a longer one is skipped in constant memory, and counted.
    pub max_line: usize,
    /// For how long a rotated file must have been quiet before it is left.
    pub rotated_grace: Duration,
    /// logrotate's `olddir`: where rotated files are moved to. Relative to the log's directory, or absolute.
    pub olddir: Option<PathBuf>,
    /// Whether to ask the kernel for a wake-up at a rotation. Polling goes on in any case.
    pub watch: bool,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl FollowOptions {
    /// Follows a log from its end, with what suits nginx and logrotate.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            start: Start::End,
            poll: Duration::from_millis(250),
            max_line: 1024 * 1024,
            rotated_grace: Duration::from_secs(60),
            olddir: None,
            watch: true,
            clock: Arc::new(SystemClock::default()),
        }
    }
}

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the beginning of the log's present file. (Rotated files are the past: `replay` reads them.)
    Beginning,
    /// At the end of the log's present file, with its last line if that is not finished yet; at the beginning of a file
    /// that appears later.
    End,
    /// Where an earlier [`Source::position`] says, in whatever file that is now, and on from there through every newer one.
    At(Position),
}

/// A log, followed. See the [module](self).
pub struct Follower {
    options: FollowOptions,
    siblings: Siblings,
    watch: Watch,
    /// How to begin, until that was possible; `files` is empty as long as it is there.
    starting: Option<Starting>,
    /// Open files, oldest first. The last one is the log itself, or what it was when it was last seen.
    files: VecDeque<Tail>,
    /// Where files that are no longer held ended, oldest first, at most [`REMEMBERED`].
    done: VecDeque<FilePosition>,
    incidents: Incidents,
    /// When the files were last looked at; `None` before the first look.
    looked: Option<Duration>,
    /// The wall clock just before that look.
    looked_ms: TimestampMs,
    /// The last call found nothing: the next one may wait.
    idle: bool,
    /// The log could not be opened: when to try again.
    trouble: Option<Retry>,
}

/// How to begin, once there is something to begin with.
struct Starting {
    at: Start,
    /// When that was first tried.
    since: Option<Duration>,
}

/// Something that is tried again, ever less often.
#[derive(Clone, Copy)]
struct Retry {
    /// Not before this.
    at: Duration,
    /// The wait after that; from 1 s to 30 s.
    wait: Duration,
}

impl Retry {
    fn after(previous: Option<Self>, now: Duration) -> Self {
        let wait = previous.map_or(Duration::from_secs(1), |retry| retry.wait);
        Self { at: now + wait, wait: (wait * 2).min(Duration::from_secs(30)) }
    }
}

/// An open file, and what the follower knows about it.
struct Tail {
    reader: Reader,
    /// A look found it changed, and its end has not been found since.
    ready: bool,
    /// When it last gave something, or was found not to be the log any more.
    stirred: Duration,
    /// Wall clock before the last block was read.
    read_ms: TimestampMs,
    /// It cannot grow (a copy of a file that was then truncated): its end is the end.
    sealed: bool,
    /// Lines were handed out since it was last synced.
    unsynced: bool,
    /// It could not be read: when to try again. Until it can, it is not let go.
    failing: Option<Retry>,
}

impl Tail {
    fn new(reader: Reader, now: Duration) -> Self {
        Self { reader, ready: true, stirred: now, read_ms: 0, sealed: false, unsynced: false, failing: None }
    }
}

/// What [`Follower::step`] came to: [`Next`], with the lines still in their buffer.
enum Step {
    Lines { file: usize, range: Range<usize> },
    Skipped(&'static str),
    Idle,
}

impl Follower {
    /// Follows a log that may not exist yet.
    ///
    /// # Errors
    /// If the path names no file: a directory, or nothing at all. What may change (a missing file, a missing permission)
    /// is waited for instead.
    pub fn open(options: FollowOptions) -> Result<Self, SourceError> {
        let unusable = |error| SourceError { path: options.path.display().to_string(), error };
        if options.path.file_name().is_none() || options.path.is_dir() {
            return Err(unusable(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file")));
        }
        let mut follower = Self {
            siblings: Siblings::new(&options.path, options.olddir.as_deref()),
            watch: Watch::new(&options.path, options.watch),
            starting: Some(Starting { at: options.start.clone(), since: None }),
            files: VecDeque::new(),
            done: VecDeque::new(),
            incidents: Incidents::default(),
            looked: None,
            looked_ms: 0,
            idle: false,
            trouble: None,
            options,
        };
        // Now and not at the first call: "the end" is where the log ends when it is opened.
        follower.look();
        Ok(follower)
    }

    /// Bytes on the disk that were not handed out, as of the last look (a poll interval ago at most).
    pub fn lag(&self) -> u64 {
        self.files.iter().map(|tail| tail.reader.lag()).sum()
    }

    /// Has what was handed out since the last call put on the disk (`fdatasync`), so that power loss cannot leave the log
    /// shorter than a position that is stored after this.
    ///
    /// # Errors
    /// If the disk says that it could not. A position stored nevertheless may be beyond the log's end after power loss.
    pub fn sync(&mut self) -> Result<(), SourceError> {
        for tail in self.files.iter_mut().filter(|tail| tail.unsynced) {
            tail.reader.sync().map_err(|error| source_error(tail.reader.path(), error))?;
            tail.unsynced = false;
        }
        Ok(())
    }

    /// What went wrong since the last call.
    pub fn incidents(&mut self) -> Drain<'_, Incident> {
        self.incidents.drain()
    }

    fn step(&mut self) -> Step {
        if self.idle {
            self.watch.wait(self.options.poll);
        }
        // Also amid a backlog: a file must be opened before a second rotation compresses or deletes it.
        let due = self.looked.is_none_or(|at| self.options.clock.monotonic() >= at + self.options.poll);
        if self.idle || due {
            self.look();
        }
        self.idle = false;
        if let Some(step) = self.read() {
            return step;
        }
        if let Some(step) = self.retire() {
            return step;
        }
        self.idle = true;
        Step::Idle
    }

    /// Looks at what the files are now. Reads nothing.
    fn look(&mut self) {
        let now = self.options.clock.monotonic();
        self.looked_ms = self.options.clock.wall_ms();
        self.looked = Some(now);
        if let Err((path, error)) = self.watch.rearm() {
            self.incidents.push(Incident::Unwatched { path, error: error.to_string() });
        }
        self.look_at_held(now);
        if self.trouble.is_some_and(|retry| now < retry.at) {
            return;
        }
        if let Some(starting) = self.starting.take() {
            self.starting = self.begin(starting, now);
        }
        if self.starting.is_none() && !self.files.is_empty() {
            self.look_at_path(now);
        }
    }

    fn look_at_held(&mut self, now: Duration) {
        let mut stale = false;
        for tail in self.files.iter_mut().filter(|tail| tail.failing.is_none_or(|retry| now >= retry.at)) {
            match tail.reader.look() {
                Ok(changed) => tail.ready |= changed,
                Err(error) => stale |= error.raw_os_error() == Some(STALE),
            }
        }
        if stale {
            self.begin_anew();
        }
    }

    /// Finds all files again, by content.
    fn begin_anew(&mut self) {
        let position = self.position();
        self.files.clear();
        self.starting = Some(Starting { at: Start::At(position), since: None });
    }

    /// Notices when the path names another file than it did.
    fn look_at_path(&mut self, now: Duration) {
        let id = match std::fs::metadata(&self.options.path) {
            Ok(meta) => FileId::of(&meta),
            // Renamed and not created again yet: nginx still writes to the file we hold.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.trouble(now, &error),
        };
        match self.files.iter().position(|tail| tail.reader.id() == id) {
            Some(at) if at + 1 == self.files.len() => self.trouble = None,
            // A symbolic link was switched back.
            Some(at) => {
                let tail = self.files.remove(at);
                self.files.extend(tail);
                self.supersede(now);
            }
            None => match Sibling::live(&self.options.path) {
                Ok(_) => {
                    self.trouble = None;
                    self.rotated(now);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.trouble(now, &error),
            },
        }
    }

    /// The log is another file now: opens it, and every file that came and went since the last look.
    fn rotated(&mut self, now: Duration) {
        let scan = self.siblings.scan();
        let from = self.after_held(&scan);
        for sibling in &scan.files[from..] {
            if self.files.iter().any(|tail| tail.reader.id() == sibling.id) {
                continue;
            }
            match self.known(sibling) {
                // An editor, or a move from another file system: the same content in a new file.
                Some((reader, held)) if sibling.live => {
                    if let Some(held) = held {
                        self.files.remove(held);
                    }
                    self.files.push_back(Tail::new(*reader, now));
                }
                Some(_) => {}
                None => self.files.push_back(Tail::new(Reader::new(sibling), now)),
            }
        }
        self.supersede(now);
    }

    /// Where, in a scan, begins what is newer than the files held: they may have new names, or be compressed already.
    fn after_held(&self, scan: &Scan) -> usize {
        let by_id = |sibling: &Sibling| self.files.iter().any(|tail| tail.reader.id() == sibling.id);
        if let Some(at) = scan.files.iter().position(by_id) {
            return at + 1;
        }
        let by_content = |sibling: &Sibling| {
            self.files
                .iter()
                .any(|tail| matches!(Reader::resume(sibling, &tail.reader.position()), Ok(Match::Yes(_))))
        };
        if let Some(at) = scan.files.iter().position(|sibling| !sibling.live && by_content(sibling)) {
            return at + 1;
        }
        let newest = self.files.back().map_or(0, |tail| tail.reader.position().modified_ns);
        first_newer(scan, newest)
    }

    /// Whether a file holds the content of one that is or was read; then it reads on from there. Also which of the held
    /// files that is.
    fn known(&self, sibling: &Sibling) -> Option<(Box<Reader>, Option<usize>)> {
        let held = self.files.iter().enumerate().map(|(at, tail)| (Some(at), tail.reader.position()));
        let done = self.done.iter().rev().map(|position| (None, *position));
        held.chain(done).find_map(|(at, position)| match Reader::resume(sibling, &position) {
            Ok(Match::Yes(reader)) => Some((reader, at)),
            _ => None,
        })
    }

    /// All files but the last begin, or go on with, their grace.
    fn supersede(&mut self, now: Duration) {
        let last = self.files.len().saturating_sub(1);
        for tail in self.files.iter_mut().take(last) {
            tail.stirred = tail.stirred.max(now);
        }
    }

    /// The log cannot be opened for now.
    fn trouble(&mut self, now: Duration, error: &io::Error) {
        if self.trouble.is_none() {
            self.incidents
                .push(Incident::Unreadable { path: self.options.path.clone(), error: error.to_string() });
        }
        self.trouble = Some(Retry::after(self.trouble, now));
    }

    /// The first lines of the oldest file that has some.
    fn read(&mut self) -> Option<Step> {
        let mut at = 0;
        while at < self.files.len() {
            let last = at + 1 == self.files.len();
            let tail = &mut self.files[at];
            match tail.reader.piece(self.options.max_line) {
                Piece::Lines(range) => {
                    tail.unsynced = true;
                    return Some(Step::Lines { file: at, range });
                }
                Piece::TooLong => return Some(Step::Skipped("too_long")),
                Piece::Nothing => {}
            }
            if !tail.ready {
                at += 1;
                continue;
            }
            tail.read_ms = self.options.clock.wall_ms();
            match tail.reader.fill() {
                Ok(Filled::Bytes) => {
                    tail.stirred = self.options.clock.monotonic();
                    tail.failing = None;
                }
                Ok(Filled::End) => {
                    tail.ready = false;
                    tail.failing = None;
                    if !last {
                        tail.reader.release();
                    }
                }
                Ok(Filled::Replaced) => {
                    if let Some(step) = self.replaced(at) {
                        return Some(step);
                    }
                    // A copy may have come before it.
                    at = 0;
                }
                Err(error) if error.raw_os_error() == Some(STALE) => {
                    self.begin_anew();
                    return None;
                }
                Err(error) => {
                    tail.ready = false;
                    if tail.failing.is_none() {
                        let path = tail.reader.path().to_path_buf();
                        self.incidents.push(Incident::Unreadable { path, error: error.to_string() });
                    }
                    tail.failing = Some(Retry::after(tail.failing, self.options.clock.monotonic()));
                }
            }
        }
        None
    }

    /// A file no longer says what it said: `copytruncate`, or something like it.
    fn replaced(&mut self, at: usize) -> Option<Step> {
        let now = self.options.clock.monotonic();
        let last = at + 1 == self.files.len();
        let tail = &mut self.files[at];
        let path = tail.reader.path().to_path_buf();
        if let Ok(Some(bytes)) = tail.reader.shrink() {
            self.incidents.push(Incident::Shrunk { path, bytes });
            return None;
        }
        let before = tail.reader.position();
        let rest = tail.reader.discard_rest();
        if last {
            tail.reader.restart();
            tail.ready = true;
        } else {
            // Not the log any more, so what is in it now are no lines of the log (logrotate's `shred`).
            self.files.remove(at);
        }
        let recovered = last && self.recover(at, &before, now);
        self.remember(before);
        self.incidents.push(Incident::Truncated { path, recovered });
        (rest && !recovered).then_some(Step::Skipped("unterminated"))
    }

    /// Looks for the copy that was made of a file before it was truncated, and puts what it holds beyond `before`, and
    /// the copies made after it, before the file at `at`.
    fn recover(&mut self, at: usize, before: &FilePosition, now: Duration) -> bool {
        let mut scan = self.siblings.scan();
        let held =
            |sibling: &Sibling| sibling.live || self.files.iter().any(|tail| tail.reader.id() == sibling.id);
        scan.files.retain(|sibling| !held(sibling));
        let Some(Found { place, reader }) = self.locate(&scan, before) else { return false };
        let mut copies = vec![reader];
        let newer = scan.files.iter().skip(place.div_ceil(2));
        copies.extend(newer.filter(|sibling| self.known(sibling).is_none()).map(Reader::new));
        for (n, reader) in copies.into_iter().enumerate() {
            self.files.insert(at + n, Tail { sealed: true, ..Tail::new(reader, now) });
        }
        true
    }

    /// The file of a scan that holds a place: the likeliest first, then the newest.
    fn locate(&self, scan: &Scan, position: &FilePosition) -> Option<Found> {
        let hinted = |sibling: &&Sibling| sibling.id == position.id;
        let files =
            scan.files.iter().filter(hinted).chain(scan.files.iter().rev()).chain(scan.others.iter().rev());
        for sibling in files {
            if let Ok(Match::Yes(reader)) = Reader::resume(sibling, position) {
                return Some(Found { place: place(scan, sibling), reader: *reader });
            }
        }
        None
    }

    /// Lets go of rotated files that have been quiet for the grace, oldest first.
    fn retire(&mut self) -> Option<Step> {
        let now = self.options.clock.monotonic();
        while self.files.len() > 1 {
            let crowded = self.files.len() > HELD;
            let tail = &mut self.files[0];
            let quiet = tail.failing.is_none() && now >= tail.stirred + self.options.rotated_grace;
            let over = quiet || crowded || tail.sealed || tail.reader.is_complete();
            if tail.ready || !over {
                break;
            }
            if let Some(error) = tail.reader.broken() {
                let path = tail.reader.path().to_path_buf();
                self.incidents.push(Incident::Corrupt { path, error: error.to_string() });
            }
            let rest = tail.reader.discard_rest();
            let position = tail.reader.position();
            self.files.pop_front();
            self.remember(position);
            if rest {
                return Some(Step::Skipped("unterminated"));
            }
        }
        None
    }

    fn remember(&mut self, position: FilePosition) {
        if position.offset == 0 {
            return;
        }
        if self.done.len() == REMEMBERED {
            self.done.pop_front();
        }
        self.done.push_back(FilePosition { done: true, ..position });
    }

    /// Begins, if that is possible yet; otherwise gives back how, to be tried again.
    fn begin(&mut self, starting: Starting, now: Duration) -> Option<Starting> {
        let since = starting.since.unwrap_or(now);
        let Start::At(position) = starting.at else {
            let reader = Sibling::live(&self.options.path).and_then(|live| match starting.at {
                Start::End => Reader::at_end(&live, self.options.max_line),
                _ => Ok(Reader::new(&live)),
            });
            return match reader {
                Ok(reader) => {
                    self.trouble = None;
                    self.files.push_back(Tail::new(reader, now));
                    None
                }
                // A file that appears from now on is new as a whole.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Some(Starting { at: Start::Beginning, since: Some(since) })
                }
                Err(error) => {
                    self.trouble(now, &error);
                    Some(Starting { at: starting.at, since: Some(since) })
                }
            };
        };
        let scan = self.siblings.scan();
        let waited = now.saturating_sub(since) >= self.options.rotated_grace;
        if self.restore(&scan, &position, waited, now) {
            self.trouble = None;
            return None;
        }
        match scan.unreadable.iter().find(|(path, _)| *path == self.options.path) {
            Some((_, error)) => self.trouble(now, error),
            None => self.trouble = None,
        }
        Some(Starting { at: Start::At(position), since: Some(since) })
    }

    /// Goes on where a position says. `false` if that cannot be decided yet.
    fn restore(&mut self, scan: &Scan, position: &Position, waited: bool, now: Duration) -> bool {
        let live = scan.files.last().is_some_and(|sibling| sibling.live);
        let live_denied = scan.unreadable.iter().any(|(path, _)| *path == self.options.path);
        let (mut found, mut lost, mut shrunk) = (Vec::new(), false, Vec::new());
        for file in &position.files {
            if let Some(there) = self.find(scan, file) {
                found.push((there, file.done));
            } else if let Some((there, incident)) = find_shrunk(scan, file) {
                found.push((there, file.done));
                shrunk.push(incident);
            } else {
                lost |= !file.done && file.offset > 0;
            }
        }
        lost |= found.is_empty() && !position.files.is_empty();
        // What is sought may be the log itself, or come to be it, or be a file that is still being compressed.
        let waits = lost && (live_denied || !waited && position.files.iter().any(|file| unknown(scan, file)));
        if waits || (found.is_empty() && !live) {
            return false;
        }
        let from = match found.iter().map(|(there, _)| there.place).min() {
            Some(place) => place.div_ceil(2),
            None => {
                let modified = position.files.iter().map(|file| file.modified_ns).max();
                let looked =
                    (position.read_at_ms != 0).then(|| position.read_at_ms.saturating_mul(1_000_000));
                modified.or(looked).map_or(scan.files.len() - 1, |seen| first_newer(scan, seen))
            }
        };
        let taken: Vec<FileId> = found.iter().map(|(there, _)| there.reader.id()).collect();
        let (mut readers, mut done) = (Vec::new(), Vec::new());
        for (there, is_done) in found {
            // A file done with only tells the place; but if it is the log itself again, it is read on.
            if is_done && !(live && there.place == 2 * scan.files.len() - 1) {
                done.push(there.reader.position());
            } else {
                readers.push((there.place, there.reader));
            }
        }
        let newer =
            scan.files.iter().enumerate().skip(from).filter(|(_, sibling)| !taken.contains(&sibling.id));
        readers.extend(newer.map(|(at, sibling)| (2 * at + 1, Reader::new(sibling))));
        if readers.is_empty() {
            return false;
        }
        readers.sort_by_key(|(place, _)| *place);
        self.files = readers.into_iter().map(|(_, reader)| Tail::new(reader, now)).collect();
        for position in done {
            self.remember(position);
        }
        for incident in shrunk {
            self.incidents.push(incident);
        }
        if lost {
            let since_ms = Some(position.read_at_ms).filter(|&ms| ms != 0);
            self.incidents.push(Incident::Gap { path: self.options.path.clone(), since_ms });
        }
        true
    }

    /// The file of a scan that one of a position's files is now.
    fn find(&self, scan: &Scan, file: &FilePosition) -> Option<Found> {
        if file.offset > 0 {
            return self.locate(scan, file);
        }
        // Nothing was read of it, so there is nothing to recognise it by but its inode, if it was not used again.
        let same = |sibling: &&Sibling| {
            sibling.id == file.id && (file.born_ns.is_none() || file.born_ns == sibling.born_ns)
        };
        let sibling = scan.files.iter().find(same)?;
        Some(Found { place: place(scan, sibling), reader: Reader::new(sibling) })
    }
}

/// A file that holds a sought place.
struct Found {
    /// Where it stands in its scan: `2 * index + 1`, or the even number between two, for a file that has no place of its own.
    place: usize,
    reader: Reader,
}

fn place(scan: &Scan, sibling: &Sibling) -> usize {
    match scan.files.iter().position(|other| other.id == sibling.id) {
        Some(at) => 2 * at + 1,
        None => 2 * first_newer(scan, sibling.modified_ns),
    }
}

/// The first file of a scan that was modified later than this; at the latest the log itself.
fn first_newer(scan: &Scan, modified_ns: i64) -> usize {
    scan.files
        .iter()
        .position(|sibling| sibling.live || sibling.modified_ns > modified_ns)
        .unwrap_or(scan.files.len())
}

/// Whether a file may hold the place, but cannot be decoded that far.
fn unknown(scan: &Scan, file: &FilePosition) -> bool {
    let files = scan.files.iter().chain(&scan.others);
    files.into_iter().any(|sibling| matches!(Reader::resume(sibling, file), Ok(Match::Unknown)))
}

fn find_shrunk(scan: &Scan, file: &FilePosition) -> Option<(Found, Incident)> {
    scan.files.iter().find_map(|sibling| {
        let reader = Reader::resume_shrunk(sibling, file).ok()??;
        let bytes = file.offset - reader.position().offset;
        let incident = Incident::Shrunk { path: sibling.path.clone(), bytes };
        Some((Found { place: place(scan, sibling), reader }, incident))
    })
}

fn source_error(path: &Path, error: io::Error) -> SourceError {
    SourceError { path: path.display().to_string(), error }
}

impl Source for Follower {
    fn next(&mut self) -> Result<Next<'_>, SourceError> {
        Ok(match self.step() {
            Step::Lines { file, range } => {
                let tail = &self.files[file];
                Next::Lines(Lines { bytes: tail.reader.bytes(range), now_ms: Some(tail.read_ms) })
            }
            Step::Skipped(reason) => Next::Skipped { reason },
            Step::Idle => Next::Idle { now_ms: self.looked_ms },
        })
    }

    fn position(&self) -> Position {
        if let Some(Starting { at: Start::At(position), .. }) = &self.starting {
            return position.clone();
        }
        let mut files: Vec<FilePosition> = self.files.iter().map(|tail| tail.reader.position()).collect();
        match files.iter().position(|file| file.offset > 0) {
            // Files after it of which nothing was read are found by being newer: they need no place of their own.
            Some(first) => {
                let mut at = 0;
                files.retain(|file| (at <= first || file.offset > 0, at += 1).0);
            }
            // What was read last still says where reading has come to.
            None => {
                files.truncate(1);
                files.splice(..0, self.done.back().copied());
            }
        }
        Position { files, read_at_ms: self.looked_ms }
    }

    fn lag(&self) -> u64 {
        Self::lag(self)
    }

    fn sync(&mut self) -> Result<(), SourceError> {
        Self::sync(self)
    }

    fn incidents(&mut self) -> Drain<'_, Incident> {
        Self::incidents(self)
    }
}
