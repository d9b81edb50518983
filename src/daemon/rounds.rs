//! Work that is done every interval, beside the logs: asking Ceph, probing the gateway.
//!
//! A worker has a thread and a tokio runtime of its own. It is asked for one [`Round`] at a time: rounds never pile up,
//! one that is late is left out and counted. What a round gives becomes one part in the store, and goes from there to the
//! outputs like everything else. What the store does not take waits in memory, up to a bound.

mod schedule;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    pin::pin,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{sync::watch, time::Instant};
use tracing::{info, warn};

use super::shared::Shared;
use crate::{
    follow::Clock,
    point::{Point, TimestampMs, TimestampNs},
    store::{StoreError, Stream},
};
use schedule::{Due, Schedule};

/// Rounds that wait for the store to take them. Beyond that the oldest are dropped, and counted.
const WAITING: usize = 60;

/// How long to sleep at most before the wall clock is looked at again: it may jump.
const NAP: Duration = Duration::from_secs(1);

/// Something that can be asked every interval.
pub(super) trait Work: Send + 'static {
    /// One round; none of its points are of another time than [`Round::time_ns`]. It should end by [`Round::deadline`],
    /// saying what failed: the future is dropped then, and when the daemon stops. What it started must end with it.
    fn round(&mut self, round: Round) -> impl Future<Output = Vec<Point>>;
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// The time it was planned for: a multiple of the interval. The same on every host.
    pub(super) time_ms: TimestampMs,
    /// When it has to be over.
    pub(super) deadline: Instant,
    /// Rounds before it, since the last that ended in time, that were left out, broken off, or not taken by the store.
    pub(super) missed: u64,
}

impl Round {
    /// Time of its points.
    pub(super) fn time_ns(&self) -> TimestampNs {
        self.time_ms.saturating_mul(1_000_000)
    }
}

/// How often, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Between two rounds.
    pub(super) interval: Duration,
    /// How much later than planned rounds begin, at most; the same for all rounds of a process, another in the next.
    pub(super) jitter: Duration,
    /// How long a round may take.
    pub(super) deadline: Duration,
}

/// Starts the rounds of one worker. Its points become parts of `stream`, which no log may be named.
///
/// # Errors
/// No thread or runtime to be had. The thread ends with an error if the store is damaged.
pub(super) fn start(
    stream: Stream,
    pace: Pace,
    work: impl Work,
    shared: &Arc<Shared>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = thread::Builder::new().name(format!("rounds {}", stream.name));
    let outbox =
        Outbox { stream, shared: Arc::clone(shared), waiting: VecDeque::new(), dropped: 0, troubled: false };
    let rounds =
        Rounds { pace, work, outbox, clock: Arc::clone(clock), stop: shared.watch_stop(), missed: 0 };
    let body = move || {
        let ended = runtime.block_on(rounds.run());
        // Looking up a name blocks a thread for as long as the name servers are silent: that is not waited for.
        runtime.shutdown_background();
        ended
    };
    thread.spawn(body).context("cannot start a thread")
}

struct Rounds<W> {
    pace: Pace,
    work: W,
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    stop: watch::Receiver<bool>,
    missed: u64,
}

impl<W: Work> Rounds<W> {
    /// Until the daemon stops.
    async fn run(mut self) -> anyhow::Result<()> {
        let offset = self.pace.jitter.mul_f64(crate::influx::sender::random());
        let mut schedule = Schedule::new(self.pace.interval, offset, self.clock.wall_ms());
        let mut stop = self.stop.clone();
        let mut stopped = pin!(stop.wait_for(|stop| *stop));
        loop {
            match schedule.due(self.clock.wall_ms()) {
                Due::In(wait) => tokio::select! {
                    () = tokio::time::sleep(wait.min(NAP)) => {}
                    _ = &mut stopped => break,
                },
                Due::Now { time_ms, skipped } => {
                    self.missed += skipped;
                    let deadline = Instant::now() + self.pace.deadline;
                    let round = Round { time_ms, deadline, missed: self.missed };
                    tokio::select! {
                        points = tokio::time::timeout_at(deadline, self.work.round(round)) => match points {
                            Ok(points) => {
                                self.missed = 0;
                                self.outbox.waiting.push_back(points);
                            }
                            Err(_) => self.broken_off(),
                        },
                        _ = &mut stopped => break,
                    }
                }
            }
            self.missed += self.outbox.flush()?;
        }
        // The last chance of what waits. The store is not waited for: the daemon stops.
        self.outbox.flush().map(drop).map_err(Into::into)
    }

    fn broken_off(&mut self) {
        self.missed += 1;
        let (name, seconds) = (&self.outbox.stream.name, self.pace.deadline.as_secs_f64());
        warn!(rounds = %name, "a round was broken off after {seconds} s");
    }
}

/// Points on their way into the store.
struct Outbox {
    stream: Stream,
    shared: Arc<Shared>,
    /// A round each, oldest first.
    waiting: VecDeque<Vec<Point>>,
    /// Rounds dropped since the store took something.
    dropped: u64,
    /// The store did not take something, and has not since.
    troubled: bool,
}

impl Outbox {
    /// Hands over what the store takes. Gives how many rounds were dropped since it takes none.
    fn flush(&mut self) -> Result<u64, StoreError> {
        let result = self.try_flush();
        let over = self.waiting.len().saturating_sub(WAITING);
        self.waiting.drain(..over);
        self.dropped += over as u64;
        match result {
            Ok(()) => Ok(over as u64),
            Err(error) if error.may_pass() => {
                if !std::mem::replace(&mut self.troubled, true) {
                    warn!(rounds = %self.stream.name, "{error}; up to {WAITING} rounds wait for it");
                }
                Ok(over as u64)
            }
            Err(error) => Err(error),
        }
    }

    fn try_flush(&mut self) -> Result<(), StoreError> {
        while let Some(points) = self.waiting.front() {
            // A full store waits for a required output: to add to it would only fill the disk.
            if self.shared.is_full() {
                return Ok(());
            }
            self.shared.store().append_points(&self.stream, points)?;
            self.shared.committed();
            self.waiting.pop_front();
            if self.waiting.is_empty() && (std::mem::take(&mut self.troubled) || self.dropped > 0) {
                let dropped = std::mem::take(&mut self.dropped);
                info!(rounds = %self.stream.name, dropped, "the store takes rounds again");
            }
        }
        Ok(())
    }
}
