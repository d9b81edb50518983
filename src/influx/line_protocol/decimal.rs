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

/// Appends an integer, two digits a step.
#[inline]
pub(super) fn unsigned(out: &mut Vec<u8>, value: u64) {
    // Most counts are small. All of a chunk is copied and the rest cut off again: a copy of any length is a call.
    if value < 100 {
        let at = out.len();
        let single = usize::from(value < 10);
        out.extend_from_slice(&PAIRS[value as usize]);
        out[at] = out[at + single];
        out.truncate(at + 2 - single);
    } else {
        many_digits(out, value);
    }
}

/// As many digits as the longest integer has.
const LONGEST: usize = 20;

fn many_digits(out: &mut Vec<u8>, mut value: u64) {
    let at = out.len();
    let length = value.ilog10() as usize + 1;
    out.extend_from_slice(&[b'0'; LONGEST]);
    out.truncate(at + length);
    let mut pairs = out[at..].rchunks_exact_mut(2);
    for pair in &mut pairs {
        pair.copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if let [first] = pairs.into_remainder() {
        *first = b'0' + value as u8;
    }
}

/// Appends an integer with its sign.
pub(super) fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(out, value.unsigned_abs());
}

/// Appends a finite number so that reading it gives the same one, always with a fraction or an exponent: `12.0`.
/// InfluxDB would take `12` for a float too, but a reader of the line would not.
pub(super) fn float(out: &mut Vec<u8>, value: f64) {
    // Whole milliseconds are what nginx measures: all but means.
    let whole = value as u32;
    if f64::from(whole) == value && value.is_sign_positive() {
        unsigned(out, u64::from(whole));
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
        fn floats_read_back(any in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL, thousandths: i64, shift in 0u32..64) {
            for value in [any, (thousandths >> shift) as f64 / 1000.0] {
                let written = text(|out| float(out, value));
                prop_assert_eq!(written.parse::<f64>().expect("a number"), value);
                prop_assert!(written.contains(['.', 'e']), "{} looks like an integer", written);
            }
        }
    }
}
