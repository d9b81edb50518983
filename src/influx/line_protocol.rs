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

mod buffer;
mod decimal;
mod escape;

use std::cmp::Ordering;

use foldhash::fast::FixedState;

use self::buffer::{Buffer, Padded};
use crate::point::{FieldName, Head, Measure, PointWriter, Tags, TimestampNs};

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
    out: Buffer,
    points: usize,
    constant: Vec<Constant>,
    /// By their kinds. To put together a head anew took four times as long as to write all fields after it.
    heads: hashbrown::HashMap<u64, RenderedHead, FixedState>,
    /// Where the point that is being written starts in `out`.
    start: usize,
    stage: Stage,
    tags: TagScratch,
    /// The time of the last point, and how its line ended.
    time: (Option<TimestampNs>, Padded),
}

/// A tag value or name as the server has it: what a query must ask for.
pub fn stored_name(name: &str) -> String {
    let mut stored = Buffer::default();
    escape::clean_name(&mut stored, name);
    String::from_utf8(stored.take()).expect("only whole characters are replaced")
}

/// How far the current point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Stage {
    /// Not begun, or not worth writing.
    None,
    /// Measurement written, tags are collected.
    Tags,
    /// Measurement and tags written.
    Head,
    /// Measurement, tags and at least one field written.
    Fields,
}

/// A constant tag: its name to sort by, and `,key=value` ready to be copied.
#[derive(Debug)]
struct Constant {
    head: u64,
    key: Vec<u8>,
    rendered: Vec<u8>,
}

/// All in front of the fields: what comes before the value of the head's name, and after it.
#[derive(Debug)]
struct RenderedHead {
    before: Padded,
    after: Padded,
}

/// The first eight bytes of a key as a number that sorts as they do: nearly always they decide.
#[inline]
fn head(key: &[u8]) -> u64 {
    match key.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => key.iter().enumerate().fold(0, |head, (at, byte)| head | u64::from(*byte) << (56 - 8 * at)),
    }
}

/// The tags of the current point as they came: names in one buffer, places in another, both reused.
#[derive(Debug, Default)]
struct TagScratch {
    bytes: Buffer,
    /// Sorted by key.
    places: Vec<TagPlace>,
}

/// Where a tag is in the buffer: start of the key, end of the key and start of the value, end of the value.
#[derive(Clone, Copy, Debug)]
struct TagPlace {
    start: usize,
    middle: usize,
    end: usize,
    head: u64,
    /// Nothing of it has to be escaped.
    is_plain: bool,
}

impl TagScratch {
    fn clear(&mut self) {
        self.bytes.truncate(0);
        self.places.clear();
    }

    fn key(&self, place: TagPlace) -> &[u8] {
        &self.bytes.as_slice()[place.start..place.middle]
    }

    fn insert(&mut self, key: &str, value: &str) {
        let start = self.bytes.len();
        let plain_key = escape::clean_name(&mut self.bytes, key);
        let middle = self.bytes.len();
        let plain_value = escape::clean_name(&mut self.bytes, value);
        self.place(start, middle, plain_key && plain_value);
    }

    /// The same of what needs no cleaning.
    fn insert_plain(&mut self, key: &str, value: &str) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key.as_bytes());
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value.as_bytes());
        self.place(start, middle, true);
    }

    /// Insertion sort: there are a handful of tags, and mostly they come sorted.
    fn place(&mut self, start: usize, middle: usize, is_plain: bool) {
        let head = head(&self.bytes.as_slice()[start..middle]);
        let place = TagPlace { start, middle, end: self.bytes.len(), head, is_plain };
        let mut at = self.places.len();
        while at > 0 {
            let other = self.places[at - 1];
            match head.cmp(&other.head).then_with(|| self.key(place).cmp(self.key(other))) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    self.places[at - 1] = place;
                    return;
                }
                Ordering::Less => at -= 1,
            }
        }
        self.places.insert(at, place);
    }

    /// Appends `,key=value`.
    fn write(&self, place: TagPlace, out: &mut Buffer) {
        let (key, value) = (self.key(place), &self.bytes.as_slice()[place.middle..place.end]);
        out.push(b',');
        if place.is_plain {
            out.extend_from_slice(key);
            out.push(b'=');
            out.extend_from_slice(value);
        } else {
            escape::clean(out, key);
            out.push(b'=');
            escape::clean(out, value);
        }
    }
}

impl Encoder {
    /// An empty buffer for this dialect.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            out: Buffer::default(),
            points: 0,
            constant: Vec::new(),
            heads: hashbrown::HashMap::default(),
            start: 0,
            stage: Stage::None,
            tags: TagScratch::default(),
            time: (None, Padded::default()),
        }
    }

    /// The tags that every point gets from now on, escaped once. A point's own tag of the same key wins.
    pub fn set_tags(&mut self, tags: &Tags) {
        let mut sorted = TagScratch::default();
        for (key, value) in tags.iter().filter(|(key, value)| !key.is_empty() && !value.is_empty()) {
            sorted.insert(key, value);
        }
        self.heads.clear();
        self.constant.clear();
        for place in &sorted.places {
            let mut rendered = Buffer::default();
            sorted.write(*place, &mut rendered);
            let key = sorted.key(*place).to_vec();
            self.constant.push(Constant { head: place.head, key, rendered: rendered.take() });
        }
    }

    /// How many points the buffer holds: one a line.
    pub fn points(&self) -> usize {
        self.points
    }

    /// The whole lines written since the last [`take`](Self::take) or [`clear`](Self::clear); all end in `\n`.
    pub fn lines(&self) -> &[u8] {
        match self.stage {
            Stage::None => self.out.as_slice(),
            Stage::Tags | Stage::Head | Stage::Fields => &self.out.as_slice()[..self.start],
        }
    }

    /// The whole lines, leaving an empty buffer of the same capacity behind.
    pub fn take(&mut self) -> Vec<u8> {
        self.abandon();
        self.points = 0;
        self.out.take()
    }

    /// Empties the buffer and keeps its memory.
    pub fn clear(&mut self) {
        self.stage = Stage::None;
        self.out.truncate(0);
        self.points = 0;
    }

    /// Ends the line with a time, and keeps how.
    fn write_time(&mut self, time: TimestampNs) {
        let start = self.out.len();
        self.out.push(b' ');
        let number = match self.dialect.precision {
            // The two smallest and the largest are not valid timestamps in InfluxDB.
            Precision::Nanoseconds => time.clamp(i64::MIN + 2, i64::MAX - 1),
            Precision::Milliseconds => time.div_euclid(1_000_000),
        };
        decimal::signed(&mut self.out, number);
        self.out.push(b'\n');
        self.time.0 = Some(time);
        self.time.1.set(&self.out.as_slice()[start..]);
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
        let Some(separator) = self.separator() else { return false };
        self.out.push(separator);
        escape::name(&mut self.out, key);
        self.out.push(b'=');
        true
    }

    /// What stands before the next field, with all tags in place; `None` if there is no point to have it.
    #[inline]
    fn separator(&mut self) -> Option<u8> {
        match self.stage {
            Stage::None => return None,
            Stage::Fields => return Some(b','),
            Stage::Tags => self.write_tags(),
            Stage::Head => {}
        }
        self.stage = Stage::Fields;
        Some(b' ')
    }

    /// Writes fields, of which `write` writes the value and says how many bytes it has; none of what has no value.
    #[inline(always)]
    fn known_fields<T: Copy>(
        &mut self,
        names: &[FieldName],
        values: &[T],
        write: impl Fn(&mut [u8; decimal::ROOM], T) -> Option<usize>,
    ) {
        let Some(separator) = self.separator() else { return };
        let room = self.out.room(names.len() * FIELD_ROOM);
        let mut used = 0;
        for (name, value) in names.iter().zip(values) {
            let Some(room) = room[used..].first_chunk_mut::<FIELD_ROOM>() else { break };
            let (rendered, length) = name.rendered();
            room[..FieldName::COPIED].copy_from_slice(rendered);
            let place = room[length..].first_chunk_mut();
            used += place.and_then(|place| write(place, *value)).map_or(0, |digits| length + digits);
        }
        if used > 0 {
            room[0] = separator;
        } else if separator == b' ' {
            self.stage = Stage::Head;
        }
        self.out.add(used);
    }

    /// What the points of a kind begin with.
    #[cold]
    fn render_head(&mut self, head: &Head<'_>) -> RenderedHead {
        // Keeps the place of the name: it can stand nowhere in a line.
        const MARK: &str = "\n";
        self.begin(head.measurement);
        for (key, value) in head.words.into_iter().flatten() {
            self.known_tag(key, value);
        }
        if let Some((key, _)) = head.name {
            self.tags.insert_plain(key, MARK);
        }
        self.write_tags();
        let rendered = &self.out.as_slice()[self.start..];
        let mut parts = rendered.split(|byte| [*byte] == MARK.as_bytes()).map(Padded::new);
        let head = RenderedHead {
            before: parts.next().unwrap_or_default(),
            after: parts.next().unwrap_or_default(),
        };
        self.abandon();
        head
    }

    /// Merges the constant tags with the point's own, both sorted.
    fn write_tags(&mut self) {
        let mut constant = self.constant.iter().peekable();
        for place in &self.tags.places {
            let order = |next: &Constant| {
                next.head.cmp(&place.head).then_with(|| next.key.as_slice().cmp(self.tags.key(*place)))
            };
            while let Some(next) = constant.next_if(|next| order(next) == Ordering::Less) {
                self.out.extend_from_slice(&next.rendered);
            }
            constant.next_if(|next| order(next) == Ordering::Equal);
            self.tags.write(*place, &mut self.out);
        }
        for rest in constant {
            self.out.extend_from_slice(&rest.rendered);
        }
    }
}

/// What a field with a number under a known name takes at most.
const FIELD_ROOM: usize = FieldName::COPIED + decimal::ROOM;

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

    fn begin_known<'a>(&mut self, kind: u64, name: Option<&'a str>, head: impl Fn() -> Head<'a>) {
        if name.is_some_and(|name| !escape::is_plain(name)) {
            return head().write(&Tags::default(), self);
        }
        self.abandon();
        let RenderedHead { before, after } = match self.heads.get(&kind) {
            Some(rendered) => rendered,
            None => {
                let rendered = self.render_head(&head());
                self.heads.entry(kind).or_insert(rendered)
            }
        };
        self.start = self.out.len();
        self.out.extend_from_padded(before);
        self.out.extend_from_slice(name.unwrap_or_default().as_bytes());
        self.out.extend_from_padded(after);
        self.stage = Stage::Head;
    }

    fn tag(&mut self, key: &str, value: &str) {
        debug_assert!(self.stage < Stage::Head, "tag {key} after the head");
        if self.stage == Stage::Tags && !key.is_empty() && !value.is_empty() {
            self.tags.insert(key, value);
        }
    }

    fn known_tag(&mut self, key: &'static str, value: &'static str) {
        debug_assert!(self.stage < Stage::Head, "tag {key} after the head");
        debug_assert!([key, value].iter().all(|word| escape::is_plain(word)), "{key}={value} is not plain");
        if self.stage == Stage::Tags {
            self.tags.insert_plain(key, value);
        }
    }

    fn integer(&mut self, key: &str, value: u64) {
        if self.field(key) {
            decimal::count(&mut self.out, value);
        }
    }

    fn known_integers(&mut self, names: &[FieldName], values: &[u64]) {
        self.known_fields(names, values, |place, value| Some(decimal::COUNTS.write(place, value)));
    }

    fn known_measures(&mut self, names: &[FieldName], values: &[Measure]) {
        self.known_fields(names, values, |place, value| match value {
            Measure::Whole(value) => Some(decimal::WHOLE.write(place, u64::from(value))),
            Measure::Float(value) => value.is_finite().then(|| decimal::write_float(place, value)),
        });
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
        // Points come a window at a time.
        match self.time.0 == Some(time) {
            true => self.out.extend_from_padded(&self.time.1),
            false => self.write_time(time),
        }
        self.points += 1;
        self.stage = Stage::None;
    }
}

#[cfg(test)]
mod tests;
