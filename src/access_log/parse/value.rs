//! What values look like: small nom parsers, the quick ones by memchr or eight bytes at a time.

use fearless_simd::{Simd, prelude::*, u8x16};
use nom::error::{ErrorKind, ParseError};
use nom::{Err, IResult};

/// Where a line stops being what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: &'static str,
    /// Bytes of the line from there to its end.
    pub(super) left: usize,
}

impl Fault {
    pub(super) fn new(reason: &'static str, at: &[u8]) -> Err<Self> {
        Err::Error(Self { reason, left: at.len() })
    }
}

impl ParseError<&[u8]> for Fault {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self { reason: super::FORMAT, left: input.len() }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

pub(super) type Parsed<'a, T> = IResult<&'a [u8], T, Fault>;

/// What is left after `length` bytes, and these; a fault when there are not as many.
#[inline]
pub(super) fn split(input: &[u8], length: usize) -> Parsed<'_, &[u8]> {
    input
        .split_at_checked(length)
        .map(|(text, rest)| (rest, text))
        .ok_or_else(|| Fault::new(super::FORMAT, input))
}

/// A run of digits. Up to seven, and nearly all are, without a branch on their number.
#[inline]
pub(super) fn digits(input: &[u8]) -> Parsed<'_, u64> {
    if let Some(chunk) = input.first_chunk() {
        let word = u64::from_le_bytes(*chunk) ^ ZEROS;
        let length = others(word).trailing_zeros() / 8;
        if (1..8).contains(&length) {
            return Ok((&input[length as usize..], eight_digits(word << (64 - 8 * length))));
        }
    }
    many_digits(input)
}

/// One to eight digits at the start of these bytes: how many, and their value.
#[inline(always)]
pub(super) fn up_to_eight_digits<S: Simd>(simd: S, text: &[u8; 16]) -> Option<(usize, u64)> {
    let others = (u8x16::simd_from(simd, *text) - b'0').simd_gt(9).to_bitmask();
    let length = others.trailing_zeros();
    let word = u64::from_le_bytes(*text.first_chunk()?) ^ ZEROS;
    (1..=8).contains(&length).then(|| (length as usize, eight_digits(word << (64 - 8 * length))))
}

/// Digit by digit the same, of any number of them.
#[cold]
pub(super) fn all_digits(input: &[u8]) -> Option<(usize, u64)> {
    many_digits(input).ok().map(|(rest, value)| (input.len() - rest.len(), value))
}

/// Length of `1.234`.
pub(super) const SECONDS: usize = 5;

/// `1.234` at the start of eight bytes, as milliseconds.
#[inline(always)]
pub(super) fn below_ten_seconds(chunk: u64) -> Option<u32> {
    const SHAPE: u64 = 0x30_30_30_2e_30;
    const BYTES: u64 = 0xff_ff_ff_ff_ff;
    let word = (chunk ^ SHAPE) & BYTES;
    // The dot has to be one: it has no high bit only if it is 0 now.
    let others = (word.wrapping_add(0x76_76_76_7f_76) | word) & 0x80_80_80_80_80;
    let digit = |at: u32| (word >> (8 * at)) as u32 & 0xff;
    (others == 0).then(|| digit(0) * 1000 + digit(2) * 100 + digit(3) * 10 + digit(4))
}

/// The same of any length.
#[cold]
pub(super) fn any_seconds(input: &[u8]) -> Option<(usize, u32)> {
    milliseconds(input).ok().map(|(rest, time_ms)| (input.len() - rest.len(), time_ms))
}

/// Three digits at the start of eight bytes.
#[inline(always)]
pub(super) fn three(chunk: u64) -> Option<u16> {
    let word = (chunk ^ ZEROS) & 0xff_ff_ff;
    let digit = |at: u32| (word >> (8 * at)) as u16 & 0xff;
    (others(word) == 0).then(|| digit(0) * 100 + digit(1) * 10 + digit(2))
}

/// Eight digits 0.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The high bit of each byte that is not 0..=9; those after the first may have it too: what carries does not matter.
#[inline(always)]
fn others(word: u64) -> u64 {
    (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080
}

/// Eight values 0..=9, the first in the lowest byte, as one number: pairs, then fours, then all.
#[inline(always)]
fn eight_digits(word: u64) -> u64 {
    let pairs = word.wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

/// The first eight at once, which are all of most numbers that come here, and the rest one by one.
#[cold]
fn many_digits(input: &[u8]) -> Parsed<'_, u64> {
    let first = input.first_chunk().map(|chunk| u64::from_le_bytes(*chunk) ^ ZEROS);
    let (start, length) =
        first.filter(|word| others(*word) == 0).map_or((0, 0), |word| (eight_digits(word), 8));
    let mut more = input[length..].iter().take_while(|byte| byte.is_ascii_digit());
    let length = length + more.clone().count();
    let value = more
        .try_fold(start, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .filter(|_| length > 0);
    value.map(|value| (&input[length..], value)).ok_or_else(|| Fault::new(super::NUMBER, input))
}

/// `12.345` seconds as milliseconds; nginx always writes three decimals.
#[inline]
pub(super) fn milliseconds(input: &[u8]) -> Parsed<'_, u32> {
    let (rest, seconds) = digits(input)?;
    let (rest, decimals) = decimals(rest)?;
    let total = seconds.saturating_mul(1000).saturating_add(u64::from(decimals));
    Ok((rest, u32::try_from(total).unwrap_or(u32::MAX)))
}

#[inline]
fn decimals(input: &[u8]) -> Parsed<'_, u16> {
    match input.split_first() {
        Some((b'.', rest)) => three_digits(rest),
        _ => Err(Fault::new(super::NUMBER, input)),
    }
}

/// A status, each entry of `$upstream_status`, the decimals of a time: nginx always writes three digits.
#[inline]
pub(super) fn three_digits(input: &[u8]) -> Parsed<'_, u16> {
    match input {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let digit = |byte: &u8| u16::from(byte - b'0');
            Ok((rest, digit(a) * 100 + digit(b) * 10 + digit(c)))
        }
        _ => Err(Fault::new(super::NUMBER, input)),
    }
}

/// A list as nginx writes it of its upstream servers: `a, b : c`, each an item or `-`. Calls `each` with every entry and
/// says how many there were; nothing at all, or a lone `-`, is none.
pub(super) fn list<'a, T>(
    mut item: impl FnMut(&'a [u8]) -> Parsed<'a, T>,
    mut each: impl FnMut(Option<T>),
    input: &'a [u8],
) -> Parsed<'a, usize> {
    let mut rest = input;
    let mut entries = 0;
    loop {
        rest = match rest {
            [b'0'..=b'9', ..] => {
                let (after, value) = item(rest)?;
                each(Some(value));
                after
            }
            [b'-', after @ ..] => {
                each(None);
                after
            }
            // Nothing at all; or nothing after ` : `, when a redirect inside nginx led to no server.
            _ => return Ok((rest, entries)),
        };
        entries += 1;
        rest = match rest {
            [b',', b' ', after @ ..] | [b' ', b':', b' ', after @ ..] => after,
            _ if entries == 1 && input.starts_with(b"-") => return Ok((rest, 0)),
            _ => return Ok((rest, entries)),
        };
    }
}

/// How many entries a list of words has.
pub(super) fn words(list: &[u8]) -> usize {
    // Each separator, `, ` or ` : `, has one blank that stands after a comma or a colon.
    let separates = |&blank: &usize| list[..blank].ends_with(b",") || list[..blank].ends_with(b" :");
    let separators = memchr::memchr_iter(b' ', list).filter(separates).count();
    separators + usize::from(!list.ends_with(b" : "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fearless_simd::{Level, dispatch};
    use proptest::prelude::*;

    #[test]
    fn reads_lists_of_upstream_servers() {
        let check = |text: &str, entries: &[Option<u32>], count: usize, rest: &str| {
            let mut seen = Vec::new();
            let parsed = list(milliseconds, |entry| seen.push(entry), text.as_bytes());
            assert_eq!(parsed, Ok((rest.as_bytes(), count)), "{text}");
            assert_eq!(seen, entries, "{text}");
        };
        check("", &[], 0, "");
        check("-", &[None], 0, "");
        check("0.031", &[Some(31)], 1, "");
        check("8.005, 0.000\" 1", &[Some(8005), Some(0)], 2, "\" 1");
        check("-, -", &[None, None], 2, "");
        check("0.001 : 0.002, -", &[Some(1), Some(2), None], 3, "");
        check("0.001 : ", &[Some(1)], 1, "");
        check("0.001 0.002", &[Some(1)], 1, " 0.002");
        assert!(list(milliseconds, |_| {}, b"0.001, 0.02").is_err());

        assert_eq!(words(b"127.0.0.1:8080"), 1);
        assert_eq!(words(b"127.0.0.1:8080, [::1]:80 : unix:/run/x"), 3);
        assert_eq!(words(b"127.0.0.1:8080 : "), 1);
    }

    #[test]
    fn bounds_numbers() {
        assert_eq!(digits(b"18446744073709551615 "), Ok((&b" "[..], u64::MAX)));
        assert!(digits(b"18446744073709551616 ").is_err());
        assert_eq!(milliseconds(b"99999999999.999"), Ok((&b""[..], u32::MAX)));
        assert!(milliseconds(b"1.99").is_err());
        assert!(three_digits(b"20").is_err());
    }

    proptest! {
        #[test]
        fn reads_the_digits_at_the_start_of_any_bytes(number: u64, after: Vec<u8>) {
            prop_assume!(!after.first().is_some_and(u8::is_ascii_digit));
            let mut text = number.to_string().into_bytes();
            text.extend_from_slice(&after);
            prop_assert_eq!(digits(&text), Ok((&after[..], number)));
            let (seconds, ms) = (number / 1000 % 4_000_000, number % 1000);
            let mut text = format!("{seconds}.{ms:03}").into_bytes();
            text.extend_from_slice(&after);
            prop_assert_eq!(milliseconds(&text), Ok((&after[..], u32::try_from(seconds * 1000 + ms).unwrap())));
        }

        #[test]
        fn eight_digits_at_once_are_those_one_by_one(
            text in prop::array::uniform16(prop_oneof![6 => b'0'..=b'9', 1 => any::<u8>()]),
            known in 0..16usize,
        ) {
            let mut text = text;
            text[known..].fill(b' ');
            let expected = all_digits(&text).filter(|(length, _)| *length <= 8);
            for level in [Level::new(), Level::baseline()] {
                let found = dispatch!(level, simd => up_to_eight_digits(simd, &text));
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn nothing_else_is_a_number(text: Vec<u8>) {
            prop_assume!(!text.first().is_some_and(u8::is_ascii_digit));
            prop_assert!(digits(&text).is_err());
        }
    }
}
