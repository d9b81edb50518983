//! Counting while a window is open: dense rows and flat samples, nothing allocated per request once warm.
//!
//! A histogram touched for every line costs more than parsing the line (its buckets are never in the cache), so
//! latencies are appended as one small integer each, (row, bucket), and sorted once when the window is packed. And to
//! fetch a row takes the processor longer than to parse a line: requests are booked many at a time, so that it fetches
//! many rows side by side, where it would wait for each between two lines.

mod bucket;
mod node;
mod rows;

pub(super) use bucket::{BucketTally, NO_TAG};
pub(super) use node::NodeTally;

use self::bucket::Kind;
use super::{Admission, Contents, EventSettings, Outcome, Request};
use crate::point::TimestampMs;

/// Requests without a bucket.
pub const NO_BUCKET: &str = "_none_";
/// Buckets that never answered with success here, so that a stranger's inventions make no series.
pub const UNKNOWN_BUCKET: &str = "_unknown_";
/// Buckets over the caps, and upstreams over theirs.
pub const OTHER: &str = "_other_";

/// What a window counts with while it is open.
pub(super) trait Tally: Default {
    /// Counts requests.
    fn book(&mut self, bookings: &[Booking]);
    /// Hands out what was counted since the last time, and starts again from nothing.
    fn pack(&mut self) -> Contents;
    /// Nothing counted since the last time.
    fn is_empty(&self) -> bool;
    /// It holds so much that it should be packed now; `names` is how many names are enough.
    fn is_full(&self, names: usize) -> bool;
    /// Goes on with a window of which this much was packed before a restart.
    fn resume(&mut self, packed: &Contents, events: &EventSettings);
    /// What it counts from here on is another window's. Only after [`pack`](Self::pack).
    fn reuse(&mut self);
}

/// What decides about the name of a bucket that is new in a window.
pub(super) struct Context<'a> {
    pub(super) admission: &'a Admission,
    /// Names not admitted whose keyed hash is above this are not candidates in this window any more.
    pub(super) highest_candidate: u64,
    /// Admissions by windows up to this one are settled before this one opens.
    pub(super) settled_ms: TimestampMs,
}

/// What is counted of a request: where, by the numbers of the tallies that it is for, and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booking {
    /// From [`NodeTally::row`].
    node_row: u32,
    /// From [`BucketTally::number`]; the length of the name before that is known.
    bucket: u32,
    kind: Kind,
    /// Of an ok request, if the log has it.
    latency_ms: Option<u32>,
    bytes_in: u64,
    bytes_out: u64,
    status: u16,
    outcome: Outcome,
    slow: bool,
    success: bool,
}

impl Booking {
    /// For a bucket whose number is [found](Self::find_number) later.
    #[inline(always)]
    pub(super) fn unnumbered(request: &Request<'_>, node_row: u32, name: &[u8]) -> Self {
        Self::new(request, node_row, name.len() as u32)
    }

    /// Finds the number of its bucket, whose name is the next one.
    #[inline]
    pub(super) fn find_number(&mut self, names: &mut &[u8], number: impl FnOnce(&[u8]) -> u32) {
        let (name, rest) = names.split_at(self.bucket as usize);
        self.bucket = number(name);
        *names = rest;
    }

    #[inline(always)]
    pub(super) fn new(request: &Request<'_>, node_row: u32, bucket: u32) -> Self {
        Self {
            node_row,
            bucket,
            kind: Kind::of(request),
            latency_ms: request.record.request_time_ms.filter(|_| request.outcome == Outcome::Ok),
            bytes_in: request.bytes_in,
            bytes_out: request.bytes_out,
            status: request.record.status,
            outcome: request.outcome,
            slow: request.slow,
            success: matches!(request.record.status, 200..=299 | 304),
        }
    }
}

/// Counts lines under their reason. There are few reasons.
pub(super) fn add_lines(reasons: &mut Vec<(&'static str, u64)>, reason: &'static str, lines: u64) {
    match reasons.iter_mut().find(|(known, _)| *known == reason) {
        Some((_, count)) => *count += lines,
        None => reasons.push((reason, lines)),
    }
}
