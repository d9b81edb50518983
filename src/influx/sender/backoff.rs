//! How long to wait before the next try. No clock, no dice: both are the caller's.

use super::{NotNow, NotNowKind};
use crate::influx::answer::MAX_RETRY_AFTER;
use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

/// Waits that grow while a target stays away.
///
/// * Disturbed: a random part of 1 s, 2 s, 4 s … 60 s ("full jitter"), so that a fleet that lost its server together
///   does not come back together.
/// * Refused: 30 s, 60 s … 5 min, of which a random quarter is taken off: a person has to act first.
/// * Never sooner than the server asked for.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The wait after one more failure. `random` is evenly distributed from 0 to 1.
    pub fn next(&mut self, not_now: &NotNow, random: f64) -> Duration {
        let random = random.clamp(0.0, 1.0);
        let (first, most, share) = match not_now.kind {
            NotNowKind::Retry => (1, 60, random),
            NotNowKind::Refused => (30, 300, 1.0 - random / 4.0),
        };
        // 2^10 s is beyond every cap
        let step = Duration::from_secs((first << self.tries.min(10)).min(most)).mul_f64(share);
        self.tries = self.tries.saturating_add(1);
        step.max(not_now.after.unwrap_or_default().min(MAX_RETRY_AFTER))
    }

    /// After a success.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

/// A random number from 0 to 1, good enough to spread waits: from the seed that the standard library gives every map.
pub fn random() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(kind: NotNowKind, after: Option<u64>, random: f64) -> Vec<u64> {
        let after = after.map(Duration::from_secs);
        let not_now = NotNow { after, why: String::new(), mend: None, kind };
        let mut backoff = Backoff::default();
        (0..8).map(|_| backoff.next(&not_now, random).as_millis() as u64).collect()
    }

    #[test]
    fn waits_double_up_to_their_cap() {
        use NotNowKind::{Refused, Retry};
        assert_eq!(waits(Retry, None, 1.0), [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
        assert_eq!(waits(Retry, None, 0.5)[..3], [500, 1000, 2000]);
        assert_eq!(waits(Retry, None, 0.0), [0; 8]);
        assert_eq!(waits(Refused, None, 0.0)[..5], [30_000, 60_000, 120_000, 240_000, 300_000]);
        assert_eq!(waits(Refused, None, 1.0)[..2], [22_500, 45_000]);
        assert_eq!(waits(Retry, Some(10), 1.0)[..5], [10_000, 10_000, 10_000, 10_000, 16_000]);
        assert_eq!(waits(Retry, Some(1_000_000_000), 1.0)[0], 900_000);
    }

    #[test]
    fn a_success_starts_over() {
        let not_now = NotNow { after: None, why: String::new(), mend: None, kind: NotNowKind::Retry };
        let mut backoff = Backoff::default();
        for _ in 0..100 {
            assert!(backoff.next(&not_now, random()) <= Duration::from_secs(60));
        }
        backoff.reset();
        assert_eq!(backoff.next(&not_now, 1.0), Duration::from_secs(1));
    }

    #[test]
    fn random_is_from_0_to_1_and_not_constant() {
        let numbers: Vec<_> = (0..32).map(|_| random()).collect();
        assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)));
        assert!(numbers.iter().any(|number| *number != numbers[0]));
    }
}
