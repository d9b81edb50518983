//! Undoing what nginx's `escape=` did to a value.

/// How nginx escapes the values it logs: the `escape=` parameter of `log_format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escape {
    /// `escape=default`: `"`, `\`, bytes below 32 and above 126 as `\xHH`.
    #[default]
    Default,
    /// `escape=json`: as in a JSON string; bytes above 127 as they came, so a line need not be UTF-8.
    Json,
}

/// The bytes as the client sent them. Borrows from `value` when nothing is escaped (nearly always), else from `scratch`.
/// What is not a valid escape stays as it stands. `None` is of a line on which nothing is escaped.
#[inline]
pub fn unescape<'a>(value: &'a [u8], escape: Option<Escape>, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    match escape {
        None => value,
        Some(escape) => undo(value, escape, scratch),
    }
}

fn undo<'a>(value: &'a [u8], escape: Escape, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if memchr::memchr(b'\\', value).is_none() {
        return value;
    }
    scratch.clear();
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        scratch.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let (bytes, length) = match escape {
            Escape::Default => hex_escape(rest),
            Escape::Json => json_escape(rest),
        };
        scratch.push(bytes);
        rest = &rest[length..];
    }
    scratch.extend_from_slice(rest);
    scratch
}

/// `\xHH`, or the backslash itself.
fn hex_escape(rest: &[u8]) -> (u8, usize) {
    match rest {
        [b'\\', b'x', high, low, ..] => match (hex_digit(*high), hex_digit(*low)) {
            (Some(high), Some(low)) => (high << 4 | low, 4),
            _ => (b'\\', 1),
        },
        _ => (b'\\', 1),
    }
}

/// `\n`, `\"`, `\u00HH` (nginx writes no others), or the backslash itself.
fn json_escape(rest: &[u8]) -> (u8, usize) {
    match rest {
        [b'\\', b'u', b'0', b'0', high, low, ..] => match (hex_digit(*high), hex_digit(*low)) {
            (Some(high), Some(low)) => (high << 4 | low, 6),
            _ => (b'\\', 1),
        },
        [b'\\', b'n', ..] => (b'\n', 2),
        [b'\\', b'r', ..] => (b'\r', 2),
        [b'\\', b't', ..] => (b'\t', 2),
        [b'\\', b'b', ..] => (8, 2),
        [b'\\', b'f', ..] => (12, 2),
        [b'\\', other @ (b'"' | b'\\' | b'/'), ..] => (*other, 2),
        _ => (b'\\', 1),
    }
}

/// The value of a hexadecimal digit.
pub(super) fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, escape: Escape, expected: &[u8]) {
        let mut scratch = Vec::new();
        assert_eq!(unescape(value.as_bytes(), Some(escape), &mut scratch), expected, "{value}");
    }

    #[test]
    fn undoes_what_nginx_did_and_nothing_else() {
        check(r"plain", Escape::Default, b"plain");
        check(r"a\x22b\x5Cc", Escape::Default, b"a\"b\\c");
        check(r"\x5Cx22", Escape::Default, b"\\x22");
        check(r"\xZZ \", Escape::Default, b"\\xZZ \\");
        check(r#"a\"b\\c\n\u0016\u00"#, Escape::Json, b"a\"b\\c\n\x16\\u00");
    }
}
