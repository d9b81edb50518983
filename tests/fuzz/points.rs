//! Line protocol, written by the encoder and read by a reader that shares nothing with it.

use rgwlens::influx::line_protocol::{Dialect, Encoder, stored_name};
use rgwlens::point::PointWriter as _;

/// Whatever names, texts and numbers a point has, what is written is exactly that point: one line, with its tags and its
/// fields, as they were.
pub(super) fn line_protocol(data: &[u8]) {
    let (number, data) = data.split_first_chunk::<8>().unwrap_or((&[1; 8], data));
    let number = i64::from_le_bytes(*number);
    let texts: Vec<String> =
        super::pieces(data).take(7).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect();
    let [key, value, other_key, other_value, text, field, float] = &texts[..] else { return };
    let mut encoder = Encoder::new(Dialect::INFLUXDB);
    encoder.begin("m");
    encoder.tag(key, value);
    encoder.tag(other_key, other_value);
    encoder.integer(field, number.unsigned_abs());
    encoder.text("text", text);
    let float = float.parse().ok().filter(|float: &f64| float.is_finite());
    if let Some(float) = float {
        encoder.float("float", float);
    }
    encoder.end(number);

    let lines = String::from_utf8(encoder.take()).expect("UTF-8");
    let line = lines.strip_suffix('\n').expect("a whole line");
    assert!(!line.chars().any(|c| c.is_ascii_control()), "{line:?}");
    let mut expected: Vec<(String, String)> = Vec::new();
    for (key, value) in [(key, value), (other_key, other_value)] {
        if !key.is_empty() && !value.is_empty() {
            expected.retain(|(known, _)| *known != stored_name(key));
            expected.push((stored_name(key), stored_name(value)));
        }
    }
    expected.sort();
    let mut rest = line.strip_prefix('m').expect("the measurement");
    let mut tags = Vec::new();
    while let Some(after) = rest.strip_prefix(',') {
        rest = after;
        let key = name(&mut rest, "=");
        rest = &rest[1..];
        tags.push((key, name(&mut rest, ", ")));
    }
    assert_eq!(tags, expected, "{line}");

    let mut fields = Vec::new();
    while let Some(after) = rest.strip_prefix([' ', ',']) {
        if rest.starts_with(' ') && !fields.is_empty() {
            break;
        }
        rest = after;
        let key = name(&mut rest, "=");
        rest = &rest[1..];
        fields.push((key, value_of_field(&mut rest)));
    }
    let integer = (!field.is_empty())
        .then(|| (stored_name(field), Value::Integer(number.unsigned_abs().min(i64::MAX as u64))));
    // The reader may be told nothing by a control character: it became a blank.
    let blank = |c: char| if c.is_ascii_control() { ' ' } else { c };
    let text = ("text".to_owned(), Value::Text(text.chars().map(blank).collect()));
    let float = float.map(|float| ("float".to_owned(), Value::Float(float)));
    let expected: Vec<_> = integer.into_iter().chain([text]).chain(float).collect();
    assert_eq!(fields, expected, "{line}");
    let time = rest.strip_prefix(' ').map(str::parse);
    assert_eq!(time, Some(Ok(number.clamp(i64::MIN + 2, i64::MAX - 1))), "{line}");
}

#[derive(Debug, PartialEq)]
enum Value {
    Integer(u64),
    Float(f64),
    Text(String),
}

/// Up to one of `ends` that is not escaped, which has to come.
fn name(rest: &mut &str, ends: &str) -> String {
    let mut name = String::new();
    let mut chars = rest.char_indices();
    loop {
        match chars.next().expect("a name ends") {
            (_, '\\') => name.push(chars.next().expect("something after a backslash").1),
            (at, c) if ends.contains(c) => {
                *rest = &rest[at..];
                return name;
            }
            (_, c) => name.push(c),
        }
    }
}

fn value_of_field(rest: &mut &str) -> Value {
    if let Some(quoted) = rest.strip_prefix('"') {
        *rest = quoted;
        let text = name(rest, "\"");
        *rest = &rest[1..];
        return Value::Text(text);
    }
    let (value, after) = rest.split_at(rest.find([',', ' ']).expect("a value ends"));
    *rest = after;
    match value.strip_suffix('i') {
        Some(integer) => Value::Integer(integer.parse().expect("an integer")),
        None => Value::Float(value.parse().expect("a float")),
    }
}
