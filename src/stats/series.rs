//! What a series is, and what is counted for it.

use super::histogram::{Count, Latency};
use crate::access_log::{Class, Operation, Protocol};

/// The families of series: each becomes a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// `rgw_log`: what became of the lines. Label `reason` for rejected ones, none for the rest.
    Log = 0,
    /// `rgw_node` by class and size.
    Node = 1,
    /// `rgw_status` by status.
    Status = 2,
    /// `rgw_upstream` by upstream, class and size.
    Upstream = 3,
    /// `rgw_bucket` by bucket, class and size.
    Bucket = 4,
    /// `rgw_operation` by protocol and operation.
    Operation = 5,
    /// `rgw_size` by class.
    Size = 6,
}

impl Table {
    const ALL: [Self; 7] =
        [Self::Log, Self::Node, Self::Status, Self::Upstream, Self::Bucket, Self::Operation, Self::Size];
}

/// Whether a body is small or large ([`SlowSettings::small_bytes`](super::SlowSettings)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Size {
    /// At most the limit.
    Small = 0,
    /// Above it.
    Large = 1,
}

impl Size {
    /// The value of the tag `size`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }
}

/// Identity of a series within a window, packed into one integer so that rows sort, merge and encode as integers:
/// table, number of its name in the contents' dictionary, two small numbers. They are stored: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

impl Key {
    const NAME_BITS: u32 = 32;
    const SMALL_BITS: u32 = 12;

    const fn new(table: Table, name: u32, first: u16, second: u16) -> Self {
        Self(
            (table as u64) << (Self::NAME_BITS + 2 * Self::SMALL_BITS)
                | (name as u64) << (2 * Self::SMALL_BITS)
                | (first as u64 & 0xfff) << Self::SMALL_BITS
                | (second as u64 & 0xfff),
        )
    }

    /// Lines read, late and expired.
    pub const LOG: Self = Self::new(Table::Log, 0, 0, 0);

    /// Lines rejected for the reason with this name.
    pub const fn rejected(name: u32) -> Self {
        Self::new(Table::Log, name, 1, 0)
    }

    /// A class of the node.
    pub const fn node(class: Class, size: Size) -> Self {
        Self::new(Table::Node, 0, class as u16, size as u16)
    }

    /// An answered status.
    pub const fn status(status: u16) -> Self {
        Self::new(Table::Status, 0, status, 0)
    }

    /// A class of one gateway behind nginx.
    pub const fn upstream(name: u32, class: Class, size: Size) -> Self {
        Self::new(Table::Upstream, name, class as u16, size as u16)
    }

    /// A class of a bucket.
    pub const fn bucket(name: u32, class: Class, size: Size) -> Self {
        Self::new(Table::Bucket, name, class as u16, size as u16)
    }

    /// An operation.
    pub const fn operation(protocol: Protocol, operation: Operation) -> Self {
        Self::new(Table::Operation, 0, protocol as u16, operation as u16)
    }

    /// Sizes of a class.
    pub const fn size(class: Class) -> Self {
        Self::new(Table::Size, 0, class as u16, 0)
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// The family; `None` for what a newer version stored.
    pub fn table(self) -> Option<Table> {
        Table::ALL.get((self.0 >> (Self::NAME_BITS + 2 * Self::SMALL_BITS)) as usize).copied()
    }

    /// Number of the name in the contents' dictionary; only where [`has_name`](Self::has_name).
    pub const fn name(self) -> u32 {
        (self.0 >> (2 * Self::SMALL_BITS)) as u32
    }

    /// Whether the family is labelled with a name.
    pub fn has_name(self) -> bool {
        match self.table() {
            Some(Table::Upstream | Table::Bucket) => true,
            Some(Table::Log) => self.first() == 1,
            _ => false,
        }
    }

    /// Whether its counters are those of requests: all families but the lines and the sizes.
    pub(super) fn counts_requests(self) -> bool {
        !matches!(self.table(), Some(Table::Log | Table::Size) | None)
    }

    /// What series have in common that are told apart by name only.
    pub(super) const fn kind(self) -> u64 {
        self.with_name(0).0
    }

    /// The same with another name.
    pub const fn with_name(self, name: u32) -> Self {
        let mask = (u32::MAX as u64) << (2 * Self::SMALL_BITS);
        Self(self.0 & !mask | (name as u64) << (2 * Self::SMALL_BITS))
    }

    const fn first(self) -> u16 {
        (self.0 >> Self::SMALL_BITS) as u16 & 0xfff
    }

    const fn second(self) -> u16 {
        self.0 as u16 & 0xfff
    }

    /// The class, where the family has one.
    pub fn class(self) -> Option<Class> {
        matches!(self.table(), Some(Table::Node | Table::Upstream | Table::Bucket | Table::Size))
            .then(|| Class::ALL.get(self.first() as usize).copied())
            .flatten()
    }

    /// The size, where the family has one.
    pub fn size_of_body(self) -> Option<Size> {
        matches!(self.table(), Some(Table::Node | Table::Upstream | Table::Bucket))
            .then_some(if self.second() == 0 { Size::Small } else { Size::Large })
    }

    /// Protocol and operation, where the family is that.
    pub fn protocol_operation(self) -> Option<(Protocol, Operation)> {
        if self.table() != Some(Table::Operation) {
            return None;
        }
        Some((*Protocol::ALL.get(self.first() as usize)?, *Operation::ALL.get(self.second() as usize)?))
    }

    /// The status, where the family is that.
    pub fn status_code(self) -> Option<u16> {
        (self.table() == Some(Table::Status)).then(|| self.first())
    }
}

/// Additive integers of a series. Which of them mean something depends on the [`Table`]. They saturate: a client can
/// announce a body of any length.
pub type Counters = [u64; 9];

/// Index into [`Counters`] of a series of requests (all tables but `Log` and `Size`).
pub mod counter {
    /// Below 400, and nginx's `000`.
    pub const OK: usize = 0;
    /// 400 to 499 without 499.
    pub const ERRORS_4XX: usize = 1;
    /// From 500 on.
    pub const ERRORS_5XX: usize = 2;
    /// 499: the client went away.
    pub const ABORTED: usize = 3;
    /// Slow ones of any outcome.
    pub const SLOW: usize = 4;
    /// Bytes received.
    pub const BYTES_IN: usize = 5;
    /// Body bytes sent.
    pub const BYTES_OUT: usize = 6;
    /// 2xx and 304: what admits a bucket. Only in windows that are still open.
    pub const SUCCESSES: usize = 7;

    /// `Log`: lines read.
    pub const LINES: usize = 0;
    /// `Log`: of these, late.
    pub const LATE: usize = 1;
    /// `Log`: of these, older than what is kept.
    pub const EXPIRED: usize = 2;
}

/// One series of one window. Its histogram is its own, or is kept elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series<C = Vec<Count>> {
    /// Which.
    pub key: Key,
    /// Its additive integers.
    pub counters: Counters,
    /// Latencies of its ok requests.
    pub latency: Latency<C>,
}

/// One series of [`Contents`](super::Contents), which keep its histogram.
pub type SeriesRef<'a> = Series<&'a [Count]>;

impl Series {
    /// A series with nothing counted yet.
    pub fn new(key: Key) -> Self {
        Self { key, counters: Counters::default(), latency: Latency::default() }
    }

    /// Adds the same series of another window or fragment.
    pub fn merge<C: AsRef<[Count]>>(&mut self, other: &Series<C>) {
        self.merge_counters(other);
        self.latency.merge(&other.latency);
    }
}

impl SeriesRef<'_> {
    /// The same with a histogram of its own.
    pub fn owned(&self) -> Series {
        self.with_counts(self.latency.counts.to_vec())
    }

    /// This and the same series of another window or fragment.
    pub fn merged(&self, other: &Self) -> Series {
        let mut merged = self.owned();
        merged.merge(other);
        merged
    }
}

impl<C> Series<C> {
    /// All requests: the outcomes are disjoint.
    pub fn requests(&self) -> u64 {
        self.counters[counter::OK..=counter::ABORTED].iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The same with its histogram kept otherwise.
    #[inline]
    pub(super) fn with_counts<D>(&self, counts: D) -> Series<D> {
        Series { key: self.key, counters: self.counters, latency: self.latency.with_counts(counts) }
    }

    pub(super) fn merge_counters<D>(&mut self, other: &Series<D>) {
        for (mine, theirs) in self.counters.iter_mut().zip(other.counters) {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// Upper edges of `rgw_size`, bytes; the last field of the measurement has none.
pub const SIZE_EDGES: [(u64, &str); 5] = [
    (4 << 10, "le_4KiB"),
    (64 << 10, "le_64KiB"),
    (1 << 20, "le_1MiB"),
    (16 << 20, "le_16MiB"),
    (256 << 20, "le_256MiB"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_what_it_was_made_of() {
        let key = Key::bucket(7, Class::Invalid, Size::Large);
        assert_eq!((key.table(), key.name(), key.has_name()), (Some(Table::Bucket), 7, true));
        assert_eq!((key.class(), key.size_of_body()), (Some(Class::Invalid), Some(Size::Large)));
        assert_eq!(key.with_name(u32::MAX).name(), u32::MAX);
        assert_eq!(key.with_name(u32::MAX).with_name(7), key);
        assert_eq!(Key::status(999).status_code(), Some(999));
        let operation = Key::operation(Protocol::Swift, Operation::None);
        assert_eq!(operation.protocol_operation(), Some((Protocol::Swift, Operation::None)));
        assert_eq!(Key::from_bits(u64::MAX).table(), None);
    }

    #[test]
    fn numbers_that_are_stored_fit_their_bits() {
        assert!(Operation::ALL.len() < 1 << 12 && Class::ALL.len() < 1 << 12);
    }
}
