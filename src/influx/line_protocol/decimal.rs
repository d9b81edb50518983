//! Numbers as decimal digits, without the detour through `fmt` that costs more than the rest of a line.

use std::io::Write as _;

use super::buffer::Buffer;

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

/// Where a number is written, at the beginning: the most that it and what follows it take, and what is written for no other
/// reason than that a copy of a fixed length is no call.
pub(super) const ROOM: usize = 32;

/// What follows an integer, and the numbers below a thousand with it, which nearly all are that are counted in a minute.
pub(super) struct Integers {
    after: [u8; 2],
    after_length: usize,
    /// What is beyond it is written as this.
    largest: u64,
    /// The text, its first byte in the lowest, and in the highest how many bytes these are.
    small: [u64; 1000],
}

/// Integers as they are counted. Unsigned fields (`u`) need InfluxDB 2: what does not fit into a signed one is as large as can
/// be said.
pub(super) static COUNTS: Integers = Integers::followed_by(*b"i\0", 1, i64::MAX as u64);
/// Integers as they are measured.
pub(super) static WHOLE: Integers = Integers::followed_by(*b".0", 2, u64::MAX);
/// Integers in front of a fraction.
static POINT: Integers = Integers::followed_by(*b".\0", 1, u64::MAX);

impl Integers {
    const fn followed_by(after: [u8; 2], after_length: usize, largest: u64) -> Self {
        let mut small = [0; 1000];
        let mut n = 0;
        while n < small.len() {
            let [hundreds, tens, ones] =
                [b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
            let (digits, length) = match n {
                ..10 => ([ones, 0, 0, 0], 1),
                10..100 => ([tens, ones, 0, 0], 2),
                _ => ([hundreds, tens, ones, 0], 3),
            };
            let text = u32::from_le_bytes(digits) as u64 | (u16::from_le_bytes(after) as u64) << (8 * length);
            small[n] = text | ((length + after_length) as u64) << 56;
            n += 1;
        }
        Self { after, after_length, largest, small }
    }

    /// Writes an integer and what follows it; says how many bytes they are.
    #[inline(always)]
    pub(super) fn write(&self, place: &mut [u8; ROOM], value: u64) -> usize {
        if let Some(small) = usize::try_from(value).ok().and_then(|value| self.small.get(value)) {
            place[..8].copy_from_slice(&small.to_le_bytes());
            return (small >> 56) as usize;
        }
        let length = write_digits(place, value.min(self.largest));
        place[length..length + 2].copy_from_slice(&self.after);
        length + self.after_length
    }
}

/// Writes an integer, without a branch on how many digits it has, which nobody can predict, as long as it is below
/// [`EIGHT`]; says how many they are.
#[inline]
fn write_digits(place: &mut [u8; ROOM], value: u64) -> usize {
    if value >= EIGHT {
        return write_many_digits(place, value);
    }
    let digits = eight_digits(value);
    // The last digit stays if it is all there is.
    let zeros = (digits | 1 << 56).trailing_zeros() / 8;
    place[..8].copy_from_slice(&((digits | ZEROS) >> (8 * zeros)).to_le_bytes());
    8 - zeros as usize
}

#[cold]
fn write_many_digits(place: &mut [u8; ROOM], value: u64) -> usize {
    let length = write_digits(place, value / EIGHT);
    place[length..length + 8].copy_from_slice(&(eight_digits(value % EIGHT) | ZEROS).to_le_bytes());
    length + 8
}

/// Appends an integer as it is counted.
pub(super) fn count(out: &mut Buffer, value: u64) {
    append(out, |place| COUNTS.write(place, value));
}

/// Appends what is written.
#[inline]
fn append(out: &mut Buffer, write: impl FnOnce(&mut [u8; ROOM]) -> usize) {
    if let Some(place) = out.room(ROOM).first_chunk_mut() {
        let length = write(place);
        out.add(length);
    }
}

/// Eight digits `0`.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The digits of a number below [`EIGHT`], a byte each, the first in the lowest: halves, then quarters, then all.
#[inline]
fn eight_digits(value: u64) -> u64 {
    let halves = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x7f_0000_007f;
    let quarters = hundreds | ((halves - hundreds * 100) << 16);
    let tens = ((quarters * 103) >> 10) & 0x0f_000f_000f_000f;
    tens | ((quarters - tens * 10) << 8)
}

/// Appends an integer with its sign.
pub(super) fn signed(out: &mut Buffer, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    append(out, |place| write_digits(place, value.unsigned_abs()));
}

/// The number as an integer. Whole milliseconds are what nginx measures: all latencies but means.
#[inline]
fn whole(value: f64) -> Option<u64> {
    let whole = value as u32;
    (f64::from(whole) == value && value.is_sign_positive()).then_some(u64::from(whole))
}

/// Appends a [finite number](write_float).
pub(super) fn float(out: &mut Buffer, value: f64) {
    append(out, |place| write_float(place, value));
}

/// Writes a finite number so that reading it gives the same one, always with a fraction or an exponent: `12.0`. InfluxDB would
/// take `12` for a float too, but a reader of the line would not. Says how many bytes they are.
pub(super) fn write_float(place: &mut [u8; ROOM], value: f64) -> usize {
    match whole(value) {
        Some(whole) => WHOLE.write(place, whole),
        None => write_fraction(place, value),
    }
}

fn write_fraction(place: &mut [u8; ROOM], value: f64) -> usize {
    // Latencies are milliseconds with at most three digits after the point. Both numbers of the division are exact, and
    // it is rounded as the reader will round the decimal: if it gives the value, then so does the decimal.
    let thousandths = (value.abs() * 1000.0).round();
    if thousandths < 9e15 && thousandths / 1000.0 == value.abs() {
        let thousandths = thousandths as u64;
        let mut point = POINT.write(place, thousandths / 1000);
        if value < 0.0 {
            place.copy_within(..point, 1);
            place[0] = b'-';
            point += 1;
        }
        let fraction = (thousandths % 1000) as usize;
        let pair = PAIRS[fraction % 100];
        let digits = [b'0' + (fraction / 100) as u8, pair[0], pair[1]];
        place[point..point + 3].copy_from_slice(&digits);
        let used = if digits[2] != b'0' {
            3
        } else if digits[1] != b'0' {
            2
        } else {
            1
        };
        point + used
    } else if (0.001..1e9).contains(&value) {
        // A mean. The same as below, several times as fast.
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value).as_bytes();
        place[..text.len()].copy_from_slice(text);
        text.len()
    } else {
        // `{:?}` is the shortest that reads back, with an exponent where that is shorter, and never bare.
        let mut rest = &mut place[..];
        write!(rest, "{value:?}").expect("a float takes 24 bytes at most");
        let left = rest.len();
        ROOM - left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Buffer)) -> String {
        let mut out = Buffer::default();
        write(&mut out);
        String::from_utf8(out.take()).expect("digits")
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
            (-1.2345678901234568e-300, "-1.2345678901234568e-300"),
            (-899999999999.999, "-899999999999.999"),
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
            for (integers, after) in [(&COUNTS, &b"i"[..]), (&WHOLE, b".0"), (&POINT, b".")] {
                let mut place = [b'?'; ROOM];
                let length = integers.write(&mut place, value);
                let expected = [value.min(integers.largest).to_string().as_bytes(), after].concat();
                prop_assert_eq!(&place[..length], expected.as_slice());
            }
            prop_assert_eq!(text(|out| count(out, value)), format!("{}i", value.min(i64::MAX as u64)));
            prop_assert_eq!(text(|out| signed(out, sign >> shift)), (sign >> shift).to_string());
        }

        #[test]
        fn means_read_back_and_are_as_short_as_can_be(sum: u32, count in 1u32..100_000) {
            let mean = f64::from(sum) / f64::from(count);
            let written = text(|out| float(out, mean));
            prop_assert_eq!(written.parse::<f64>().expect("a number"), mean);
            // Of two that are as short and as near it may choose the other one.
            prop_assert_eq!(written.len(), format!("{mean:?}").len());
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
