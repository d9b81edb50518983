//! A query taken apart into names and values.

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
    target: &'a [u8],
    /// Where the next one begins.
    start: usize,
    /// The target, if it is short, and zeros.
    padded: [u8; NEAR],
    decoded: [u8; DECODED],
}

impl<'a, S: Simd> Pairs<'a, S> {
    /// Of a query that begins somewhere in a target.
    #[inline(always)]
    pub(super) fn new(simd: S, target: &'a [u8], query: usize) -> Self {
        let mut pairs = Self { simd, target, start: query, padded: [0; NEAR], decoded: [0; DECODED] };
        if let Some(start) = pairs.padded.get_mut(..target.len()) {
            start.copy_from_slice(target);
        }
        pairs
    }

    /// The next name, decoded, and its value, as sent.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<(Name<'_>, Value<'a>)> {
        let (target, start) = (self.target, self.start);
        if start >= target.len() {
            return None;
        }
        let text = if target.len() < NEAR { &self.padded } else { target };
        let (name_end, end) = ends(self.simd, text, target.len(), start)?;
        self.start = end + 1;
        if let Some(b'%' | b'+') = text.get(name_end) {
            let (name, value) = decoded(target.get(start..end)?, &mut self.decoded)?;
            return Some((name, Value { target, start: start + value, end }));
        }
        Some((Name::within(text, start, name_end)?, Value { target, start: name_end + 1, end }))
    }
}

/// The value of a pair, which nearly nobody looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    target: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Value<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    pub(super) fn text(&self) -> &'a [u8] {
        self.target.get(self.start..self.end).unwrap_or_default()
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

/// Where the name and the pair end that begin at `start`, by a text that has [`NEAR`] bytes or more, of which `length` are the
/// target. Both are looked for at once, and nothing depends on how long they are: where a search for one and then for the
/// other ends, nobody can predict.
#[inline(always)]
fn ends<S: Simd>(simd: S, text: &[u8], length: usize, start: usize) -> Option<(usize, usize)> {
    const NAME_ENDS: Set = Set::of(b"=&%+");
    // Before the text's end, what stands before the pair makes enough.
    let from = start.min(text.len().checked_sub(NEAR)?);
    let (near, before) = (text.get(from..)?.first_chunk()?, start - from);
    let text_end = 1u64.checked_shl((length - start) as u32).unwrap_or(0);
    let names = NAME_ENDS.among(simd, near).to_bitmask() >> (before % 64) | text_end;
    let pairs = u8x64::simd_from(simd, *near).simd_eq(b'&').to_bitmask() >> (before % 64) | text_end;
    if pairs == 0 {
        return Some(far_ends(text, start));
    }
    Some((start + names.trailing_zeros() as usize, start + pairs.trailing_zeros() as usize))
}

/// The same of a long pair.
#[cold]
fn far_ends(text: &[u8], start: usize) -> (usize, usize) {
    let pair = text.get(start..).unwrap_or_default();
    let end = memchr(b'&', pair).unwrap_or(pair.len());
    (start + scan::find_any(*b"=&%+", &pair[..end]).unwrap_or(end), start + end)
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
        ) {
            let query = [long.as_bytes(), &query].concat();
            let target = [path.as_bytes(), &query].concat();
            let levels = [Level::new(), Level::baseline()];
            for ((target, from), level) in [(&query, 0), (&target, path.len())].into_iter().zip(levels) {
                let mut found = Vec::new();
                dispatch!(level, simd => {
                    let mut pairs = Pairs::new(simd, target, from);
                    while let Some((name, value)) = pairs.next() {
                        assert_eq!(name.head, head(name.text));
                        found.push((name.text.to_vec(), value.text().to_vec()));
                        assert_eq!(value.is_empty(), value.text().is_empty());
                    }
                });
                prop_assert_eq!(found, pairs(&query));
            }
        }
    }
}
