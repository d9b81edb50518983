//! A clock that shows what it is told.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use crate::{
    follow::{Clock, SystemClock},
    point::TimestampMs,
};

/// Its wall clock is told; time passes as it does.
#[derive(Debug)]
pub(super) struct ToldClock {
    wall_ms: AtomicI64,
    system: SystemClock,
}

impl ToldClock {
    pub(super) fn new(wall_ms: TimestampMs) -> Self {
        Self { wall_ms: AtomicI64::new(wall_ms), system: SystemClock::default() }
    }

    /// It is this late. What was done before is done for whoever reads it.
    pub(super) fn tell(&self, wall_ms: TimestampMs) {
        self.wall_ms.store(wall_ms, Ordering::Release);
    }
}

impl Clock for ToldClock {
    fn wall_ms(&self) -> TimestampMs {
        self.wall_ms.load(Ordering::Acquire)
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }
}
