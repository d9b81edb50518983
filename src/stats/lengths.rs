//! How long windows are, over time: a length that was changed counts from a boundary on, never for what was before.

use crate::point::TimestampMs;

/// Changes remembered. Lines older than the oldest of them are late by far: any length will do for those.
const CHANGES: usize = 8;

/// Lengths by the time they count from, ascending; the first counts from the beginning of time. Every boundary in it is
/// one of both lengths that meet there, so that no window reaches over it: at each time windows have one length.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Lengths(Vec<(TimestampMs, i64)>);

impl Lengths {
    /// The same length at all times.
    pub(super) fn new(length_ms: i64) -> Self {
        Self(vec![(TimestampMs::MIN, length_ms.max(1))])
    }

    /// Length of the windows at a time.
    #[inline]
    pub(super) fn at(&self, time_ms: TimestampMs) -> i64 {
        self.0.iter().rev().find(|(from, _)| *from <= time_ms).map_or(1, |(_, length)| *length)
    }

    /// Start of the window that holds a time.
    #[inline]
    pub(super) fn start_of(&self, time_ms: TimestampMs) -> TimestampMs {
        time_ms.saturating_sub(time_ms.rem_euclid(self.at(time_ms)))
    }

    /// Goes over to another length: at the first boundary that both have after `watermark_ms`, where no window has been
    /// opened yet. A change that was planned and has not come is forgotten.
    pub(super) fn change(&mut self, length_ms: i64, watermark_ms: TimestampMs) {
        let length_ms = length_ms.max(1);
        self.0.retain(|(from, length)| *length > 0 && (*from <= watermark_ms || *from == TimestampMs::MIN));
        if self.0.is_empty() {
            *self = Self::new(length_ms);
        }
        let now_ms = self.at(watermark_ms);
        if now_ms == length_ms {
            return;
        }
        let both_ms = (now_ms / gcd(now_ms, length_ms)).saturating_mul(length_ms);
        let from_ms = watermark_ms.saturating_sub(watermark_ms.rem_euclid(both_ms)).saturating_add(both_ms);
        self.0.push((from_ms, length_ms));
        if self.0.len() > CHANGES {
            self.0.remove(0);
            self.0[0].0 = TimestampMs::MIN;
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_change_counts_from_the_next_common_boundary() {
        let mut lengths = Lengths::new(10_000);
        lengths.change(15_000, 31_000);
        assert_eq!((lengths.start_of(59_999), lengths.at(59_999)), (50_000, 10_000));
        assert_eq!((lengths.start_of(60_000), lengths.at(74_999)), (60_000, 15_000));
        // It has not come yet when the operator thinks better of it.
        lengths.change(10_000, 32_000);
        assert_eq!(lengths, Lengths::new(10_000));
    }

    #[test]
    fn what_was_before_keeps_its_length_after_two_changes() {
        let mut lengths = Lengths::new(10_000);
        lengths.change(60_000, 0);
        lengths.change(5_000, 125_000);
        let found: Vec<_> =
            [59_999, 60_000, 179_999, 180_000].map(|t| (lengths.start_of(t), lengths.at(t))).into();
        assert_eq!(found, [(50_000, 10_000), (60_000, 60_000), (120_000, 60_000), (180_000, 5_000)]);
    }

    #[test]
    fn a_state_without_sense_is_replaced() {
        for mut lengths in [Lengths::default(), Lengths(vec![(TimestampMs::MIN, 0)]), Lengths(vec![(0, -5)])]
        {
            lengths.change(10_000, 7);
            assert_eq!(lengths, Lengths::new(10_000));
        }
    }

    proptest! {
        #[test]
        fn windows_never_reach_over_a_change(
            changes in prop::collection::vec((prop::sample::select(vec![1_000i64, 2_000, 5_000, 7_000, 10_000, 60_000]), 0i64..500_000), 1..20),
            times in prop::collection::vec(-200_000i64..6_000_000, 50),
        ) {
            let mut lengths = Lengths::new(10_000);
            let mut watermark = 0;
            for (length, further) in changes {
                watermark += further;
                lengths.change(length, watermark);
            }
            prop_assert!(lengths.0.len() <= CHANGES);
            for time in times {
                let (start, length) = (lengths.start_of(time), lengths.at(time));
                prop_assert!(start <= time && time < start + length);
                prop_assert_eq!(lengths.start_of(start), start);
                prop_assert_eq!((lengths.at(start), lengths.at(start + length - 1)), (length, length));
            }
        }
    }
}
