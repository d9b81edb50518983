//! Files of the past as one stream, oldest content first: what `replay` reads.

use std::{
    cmp::Ordering,
    collections::{VecDeque, vec_deque::Drain},
    fs::{self, File},
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{self, AtomicU64},
    },
};

use super::{
    Lines, Next, Source, SourceError,
    codec::{Codec, Raw, content},
    identity::{self, FileId, HEAD, Relation, is_telling, read_full},
    incident::{Incident, Incidents},
    line_buffer::{LineBuffer, Piece},
    position::Position,
    siblings::age,
};
use crate::point::TimestampMs;

/// How far into a file its first line with a time is looked for.
const LOOK: usize = 64 * 1024;

/// How to read files of the past.
#[derive(Clone, Copy, Debug)]
pub struct FilesOptions {
    /// Longest line, in bytes without its newline; a longer one is skipped in constant memory, and counted.
    pub max_line: usize,
}

impl Default for FilesOptions {
    fn default() -> Self {
        Self { max_line: 1024 * 1024 }
    }
}

/// Files of the past, plain or compressed (which is judged by their first bytes), read once, oldest content first.
///
/// The same content is read once: hard links, a copy, a file and its compressed twin, a copy made while the file grew. A
/// last line without newline is not a line: the writer was not done with it, and whoever has the finished file counts it;
/// it is [`Next::Skipped`] as `unterminated`.
pub struct Files {
    options: FilesOptions,
    /// What is still to be read, oldest content first.
    files: VecDeque<Part>,
    /// What is being read: its name, and the decoded rest of it.
    open: Option<(PathBuf, Box<dyn Read + Send>)>,
    /// Holds what was read of `open`, or of the file before until the last of it is handed out.
    buffer: LineBuffer,
    bytes_total: u64,
    bytes_read: Arc<AtomicU64>,
    /// What `bytes_read` will be when the open file is done, however much of it could be decoded.
    bytes_after: u64,
    incidents: Incidents,
}

/// What [`Files::take`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Whole lines, and where in the memory they are.
    Lines(Range<usize>),
    /// As [`Next::Skipped`].
    Skipped {
        /// Why.
        reason: &'static str,
    },
    /// There is no more.
    End,
}

/// One file that was found worth reading.
struct Part {
    path: PathBuf,
    /// Compressed bytes; 0 for standard input.
    size: u64,
    /// First decoded bytes, at most [`LOOK`] of them.
    first: Vec<u8>,
    /// Time of the first line that has one.
    time: Option<TimestampMs>,
    input: Input,
}

enum Input {
    File {
        file: Arc<File>,
        id: FileId,
        codec: Codec,
    },
    /// Standard input, after `first` was taken from it.
    Stdin(Box<dyn Read + Send>),
}

impl Files {
    /// Opens all files of one stream, and orders them by the time of their first line, as `first_time` reads it (`None` for
    /// a line without a time: then the next line is asked). At the same time the higher rotation number goes first, then the
    /// name; files without any time come last. `-` is standard input.
    ///
    /// # Errors
    /// If one of them cannot be opened and read, or is not a file. (Damage within a compressed file is an [`Incident`].)
    pub fn open<P: AsRef<Path>>(
        paths: &[P],
        options: FilesOptions,
        first_time: &mut dyn FnMut(&[u8]) -> Option<TimestampMs>,
    ) -> Result<Self, SourceError> {
        Self::open_with(paths, options, first_time, || Box::new(io::stdin()))
    }

    pub(super) fn open_with<P: AsRef<Path>>(
        paths: &[P],
        options: FilesOptions,
        first_time: &mut dyn FnMut(&[u8]) -> Option<TimestampMs>,
        stdin: impl Fn() -> Box<dyn Read + Send>,
    ) -> Result<Self, SourceError> {
        let bytes_read = Arc::default();
        let mut parts: Vec<Part> = Vec::with_capacity(paths.len());
        for path in paths.iter().map(AsRef::as_ref) {
            if parts.iter().any(|part| part.path == path) {
                continue;
            }
            let failed = |error| SourceError { path: path.display().to_string(), error };
            let mut part = if path == Path::new("-") {
                Part::stdin(stdin(), &bytes_read).map_err(failed)?
            } else {
                Part::open(path).map_err(failed)?
            };
            part.time = whole_lines(&part.first)
                .and_then(|bytes| Lines { bytes, now_ms: None }.iter().find_map(&mut *first_time));
            parts.push(part);
        }
        let mut parts = distinct(parts);
        parts.sort_by(Part::by_content);
        Ok(Self {
            options,
            bytes_total: parts.iter().map(|part| part.size).sum(),
            files: parts.into(),
            open: None,
            buffer: LineBuffer::default(),
            bytes_read,
            bytes_after: 0,
            incidents: Incidents::default(),
        })
    }

    /// How many bytes there are to read, as they are on the disk; standard input not counted, and nothing twice.
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// How many of [`bytes_total`](Self::bytes_total) have been read, to be watched from another thread. Bytes of standard
    /// input are counted too.
    pub fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_read)
    }

    /// What went wrong since the last call.
    pub fn incidents(&mut self) -> Drain<'_, Incident> {
        self.incidents.drain()
    }

    /// What there is next, as [`next`](Source::next) has it, but read into the caller's memory, as much as there is room for:
    /// for threads that read in turn. What one processor has written another one gets slowly, so no memory goes from hand to
    /// hand, but for the end of a line that is not whole.
    pub fn take(&mut self, memory: &mut Vec<u8>) -> Result<Taken, SourceError> {
        self.buffer.exchange(memory);
        let taken = self.find(Self::fill_up);
        self.buffer.exchange(memory);
        taken
    }

    /// What there is next, in the buffer. `fill` reads more of the open file, and says whether there was more.
    fn find(&mut self, fill: impl Fn(&mut Self) -> Result<bool, SourceError>) -> Result<Taken, SourceError> {
        loop {
            match self.buffer.piece(self.options.max_line) {
                Piece::Lines(range) => return Ok(Taken::Lines(range)),
                Piece::TooLong => return Ok(Taken::Skipped { reason: "too_long" }),
                Piece::Nothing => {}
            }
            if fill(self)? {
                continue;
            }
            if self.buffer.discard_rest() {
                return Ok(Taken::Skipped { reason: "unterminated" });
            }
            if !self.advance()? {
                return Ok(Taken::End);
            }
        }
    }

    /// Begins the next file. `false` if there is none.
    fn advance(&mut self) -> Result<bool, SourceError> {
        let Some(part) = self.files.pop_front() else { return Ok(false) };
        self.buffer.restart();
        self.bytes_after += part.size;
        let decoded = match part.input {
            Input::File { file, codec, .. } => codec.decode(Raw::new(file, Arc::clone(&self.bytes_read))),
            Input::Stdin(rest) => {
                Ok(Box::new(io::Cursor::new(part.first).chain(rest)) as Box<dyn Read + Send>)
            }
        };
        let decoded =
            decoded.map_err(|error| SourceError { path: part.path.display().to_string(), error })?;
        self.open = Some((part.path, decoded));
        Ok(true)
    }

    /// Reads blocks of the open file as long as there is room: a decoder gives little at a time. `false` at its end.
    fn fill_up(&mut self) -> Result<bool, SourceError> {
        let any = self.fill()?;
        while any && self.buffer.has_room() && self.fill()? {}
        Ok(any)
    }

    /// Reads a block of the open file. `false` at its end.
    fn fill(&mut self) -> Result<bool, SourceError> {
        let Some((path, decoded)) = &mut self.open else { return Ok(false) };
        let failed = loop {
            match decoded.read(self.buffer.room()) {
                Ok(0) => break None,
                Ok(n) => {
                    self.buffer.filled(n);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
        };
        if let Some(error) = failed {
            // What the system says has a number; what a decoder says has none, and is about the content.
            if error.raw_os_error().is_some() {
                return Err(SourceError { path: path.display().to_string(), error });
            }
            self.incidents.push(Incident::Corrupt { path: path.clone(), error: error.to_string() });
        }
        self.open = None;
        self.bytes_read.fetch_max(self.bytes_after, atomic::Ordering::Relaxed);
        Ok(false)
    }
}

impl Source for Files {
    fn next(&mut self) -> Result<Next<'_>, SourceError> {
        Ok(match self.find(Self::fill)? {
            Taken::Lines(range) => Next::Lines(Lines { bytes: self.buffer.bytes(range), now_ms: None }),
            Taken::Skipped { reason } => Next::Skipped { reason },
            Taken::End => Next::End,
        })
    }

    /// Nothing: a replay begins at the beginning, and shares no position with the daemon.
    fn position(&self) -> Position {
        Position::default()
    }

    fn lag(&self) -> u64 {
        self.bytes_total.saturating_sub(self.bytes_read.load(atomic::Ordering::Relaxed))
    }

    fn incidents(&mut self) -> Drain<'_, Incident> {
        Self::incidents(self)
    }
}

impl Part {
    fn open(path: &Path) -> io::Result<Self> {
        // Pipes and devices come through standard input: they cannot be looked into and then read.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file (a pipe can be given as `-`)",
            ));
        }
        let file = Arc::new(File::open(path)?);
        let meta = file.metadata()?;
        let codec = Codec::of(&identity::read_at(&file, 0, Codec::MAGIC)?);
        let mut first = vec![0; LOOK];
        let (len, _) = read_full(&mut *content(&file, codec)?, &mut first);
        first.truncate(len);
        let input = Input::File { file, id: FileId::of(&meta), codec };
        Ok(Self { path: path.to_path_buf(), size: meta.len(), first, time: None, input })
    }

    fn stdin(stdin: Box<dyn Read + Send>, bytes_read: &Arc<AtomicU64>) -> io::Result<Self> {
        let mut raw = Counted { inner: stdin, bytes: Arc::clone(bytes_read) };
        let mut magic = vec![0; Codec::MAGIC];
        let (len, error) = read_full(&mut raw, &mut magic);
        error.map_or(Ok(()), Err)?;
        magic.truncate(len);
        let codec = Codec::of(&magic);
        let mut decoded = codec.decode(io::Cursor::new(magic).chain(raw))?;
        let mut first = vec![0; LOOK];
        // An error comes again when it is read on.
        let (len, _) = read_full(&mut decoded, &mut first);
        first.truncate(len);
        Ok(Self { path: PathBuf::from("-"), size: 0, first, time: None, input: Input::Stdin(decoded) })
    }

    fn by_content(a: &Self, b: &Self) -> Ordering {
        let time = |part: &Self| part.time.unwrap_or(TimestampMs::MAX);
        time(a).cmp(&time(b)).then_with(|| age(&a.path, &b.path))
    }

    fn relation(&self, other: &Self) -> Relation {
        let (
            Input::File { file: a, id: a_id, codec: a_codec },
            Input::File { file: b, id: b_id, codec: b_codec },
        ) = (&self.input, &other.input)
        else {
            return Relation::Different;
        };
        if a_id == b_id {
            return Relation::Same;
        }
        let common = self.first.len().min(other.first.len());
        let common = common.min(HEAD);
        if !is_telling(&self.first[..common]) || self.first[..common] != other.first[..common] {
            return Relation::Different;
        }
        match (content(a, *a_codec), content(b, *b_codec)) {
            (Ok(mut a), Ok(mut b)) => identity::compare(&mut a, &mut b),
            _ => Relation::Different,
        }
    }
}

/// Of the same content, the longest file; of the same length, the one named first.
fn distinct(parts: Vec<Part>) -> Vec<Part> {
    let mut kept: Vec<Part> = Vec::with_capacity(parts.len());
    'next: for part in parts {
        let mut at = 0;
        while at < kept.len() {
            match kept[at].relation(&part) {
                Relation::Different => at += 1,
                Relation::FirstIsPrefix => _ = kept.remove(at),
                Relation::Same | Relation::SecondIsPrefix => continue 'next,
            }
        }
        kept.push(part);
    }
    kept
}

/// The whole lines of a beginning, if it has any.
fn whole_lines(first: &[u8]) -> Option<&[u8]> {
    memchr::memrchr(b'\n', first).map(|at| &first[..=at])
}

/// Counts what is read.
struct Counted {
    inner: Box<dyn Read + Send>,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.bytes.fetch_add(n as u64, atomic::Ordering::Relaxed);
        Ok(n)
    }
}
