//! Ceph prints C's `inf` and `nan` where JSON has no such number.

use std::borrow::Cow;

/// What can stand where a number should, with what follows the sign.
const WORDS: [&[u8]; 3] = [b"infinity", b"inf", b"nan"];

/// The same JSON with `null` for every `inf`, `-inf` and `nan` outside of strings.
pub fn mend(said: &[u8]) -> Cow<'_, [u8]> {
    let mut mended: Option<Vec<u8>> = None;
    let (mut at, mut copied) = (0, 0);
    while at < said.len() {
        match said[at] {
            b'"' => at = after_string(said, at),
            b if b.is_ascii_alphanumeric() || b == b'-' || b == b'+' || b == b'.' => {
                let end = at + token(&said[at..]);
                if is_not_finite(&said[at..end]) {
                    let out = mended.get_or_insert_default();
                    out.extend_from_slice(&said[copied..at]);
                    out.extend_from_slice(b"null");
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    match mended {
        Some(mut out) => {
            out.extend_from_slice(&said[copied..]);
            out.into()
        }
        None => said.into(),
    }
}

/// The first byte after a string that begins here.
fn after_string(said: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&b) = said.get(at) {
        match b {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    said.len()
}

fn token(rest: &[u8]) -> usize {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.' | b'_');
    rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len())
}

fn is_not_finite(token: &[u8]) -> bool {
    let word = token.strip_prefix(b"-").or_else(|| token.strip_prefix(b"+")).unwrap_or(token);
    WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_number_becomes_null() {
        let check = |said: &str, expected: &str| {
            assert_eq!(String::from_utf8_lossy(&mend(said.as_bytes())), expected, "{said}");
        };
        check(r#"{"a":inf,"b":-inf,"c":nan,"d":-nan}"#, r#"{"a":null,"b":null,"c":null,"d":null}"#);
        check(r#"[ NaN , Infinity, -Infinity,inf]"#, r#"[ null , null, null,null]"#);
        check(
            r#"{"inf":"inf","a\"inf":"x, -inf ,","p\\":inf}"#,
            r#"{"inf":"inf","a\"inf":"x, -inf ,","p\\":null}"#,
        );
        check(r#"{"a":1.5e-3,"b":true,"c":null,"d":info}"#, r#"{"a":1.5e-3,"b":true,"c":null,"d":info}"#);
        check("inf", "null");
        check(r#"{"open":"inf"#, r#"{"open":"inf"#);
        check("\"\\", "\"\\");
        check("", "");
    }

    proptest! {
        #[test]
        fn json_is_left_as_it_is(texts in prop::collection::vec(".{0,12}|inf|-nan|,inf,", 0..8), n in any::<f64>()) {
            let value = serde_json::json!({ "texts": texts, "n": n, "infinite": null });
            let text = value.to_string();
            prop_assert_eq!(&*mend(text.as_bytes()), text.as_bytes());
        }

        #[test]
        fn mending_twice_is_mending_once(said in prop::collection::vec(any::<u8>(), 0..64)) {
            let once = mend(&said).into_owned();
            prop_assert_eq!(&*mend(&once), &*once);
        }
    }
}
