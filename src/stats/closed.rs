//! Which windows have closed on time, so that none does so twice.

use crate::point::TimestampMs;

/// Stretches remembered. Beyond it the two that are nearest to each other become one, and what lies between them counts
/// as closed: lines there form late parts, which never write over anything.
const STRETCHES: usize = 16;

/// Stretches of time whose windows have closed, `[from, until)`, ascending, apart from each other. The watermark tells
/// closed windows from open ones while time goes on; this is for when a clock is put back.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Closed(Vec<(TimestampMs, TimestampMs)>);

impl Closed {
    /// Whether the window that begins here has closed.
    #[inline]
    pub(super) fn contains(&self, start_ms: TimestampMs) -> bool {
        // Nearly always a line is after everything that has closed.
        self.0.last().is_some_and(|(_, until)| start_ms < *until)
            && self.0.iter().any(|(from, until)| (*from..*until).contains(&start_ms))
    }

    /// Windows from `from` to `until` have closed.
    pub(super) fn add(&mut self, from_ms: TimestampMs, until_ms: TimestampMs) {
        let before = self.0.partition_point(|(_, until)| *until < from_ms);
        let after = self.0.partition_point(|(from, _)| *from <= until_ms);
        let touched = &self.0[before..after];
        let from_ms = touched.first().map_or(from_ms, |(from, _)| from_ms.min(*from));
        let until_ms = touched.last().map_or(until_ms, |(_, until)| until_ms.max(*until));
        self.0.splice(before..after, [(from_ms, until_ms)]);
        if self.0.len() > STRETCHES {
            let gap = |at: &usize| self.0[*at].0.saturating_sub(self.0[at - 1].1);
            if let Some(at) = (1..self.0.len()).min_by_key(gap) {
                self.0[at - 1].1 = self.0[at].1;
                self.0.remove(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_year_of_wrong_time_is_not_taken_for_closed() {
        let mut closed = Closed::default();
        closed.add(1_000_000, 1_000_060);
        // A quiet log: every stretch is apart from the one before.
        for i in 0..100 {
            closed.add(i * 100, i * 100 + 60);
        }
        assert!(closed.contains(1_000_000) && !closed.contains(500_000), "{closed:?}");
        assert_eq!(closed.0.len(), STRETCHES);
    }

    proptest! {
        #[test]
        fn what_has_closed_stays_closed(added in prop::collection::vec((0i64..200, 1i64..10), 1..40)) {
            let mut closed = Closed::default();
            for (number, (from, length)) in added.iter().enumerate() {
                closed.add(*from, from + length);
                prop_assert!(closed.0.len() <= STRETCHES);
                prop_assert!(closed.0.is_sorted_by(|a, b| a.1 < b.0), "{closed:?}");
                for (from, length) in &added[..=number] {
                    prop_assert!((*from..from + length).all(|start| closed.contains(start)));
                }
                if number < STRETCHES {
                    let open = (0..210).filter(|start| !closed.contains(*start)).count();
                    let exact = (0..210i64).filter(|s| !added[..=number].iter().any(|(f, l)| (*f..f + l).contains(s)));
                    prop_assert_eq!(open, exact.count());
                }
            }
        }
    }
}
