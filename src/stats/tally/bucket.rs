//! Counting what is told apart by bucket, and what adds up from it: operations and sizes.

use std::{hint::black_box, ops::Range};

use fearless_simd::{Simd, dispatch, prelude::*, u32x16};
use foldhash::fast::FixedState;

use super::{
    Batch, LANES, NO_BUCKET, Tally, UNKNOWN_BUCKET,
    rows::{Rows, distribute},
};
use crate::{
    access_log::{Class, Operation, Protocol, valid_bucket},
    point::TimestampMs,
    stats::{
        Admission, Contents, Counters, EventSettings, Key, Names, Outcome, Series, SeriesRef, Size, counter,
        histogram::LatencySum, series::SIZE_EDGES, series_list::SeriesList,
    },
};

type HashMap<K, V> = hashbrown::HashMap<K, V, FixedState>;

/// Rows a tally of buckets holds before it wants to be packed: 12 MiB, and far from running out of numbers.
const CELLS: usize = 1 << 17;

/// What tells the rows of a bucket apart: both `rgw_bucket` and `rgw_operation` are sums of such rows. One integer, since
/// every line looks one up: a byte each for protocol, operation, class and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind(u32);

impl Kind {
    /// Of rows that are not a bucket's.
    pub(super) const NONE: Self = Self(0);

    /// Of small requests.
    #[inline]
    pub(super) fn new(protocol: Protocol, operation: Operation, class: Class) -> Self {
        Self(u32::from_be_bytes([protocol as u8, operation as u8, class as u8, Size::Small as u8]))
    }

    /// The number of its class.
    #[inline(always)]
    pub(super) fn class(self) -> u32 {
        self.0 >> 8 & 0xff
    }

    /// The same of this size.
    #[inline(always)]
    pub(super) fn with_size(self, is_large: bool) -> Self {
        Self(self.0 & !0xff | u32::from(is_large))
    }

    /// Class and size as one number.
    #[inline]
    pub(super) fn class_and_size(self) -> usize {
        let [_, _, class, size] = self.0.to_be_bytes().map(usize::from);
        class * 2 + size
    }

    /// The series of this bucket.
    fn bucket(self, bucket: u32) -> Key {
        let [_, _, class, size] = self.0.to_be_bytes().map(usize::from);
        Key::bucket(bucket, Class::ALL[class], [Size::Small, Size::Large][size])
    }

    /// Protocol and operation as one number, and their series.
    fn operation(self) -> (usize, Key) {
        let [protocol, operation, _, _] = self.0.to_be_bytes().map(usize::from);
        (
            protocol * Operation::ALL.len() + operation,
            Key::operation(Protocol::ALL[protocol], Operation::ALL[operation]),
        )
    }
}

/// Adds up the rows of all buckets by operation.
#[derive(Default)]
struct Operations {
    /// By number: which of `sums`, and 1; 0 for none.
    places: Vec<u32>,
    sums: Vec<(Series, LatencySum)>,
}

impl Operations {
    fn add(&mut self, kind: Kind, of_row: &SeriesRef<'_>) {
        let (number, key) = kind.operation();
        if self.places.len() <= number {
            self.places.resize(number + 1, 0);
        }
        let place = &mut self.places[number];
        if *place == 0 {
            self.sums.push((Series::new(key), LatencySum::default()));
            *place = self.sums.len() as u32;
        }
        let (operation, sum) = &mut self.sums[*place as usize - 1];
        operation.merge_counters(of_row);
        sum.add(&of_row.latency);
    }

    /// Ascending by key.
    fn into_series(mut self) -> impl Iterator<Item = Series> {
        self.sums.sort_unstable_by_key(|(operation, _)| operation.key);
        self.sums.into_iter().map(|(mut operation, mut sum)| {
            operation.counters[counter::SUCCESSES] = 0;
            operation.latency = sum.take();
            operation
        })
    }
}

/// The kinds that came first, and so are frequent, each with a slot.
#[derive(Clone, Copy, Debug)]
struct Kinds([u32; Self::SLOTS]);

impl Default for Kinds {
    fn default() -> Self {
        Self([Self::FREE; Self::SLOTS])
    }
}

impl Kinds {
    const SLOTS: usize = 16;
    /// No kind: there is no such protocol.
    const FREE: u32 = u32::MAX;

    /// The slot of a kind. All are compared at once: which one it is, nobody can predict.
    #[inline(always)]
    fn slot<S: Simd>(&self, simd: S, kind: Kind) -> Option<usize> {
        let bits = u32x16::simd_from(simd, self.0).simd_eq(kind.0).to_bitmask();
        (bits != 0).then(|| bits.trailing_zeros() as usize)
    }

    /// The slot of a kind, which gets one if there are any left.
    fn slot_of_new(&mut self, kind: Kind) -> Option<usize> {
        let slot = self.0.iter().position(|known| [kind.0, Self::FREE].contains(known))?;
        self.0[slot] = kind.0;
        Some(slot)
    }
}

/// What decides about the name of a bucket that is new in a window.
pub(in crate::stats) struct Context<'a> {
    pub(in crate::stats) admission: &'a Admission,
    /// Names not admitted whose keyed hash is above this are not candidates in this window any more.
    pub(in crate::stats) highest_candidate: u64,
    /// Admissions by windows up to this one are settled before this one opens.
    pub(in crate::stats) settled_ms: TimestampMs,
}

/// Counts a window of buckets: `rgw_bucket`, `rgw_operation`, `rgw_size`.
#[derive(Debug, Default)]
pub(in crate::stats) struct BucketTally {
    names: Names,
    rows: Rows,
    /// Empty: memory for the next list of series.
    spare: SeriesList,
    kinds: Kinds,
    /// The row of each bucket's frequent kinds, and 1; 0 for none.
    places: Vec<u32>,
    /// Rows of all other kinds.
    rare: HashMap<(u32, Kind), u32>,
    /// By class; the last is of bodies beyond all edges.
    sizes: Vec<[u64; SIZE_EDGES.len() + 1]>,
}

impl BucketTally {
    #[cfg(test)]
    pub(in crate::stats) fn names_held(&self) -> usize {
        self.names.len()
    }

    /// The series of all rows, ascending by key, and what adds up from them. `ranks` are the numbers that the names get. In
    /// the order that they are kept in at once: a series is large, and sorting them would move each many times.
    fn series(&mut self, ranks: &[u32]) -> SeriesList {
        let order = self.order(ranks);
        self.rows.count_samples();
        let mut series = std::mem::take(&mut self.spare);
        series.reserve(order.len() + Operation::ALL.len());
        let mut operations = Operations::default();
        let mut before = None;
        for (at, (key, number)) in order.iter().copied().enumerate() {
            if at % LANES == 0 {
                let next = &order[at..order.len().min(at + LANES)];
                self.rows.fetch(next.iter().map(|(_, number)| *number));
            }
            let number = number as usize;
            self.rows.put_series(number, key, &mut series);
            if let Some(of_row) = series.last() {
                operations.add(self.rows.rows[number].kind, &of_row);
            }
            // A bucket has a row for each operation of a class, nearly always one.
            if before.replace(key) == Some(key) {
                series.merge_last();
            }
        }
        operations.into_series().for_each(|operation| series.push(&operation));
        for (class, sizes) in Class::ALL.iter().zip(&mut self.sizes) {
            if sizes.iter().any(|count| *count > 0) {
                let mut counters = Counters::default();
                counters[..sizes.len()].copy_from_slice(&std::mem::take(sizes));
                series.push(&Series { counters, ..Series::new(Key::size(*class)) });
            }
        }
        series
    }

    /// The series of each row, and the row, ascending by series. Rows of one series come in any order: they are added up.
    fn order(&self, ranks: &[u32]) -> Vec<(Key, u32)> {
        let rows = self.rows.rows.iter().zip(0..);
        let keys = rows.map(|(row, number)| (row.kind.bucket(ranks[row.bucket as usize]), number));
        let mut order = vec![(Key::LOG, 0); self.rows.rows.len()];
        let mut next = vec![0; ranks.len()];
        distribute(keys, &mut next, |(key, _)| key.name() as usize, |at, row| order[at] = row);
        // By name they are in order now, and those of one name are few: half of what it takes to compare them all.
        for of_name in order.chunk_by_mut(|(a, _), (b, _)| a.name() == b.name()) {
            of_name.sort_unstable_by_key(|(key, _)| *key);
        }
        order
    }

    /// Looks where the rows of buckets are, as [`Rows::fetch`] looks at rows.
    #[inline]
    fn fetch_places(&self, buckets: &[u32]) {
        let places = buckets.iter().filter_map(|bucket| self.places.get(*bucket as usize * Kinds::SLOTS));
        black_box(places.fold(0, |seen, row| seen ^ row));
    }

    /// The row of this kind of a bucket.
    #[inline(always)]
    fn row<S: Simd>(&mut self, simd: S, bucket: u32, kind: Kind) -> u32 {
        let row = self
            .kinds
            .slot(simd, kind)
            .and_then(|slot| self.places.get(bucket as usize * Kinds::SLOTS + slot));
        match row {
            Some(&row) if row > 0 => row - 1,
            _ => self.find_row(bucket, kind),
        }
    }

    /// The row of a kind that is not frequent, or that is new.
    #[cold]
    fn find_row(&mut self, bucket: u32, kind: Kind) -> u32 {
        let Some(slot) = self.kinds.slot_of_new(kind) else {
            return *self.rare.entry((bucket, kind)).or_insert_with(|| self.rows.add(bucket, kind));
        };
        let row = self.rows.add(bucket, kind);
        let place = bucket as usize * Kinds::SLOTS + slot;
        let places = self.places.len().max((bucket as usize + 1) * Kinds::SLOTS);
        self.places.resize(places, 0);
        self.places[place] = row + 1;
        row
    }

    /// Counts requests, by what the processor can do.
    #[inline(always)]
    fn book_by<S: Simd>(&mut self, simd: S, batch: &Batch, range: Range<usize>, context: &Context<'_>) {
        if self.sizes.is_empty() {
            self.sizes.resize(Class::ALL.len(), Default::default());
        }
        self.rows.expect(range.len());
        let mut rows = [0; LANES];
        let insert = |names: &mut Names, name: &[u8]| number_of_other(names, name, context);
        batch.buckets.find_all(range.clone(), &mut self.names, &mut rows, insert);
        self.fetch_places(&rows[..range.len()]);
        for (row, lane) in rows.iter_mut().zip(range.clone()) {
            *row = self.row(simd, *row, batch.kind(lane));
        }
        let rows = &rows[..range.len()];
        self.rows.fetch(rows.iter().copied());
        for (lane, row) in range.zip(rows) {
            let booking = batch.booking(lane);
            self.rows.record(*row, &booking);
            if booking.outcome == Outcome::Ok as u8 {
                self.sizes[booking.kind.class() as usize][batch.size(lane)] += 1;
            }
        }
    }
}

/// The number of a name that is new, or none; of `_unknown_` for names that no bucket can have, and for those that are no
/// candidates any more.
#[cold]
#[inline(never)]
fn number_of_other(names: &mut Names, name: &[u8], context: &Context<'_>) -> u32 {
    let Context { admission, highest_candidate, settled_ms } = *context;
    let is_welcome = is_tag(name)
        && (highest_candidate == u64::MAX || admission.is_candidate(name, highest_candidate, settled_ms));
    match name {
        b"" => names.intern(NO_BUCKET.as_bytes()),
        name if is_welcome => names.insert(name),
        _ => names.intern(UNKNOWN_BUCKET.as_bytes()),
    }
}

/// No name of so many bytes is a tag, whatever they are: two names of at most 255 bytes and a `/` are fewer.
pub(in crate::stats) const NO_TAG: usize = 512;

/// Whether `bucket` or `tenant/bucket` may be a tag.
fn is_tag(name: &[u8]) -> bool {
    match memchr::memchr(b'/', name) {
        Some(at) => valid_bucket(&name[..at], &name[at + 1..]),
        None => valid_bucket(b"", name),
    }
}

impl Tally for BucketTally {
    type Context<'a> = Context<'a>;

    fn book(&mut self, batch: &Batch, range: Range<usize>, context: &Context<'_>) {
        dispatch!(batch.level(), simd => self.book_by(simd, batch, range, context));
    }

    fn pack(&mut self) -> Contents {
        let sorted = self.names.sorted();
        let mut ranks = vec![0; sorted.len()];
        for (rank, id) in sorted.iter().enumerate() {
            ranks[*id as usize] = rank as u32;
        }
        let contents = Contents {
            series: self.series(&ranks),
            names: sorted.into_iter().map(|id| self.names.get(id)).collect(),
            events: Vec::new(),
        };
        self.rows.rows.clear();
        self.rows.clear_samples();
        self.places.clear();
        self.rare.clear();
        self.names.clear();
        contents
    }

    fn is_empty(&self) -> bool {
        self.rows.rows.is_empty()
    }

    fn has_room(&self, requests: usize, names: usize) -> bool {
        self.rows.has_room(requests)
            && self.rows.rows.len() + requests < CELLS
            && self.names.len() + requests <= names
    }

    fn resume(&mut self, _packed: &Contents, _events: &EventSettings) {}

    fn reuse(&mut self) {}

    fn take_memory(&mut self, contents: Contents) {
        self.spare = contents.series;
        self.spare.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_no_tag_whatever_it_is() {
        let check = |name: &[u8], expected| assert_eq!(is_tag(name), expected, "{}", name.escape_ascii());
        let (tenant, bucket) = ([b't'; 255], [b'b'; 255]);
        let longest = [&tenant[..], b"/", &bucket].concat();
        assert!(longest.len() < NO_TAG);
        check(&longest, true);
        for slash in 0..NO_TAG {
            let mut name = [b'x'; NO_TAG];
            check(&name, false);
            name[slash] = b'/';
            check(&name, false);
        }
    }
}
