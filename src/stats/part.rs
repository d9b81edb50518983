//! What leaves a window when it closes: immutable from then on.

use super::Contents;
use crate::point::TimestampMs;

/// Which series a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowKind {
    /// Node totals, statuses, upstreams, events, the log itself.
    Node,
    /// Buckets, operations, sizes.
    Bucket,
}

/// Identity of a part within its stream, and of its points: they stand at [`time_ms`](Self::time_ms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId {
    /// Which series.
    pub kind: WindowKind,
    /// Start of the window.
    pub start_ms: TimestampMs,
    /// Its length, ms.
    pub length_ms: i64,
    /// 0 for the window as it closed; then one more for each part of late lines. Below `length_ms`.
    pub k: u32,
}

impl PartId {
    /// Timestamp of its points. `k` milliseconds into the window: no finer, since VictoriaMetrics keeps no finer.
    pub fn time_ms(&self) -> TimestampMs {
        self.start_ms.saturating_add(i64::from(self.k))
    }

    /// First moment after the window.
    pub fn end_ms(&self) -> TimestampMs {
        self.start_ms.saturating_add(self.length_ms)
    }
}

/// A closed window of one stream, or lines that came after it closed. Never changes: whoever sends it again, in
/// whatever order, sends the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Identity.
    pub id: PartId,
    /// What was counted.
    pub contents: Contents,
}

/// What was counted in a window that is still open since the last commit: appended to the store, merged at close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Which window.
    pub window: OpenWindow,
    /// What was counted.
    pub contents: Contents,
}

/// Identity of an open window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenWindow {
    /// Which series.
    pub kind: WindowKind,
    /// Start.
    pub start_ms: TimestampMs,
    /// Length, ms.
    pub length_ms: i64,
    /// For a window of late lines, the watermark at which it closes; `None` for one on time. Of one start one can close
    /// and the next open between two commits: they never have the same time here.
    pub late_until_ms: Option<TimestampMs>,
}
