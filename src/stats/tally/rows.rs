//! The rows of a window that is open, one for each series, and the latencies of their requests.

use super::{Booking, Kind};
use crate::stats::{
    Counters,
    histogram::{self, Bucket, Count, Latency},
    series::counter,
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

    #[inline]
    fn record(&mut self, booking: &Booking) {
        self.counts[booking.outcome as usize] += 1;
        self.counts[counter::SLOW] += u32::from(booking.slow);
        self.successes += u32::from(booking.success);
        // What a client announces is its own word: it must not be able to wrap a sum.
        self.bytes_in = self.bytes_in.saturating_add(booking.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(booking.bytes_out);
    }

    #[inline]
    fn record_latency(&mut self, ms: u32) {
        self.latency_min_ms = self.latency_min_ms.min(ms);
        self.latency_max_ms = self.latency_max_ms.max(ms);
        self.latency_sum_ms += u64::from(ms);
    }

    fn latency(&self, counts: Vec<Count>) -> Latency {
        let count = counts.iter().map(|count| u64::from(count.count)).sum();
        let min_ms = if count == 0 { 0 } else { self.latency_min_ms };
        Latency { count, sum_ms: self.latency_sum_ms, min_ms, max_ms: self.latency_max_ms, counts }
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
    /// `samples` by bucket, and their buckets row after row: made anew at each packing, the memory is warm.
    by_bucket: Vec<u32>,
    sorted: Vec<Bucket>,
    /// Where those of each row end in `sorted`, and memory to count them in.
    ends: Vec<u32>,
    counted: Vec<Count>,
}

const BUCKET_BITS: u32 = 11;
const ROWS: usize = 1 << (32 - BUCKET_BITS);
const _: () = assert!(histogram::HIGHEST_BUCKET < 1 << BUCKET_BITS);

/// Up to so many samples it is quicker to compare them than to go through all buckets.
const FEW: usize = 1 << 10;

impl Rows {
    /// A new row. There are numbers for two million of them: the owner packs long before.
    pub(super) fn add(&mut self, bucket: u32, kind: Kind) -> u32 {
        debug_assert!(self.rows.len() < ROWS);
        self.rows.push(Row::new(bucket, kind));
        self.rows.len() as u32 - 1
    }

    /// Looks at rows that will be needed: the processor fetches as many at a time as it can, which it could not while it
    /// does more with each.
    #[inline]
    pub(super) fn fetch(&self, numbers: impl Iterator<Item = u32>) {
        let looked = numbers.fold(0, |sum, row| sum ^ self.rows[row as usize].successes);
        std::hint::black_box(looked);
    }

    #[inline]
    pub(super) fn record(&mut self, row: u32, booking: &Booking) {
        self.recorded += 1;
        let cell = &mut self.rows[row as usize];
        cell.record(booking);
        if let Some(ms) = booking.latency_ms {
            cell.record_latency(ms);
            self.samples.push(row << BUCKET_BITS | u32::from(histogram::bucket_of(ms)));
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.samples.len() >= SAMPLES || self.recorded >= 1 << 31
    }

    /// What a row counted, and the latencies. Only after [`sort`](Self::sort).
    pub(super) fn take(&mut self, number: usize) -> (Row, Counters, Latency) {
        let row = &mut self.rows[number];
        let row = std::mem::replace(row, Row::new(row.bucket, row.kind));
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        let counts = count(&self.sorted[begin..self.ends[number] as usize], &mut self.counted);
        (row, row.counters(), row.latency(counts))
    }

    /// Forgets samples, but not which rows there are.
    pub(super) fn clear_samples(&mut self) {
        self.recorded = 0;
        self.samples.clear();
        self.by_bucket.clear();
    }

    /// Puts the samples of each row beside each other, ascending.
    ///
    /// By counting, first by bucket and then by row: to sort the few of each row by comparing them costs a wrong guess of
    /// the processor for nearly every one.
    pub(super) fn sort(&mut self) {
        let bucket = |sample: u32| sample & ((1 << BUCKET_BITS) - 1);
        if self.samples.len() <= FEW {
            self.samples.sort_unstable_by_key(|sample| bucket(*sample));
            std::mem::swap(&mut self.samples, &mut self.by_bucket);
        } else {
            self.by_bucket.resize(self.samples.len(), 0);
            let mut next = vec![0; 1 << BUCKET_BITS];
            let (from, to) = (&self.samples, &mut self.by_bucket);
            distribute(from, &mut next, |sample| bucket(sample) as usize, |at, sample| to[at] = sample);
        }
        self.sorted.resize(self.by_bucket.len(), 0);
        self.ends.clear();
        self.ends.resize(self.rows.len(), 0);
        let (from, to) = (&self.by_bucket, &mut self.sorted);
        let row = |sample| (sample >> BUCKET_BITS) as usize;
        distribute(from, &mut self.ends, row, |at, sample| to[at] = bucket(sample) as Bucket);
    }
}

/// Hands each sample to `put` with its place in the order of `key`, those of one key in the order they come. `next` holds a 0
/// for each key, and afterwards where its samples end.
#[inline]
fn distribute(
    samples: &[u32],
    next: &mut [u32],
    key: impl Fn(u32) -> usize,
    mut put: impl FnMut(usize, u32),
) {
    for sample in samples {
        next[key(*sample)] += 1;
    }
    let mut total = 0;
    for next in next.iter_mut() {
        total += std::mem::replace(next, total);
    }
    for sample in samples {
        let next = &mut next[key(*sample)];
        put(*next as usize, *sample);
        *next += 1;
    }
}

/// How often each bucket is among the ascending samples of a row. `counted` is memory to work with.
fn count(samples: &[Bucket], counted: &mut Vec<Count>) -> Vec<Count> {
    counted.resize(samples.len(), Count { bucket: 0, count: 0 });
    let (mut used, mut run, mut last) = (0, 0, Bucket::MAX);
    for bucket in samples {
        // Whether it is one more of the last bucket nobody can predict: no branch.
        let is_new = *bucket != last;
        used += usize::from(is_new);
        run = if is_new { 1 } else { run + 1 };
        counted[used - 1] = Count { bucket: *bucket, count: run };
        last = *bucket;
    }
    // Exactly as long as it has to be: it is kept.
    counted[..used].into()
}
