//! The encoder against a parser that shares nothing with it: it follows the reference, and knows no way to repair a line.

use super::*;
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
enum Field {
    Integer(u64),
    Float(f64),
    Boolean(bool),
    Text(String),
}

#[derive(Clone, Debug, PartialEq)]
struct Line {
    measurement: String,
    tags: Vec<(String, String)>,
    fields: Vec<(String, Field)>,
    time: i64,
}

/// Reads one line as the reference describes it.
fn parse(line: &str) -> Line {
    assert!(!line.starts_with('#'), "a comment: {line}");
    let mut rest = line;
    let measurement = take_name(&mut rest, &[',', ' '], &[]);
    let mut tags = Vec::new();
    while let Some(after) = rest.strip_prefix(',') {
        rest = after;
        let key = take_name(&mut rest, &['='], &[',', ' ']);
        rest = rest.strip_prefix('=').expect("= after a tag key");
        tags.push((key, take_name(&mut rest, &[',', ' '], &['='])));
    }
    let mut fields = Vec::new();
    let mut separator = ' ';
    while let Some(after) = rest.strip_prefix(separator) {
        rest = after;
        if separator == ' ' && !fields.is_empty() {
            break;
        }
        let key = take_name(&mut rest, &['='], &[',', ' ']);
        rest = rest.strip_prefix('=').expect("= after a field key");
        fields.push((key, take_value(&mut rest)));
        separator = if rest.starts_with(',') { ',' } else { ' ' };
    }
    assert!(tags.is_sorted_by(|(a, _), (b, _)| a < b), "tags not in order, or double: {line}");
    let decode = |(key, value): (String, String)| (percent_decode(&key), percent_decode(&value));
    let mut tags: Vec<_> = tags.into_iter().map(decode).collect();
    tags.sort();
    Line {
        measurement: percent_decode(&measurement),
        tags,
        fields: fields.into_iter().map(|(key, value): (String, _)| (percent_decode(&key), value)).collect(),
        time: rest.parse().expect("a timestamp at the end"),
    }
}

/// Up to one of `ends` that is not escaped, where none of `never_bare` may stand unescaped.
fn take_name(rest: &mut &str, ends: &[char], never_bare: &[char]) -> String {
    let mut name = String::new();
    let mut chars = rest.char_indices();
    let mut end = rest.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(chars.next().expect("something after a backslash").1),
            c if ends.contains(&c) => {
                end = at;
                break;
            }
            c if never_bare.contains(&c) => panic!("bare {c:?} in a name: {rest}"),
            c => name.push(c),
        }
    }
    *rest = &rest[end..];
    assert!(!name.is_empty(), "empty name");
    name
}

/// What the names of this encoder mean.
fn percent_decode(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| name.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()))
            .flatten();
        // from_str_radix takes a sign, hex digits do not
        match hex.filter(|_| bytes[at + 1].is_ascii_hexdigit()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).expect("UTF-8")
}

fn take_value(rest: &mut &str) -> Field {
    if let Some(mut quoted) = rest.strip_prefix('"') {
        let mut text = String::new();
        loop {
            let c = quoted.chars().next().expect("a closing quote");
            quoted = &quoted[c.len_utf8()..];
            match c {
                '"' => break,
                '\\' => {
                    let escaped = quoted.chars().next().expect("something after a backslash");
                    assert!(matches!(escaped, '"' | '\\'));
                    quoted = &quoted[1..];
                    text.push(escaped);
                }
                c => text.push(c),
            }
        }
        *rest = quoted;
        return Field::Text(text);
    }
    let end = rest.find([',', ' ']).expect("an end of the value");
    let value = &rest[..end];
    *rest = &rest[end..];
    match value {
        "t" => Field::Boolean(true),
        "f" => Field::Boolean(false),
        value => match value.strip_suffix('i') {
            Some(integer) => Field::Integer(integer.parse::<i64>().expect("fits an i64").unsigned_abs()),
            None => Field::Float(value.parse().expect("a float")),
        },
    }
}

fn write(encoder: &mut Encoder, line: &Line) {
    encoder.begin(&line.measurement);
    for (key, value) in &line.tags {
        encoder.tag(key, value);
    }
    for (key, value) in &line.fields {
        match value {
            Field::Integer(value) => encoder.integer(key, *value),
            Field::Float(value) => encoder.float(key, *value),
            Field::Boolean(value) => encoder.boolean(key, *value),
            Field::Text(value) => encoder.text(key, value),
        }
    }
    encoder.end(line.time);
}

/// What the reader must see of a point, by the documented rules; `None` if nothing.
fn expected(line: &Line, constant: &Tags, dialect: Dialect) -> Option<Line> {
    let cut = |text: &str, max: usize| {
        text.chars()
            .scan(0, |used, c| {
                *used += c.len_utf8();
                (*used <= max).then_some(c)
            })
            .collect::<String>()
    };
    let tags: BTreeMap<Vec<u8>, (String, String)> = constant
        .iter()
        .chain(line.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())))
        .filter(|(key, value)| !key.is_empty() && !value.is_empty())
        .map(|(key, value)| (cut(key, MAX_NAME_BYTES), cut(value, MAX_NAME_BYTES)))
        .map(|(key, value)| (key.clone().into_bytes(), (key, value)))
        .collect();
    let mut tags: Vec<_> = tags.into_values().collect();
    tags.sort();
    let fields: Vec<_> = line
        .fields
        .iter()
        .filter(|(key, _)| !key.is_empty())
        .filter_map(|(key, value)| {
            let value = match value {
                Field::Integer(value) => Field::Integer((*value).min(i64::MAX as u64)),
                Field::Float(value) if !value.is_finite() => return None,
                Field::Text(_) if !dialect.text_fields => return None,
                Field::Text(text) => {
                    Field::Text(cut(text, MAX_TEXT_BYTES).replace(|c: char| c < ' ' || c == '\x7f', " "))
                }
                other => other.clone(),
            };
            Some((cut(key, MAX_NAME_BYTES), value))
        })
        .collect();
    let time = match dialect.precision {
        Precision::Nanoseconds => line.time.clamp(-9_223_372_036_854_775_806, 9_223_372_036_854_775_806),
        Precision::Milliseconds => {
            (i128::from(line.time) - i128::from(line.time).rem_euclid(1_000_000)) as i64 / 1_000_000
        }
    };
    let measurement = cut(&line.measurement, MAX_NAME_BYTES);
    (!line.measurement.is_empty() && !fields.is_empty()).then_some(Line { measurement, tags, fields, time })
}

/// Names from the worst characters there are, and from plain ones.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        r##"[ab,= \\"#%25A\n\r\t\x00\x7f'é]{0,8}"##,
        "[a-z_]{1,6}",
        ".{0,4}",
        Just("b".repeat(MAX_NAME_BYTES - 1) + "éé"),
    ]
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        any::<u64>().prop_map(Field::Integer),
        any::<f64>().prop_map(Field::Float),
        Just(Field::Float(f64::NAN)),
        any::<bool>().prop_map(Field::Boolean),
        name().prop_map(Field::Text),
        Just(Field::Text("\"".repeat(MAX_TEXT_BYTES - 1) + "éé")),
    ]
}

fn point() -> impl Strategy<Value = Line> {
    (name(), vec((name(), name()), 0..6), vec((name(), field()), 0..4), any::<i64>())
        .prop_map(|(measurement, tags, fields, time)| Line { measurement, tags, fields, time })
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::INFLUXDB), Just(Dialect::VICTORIA_METRICS)]
}

proptest! {
    #[test]
    fn an_independent_parser_reads_the_same_points(points in vec(point(), 0..4), constant in vec((name(), name()), 0..4), dialect in dialect()) {
        let constant = Tags::new(constant);
        let mut encoder = Encoder::new(dialect);
        encoder.set_tags(&constant);
        for point in &points {
            write(&mut encoder, point);
        }
        let expected: Vec<_> = points.iter().filter_map(|point| expected(point, &constant, dialect)).collect();
        prop_assert_eq!(encoder.points(), expected.len());
        let lines = String::from_utf8(encoder.take()).expect("UTF-8");
        prop_assert!(lines.is_empty() || lines.ends_with('\n'));
        prop_assert!(!lines.chars().any(|c| c != '\n' && (c < ' ' || c == '\x7f')), "a control character in {:?}", lines);
        let read: Vec<_> = lines.split_terminator('\n').map(parse).collect();
        prop_assert_eq!(read, expected);
    }
}

/// The line that one point becomes, without its newline.
fn line(dialect: Dialect, write: impl FnOnce(&mut Encoder)) -> String {
    let mut encoder = Encoder::new(dialect);
    encoder.set_tags(&Tags::new([("cluster", "ceph"), ("node", "rgw 1")]));
    encoder.begin("rgw_node");
    write(&mut encoder);
    encoder.end(1_700_000_000_123_456_789);
    String::from_utf8(encoder.take()).expect("UTF-8").trim_end_matches('\n').to_owned()
}

#[test]
fn the_exact_bytes() {
    let influx = |write: &dyn Fn(&mut Encoder)| line(Dialect::INFLUXDB, write);
    let tag = |value: &str| {
        influx(&|e| {
            e.tag("bucket", value);
            e.boolean("x", true)
        })
    };
    let tagged =
        |value: &str| format!(r"rgw_node,bucket={value},cluster=ceph,node=rgw\ 1 x=t 1700000000123456789");
    assert_eq!(tag("plain"), tagged("plain"));
    assert_eq!(tag("a,b=c d"), tagged(r"a\,b\=c\ d"));
    assert_eq!(tag("x\nrgw_node y=1i"), tagged(r"x%0Argw_node\ y\=1i"));
    assert_eq!(tag(r"c:\"), tagged("c:%5C"));
    assert_eq!(tag("100%"), tagged("100%"));
    assert_eq!(tag("%5C"), tagged("%255C"), "or it would be the same series as a backslash");
    assert_eq!(tag(""), r"rgw_node,cluster=ceph,node=rgw\ 1 x=t 1700000000123456789");
    let text = |value: &str| influx(&|e| e.text("uri", value));
    let with =
        |value: &str| format!(r#"rgw_node,cluster=ceph,node=rgw\ 1 uri="{value}" 1700000000123456789"#);
    assert_eq!(text(r#"a"b\c, d=e"#), with(r#"a\"b\\c, d=e"#));
    assert_eq!(text("a\r\nb\0"), with("a  b "));
    assert_eq!(text(r"c:\"), with(r"c:\\"));
    assert_eq!(
        influx(&|e| {
            e.tag("node", "own");
            e.integer("a", u64::MAX);
            e.float("b", 2.0);
            e.float("c", f64::NAN)
        }),
        "rgw_node,cluster=ceph,node=own a=9223372036854775807i,b=2.0 1700000000123456789"
    );
    assert_eq!(
        line(Dialect::VICTORIA_METRICS, |e| {
            e.text("a", "b");
            e.integer("c", 1)
        }),
        r"rgw_node,cluster=ceph,node=rgw\ 1 c=1i 1700000000123"
    );
}

#[test]
fn a_point_without_fields_leaves_nothing() {
    assert_eq!(line(Dialect::INFLUXDB, |e| e.tag("a", "b")), "");
    assert_eq!(line(Dialect::INFLUXDB, |e| e.float("a", f64::INFINITY)), "");
    assert_eq!(line(Dialect::VICTORIA_METRICS, |e| e.text("a", "b")), "");
    assert_eq!(line(Dialect::INFLUXDB, |e| e.integer("", 1)), "");
}

#[test]
fn a_point_that_was_never_ended_is_not_half_written() {
    let mut encoder = Encoder::new(Dialect::INFLUXDB);
    encoder.begin("a");
    encoder.integer("x", 1);
    encoder.end(1);
    encoder.begin("b");
    encoder.integer("x", 1);
    assert_eq!(encoder.lines(), b"a x=1i 1\n");
    encoder.begin("c");
    encoder.integer("x", 1);
    encoder.end(2);
    encoder.begin("d");
    assert_eq!(encoder.points(), 2);
    assert_eq!(encoder.take(), b"a x=1i 1\nc x=1i 2\n");
    assert_eq!((encoder.points(), encoder.lines()), (0, &b""[..]));
}

proptest! {
    /// Whatever is named, whatever was rendered before, and whatever is constant.
    #[test]
    fn known_heads_are_as_if_written_step_by_step(
        points in vec((prop::bool::ANY, name(), 0usize..4), 0..8),
        constant in vec((prop_oneof![name(), Just("bucket".to_owned()), Just("class".to_owned())], name()), 0..4),
    ) {
        let [mut known, mut by_steps] = [(); 2].map(|()| Encoder::new(Dialect::INFLUXDB));
        for encoder in [&mut known, &mut by_steps] {
            encoder.set_tags(&Tags::new(constant.clone()));
        }
        for (at, (is_named, name, class)) in points.iter().enumerate() {
            let kind = *class as u64 * 2 + u64::from(*is_named);
            let name = is_named.then_some(name.as_str());
            let head = Head {
                measurement: "rgw_bucket",
                name: name.map(|name| ("bucket", name)),
                words: [Some(("class", ["upload", "download", "list", "delete"][*class])), Some(("size", "small")), None, None],
            };
            known.begin_known(kind, name, || head);
            head.write(&Tags::default(), &mut by_steps);
            for encoder in [&mut known, &mut by_steps] {
                // Some have no field.
                (0..at % 3).for_each(|field| encoder.integer("x", field as u64));
                encoder.end(1);
            }
        }
        prop_assert_eq!(String::from_utf8(known.take()), String::from_utf8(by_steps.take()));
    }

    #[test]
    fn known_fields_are_as_if_written_one_by_one(
        points in vec(vec((vec(integer(), 0..5), vec(measure(), 0..5)), 0..4), 0..4),
    ) {
        const NAMES: [FieldName; 3] =
            [FieldName::new("a"), FieldName::new("twenty_bytes_of_name"), FieldName::new("latency_le_5")];
        let [mut known, mut one_by_one] = [(); 2].map(|()| Encoder::new(Dialect::INFLUXDB));
        for calls in &points {
            known.begin("x");
            one_by_one.begin("x");
            for (integers, measures) in calls {
                known.known_integers(&NAMES, integers);
                known.known_measures(&NAMES, measures);
                for (name, value) in NAMES.iter().zip(integers) {
                    one_by_one.integer(name.as_str(), *value);
                }
                for (name, value) in NAMES.iter().zip(measures) {
                    one_by_one.float(name.as_str(), value.to_float());
                }
            }
            known.end(1);
            one_by_one.end(1);
        }
        prop_assert_eq!(String::from_utf8(known.take()), String::from_utf8(one_by_one.take()));
    }
}

fn integer() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(value, shift)| value >> shift)
}

fn measure() -> impl Strategy<Value = Measure> {
    prop_oneof![
        (any::<u32>(), 0u32..32).prop_map(|(value, shift)| Measure::Whole(value >> shift)),
        any::<f64>().prop_map(Measure::Float),
        (0u32..100_000, 1u32..100).prop_map(|(sum, count)| Measure::Float(f64::from(sum) / f64::from(count))),
        Just(Measure::Float(f64::NAN)),
    ]
}
