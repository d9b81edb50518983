//! Finding bytes. Most values are short: a look at the first words is cheaper than calling memchr.

use memchr::{memchr, memchr_iter, memchr2};

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

/// Where the byte first stands, when that is probably within sixteen bytes: an address, a method.
#[inline]
pub(super) fn find_near(byte: u8, input: &[u8]) -> Option<usize> {
    if let Some(chunk) = input.first_chunk::<16>() {
        let (low, high) = halves(chunk);
        let (low, high) = (matches(byte, low), matches(byte, high));
        if low | high != 0 {
            let (word, before) = if low != 0 { (low, 0) } else { (high, 8) };
            return Some(before + word.trailing_zeros() as usize / 8);
        }
    }
    memchr(byte, input)
}

fn halves(chunk: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*chunk);
    (both as u64, (both >> 64) as u64)
}

/// The high bit of each byte that equals `byte`, and maybe of some above the first that does.
fn matches(byte: u8, word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zero_where_equal = word ^ (ONES * u64::from(byte));
    zero_where_equal.wrapping_sub(ONES) & !zero_where_equal & (ONES << 7)
}

/// Whether the byte is there at all. Written so that the compiler makes it a few vector instructions in place.
#[inline]
pub(super) fn contains(byte: u8, text: &[u8]) -> bool {
    let any = |bytes: &[u8]| bytes.iter().fold(false, |found, other| found | (*other == byte));
    let (chunks, rest) = text.as_chunks::<32>();
    let found = chunks.iter().fold(false, |found, chunk| found | any(chunk));
    // The last bytes once more with some before them, as a whole chunk.
    found | text.last_chunk::<32>().map_or_else(|| any(rest), |last| any(last))
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
        fn finds_what_is_there(input in prop::collection::vec(prop::sample::select(b"\0\x01-\" a\x7f\x80\xff".as_slice()), 0..200)) {
            for byte in [0, b'"', b' ', b'-', 0x80, 0xff] {
                let expected = input.iter().position(|other| *other == byte);
                prop_assert_eq!(find(byte, &input), expected);
                prop_assert_eq!(find_near(byte, &input), expected);
                prop_assert_eq!(contains(byte, &input), expected.is_some());
            }
        }
    }
}
