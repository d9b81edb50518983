//! Latencies as HdrHistogram counts them: 2 significant digits, 1 ms to 1 h, one range everywhere, so that the
//! histograms of all nodes, buckets and times merge.
//!
//! A closed window keeps only the buckets that hold something. The dense [`hdrhistogram::Histogram`] is made where one
//! is needed: for the serialised field, and to check our bucket arithmetic against the original's.

use std::cmp::Ordering;

use base64::Engine as _;

/// The longest latency told apart, ms; longer ones count as this. One hour.
pub const HIGHEST_MS: u32 = 3_600_000;

/// Significant decimal digits, as HdrHistogram means it: a bucket is at most 1 % wide.
pub const SIGNIFICANT_DIGITS: u8 = 2;

/// Values below this have a bucket of their own; then each doubling of the range has [`HALF`] buckets.
const EXACT: u32 = 256;
const HALF: u32 = 128;

/// The number of a histogram bucket, in the order of the values.
pub type Bucket = u16;

/// The bucket of [`HIGHEST_MS`].
pub const HIGHEST_BUCKET: Bucket = 2011;

/// The bucket of a latency.
#[inline]
pub fn bucket_of(ms: u32) -> Bucket {
    let ms = ms.min(HIGHEST_MS);
    // How often the value has to be halved to fit below EXACT.
    let halvings = (24 - (ms | (EXACT - 1)).leading_zeros()) as u16;
    halvings * HALF as u16 + (ms >> halvings) as u16
}

/// The lowest and the highest latency of a bucket, ms.
pub fn bucket_range(bucket: Bucket) -> (u32, u32) {
    let bucket = u32::from(bucket);
    if bucket < EXACT {
        return (bucket, bucket);
    }
    let halvings = bucket / HALF - 1;
    let lowest = (bucket - halvings * HALF) << halvings;
    (lowest, lowest + (1 << halvings) - 1)
}

/// How many of the latencies fell into a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The bucket.
    pub bucket: Bucket,
    /// How many; never 0.
    pub count: u32,
}

/// Latencies of one series, exact in count, sum, minimum and maximum; the shape to 1 %.
/// Invariant: `counts` ascends by bucket, and its counts add up to `count`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency<C = Vec<Count>> {
    /// How many.
    pub count: u64,
    /// Their sum, ms.
    pub sum_ms: u64,
    /// The shortest, ms; 0 when there are none.
    pub min_ms: u32,
    /// The longest, ms.
    pub max_ms: u32,
    /// The buckets that hold something.
    pub counts: C,
}

impl Latency {
    /// Adds another series' latencies. Exact: the order of merging does not matter.
    pub fn merge<C: AsRef<[Count]>>(&mut self, other: &Latency<C>) {
        if other.count == 0 {
            return;
        }
        self.merge_totals(other);
        self.counts = merge_counts(&self.counts, other.counts.as_ref());
        self.count = held(&self.counts);
    }
}

impl<C> Latency<C> {
    /// The same with its buckets kept otherwise.
    #[inline]
    pub(super) fn with_counts<D>(&self, counts: D) -> Latency<D> {
        let Self { count, sum_ms, min_ms, max_ms, .. } = *self;
        Latency { count, sum_ms, min_ms, max_ms, counts }
    }

    /// All but the buckets.
    fn merge_totals<D>(&mut self, other: &Latency<D>) {
        self.min_ms = if self.count == 0 { other.min_ms } else { self.min_ms.min(other.min_ms) };
        self.max_ms = self.max_ms.max(other.max_ms);
        self.count = self.count.saturating_add(other.count);
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
    }

    /// Arithmetic mean, ms, of the true values.
    pub fn mean_ms(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_ms as f64 / self.count as f64)
    }
}

impl<C: AsRef<[Count]>> Latency<C> {
    /// The latency that the share `quantile` (0 to 1) of all requests did not exceed: nearest rank, the highest value
    /// of its bucket, never beyond the true maximum. `None` when there are none.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        self.quantiles_ms([quantile]).map(|[value]| f64::from(value))
    }

    /// Several of them, ascending, in one go.
    pub fn quantiles_ms<const N: usize>(&self, quantiles: [f64; N]) -> Option<[u32; N]> {
        // Of thousands of buckets most have one request in a window.
        if self.count > 0 && self.min_ms == self.max_ms {
            return Some([self.min_ms; N]);
        }
        let mut counts = self.counts.as_ref().iter();
        let (mut below, mut values) = (0, [0; N]);
        let mut last = 0;
        for (value, quantile) in values.iter_mut().zip(quantiles) {
            let rank = ceil(quantile * self.count as f64).clamp(1, self.count.max(1));
            while below < rank {
                let Count { bucket, count } = counts.next()?;
                below += u64::from(*count);
                last = *bucket;
            }
            let (_, highest) = bucket_range(last);
            *value = highest.clamp(self.min_ms, self.max_ms);
        }
        Some(values)
    }

    /// How many took at most so long, for several times, ascending (to the end of the bucket: for an edge above 255 ms up to
    /// 1 % more).
    pub fn at_most<const N: usize>(&self, edges_ms: [u32; N]) -> [u64; N] {
        let mut counts = self.counts.as_ref().iter().peekable();
        let mut sum = 0;
        edges_ms.map(|ms| {
            let last = bucket_of(ms);
            while let Some(Count { count, .. }) = counts.next_if(|count| count.bucket <= last) {
                sum += u64::from(*count);
            }
            sum
        })
    }

    /// The histogram as HdrHistogram V2 (not deflated: that costs a hundred times more), base64.
    pub fn to_base64(&self) -> String {
        use hdrhistogram::serialization::{Serializer as _, V2Serializer};
        let mut bytes = Vec::new();
        // A Vec takes whatever is written to it, and the range is ours: neither step can fail.
        if let Some(histogram) = self.to_hdr()
            && V2Serializer::new().serialize(&histogram, &mut bytes).is_ok()
        {
            return base64::engine::general_purpose::STANDARD.encode(bytes);
        }
        String::new()
    }

    /// The same as a dense histogram of the crate.
    pub fn to_hdr(&self) -> Option<hdrhistogram::Histogram<u64>> {
        let mut histogram =
            hdrhistogram::Histogram::new_with_bounds(1, u64::from(HIGHEST_MS), SIGNIFICANT_DIGITS).ok()?;
        for Count { bucket, count } in self.counts.as_ref() {
            histogram.saturating_record_n(u64::from(bucket_range(*bucket).0), u64::from(*count));
        }
        Some(histogram)
    }
}

/// Adds up the latencies of many series at once: a merge for each would walk the growing sum each time.
#[derive(Debug, Default)]
pub(super) struct LatencySum {
    /// All but its buckets.
    total: Latency,
    /// By bucket.
    counts: Vec<u64>,
}

impl LatencySum {
    pub(super) fn add(&mut self, latency: &Latency<&[Count]>) {
        let (Some(first), Some(last)) = (latency.counts.first(), latency.counts.last()) else { return };
        debug_assert!(first.bucket <= last.bucket);
        if self.counts.len() <= usize::from(last.bucket) {
            self.counts.resize(usize::from(last.bucket) + 1, 0);
        }
        let sums = self.counts.as_mut_slice();
        for Count { bucket, count } in latency.counts {
            sums[usize::from(*bucket)] += u64::from(*count);
        }
        self.total.merge_totals(latency);
    }

    /// The sum, and nothing left behind.
    pub(super) fn take(&mut self) -> Latency {
        let count = |(bucket, count): (usize, &u64)| Count {
            bucket: bucket as Bucket,
            count: u32::try_from(*count).unwrap_or(u32::MAX),
        };
        let full = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let mut counts = Vec::with_capacity(full.clone().count());
        counts.extend(full.map(count));
        self.counts.clear();
        Latency { count: held(&counts), counts, ..std::mem::take(&mut self.total) }
    }
}

/// The least integer that is not below a number: [`f64::ceil`] is a call where the processor may be an old one.
fn ceil(number: f64) -> u64 {
    let whole = number as u64;
    whole + u64::from((whole as f64) < number)
}

/// How many all buckets hold. Never a sum of other sums: a bucket holds four billion at most, and a rank beyond all
/// buckets would have no value.
fn held(counts: &[Count]) -> u64 {
    counts.iter().map(|count| u64::from(count.count)).sum()
}

/// Merges two ascending runs.
fn merge_counts(mut left: &[Count], mut right: &[Count]) -> Vec<Count> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    while let ([a, left_rest @ ..], [b, right_rest @ ..]) = (left, right) {
        if a.bucket <= b.bucket {
            left = left_rest;
        }
        if b.bucket <= a.bucket {
            right = right_rest;
        }
        merged.push(match a.bucket.cmp(&b.bucket) {
            Ordering::Less => *a,
            Ordering::Greater => *b,
            Ordering::Equal => Count { bucket: a.bucket, count: a.count.saturating_add(b.count) },
        });
    }
    merged.extend_from_slice(left);
    merged.extend_from_slice(right);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn latency(values: &[u32]) -> Latency {
        let mut latency = Latency::default();
        for ms in values {
            latency.merge(&Latency {
                count: 1,
                sum_ms: u64::from(*ms),
                min_ms: *ms,
                max_ms: *ms,
                counts: vec![Count { bucket: bucket_of(*ms), count: 1 }],
            });
        }
        latency
    }

    #[test]
    fn buckets_are_the_crates() {
        let histogram =
            hdrhistogram::Histogram::<u64>::new_with_bounds(1, u64::from(HIGHEST_MS), SIGNIFICANT_DIGITS)
                .unwrap();
        let mut last = None;
        for ms in (0..70_000).chain((70_000..=HIGHEST_MS).step_by(17)).chain([HIGHEST_MS]) {
            let (lowest, highest) = bucket_range(bucket_of(ms));
            assert_eq!(u64::from(lowest), histogram.lowest_equivalent(u64::from(ms)), "{ms}");
            assert_eq!(u64::from(highest), histogram.highest_equivalent(u64::from(ms)), "{ms}");
            assert!(last <= Some(bucket_of(ms)));
            last = Some(bucket_of(ms));
        }
        assert_eq!(bucket_of(u32::MAX), HIGHEST_BUCKET);
        assert_eq!(bucket_of(HIGHEST_MS), HIGHEST_BUCKET);
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(<Latency>::default().quantile_ms(0.5), None);
        assert_eq!(<Latency>::default().mean_ms(), None);
    }

    #[test]
    fn a_full_bucket_leaves_the_quantiles() {
        let full = Latency {
            count: u64::from(u32::MAX),
            sum_ms: 1,
            min_ms: 1,
            max_ms: 1,
            counts: vec![Count { bucket: bucket_of(1), count: u32::MAX }],
        };
        let mut merged = full.clone();
        merged.merge(&full);
        assert_eq!(merged.quantile_ms(0.99), Some(1.0));
    }

    proptest! {
        #[test]
        fn quantiles_are_nearest_rank_to_one_percent(mut values in prop::collection::vec(0u32..4_000_000, 1..300)) {
            let latency = latency(&values);
            values.sort_unstable();
            for (quantile, rank) in [(0.5, values.len().div_ceil(2)), (0.99, (values.len() * 99).div_ceil(100))] {
                let exact = f64::from(values[rank - 1].min(HIGHEST_MS));
                let got = latency.quantile_ms(quantile).unwrap().min(f64::from(HIGHEST_MS));
                prop_assert!((got - exact).abs() <= exact * 0.01, "{got} for {exact}");
            }
            prop_assert_eq!(latency.max_ms, *values.last().unwrap());
            prop_assert_eq!(latency.min_ms, values[0]);
        }

        #[test]
        fn integers_above_are_those_of_the_library(count: u64, shift in 0u32..64, quantile in 0.0f64..=1.0) {
            let number = quantile * (count >> shift) as f64;
            prop_assert_eq!(ceil(number), number.ceil() as u64);
        }

        #[test]
        fn edges_are_cumulative(values in prop::collection::vec(0u32..4_000_000, 0..300)) {
            const EDGES: [u32; 5] = [0, 5, 255, 1_000, HIGHEST_MS];
            let expected =
                EDGES.map(|edge| values.iter().filter(|ms| bucket_of(**ms) <= bucket_of(edge)).count() as u64);
            prop_assert_eq!(latency(&values).at_most(EDGES), expected);
        }

        #[test]
        fn many_at_once_add_up_to_the_same(series in prop::collection::vec(prop::collection::vec(0u32..4_000_000, 0..20), 0..20)) {
            let mut sum = LatencySum::default();
            for _ in 0..2 {
                let mut merged = Latency::default();
                for values in &series {
                    let one = latency(values);
                    sum.add(&one.with_counts(&one.counts));
                    merged.merge(&latency(values));
                }
                prop_assert_eq!(sum.take(), merged);
            }
        }

        #[test]
        fn the_field_reads_back_with_the_crate(values in prop::collection::vec(0u32..4_000_000, 1..100)) {
            let bytes = base64::engine::general_purpose::STANDARD.decode(latency(&values).to_base64()).unwrap();
            let read: hdrhistogram::Histogram<u64> =
                hdrhistogram::serialization::Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            prop_assert_eq!(read.len(), values.len() as u64);
        }
    }
}
