//! Points as InfluxDB line protocol. Pure; allocates nothing per point once its buffers are warm.
//!
//! What strangers name (buckets, URIs) ends up here, so this is the one place that has to make injection impossible:
//!
//! * A name (measurement, tag, field key) cannot hold a control character or a backslash: InfluxDB ends the line at a
//!   newline wherever it stands, and servers differ in what a backslash before a comma, a space or another backslash
//!   means. Both are percent-encoded (`%0A`, `%5C`), and so is a `%` where two hex digits follow it. Hence two different
//!   names never become one, which would be two series that overwrite each other.
//! * Text can hold everything but control characters, which become spaces.
//!
//! Source of the rules: InfluxDB's line protocol reference, and the parsers of InfluxDB 1.6 and VictoriaMetrics.

mod decimal;
mod escape;

use crate::point::{FieldName, PointWriter, Tags, TimestampNs};

/// Longest tag value, and longest name, in bytes before escaping; the rest is cut off. A series key (measurement and
/// all tags) may have 64 KiB; S3 allows a bucket 63 characters, and an object 1,024 bytes.
pub const MAX_NAME_BYTES: usize = 1024;

/// Longest text in bytes before escaping; the rest is cut off. Strings may have 64 KiB, also if every byte of it has to
/// be escaped.
pub const MAX_TEXT_BYTES: usize = 32_000;

/// What a server's line protocol can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Text fields are written. Without, a point with nothing but text vanishes.
    pub text_fields: bool,
    /// Unit of the timestamps.
    pub precision: Precision,
}

impl Dialect {
    /// InfluxDB 1, 2 and 3.
    pub const INFLUXDB: Self = Self { text_fields: true, precision: Precision::Nanoseconds };
    /// VictoriaMetrics: it makes zero-valued series of text, and keeps no time finer than milliseconds.
    pub const VICTORIA_METRICS: Self = Self { text_fields: false, precision: Precision::Milliseconds };
}

/// Unit of the timestamps; the server is told with `precision=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// `precision=ns`
    Nanoseconds,
    /// `precision=ms`: what is finer is cut off, towards the past.
    Milliseconds,
}

impl Precision {
    /// The value of the parameter `precision` of `/write` and `/api/v2/write`.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Milliseconds => "ms",
        }
    }
}

/// Writes points as lines into a buffer of its own, tags sorted by key (which InfluxDB indexes fastest).
///
/// What cannot be said is left out: a tag or field without a key, a tag without a value, a float that is not finite;
/// then a point without a measurement or without any field, as a whole. Of two tags with one key the later wins.
#[derive(Debug)]
pub struct Encoder {
    dialect: Dialect,
    out: Vec<u8>,
    points: usize,
    constant: Vec<Constant>,
    /// Where the point that is being written starts in `out`.
    start: usize,
    stage: Stage,
    tags: TagScratch,
}

/// A tag value or name as the server has it: what a query must ask for.
pub fn stored_name(name: &str) -> String {
    let mut stored = Vec::new();
    escape::clean_name(&mut stored, name);
    String::from_utf8(stored).expect("only whole characters are replaced")
}

/// How far the current point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not begun, or not worth writing.
    None,
    /// Measurement written, tags are collected.
    Tags,
    /// Measurement, tags and at least one field written.
    Fields,
}

/// A constant tag: its name to sort by, and `,key=value` ready to be copied.
#[derive(Debug)]
struct Constant {
    key: Vec<u8>,
    rendered: Vec<u8>,
}

/// The tags of the current point as they came: names in one buffer, places in another, both reused.
#[derive(Debug, Default)]
struct TagScratch {
    bytes: Vec<u8>,
    /// Sorted by key: start of the key, end of the key and start of the value, end of the value.
    places: Vec<(usize, usize, usize)>,
}

impl TagScratch {
    fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }

    /// Insertion sort: there are a handful of tags, and mostly they come sorted.
    fn insert(&mut self, key: &str, value: &str) {
        let start = self.bytes.len();
        escape::clean_name(&mut self.bytes, key);
        let middle = self.bytes.len();
        escape::clean_name(&mut self.bytes, value);
        let place = (start, middle, self.bytes.len());
        let mut at = self.places.len();
        while at > 0 {
            let (other_start, other_middle, _) = self.places[at - 1];
            match self.bytes[start..middle].cmp(&self.bytes[other_start..other_middle]) {
                std::cmp::Ordering::Greater => break,
                std::cmp::Ordering::Equal => {
                    self.places[at - 1] = place;
                    return;
                }
                std::cmp::Ordering::Less => at -= 1,
            }
        }
        self.places.insert(at, place);
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places.iter().map(|&(start, middle, end)| (&self.bytes[start..middle], &self.bytes[middle..end]))
    }
}

impl Encoder {
    /// An empty buffer for this dialect.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            out: Vec::new(),
            points: 0,
            constant: Vec::new(),
            start: 0,
            stage: Stage::None,
            tags: TagScratch::default(),
        }
    }

    /// The tags that every point gets from now on, escaped once. A point's own tag of the same key wins.
    pub fn set_tags(&mut self, tags: &Tags) {
        let mut sorted = TagScratch::default();
        for (key, value) in tags.iter().filter(|(key, value)| !key.is_empty() && !value.is_empty()) {
            sorted.insert(key, value);
        }
        self.constant.clear();
        for (key, value) in sorted.iter() {
            let mut rendered = Vec::with_capacity(key.len() + value.len() + 2);
            write_tag(&mut rendered, key, value);
            self.constant.push(Constant { key: key.to_vec(), rendered });
        }
    }

    /// How many points the buffer holds: one a line.
    pub fn points(&self) -> usize {
        self.points
    }

    /// The whole lines written since the last [`take`](Self::take) or [`clear`](Self::clear); all end in `\n`.
    pub fn lines(&self) -> &[u8] {
        match self.stage {
            Stage::None => &self.out,
            Stage::Tags | Stage::Fields => &self.out[..self.start],
        }
    }

    /// The whole lines, leaving an empty buffer of the same capacity behind.
    pub fn take(&mut self) -> Vec<u8> {
        self.abandon();
        let next = Vec::with_capacity(self.out.capacity());
        self.points = 0;
        std::mem::replace(&mut self.out, next)
    }

    /// Empties the buffer and keeps its memory.
    pub fn clear(&mut self) {
        self.stage = Stage::None;
        self.out.clear();
        self.points = 0;
    }

    /// Forgets the point that is being written.
    fn abandon(&mut self) {
        if self.stage != Stage::None {
            self.out.truncate(self.start);
            self.stage = Stage::None;
        }
    }

    /// Makes room for a field: true if it may be written, with all in front of its value in place.
    #[inline]
    fn field(&mut self, key: &str) -> bool {
        if key.is_empty() {
            return false;
        }
        match self.stage {
            Stage::None => return false,
            Stage::Tags => self.begin_fields(),
            Stage::Fields => self.out.push(b','),
        }
        escape::name(&mut self.out, key);
        self.out.push(b'=');
        true
    }

    /// The same for a name of which nothing has to be escaped.
    #[inline]
    fn known_field(&mut self, name: &FieldName) -> bool {
        let at = match self.stage {
            Stage::None => return false,
            Stage::Tags => {
                self.begin_fields();
                self.out.pop();
                Some(self.out.len())
            }
            Stage::Fields => None,
        };
        name.write(&mut self.out);
        if let Some(at) = at {
            self.out[at] = b' ';
        }
        true
    }

    /// All in front of the first field, with the blank.
    fn begin_fields(&mut self) {
        self.write_tags();
        self.out.push(b' ');
        self.stage = Stage::Fields;
    }

    #[inline]
    fn write_integer(&mut self, value: u64) {
        // Unsigned fields (`u`) need InfluxDB 2: what does not fit is as large as can be said.
        decimal::unsigned(&mut self.out, value.min(i64::MAX as u64));
        self.out.push(b'i');
    }

    /// Merges the constant tags with the point's own, both sorted.
    fn write_tags(&mut self) {
        let mut constant = self.constant.iter().peekable();
        for (key, value) in self.tags.iter() {
            while let Some(next) = constant.next_if(|next| next.key.as_slice() <= key) {
                if next.key != key {
                    self.out.extend_from_slice(&next.rendered);
                }
            }
            write_tag(&mut self.out, key, value);
        }
        for rest in constant {
            self.out.extend_from_slice(&rest.rendered);
        }
    }
}

/// `,key=value`, of names already clean.
fn write_tag(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.push(b',');
    escape::clean(out, key);
    out.push(b'=');
    escape::clean(out, value);
}

impl PointWriter for Encoder {
    fn begin(&mut self, measurement: &str) {
        self.abandon();
        self.start = self.out.len();
        self.tags.clear();
        if !measurement.is_empty() {
            escape::measurement(&mut self.out, measurement);
            self.stage = Stage::Tags;
        }
    }

    fn tag(&mut self, key: &str, value: &str) {
        debug_assert!(self.stage != Stage::Fields, "tag {key} after the first field");
        if self.stage == Stage::Tags && !key.is_empty() && !value.is_empty() {
            self.tags.insert(key, value);
        }
    }

    fn integer(&mut self, key: &str, value: u64) {
        if self.field(key) {
            self.write_integer(value);
        }
    }

    fn known_integer(&mut self, name: &FieldName, value: u64) {
        if self.known_field(name) {
            self.write_integer(value);
        }
    }

    fn known_float(&mut self, name: &FieldName, value: f64) {
        if value.is_finite() && self.known_field(name) {
            decimal::float(&mut self.out, value);
        }
    }

    fn float(&mut self, key: &str, value: f64) {
        if value.is_finite() && self.field(key) {
            decimal::float(&mut self.out, value);
        }
    }

    fn boolean(&mut self, key: &str, value: bool) {
        if self.field(key) {
            self.out.push(if value { b't' } else { b'f' });
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        if self.dialect.text_fields && self.field(key) {
            self.out.push(b'"');
            escape::text(&mut self.out, value);
            self.out.push(b'"');
        }
    }

    fn end(&mut self, time: TimestampNs) {
        if self.stage != Stage::Fields {
            self.abandon();
            return;
        }
        self.out.push(b' ');
        let time = match self.dialect.precision {
            // The two smallest and the largest are not valid timestamps in InfluxDB.
            Precision::Nanoseconds => time.clamp(i64::MIN + 2, i64::MAX - 1),
            Precision::Milliseconds => time.div_euclid(1_000_000),
        };
        decimal::signed(&mut self.out, time);
        self.out.push(b'\n');
        self.points += 1;
        self.stage = Stage::None;
    }
}

#[cfg(test)]
mod tests;
