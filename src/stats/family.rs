//! All windows of one length: open ones, late ones, and which were closed.

use std::{cell::Cell, collections::BTreeMap, ops::Range};

use super::{
    Contents, EventSettings, Fragment, OpenWindow, Part, PartId, WindowKind,
    closed::Closed,
    lengths::Lengths,
    open::Open,
    tally::{Batch, Tally},
};
use crate::point::TimestampMs;

/// Windows of late lines open at a time, where they are not held. Beyond it the oldest closes early: a log that is read
/// after the time has passed it by is in order, so the oldest has what it will get. One part more at worst, no loss.
const LATE_WINDOWS: usize = 32;

/// Windows of late lines held to the end of input. Beyond it the oldest closes early, so that files in the wrong order
/// (or a file that holds two) take no more memory than this: where they are in order among themselves it has all its
/// lines by then, and else there is one part more.
pub(super) const HELD_WINDOWS: usize = 512;

/// Where a line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its window is open, or will be opened by it.
    OnTime,
    /// Its window has closed.
    Late,
    /// Its window begins in a future that the clock does not believe in: it must not wait for that.
    Ahead,
    /// No number is left for one more part of its window: as good as expired.
    Nowhere,
}

/// Contents made smaller, and the highest rank that is a candidate still, if any had to go.
pub(super) type Limited = (Contents, Option<u64>);

/// One window while it is open.
#[derive(Debug)]
pub(super) struct Window<T> {
    tally: T,
    /// Packed because the tally was full, and not handed out yet.
    packed: Contents,
    /// Handed out as fragments.
    stored: Contents,
    /// Candidates above this rank are none any more.
    highest_candidate: u64,
    length_ms: i64,
    late_until_ms: Option<TimestampMs>,
}

/// Late ones by their start.
type Windows<T> = BTreeMap<TimestampMs, Window<T>>;

/// Windows of one length, aligned to the epoch.
#[derive(Debug)]
pub(super) struct Family<T> {
    kind: WindowKind,
    lengths: Lengths,
    /// Start and end of the window that was asked for last.
    last: Cell<(TimestampMs, TimestampMs)>,
    lateness_ms: i64,
    /// Late windows wait for the end of input.
    hold_late: bool,
    /// Windows that begin before this are due: the watermark has passed their end by the lateness.
    boundary_ms: TimestampMs,
    /// Nothing is due until the watermark gets here.
    next_due_ms: TimestampMs,
    open: Open<T>,
    /// Late windows that close by the watermark: few.
    late: Windows<T>,
    /// Late windows that wait for the end of input: at most [`HELD_WINDOWS`].
    held: Windows<T>,
    /// When the last late window that was opened closes. No two get the same time: it tells those of one start apart.
    last_until_ms: TimestampMs,
    closed: Closed,
    /// Windows that began before this may have been counted in part by a store that was lost, and the id of this one.
    fresh: Option<(TimestampMs, u64)>,
    /// The next part's number of windows that have late parts.
    next_k: BTreeMap<TimestampMs, u32>,
    /// `next_k` entries that changed since they were last asked for.
    changed_k: Vec<TimestampMs>,
    /// Tallies of closed windows, to be used again: their memory is warm.
    spare: Vec<T>,
}

/// What of a family survives a restart beside the fragments.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub(super) struct FamilyState {
    lengths: Lengths,
    closed: Closed,
    fresh: Option<(TimestampMs, u64)>,
}

impl<T: Tally> Family<T> {
    pub(super) fn new(kind: WindowKind, length_ms: i64, lateness_ms: i64, hold_late: bool) -> Self {
        Self {
            kind,
            lengths: Lengths::new(length_ms),
            last: Cell::default(),
            lateness_ms,
            hold_late,
            boundary_ms: TimestampMs::MIN,
            next_due_ms: TimestampMs::MIN,
            open: Open::new(),
            late: BTreeMap::new(),
            held: BTreeMap::new(),
            last_until_ms: TimestampMs::MIN,
            closed: Closed::default(),
            fresh: None,
            next_k: BTreeMap::new(),
            changed_k: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Start of the window that holds a time.
    #[inline]
    pub(super) fn start_of(&self, time_ms: TimestampMs) -> TimestampMs {
        // Neighbouring lines are of one window: no need to divide again.
        let (start_ms, end_ms) = self.last.get();
        if (start_ms..end_ms).contains(&time_ms) { start_ms } else { self.find_start(time_ms) }
    }

    #[cold]
    fn find_start(&self, time_ms: TimestampMs) -> TimestampMs {
        let start_ms = self.lengths.start_of(time_ms);
        self.last.set((start_ms, start_ms.saturating_add(self.lengths.at(start_ms))));
        start_ms
    }

    /// Windows that begin before this time may have been counted by a store that was lost: parts of them get numbers of
    /// this instance's own.
    pub(super) fn fresh_until(&mut self, time_ms: TimestampMs, instance: u64) {
        self.fresh = Some((time_ms, instance));
    }

    /// Whether something closes at this watermark.
    #[inline]
    pub(super) fn is_due(&self, watermark_ms: TimestampMs) -> bool {
        watermark_ms >= self.next_due_ms
    }

    /// Where a line of the window that begins at `start_ms` belongs, by the lines before it and nothing else.
    #[inline]
    pub(super) fn place(&self, start_ms: TimestampMs, ahead: bool) -> Place {
        if start_ms >= self.boundary_ms && !ahead && !self.closed.contains(start_ms) {
            return Place::OnTime;
        }
        let last_k = self.lengths.at(start_ms) - 1;
        let exhausted = self.next_k.get(&start_ms).is_some_and(|k| i64::from(*k) > last_k);
        match exhausted {
            true => Place::Nowhere,
            false if ahead => Place::Ahead,
            false => Place::Late,
        }
    }

    /// Where in the open ones the window is that a line belongs to if it is [on time](Place::OnTime), and the times of all
    /// such lines up to the next moment that something closes. `None` if there is no such window.
    pub(super) fn calm(&self, start_ms: TimestampMs) -> Option<(usize, Range<TimestampMs>)> {
        let end_ms = start_ms.saturating_add(self.lengths.at(start_ms));
        Some((self.open.find(start_ms).ok()?, start_ms..end_ms.min(self.next_due_ms)))
    }

    /// The window at a place that [`calm`](Self::calm) gave; it is another one, or none, once a window was opened or closed.
    #[inline]
    pub(super) fn at(&mut self, place: usize) -> Option<&mut Window<T>> {
        self.open.at(place)
    }

    /// The window that begins at `start_ms`, opened if need be.
    #[inline]
    pub(super) fn window(
        &mut self,
        start_ms: TimestampMs,
        place: Place,
        watermark_ms: Option<TimestampMs>,
    ) -> &mut Window<T> {
        if place != Place::OnTime {
            return self.late_window(start_ms, watermark_ms);
        }
        let (spare, lengths) = (&mut self.spare, &self.lengths);
        self.open.get_or_insert_with(start_ms, || Window::new(spare, lengths.at(start_ms), None))
    }

    #[cold]
    fn late_window(&mut self, start_ms: TimestampMs, watermark_ms: Option<TimestampMs>) -> &mut Window<T> {
        let length_ms = self.lengths.at(start_ms);
        let spare = &mut self.spare;
        if self.hold_late {
            let never = Some(TimestampMs::MAX);
            return self.held.entry(start_ms).or_insert_with(|| Window::new(spare, length_ms, never));
        }
        self.late.entry(start_ms).or_insert_with(|| {
            let due_ms = watermark_ms.unwrap_or(TimestampMs::MIN).saturating_add(self.lateness_ms);
            self.last_until_ms = due_ms.max(self.last_until_ms.saturating_add(1));
            self.next_due_ms = self.next_due_ms.min(self.last_until_ms);
            Window::new(spare, length_ms, Some(self.last_until_ms))
        })
    }

    /// Closes what the watermark has passed; `seal` has the last word on the contents of a window.
    pub(super) fn close_due(
        &mut self,
        watermark_ms: TimestampMs,
        seal: impl FnMut(Contents, TimestampMs) -> Contents,
        parts: &mut Vec<Part>,
    ) {
        self.place_boundary(watermark_ms);
        let closing = self.open.take_before(self.boundary_ms);
        if let Some(first_ms) = closing.first_start() {
            self.closed.add(first_ms, self.boundary_ms);
        }
        let late = self.take_due_late(watermark_ms);
        self.emit(closing.into_iter().chain(late), seal, parts);
        let end_ms = self.boundary_ms.saturating_add(self.lengths.at(self.boundary_ms));
        let late_ms = self.late.values().filter_map(|window| window.late_until_ms).min();
        self.next_due_ms = end_ms.saturating_add(self.lateness_ms).min(late_ms.unwrap_or(TimestampMs::MAX));
    }

    fn take_due_late(&mut self, watermark_ms: TimestampMs) -> Windows<T> {
        let all = std::mem::take(&mut self.late).into_iter();
        let (due, waiting) = all.partition(|(_, window)| window.late_until_ms <= Some(watermark_ms));
        self.late = waiting;
        due
    }

    /// Closes the oldest late window while there are too many.
    #[cold]
    pub(super) fn bound_late(
        &mut self,
        mut seal: impl FnMut(Contents, TimestampMs) -> Contents,
        parts: &mut Vec<Part>,
    ) {
        while self.late.len() > LATE_WINDOWS {
            let oldest = self.late.pop_first();
            self.emit(oldest.into_iter(), &mut seal, parts);
        }
        while self.held.len() > HELD_WINDOWS {
            let oldest = self.held.pop_first();
            self.emit(oldest.into_iter(), &mut seal, parts);
        }
    }

    /// Closes everything: there is no more input.
    pub(super) fn close_all(
        &mut self,
        seal: impl FnMut(Contents, TimestampMs) -> Contents,
        parts: &mut Vec<Part>,
    ) {
        let open = self.open.take();
        let late = std::mem::take(&mut self.late).into_iter().chain(std::mem::take(&mut self.held));
        self.mark_closed(&open);
        self.emit(open.into_iter().chain(late), seal, parts);
    }

    /// The clock was wrong, and was put right to `now_ms`: what lies after that closes now instead of waiting for its
    /// time to come again, and what has closed stays so.
    pub(super) fn restart(
        &mut self,
        now_ms: TimestampMs,
        seal: impl FnMut(Contents, TimestampMs) -> Contents,
        parts: &mut Vec<Part>,
    ) {
        let ahead = self.open.take_from(now_ms.saturating_add(1));
        let late = std::mem::take(&mut self.late);
        self.mark_closed(&ahead);
        self.emit(ahead.into_iter().chain(late), seal, parts);
        self.last_until_ms = TimestampMs::MIN;
        self.next_due_ms = TimestampMs::MIN;
    }

    fn place_boundary(&mut self, watermark_ms: TimestampMs) {
        self.boundary_ms = self.start_of(watermark_ms.saturating_sub(self.lateness_ms));
    }

    fn mark_closed(&mut self, windows: &Open<T>) {
        if let (Some(first_ms), Some((last_ms, window))) = (windows.first_start(), windows.last()) {
            self.closed.add(first_ms, last_ms.saturating_add(window.length_ms));
        }
    }

    fn emit(
        &mut self,
        closing: impl Iterator<Item = (TimestampMs, Window<T>)>,
        mut seal: impl FnMut(Contents, TimestampMs) -> Contents,
        parts: &mut Vec<Part>,
    ) {
        for (start_ms, window) in closing {
            let (length_ms, late) = (window.length_ms, window.late_until_ms.is_some());
            let (contents, tally) = window.into_contents();
            if self.spare.len() < SPARE {
                self.spare.push(tally);
            }
            if contents.is_empty() {
                continue;
            }
            let k = if late {
                self.next_number(start_ms, length_ms)
            } else {
                self.first_number(start_ms, length_ms)
            };
            let id = PartId { kind: self.kind, start_ms, length_ms, k };
            parts.push(Part { id, contents: seal(contents, start_ms) });
        }
    }

    /// Takes contents that nobody needs any more, for their memory.
    pub(super) fn reuse(&mut self, contents: Contents) {
        if let Some(tally) = self.spare.last_mut() {
            tally.take_memory(contents);
        }
    }

    /// The number of a window as it closes on time: 0, but where a store that was lost may have used that. Then one in
    /// the third quarter of the window, by the instance, so that what several lost stores left does not meet either.
    fn first_number(&self, start_ms: TimestampMs, length_ms: i64) -> u32 {
        match self.fresh {
            Some((until, instance)) if start_ms < until => {
                let length = length_ms.unsigned_abs();
                (length / 2 + instance % (length / 4).max(1)) as u32
            }
            _ => 0,
        }
    }

    /// The number of the next late part of a window. They begin after the number of the window on time, used or not.
    fn next_number(&mut self, start_ms: TimestampMs, length_ms: i64) -> u32 {
        let first = self.first_number(start_ms, length_ms);
        let next = self.next_k.entry(start_ms).or_insert(first + 1);
        let k = *next;
        *next += 1;
        self.changed_k.push(start_ms);
        k
    }

    /// What was counted in open windows since the last time.
    pub(super) fn fragments(
        &mut self,
        limit: impl Fn(Contents, TimestampMs) -> Limited,
        fragments: &mut Vec<Fragment>,
    ) {
        let kind = self.kind;
        for (start_ms, window) in self.open.iter_mut().chain(&mut self.late).chain(&mut self.held) {
            if let Some(contents) = window.hand_out(|contents| limit(contents, *start_ms)) {
                fragments.push(Fragment { window: window.id(kind, *start_ms), contents });
            }
        }
    }

    /// Takes up a fragment that the store kept.
    pub(super) fn resume(
        &mut self,
        fragment: Fragment,
        events: &EventSettings,
        limit: impl Fn(Contents, TimestampMs) -> Limited,
    ) {
        let OpenWindow { start_ms, length_ms, late_until_ms, .. } = fragment.window;
        self.last_until_ms = self.last_until_ms.max(late_until_ms.unwrap_or(TimestampMs::MIN));
        let open = || Window::new(&mut self.spare, length_ms, late_until_ms);
        let window = match late_until_ms {
            Some(_) => self.late.entry(start_ms).or_insert_with(open),
            None => self.open.get_or_insert_with(start_ms, open),
        };
        window.tally.resume(&fragment.contents, events);
        window.stored.merge(fragment.contents);
        window.limit_stored(|contents| limit(contents, start_ms));
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
        FamilyState { lengths: self.lengths.clone(), closed: self.closed.clone(), fresh: self.fresh }
    }

    /// Goes on where a stored state left off. A length that was changed meanwhile counts from a boundary after
    /// `watermark_ms`.
    pub(super) fn restore(&mut self, state: FamilyState, watermark_ms: TimestampMs) {
        let wanted_ms = self.lengths.at(TimestampMs::MAX);
        self.lengths = state.lengths;
        self.lengths.change(wanted_ms, watermark_ms);
        self.last = Cell::default();
        self.closed = state.closed;
        self.fresh = state.fresh;
        self.place_boundary(watermark_ms);
    }

    /// Start of the oldest window that is open.
    pub(super) fn oldest_open(&self) -> Option<TimestampMs> {
        let late = [&self.late, &self.held].into_iter().filter_map(|windows| windows.keys().next().copied());
        late.chain(self.open.first_start()).min()
    }

    fn all(&self) -> impl Iterator<Item = (&TimestampMs, &Window<T>)> {
        self.open.iter().chain(&self.late).chain(&self.held)
    }

    /// Identities of all windows that are open.
    pub(super) fn open_ids(&self) -> impl Iterator<Item = OpenWindow> {
        self.all().map(|(start_ms, window)| window.id(self.kind, *start_ms))
    }

    /// What was handed out as fragments of the windows that are open.
    pub(super) fn stored(&self) -> impl Iterator<Item = &Contents> {
        self.all().map(|(_, window)| &window.stored)
    }
}

#[cfg(test)]
impl Family<super::tally::BucketTally> {
    pub(super) fn names_held(&self) -> usize {
        let held = |window: &Window<super::tally::BucketTally>| {
            window.tally.names_held() + window.packed.names.len() + window.stored.names.len()
        };
        self.all().map(|(_, window)| held(window)).sum()
    }
}

/// Tallies kept for windows to come: as many as are open in the ordinary course.
const SPARE: usize = 4;

impl<T: Tally> Window<T> {
    fn new(spare: &mut Vec<T>, length_ms: i64, late_until_ms: Option<TimestampMs>) -> Self {
        Self {
            tally: spare.pop().unwrap_or_default(),
            packed: Contents::default(),
            stored: Contents::default(),
            highest_candidate: u64::MAX,
            length_ms,
            late_until_ms,
        }
    }

    fn id(&self, kind: WindowKind, start_ms: TimestampMs) -> OpenWindow {
        OpenWindow { kind, start_ms, length_ms: self.length_ms, late_until_ms: self.late_until_ms }
    }

    #[inline]
    pub(super) fn tally(&mut self) -> &mut T {
        &mut self.tally
    }

    #[inline]
    pub(super) fn highest_candidate(&self) -> u64 {
        self.highest_candidate
    }

    /// Counts requests, and packs what the tally holds when that is enough, so that memory stays bounded between two
    /// commits.
    #[inline]
    pub(super) fn book(
        &mut self,
        batch: &Batch,
        range: Range<usize>,
        context: &T::Context<'_>,
        names: usize,
        limit: impl Fn(Contents) -> Limited,
    ) {
        self.tally.book(batch, range, context);
        if !self.has_room(0, names) {
            self.pack(limit);
        }
    }

    /// Whether so many more requests may be counted before it is packed.
    #[inline]
    pub(super) fn has_room(&self, requests: usize, names: usize) -> bool {
        self.tally.has_room(requests, names)
    }

    #[cold]
    fn pack(&mut self, limit: impl Fn(Contents) -> Limited) {
        self.packed.merge(self.tally.pack());
        let (packed, highest) = limit(std::mem::take(&mut self.packed));
        self.packed = packed;
        self.highest_candidate = highest.unwrap_or(u64::MAX).min(self.highest_candidate);
    }

    fn limit_stored(&mut self, limit: impl Fn(Contents) -> Limited) {
        let (stored, highest) = limit(std::mem::take(&mut self.stored));
        self.stored = stored;
        self.highest_candidate = highest.unwrap_or(u64::MAX).min(self.highest_candidate);
    }

    /// A copy of what was counted since the last time; `None` for nothing.
    fn hand_out(&mut self, limit: impl Fn(Contents) -> Limited) -> Option<Contents> {
        if !self.tally.is_empty() {
            self.pack(&limit);
        }
        if self.packed.is_empty() {
            return None;
        }
        let contents = std::mem::take(&mut self.packed);
        self.stored.merge(contents.clone());
        self.limit_stored(limit);
        Some(contents)
    }

    fn into_contents(mut self) -> (Contents, T) {
        self.stored.merge(self.packed);
        self.stored.merge(self.tally.pack());
        self.tally.reuse();
        (self.stored, self.tally)
    }
}
