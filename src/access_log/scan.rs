//! Finding bytes. Most values are short: a look at the first words is cheaper than calling memchr.

use fearless_simd::{Level, Simd, dispatch, mask8x64, prelude::*, u8x16, u8x32, u8x64};
use memchr::{memchr, memchr_iter, memchr2};

/// What every processor of this kind can do: known when compiling, so that nothing is asked and no call is made.
const BASELINE: Level = Level::baseline();

/// As many bytes as are looked at at once.
const CHUNK: usize = 32;
/// As many where something ends that is longer than that.
pub(super) const FAR: usize = 128;

/// The first eight bytes of a text as a number, the first in its lowest byte, and which of its bits they are: to compare as
/// many at once.
pub(super) const fn head_and_mask(text: &[u8]) -> (u64, u64) {
    let (mut head, mut mask) = (0, 0);
    let mut at = 0;
    while at < text.len() && at < 8 {
        head |= (text[at] as u64) << (8 * at);
        mask |= 0xff << (8 * at);
        at += 1;
    }
    (head, mask)
}

/// Where the byte first stands.
#[inline]
pub(super) fn find(byte: u8, input: &[u8]) -> Option<usize> {
    // A header that was not sent: the most frequent value of all.
    if let [b'-', next, ..] = input
        && *next == byte
        && byte != b'-'
    {
        return Some(1);
    }
    memchr(byte, input)
}

/// Where the byte first stands, when that is probably near: an address, a method, a bucket's name. In place and without a
/// call, which costs more than looking at thirty-two bytes.
#[inline]
pub(super) fn find_near(byte: u8, input: &[u8]) -> Option<usize> {
    if let Some(near) = input.first_chunk() {
        let bits = dispatch!(BASELINE, simd => u8x32::simd_from(simd, *near).simd_eq(byte).to_bitmask());
        if bits != 0 {
            return Some(bits.trailing_zeros() as usize);
        }
    }
    memchr(byte, input)
}

/// Where the byte first stands in a chunk.
#[inline(always)]
pub(super) fn near<S: Simd>(simd: S, byte: u8, chunk: &[u8; CHUNK]) -> Option<usize> {
    let bits = u8x32::simd_from(simd, *chunk).simd_eq(byte).to_bitmask();
    (bits != 0).then_some(bits.trailing_zeros() as usize)
}

/// Bytes to look for, told by their four low bits: each in the entry that these lead to, and in the other entries bytes that
/// these do not lead to. To look up one entry and compare it replaces a comparison for each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Set([u8; 16]);

impl Set {
    /// Of bytes of which no two have the same four low bits.
    pub(super) const fn of(bytes: &[u8]) -> Self {
        let mut entries = [1; 16];
        entries[1] = 0;
        let mut at = 0;
        while at < bytes.len() {
            let entry = &mut entries[bytes[at] as usize % 16];
            assert!(*entry <= 1, "two bytes have the same low bits");
            *entry = bytes[at];
            at += 1;
        }
        Self(entries)
    }

    /// Which bytes of a text are among them.
    #[inline(always)]
    pub(super) fn among<S: Simd>(&self, simd: S, text: &[u8; 64]) -> mask8x64<S> {
        let text = u8x64::simd_from(simd, *text);
        u8x64::block_splat(u8x16::simd_from(simd, self.0))
            .swizzle_dyn_within_blocks(text & 0x0f)
            .simd_eq(text)
    }
}

/// Where the byte first stands, or how long the text is: for what is mostly longer than a chunk.
#[inline(always)]
pub(super) fn first<S: Simd>(simd: S, byte: u8, text: &[u8; FAR]) -> usize {
    let [low, high] = text.as_chunks().0 else { return FAR };
    let low = u8x64::simd_from(simd, *low).simd_eq(byte).to_bitmask();
    let high = u8x64::simd_from(simd, *high).simd_eq(byte).to_bitmask();
    let high_first = 64 + high.trailing_zeros();
    (if low != 0 { low.trailing_zeros() } else { high_first }) as usize
}

/// Where one of these bytes first stands. In place and without a call.
#[inline]
pub(super) fn find_any<const N: usize>(bytes: [u8; N], input: &[u8]) -> Option<usize> {
    find_any_from(bytes, input, 0)
}

/// The same from a place on: what stands before it makes whole chunks of what is short.
#[inline]
pub(super) fn find_any_from<const N: usize>(bytes: [u8; N], input: &[u8], from: usize) -> Option<usize> {
    let is_any = |sixteen: &[u8; 16]| {
        dispatch!(BASELINE, simd => {
            let text = u8x16::simd_from(simd, *sixteen);
            let mut found = text.simd_eq(bytes[0]);
            for byte in &bytes[1..] {
                found |= text.simd_eq(*byte);
            }
            found.to_bitmask()
        })
    };
    let (sixteens, rest) = input.get(from..)?.as_chunks::<16>();
    for (number, sixteen) in sixteens.iter().enumerate() {
        let bits = is_any(sixteen);
        if bits != 0 {
            return Some(from + number * 16 + bits.trailing_zeros() as usize);
        }
    }
    // The last bytes once more with some before them, as a whole chunk.
    let before = input.len() - rest.len();
    let Some(last) = input.last_chunk() else {
        return rest.iter().position(|byte| bytes.contains(byte)).map(|at| before + at);
    };
    let bits = is_any(last) >> (16 - rest.len());
    (bits != 0).then(|| before + bits.trailing_zeros() as usize)
}

/// Whether the byte is there at all.
#[inline]
pub(super) fn contains(byte: u8, text: &[u8]) -> bool {
    let (sixteens, rest) = text.as_chunks::<16>();
    // The last bytes once more with some before them, as a whole chunk.
    let Some(last) = text.last_chunk() else { return rest.contains(&byte) };
    dispatch!(BASELINE, simd => {
        let is = |sixteen: &[u8; 16]| u8x16::simd_from(simd, *sixteen).simd_eq(byte);
        sixteens.iter().fold(is(last), |found, sixteen| found | is(sixteen)).any_true()
    })
}

/// Where the first quote stands that no backslash escapes.
pub(super) fn json_quote(input: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', input.get(at..)?)?;
        if input[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Where the first blank stands that does not belong to a list's `, ` or ` : `.
pub(super) fn list_end(input: &[u8]) -> Option<usize> {
    memchr_iter(b' ', input).find(|&blank| {
        let (before, after) = (&input[..blank], &input[blank + 1..]);
        !(before.ends_with(b",") || before.ends_with(b" :") || after.starts_with(b": "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_the_end_of_a_json_string() {
        let check = |text: &str, expected| assert_eq!(json_quote(text.as_bytes()), expected, "{text}");
        check(r#"abc","#, Some(3));
        check(r#"a\\"b"#, Some(3));
        check(r#"a\\\"b"c"#, Some(6));
        check(r#"a\\\\"b"#, Some(5));
        check(r#"a\""#, None);
        check(r"a\", None);
        check("", None);
    }

    #[test]
    fn finds_the_end_of_a_list() {
        assert_eq!(list_end(b"a, b : c d"), Some(8));
        assert_eq!(list_end(b"a"), None);
    }

    proptest! {
        #[test]
        fn finds_what_is_there(input in prop::collection::vec(prop::sample::select(b"\0\x01-\" ax\x7f\x80\xff".as_slice()), 0..200)) {
            for byte in [0, b'"', b' ', b'-', 0x80, 0xff] {
                let expected = input.iter().position(|other| *other == byte);
                prop_assert_eq!(find(byte, &input), expected);
                prop_assert_eq!(find_near(byte, &input), expected);
                prop_assert_eq!(contains(byte, &input), expected.is_some());
                let either = input.iter().position(|other| *other == byte || *other == b'x');
                prop_assert_eq!(find_any([b'x', byte], &input), either);
                for from in 0..=input.len() {
                    let either = input[from..].iter().position(|other| *other == byte || *other == b'x');
                    prop_assert_eq!(find_any_from([b'x', byte], &input, from), either.map(|at| from + at));
                }
                if let Some(far) = input.first_chunk() {
                    for level in [Level::new(), BASELINE] {
                        let first = dispatch!(level, simd => first(simd, byte, far));
                        prop_assert_eq!(first, expected.unwrap_or(FAR).min(FAR));
                    }
                }
                if let Some(chunk) = input.first_chunk() {
                    for level in [Level::new(), BASELINE] {
                        let found = dispatch!(level, simd => near(simd, byte, chunk));
                        prop_assert_eq!(found, expected.filter(|at| *at < CHUNK));
                    }
                }
            }
        }
    }
}
