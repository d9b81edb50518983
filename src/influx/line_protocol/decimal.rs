//! Numbers as decimal digits, without the detour through `fmt` that costs more than the rest of a line.

use std::io::Write as _;

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// Numbers below this have at most eight digits.
const EIGHT: u64 = 100_000_000;

/// Appends an integer, without a branch on how many digits it has, which nobody can predict, as long as it is below
/// [`EIGHT`].
#[inline]
pub(super) fn unsigned(out: &mut Vec<u8>, value: u64) {
    if let Some((digits, length)) = up_to_eight(value) {
        let end = out.len() + length;
        // All eight are copied and the rest cut off again: a copy of any length is a call.
        out.extend_from_slice(&digits);
        out.truncate(end);
    } else {
        unsigned(out, value / EIGHT);
        out.extend_from_slice(&(eight_digits(value % EIGHT) | ZEROS).to_le_bytes());
    }
}

/// The digits of an integer below [`EIGHT`], and how many they are.
#[inline]
pub(super) fn up_to_eight(value: u64) -> Option<([u8; 8], usize)> {
    (value < EIGHT).then(|| {
        let digits = eight_digits(value);
        // The last digit stays if it is all there is.
        let zeros = (digits | 1 << 56).trailing_zeros() / 8;
        (((digits | ZEROS) >> (8 * zeros)).to_le_bytes(), 8 - zeros as usize)
    })
}

/// Eight digits `0`.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The digits of a number below [`EIGHT`], a byte each, the first in the lowest: halves, then quarters, then all.
#[inline]
fn eight_digits(value: u64) -> u64 {
    let halves = value / 10_000 | (value % 10_000) << 32;
    let hundreds = (halves * 10_486 >> 20) & 0x7f_0000_007f;
    let quarters = hundreds | (halves - hundreds * 100) << 16;
    let tens = (quarters * 103 >> 10) & 0x0f_000f_000f_000f;
    tens | (quarters - tens * 10) << 8
}

/// Appends an integer with its sign.
pub(super) fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(out, value.unsigned_abs());
}

/// The number as an integer. Whole milliseconds are what nginx measures: all latencies but means.
#[inline]
pub(super) fn whole(value: f64) -> Option<u64> {
    let whole = value as u32;
    (f64::from(whole) == value && value.is_sign_positive()).then_some(u64::from(whole))
}

/// Appends a finite number so that reading it gives the same one, always with a fraction or an exponent: `12.0`.
/// InfluxDB would take `12` for a float too, but a reader of the line would not.
pub(super) fn float(out: &mut Vec<u8>, value: f64) {
    if let Some(whole) = whole(value) {
        unsigned(out, whole);
        out.extend_from_slice(b".0");
        return;
    }
    // Latencies are milliseconds with at most three digits after the point. Both numbers of the division are exact, and
    // it is rounded as the reader will round the decimal: if it gives the value, then so does the decimal.
    let thousandths = (value.abs() * 1000.0).round();
    if thousandths < 9e15 && thousandths / 1000.0 == value.abs() {
        if value < 0.0 {
            out.push(b'-');
        }
        let thousandths = thousandths as u64;
        unsigned(out, thousandths / 1000);
        out.push(b'.');
        let fraction = (thousandths % 1000) as usize;
        let pair = PAIRS[fraction % 100];
        let digits = [b'0' + (fraction / 100) as u8, pair[0], pair[1]];
        let used = if digits[2] != b'0' {
            3
        } else if digits[1] != b'0' {
            2
        } else {
            1
        };
        out.extend_from_slice(&digits[..used]);
    } else if (0.001..1e9).contains(&value) {
        // A mean. The same as below, several times as fast.
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        // `{:?}` is the shortest that reads back, with an exponent where that is shorter, and never bare.
        write!(out, "{value:?}").expect("a Vec takes every write");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("digits")
    }

    #[test]
    fn floats_never_look_like_integers() {
        for (value, expected) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-1.0, "-1.0"),
            (12.5, "12.5"),
            (0.001, "0.001"),
            (0.1, "0.1"),
            (1.01, "1.01"),
            (-0.25, "-0.25"),
            (1234567.891, "1234567.891"),
            (0.0001, "0.0001"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e300, "1e300"),
            (1e-7, "1e-7"),
            (1e16, "1e16"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e308"),
        ] {
            assert_eq!(text(|out| float(out, value)), expected);
        }
    }

    proptest! {
        #[test]
        fn integers_are_what_fmt_says(value: u64, shift in 0u32..64, sign: i64) {
            let value = value >> shift;
            prop_assert_eq!(text(|out| unsigned(out, value)), value.to_string());
            prop_assert_eq!(text(|out| signed(out, sign >> shift)), (sign >> shift).to_string());
        }

        #[test]
        fn means_are_what_fmt_says(sum: u32, count in 1u32..100_000) {
            let mean = f64::from(sum) / f64::from(count);
            prop_assert_eq!(text(|out| float(out, mean)), format!("{mean:?}"));
        }

        #[test]
        fn floats_read_back(any in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL, thousandths: i64, shift in 0u32..64) {
            for value in [any, (thousandths >> shift) as f64 / 1000.0] {
                let written = text(|out| float(out, value));
                prop_assert_eq!(written.parse::<f64>().expect("a number"), value);
                prop_assert!(written.contains(['.', 'e']), "{} looks like an integer", written);
            }
        }
    }
}
