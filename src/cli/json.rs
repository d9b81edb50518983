//! JSON for standard output, which may be a terminal: what a stranger sent is in it, and JSON itself lets through what a
//! terminal may obey (U+007F to U+009F), or what turns the direction of text around.

use serde::Serialize;

/// On one line, without its end.
pub(super) fn line(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(escaped(serde_json::to_string(value)?))
}

/// On several lines, with the end of the last.
pub(super) fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(escaped(serde_json::to_string_pretty(value)? + "\n"))
}

/// The same JSON with these characters as escapes. They stand nowhere but in strings.
fn escaped(json: String) -> String {
    if json.is_ascii() && !json.contains('\x7f') {
        return json;
    }
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\x7f'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_json_and_harmless() {
        for text in ["plain", "é €", "a\u{9b}31mb\x7f", "\x1b[0m\n", "\u{202e}gpj", "\u{2066}\u{200f}"] {
            let json = line(&text).unwrap();
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            assert!(
                !json.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)),
                "{json}"
            );
        }
        assert_eq!(line(&"\u{9b}é").unwrap(), "\"\\u009bé\"");
        assert_eq!(pretty(&[1]).unwrap(), "[\n  1\n]\n");
    }
}
