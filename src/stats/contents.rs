//! What was counted in a window, or in a piece of one: series, and the events kept. Compact, mergeable, immutable.

use super::{
    Event, Key, Names, Series, SeriesRef, Table, histogram::LatencySum, name_list::NameList, series::counter,
    series_list::SeriesList,
};

/// Invariants: `names` is sorted and without twins, `series` ascends by key and holds no key twice, events are in the
/// order of the log. Two contents with the same counts are equal, whatever order the lines came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub(super) names: NameList,
    pub(super) series: SeriesList,
    pub(super) events: Vec<Event>,
}

impl Contents {
    /// Puts series that refer to `names` into order; series of one key are merged.
    pub(super) fn new(names: &Names, series: &SeriesList, events: Vec<Event>) -> Self {
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
        let names = used.into_iter().map(|id| names.get(id)).collect();
        Self { names, series: in_order(series, &number), events }
    }

    /// Nothing in it.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.events.is_empty()
    }

    /// The series, by key.
    #[inline]
    pub fn series(&self) -> impl ExactSizeIterator<Item = SeriesRef<'_>> + Clone {
        self.series.iter()
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
        let (names, [mine, theirs]) = merge_names(&self.names, &later.names);
        // New numbers are in the order of the old ones, so both stay sorted.
        let (earlier, later_series) = (self.series.iter(), later.series.iter());
        self.series = merge_sorted(
            earlier.map(|series| renumbered(series, &mine)),
            later_series.map(|series| renumbered(series, &theirs)),
        );
        self.names = names;
        self.events.extend(later.events);
    }

    /// The same with names replaced where `label` says by what, from a name's number and itself; series that get one name
    /// are merged.
    pub(super) fn relabel(mut self, label: impl Fn(usize, &[u8]) -> Option<&'static str>) -> Self {
        let numbered = self.names.iter().enumerate();
        let labels: Vec<Option<&str>> = numbered.map(|(number, name)| label(number, name)).collect();
        if labels.iter().all(Option::is_none) {
            return self;
        }
        let mut names = Names::default();
        let new = self.names.iter().zip(labels).map(|(name, label)| label.map_or(name, str::as_bytes));
        let number: Vec<u32> = new.map(|name| names.intern(name)).collect();
        self.series.iter_mut().for_each(|series| series.key = renumber(series.key, &number));
        Self::new(&names, &self.series, self.events)
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
        let node = |s: &SeriesRef<'_>| s.key.table() == Some(Table::Node);
        self.series.iter().filter(node).map(|series| series.requests()).fold(0, u64::saturating_add)
    }
}

/// Series with new numbers of their names, ascending by key; those of one key are merged.
fn in_order(series: &SeriesList, number: &[u32]) -> SeriesList {
    let keys = series.iter().map(|series| renumber(series.key, number));
    // Series are large: sorting them would move each many times.
    let mut order: Vec<(Key, usize)> = keys.zip(0..).collect();
    // By key alone: many of one key take no longer to sort than few.
    order.sort_unstable_by_key(|(key, _)| *key);
    let mut sorted = SeriesList::default();
    let mut sum = LatencySum::default();
    for of_key in order.chunk_by(|(a, _), (b, _)| a == b) {
        let mut all = of_key.iter().map(|(key, at)| Series { key: *key, ..series.get(*at) });
        let Some(mut first) = all.next() else { continue };
        if all.len() == 0 {
            sorted.push(&first);
            continue;
        }
        sum.add(&first.latency);
        for next in all {
            first.merge_counters(&next);
            sum.add(&next.latency);
        }
        sorted.push(&Series { key: first.key, counters: first.counters, latency: sum.take() });
    }
    sorted
}

/// Merges sorted series, none of which holds a key twice.
fn merge_sorted<'a>(
    earlier: impl Iterator<Item = SeriesRef<'a>>,
    later: impl Iterator<Item = SeriesRef<'a>>,
) -> SeriesList {
    let mut merged = SeriesList::default();
    let mut later = later.peekable();
    for series in earlier {
        while let Some(before) = later.next_if(|next| next.key < series.key) {
            merged.push(&before);
        }
        match later.next_if(|next| next.key == series.key) {
            Some(same) => merged.push(&series.merged(&same)),
            None => merged.push(&series),
        }
    }
    later.for_each(|series| merged.push(&series));
    merged
}

/// Merges sorted names without twins; the numbers that those of each side have among all.
fn merge_names(earlier: &NameList, later: &NameList) -> (NameList, [Vec<u32>; 2]) {
    let mut names = NameList::default();
    let mut numbers = [Vec::with_capacity(earlier.len()), Vec::with_capacity(later.len())];
    let mut later = later.iter().peekable();
    for name in earlier.iter() {
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

/// A key whose name has a new number.
fn renumber(key: Key, number: &[u32]) -> Key {
    if key.has_name() { key.with_name(number[key.name() as usize]) } else { key }
}

/// A series whose name has a new number.
fn renumbered<'a>(series: SeriesRef<'a>, number: &[u32]) -> SeriesRef<'a> {
    Series { key: renumber(series.key, number), ..series }
}
