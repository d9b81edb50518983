//! Series in two pieces of memory, one for all of them and one for all their histograms: an allocation for each of
//! thousands of small histograms took longer than to count what is in them.

use super::{Series, SeriesRef, histogram::Count};

/// Series of one window, in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SeriesList {
    /// Each with the end of its histogram in `counts`, which begins where that of the series before ends.
    series: Vec<Series<usize>>,
    counts: Vec<Count>,
}

impl SeriesList {
    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, series: usize) {
        self.series.reserve(series);
    }

    /// Forgets all, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.series.clear();
        self.counts.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// All of them, in the order that they were put down in.
    #[inline]
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = SeriesRef<'_>> + Clone {
        let mut begin = 0;
        self.series.iter().map(move |series| {
            let end = series.latency.counts;
            series.with_counts(&self.counts[std::mem::replace(&mut begin, end)..end])
        })
    }

    /// The one put down last.
    pub(super) fn last(&self) -> Option<SeriesRef<'_>> {
        self.len().checked_sub(1).map(|last| self.get(last))
    }

    /// All but the histograms, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Series<usize>> {
        self.series.iter_mut()
    }

    /// Puts down one more.
    pub(super) fn push<C: AsRef<[Count]>>(&mut self, series: &Series<C>) {
        self.push_with(|counts| {
            counts.extend_from_slice(series.latency.counts.as_ref());
            series.with_counts(())
        });
    }

    /// Puts down one more that `write` gives once it has put down its histogram.
    #[inline]
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Vec<Count>) -> Series<()>) {
        let series = write(&mut self.counts);
        self.series.push(series.with_counts(self.counts.len()));
    }

    /// Makes one of the last two, which are of one key.
    pub(super) fn merge_last(&mut self) {
        let Some(before) = self.len().checked_sub(2) else { return };
        let merged = self.get(before).merged(&self.get(before + 1));
        self.series.truncate(before);
        self.counts.truncate(self.begin(before));
        self.push(&merged);
    }

    /// The one at a place in that order.
    pub(super) fn get(&self, at: usize) -> SeriesRef<'_> {
        let series = &self.series[at];
        series.with_counts(&self.counts[self.begin(at)..series.latency.counts])
    }

    /// Where the histogram of a series begins.
    fn begin(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.series[before].latency.counts)
    }
}

#[cfg(test)]
impl FromIterator<Series> for SeriesList {
    fn from_iter<I: IntoIterator<Item = Series>>(series: I) -> Self {
        let mut list = Self::default();
        series.into_iter().for_each(|series| list.push(&series));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Key, histogram::Latency};
    use proptest::prelude::*;

    fn series() -> impl Strategy<Value = Series> {
        let counts = prop::collection::btree_map(0u16..9, 1u32..9, 0..4);
        (0u16..3, any::<[u64; 9]>(), counts).prop_map(|(status, counters, counts)| {
            let counts: Vec<Count> =
                counts.into_iter().map(|(bucket, count)| Count { bucket, count }).collect();
            let count = counts.iter().map(|count| u64::from(count.count)).sum();
            let latency = Latency { count, sum_ms: count, min_ms: 0, max_ms: 9, counts };
            Series { key: Key::status(status), counters, latency }
        })
    }

    proptest! {
        #[test]
        fn a_list_is_what_was_put_into_it(series in prop::collection::vec(series(), 0..12)) {
            let list: SeriesList = series.iter().cloned().collect();
            prop_assert!(list.iter().map(|series| series.owned()).eq(series.iter().cloned()));
            prop_assert_eq!(list.last().map(|series| series.owned()), series.last().cloned());
            prop_assert!((0..list.len()).all(|at| list.get(at).owned() == series[at]));
        }

        #[test]
        fn the_last_two_become_one(mut series in prop::collection::vec(series(), 0..6)) {
            let mut list: SeriesList = series.iter().cloned().collect();
            list.merge_last();
            if let [.., before, last] = series.as_mut_slice() {
                before.merge(last);
                series.pop();
            }
            prop_assert_eq!(list, series.into_iter().collect());
        }
    }
}
