//! A daemon inside of another program: the same threads and the same store, without signals, service manager, pruning
//! and points about itself.

use std::sync::Arc;

use super::Daemon;
use crate::{
    config::Config,
    follow::Clock,
    stats::Totals,
    store::{RunLock, Store},
};

/// Follows the configured logs until it is stopped, or dropped. Holds the store's lock.
pub struct Embedded {
    daemon: Option<Daemon>,
    _lock: RunLock,
}

impl Embedded {
    /// Starts it. `clock` says what time it is to the logs: what a wall clock says decides when windows of a log that is
    /// idle close.
    ///
    /// # Errors
    /// What keeps `rgwlens run` from starting: the store, its lock, a log that cannot be followed.
    pub fn start(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        let store = Store::open(&config.store.path)?;
        let lock = store.lock()?;
        Ok(Self { daemon: Some(Daemon::start(config, store, clock)?), _lock: lock })
    }

    /// What became of the lines of all logs, as of the last commit of each.
    pub fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        for progress in self.daemon.iter().flat_map(|daemon| daemon.shared.progress()) {
            let log = progress.totals;
            sum.lines += log.lines;
            sum.counted += log.counted;
            sum.rejected += log.rejected;
            sum.expired += log.expired;
            sum.late += log.late;
            sum.closed += log.closed;
            sum.skipped += log.skipped;
        }
        sum
    }

    /// Whether all logs are still followed, and all outputs served. If not, [`stop`](Self::stop) says why.
    pub fn is_running(&self) -> bool {
        self.daemon.as_ref().is_some_and(Daemon::is_running)
    }

    /// Ends it; each log has committed what it read.
    ///
    /// # Errors
    /// What ended a log's thread early, or kept its last commit from succeeding.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.daemon.take().map_or(Ok(()), |daemon| daemon.stop().map(drop))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            // Whoever drops it is busy with another error.
            let _ = daemon.stop();
        }
    }
}
