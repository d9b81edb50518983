//! Counting while a window is open: dense rows and flat samples, nothing allocated per request once warm.
//!
//! A histogram touched for every line costs more than parsing the line (its buckets are never in the cache), so
//! latencies are appended as one small integer each, (row, bucket), and sorted once when the window is packed. And to
//! fetch a row takes the processor longer than to parse a line: requests are booked many at a time, so that it fetches
//! many rows side by side, where it would wait for each between two lines.

mod batch;
mod bucket;
mod node;
mod rows;

use std::ops::Range;

use batch::Booking;
pub use batch::{Batch, LANES};
pub(super) use bucket::{BucketTally, Context, NO_TAG};
pub(super) use node::NodeTally;

use self::bucket::Kind;
use super::{Contents, EventSettings};

/// Requests without a bucket.
pub const NO_BUCKET: &str = "_none_";
/// Buckets that never answered with success here, so that a stranger's inventions make no series.
pub const UNKNOWN_BUCKET: &str = "_unknown_";
/// Buckets over the caps, and upstreams over theirs.
pub const OTHER: &str = "_other_";

/// What a window counts with while it is open.
pub(super) trait Tally: Default {
    /// What it has to know of its window.
    type Context<'a>;

    /// Counts these requests of a batch.
    fn book(&mut self, batch: &Batch, range: Range<usize>, context: &Self::Context<'_>);
    /// Hands out what was counted since the last time, and starts again from nothing.
    fn pack(&mut self) -> Contents;
    /// Nothing counted since the last time.
    fn is_empty(&self) -> bool;
    /// With so many more requests it would not yet have to be packed; `names` is how many names are enough.
    fn has_room(&self, requests: usize, names: usize) -> bool;
    /// Goes on with a window of which this much was packed before a restart.
    fn resume(&mut self, packed: &Contents, events: &EventSettings);
    /// What it counts from here on is another window's. Only after [`pack`](Self::pack).
    fn reuse(&mut self);
    /// Takes contents that nobody needs any more, for the memory of the next ones that are [packed](Self::pack).
    fn take_memory(&mut self, _contents: Contents) {}
}

/// Counts lines under their reason. There are few reasons.
pub(super) fn add_lines(reasons: &mut Vec<(&'static str, u64)>, reason: &'static str, lines: u64) {
    match reasons.iter_mut().find(|(known, _)| *known == reason) {
        Some((_, count)) => *count += lines,
        None => reasons.push((reason, lines)),
    }
}
