//! The windows of one stream: where lines go, and when what they added up to is final.

use std::ops::Range;

use super::{
    Admission, Contents, Fragment, OpenWindow, Part, Request, Settings, WindowKind,
    calm::Calm,
    event::Wanted,
    family::{Family, FamilyState, Place, Window},
    tally::{Batch, BucketTally, Context, NodeTally, add_lines},
};
use crate::point::TimestampMs;

/// A line this far ahead of the wall clock does not move the watermark, and a wall clock this far behind the watermark
/// takes it back, ms.
pub(super) const CLOCK_SKEW_MS: i64 = 300_000;

/// Without a wall clock (replay), so many lines in a row have to agree on a jump of more than [`CLOCK_SKEW_MS`].
const JUMP_LINES: u32 = 100;

/// The first and the last time that an output can say, ms: nanoseconds in 64 bits. A clock beyond them counts at their edge.
pub const TIMES_MS: (TimestampMs, TimestampMs) = (-9_200_000_000_000, 9_200_000_000_000);

/// What is done with a request and its line.
pub type Look<'l> = dyn FnMut(&Request<'_>, &[u8]) + 'l;

/// How many lines a stream ever had, and what became of them. Conservation: `lines = counted + rejected + expired`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Lines given to these windows.
    pub lines: u64,
    /// Counted in a window.
    pub counted: u64,
    /// Not of the format.
    pub rejected: u64,
    /// Older than what is kept.
    pub expired: u64,
    /// Of those counted, ones whose window had closed.
    pub late: u64,
    /// Requests in parts that closed.
    pub closed: u64,
    /// Lines of the log that are about no request, and so among none of the above: radosgw's log is not only access lines.
    #[serde(default)]
    pub skipped: u64,
}

impl Totals {
    /// Whether every line became exactly one thing.
    pub fn conserved(&self) -> bool {
        self.lines == self.counted + self.rejected + self.expired
    }
}

/// What of the windows survives a restart beside fragments, admitted buckets and numbers of late parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct WindowsState {
    /// Greatest event time seen, within reason.
    pub watermark_ms: Option<TimestampMs>,
    last_ms: Option<TimestampMs>,
    pending: Vec<(String, u64)>,
    /// Totals of the stream.
    pub totals: Totals,
    /// Time of the first line ever.
    pub first_ms: Option<TimestampMs>,
    /// Earliest time of a line that is not older than the first one by more than the lateness: workers write out of
    /// order, so what was counted begins with it. `None` in stores of before.
    pub earliest_ms: Option<TimestampMs>,
    node: FamilyState,
    bucket: FamilyState,
}

/// All open windows of a stream. Pure: time comes with the lines and by [`advance`](Self::advance).
#[derive(Debug)]
pub struct Windows {
    settings: Settings,
    wanted: Wanted,
    node: Family<NodeTally>,
    bucket: Family<BucketTally>,
    admission: Admission,
    calm: Calm,
    /// For a request that comes alone.
    single: Option<Box<Batch>>,
    /// Greatest event time seen, within reason.
    watermark_ms: Option<TimestampMs>,
    /// Time of the last line that was counted: rejected lines are booked there.
    last_ms: Option<TimestampMs>,
    /// Rejected lines before the first that was counted.
    pending: Vec<(&'static str, u64)>,
    /// Lines in a row beyond a jump without a wall clock, and the earliest of them.
    jump: Option<(u32, TimestampMs)>,
    /// Time of the first line ever.
    first_ms: Option<TimestampMs>,
    /// As [`WindowsState::earliest_ms`] has it.
    earliest_ms: TimestampMs,
    /// Windows before this are pruned: lines for them are expired.
    floor_ms: TimestampMs,
    /// Parts that closed and were not asked for yet.
    closed: Vec<Part>,
    /// Set for a store of its own, `None` where everything is read from the beginning (replay).
    instance: Option<u64>,
    totals: Totals,
}

impl Windows {
    /// For a stream that is followed. `instance` is the store's id: a new store cannot know what an earlier one counted
    /// of the windows that the first lines fall into, so parts of these get numbers of their own.
    pub fn live(settings: Settings, admission: Admission, instance: u64) -> Self {
        Self { instance: Some(instance), ..Self::new(settings, admission, false) }
    }

    /// For files that are read from their beginning: what is late is held to the end, and forms one part a window.
    pub fn replay(settings: Settings, admission: Admission) -> Self {
        Self::new(settings, admission, true)
    }

    fn new(settings: Settings, admission: Admission, hold_late: bool) -> Self {
        let windows = settings.windows;
        Self {
            node: Family::new(WindowKind::Node, windows.node_ms, windows.lateness_ms, hold_late),
            bucket: Family::new(WindowKind::Bucket, windows.bucket_ms, windows.lateness_ms, hold_late),
            wanted: Wanted::new(&settings.events),
            settings,
            admission,
            calm: Calm::OVER,
            single: None,
            watermark_ms: None,
            last_ms: None,
            pending: Vec::new(),
            jump: None,
            first_ms: None,
            earliest_ms: TimestampMs::MAX,
            floor_ms: TimestampMs::MIN,
            closed: Vec::new(),
            instance: None,
            totals: Totals::default(),
        }
    }

    /// Counts a request. `line` is the whole line; `now_ms` the wall clock when it was read, `None` for the past.
    pub fn record(&mut self, request: &Request<'_>, line: &[u8], now_ms: Option<TimestampMs>) {
        let mut single = self.single.take().unwrap_or_default();
        single.clear();
        single.push(request);
        single.measure(&self.settings.slow, self.wanted);
        self.record_all(&single, now_ms, |_, each| each(request, line));
        self.single = Some(single);
    }

    /// Counts requests. `look` hands over one of them and its line, and is asked for those that may be kept as events, in their
    /// order.
    pub fn record_all(
        &mut self,
        batch: &Batch,
        now_ms: Option<TimestampMs>,
        mut look: impl FnMut(usize, &mut Look<'_>),
    ) {
        let (mut next, end) = (0, batch.len());
        while next < end {
            let is_calm = |time_ms: &&TimestampMs| self.calm.holds(**time_ms, now_ms);
            let calm = batch.times_ms(next..end).iter().take_while(is_calm).count();
            if calm > 0 {
                let lanes = next..next + calm;
                for lane in lanes.clone().filter(|lane| batch.is_wanted(*lane)) {
                    // Most come when there is none any more, and to look at one takes as long as to count three.
                    if self.has_room(batch.reason(lane)) {
                        look(lane, &mut |request, line| self.keep(request, line));
                    }
                }
                self.record_calmly(batch, lanes);
                next += calm;
                continue;
            }
            let mut is_counted = false;
            if batch.is_wanted(next) {
                look(next, &mut |request, line| {
                    self.record_anywhere(batch, next, Some((request, line)), now_ms);
                    is_counted = true;
                });
            }
            if !is_counted {
                self.record_anywhere(batch, next, None, now_ms);
            }
            next += 1;
        }
    }

    /// Whether there is room for such an event in the window of the line before.
    fn has_room(&mut self, reason: u8) -> bool {
        let events = &self.settings.events;
        self.node.at(self.calm.node).is_some_and(|node| node.tally().has_room(reason, events))
    }

    /// Keeps a request as an event of the window of the line before, if there is room.
    #[cold]
    #[inline(never)]
    fn keep(&mut self, request: &Request<'_>, line: &[u8]) {
        if let Some(node) = self.node.at(self.calm.node) {
            node.tally().keep(request, line, &self.settings.events);
        }
    }

    /// Counts requests in the windows of the line before.
    fn record_calmly(&mut self, batch: &Batch, lanes: Range<usize>) {
        let times_ms = batch.times_ms(lanes.clone());
        self.totals.lines += lanes.len() as u64;
        self.totals.counted += lanes.len() as u64;
        self.last_ms = times_ms.last().copied();
        self.watermark_ms = self.watermark_ms.max(times_ms.iter().max().copied());
        if let Some(node) = self.node.at(self.calm.node) {
            node.book(batch, lanes.clone(), &(), usize::MAX, |contents| (contents, None));
        }
        if let Some(bucket) = self.bucket.at(self.calm.bucket) {
            book_in(bucket, batch, lanes, &self.admission, self.calm.settled_ms);
        }
    }

    /// Counts a request wherever it belongs, and keeps it if it is an event.
    #[inline(never)]
    fn record_anywhere(
        &mut self,
        batch: &Batch,
        lane: usize,
        event: Option<(&Request<'_>, &[u8])>,
        now_ms: Option<TimestampMs>,
    ) {
        self.settle();
        let time_ms = batch.times_ms(lane..lane + 1)[0].clamp(TIMES_MS.0, TIMES_MS.1);
        if time_ms < self.earliest_ms {
            self.begin(time_ms);
        }
        self.totals.lines += 1;
        let ahead = now_ms.is_some_and(|now| self.is_ahead(time_ms, now));
        let (node_start, bucket_start) = (self.node.start_of(time_ms), self.bucket.start_of(time_ms));
        let node_place = self.node.place(node_start, ahead);
        let bucket_place = self.bucket.place(bucket_start, ahead);
        if bucket_start < self.floor_ms || node_place == Place::Nowhere || bucket_place == Place::Nowhere {
            self.expire();
            return;
        }
        self.totals.counted += 1;

        let lanes = lane..lane + 1;
        let node = self.node.window(node_start, node_place, self.watermark_ms);
        if let Some((request, line)) = event {
            node.tally().keep(request, line, &self.settings.events);
        }
        node.book(batch, lanes.clone(), &(), usize::MAX, |contents| (contents, None));
        if node_place == Place::Late {
            self.totals.late += 1;
            node.tally().late();
        }
        let bucket = self.bucket.window(bucket_start, bucket_place, self.watermark_ms);
        let settled_ms = self.settings.windows.settled_before(bucket_start);
        book_in(bucket, batch, lanes, &self.admission, settled_ms);

        let usual = node_place == Place::OnTime && bucket_place == Place::OnTime;
        if !usual {
            self.bound_late();
        }
        self.last_ms = Some(time_ms);
        if !ahead {
            self.observe(time_ms, now_ms.is_some());
        }
        if !self.pending.is_empty() {
            self.book_pending();
        }
        if usual {
            self.calm_down(node_start, bucket_start, now_ms);
        }
    }

    /// Decides where the lines after one go that was counted on time in these windows.
    fn calm_down(&mut self, node_start: TimestampMs, bucket_start: TimestampMs, now_ms: Option<TimestampMs>) {
        let (Some((node, node_ms)), Some((bucket, bucket_ms)), Some(watermark), None) =
            (self.node.calm(node_start), self.bucket.calm(bucket_start), self.watermark_ms, self.jump)
        else {
            return;
        };
        // Later ones are ahead of the clock, or a jump.
        let believed_ms = now_ms.map_or(watermark, |now| now.clamp(TIMES_MS.0, TIMES_MS.1)) + CLOCK_SKEW_MS;
        let from_ms = node_ms.start.max(bucket_ms.start).max(self.earliest_ms);
        let until_ms = node_ms.end.min(bucket_ms.end).min(believed_ms);
        let settled_ms = self.settings.windows.settled_before(bucket_start);
        self.calm = Calm { from_ms, until_ms, now_ms, node, bucket, settled_ms };
    }

    /// Lets the next line find its windows anew. Whatever opens or closes a window calls it.
    #[inline]
    pub(super) fn settle(&mut self) {
        self.calm = Calm::OVER;
    }

    /// Counts a line that is not of the format: in the window of the line before, the first ones in that of the line
    /// after.
    pub fn reject(&mut self, reason: &'static str) {
        self.totals.lines += 1;
        self.totals.rejected += 1;
        if !self.calm.is_over()
            && let Some(node) = self.node.at(self.calm.node)
        {
            node.tally().reject(reason, 1);
            return;
        }
        add_lines(&mut self.pending, reason, 1);
        self.book_pending();
    }

    /// A line that is about no request: it is none of the stream's lines, and only known by how many there were.
    pub fn skip(&mut self) {
        self.totals.skipped += 1;
    }

    /// The source has nothing more for now, and `now_ms` was the clock before it was asked.
    pub fn advance(&mut self, now_ms: TimestampMs) {
        self.settle();
        let now_ms = now_ms.clamp(TIMES_MS.0, TIMES_MS.1);
        match self.watermark_ms {
            Some(watermark) if watermark > now_ms + CLOCK_SKEW_MS => self.restart(now_ms),
            Some(watermark) if watermark < now_ms => self.move_to(now_ms),
            _ => {}
        }
    }

    /// The parts that became final since the last time. Empty nearly always, and cheap then. Which lines a part holds is
    /// decided by the lines alone, not by when this is asked; ask before [`fragments`](Self::fragments) and
    /// [`state`](Self::state), which speak of what is open after it.
    pub fn close_due(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.closed)
    }

    /// Takes parts that nobody needs any more: those to come get their memory. Without that, the series of a window of a
    /// thousand buckets were given back to the system each minute and asked for again, a page at a time: 3 % of a replay.
    pub fn reuse(&mut self, parts: Vec<Part>) {
        for part in parts.into_iter().filter(|part| part.id.kind == WindowKind::Bucket) {
            self.bucket.reuse(part.contents);
        }
    }

    /// Everything that is open, final or not: there is no more input.
    pub fn close_all(&mut self) -> Vec<Part> {
        self.settle();
        self.close(
            |node, parts| node.close_all(seal_node, parts),
            |bucket, seal, parts| bucket.close_all(seal, parts),
        );
        self.close_due()
    }

    /// What was counted in windows that stay open since the last time: to be appended to the store.
    pub fn fragments(&mut self) -> Vec<Fragment> {
        self.settle();
        debug_assert!(self.closed.is_empty(), "closed parts are in no fragment");
        let mut fragments = Vec::new();
        self.node.fragments(|contents, _| (contents, None), &mut fragments);
        let (admission, windows) = (&self.admission, self.settings.windows);
        let limit = |contents, start| admission.limit_candidates(contents, windows.settled_before(start));
        self.bucket.fragments(limit, &mut fragments);
        fragments
    }

    /// Requests in open windows that have been handed out as fragments.
    pub fn open_requests(&self) -> u64 {
        self.node.stored().map(Contents::node_requests).sum()
    }

    /// All windows that are open.
    pub fn open(&self) -> Vec<OpenWindow> {
        self.node.open_ids().chain(self.bucket.open_ids()).collect()
    }

    /// The admitted buckets.
    pub fn admission(&mut self) -> &mut Admission {
        &mut self.admission
    }

    /// Numbers of late parts that changed since the last time: kind, start, next number.
    pub fn take_changed_k(&mut self) -> Vec<(WindowKind, TimestampMs, u32)> {
        let node = self.node.take_changed_k().into_iter().map(|(start, k)| (WindowKind::Node, start, k));
        let bucket =
            self.bucket.take_changed_k().into_iter().map(|(start, k)| (WindowKind::Bucket, start, k));
        node.chain(bucket).collect()
    }

    /// Parts of windows before this are pruned: lines that come for them now are expired. Never above an open window.
    pub fn set_floor(&mut self, floor_ms: TimestampMs) {
        self.settle();
        let open = self.node.oldest_open().into_iter().chain(self.bucket.oldest_open()).min();
        self.floor_ms = floor_ms.min(open.unwrap_or(floor_ms));
        self.node.forget_below(self.floor_ms);
        self.bucket.forget_below(self.floor_ms);
    }

    /// Which requests are kept one by one.
    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// What became of the lines.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Greatest event time seen, within reason.
    pub fn watermark_ms(&self) -> Option<TimestampMs> {
        self.watermark_ms
    }

    /// Time of the first line ever.
    pub fn first_ms(&self) -> Option<TimestampMs> {
        self.first_ms
    }

    /// What the store keeps of this.
    pub fn state(&self) -> WindowsState {
        WindowsState {
            watermark_ms: self.watermark_ms(),
            last_ms: self.last_ms,
            pending: self.pending.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
            totals: self.totals(),
            first_ms: self.first_ms,
            earliest_ms: self.first_ms.map(|_| self.earliest_ms),
            node: self.node.state(),
            bucket: self.bucket.state(),
        }
    }

    /// Names of buckets that open windows hold.
    #[cfg(test)]
    pub(super) fn names_held(&self) -> usize {
        self.bucket.names_held()
    }

    /// Goes on where the store left off. `known` gives back the reasons of rejects.
    pub fn restore(
        &mut self,
        state: WindowsState,
        fragments: impl IntoIterator<Item = Fragment>,
        next_k: impl IntoIterator<Item = (WindowKind, TimestampMs, u32)>,
        known: impl Fn(&str) -> &'static str,
    ) {
        self.watermark_ms = state.watermark_ms;
        self.last_ms = state.last_ms;
        let known = |reason: &str| if reason == EXPIRED { EXPIRED } else { known(reason) };
        self.pending = state.pending.iter().map(|(reason, count)| (known(reason), *count)).collect();
        self.totals = state.totals;
        self.first_ms = state.first_ms;
        self.earliest_ms = state.earliest_ms.or(state.first_ms).unwrap_or(TimestampMs::MAX);
        if state.first_ms.is_some() {
            let watermark = state.watermark_ms.unwrap_or(TimestampMs::MIN);
            self.node.restore(state.node, watermark);
            self.bucket.restore(state.bucket, watermark);
        }
        for (kind, start_ms, k) in next_k {
            match kind {
                WindowKind::Node => self.node.restore_k(start_ms, k),
                WindowKind::Bucket => self.bucket.restore_k(start_ms, k),
            }
        }
        let (admission, windows) = (&self.admission, self.settings.windows);
        let events = &self.settings.events;
        let limit = |contents, start| admission.limit_candidates(contents, windows.settled_before(start));
        for fragment in fragments {
            match fragment.window.kind {
                WindowKind::Node => self.node.resume(fragment, events, |contents, _| (contents, None)),
                WindowKind::Bucket => self.bucket.resume(fragment, events, limit),
            }
        }
    }

    /// After [`restore`](Self::restore) without some of the fragments: lines that were counted in windows which nobody has
    /// any more become rejected ones, so that the books are right and the loss shows. Gives how many.
    pub fn write_off(&mut self) -> u64 {
        self.settle();
        let lost = self.totals.counted.saturating_sub(self.totals.closed + self.open_requests());
        if lost > 0 {
            self.totals.counted -= lost;
            self.totals.rejected += lost;
            add_lines(&mut self.pending, DAMAGED, lost);
            self.book_pending();
        }
        lost
    }

    /// The first line ever, or one from before it.
    #[cold]
    fn begin(&mut self, time_ms: TimestampMs) {
        if let Some(first_ms) = self.first_ms {
            if time_ms >= first_ms.saturating_sub(self.settings.windows.lateness_ms) {
                self.earliest_ms = time_ms;
            }
            return;
        }
        self.first_ms = Some(time_ms);
        self.earliest_ms = time_ms;
        if let Some(instance) = self.instance {
            let fresh = time_ms.saturating_add(self.settings.windows.lateness_ms);
            self.node.fresh_until(fresh, instance);
            self.bucket.fresh_until(fresh, instance);
        }
    }

    /// Whether a line is from a future that the wall clock does not believe in. Puts the watermark right first if it is
    /// in such a future itself.
    #[inline]
    fn is_ahead(&mut self, time_ms: TimestampMs, now_ms: TimestampMs) -> bool {
        let believed_ms = now_ms.clamp(TIMES_MS.0, TIMES_MS.1) + CLOCK_SKEW_MS;
        let ahead = time_ms > believed_ms;
        match self.watermark_ms {
            Some(watermark) if watermark > believed_ms => self.restart(believed_ms - CLOCK_SKEW_MS),
            None if ahead => self.move_to(believed_ms - CLOCK_SKEW_MS),
            _ => {}
        }
        ahead
    }

    /// Moves the watermark by the time of a line that may do so.
    #[inline]
    fn observe(&mut self, time_ms: TimestampMs, has_clock: bool) {
        match self.watermark_ms {
            Some(watermark) if !has_clock && time_ms > watermark + CLOCK_SKEW_MS => self.jump(time_ms),
            Some(watermark) if time_ms <= watermark => self.jump = None,
            _ => {
                self.jump = None;
                self.move_to(time_ms);
            }
        }
    }

    /// A line far ahead, and no wall clock to ask: it counts once enough of them agree.
    #[cold]
    fn jump(&mut self, time_ms: TimestampMs) {
        let (lines, earliest) = self.jump.unwrap_or((0, time_ms));
        let jump = (lines + 1, earliest.min(time_ms));
        self.jump = Some(jump);
        if jump.0 >= JUMP_LINES {
            self.jump = None;
            self.move_to(jump.1);
        }
    }

    #[inline]
    fn move_to(&mut self, watermark_ms: TimestampMs) {
        self.watermark_ms = Some(watermark_ms);
        if self.node.is_due(watermark_ms) || self.bucket.is_due(watermark_ms) {
            self.close(
                |node, parts| node.close_due(watermark_ms, seal_node, parts),
                |bucket, seal, parts| bucket.close_due(watermark_ms, seal, parts),
            );
        }
    }

    /// The clock was more than a little ahead, and was put right.
    #[cold]
    fn restart(&mut self, now_ms: TimestampMs) {
        self.close(
            |node, parts| node.restart(now_ms, seal_node, parts),
            |bucket, seal, parts| bucket.restart(now_ms, seal, parts),
        );
        self.admission.restart(now_ms);
        self.move_to(now_ms);
    }

    #[cold]
    fn bound_late(&mut self) {
        self.close(
            |node, parts| node.bound_late(seal_node, parts),
            |bucket, seal, parts| bucket.bound_late(seal, parts),
        );
    }

    /// Closes windows of both families, in this order; what closes is kept until it is asked for.
    fn close(
        &mut self,
        node: impl FnOnce(&mut Family<NodeTally>, &mut Vec<Part>),
        bucket: impl FnOnce(
            &mut Family<BucketTally>,
            &mut dyn FnMut(Contents, TimestampMs) -> Contents,
            &mut Vec<Part>,
        ),
    ) {
        let before = self.closed.len();
        node(&mut self.node, &mut self.closed);
        self.totals.closed +=
            self.closed[before..].iter().map(|part| part.contents.node_requests()).sum::<u64>();
        let (admission, windows) = (&mut self.admission, self.settings.windows);
        let mut seal =
            |contents: Contents, start| admission.close(contents, start, windows.settled_before(start));
        bucket(&mut self.bucket, &mut seal, &mut self.closed);
    }

    fn expire(&mut self) {
        self.totals.expired += 1;
        add_lines(&mut self.pending, EXPIRED, 1);
        self.book_pending();
    }

    /// Books lines that have no window of their own in that of the last line counted; in that of the watermark if no
    /// part can be made of it any more, or in the first that is kept. Before any line is counted they wait for it.
    #[cold]
    fn book_pending(&mut self) {
        self.settle();
        // The last line may be from a future that the wall clock does not believe in, or no more: not to be waited for.
        let believed_ms = self.watermark_ms.filter(|_| self.instance.is_some());
        let believed_ms = believed_ms.map_or(TimestampMs::MAX, |watermark| watermark + CLOCK_SKEW_MS);
        let bookable = |time_ms| {
            let start_ms = self.node.start_of(time_ms);
            let place = self.node.place(start_ms, time_ms > believed_ms);
            let kept = self.bucket.start_of(time_ms) >= self.floor_ms && place != Place::Nowhere;
            kept.then_some((start_ms, place))
        };
        // The clock may have been put back to before what is kept: then the first that is.
        let begun = |ms: &TimestampMs| self.last_ms.is_some() && *ms > TimestampMs::MIN;
        let floor_ms = Some(self.floor_ms).filter(begun);
        let floor_ms = floor_ms.map(|ms| ms.saturating_add(self.settings.windows.bucket_ms - 1));
        let times = [self.last_ms, self.watermark_ms.filter(begun), floor_ms];
        let Some((start_ms, place)) = times.into_iter().flatten().find_map(bookable) else { return };
        let tally = self.node.window(start_ms, place, self.watermark_ms).tally();
        for (reason, lines) in self.pending.drain(..) {
            if reason == EXPIRED { tally.expire(lines) } else { tally.reject(reason, lines) }
        }
        if place != Place::OnTime {
            self.bound_late();
        }
    }
}

/// Books requests in a window of buckets.
fn book_in(
    bucket: &mut Window<BucketTally>,
    batch: &Batch,
    lanes: Range<usize>,
    admission: &Admission,
    settled_ms: TimestampMs,
) {
    // Which names are candidates is decided where the tally is packed: after the same request, however many come at a time.
    let names = admission.names();
    let at_once = if bucket.has_room(lanes.len(), names) { lanes.len().max(1) } else { 1 };
    for first in lanes.clone().step_by(at_once) {
        let context = Context { admission, highest_candidate: bucket.highest_candidate(), settled_ms };
        let some = first..lanes.end.min(first + at_once);
        bucket
            .book(batch, some, &context, names, |contents| admission.limit_candidates(contents, settled_ms));
    }
}

/// How a pending line that is older than what is kept is told from rejected ones.
const EXPIRED: &str = "expired";

/// The reason of lines whose counts the store lost.
pub const DAMAGED: &str = "damaged";

/// Nodes have no names to decide about.
fn seal_node(contents: Contents, _start_ms: TimestampMs) -> Contents {
    contents.settle()
}
