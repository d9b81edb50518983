//! What was counted in a window, or in a piece of one: series, and the events kept. Compact, mergeable, immutable.

use super::{Event, Key, Names, Series, Table, series::counter};

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
        let mut used: Vec<u32> = series.iter().filter(|s| s.key.has_name()).map(|s| s.key.name()).collect();
        used.sort_unstable();
        used.dedup();
        used.sort_unstable_by_key(|id| names.get(*id));
        let mut number = vec![0; names.len()];
        for (position, id) in used.iter().enumerate() {
            number[*id as usize] = position as u32;
        }
        series = renumber(series, &number);
        // Stable and nearly sorted already: the tallies hand series out table by table.
        series.sort_by_key(|s| s.key);
        series.dedup_by(|later, earlier| {
            let same = later.key == earlier.key;
            if same {
                earlier.merge(later);
            }
            same
        });
        let names = used.into_iter().map(|id| names.get(id).into()).collect();
        Self { names, series, events }
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
        let mut names = Names::default();
        let mut series = Vec::with_capacity(self.series.len() + later.series.len());
        let mut events = std::mem::take(&mut self.events);
        for contents in [std::mem::take(self), later] {
            let number: Vec<u32> = contents.names.iter().map(|name| names.intern(name)).collect();
            series.extend(renumber(contents.series, &number));
            events.extend(contents.events);
        }
        *self = Self::new(&names, series, events);
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

/// Series whose names have new numbers.
fn renumber(mut series: Vec<Series>, number: &[u32]) -> Vec<Series> {
    for series in series.iter_mut().filter(|s| s.key.has_name()) {
        series.key = series.key.with_name(number[series.key.name() as usize]);
    }
    series
}
