//! Which windows an input covers whole, and may write.

use std::{collections::BTreeSet, fmt};

use super::{Limits, scan::Scan};
use crate::{
    point::TimestampMs,
    stats::{PartId, TIMES_MS, WindowKind, WindowSettings},
    store::Range,
};

/// Why a window is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The input begins in it or after it: earlier lines of it are elsewhere.
    BeforeInput,
    /// The input ends before the window is over and its late lines are in.
    AfterInput,
    /// `run` on this host counted it: it is in the store.
    CountedByRun,
    /// Not in `--since` … `--until`.
    OutsidePeriod,
    /// The target has more lines of it than the input.
    RicherThere,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeInput => "the input begins in it, and may lack earlier lines of it",
            Self::AfterInput => "the input ends before all of its lines can be in",
            Self::CountedByRun => "`run` counted it; `rgwlens resend` sends it again",
            Self::OutsidePeriod => "outside of --since and --until",
            Self::RicherThere => "what is there has more lines of it than the input",
        })
    }
}

/// Windows of one kind in a row that were left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Windows of which kind.
    pub kind: WindowKind,
    /// Start of the first.
    pub from_ms: TimestampMs,
    /// End of the last.
    pub until_ms: TimestampMs,
    /// Why.
    pub why: Why,
    /// Lines in them, counted once for windows of nodes, once for windows of buckets.
    pub lines: u64,
}

/// What may be written.
#[derive(Clone, Debug)]
pub struct Coverage {
    first_ms: TimestampMs,
    watermark_ms: TimestampMs,
    windows: WindowSettings,
    limits: Limits,
    /// Starts of windows of the node that stay as they are.
    richer: BTreeSet<TimestampMs>,
}

impl Coverage {
    pub(super) fn new(scan: &Scan, windows: &WindowSettings, limits: Limits) -> Self {
        Self {
            first_ms: scan.first_ms.unwrap_or(TimestampMs::MAX),
            watermark_ms: scan.watermark_ms.unwrap_or(TimestampMs::MIN),
            windows: *windows,
            limits,
            richer: BTreeSet::new(),
        }
    }

    /// Of an input that begins with this time, and may end at any.
    pub(super) fn from(first_ms: TimestampMs, windows: &WindowSettings, limits: Limits) -> Self {
        Self { first_ms, watermark_ms: TIMES_MS.1, windows: *windows, limits, richer: BTreeSet::new() }
    }

    /// The same of one that is read as far as this.
    pub(super) fn read_to(&mut self, watermark_ms: TimestampMs) {
        self.watermark_ms = watermark_ms;
    }

    /// The same but for these windows of the node, and those of buckets that hold one of them.
    pub(super) fn without(mut self, richer: BTreeSet<TimestampMs>) -> Self {
        self.richer = richer;
        self
    }

    fn length(&self, kind: WindowKind) -> i64 {
        match kind {
            WindowKind::Node => self.windows.node_ms,
            WindowKind::Bucket => self.windows.bucket_ms,
        }
    }

    /// Why a window is left out; `None` if it may be written.
    pub fn why_not(&self, id: &PartId) -> Option<Why> {
        let counted_from = self.limits.counted_from_ms.map(|ms| ms - ms.rem_euclid(id.length_ms));
        if id.start_ms <= self.first_ms - self.first_ms.rem_euclid(id.length_ms) {
            Some(Why::BeforeInput)
        } else if id.end_ms().saturating_add(self.windows.lateness_ms) > self.watermark_ms {
            Some(Why::AfterInput)
        } else if counted_from.is_some_and(|from| id.start_ms >= from) {
            Some(Why::CountedByRun)
        } else if id.start_ms < self.limits.period.from_ms || id.end_ms() > self.limits.period.until_ms {
            Some(Why::OutsidePeriod)
        } else if self.richer.range(id.start_ms..id.end_ms()).next().is_some() {
            Some(Why::RicherThere)
        } else {
            None
        }
    }

    /// First and last moment of all windows of a kind that may be written.
    fn bounds(&self, kind: WindowKind) -> Option<Range> {
        let length = self.length(kind);
        let floor = |ms: TimestampMs| ms - ms.rem_euclid(length);
        let ceil = |ms: TimestampMs| floor(ms.saturating_add(length - 1));
        let Range { from_ms: since, until_ms: until } = self.limits.period;
        let mut from_ms = floor(self.first_ms).checked_add(length)?;
        if since > from_ms {
            from_ms = ceil(since);
        }
        let mut until_ms =
            floor(self.watermark_ms.saturating_sub(self.windows.lateness_ms)).min(floor(until));
        if let Some(counted) = self.limits.counted_from_ms {
            until_ms = until_ms.min(floor(counted));
        }
        (from_ms < until_ms).then_some(Range { from_ms, until_ms })
    }

    /// All of time in which something may be written; `None` if there is none.
    pub fn range(&self) -> Option<Range> {
        let node = self.bounds(WindowKind::Node)?;
        Some(match self.bounds(WindowKind::Bucket) {
            Some(bucket) => Range {
                from_ms: node.from_ms.min(bucket.from_ms),
                until_ms: node.until_ms.max(bucket.until_ms),
            },
            None => node,
        })
    }

    /// Why nothing may be written at all, where [`range`](Self::range) is empty: the first bound that leaves something
    /// when it is taken away.
    pub fn why_nothing(&self) -> Why {
        let mut wider = Self { limits: Limits { counted_from_ms: None, ..self.limits }, ..self.clone() };
        if wider.range().is_some() {
            return Why::CountedByRun;
        }
        wider.limits.period = Range::ALL;
        if wider.range().is_some() { Why::OutsidePeriod } else { Why::AfterInput }
    }

    /// What has to be deleted before these windows are written: ranges of windows by kind, without what stays.
    pub(super) fn deletions(&self) -> impl Iterator<Item = (WindowKind, Vec<Range>)> {
        [WindowKind::Node, WindowKind::Bucket].into_iter().filter_map(|kind| {
            let bounds = self.bounds(kind)?;
            let length = self.length(kind);
            let mut ranges = Vec::new();
            let mut from_ms = bounds.from_ms;
            for richer in self.richer.range(bounds.from_ms..bounds.until_ms) {
                let start = richer - richer.rem_euclid(length);
                if start > from_ms {
                    ranges.push(Range { from_ms, until_ms: start });
                }
                from_ms = from_ms.max(start + length);
            }
            if from_ms < bounds.until_ms {
                ranges.push(Range { from_ms, until_ms: bounds.until_ms });
            }
            (!ranges.is_empty()).then_some((kind, ranges))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(first_ms: i64, watermark_ms: i64, limits: Limits) -> Coverage {
        let scan = Scan { first_ms: Some(first_ms), watermark_ms: Some(watermark_ms), ..Scan::default() };
        Coverage::new(&scan, &WindowSettings::default(), limits)
    }

    const FREE: Limits = Limits { period: Range::ALL, counted_from_ms: None };

    fn node(start_ms: i64) -> PartId {
        PartId { kind: WindowKind::Node, start_ms, length_ms: 10_000, k: 0 }
    }

    #[test]
    fn the_first_and_the_last_windows_are_not_whole() {
        let coverage = coverage(100_000, 205_000, FREE);
        assert_eq!(coverage.why_not(&node(100_000)), Some(Why::BeforeInput), "even if it begins with it");
        assert_eq!(coverage.why_not(&node(90_000)), Some(Why::BeforeInput));
        assert_eq!(coverage.why_not(&node(110_000)), None);
        assert_eq!(coverage.why_not(&node(180_000)), None, "ends 15 s before the last line");
        assert_eq!(coverage.why_not(&node(190_000)), Some(Why::AfterInput));
        assert_eq!(coverage.range(), Some(Range { from_ms: 110_000, until_ms: 190_000 }));
    }

    #[test]
    fn what_run_counted_and_what_was_not_asked_for_stays() {
        let limits =
            Limits { period: Range { from_ms: 115_000, until_ms: i64::MAX }, counted_from_ms: Some(155_000) };
        let coverage = coverage(100_000, 305_000, limits);
        assert_eq!(coverage.why_not(&node(110_000)), Some(Why::OutsidePeriod));
        assert_eq!(coverage.why_not(&node(120_000)), None);
        assert_eq!(coverage.why_not(&node(140_000)), None);
        assert_eq!(coverage.why_not(&node(150_000)), Some(Why::CountedByRun));
        assert_eq!(coverage.range(), Some(Range { from_ms: 120_000, until_ms: 150_000 }));
    }

    #[test]
    fn nothing_has_a_reason() {
        let period = Range { from_ms: 900_000, until_ms: i64::MAX };
        for (watermark_ms, limits, why) in [
            (130_000, FREE, Why::AfterInput),
            (500_000, Limits { counted_from_ms: Some(100_000), ..FREE }, Why::CountedByRun),
            (130_000, Limits { counted_from_ms: Some(100_000), ..FREE }, Why::AfterInput),
            (500_000, Limits { period, ..FREE }, Why::OutsidePeriod),
            (500_000, Limits { period, counted_from_ms: Some(100_000) }, Why::OutsidePeriod),
        ] {
            let coverage = coverage(100_000, watermark_ms, limits);
            assert_eq!(coverage.range(), None, "{limits:?}");
            assert_eq!(coverage.why_nothing(), why, "{limits:?}");
        }
    }

    #[test]
    fn richer_windows_split_what_is_deleted() {
        let coverage = coverage(100_000, 500_000, FREE).without(BTreeSet::from([200_000, 210_000]));
        let deletions: Vec<_> = coverage.deletions().collect();
        let range = |from_ms, until_ms| Range { from_ms, until_ms };
        assert_eq!(
            deletions,
            [
                (WindowKind::Node, vec![range(110_000, 200_000), range(220_000, 480_000)]),
                (WindowKind::Bucket, vec![range(120_000, 180_000), range(240_000, 480_000)]),
            ]
        );
        let bucket = PartId { kind: WindowKind::Bucket, start_ms: 180_000, length_ms: 60_000, k: 0 };
        assert_eq!(coverage.why_not(&bucket), Some(Why::RicherThere));
        for (kind, ranges) in deletions {
            for Range { from_ms, until_ms } in ranges {
                let length_ms = coverage.length(kind);
                for start_ms in (from_ms..until_ms).step_by(length_ms as usize) {
                    assert_eq!(coverage.why_not(&PartId { kind, start_ms, length_ms, k: 0 }), None);
                }
            }
        }
    }
}
