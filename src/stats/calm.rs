//! The usual case of where a line goes, decided once for many lines.

use crate::point::TimestampMs;

/// Where the next line goes if its time is of the usual: to the windows of the line before, and nothing closes. What that
/// is, was decided once, for that line; to decide it again for each costs as much as counting them.
#[derive(Debug)]
pub(super) struct Calm {
    pub(super) from_ms: TimestampMs,
    /// Not this one any more.
    pub(super) until_ms: TimestampMs,
    /// The wall clock that this was decided by.
    pub(super) now_ms: Option<TimestampMs>,
    /// Where the windows are.
    pub(super) node: usize,
    pub(super) bucket: usize,
    /// As [`Context::settled_ms`](super::tally::Context::settled_ms) is for them.
    pub(super) settled_ms: TimestampMs,
}

impl Calm {
    /// For no line at all.
    pub(super) const OVER: Self = Self {
        from_ms: TimestampMs::MAX,
        until_ms: TimestampMs::MIN,
        now_ms: None,
        node: 0,
        bucket: 0,
        settled_ms: TimestampMs::MIN,
    };

    /// Whether a line of this time that was read at this time goes there.
    #[inline]
    pub(super) fn holds(&self, time_ms: TimestampMs, now_ms: Option<TimestampMs>) -> bool {
        self.from_ms <= time_ms && time_ms < self.until_ms && self.now_ms == now_ms
    }

    pub(super) fn is_over(&self) -> bool {
        self.from_ms > self.until_ms
    }
}
