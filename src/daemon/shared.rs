//! What the threads of the daemon share: the store, the outputs' acknowledgements, and signs of life.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::exposed::Exposed;
use crate::{
    point::TimestampMs,
    stats::Totals,
    store::{Acknowledgement, Keep, Store, StoreError},
};

/// How often a log's thread looks whether the store is free.
const LOOK: Duration = Duration::from_millis(5);

/// Shared by all threads between a start and a stop.
pub(super) struct Shared {
    store: Mutex<Store>,
    acknowledgements: Mutex<HashMap<String, Acknowledgement>>,
    logs: Vec<LogState>,
    /// By output, who else writes as this node; what the store does not have yet.
    others: Mutex<HashMap<String, String>>,
    /// The store is full of parts that a required output lacks: reading waits.
    full: AtomicBool,
    stop: watch::Sender<bool>,
    /// Counts commits that added parts: wakes the outputs.
    committed: watch::Sender<u64>,
    born: Instant,
    /// What Prometheus sees, if it may.
    exposed: Option<Exposed>,
}

/// What a log's thread says about itself.
#[derive(Default)]
struct LogState {
    /// Milliseconds since `born` of its last turn.
    turned: AtomicU64,
    progress: Mutex<Progress>,
}

/// Where a log stands, as of its last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) totals: Totals,
    pub(super) lag_bytes: u64,
    pub(super) watermark_ms: Option<TimestampMs>,
    /// Lines and what became of them disagree: a mistake of ours.
    pub(super) leak: bool,
    /// What went wrong with the log since the start: gaps, truncations, disconnections.
    pub(super) incidents: u64,
}

impl Shared {
    pub(super) fn new(store: Store, logs: usize) -> Self {
        Self {
            store: Mutex::new(store),
            acknowledgements: Mutex::default(),
            logs: (0..logs).map(|_| LogState::default()).collect(),
            others: Mutex::default(),
            full: AtomicBool::new(false),
            stop: watch::Sender::new(false),
            committed: watch::Sender::new(0),
            born: Instant::now(),
            exposed: None,
        }
    }

    /// With something for Prometheus to see.
    pub(super) fn exposing(self, exposed: Option<Exposed>) -> Self {
        Self { exposed, ..self }
    }

    /// The store. A thread that panicked with it left no half transaction: SQLite rolled it back.
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store, for a log's thread: while another one has it, this one is alive all the same, and says so.
    pub(super) fn store_of(&self, log: usize) -> MutexGuard<'_, Store> {
        loop {
            match self.store.try_lock() {
                Ok(store) => return store,
                Err(TryLockError::Poisoned(store)) => return store.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    self.turned(log);
                    thread::sleep(LOOK);
                }
            }
        }
    }

    pub(super) fn into_store(self) -> Store {
        self.store.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// An output has a part. Written with the next commit.
    pub(super) fn acknowledge(&self, output: &str, new: Acknowledgement) {
        let mut all = self.acknowledgements.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.entry(output.to_owned()).or_default();
        kept.seq = kept.seq.max(new.seq);
        kept.rejected.extend(new.rejected);
        kept.expired += new.expired;
        kept.damaged += new.damaged;
        kept.trouble = new.trouble;
    }

    /// Whether an output has more than the store knows.
    pub(super) fn has_acknowledgements(&self) -> bool {
        !self.acknowledgements.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// What was acknowledged since the last time.
    pub(super) fn take_acknowledgements(&self) -> Vec<(String, Acknowledgement)> {
        self.acknowledgements.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }

    /// Acknowledgements alone, where no commit takes them along.
    pub(super) fn take_acknowledgements_into(&self, store: &mut Store) -> Result<(), StoreError> {
        let acknowledgements = self.take_acknowledgements();
        if acknowledgements.is_empty() {
            return Ok(());
        }
        store.acknowledge(&acknowledgements).inspect_err(|_| self.give_back(acknowledgements))
    }

    /// A commit failed: what it would have written waits for the next.
    pub(super) fn give_back(&self, acknowledgements: Vec<(String, Acknowledgement)>) {
        for (output, acknowledgement) in acknowledgements {
            self.acknowledge(&output, acknowledgement);
        }
    }

    /// Who else writes as this node to an output; empty for nobody. Does not wait for the store.
    pub(super) fn set_other(&self, output: &str, other: String) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).insert(output.to_owned(), other);
    }

    /// Writes that where `status` sees it. What cannot be written waits for the next answer.
    pub(super) fn note_others(&self) {
        let others = std::mem::take(&mut *self.others.lock().unwrap_or_else(PoisonError::into_inner));
        for (output, other) in others {
            if let Err(error) = self.store().set_other(&output, &other) {
                debug!(%output, "{error}");
            }
        }
    }

    /// What Prometheus sees, if it may.
    pub(super) fn exposed(&self) -> Option<&Exposed> {
        self.exposed.as_ref()
    }

    /// Parts were committed: outputs have something to send.
    pub(super) fn committed(&self) {
        self.committed.send_modify(|commits| *commits += 1);
    }

    pub(super) fn watch_commits(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(super) fn stopping(&self) -> bool {
        *self.stop.borrow()
    }

    pub(super) fn watch_stop(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// A log's thread turned: it is alive, whether it read or waited.
    pub(super) fn turned(&self, log: usize) {
        let since = self.born.elapsed().as_millis() as u64;
        self.logs[log].turned.store(since, Ordering::Relaxed);
    }

    pub(super) fn all_turned_within(&self, limit: Duration) -> bool {
        let now = self.born.elapsed().as_millis() as u64;
        let limit = limit.as_millis() as u64;
        self.logs.iter().all(|log| now.saturating_sub(log.turned.load(Ordering::Relaxed)) < limit)
    }

    pub(super) fn set_progress(&self, log: usize, progress: Progress) {
        *self.logs[log].progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    pub(super) fn progress(&self) -> Vec<Progress> {
        let all = self.logs.iter();
        all.map(|log| *log.progress.lock().unwrap_or_else(PoisonError::into_inner)).collect()
    }

    /// Reading waits: the store is at its bound, and a required output lacks what is in it.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(super) fn prune(&self, keep: Keep) {
        let pruned = self.store().prune(keep, now_ms());
        match pruned {
            Ok(pruned) => {
                if self.full.swap(pruned.full, Ordering::Relaxed) != pruned.full {
                    if pruned.full {
                        warn!(
                            "the store has reached `store.max_bytes` with parts that a required output lacks: \
                             reading waits, the log itself is the buffer"
                        );
                    } else {
                        info!("the store has room again: reading goes on");
                    }
                }
            }
            Err(error) => warn!("cannot prune: {error}"),
        }
    }
}

/// The wall clock.
pub(super) fn now_ms() -> TimestampMs {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as TimestampMs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_waits_for_the_store_is_alive() {
        let folder = tempfile::tempdir().unwrap();
        let shared = Shared::new(Store::open(&folder.path().join("store.db")).unwrap(), 2);
        let turned = || shared.logs[1].turned.load(Ordering::Relaxed);
        thread::scope(|scope| {
            let held = shared.store();
            let waiting = scope.spawn(|| drop(shared.store_of(1)));
            for _ in 0..3 {
                let before = turned();
                while turned() == before {
                    assert!(!waiting.is_finished(), "it did not wait");
                    thread::yield_now();
                }
            }
            drop(held);
        });
        assert_eq!(shared.logs[0].turned.load(Ordering::Relaxed), 0);
    }
}
