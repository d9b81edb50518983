//! What was counted in a window, or in a piece of one: series, and the events kept. Compact, mergeable, immutable.

use super::{Event, Key, Names, Series, Table, histogram::LatencySum, series::counter};

/// Invariants: `names` is sorted and without twins, `series` ascends by key and holds no key twice, events are in the
/// order of the log. Two contents with the same counts are equal, whatever order the lines came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub(super) names: Vec<Box<[u8]>>,
    pub(super) series: Vec<Series>,
    pub(super) events: Vec<Event>,
}

impl Contents {
    /// Puts series that refer to `names` into order; series of one key are merged.
    pub fn new(names: &Names, mut series: Vec<Series>, events: Vec<Event>) -> Self {
        let mut is_used = vec![false; names.len()];
        for series in series.iter().filter(|s| s.key.has_name()) {
            is_used[series.key.name() as usize] = true;
        }
        let mut used = names.sorted();
        used.retain(|id| is_used[*id as usize]);
        let mut number = vec![0; names.len()];
        for (position, id) in used.iter().enumerate() {
            number[*id as usize] = position as u32;
        }
        series = renumber(series, &number);
        series.sort_by_cached_key(|s| s.key);
        let names = used.into_iter().map(|id| names.get(id).into()).collect();
        Self { names, series: merge_neighbours(series), events }
    }

    /// Nothing in it.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.events.is_empty()
    }

    /// The series, by key.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The events, in the order of the log.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The name that a key of these contents refers to; empty where its family has none.
    pub fn name(&self, key: Key) -> &str {
        let name = if key.has_name() { self.names.get(key.name() as usize) } else { None };
        name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }

    /// Adds later contents of the same window. Exact whatever the pieces; of events, those of `self` come first.
    pub fn merge(&mut self, later: Self) {
        if self.is_empty() {
            *self = later;
            return;
        }
        if later.is_empty() {
            return;
        }
        let (names, [mine, theirs]) = merge_names(std::mem::take(&mut self.names), later.names);
        // New numbers are in the order of the old ones, so both stay sorted.
        let earlier = renumber(std::mem::take(&mut self.series), &mine);
        self.series = merge_sorted(earlier, renumber(later.series, &theirs));
        self.names = names;
        self.events.extend(later.events);
    }

    /// The same with names replaced where `label` says by what, from a name's number and itself; series that get one name
    /// are merged.
    pub(super) fn relabel(self, label: impl Fn(usize, &[u8]) -> Option<&'static str>) -> Self {
        let numbered = self.names.iter().enumerate();
        let labels: Vec<Option<&str>> = numbered.map(|(number, name)| label(number, name)).collect();
        if labels.iter().all(Option::is_none) {
            return self;
        }
        let mut names = Names::default();
        let new = self.names.iter().zip(labels).map(|(name, label)| label.map_or(&**name, str::as_bytes));
        let number: Vec<u32> = new.map(|name| names.intern(name)).collect();
        let series = renumber(self.series, &number);
        Self::new(&names, series, self.events)
    }

    /// The same for a window that closes: what only decided about names is dropped with it.
    pub(super) fn settle(mut self) -> Self {
        for series in self.series.iter_mut().filter(|s| s.key.counts_requests()) {
            series.counters[counter::SUCCESSES] = 0;
        }
        self
    }

    /// Requests counted in series of the node: each line counted once.
    pub fn node_requests(&self) -> u64 {
        let node = |s: &&Series| s.key.table() == Some(Table::Node);
        self.series.iter().filter(node).map(Series::requests).fold(0, u64::saturating_add)
    }
}

/// Merges series of one key that stand beside each other.
fn merge_neighbours(series: Vec<Series>) -> Vec<Series> {
    let mut merged: Vec<Series> = Vec::with_capacity(series.len());
    let mut sum = LatencySum::default();
    let mut series = series.into_iter().peekable();
    while let Some(mut first) = series.next() {
        if series.peek().is_some_and(|next| next.key == first.key) {
            sum.add(&first.latency);
            while let Some(next) = series.next_if(|next| next.key == first.key) {
                first.merge_counters(&next);
                sum.add(&next.latency);
            }
            first.latency = sum.take();
        }
        merged.push(first);
    }
    merged
}

/// Merges sorted series, none of which holds a key twice.
fn merge_sorted(earlier: Vec<Series>, later: Vec<Series>) -> Vec<Series> {
    let mut merged = Vec::with_capacity(earlier.len().max(later.len()));
    let mut later = later.into_iter().peekable();
    for mut series in earlier {
        while let Some(before) = later.next_if(|next| next.key < series.key) {
            merged.push(before);
        }
        if let Some(same) = later.next_if(|next| next.key == series.key) {
            series.merge(&same);
        }
        merged.push(series);
    }
    merged.extend(later);
    merged
}

/// Merges sorted names without twins; the numbers that those of each side have among all.
fn merge_names(earlier: Vec<Box<[u8]>>, later: Vec<Box<[u8]>>) -> (Vec<Box<[u8]>>, [Vec<u32>; 2]) {
    let mut names = Vec::with_capacity(earlier.len().max(later.len()));
    let mut numbers = [Vec::with_capacity(earlier.len()), Vec::with_capacity(later.len())];
    let mut later = later.into_iter().peekable();
    for name in earlier {
        while let Some(before) = later.next_if(|next| *next < name) {
            numbers[1].push(names.len() as u32);
            names.push(before);
        }
        if later.next_if(|next| *next == name).is_some() {
            numbers[1].push(names.len() as u32);
        }
        numbers[0].push(names.len() as u32);
        names.push(name);
    }
    for name in later {
        numbers[1].push(names.len() as u32);
        names.push(name);
    }
    (names, numbers)
}

/// Series whose names have new numbers.
fn renumber(mut series: Vec<Series>, number: &[u32]) -> Vec<Series> {
    for series in series.iter_mut().filter(|s| s.key.has_name()) {
        series.key = series.key.with_name(number[series.key.name() as usize]);
    }
    series
}
