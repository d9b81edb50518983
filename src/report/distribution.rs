//! Latencies of many windows, added up.

use super::LatencyStats;
use crate::stats::histogram::{Count, Latency, bucket_range};

/// Like [`Latency`], but dense and with counts that no length of time fills: a window's counts have 32 bits.
#[derive(Clone, Debug, Default)]
pub(super) struct Distribution {
    count: u64,
    sum_ms: u64,
    min_ms: u32,
    max_ms: u32,
    /// By histogram bucket, as long as the highest one needs.
    counts: Vec<u64>,
}

impl Distribution {
    /// Adds the latencies of a window's series.
    pub(super) fn add<C: AsRef<[Count]>>(&mut self, latency: &Latency<C>) {
        self.add_summary(latency.count, latency.sum_ms, latency.min_ms, latency.max_ms);
        for count in latency.counts.as_ref() {
            self.add_bucket(usize::from(count.bucket), u64::from(count.count));
        }
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: &Self) {
        self.add_summary(other.count, other.sum_ms, other.min_ms, other.max_ms);
        for (bucket, count) in other.counts.iter().enumerate() {
            self.add_bucket(bucket, *count);
        }
    }

    fn add_summary(&mut self, count: u64, sum_ms: u64, min_ms: u32, max_ms: u32) {
        if count == 0 {
            return;
        }
        self.min_ms = if self.count == 0 { min_ms } else { self.min_ms.min(min_ms) };
        self.max_ms = self.max_ms.max(max_ms);
        self.count = self.count.saturating_add(count);
        self.sum_ms = self.sum_ms.saturating_add(sum_ms);
    }

    fn add_bucket(&mut self, bucket: usize, count: u64) {
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] = self.counts[bucket].saturating_add(count);
    }

    /// Nearest rank, the highest value of its bucket, never beyond the true extremes: as
    /// [`Latency::quantile_ms`] says it of one window.
    fn quantile_ms(&self, quantile: f64) -> f64 {
        let rank = ((quantile * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut below = 0u64;
        for (bucket, count) in self.counts.iter().enumerate() {
            below = below.saturating_add(*count);
            if below >= rank {
                let (_, highest) = bucket_range(u16::try_from(bucket).unwrap_or(u16::MAX));
                return f64::from(highest.clamp(self.min_ms, self.max_ms));
            }
        }
        f64::from(self.max_ms)
    }

    /// `None` when there are none.
    pub(super) fn stats(&self) -> Option<LatencyStats> {
        (self.count > 0).then(|| LatencyStats {
            count: self.count,
            sum_ms: self.sum_ms,
            min_ms: f64::from(self.min_ms),
            mean_ms: self.sum_ms as f64 / self.count as f64,
            max_ms: f64::from(self.max_ms),
            p50_ms: self.quantile_ms(0.5),
            p90_ms: self.quantile_ms(0.9),
            p99_ms: self.quantile_ms(0.99),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram::bucket_of;
    use proptest::prelude::*;

    fn latency(values: &[u32]) -> Latency {
        let mut latency = Latency::default();
        for ms in values {
            let counts = vec![Count { bucket: bucket_of(*ms), count: 1 }];
            latency.merge(&Latency { count: 1, sum_ms: u64::from(*ms), min_ms: *ms, max_ms: *ms, counts });
        }
        latency
    }

    #[test]
    fn nothing_has_no_statistics() {
        let mut distribution = Distribution::default();
        distribution.add(&<Latency>::default());
        assert_eq!(distribution.stats(), None);
    }

    #[test]
    fn counts_have_more_than_32_bits() {
        let often = |ms: u32| Latency {
            count: u64::from(u32::MAX),
            sum_ms: 0,
            min_ms: ms,
            max_ms: ms,
            counts: vec![Count { bucket: bucket_of(ms), count: u32::MAX }],
        };
        let mut distribution = Distribution::default();
        for ms in [1, 1, 1, 2] {
            distribution.add(&often(ms));
        }
        let stats = distribution.stats().unwrap();
        assert_eq!((stats.p50_ms, stats.p90_ms), (1.0, 2.0));
    }

    proptest! {
        /// Percentiles of merged windows against the raw data of all of them.
        #[test]
        fn merged_percentiles_are_those_of_the_raw_data(
            windows in prop::collection::vec(prop::collection::vec(0u32..3_600_000, 0..80), 1..8),
        ) {
            let (mut one_by_one, mut halves) = (Distribution::default(), [Distribution::default(), Distribution::default()]);
            for (i, values) in windows.iter().enumerate() {
                one_by_one.add(&latency(values));
                halves[i % 2].add(&latency(values));
            }
            let [mut merged, other] = halves;
            merged.merge(&other);
            prop_assert_eq!(merged.stats(), one_by_one.stats());

            let mut raw: Vec<u32> = windows.concat();
            raw.sort_unstable();
            let Some(stats) = one_by_one.stats() else {
                prop_assert!(raw.is_empty());
                return Ok(());
            };
            let whole = latency(&raw);
            for (got, quantile, rank) in [
                (stats.p50_ms, 0.5, raw.len().div_ceil(2)),
                (stats.p90_ms, 0.9, (raw.len() * 9).div_ceil(10)),
                (stats.p99_ms, 0.99, (raw.len() * 99).div_ceil(100)),
            ] {
                let exact = f64::from(raw[rank - 1]);
                prop_assert!((got - exact).abs() <= exact * 0.01, "{} for {}", got, exact);
                prop_assert_eq!(Some(got), whole.quantile_ms(quantile));
            }
            prop_assert_eq!(stats.count, raw.len() as u64);
            prop_assert_eq!(stats.sum_ms, raw.iter().map(|ms| u64::from(*ms)).sum::<u64>());
            prop_assert_eq!((stats.min_ms, stats.max_ms), (f64::from(raw[0]), f64::from(raw[raw.len() - 1])));
        }
    }
}
