//! Time, as something a test can hold in its hand.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::point::TimestampMs;

/// Where a [`Follower`](super::Follower) gets the time from.
pub trait Clock: Send + Sync {
    /// Wall clock, which may jump: only handed on to the owner, never used for a decision about a file.
    fn wall_ms(&self) -> TimestampMs;

    /// Time since some fixed moment, which never goes back: poll intervals, graces, retries.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    /// Where [`monotonic`](Clock::monotonic) counts from.
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall_ms(&self) -> TimestampMs {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => TimestampMs::try_from(since.as_millis()).unwrap_or(TimestampMs::MAX),
            Err(before) => {
                TimestampMs::try_from(before.duration().as_millis()).map_or(TimestampMs::MIN, |ms| -ms)
            }
        }
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
