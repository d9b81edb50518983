//! When the next round is due. No clock: the caller says what time it is.

use std::time::Duration;

use crate::point::TimestampMs;

/// A wall clock that is so far behind what it was is a corrected one: rounds go on where it is now.
const CORRECTED_MS: i64 = 300_000;

/// Rounds at multiples of an interval since the epoch, each of them once at most.
///
/// A round is begun `offset` after its time, so that not all hosts ask in the same instant; its time is the multiple
/// itself, so that all who ask say the same about when that was.
#[derive(Debug)]
pub(super) struct Schedule {
    interval_ms: i64,
    offset_ms: i64,
    /// Time of the round to come.
    next_ms: TimestampMs,
    /// Rounds left out since the last one.
    skipped: u64,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing yet: ask again after this, or sooner.
    In(Duration),
    /// This round, the one before which so many were left out.
    Now { time_ms: TimestampMs, skipped: u64 },
}

impl Schedule {
    /// Begins with the first multiple after `now_ms`: the one before may have been somebody else's, ours before a restart.
    pub(super) fn new(interval: Duration, offset: Duration, now_ms: TimestampMs) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        let offset_ms = i64::try_from(offset.as_millis()).unwrap_or(0).min(interval_ms - 1);
        let mut schedule = Self { interval_ms, offset_ms, next_ms: 0, skipped: 0 };
        schedule.next_ms = schedule.after(now_ms);
        schedule
    }

    /// Whether a round is due. One that is late by more than a tenth of the interval (the one before it took longer, the
    /// machine slept) is left out: what it would say belongs to another time.
    pub(super) fn due(&mut self, now_ms: TimestampMs) -> Due {
        if now_ms.saturating_add(CORRECTED_MS).saturating_add(self.interval_ms) < self.next_ms {
            self.next_ms = self.after(now_ms);
        }
        let late_ms = now_ms.saturating_sub(self.next_ms.saturating_add(self.offset_ms));
        if late_ms > self.interval_ms / 10 {
            let rounds = late_ms.saturating_add(self.interval_ms - 1) / self.interval_ms;
            self.next_ms = self.next_ms.saturating_add(rounds.saturating_mul(self.interval_ms));
            self.skipped += rounds.unsigned_abs();
        }
        let wait_ms = self.next_ms.saturating_add(self.offset_ms).saturating_sub(now_ms);
        if wait_ms > 0 {
            return Due::In(Duration::from_millis(wait_ms.unsigned_abs()));
        }
        let time_ms = self.next_ms;
        self.next_ms = time_ms.saturating_add(self.interval_ms);
        Due::Now { time_ms, skipped: std::mem::take(&mut self.skipped) }
    }

    fn after(&self, now_ms: TimestampMs) -> TimestampMs {
        now_ms.div_euclid(self.interval_ms).saturating_add(1).saturating_mul(self.interval_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(offset_s: u64, now_s: i64) -> Schedule {
        Schedule::new(Duration::from_secs(60), Duration::from_secs(offset_s), now_s * 1000)
    }

    fn check(schedule: &mut Schedule, now_s: i64, expected: Result<(i64, u64), u64>) {
        let expected = match expected {
            Ok((time_s, skipped)) => Due::Now { time_ms: time_s * 1000, skipped },
            Err(wait_s) => Due::In(Duration::from_secs(wait_s)),
        };
        assert_eq!(schedule.due(now_s * 1000), expected, "at {now_s} s");
    }

    #[test]
    fn rounds_are_at_multiples_of_the_interval_and_begin_a_little_later() {
        let mut schedule = schedule(5, 1000);
        check(&mut schedule, 1000, Err(25));
        check(&mut schedule, 1024, Err(1));
        check(&mut schedule, 1025, Ok((1020, 0)));
        check(&mut schedule, 1025, Err(60));
        check(&mut schedule, 1085, Ok((1080, 0)));
    }

    #[test]
    fn a_round_that_this_moment_belongs_to_is_not_begun_again_after_a_restart() {
        check(&mut schedule(0, 1020), 1020, Err(60));
        check(&mut schedule(30, 1025), 1025, Err(85));
    }

    #[test]
    fn late_rounds_are_left_out_and_counted() {
        let mut schedule = schedule(0, 1000);
        check(&mut schedule, 1020, Ok((1020, 0)));
        // A round that took a little more than the interval holds up none.
        check(&mut schedule, 1086, Ok((1080, 0)));
        check(&mut schedule, 1147, Err(53));
        check(&mut schedule, 1200, Ok((1200, 1)));
        // Asleep for an hour.
        check(&mut schedule, 4801, Err(59));
        check(&mut schedule, 4860, Ok((4860, 60)));
        check(&mut schedule, 4920, Ok((4920, 0)));
    }

    #[test]
    fn a_clock_that_goes_back_repeats_nothing_unless_it_was_very_wrong() {
        let mut schedule = schedule(0, 1000);
        check(&mut schedule, 1020, Ok((1020, 0)));
        check(&mut schedule, 900, Err(180));
        check(&mut schedule, 1080, Ok((1080, 0)));
        check(&mut schedule, 300, Err(60));
        check(&mut schedule, 360, Ok((360, 0)));
    }

    proptest! {
        #[test]
        fn whatever_the_clock_says_nothing_breaks(
            interval in 0..100_000u64, offset in 0..100_000u64, times in prop::collection::vec(any::<i64>(), 0..20),
        ) {
            let mut schedule = Schedule::new(Duration::from_millis(interval), Duration::from_millis(offset), 0);
            for now in times {
                let _ = schedule.due(now);
            }
        }

        #[test]
        fn each_time_comes_once_and_in_order(steps in prop::collection::vec(0..200_000i64, 1..200)) {
            let mut schedule = Schedule::new(Duration::from_secs(60), Duration::from_secs(3), 0);
            let (mut now, mut last, mut rounds) = (0, 0, 0);
            for step in steps {
                now += step;
                if let Due::Now { time_ms, skipped } = schedule.due(now) {
                    prop_assert!(time_ms > last && time_ms % 60_000 == 0 && time_ms <= now);
                    rounds += 1 + skipped as i64;
                    last = time_ms;
                    prop_assert_eq!(rounds * 60_000, time_ms, "every round is begun or counted as left out");
                }
            }
        }
    }
}
