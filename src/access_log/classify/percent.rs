//! Percent-encoding.

use memchr::memchr;

use crate::access_log::escape::hex_digit;

/// The byte that the escape at the start of `rest` stands for (`%20…`: a blank); `None` where there is no valid one.
pub(super) fn escaped_byte(rest: &[u8]) -> Option<u8> {
    match *rest {
        [b'%', high, low, ..] => Some(hex_digit(high)? << 4 | hex_digit(low)?),
        _ => None,
    }
}

/// Adds to `into` what a path stands for: `+` untouched, what is no escape untouched.
pub(super) fn decode(mut path: &[u8], into: &mut Vec<u8>) {
    while let Some(at) = memchr(b'%', path) {
        into.extend_from_slice(&path[..at]);
        let (byte, length) = escaped_byte(&path[at..]).map_or((b'%', 1), |byte| (byte, 3));
        into.push(byte);
        path = &path[at + length..];
    }
    into.extend_from_slice(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_digits_make_an_escape() {
        for (rest, expected) in [
            ("%20", Some(b' ')),
            ("%fFx", Some(0xFF)),
            ("%", None),
            ("%2", None),
            ("%2g", None),
            ("20", None),
            ("", None),
        ] {
            assert_eq!(escaped_byte(rest.as_bytes()), expected, "{rest}");
        }
    }
}
