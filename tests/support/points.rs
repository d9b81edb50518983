//! Line protocol, read by hand: the tests look at what is written, not at the writer.

use std::collections::BTreeMap;

/// A point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub measurement: String,
    pub tags: BTreeMap<String, String>,
    /// Integers and floats; texts and booleans are left out.
    pub numbers: BTreeMap<String, f64>,
    pub time_ns: i64,
}

impl Point {
    /// A counter; 0 where there is none.
    pub fn count(&self, field: &str) -> u64 {
        self.numbers.get(field).map_or(0, |number| *number as u64)
    }

    pub fn tag(&self, key: &str) -> &str {
        self.tags.get(key).map_or("", String::as_str)
    }
}

/// All points of a text.
pub fn parse(text: &str) -> Vec<Point> {
    text.lines().map(|line| point(line).unwrap_or_else(|| panic!("no point: {line}"))).collect()
}

/// A counter added up over all points of a measurement.
pub fn sum(points: &[Point], measurement: &str, field: &str) -> u64 {
    points.iter().filter(|point| point.measurement == measurement).map(|point| point.count(field)).sum()
}

fn point(line: &str) -> Option<Point> {
    let mut parts = split(line, ' ').into_iter();
    let (series, fields, time) = (parts.next()?, parts.next()?, parts.next()?);
    assert!(parts.next().is_none(), "more than three parts: {line}");
    let mut series = split(&series, ',').into_iter();
    let measurement = plain(&series.next()?);
    let pair = |text: &String| {
        let [key, value] = <[String; 2]>::try_from(split(text, '=')).ok()?;
        Some((plain(&key), plain(&value)))
    };
    let tags = series.map(|tag| pair(&tag)).collect::<Option<_>>()?;
    let mut numbers = BTreeMap::new();
    for field in split(&fields, ',') {
        let (key, value) = field.split_once('=')?;
        if !value.starts_with('"') && !matches!(value, "t" | "f") {
            numbers.insert(plain(key), value.strip_suffix('i').unwrap_or(value).parse().ok()?);
        }
    }
    Some(Point { measurement, tags, numbers, time_ns: time.parse().ok()? })
}

/// At a character that is neither escaped nor in quotes.
fn split(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut escaped, mut quoted) = (false, false);
    for c in text.chars() {
        let part = parts.last_mut().expect("never empty");
        if !escaped && !quoted && c == at {
            parts.push(String::new());
            continue;
        }
        part.push(c);
        if !escaped && c == '"' {
            quoted = !quoted;
        }
        escaped = !escaped && c == '\\';
    }
    parts
}

fn plain(text: &str) -> String {
    text.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ")
}
