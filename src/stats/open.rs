//! Open windows by their start. Few, nearly always used at their end: found by a place that stays the same until one is
//! opened or closed, which costs nothing, where a search for each line would cost as much as counting it.

use std::collections::VecDeque;

use super::family::Window;
use crate::point::TimestampMs;

/// Ascending by start, each only once.
#[derive(Debug)]
pub(super) struct Open<T>(VecDeque<(TimestampMs, Window<T>)>);

impl<T> Open<T> {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Where the window with this start is, or would be.
    pub(super) fn find(&self, start_ms: TimestampMs) -> Result<usize, usize> {
        self.0.binary_search_by_key(&start_ms, |(start, _)| *start)
    }

    /// The window at a place that [`find`](Self::find) gave.
    #[inline]
    pub(super) fn at(&mut self, place: usize) -> Option<&mut Window<T>> {
        self.0.get_mut(place).map(|(_, window)| window)
    }

    /// The window with this start, opened if need be.
    pub(super) fn get_or_insert_with(
        &mut self,
        start_ms: TimestampMs,
        open: impl FnOnce() -> Window<T>,
    ) -> &mut Window<T> {
        let place = self.find(start_ms).unwrap_or_else(|place| {
            self.0.insert(place, (start_ms, open()));
            place
        });
        &mut self.0[place].1
    }

    /// Takes out those that begin before this.
    pub(super) fn take_before(&mut self, start_ms: TimestampMs) -> Self {
        let place = self.find(start_ms).unwrap_or_else(|place| place);
        let rest = self.0.split_off(place);
        Self(std::mem::replace(&mut self.0, rest))
    }

    /// Takes out those that begin then or later.
    pub(super) fn take_from(&mut self, start_ms: TimestampMs) -> Self {
        let place = self.find(start_ms).unwrap_or_else(|place| place);
        Self(self.0.split_off(place))
    }

    /// Takes all.
    pub(super) fn take(&mut self) -> Self {
        Self(std::mem::take(&mut self.0))
    }

    pub(super) fn first_start(&self) -> Option<TimestampMs> {
        self.0.front().map(|(start, _)| *start)
    }

    pub(super) fn last(&self) -> Option<&(TimestampMs, Window<T>)> {
        self.0.back()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&TimestampMs, &Window<T>)> {
        self.0.iter().map(|(start, window)| (start, window))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&TimestampMs, &mut Window<T>)> {
        self.0.iter_mut().map(|(start, window)| (&*start, window))
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (TimestampMs, Window<T>)> {
        self.0.into_iter()
    }
}
