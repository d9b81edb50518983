//! The rows of a window that is open, one for each series, and the latencies of their requests.

use std::ops::RangeInclusive;

use super::{Booking, Kind};
use crate::stats::{
    Counters, Key, Outcome, Series,
    histogram::{self, Bucket, Count, Latency},
    series::counter,
    series_list::SeriesList,
};

/// Samples a tally holds before it wants to be packed: with what sorting them takes 10 MiB, and enough that packing costs
/// little beside counting them.
const SAMPLES: usize = 1 << 20;

/// The row of one series: one line of the processor's cache, since with thousands of buckets to fetch that is most of what
/// counting costs.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Row {
    /// Whose row this is, in a window of buckets, and which of its rows.
    pub(super) bucket: u32,
    pub(super) kind: Kind,
    /// In the order of [`counter`]: outcomes, slow.
    counts: [u32; 5],
    successes: u32,
    /// [`u32::MAX`] as long as there are no latencies.
    latency_min_ms: u32,
    latency_max_ms: u32,
    latency_sum_ms: u64,
    bytes_in: u64,
    bytes_out: u64,
}

const _: () = assert!(size_of::<Row>() == 64);

impl Row {
    pub(super) const fn new(bucket: u32, kind: Kind) -> Self {
        Self {
            bucket,
            kind,
            counts: [0; 5],
            successes: 0,
            latency_min_ms: u32::MAX,
            latency_max_ms: 0,
            latency_sum_ms: 0,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    #[inline(always)]
    fn record(&mut self, booking: &Booking) {
        self.counts[usize::from(booking.outcome) % 4] += 1;
        self.counts[counter::SLOW] += u32::from(booking.slow);
        self.successes += u32::from(booking.success);
        // What a client announces is its own word: it must not be able to wrap a sum.
        self.bytes_in = self.bytes_in.saturating_add(booking.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(booking.bytes_out);
    }

    #[inline(always)]
    fn record_latency(&mut self, ms: u32) {
        self.latency_min_ms = self.latency_min_ms.min(ms);
        self.latency_max_ms = self.latency_max_ms.max(ms);
        self.latency_sum_ms += u64::from(ms);
    }

    /// Nothing was counted in it.
    pub(super) fn is_empty(&self) -> bool {
        self.counts == [0; 5]
    }

    fn has_latencies(&self) -> bool {
        self.latency_min_ms <= self.latency_max_ms
    }

    /// All but the buckets.
    fn latency(&self, count: u64) -> Latency<()> {
        let min_ms = if count == 0 { 0 } else { self.latency_min_ms };
        Latency { count, sum_ms: self.latency_sum_ms, min_ms, max_ms: self.latency_max_ms, counts: () }
    }

    fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for (counter, count) in counters.iter_mut().zip(self.counts) {
            *counter = u64::from(count);
        }
        counters[counter::BYTES_IN] = self.bytes_in;
        counters[counter::BYTES_OUT] = self.bytes_out;
        counters[counter::SUCCESSES] = u64::from(self.successes);
        counters
    }
}

/// Rows, and the latencies of their ok requests.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// Row number and histogram bucket, `row << 11 | bucket`, in the order of the lines.
    samples: Vec<u32>,
    /// Requests since the last time they were packed: what keeps the counts of rows within 32 bits.
    recorded: u32,
    histograms: Histograms,
}

const BUCKET_BITS: u32 = 11;
const BUCKETS: usize = 1 << BUCKET_BITS;
const ROWS: usize = 1 << (32 - BUCKET_BITS);
const _: () = assert!((histogram::HIGHEST_BUCKET as usize) < BUCKETS);

impl Rows {
    /// A new row. There are numbers for two million of them: the owner packs long before.
    pub(super) fn add(&mut self, bucket: u32, kind: Kind) -> u32 {
        debug_assert!(self.rows.len() < ROWS);
        self.rows.push(Row::new(bucket, kind));
        self.rows.len() as u32 - 1
    }

    /// Looks at rows that will be needed: the processor fetches as many at a time as it can, which it could not while it
    /// does more with each.
    #[inline(always)]
    pub(super) fn fetch(&self, numbers: impl Iterator<Item = u32>) {
        let looked = numbers.fold(0, |sum, row| sum ^ self.rows[row as usize].successes);
        std::hint::black_box(looked);
    }

    #[inline(always)]
    pub(super) fn record(&mut self, row: u32, booking: &Booking) {
        let cell = &mut self.rows[row as usize];
        cell.record(booking);
        debug_assert!(
            booking.latency_ms.is_none() || booking.outcome == Outcome::Ok as u8,
            "samples are of ok requests"
        );
        if let Some(ms) = booking.latency_ms {
            cell.record_latency(ms);
            self.samples.push(row << BUCKET_BITS | u32::from(booking.sample));
        }
    }

    /// As many requests are about to be recorded.
    pub(super) fn expect(&mut self, requests: usize) {
        self.recorded = self.recorded.saturating_add(requests as u32);
    }

    pub(super) fn has_room(&self, requests: usize) -> bool {
        self.samples.len() + requests < SAMPLES && self.recorded as usize + requests < 1 << 31
    }

    /// Counts the samples of each row.
    pub(super) fn count_samples(&mut self) {
        self.histograms.count(&self.samples, &self.rows);
    }

    /// Puts down what a row counted as this series. Only after [`count_samples`](Self::count_samples).
    pub(super) fn put_series(&mut self, number: usize, key: Key, series: &mut SeriesList) {
        let row = &self.rows[number];
        series.push_with(|counts| {
            let count = self.histograms.put_counts(number, row, counts);
            Series { key, counters: row.counters(), latency: row.latency(count) }
        });
    }

    /// Forgets samples, but not which rows there are.
    pub(super) fn clear_samples(&mut self) {
        self.recorded = 0;
        self.samples.clear();
    }
}

/// How often each bucket is among the samples of each row: made anew at each packing, the memory is warm.
#[derive(Debug, Default)]
struct Histograms {
    is_dense: bool,
    /// Where there are few rows (`is_dense`), how often each sample is there, by the sample.
    cells: Vec<u32>,
    /// Else the buckets of all samples, row after row, and where those of each row begin and end.
    by_row: Vec<Bucket>,
    begins: Vec<u32>,
    ends: Vec<u32>,
    one_row: OneRow,
}

/// Cells that there are at most where each row has one for each bucket: 4 MiB.
const DENSE: usize = 1 << 20;

impl Histograms {
    fn count(&mut self, samples: &[u32], rows: &[Row]) {
        // A node's rows, mostly: a quarter of the instructions that sorting takes.
        let cells = rows.len() << BUCKET_BITS;
        self.is_dense = cells <= DENSE.min(8 * samples.len());
        if self.is_dense {
            self.cells.resize(cells, 0);
            let of_rows = rows.iter().zip(self.cells.chunks_exact_mut(BUCKETS));
            of_rows.filter(|(row, _)| row.has_latencies()).for_each(|(_, cells)| cells.fill(0));
            samples.iter().for_each(|sample| self.cells[*sample as usize] += 1);
        } else {
            self.sort_by_row(samples, rows);
        }
    }

    fn sort_by_row(&mut self, samples: &[u32], rows: &[Row]) {
        let mut total = 0;
        self.begins.clear();
        for row in rows {
            self.begins.push(total);
            // No other requests have a latency: there is room enough.
            total += if row.has_latencies() { row.counts[counter::OK] } else { 0 };
        }
        self.ends.clone_from(&self.begins);
        self.by_row.resize(self.by_row.len().max(total as usize), 0);
        let (by_row, ends) = (self.by_row.as_mut_slice(), self.ends.as_mut_slice());
        for sample in samples {
            let end = &mut ends[(sample >> BUCKET_BITS) as usize];
            by_row[*end as usize] = (sample % BUCKETS as u32) as Bucket;
            *end += 1;
        }
    }

    /// Puts down the buckets of a row that hold something; how many samples they hold.
    fn put_counts(&mut self, number: usize, row: &Row, counts: &mut Vec<Count>) -> u64 {
        if !row.has_latencies() {
            return 0;
        }
        let first = histogram::bucket_of(row.latency_min_ms);
        let last = histogram::bucket_of(row.latency_max_ms);
        if !self.is_dense {
            let buckets = &self.by_row[self.begins[number] as usize..self.ends[number] as usize];
            self.one_row.put_counts(buckets, first..=last, counts);
            return buckets.len() as u64;
        }
        let cells = &self.cells[number << BUCKET_BITS..][usize::from(first)..=usize::from(last)];
        let full = (first..).zip(cells).filter(|(_, count)| **count > 0);
        let mut total = 0;
        counts.extend(full.map(|(bucket, count)| {
            total += u64::from(*count);
            Count { bucket, count: *count }
        }));
        total
    }
}

/// Counts the few samples of one row: to sort them by comparing costs a wrong guess of the processor for nearly every one.
#[derive(Debug)]
struct OneRow {
    /// By bucket.
    counts: Box<[u32; BUCKETS]>,
    /// A bit for each bucket that holds something.
    full: [u64; BUCKETS / 64],
}

impl Default for OneRow {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), full: [0; BUCKETS / 64] }
    }
}

impl OneRow {
    /// Puts down how often each of these buckets is there, ascending. All of them are within the range.
    #[inline]
    fn put_counts(&mut self, buckets: &[Bucket], range: RangeInclusive<Bucket>, counts: &mut Vec<Count>) {
        // As most are of windows of a second, and of thousands of buckets.
        if let [bucket] = buckets {
            counts.push(Count { bucket: *bucket, count: 1 });
            return;
        }
        for bucket in buckets {
            let bucket = usize::from(*bucket) % BUCKETS;
            self.counts[bucket] += 1;
            self.full[bucket / 64] |= 1 << (bucket % 64);
        }
        for word in range.start() / 64..=range.end() / 64 {
            let mut full = std::mem::take(&mut self.full[usize::from(word)]);
            while full != 0 {
                let bucket = word * 64 + full.trailing_zeros() as Bucket;
                let count = std::mem::take(&mut self.counts[usize::from(bucket) % BUCKETS]);
                counts.push(Count { bucket, count });
                full &= full - 1;
            }
        }
    }
}

/// Hands each item to `put` with its place in the order of `key`, those of one key in the order they come. `next` holds a 0
/// for each key.
#[inline]
pub(super) fn distribute<T: Copy>(
    items: impl Iterator<Item = T> + Clone,
    next: &mut [u32],
    key: impl Fn(T) -> usize,
    mut put: impl FnMut(usize, T),
) {
    items.clone().for_each(|item| next[key(item)] += 1);
    let mut total = 0;
    for next in next.iter_mut() {
        total += std::mem::replace(next, total);
    }
    for item in items {
        let next = &mut next[key(item)];
        put(*next as usize, item);
        *next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Few rows and many, few samples and many.
        #[test]
        fn histograms_are_those_of_the_samples(
            rows in 1usize..40,
            latencies in prop::collection::vec((any::<prop::sample::Index>(), 0u32..30, 0u32..4_000_000), 0..3_000),
        ) {
            let mut all = Rows::default();
            let mut expected = vec![std::collections::BTreeMap::new(); rows];
            all.rows.resize(rows, Row::new(0, Kind::NONE));
            for (row, shift, ms) in latencies {
                let (row, ms) = (row.index(rows), ms >> shift.min(21));
                all.rows[row].counts[counter::OK] += 1;
                all.rows[row].record_latency(ms);
                all.samples.push((row as u32) << BUCKET_BITS | u32::from(histogram::bucket_of(ms)));
                *expected[row].entry(histogram::bucket_of(ms)).or_insert(0u32) += 1;
            }
            for _ in 0..2 {
                all.count_samples();
                for (number, expected) in expected.iter().enumerate() {
                    let mut counts = Vec::new();
                    all.histograms.put_counts(number, &all.rows[number], &mut counts);
                    prop_assert!(counts.iter().map(|count| (&count.bucket, &count.count)).eq(expected));
                }
            }
        }
    }
}
