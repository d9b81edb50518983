//! `run`: the only place that knows everyone. A thread for each log, one for the outputs, one for each worker that asks in
//! rounds, and this one for the rest:
//! signals, the watchdog, pruning, our own health.
//!
//! There is no special way to stop: stopping is crashing, with one commit before it. A reload is a stop and a start
//! within the process, once the new configuration is known to be good.

mod ceph;
mod delivery;
mod embedded;
mod exposed;
mod health;
mod ingest;
mod others;
mod probing;
mod retired;
mod rounds;
mod shared;
mod signals;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use sd_notify::NotifyState;
use tracing::{error, info, warn};

use crate::{
    config::Config,
    follow::{Clock, FollowOptions, SystemClock},
    store::{Keep, RunLock, Store},
};
pub use embedded::Embedded;
use ingest::Job;
use shared::Shared;
use signals::{Signal, Signals};

/// How often this thread looks around. A signal does not wait for it.
const TICK: Duration = Duration::from_secs(1);

/// Between two rounds of pruning.
const PRUNE: Duration = Duration::from_secs(10);

/// Between two points, and log lines, about ourselves.
const HEALTH: Duration = Duration::from_secs(60);

/// An ingest thread that has not turned for this long hangs: the watchdog is not fed any more.
const HUNG: Duration = Duration::from_secs(15);

/// How long a write waits for a replay that writes to the store. All threads wait for the one that does, so this is far
/// less than what the watchdog bears; then it is tried again.
const BUSY: Duration = Duration::from_secs(2);

/// Follows the configured logs until SIGTERM or SIGINT. `file` is where a reload reads the configuration again; then
/// `reloaded` hears of the new one.
pub fn run(mut config: Config, file: Option<PathBuf>, reloaded: impl Fn(&Config)) -> anyhow::Result<()> {
    let signals = Signals::new().context("cannot handle signals")?;
    let store = Store::open(&config.store.path)?;
    if store.was_lost() {
        warn!(
            "the store {} is gone or empty, so a new one begins; what the old one had not sent, and what was written since, \
             is in the log: `rgwlens replay` counts it",
            store.path().display()
        );
    }
    let lock = store.lock()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let mut daemon = Daemon::start(&config, store, &clock)?;
    notify(&[NotifyState::Ready]);
    loop {
        let stopped = match daemon.work(&signals) {
            Signal::Stop => break,
            Signal::Reload => {
                notify(&[NotifyState::Reloading]);
                reload(file.as_deref(), &config)
            }
        };
        if let Some(new) = stopped {
            daemon = match Daemon::start(&new, daemon.stop()?, &clock) {
                Ok(daemon) => {
                    config = new;
                    reloaded(&config);
                    daemon
                }
                Err(problem) => {
                    error!("not reloaded, the old configuration stays in force: {problem:#}");
                    Daemon::start(&config, Store::open(&config.store.path)?, &clock)?
                }
            };
        }
        notify(&[NotifyState::Ready]);
    }
    notify(&[NotifyState::Stopping]);
    daemon.stop()?;
    release(lock);
    Ok(())
}

/// The lock lives as long as the process reads logs; named, so that nobody lets go of it earlier.
fn release(lock: RunLock) {
    drop(lock);
}

/// The new configuration, if it is good; the old one goes on if not.
fn reload(file: Option<&std::path::Path>, old: &Config) -> Option<Config> {
    match Config::load(file) {
        Ok(new) if new.store.path != old.store.path => {
            error!("not reloaded: the store's path changed, which takes a restart");
            None
        }
        Ok(new) => {
            info!("reloading the configuration");
            Some(new)
        }
        Err(problem) => {
            error!("not reloaded, the old configuration stays in force: {problem}");
            None
        }
    }
}

/// Everything that threads are going to work on, as the store left it.
fn prepare(
    config: &Config,
    mut store: Store,
    clock: &Arc<dyn Clock>,
    pace: fn(&mut FollowOptions),
) -> anyhow::Result<(Arc<Shared>, Vec<Job>)> {
    store.wait_at_most(BUSY)?;
    for target in &config.outputs {
        store.add_output(&target.name, target.required)?;
    }
    let shared = Shared::new(store, config.logs.len()).exposing(exposed::Exposed::new(config));
    let shared = Arc::new(shared);
    let jobs = config.logs.iter().enumerate();
    let jobs = jobs
        .map(|(number, log)| Job::prepare(config, log, number, &shared, clock, pace))
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok((shared, jobs))
}

/// What runs between a start and a stop.
struct Daemon {
    shared: Arc<Shared>,
    ingest: Vec<JoinHandle<anyhow::Result<()>>>,
    rounds: Vec<JoinHandle<anyhow::Result<()>>>,
    delivery: JoinHandle<()>,
    keep: Keep,
    health: health::Health,
}

impl Daemon {
    fn start(config: &Config, store: Store, clock: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        let health = health::Health::new(config, &store);
        // Before any thread: a log that cannot be followed is a start that fails, with the reason.
        let (shared, jobs) = prepare(config, store, clock, |_| {})?;
        let delivery = delivery::start(config, &shared)?;
        let keep = Keep { age: config.store.keep, bytes: config.store.max_bytes };
        let mut daemon = Self { shared, ingest: Vec::new(), rounds: Vec::new(), delivery, keep, health };
        match daemon.follow(config, jobs, clock) {
            Ok(()) => Ok(daemon),
            Err(error) => {
                // None of its threads may live on beside those of the configuration that stays in force.
                daemon.stop()?;
                Err(error)
            }
        }
    }

    /// The configuration is good: lets go of what only the one before it had, and starts the threads of logs and rounds.
    fn follow(
        &mut self,
        config: &Config,
        jobs: Vec<ingest::Job>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<()> {
        let names: Vec<&str> = config.outputs.iter().map(|target| target.name.as_str()).collect();
        for gone in self.shared.store().keep_outputs(&names)? {
            warn!(output = %gone, "is not configured any more: its cursor is dropped, and what it lacks with it");
        }
        retired::close(config, &mut self.shared.store())?;
        for job in jobs {
            let thread = thread::Builder::new().name(format!("log {}", job.name()));
            self.ingest.push(thread.spawn(move || job.run()).context("cannot start a thread")?);
        }
        self.rounds.extend(ceph::start(config, &self.shared, clock)?);
        self.rounds.extend(probing::start(config, &self.shared, clock)?);
        self.rounds.extend(exposed::start(config, &self.shared)?);
        Ok(())
    }

    /// Until a signal comes, or a thread ends that should not.
    fn work(&mut self, signals: &Signals) -> Signal {
        let watchdog = sd_notify::watchdog_enabled().map(|interval| interval / 2);
        let tick = watchdog.map_or(TICK, |every| TICK.min(every / 2));
        let (mut fed, mut pruned, mut reported) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            if let Some(signal) = signals.wait(tick) {
                return signal;
            }
            if !self.is_running() {
                return Signal::Stop;
            }
            if watchdog.is_some_and(|every| fed.elapsed() >= every) && self.shared.all_turned_within(HUNG) {
                notify(&[NotifyState::Watchdog]);
                fed = Instant::now();
            }
            self.shared.note_others();
            if pruned.elapsed() >= PRUNE {
                self.shared.prune(self.keep);
                pruned = Instant::now();
            }
            if reported.elapsed() >= HEALTH {
                let status = self.health.report(&self.shared);
                notify(&[NotifyState::Status(&status)]);
                reported = Instant::now();
            }
        }
    }

    /// Whether no thread has ended early. If one has, [`stop`](Self::stop) says why.
    fn is_running(&self) -> bool {
        !self.delivery.is_finished() && !self.ingest.iter().chain(&self.rounds).any(JoinHandle::is_finished)
    }

    /// Ends all threads; each log has committed what it read. Hands the store back.
    fn stop(self) -> anyhow::Result<Store> {
        self.shared.stop();
        let mut outcome = Ok(());
        let logs = self.ingest.into_iter().map(|thread| (thread, "a log's"));
        let rounds = self.rounds.into_iter().map(|thread| (thread, "a collector's"));
        for (thread, whose) in logs.chain(rounds) {
            // A panic in a thread is a mistake of ours: the service manager starts us again from the last commit.
            let ended = thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("{whose} thread panicked")));
            outcome = outcome.and(ended);
        }
        if self.delivery.join().is_err() {
            outcome = outcome.and(Err(anyhow::anyhow!("the outputs' thread panicked")));
        }
        outcome?;
        self.shared.take_acknowledgements_into(&mut self.shared.store())?;
        let shared = Arc::into_inner(self.shared).context("a thread still holds the store")?;
        Ok(shared.into_store())
    }
}

/// Tells the service manager; does nothing where there is none.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("cannot notify the service manager: {error}");
    }
}
