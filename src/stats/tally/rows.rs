//! The rows of a window that is open, one for each series, and the latencies of their requests.

use super::{Booking, Kind};
use crate::stats::{
    Counters,
    histogram::{self, Bucket, Count, Latency},
    series::counter,
};

/// Samples a tally holds before it wants to be packed: 16 MiB.
const SAMPLES: usize = 4 << 20;

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
    /// The buckets of `samples`, row after row: made anew at each packing, the memory is warm.
    sorted: Vec<Bucket>,
}

const BUCKET_BITS: u32 = 11;
const ROWS: usize = 1 << (32 - BUCKET_BITS);
const _: () = assert!(histogram::HIGHEST_BUCKET < 1 << BUCKET_BITS);

/// From so many samples of one row on it is quicker to count them in an array than to sort them.
const MANY: usize = 256;

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
    pub(super) fn fetch(&self, numbers: &[u32]) {
        let looked = numbers.iter().fold(0, |sum, row| sum ^ self.rows[*row as usize].successes);
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

    /// The series of all rows that counted something, as `(its number, row, series without key)`, and nothing left behind.
    pub(super) fn pack(&mut self, mut each: impl FnMut(usize, &Row, Counters, Latency)) {
        let ends = self.sort_samples();
        let mut counted = Vec::new();
        let mut begin = 0;
        for (number, (row, end)) in self.rows.iter_mut().zip(ends).enumerate() {
            let row = std::mem::replace(row, Row::new(row.bucket, row.kind));
            let samples = &mut self.sorted[begin..end as usize];
            begin = end as usize;
            let counters = row.counters();
            if counters.iter().any(|count| *count > 0) {
                let latency = row.latency(count(samples, &mut counted));
                each(number, &row, counters, latency);
            }
        }
        self.recorded = 0;
        self.samples.clear();
    }

    /// Puts the samples of each row beside each other, and says where those of each row end.
    fn sort_samples(&mut self) -> Vec<u32> {
        let mut next = vec![0; self.rows.len()];
        for sample in &self.samples {
            next[(sample >> BUCKET_BITS) as usize] += 1;
        }
        let mut total = 0;
        for next in &mut next {
            total += std::mem::replace(next, total);
        }
        self.sorted.resize(self.samples.len(), 0);
        for sample in &self.samples {
            let next = &mut next[(sample >> BUCKET_BITS) as usize];
            self.sorted[*next as usize] = (sample & ((1 << BUCKET_BITS) - 1)) as Bucket;
            *next += 1;
        }
        next
    }
}

/// How often each bucket is among the samples of a row. `counted` is memory to work with.
fn count(samples: &mut [Bucket], counted: &mut Vec<Count>) -> Vec<Count> {
    counted.clear();
    if samples.len() < MANY {
        samples.sort_unstable();
        let runs = samples.chunk_by(|a, b| a == b);
        counted.extend(runs.map(|run| Count { bucket: run[0], count: run.len() as u32 }));
    } else {
        let mut counts = [0u32; 1 << BUCKET_BITS];
        samples.iter().for_each(|bucket| counts[usize::from(*bucket)] += 1);
        let held = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.extend(held.map(|(bucket, count)| Count { bucket: bucket as Bucket, count: *count }));
    }
    // Exactly as long as it has to be: it is kept.
    counted.as_slice().into()
}
