//! All windows of one length: open ones, late ones, and which were closed.

use std::collections::BTreeMap;

use super::{
    Contents, Fragment, OpenWindow, Part, PartId, WindowKind,
    tally::{Context, Tally},
};
use crate::point::TimestampMs;

/// Windows of late lines open at a time. Beyond it the one that is due first closes early: one part more, no loss.
const LATE_WINDOWS: usize = 1024;

/// Where a line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its window is open, or will be opened by it.
    OnTime,
    /// Its window has closed.
    Late,
    /// Its window has closed, and no number is left for one more part of it: as good as expired.
    Nowhere,
}

/// One window while it is open.
#[derive(Debug)]
pub(super) struct Window<T> {
    tally: T,
    /// What was packed before: at commits, and when the tally was full.
    packed: Contents,
    /// Candidates above this rank are none any more.
    highest_candidate: u64,
    late_until_ms: Option<TimestampMs>,
}

/// Windows of one length, aligned to the epoch.
#[derive(Debug)]
pub(super) struct Family<T> {
    kind: WindowKind,
    length_ms: i64,
    /// A changed length, and the boundary common to both from which on it counts.
    next_length: Option<(TimestampMs, i64)>,
    lateness_ms: i64,
    /// Windows that begin before this are due: the watermark has passed their end by the lateness.
    boundary_ms: TimestampMs,
    open: BTreeMap<TimestampMs, Window<T>>,
    late: BTreeMap<TimestampMs, Window<T>>,
    /// Stretches of time whose windows have closed, `[from, until)`, the current one last. More than one only where
    /// the clock was wrong for a while.
    closed: Vec<(TimestampMs, TimestampMs)>,
    /// Windows that began before this may have been counted in part by a store that was lost: their parts have numbers
    /// from `first_k` on.
    fresh_until_ms: TimestampMs,
    first_k: u32,
    /// The next part's number of windows that have late parts.
    next_k: BTreeMap<TimestampMs, u32>,
    /// `next_k` entries that changed since they were last asked for.
    changed_k: Vec<TimestampMs>,
    /// Tallies of closed windows, to be used again: their memory is warm.
    spare: Vec<T>,
}

/// What of a family survives a restart beside the fragments.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct FamilyState {
    length_ms: i64,
    next_length: Option<(TimestampMs, i64)>,
    closed: Vec<(TimestampMs, TimestampMs)>,
    fresh_until_ms: TimestampMs,
    first_k: u32,
}

impl<T: Tally> Family<T> {
    pub(super) fn new(kind: WindowKind, length_ms: i64, lateness_ms: i64) -> Self {
        Self {
            kind,
            length_ms,
            next_length: None,
            lateness_ms,
            boundary_ms: TimestampMs::MIN,
            open: BTreeMap::new(),
            late: BTreeMap::new(),
            closed: Vec::new(),
            fresh_until_ms: TimestampMs::MIN,
            first_k: 0,
            next_k: BTreeMap::new(),
            changed_k: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Length of the windows at a time.
    #[inline]
    fn length_at(&self, time_ms: TimestampMs) -> i64 {
        match self.next_length {
            Some((from, length)) if time_ms >= from => length,
            _ => self.length_ms,
        }
    }

    /// Start of the window that holds a time.
    #[inline]
    pub(super) fn start_of(&self, time_ms: TimestampMs) -> TimestampMs {
        time_ms.saturating_sub(time_ms.rem_euclid(self.length_at(time_ms)))
    }

    /// Windows that begin before this time may have been counted by a store that was lost.
    pub(super) fn fresh_until(&mut self, time_ms: TimestampMs, instance: u64) {
        self.fresh_until_ms = time_ms;
        let quarter = (self.length_ms as u64 / 4).max(1);
        self.first_k = (self.length_ms as u64 / 2 + instance % quarter) as u32;
    }

    /// Tells the watermark, whenever it moves.
    #[inline]
    pub(super) fn observe(&mut self, watermark_ms: TimestampMs) {
        let passed_ms = watermark_ms.saturating_sub(self.lateness_ms);
        // Between two boundaries, which is nearly always, there is nothing to work out.
        if passed_ms < self.boundary_ms || passed_ms >= self.boundary_ms.saturating_add(self.length_ms) {
            self.boundary_ms = self.start_of(passed_ms);
        }
    }

    /// Where a line of the window that begins at `start_ms` belongs, by the lines before it and nothing else.
    #[inline]
    pub(super) fn place(&self, start_ms: TimestampMs) -> Place {
        if start_ms >= self.boundary_ms && !self.is_closed(start_ms) {
            return Place::OnTime;
        }
        let last_k = self.length_at(start_ms) - 1;
        let exhausted = self.next_k.get(&start_ms).is_some_and(|k| i64::from(*k) > last_k);
        if exhausted { Place::Nowhere } else { Place::Late }
    }

    fn is_closed(&self, start_ms: TimestampMs) -> bool {
        self.closed.iter().any(|(from, until)| (*from..*until).contains(&start_ms))
    }

    /// The tally of the window that begins at `start_ms`, opened if need be. `late_until_ms` for a late one.
    #[inline]
    pub(super) fn window(
        &mut self,
        start_ms: TimestampMs,
        late_until_ms: Option<TimestampMs>,
    ) -> &mut Window<T> {
        let windows = if late_until_ms.is_some() { &mut self.late } else { &mut self.open };
        let spare = &mut self.spare;
        windows.entry(start_ms).or_insert_with(|| Window {
            tally: spare.pop().unwrap_or_default(),
            packed: Contents::default(),
            highest_candidate: u64::MAX,
            late_until_ms,
        })
    }

    /// Closes what the watermark has passed; `seal` has the last word on the contents.
    pub(super) fn close_due(
        &mut self,
        watermark_ms: TimestampMs,
        seal: impl FnMut(Contents, TimestampMs) -> Contents,
        parts: &mut Vec<Part>,
    ) {
        let still_open = self.open.split_off(&self.boundary_ms);
        let closing = std::mem::replace(&mut self.open, still_open);
        if let Some(first) = closing.keys().next() {
            self.mark_closed(*first, self.boundary_ms);
        }
        let full = self.late.len() > LATE_WINDOWS;
        let is_due =
            |_: &TimestampMs, w: &mut Window<T>| w.late_until_ms.is_none_or(|until| until <= watermark_ms);
        let mut late: Vec<_> = self.late.extract_if(.., is_due).collect();
        if full {
            late.extend(self.late.pop_first());
        }
        self.emit(closing.into_iter().chain(late), seal, parts);
        if let Some((from, length)) = self.next_length
            && self.boundary_ms >= from
        {
            (self.length_ms, self.next_length) = (length, None);
        }
    }

    /// Closes everything: there is no more input.
    pub(super) fn close_all(
        &mut self,
        seal: impl FnMut(Contents, TimestampMs) -> Contents,
        parts: &mut Vec<Part>,
    ) {
        let open = std::mem::take(&mut self.open);
        let late = std::mem::take(&mut self.late);
        if let (Some(first), Some(last)) = (open.keys().next(), open.keys().next_back()) {
            self.mark_closed(*first, *last + self.length_at(*last));
        }
        self.emit(open.into_iter().chain(late), seal, parts);
    }

    /// Windows from `from` to `until` have closed: the current stretch grows.
    fn mark_closed(&mut self, from: TimestampMs, until: TimestampMs) {
        match self.closed.last_mut() {
            Some(current) => *current = (current.0.min(from), current.1.max(until)),
            None => self.closed.push((from, until)),
        }
    }

    fn emit(
        &mut self,
        closing: impl Iterator<Item = (TimestampMs, Window<T>)>,
        mut seal: impl FnMut(Contents, TimestampMs) -> Contents,
        parts: &mut Vec<Part>,
    ) {
        for (start_ms, mut window) in closing {
            window.packed.merge(window.tally.pack());
            if self.spare.len() < 4 {
                self.spare.push(window.tally);
            }
            if window.packed.is_empty() {
                continue;
            }
            let k = self.number(start_ms, window.late_until_ms.is_some());
            let id = PartId { kind: self.kind, start_ms, length_ms: self.length_at(start_ms), k };
            parts.push(Part { id, contents: seal(window.packed, start_ms) });
        }
    }

    /// The number of the next part of a window. 0 is kept for the window as it closed on time.
    fn number(&mut self, start_ms: TimestampMs, late: bool) -> u32 {
        let fresh = start_ms < self.fresh_until_ms;
        let on_time = if fresh { self.first_k } else { 0 };
        let known = self.next_k.get(&start_ms).copied();
        if !late && !fresh && known.is_none() {
            return on_time;
        }
        let k = known.unwrap_or(if late { on_time + 1 } else { on_time });
        self.next_k.insert(start_ms, k + 1);
        self.changed_k.push(start_ms);
        k
    }

    /// The clock was wrong, and was put right to `now_ms`: what closed in the wrong time stays closed, and closing
    /// begins anew here.
    pub(super) fn restart(&mut self, now_ms: TimestampMs) {
        self.closed.retain(|(from, until)| from < until);
        let start = self.start_of(now_ms);
        self.closed.push((start, start));
    }

    /// What was counted in open windows since the last time.
    pub(super) fn fragments(
        &mut self,
        limit: impl Fn(Contents) -> (Contents, Option<u64>),
        fragments: &mut Vec<Fragment>,
    ) {
        let ids: Vec<OpenWindow> = self.open_ids().collect();
        for (id, window) in ids.into_iter().zip(self.open.values_mut().chain(self.late.values_mut())) {
            if !window.tally.is_empty() {
                fragments.push(Fragment { window: id, contents: window.pack(&limit) });
            }
        }
    }

    /// Takes up a fragment that the store kept.
    pub(super) fn resume(&mut self, fragment: Fragment, context: &Context<'_>) {
        let OpenWindow { start_ms, late_until_ms, .. } = fragment.window;
        let window = self.window(start_ms, late_until_ms);
        window.tally.resume(&fragment.contents, context);
        window.packed.merge(fragment.contents);
    }

    /// Numbers of windows with late parts that changed since the last time: start, next number.
    pub(super) fn take_changed_k(&mut self) -> Vec<(TimestampMs, u32)> {
        let mut changed = std::mem::take(&mut self.changed_k);
        changed.sort_unstable();
        changed.dedup();
        changed.into_iter().filter_map(|start| Some((start, *self.next_k.get(&start)?))).collect()
    }

    /// Goes on with numbers that the store kept.
    pub(super) fn restore_k(&mut self, start_ms: TimestampMs, next_k: u32) {
        self.next_k.insert(start_ms, next_k);
    }

    /// Forgets the numbers of windows below the floor: no part can be made of them any more.
    pub(super) fn forget_below(&mut self, floor_ms: TimestampMs) {
        self.next_k = self.next_k.split_off(&floor_ms);
    }

    pub(super) fn state(&self) -> FamilyState {
        FamilyState {
            length_ms: self.length_ms,
            next_length: self.next_length,
            closed: self.closed.clone(),
            fresh_until_ms: self.fresh_until_ms,
            first_k: self.first_k,
        }
    }

    /// Goes on where a stored state left off. A length that was changed meanwhile counts from the first boundary that
    /// both lengths have after `watermark_ms`: points of two lengths never stand at one time.
    pub(super) fn restore(&mut self, state: FamilyState, watermark_ms: TimestampMs) {
        let wanted = self.length_ms;
        self.length_ms = state.length_ms;
        self.next_length = state.next_length;
        self.closed = state.closed;
        self.fresh_until_ms = state.fresh_until_ms;
        self.first_k = state.first_k;
        self.observe(watermark_ms);
        let last = self.next_length.map_or(self.length_ms, |(_, length)| length);
        if last != wanted {
            let both = self.length_ms / gcd(self.length_ms, wanted) * wanted;
            let closed = self.closed.iter().map(|(_, until)| *until).max();
            let after = closed.unwrap_or(watermark_ms).max(watermark_ms);
            let from = after.saturating_sub(after.rem_euclid(both)).saturating_add(both);
            self.next_length = (self.length_ms != wanted).then_some((from, wanted));
        }
    }

    /// Start of the oldest window that is open.
    pub(super) fn oldest_open(&self) -> Option<TimestampMs> {
        let first = |windows: &BTreeMap<TimestampMs, Window<T>>| windows.keys().next().copied();
        first(&self.open).into_iter().chain(first(&self.late)).min()
    }

    /// Identities of all windows that are open.
    pub(super) fn open_ids(&self) -> impl Iterator<Item = OpenWindow> {
        self.open.iter().chain(&self.late).map(|(start_ms, window)| OpenWindow {
            kind: self.kind,
            start_ms: *start_ms,
            length_ms: self.length_at(*start_ms),
            late_until_ms: window.late_until_ms,
        })
    }

    /// All windows that are open, with what was packed of them.
    pub(super) fn open_windows(&self) -> impl Iterator<Item = &Window<T>> {
        self.open.values().chain(self.late.values())
    }
}

impl<T: Tally> Window<T> {
    #[inline]
    pub(super) fn tally(&mut self) -> &mut T {
        &mut self.tally
    }

    pub(super) fn highest_candidate(&self) -> u64 {
        self.highest_candidate
    }

    pub(super) fn packed(&self) -> &Contents {
        &self.packed
    }

    /// Packs what the tally holds when that is enough.
    #[inline]
    pub(super) fn pack_if_full(&mut self, limit: impl Fn(Contents) -> (Contents, Option<u64>)) {
        if self.tally.is_full() {
            self.pack(limit);
        }
    }

    /// Packs what the tally holds, and gives a copy of that.
    fn pack(&mut self, limit: impl Fn(Contents) -> (Contents, Option<u64>)) -> Contents {
        let contents = self.tally.pack();
        let mut packed = std::mem::take(&mut self.packed);
        packed.merge(contents.clone());
        let (packed, highest) = limit(packed);
        self.packed = packed;
        self.highest_candidate = highest.unwrap_or(u64::MAX).min(self.highest_candidate);
        contents
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
