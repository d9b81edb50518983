//! Bytes in, whole lines out: one buffer, reused, that also remembers what came just before.

use std::ops::Range;

use memchr::{memchr, memrchr};

use super::identity::{ANCHOR, Fingerprint};

/// How much is asked of the system at once. (Little in unit tests, so that a small file is many blocks.)
pub(crate) const BLOCK: usize = if cfg!(test) { 8 * 1024 } else { 128 * 1024 };

/// Below this much room, old bytes are moved out of the way before the next read: a trickle of short reads is not
/// worth a move each, a stream of full blocks must not shrink to short reads.
const ROOM: usize = BLOCK / 4;

/// What the buffer has next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Whole lines, as a range for [`LineBuffer::bytes`].
    Lines(Range<usize>),
    /// A line over the limit came to its end and is gone.
    TooLong,
    /// Nothing before more is read.
    Nothing,
}

/// A window onto one file's (uncompressed) content.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    /// `bytes[..end]` is one gapless run of the file's content that ends where the next read begins. It reaches back at
    /// least [`ANCHOR`] bytes before `start`, or to the beginning of the file. Never shrinks but by
    /// [`release`](Self::release), so that a warm buffer is not zeroed again.
    bytes: Vec<u8>,
    /// Where what was not handed out yet begins: always the start of a line, except within an over-long line.
    start: usize,
    /// `bytes[start..lines_end]` is whole lines; `bytes[lines_end..end]` has no newline.
    lines_end: usize,
    /// Where the content ends, and the room for the next read begins.
    end: usize,
    /// The file offset just after the last byte handed out (or counted as skipped): what a position stores. The file
    /// offset of `start`, except within an over-long line.
    offset: u64,
    /// Within an over-long line: how much of it is gone already, and the anchor at its beginning.
    skipping: Option<(u64, Fingerprint)>,
}

impl LineBuffer {
    /// A buffer in the middle of a file: `before` is the content just before `offset`, [`ANCHOR`] bytes of it or all.
    pub(crate) fn resume(offset: u64, before: &[u8]) -> Self {
        debug_assert_eq!(before.len() as u64, offset.min(ANCHOR as u64));
        let len = before.len();
        Self { bytes: before.to_vec(), start: len, lines_end: len, end: len, offset, skipping: None }
    }

    /// Forgets everything but the memory: for the next file.
    pub(crate) fn restart(&mut self) {
        *self = Self { bytes: std::mem::take(&mut self.bytes), ..Self::default() };
    }

    /// Where a restart goes on: just after the last byte handed out.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the next read begins.
    pub(crate) fn read_offset(&self) -> u64 {
        self.offset + self.rest()
    }

    /// Bytes read and not handed out.
    pub(crate) fn rest(&self) -> u64 {
        self.skipping.map_or(0, |(gone, _)| gone) + (self.end - self.start) as u64
    }

    /// Room for a read of [`BLOCK`] bytes or so.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if !self.has_room() {
            self.roll();
            self.bytes.resize(self.bytes.len().max(self.end + BLOCK), 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Whether there is room for more, without old bytes being moved for it.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes.len() - self.end >= ROOM
    }

    /// Goes on in other memory, whatever is in it, and gives its own back as it is: a range of lines that was handed out last
    /// is there.
    pub(crate) fn exchange(&mut self, memory: &mut Vec<u8>) {
        let from = self.start.saturating_sub(ANCHOR);
        let kept = &self.bytes[from..self.end];
        memory.resize(memory.len().max(kept.len() + BLOCK), 0);
        memory[..kept.len()].copy_from_slice(kept);
        std::mem::swap(&mut self.bytes, memory);
        self.moved_by(from);
    }

    /// The first `n` bytes of [`room`](Self::room) are content now.
    pub(crate) fn filled(&mut self, n: usize) {
        if let Some(at) = memrchr(b'\n', &self.bytes[self.end..self.end + n]) {
            self.lines_end = self.end + at + 1;
        }
        self.end += n;
    }

    /// Hands out what there is: as many whole lines as possible, none of them longer than `max_line` (without newline).
    pub(crate) fn piece(&mut self, max_line: usize) -> Piece {
        if let Some((gone, _)) = &mut self.skipping {
            return match memchr(b'\n', &self.bytes[self.start..self.end]) {
                Some(at) => {
                    self.offset += *gone + at as u64 + 1;
                    self.start += at + 1;
                    self.lines_end = self.lines_end.max(self.start);
                    self.skipping = None;
                    Piece::TooLong
                }
                None => {
                    *gone += (self.end - self.start) as u64;
                    self.start = self.end;
                    self.lines_end = self.end;
                    Piece::Nothing
                }
            };
        }
        let lines = &self.bytes[self.start..self.lines_end];
        if lines.is_empty() {
            if self.end - self.start > max_line {
                self.skipping = Some(((self.end - self.start) as u64, self.anchor()));
                self.start = self.end;
                self.lines_end = self.end;
            }
            return Piece::Nothing;
        }
        // Fewer bytes than the limit cannot hold a line over it: with blocks below the limit, lines are hardly ever walked.
        let mut good = lines.len();
        if lines.len() > max_line {
            let mut from = 0;
            while let Some(len) = memchr(b'\n', &lines[from..]) {
                if len > max_line {
                    good = from;
                    break;
                }
                from += len + 1;
            }
        }
        if good == 0 {
            self.skipping = Some((0, self.anchor()));
            return self.piece(max_line);
        }
        let range = self.start..self.start + good;
        self.start += good;
        self.offset += good as u64;
        Piece::Lines(range)
    }

    /// The lines of a piece. Valid until the next [`room`](Self::room).
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// Gives up what is left without a newline, and says whether there was any.
    pub(crate) fn discard_rest(&mut self) -> bool {
        let rest = self.rest();
        self.offset += rest;
        self.start = self.end;
        self.lines_end = self.end;
        self.skipping = None;
        rest > 0
    }

    /// What the bytes before [`offset`](Self::offset) are.
    pub(crate) fn anchor(&self) -> Fingerprint {
        match self.skipping {
            Some((_, anchor)) => anchor,
            None => Fingerprint::of(&self.bytes[self.start.saturating_sub(ANCHOR)..self.start]),
        }
    }

    /// The last bytes read, [`ANCHOR`] of them or all: what the file must still say just before the next read.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.bytes[self.end.saturating_sub(ANCHOR)..self.end]
    }

    /// Gives memory back, for a file of which no more is expected.
    pub(crate) fn release(&mut self) {
        self.roll();
        self.bytes.truncate(self.end);
        self.bytes.shrink_to_fit();
    }

    /// Moves content to the front, and drops what is older than the anchor.
    fn roll(&mut self) {
        let from = self.start.saturating_sub(ANCHOR);
        self.bytes.copy_within(from..self.end, 0);
        self.moved_by(from);
    }

    fn moved_by(&mut self, bytes: usize) {
        self.start -= bytes;
        self.lines_end -= bytes;
        self.end -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `content` in pieces of these sizes; gives lines (without newline), the number of over-long ones, and the rest.
    fn feed(content: &[u8], sizes: &[usize], max_line: usize) -> (Vec<Vec<u8>>, usize, u64) {
        let (mut buffer, mut lines, mut too_long) = (LineBuffer::default(), Vec::new(), 0);
        let mut other = vec![b'\n'; 50];
        let (mut at, mut sizes) = (0, sizes.iter().cycle());
        while at < content.len() {
            if at % 3 == 0 {
                buffer.exchange(&mut other);
            }
            let room = buffer.room();
            let n = (*sizes.next().unwrap()).clamp(1, room.len()).min(content.len() - at);
            room[..n].copy_from_slice(&content[at..at + n]);
            buffer.filled(n);
            at += n;
            assert_eq!(buffer.read_offset(), at as u64);
            assert_eq!(buffer.tail(), &content[at.saturating_sub(ANCHOR)..at]);
            loop {
                let before = buffer.offset();
                match buffer.piece(max_line) {
                    Piece::Lines(range) => {
                        let piece = buffer.bytes(range);
                        assert_eq!(piece, &content[before as usize..before as usize + piece.len()]);
                        assert!(piece.ends_with(b"\n"));
                        lines.extend(piece[..piece.len() - 1].split(|&b| b == b'\n').map(<[u8]>::to_vec));
                    }
                    Piece::TooLong => too_long += 1,
                    Piece::Nothing => break,
                }
                let offset = buffer.offset() as usize;
                assert!(offset == 0 || content[offset - 1] == b'\n', "a position is the start of a line");
            }
            let offset = buffer.offset() as usize;
            assert_eq!(buffer.anchor(), Fingerprint::of(&content[offset.saturating_sub(ANCHOR)..offset]));
            assert!(buffer.bytes.len() <= 2 * (BLOCK + ANCHOR + max_line), "memory is bounded by the limit");
        }
        (lines, too_long, buffer.rest())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_line_once_however_it_is_cut(
            lens in prop::collection::vec(0_usize..60, 0..60),
            rest in 0_usize..60,
            sizes in prop::collection::vec(1_usize..90, 1..6),
            max_line in 0_usize..70,
        ) {
            let mut content = Vec::new();
            for (i, len) in lens.iter().enumerate() {
                content.extend(std::iter::repeat_n(b'a' + (i % 26) as u8, *len));
                content.push(b'\n');
            }
            content.extend(std::iter::repeat_n(b'z', rest));
            let whole: Vec<&[u8]> = content.split(|&b| b == b'\n').collect();
            let expected: Vec<Vec<u8>> =
                whole[..whole.len() - 1].iter().filter(|l| l.len() <= max_line).map(|l| l.to_vec()).collect();
            let (lines, too_long, left) = feed(&content, &sizes, max_line);
            prop_assert_eq!(too_long, lens.len() - expected.len());
            prop_assert_eq!(lines, expected);
            prop_assert_eq!(left, rest as u64);
        }
    }

    #[test]
    fn c1_over_long_line_of_many_blocks_is_one_skip() {
        let mut content = vec![b'x'; 3 * BLOCK];
        content.extend(b"\nshort\n");
        assert_eq!(feed(&content, &[usize::MAX], 1000), (vec![b"short".to_vec()], 1, 0));
        // Just at the limit is fine, however many blocks it takes.
        assert_eq!(feed(&content, &[usize::MAX], 3 * BLOCK).0.len(), 2);
    }

    #[test]
    fn c15_byte_by_byte_without_newline_stays_small() {
        let content = vec![b'x'; 20_000];
        assert_eq!(feed(&content, &[1], 100), (vec![], 0, 20_000));
    }

    #[test]
    fn release_keeps_what_is_needed_to_go_on() {
        let mut buffer = LineBuffer::default();
        buffer.room()[..7].copy_from_slice(b"one\ntwo");
        buffer.filled(7);
        assert_eq!(buffer.piece(10), Piece::Lines(0..4));
        buffer.release();
        assert!(buffer.bytes.capacity() < 100);
        buffer.room()[..1].copy_from_slice(b"\n");
        buffer.filled(1);
        let Piece::Lines(range) = buffer.piece(10) else { panic!("a line") };
        assert_eq!(buffer.bytes(range), b"two\n");
        assert_eq!(buffer.offset(), 8);
    }
}
