//! A query taken apart into names and values.

use std::ops::Range;

use fearless_simd::{Simd, prelude::*, u8x64};
use memchr::memchr;

use crate::access_log::classify::percent::escaped_byte;
use crate::access_log::scan::{self, Set};

/// How much of a pair or value is decoded: more than any name or value that we know has.
pub(super) const DECODED: usize = 48;

/// A name in a query, decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    pub(super) text: &'a [u8],
    /// Its [`head`].
    pub(super) head: u64,
}

impl<'a> Name<'a> {
    /// The name that stands in a text from `start` to `end`.
    #[inline(always)]
    fn within(text: &'a [u8], start: usize, end: usize) -> Option<Self> {
        // Before the text's end, what stands before the name makes eight bytes.
        let from = start.min(text.len().checked_sub(8)?);
        let eight = u64::from_le_bytes(*text.get(from..)?.first_chunk()?) >> (8 * (start - from) % 64);
        let name = text.get(start..end)?;
        let excess = 8 - name.len().min(8);
        Some(Self { text: name, head: eight.checked_shl(8 * excess as u32).unwrap_or(0) })
    }

    /// Whether it is this one.
    #[inline(always)]
    pub(super) fn is(&self, head: u64, text: &[u8]) -> bool {
        // Most have no more than sixteen bytes: the first eight of them and the last.
        self.head == head
            && self.text.len() == text.len()
            && (text.len() <= 8 || self.text.last_chunk::<8>() == text.last_chunk())
            && (text.len() <= 16 || self.text == text)
    }
}

/// The first eight bytes of a name as a number, the last of them in its highest byte.
pub(super) const fn head(name: &[u8]) -> u64 {
    let (mut head, mut at) = (0, 0);
    while at < name.len() && at < 8 {
        head = head >> 8 | (name[at] as u64) << 56;
        at += 1;
    }
    head
}

/// The pairs of a query. RGW splits at `&`, decodes, and only then splits at the first `=`, so that `acl%3Dx` is `acl`; of
/// such a pair, all of it is given as the value.
pub(super) struct Pairs<'a, S> {
    simd: S,
    text: &'a [u8],
    /// Where the next one begins, and where the query ends.
    start: usize,
    end: usize,
    /// The text, if it is short, and zeros.
    padded: [u8; NEAR],
    /// Which of so many bytes from `base` on end a name or a pair.
    base: usize,
    name_ends: u64,
    pair_ends: u64,
    decoded: [u8; DECODED],
}

impl<'a, S: Simd> Pairs<'a, S> {
    /// Of a query that stands in a text: with more behind it, it is looked at without a copy.
    #[inline(always)]
    pub(super) fn new(simd: S, text: &'a [u8], query: Range<usize>) -> Self {
        let Range { start, end } = query;
        let (base, name_ends, pair_ends) = (start, 0, 0);
        let (mut padded, decoded) = ([0; NEAR], [0; DECODED]);
        if let Some(start) = padded.get_mut(..text.len()) {
            start.copy_from_slice(text);
        }
        Self { simd, text, start, end, padded, base, name_ends, pair_ends, decoded }
    }

    /// The next name, decoded, and its value, as sent.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<(Name<'_>, Value<'a>)> {
        let start = self.start;
        if start >= self.end {
            return None;
        }
        if self.pair_ends.checked_shr((start - self.base) as u32).unwrap_or(0) == 0 {
            self.look(start)?;
        }
        let text = if self.text.len() < NEAR { &self.padded } else { self.text };
        let passed = (start - self.base) % NEAR;
        let (name_ends, pair_ends) = (self.name_ends >> passed, self.pair_ends >> passed);
        let (name_end, end) = if pair_ends == 0 {
            far_ends(text, start..self.end)
        } else {
            (start + name_ends.trailing_zeros() as usize, start + pair_ends.trailing_zeros() as usize)
        };
        self.start = end + 1;
        if name_end < end && matches!(text.get(name_end), Some(b'%' | b'+')) {
            let (name, value) = decoded(text.get(start..end)?, &mut self.decoded)?;
            return Some((name, Value { text: self.text, start: start + value, end }));
        }
        Some((Name::within(text, start, name_end)?, Value { text: self.text, start: name_end + 1, end }))
    }

    /// Looks for what ends names and pairs in the next bytes, all at once: where a search for one and then for the other ends,
    /// nobody can predict.
    #[inline(always)]
    fn look(&mut self, start: usize) -> Option<()> {
        const NAME_ENDS: Set = Set::of(b"=&%+");
        let text = if self.text.len() < NEAR { &self.padded } else { self.text };
        // Before the text's end, what stands before the pair makes enough.
        self.base = start.min(text.len() - NEAR);
        let near = text.get(self.base..)?.first_chunk()?;
        let text_end = 1u64.checked_shl((self.end - self.base) as u32).unwrap_or(0);
        self.name_ends = NAME_ENDS.among(self.simd, near).to_bitmask() | text_end;
        self.pair_ends = u8x64::simd_from(self.simd, *near).simd_eq(b'&').to_bitmask() | text_end;
        Some(())
    }
}

/// The value of a pair, which nearly nobody looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    text: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Value<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    pub(super) fn text(&self) -> &'a [u8] {
        self.text.get(self.start..self.end).unwrap_or_default()
    }
}

/// The name of a pair with something to decode before its first `=`, and where its value begins.
#[cold]
fn decoded<'d>(pair: &[u8], decoded: &'d mut [u8; DECODED]) -> Option<(Name<'d>, usize)> {
    let length = decode_into(pair, decoded);
    let name = memchr(b'=', &decoded[..length]).unwrap_or(length);
    Some((Name::within(decoded, 0, name)?, memchr(b'=', pair).map_or(0, |at| at + 1)))
}

/// Percent-decoding as in a form: `+` is a blank. Stops when `into` is full; returns how much of it was written.
pub(super) fn decode_into(mut from: &[u8], into: &mut [u8; DECODED]) -> usize {
    for (written, slot) in into.iter_mut().enumerate() {
        let Some(&first) = from.first() else { return written };
        let (byte, length) = match escaped_byte(from) {
            Some(byte) => (byte, 3),
            None if first == b'+' => (b' ', 1),
            None => (first, 1),
        };
        *slot = byte;
        from = &from[length..];
    }
    DECODED
}

/// Most names and pairs are shorter.
const NEAR: usize = 64;

/// Where the name and the pair end that begin a query: of a long pair.
#[cold]
fn far_ends(text: &[u8], query: Range<usize>) -> (usize, usize) {
    let start = query.start;
    let query = text.get(query).unwrap_or_default();
    let end = memchr(b'&', query).unwrap_or(query.len());
    (start + scan::find_any(*b"=&%+", &query[..end]).unwrap_or(end), start + end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fearless_simd::{Level, dispatch};
    use proptest::prelude::*;

    /// The same, as RGW's words have it.
    fn pairs(query: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pair = |pair: &[u8]| {
            let mut decoded = [0; DECODED];
            let length = decode_into(pair, &mut decoded);
            let name = decoded[..length].split(|byte| *byte == b'=').next().unwrap_or_default();
            let (before, value) = match memchr(b'=', pair) {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &b""[..]),
            };
            let is_encoded = before.iter().any(|byte| matches!(byte, b'%' | b'+'));
            let value = if is_encoded && before.len() == pair.len() { pair } else { value };
            // Only of what is encoded, no more is looked at.
            let name = if is_encoded { name } else { before };
            (name.to_vec(), value.to_vec())
        };
        let pairs = query.strip_suffix(b"&").unwrap_or(query);
        if query.is_empty() { Vec::new() } else { pairs.split(|byte| *byte == b'&').map(pair).collect() }
    }

    proptest! {
        #[test]
        fn pairs_are_those_that_rgw_sees(
            path in "/[a&=%]{0,80}",
            query in prop::collection::vec(prop::sample::select(b"aabcdxyz=&&%+3D6\0".as_slice()), 0..200),
            long in "[a=]{0,70}",
            after in "[ &=%a]{0,90}",
        ) {
            let query = [long.as_bytes(), &query].concat();
            let target = [path.as_bytes(), &query].concat();
            let line = [target.as_slice(), after.as_bytes()].concat();
            let of_target = path.len()..target.len();
            for (text, query) in [(&query, 0..query.len()), (&target, of_target.clone()), (&line, of_target)] {
                for level in [Level::new(), Level::baseline()] {
                    let mut found = Vec::new();
                    dispatch!(level, simd => {
                        let mut pairs = Pairs::new(simd, text, query.clone());
                        while let Some((name, value)) = pairs.next() {
                            assert_eq!(name.head, head(name.text));
                            found.push((name.text.to_vec(), value.text().to_vec()));
                            assert_eq!(value.is_empty(), value.text().is_empty());
                        }
                    });
                    prop_assert_eq!(found, pairs(&text[query.clone()]));
                }
            }
        }
    }
}
