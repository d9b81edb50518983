//! Which buckets are series of their own: a stranger can invent bucket names without end, but not successes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{AdmissionSettings, Contents, OTHER, Table, UNKNOWN_BUCKET, series::counter, tally::NO_BUCKET};
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
    /// Bucket and the end of the hour of its last success.
    admitted: BTreeMap<Vec<u8>, TimestampMs>,
    /// Buckets whose entry changed since [`take_changes`](Self::take_changes).
    changed: BTreeSet<Vec<u8>>,
    seed: u64,
}

impl Admission {
    /// With nothing admitted but what the settings list. `seed` keys the hashes that decide who stays a candidate.
    pub fn new(settings: AdmissionSettings, seed: u64) -> Self {
        let always = settings.always.iter().map(|name| name.clone().into_bytes()).collect();
        Self { settings, always, seed, ..Self::default() }
    }

    /// Goes on with what the store has.
    pub fn restore(&mut self, admitted: impl IntoIterator<Item = (String, TimestampMs)>) {
        self.admitted.extend(admitted.into_iter().map(|(name, until)| (name.into_bytes(), until)));
    }

    /// Entries that changed: bucket, and its new value or `None` where it was dropped.
    pub fn take_changes(&mut self) -> Vec<(String, Option<TimestampMs>)> {
        std::mem::take(&mut self.changed)
            .into_iter()
            .map(|name| {
                let until = self.admitted.get(&name).copied();
                (String::from_utf8_lossy(&name).into_owned(), until)
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

    pub(super) fn is_admitted(&self, name: &[u8]) -> bool {
        self.admitted.contains_key(name) || self.always.contains(name)
    }

    /// A name's place among candidates: the smaller stays longer.
    pub(super) fn rank(&self, name: &[u8]) -> u64 {
        xxh3_64_with_seed(name, self.seed)
    }

    /// Forgets candidates of an open window beyond the limit: their counts go to `_unknown_`. Gives the highest rank
    /// that still is one, if any had to go.
    pub(super) fn limit_candidates(&self, contents: Contents) -> (Contents, Option<u64>) {
        if contents.names.len() <= self.settings.candidates {
            return (contents, None);
        }
        let reserved = |name: &[u8]| [NO_BUCKET, UNKNOWN_BUCKET, OTHER].iter().any(|r| r.as_bytes() == name);
        let mut ranks: Vec<u64> = contents
            .names
            .iter()
            .filter(|name| !self.is_admitted(name) && !reserved(name))
            .map(|name| self.rank(name))
            .collect();
        if ranks.len() <= self.settings.candidates {
            return (contents, None);
        }
        let (_, highest, _) = ranks.select_nth_unstable(self.settings.candidates.max(1) - 1);
        let highest = *highest;
        let keep = |name: &[u8]| reserved(name) || self.rank(name) <= highest || self.is_admitted(name);
        let contents = contents.rename(|name| if keep(name) { name.to_vec() } else { UNKNOWN_BUCKET.into() });
        (contents, Some(highest))
    }

    /// Labels a closed window's buckets: by their own names, `_unknown_` or `_other_`; and admits.
    pub(super) fn close(&mut self, contents: Contents, start_ms: TimestampMs) -> Contents {
        let mut totals: HashMap<&[u8], (u64, u64)> = HashMap::new();
        for series in contents.series.iter().filter(|s| s.key.table() == Some(Table::Bucket)) {
            let Some(name) = contents.names.get(series.key.name() as usize) else { continue };
            let total = totals.entry(name).or_default();
            total.0 += series.requests();
            total.1 += series.counters[counter::SUCCESSES];
        }
        for reserved in [NO_BUCKET, UNKNOWN_BUCKET, OTHER] {
            totals.remove(reserved.as_bytes());
        }
        // Most requests first, then by name: the order in which places are given away.
        let mut ranked: Vec<(&[u8], (u64, u64))> = totals.into_iter().collect();
        ranked.sort_by(|(a, (x, _)), (b, (y, _))| y.cmp(x).then(a.cmp(b)));
        self.expire(start_ms);
        self.admit(&ranked, start_ms);
        let mut labels: HashMap<Vec<u8>, &'static str> = HashMap::new();
        let mut places = self.settings.per_window;
        for (name, (_, successes)) in ranked {
            if !self.is_admitted(name) {
                labels.insert(name.into(), if successes > 0 { OTHER } else { UNKNOWN_BUCKET });
            } else if places == 0 {
                labels.insert(name.into(), OTHER);
            } else {
                places -= 1;
            }
        }
        contents.relabel(|name| labels.get(name).map_or_else(|| name.to_vec(), |label| (*label).into()))
    }

    /// Drops those whose last success is too long ago.
    fn expire(&mut self, now_ms: TimestampMs) {
        let keep_ms = self.settings.keep_ms;
        let changed = &mut self.changed;
        self.admitted.retain(|name, last| {
            let keep = last.saturating_add(keep_ms) >= now_ms;
            if !keep {
                changed.insert(name.clone());
            }
            keep
        });
    }

    fn admit(&mut self, ranked: &[(&[u8], (u64, u64))], start_ms: TimestampMs) {
        let last = start_ms.div_euclid(GRAIN_MS).saturating_add(1).saturating_mul(GRAIN_MS);
        for (name, (_, successes)) in ranked {
            if *successes == 0 {
                continue;
            }
            match self.admitted.get(*name) {
                Some(known) if *known >= last => continue,
                None if self.admitted.len() >= self.settings.admitted => continue,
                _ => self.admitted.insert(name.to_vec(), last),
            };
            self.changed.insert(name.to_vec());
        }
    }
}
