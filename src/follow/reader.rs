//! One open file, plain or compressed, from an offset of its uncompressed content on.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    codec::{Codec, Raw, content},
    identity::{ANCHOR, FileId, Fingerprint, HEAD, Relation, Stamp, compare, is_telling, read_at, read_full},
    line_buffer::{LineBuffer, Piece},
    position::FilePosition,
    siblings::Sibling,
};
use crate::point::TimestampNs;

/// With fewer verified bytes than this, "the same file, but shorter" is not believed: another file may begin alike.
const EVIDENCE: u64 = 256;

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// More content.
    Bytes,
    /// There was no more.
    End,
    /// The file no longer says what it said where reading had come to: it was truncated, maybe written anew.
    Replaced,
}

/// Whether a file holds a place.
pub(crate) enum Match {
    /// It does, and this reads on from there.
    Yes(Box<Reader>),
    No,
    /// It begins alike, but cannot be decoded as far as the place: it may be still being written.
    Unknown,
}

/// One open file. Held open, it is this file and no other, whatever happens to its name.
pub(crate) struct Reader {
    path: PathBuf,
    file: Arc<File>,
    id: FileId,
    born_ns: Option<TimestampNs>,
    /// `None` while a file that is not the log itself is empty: it may still turn out to be compressed.
    codec: Option<Codec>,
    /// The decoder of a compressed file, which has given the content up to `buffer.read_offset()`; `None` before the
    /// first read, and after an error (a file still being compressed: it is decoded anew when it has changed).
    decoder: Option<Box<dyn Read + Send>>,
    /// Why the decoder stopped before a proper end.
    broken: Option<String>,
    /// The decoder came to a proper end: there will be no more.
    complete: bool,
    /// Compressed bytes that the decoder took.
    consumed: Arc<AtomicU64>,
    buffer: LineBuffer,
    /// The file's first bytes, [`HEAD`] of them or as many as were read.
    head: Vec<u8>,
    /// As of the last look.
    latest: Stamp,
    /// As of just before the read that found the end: if the file is still like this, there is nothing to read.
    ended: Option<Stamp>,
    /// As of when the bytes before the read offset were last compared.
    verified: Option<Stamp>,
}

impl Reader {
    /// Reads from the beginning.
    pub(crate) fn new(sibling: &Sibling) -> Self {
        Self {
            path: sibling.path.clone(),
            file: Arc::clone(&sibling.file),
            id: sibling.id,
            born_ns: sibling.born_ns,
            codec: (sibling.live || sibling.stamp.size >= Codec::MAGIC as u64).then_some(sibling.codec),
            decoder: None,
            broken: None,
            complete: false,
            consumed: Arc::default(),
            buffer: LineBuffer::default(),
            head: Vec::new(),
            latest: sibling.stamp,
            ended: None,
            verified: None,
        }
    }

    /// Reads a plain file from the start of its last line, or from `max_line` bytes and one before its end.
    pub(crate) fn at_end(sibling: &Sibling, max_line: usize) -> io::Result<Self> {
        let mut reader = Self::new(sibling);
        let size = sibling.file.metadata()?.len();
        let last = max_line as u64 + 1;
        let mut end = size;
        let start = loop {
            let from = end.saturating_sub(64 * 1024);
            let block = read_at(&sibling.file, from, (end - from) as usize)?;
            match memchr::memrchr(b'\n', &block) {
                Some(at) => break from + at as u64 + 1,
                None if from == 0 => break 0,
                None if size - from > last => break size - last,
                None => end = from,
            }
        };
        reader.seek(start)?;
        Ok(reader)
    }

    /// Reads on where a position says, if this is the file it speaks of.
    pub(crate) fn resume(sibling: &Sibling, position: &FilePosition) -> io::Result<Match> {
        let mut reader = Self::new(sibling);
        let Some(codec) = reader.codec else { return Ok(Match::No) };
        let (head, offset) = (position.head, position.offset);
        // Without content there is nothing to recognise; and lengths from a damaged position must not be believed.
        if offset == 0 || u64::from(head.len) != offset.min(HEAD as u64) {
            return Ok(Match::No);
        }
        if sibling.head.get(..head.len as usize).is_some_and(|first| !head.is_of(first)) {
            return Ok(Match::No);
        }
        if codec == Codec::Plain {
            if sibling.file.metadata()?.len() < offset {
                return Ok(Match::No);
            }
            if !head.is_of(&read_at(&sibling.file, 0, head.len as usize)?) {
                return Ok(Match::No);
            }
            reader.seek(offset)?;
        } else {
            let mut decoder =
                codec.decode(Raw::new(Arc::clone(&reader.file), Arc::clone(&reader.consumed)))?;
            let mut first = vec![0; head.len as usize];
            let (len, error) = read_full(&mut decoder, &mut first);
            if len < first.len() {
                return Ok(if error.is_some() { Match::Unknown } else { Match::No });
            }
            if !head.is_of(&first) {
                return Ok(Match::No);
            }
            match skip(&mut decoder, first.clone(), offset - len as u64) {
                Ok(Some(before)) => reader.buffer = LineBuffer::resume(offset, &before),
                Ok(None) => return Ok(Match::No),
                Err(_) => return Ok(Match::Unknown),
            }
            reader.head = first;
            reader.decoder = Some(decoder);
        }
        Ok(if reader.buffer.anchor() == position.anchor { Match::Yes(Box::new(reader)) } else { Match::No })
    }

    /// Reads on at the end of the file a position speaks of, if it is the same but shorter (see `Incident::Shrunk`); or at
    /// the end of a copy of it, made before the last lines were written and read.
    pub(crate) fn resume_shrunk(sibling: &Sibling, position: &FilePosition) -> io::Result<Option<Self>> {
        let head = position.head;
        let is_it = sibling.head.get(..head.len as usize).is_some_and(|first| head.is_of(first));
        if head.len == 0 || !is_it {
            return Ok(None);
        }
        let mut reader = Self::new(sibling);
        let enough = |size: u64| size >= EVIDENCE && size >= u64::from(head.len) && size < position.offset;
        if sibling.codec == Codec::Plain {
            let size = sibling.file.metadata()?.len();
            if !enough(size) {
                return Ok(None);
            }
            reader.seek(size)?;
        } else {
            let mut decoder =
                sibling.codec.decode(Raw::new(Arc::clone(&reader.file), Arc::clone(&reader.consumed)))?;
            let Some((size, before)) = skip_all(&mut decoder, position.offset)? else { return Ok(None) };
            if !enough(size) {
                return Ok(None);
            }
            reader.head.clone_from(&sibling.head);
            reader.buffer = LineBuffer::resume(size, &before);
            reader.decoder = Some(decoder);
        }
        Ok(Some(reader))
    }

    /// Whether a file begins with what this one holds by now, or the other way round.
    pub(crate) fn has_content_of(&self, sibling: &Sibling) -> bool {
        self.shares_content(&sibling.file, sibling.codec)
    }

    /// Whether a file begins with what this one holds by now, or the other way round.
    pub(crate) fn is_copy_of(&self, other: &Self) -> bool {
        self.shares_content(&other.file, other.codec.unwrap_or(Codec::Plain))
    }

    fn shares_content(&self, file: &Arc<File>, codec: Codec) -> bool {
        let (Ok(mut ours), Ok(mut theirs)) =
            (content(&self.file, self.codec.unwrap_or(Codec::Plain)), content(file, codec))
        else {
            return false;
        };
        let (mut a, mut b) = ([0; HEAD], [0; HEAD]);
        let common = read_full(&mut ours, &mut a).0.min(read_full(&mut theirs, &mut b).0);
        a[..common] == b[..common]
            && is_telling(&a[..common])
            // The rest is compared only if there is more in both.
            && (common < HEAD || compare(&mut ours, &mut theirs) != Relation::Different)
    }

    /// Goes to an offset of a plain file.
    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.head = read_at(&self.file, 0, offset.min(HEAD as u64) as usize)?;
        let len = offset.min(ANCHOR as u64);
        let before = read_at(&self.file, offset - len, len as usize)?;
        if before.len() as u64 != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer = LineBuffer::resume(offset, &before);
        self.ended = None;
        self.verified = None;
        Ok(())
    }

    /// Looks at the file's metadata, and says whether there may be something to read.
    pub(crate) fn look(&mut self) -> io::Result<bool> {
        self.latest = Stamp::of(&self.file.metadata()?);
        Ok(!self.complete && self.ended != Some(self.latest))
    }

    /// Reads a block. Its lines are then in [`piece`](Self::piece).
    pub(crate) fn fill(&mut self) -> io::Result<Filled> {
        if self.codec.is_none() {
            let first = read_at(&self.file, 0, Codec::MAGIC)?;
            if first.len() < Codec::MAGIC {
                self.ended = Some(Stamp::of(&self.file.metadata()?));
                return Ok(Filled::End);
            }
            self.codec = Some(Codec::of(&first));
        }
        let at = self.buffer.read_offset();
        let n = match self.codec {
            Some(Codec::Gzip | Codec::Zstd) => self.decode(),
            _ => match self.read(at)? {
                Some(n) => n,
                None => return Ok(Filled::Replaced),
            },
        };
        if n == 0 {
            return Ok(Filled::End);
        }
        // (`room` is still where the block was put: nothing moves before the block is filled in.)
        if at == self.head.len() as u64 && at < HEAD as u64 {
            let len = n.min(HEAD - self.head.len());
            self.head.extend_from_slice(&self.buffer.room()[..len]);
        }
        self.buffer.filled(n);
        Ok(Filled::Bytes)
    }

    /// Reads from a plain file, which may be truncated at any moment. `None` if what was read cannot be its continuation.
    fn read(&mut self, at: u64) -> io::Result<Option<usize>> {
        let before = Stamp::of(&self.file.metadata()?);
        if before.size < at || !self.still_says(before, at)? {
            return Ok(None);
        }
        let n = loop {
            match self.file.read_at(self.buffer.room(), at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if n == 0 {
            self.ended = Some(before);
            return Ok(Some(0));
        }
        // Truncated and written anew just between: the block may be from either file. (Truncated and not yet written as
        // far as this: it was read before that, and stands.)
        let after = Stamp::of(&self.file.metadata()?);
        let sound = after.size < at + n as u64 || self.still_says(after, at)?;
        Ok(sound.then_some(n))
    }

    /// Whether the file no longer says what it said where reading had come to. (An error is none of that.)
    pub(crate) fn is_replaced(&mut self) -> bool {
        let Ok(now) = self.file.metadata().map(|meta| Stamp::of(&meta)) else { return false };
        let at = self.buffer.read_offset();
        self.codec == Some(Codec::Plain) && (now.size < at || matches!(self.still_says(now, at), Ok(false)))
    }

    /// Whether the file begins as it did, and the bytes before `at` are what was read; compared only when the metadata
    /// moved since they last were. (One long line may end as another does; the first line has a time.)
    fn still_says(&mut self, now: Stamp, at: u64) -> io::Result<bool> {
        if self.verified == Some(now) {
            return Ok(true);
        }
        let tail = self.buffer.tail();
        let same = read_at(&self.file, at - tail.len() as u64, tail.len())? == tail
            && read_at(&self.file, 0, self.head.len())? == self.head;
        if same {
            self.verified = Some(now);
        }
        Ok(same)
    }

    /// Reads from a compressed file. Damage, or an end that comes too early, is the end for now.
    fn decode(&mut self) -> usize {
        let stamp = self.file.metadata().map(|meta| Stamp::of(&meta)).ok();
        let failed = |reader: &mut Self, error: io::Error| {
            reader.decoder = None;
            reader.broken = Some(error.to_string());
            reader.ended = stamp;
            0
        };
        if self.decoder.is_none() {
            self.consumed.store(0, Ordering::Relaxed);
            let raw = Raw::new(Arc::clone(&self.file), Arc::clone(&self.consumed));
            let decoder = self.codec.unwrap_or(Codec::Plain).decode(raw).and_then(|mut decoder| {
                skip(&mut decoder, Vec::new(), self.buffer.read_offset())?
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                Ok(decoder)
            });
            match decoder {
                Ok(decoder) => self.decoder = Some(decoder),
                Err(error) => return failed(self, error),
            }
        }
        loop {
            let Some(decoder) = &mut self.decoder else { return 0 };
            match decoder.read(self.buffer.room()) {
                Ok(0) => {
                    self.complete = true;
                    self.broken = None;
                    self.decoder = None;
                    return 0;
                }
                Ok(n) => return n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return failed(self, error),
            }
        }
    }

    /// What the last block holds.
    pub(crate) fn piece(&mut self, max_line: usize) -> Piece {
        self.buffer.piece(max_line)
    }

    /// The lines of a piece.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.bytes(range)
    }

    /// The file lost content. If what is left is its own beginning, goes on at its new end and says how many bytes, of
    /// those handed out, are missing.
    pub(crate) fn shrink(&mut self) -> io::Result<Option<u64>> {
        let size = self.file.metadata()?.len();
        let (offset, end) = (self.buffer.offset(), self.buffer.read_offset());
        if size >= end || size < EVIDENCE {
            return Ok(None);
        }
        let head = &self.head[..self.head.len().min(size as usize)];
        let tail = self.buffer.tail();
        let from = end - tail.len() as u64;
        let tail = &tail[..size.saturating_sub(from) as usize];
        if head.len() < EVIDENCE as usize
            || read_at(&self.file, 0, head.len())? != head
            || read_at(&self.file, from, tail.len())? != tail
        {
            return Ok(None);
        }
        self.seek(offset.min(size))?;
        Ok(Some(offset.saturating_sub(size)))
    }

    /// Starts again at the beginning: the file has other content now.
    pub(crate) fn restart(&mut self) {
        self.buffer.restart();
        self.head.clear();
        self.ended = None;
        self.verified = None;
    }

    /// Gives up what is left without a newline, and says whether there was any.
    pub(crate) fn discard_rest(&mut self) -> bool {
        self.buffer.discard_rest()
    }

    /// Gives memory back, for a file of which no more is expected.
    pub(crate) fn release(&mut self) {
        self.buffer.release();
    }

    /// Has what was read put on the disk, so that power loss cannot leave the file shorter than the position.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Bytes on the disk that were not handed out, as of the last look.
    pub(crate) fn lag(&self) -> u64 {
        if self.complete {
            return self.buffer.rest();
        }
        let done = match self.codec {
            Some(Codec::Gzip | Codec::Zstd) => self.consumed.load(Ordering::Relaxed),
            _ => self.buffer.offset(),
        };
        self.latest.size.saturating_sub(done)
    }

    /// How far it has been read.
    pub(crate) fn position(&self) -> FilePosition {
        let offset = self.buffer.offset();
        FilePosition {
            offset,
            head: Fingerprint::of(
                &self.head[..self.head.len().min(usize::try_from(offset).unwrap_or(usize::MAX))],
            ),
            anchor: self.buffer.anchor(),
            id: self.id,
            born_ns: self.born_ns,
            modified_ns: self.latest.modified_ns,
            done: false,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Whether the decoder came to a proper end: no grace is needed.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Why a compressed file ended early, if it did.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }
}

/// Decodes `len` bytes and drops them, but for the last [`ANCHOR`] of them and of `before`. `None` if the end came first.
fn skip(decoder: &mut dyn Read, mut before: Vec<u8>, mut len: u64) -> io::Result<Option<Vec<u8>>> {
    let mut block = vec![0; 64 * 1024];
    while len > 0 {
        let want = len.min(block.len() as u64) as usize;
        let (n, error) = read_full(decoder, &mut block[..want]);
        if n < want {
            return error.map_or(Ok(None), Err);
        }
        before.extend_from_slice(&block[..n]);
        before.drain(..before.len().saturating_sub(ANCHOR));
        len -= n as u64;
    }
    before.drain(..before.len().saturating_sub(ANCHOR));
    Ok(Some(before))
}

/// Decodes to the end and drops what was decoded, but for the last [`ANCHOR`] bytes: how many there were, and these.
/// `None` if there are as many as `limit`.
fn skip_all(decoder: &mut dyn Read, limit: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut block = vec![0; 64 * 1024];
    let (mut len, mut before) = (0, Vec::new());
    loop {
        let (n, error) = read_full(decoder, &mut block);
        if let Some(error) = error {
            return Err(error);
        }
        before.extend_from_slice(&block[..n]);
        before.drain(..before.len().saturating_sub(ANCHOR));
        len += n as u64;
        if len >= limit {
            return Ok(None);
        }
        if n < block.len() {
            return Ok(Some((len, before)));
        }
    }
}
