//! The vocabulary of what leaves us: a point has a measurement, tags, fields and a timestamp.

/// Takes points apart into whatever an output needs: line protocol, JSON, a test's table.
///
/// The calls of one point come in this order: [`begin`](Self::begin), all tags, all fields (at least one),
/// [`end`](Self::end). Tags may come in any order: a writer that needs an order makes it. A tag with an empty value is
/// left out by the writer, and so is a float that is not finite: neither can be said in line protocol.
pub trait PointWriter {
    /// Starts a point of this measurement.
    fn begin(&mut self, measurement: &str);
    /// Starts a point, with all its tags, as many others start that are told apart by one name at most. `kind` is the
    /// writer's reminder: whoever uses a number again means the same by it, in all but `name`, which is that of `head`.
    fn begin_known<'a>(&mut self, kind: u64, name: Option<&'a str>, head: impl Fn() -> Head<'a>) {
        let _ = (kind, name);
        head().write(&Tags::default(), self);
    }
    /// A tag: indexed, bounded in its values.
    fn tag(&mut self, key: &str, value: &str);
    /// A tag of which both are words of our own: lower case letters, digits, `_` and `-`.
    fn known_tag(&mut self, key: &'static str, value: &'static str) {
        self.tag(key, value);
    }
    /// An additive field. Integers stay integers from the first version on: a field's type can never change.
    fn integer(&mut self, key: &str, value: u64);
    /// A field that is a measurement of something, and may be averaged but not added.
    fn float(&mut self, key: &str, value: f64);
    /// As many [integers](Self::integer) as there are of both names and values, under names that are written again and again.
    fn known_integers(&mut self, names: &[FieldName], values: &[u64]) {
        names.iter().zip(values).for_each(|(name, value)| self.integer(name.as_str(), *value));
    }
    /// The same of [measurements](Self::float).
    fn known_measures(&mut self, names: &[FieldName], values: &[Measure]) {
        names.iter().zip(values).for_each(|(name, value)| self.float(name.as_str(), value.to_float()));
    }
    /// A truth.
    fn boolean(&mut self, key: &str, value: bool);
    /// Text. Writers for outputs that have no text fields drop it.
    fn text(&mut self, key: &str, value: &str);
    /// Ends the point at this time.
    fn end(&mut self, time: TimestampNs);
}

/// How points begin of which there are many: alike, but for one name.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Measurement.
    pub measurement: &'static str,
    /// A tag of which somebody else chose the value, and that comes first.
    pub name: Option<(&'static str, &'a str)>,
    /// [Tags of our own words](PointWriter::known_tag).
    pub words: [Option<(&'static str, &'static str)>; 4],
}

impl Head<'_> {
    /// Hands it to a writer step by step, with `constant` tags beside its own.
    pub fn write(&self, constant: &Tags, writer: &mut (impl PointWriter + ?Sized)) {
        writer.begin(self.measurement);
        constant.write(writer);
        if let Some((key, value)) = self.name {
            writer.tag(key, value);
        }
        for (key, value) in self.words.into_iter().flatten() {
            writer.known_tag(key, value);
        }
    }
}

/// The value of a field that is [measured](PointWriter::float).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// In whole units: quicker to write, and nearly all are.
    Whole(u32),
    /// Any number.
    Float(f64),
}

impl Measure {
    /// The value as a writer takes it that knows no other.
    pub fn to_float(self) -> f64 {
        match self {
            Self::Whole(value) => f64::from(value),
            Self::Float(value) => value,
        }
    }
}

/// The name of a field that is written again and again: as plain as names are, which was looked at when compiling, and
/// ready to be copied as a whole.
#[derive(Clone, Copy, Debug)]
pub struct FieldName {
    text: &'static str,
    /// `,name=`, and bytes that mean nothing.
    rendered: [u8; Self::COPIED],
}

impl FieldName {
    /// How many bytes of [`rendered`](Self::rendered) there are: a copy of a fixed length is no call.
    pub const COPIED: usize = 32;

    /// Longest name, bytes.
    const LONGEST: usize = 20;

    /// A name of lower case letters, digits and `_`, so that no output has to escape anything of it.
    ///
    /// # Panics
    /// If it holds anything else, or more than 20 bytes: where it is a constant, when compiling.
    pub const fn new(text: &'static str) -> Self {
        let name = text.as_bytes();
        assert!(!name.is_empty() && name.len() <= Self::LONGEST);
        let mut rendered = [b'='; Self::COPIED];
        rendered[0] = b',';
        let mut at = 0;
        while at < name.len() {
            assert!(matches!(name[at], b'a'..=b'z' | b'0'..=b'9' | b'_'));
            rendered[at + 1] = name[at];
            at += 1;
        }
        Self { text, rendered }
    }

    /// The name.
    pub const fn as_str(&self) -> &'static str {
        self.text
    }

    /// `,name=`, and bytes that mean nothing after these.
    #[inline]
    pub const fn rendered(&self) -> (&[u8; Self::COPIED], usize) {
        // The remainder is the same: it tells the compiler, which then leaves out to look whether there is room.
        (&self.rendered, (self.text.len() + 2) % Self::COPIED)
    }
}

/// Nanoseconds since 1970-01-01T00:00:00Z.
pub type TimestampNs = i64;

/// Milliseconds since 1970-01-01T00:00:00Z: the resolution of nginx's `$msec`.
pub type TimestampMs = i64;

/// Constant tags of a stream of points (`cluster`, `node`, `log` and the operator's own), sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tags(Vec<(String, String)>);

impl Tags {
    /// Sorts and keeps the given tags; of two with one key the later wins. Empty values are dropped.
    pub fn new<K: Into<String>, V: Into<String>>(tags: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut sorted = std::collections::BTreeMap::new();
        for (key, value) in tags {
            sorted.insert(key.into(), value.into());
        }
        Self(sorted.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The tags, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of one tag.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find_map(|(k, value)| (k == key).then_some(value))
    }

    /// Hands all of them to a writer, after its `begin`.
    pub fn write(&self, writer: &mut (impl PointWriter + ?Sized)) {
        for (key, value) in self.iter() {
            writer.tag(key, value);
        }
    }
}

/// A field's value. Its type can never change once a point with it was written.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// Additive.
    Integer(u64),
    /// Measured.
    Float(f64),
    /// A truth.
    Boolean(bool),
    /// Text.
    Text(String),
}

/// A point of its own: for the few that do not come from windows (our own health, Ceph's, the probe's).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Point {
    /// Measurement.
    pub measurement: String,
    /// Tags.
    pub tags: Tags,
    /// Fields, at least one.
    pub fields: Vec<(String, Field)>,
    /// When, ns.
    pub time: TimestampNs,
}

impl Point {
    /// Hands the point to a writer, with `constant` tags beside its own.
    pub fn write(&self, constant: &Tags, writer: &mut impl PointWriter) {
        writer.begin(&self.measurement);
        constant.write(writer);
        self.tags.write(writer);
        for (key, value) in &self.fields {
            match value {
                Field::Integer(value) => writer.integer(key, *value),
                Field::Float(value) => writer.float(key, *value),
                Field::Boolean(value) => writer.boolean(key, *value),
                Field::Text(value) => writer.text(key, value),
            }
        }
        writer.end(self.time);
    }
}
