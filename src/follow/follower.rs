//! One pathname as one perpetual source of whole lines, whatever happens to the files under it.
//!
//! A [`Follower`] holds every file open that may still grow: the log itself, last, and before it the files it was rotated
//! to, until they have been quiet for a grace. A file held open is the same file whatever becomes of its name; content is
//! compared only where no open file proves it: after a restart, and when a file was written anew in place.

mod restore;
mod rotation;

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
    siblings::{Sibling, Siblings},
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

/// A log, followed: one pathname as one perpetual source of whole lines, whatever happens to the files under it.
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
    /// Unfinished lines given up by a look, which cannot hand them out itself.
    unterminated: usize,
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
    /// It had no line when it was found beside the log: it may come to be a copy of a file that was read, being made.
    begun: bool,
    /// Lines were handed out since it was last synced.
    unsynced: bool,
    /// It could not be read: when to try again. Until it can, it is not let go.
    failing: Option<Retry>,
}

impl Tail {
    fn new(reader: Reader, now: Duration) -> Self {
        Self {
            reader,
            ready: true,
            stirred: now,
            read_ms: 0,
            sealed: false,
            begun: false,
            unsynced: false,
            failing: None,
        }
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
            unterminated: 0,
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
        if self.unterminated > 0 {
            self.unterminated -= 1;
            return Step::Skipped("unterminated");
        }
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
    pub(super) fn begin_anew(&mut self) {
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
                    // Now that there is a whole line to tell by.
                    if std::mem::take(&mut tail.begun) && self.was_read_elsewhere(at) {
                        self.files.remove(at);
                        continue;
                    }
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
                    self.replaced(at);
                    // What was given up goes first; and a copy may have come before it.
                    if self.unterminated > 0 {
                        self.unterminated -= 1;
                        return Some(Step::Skipped("unterminated"));
                    }
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

    /// Whether a file that has got lines is a copy of another one that is held: of what that says now, or, where it was
    /// truncated since, of what was read of it. (Then the rest of it is found when that is noticed.)
    fn was_read_elsewhere(&self, at: usize) -> bool {
        if self.is_copy(at) {
            return true;
        }
        let scan = self.siblings.scan();
        let id = self.files[at].reader.id();
        let Some(copy) = scan.files.iter().chain(&scan.others).find(|sibling| sibling.id == id) else {
            return false;
        };
        let others = self.files.iter().enumerate().filter(|(other, _)| *other != at);
        others.into_iter().any(|(_, other)| {
            let position = other.reader.position();
            position.offset > 0 && matches!(Reader::resume(copy, &position), Ok(Match::Yes(_)))
        })
    }

    /// Whether a file is a copy of another one that is held.
    fn is_copy(&self, at: usize) -> bool {
        let others = self.files.iter().enumerate().filter(|(other, _)| *other != at);
        others.into_iter().any(|(_, other)| self.files[at].reader.is_copy_of(&other.reader))
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
