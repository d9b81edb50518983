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
    /// Nothing, with room for so many series whose histograms have so many counts.
    pub(super) fn with_capacity(series: usize, counts: usize) -> Self {
        Self { series: Vec::with_capacity(series), counts: Vec::with_capacity(counts) }
    }

    /// Gives back what was room for more.
    pub(super) fn shrink_to_fit(&mut self) {
        self.series.shrink_to_fit();
        self.counts.shrink_to_fit();
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

    fn get(&self, at: usize) -> SeriesRef<'_> {
        let series = &self.series[at];
        series.with_counts(&self.counts[self.begin(at)..series.latency.counts])
    }

    /// Where the histogram of a series begins.
    fn begin(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.series[before].latency.counts)
    }
}
