//! Which buckets are series of their own: a stranger can invent bucket names without end, but not successes.

use std::{cmp::Reverse, collections::BTreeSet};

use foldhash::fast::FixedState;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    AdmissionSettings, Contents, OTHER, Table, UNKNOWN_BUCKET, family::Limited, series::counter,
    tally::NO_BUCKET,
};
use crate::point::TimestampMs;

/// The last success of a bucket is remembered to the hour, so that a busy bucket is not written anew every minute.
const GRAIN_MS: i64 = 3_600_000;

/// The admitted buckets of a stream. A bucket is admitted by the close of the window of its first 2xx or 304, stays so
/// for a day after its last, and keeps its series in that time whatever it answers. The decision is taken for a whole
/// window at its close, ties by count and then name, so that the order of lines does not matter.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    settings: AdmissionSettings,
    always: BTreeSet<Vec<u8>>,
    admitted: hashbrown::HashMap<Vec<u8>, Admitted, FixedState>,
    /// Buckets whose entry changed since [`take_changes`](Self::take_changes).
    changed: BTreeSet<Vec<u8>>,
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Admitted {
    /// The end of the hour of its last success.
    last_ms: TimestampMs,
    /// Start of the window that admitted it; the beginning of time for what a store kept.
    since_ms: TimestampMs,
}

/// What a window counted for one name.
#[derive(Clone, Copy, Default)]
struct Total {
    requests: u64,
    successes: u64,
}

impl Admission {
    /// With nothing admitted but what the settings list. `seed` keys the hashes that decide who stays a candidate.
    pub fn new(settings: AdmissionSettings, seed: u64) -> Self {
        let always = settings.always.iter().map(|name| name.clone().into_bytes()).collect();
        Self { settings, always, seed, ..Self::default() }
    }

    /// Goes on with what the store has.
    pub fn restore(&mut self, admitted: impl IntoIterator<Item = (String, TimestampMs)>) {
        let entry = |(name, last_ms): (String, _)| {
            (name.into_bytes(), Admitted { last_ms, since_ms: TimestampMs::MIN })
        };
        self.admitted.extend(admitted.into_iter().map(entry));
    }

    /// Entries that changed: bucket, and its new value or `None` where it was dropped.
    pub fn take_changes(&mut self) -> Vec<(String, Option<TimestampMs>)> {
        std::mem::take(&mut self.changed)
            .into_iter()
            .map(|name| {
                let last_ms = self.admitted.get(&name).map(|admitted| admitted.last_ms);
                (String::from_utf8_lossy(&name).into_owned(), last_ms)
            })
            .collect()
    }

    /// How many are admitted.
    pub fn len(&self) -> usize {
        self.admitted.len()
    }

    /// None is.
    pub fn is_empty(&self) -> bool {
        self.admitted.is_empty()
    }

    /// How many names a window may hold before it should ask for [`limit_candidates`](Self::limit_candidates): often
    /// enough to bound memory, seldom enough that it costs nothing.
    pub(super) fn names(&self) -> usize {
        self.settings.candidates.saturating_mul(2).saturating_add(self.admitted.len())
    }

    fn is_admitted(&self, name: &[u8]) -> bool {
        self.admitted.contains_key(name) || self.always.contains(name)
    }

    /// Whether a name may be told apart in a window that is open: it was admitted by a window up to `settled_ms`, or its
    /// rank is not above `highest`. What later windows decided does not count, since how much of this one was read by
    /// then is chance.
    pub(super) fn is_candidate(&self, name: &[u8], highest: u64, settled_ms: TimestampMs) -> bool {
        self.rank(name) <= highest || self.is_settled(name, settled_ms)
    }

    fn is_settled(&self, name: &[u8], settled_ms: TimestampMs) -> bool {
        self.admitted.get(name).is_some_and(|admitted| admitted.since_ms <= settled_ms)
            || self.always.contains(name)
    }

    /// A name's place among candidates: the smaller stays longer.
    fn rank(&self, name: &[u8]) -> u64 {
        xxh3_64_with_seed(name, self.seed)
    }

    /// Forgets candidates of a window beyond the limit: their counts go to `_unknown_`. Gives the highest rank that
    /// still is one, if any had to go. Who is among the smallest in the end was so all the time, and lost nothing.
    pub(super) fn limit_candidates(&self, contents: Contents, settled_ms: TimestampMs) -> Limited {
        if contents.names.len() <= self.settings.candidates {
            return (contents, None);
        }
        let is_candidate = |name: &[u8]| !is_reserved(name) && !self.is_settled(name, settled_ms);
        let names = contents.names.iter();
        let mut ranks: Vec<u64> =
            names.filter(|name| is_candidate(name)).map(|name| self.rank(name)).collect();
        if ranks.len() <= self.settings.candidates {
            return (contents, None);
        }
        let highest = match self.settings.candidates.checked_sub(1) {
            Some(last) => *ranks.select_nth_unstable(last).1,
            None => 0,
        };
        let goes = |name: &[u8]| is_candidate(name) && self.rank(name) > highest;
        (contents.relabel(|_, name| goes(name).then_some(UNKNOWN_BUCKET)), Some(highest))
    }

    /// Labels a closed window's buckets: by their own names, `_unknown_` or `_other_`; and admits.
    pub(super) fn close(
        &mut self,
        contents: Contents,
        start_ms: TimestampMs,
        settled_ms: TimestampMs,
    ) -> Contents {
        let (contents, _) = self.limit_candidates(contents, settled_ms);
        let mut totals = vec![Total::default(); contents.names.len()];
        for series in contents.series.iter().filter(|s| s.key.table() == Some(Table::Bucket)) {
            let total = &mut totals[series.key.name() as usize];
            total.requests = total.requests.saturating_add(series.requests());
            total.successes = total.successes.saturating_add(series.counters[counter::SUCCESSES]);
        }
        let name = |number: &usize| contents.names.get(*number).unwrap_or_default();
        let mut ranked: Vec<usize> = (0..totals.len()).filter(|number| !is_reserved(name(number))).collect();
        self.expire(start_ms);
        let settings = &self.settings;
        if ranked.len() > settings.per_window || self.admitted.len() + ranked.len() > settings.admitted {
            // The order in which places are given away, where they may be too few: listed ones, then most requests first,
            // then by name: the names are sorted, and the sort is stable.
            ranked.sort_by_cached_key(|number| {
                (!self.always.contains(name(number)), Reverse(totals[*number].requests))
            });
        }
        let mut labels = vec![None; totals.len()];
        let mut places = settings.per_window;
        for number in ranked {
            let has_success = totals[number].successes > 0;
            let name = name(&number);
            let is_admitted = if has_success { self.admit(name, start_ms) } else { self.is_admitted(name) };
            labels[number] = match is_admitted {
                true if places > 0 => {
                    places -= 1;
                    None
                }
                false if !has_success => Some(UNKNOWN_BUCKET),
                _ => Some(OTHER),
            };
        }
        contents.settle().relabel(|number, _| labels[number])
    }

    /// The clock was put back: what was admitted after `now_ms` counts from now on.
    pub(super) fn restart(&mut self, now_ms: TimestampMs) {
        let last_ms = end_of_hour(now_ms);
        for (name, admitted) in self.admitted.iter_mut().filter(|(_, admitted)| admitted.last_ms > last_ms) {
            *admitted = Admitted { last_ms, since_ms: TimestampMs::MIN };
            self.changed.insert(name.clone());
        }
    }

    /// Drops those whose last success is too long ago.
    fn expire(&mut self, start_ms: TimestampMs) {
        let keep_ms = self.settings.keep_ms;
        let changed = &mut self.changed;
        self.admitted.retain(|name, admitted| {
            let keep = admitted.last_ms.saturating_add(keep_ms) >= start_ms;
            if !keep {
                changed.insert(name.clone());
            }
            keep
        });
    }

    /// Admits a bucket that had a success, if there is a place left; whether it is admitted now.
    fn admit(&mut self, name: &[u8], start_ms: TimestampMs) -> bool {
        let last_ms = end_of_hour(start_ms);
        let full = self.admitted.len() >= self.settings.admitted;
        match self.admitted.get_mut(name) {
            Some(known) if known.last_ms >= last_ms => return true,
            Some(known) => known.last_ms = last_ms,
            None if self.always.contains(name) => return true,
            None if full => return false,
            None => {
                self.admitted.insert(name.to_vec(), Admitted { last_ms, since_ms: start_ms });
            }
        }
        self.changed.insert(name.to_vec());
        true
    }
}

fn is_reserved(name: &[u8]) -> bool {
    [NO_BUCKET, UNKNOWN_BUCKET, OTHER].iter().any(|reserved| reserved.as_bytes() == name)
}

fn end_of_hour(time_ms: TimestampMs) -> TimestampMs {
    time_ms.div_euclid(GRAIN_MS).saturating_add(1).saturating_mul(GRAIN_MS)
}
