//! Parts to outputs: each output is a cursor over the log of parts, and none holds up another.

use std::{
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{sync::watch, task::JoinSet};
use tracing::{error, info, warn};

use super::{
    others,
    shared::{Shared, now_ms},
};
use crate::{
    config::Config,
    influx::{
        Batch, Client, Target,
        sender::{Backoff, RejectedLine, Sender, Transport, random},
    },
    store::{Acknowledgement, Reader, StoreError},
};

/// Parts sent at a time, at most.
const PARTS: usize = 64;

/// Parts read at once: those of a busy gateway are a request's worth by twos and threes, and megabytes in memory.
const AT_ONCE: usize = 4;

/// Refused points of a batch that are told of one by one.
const SAID: usize = 3;

/// Without a commit of ours, how often to look whether another process (a replay) added parts.
const POLL: Duration = Duration::from_secs(2);

/// How long a stop waits for a request that is under way. Its answer is not needed: the part is sent again.
const GRACE: Duration = Duration::from_secs(2);

/// Starts all outputs on a thread of their own.
pub(super) fn start(config: &Config, shared: &Arc<Shared>) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut outputs, mut watched) = (Vec::new(), Vec::new());
    for target in &config.outputs {
        let client = Client::new(target.clone()).with_context(|| format!("output {:?}", target.name))?;
        outputs.push(Output::new(target, Sender::new(client), config, shared)?);
        watched.extend(others::of(target, config, shared));
    }
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name("outputs".into())
        .spawn(move || {
            runtime.block_on(async move {
                let mut tasks: JoinSet<()> = outputs.into_iter().map(Output::run).collect();
                for (client, writer) in watched {
                    tasks.spawn(others::watch(client, writer, Arc::clone(&shared)));
                }
                until_stopped(tasks, shared.watch_stop()).await;
            });
            // Looking up a name blocks a thread for as long as the name servers are silent: that is not waited for.
            runtime.shutdown_background();
        })
        .context("cannot start a thread")
}

/// Until the daemon stops, and a moment longer.
///
/// # Panics
/// If an output did: that must not go unnoticed, since all others work on.
async fn until_stopped(mut outputs: JoinSet<()>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        Some(Err(panicked)) = outputs.join_next() => std::panic::resume_unwind(panicked.into_panic()),
    }
    let _ = tokio::time::timeout(GRACE, async { while outputs.join_next().await.is_some() {} }).await;
}

/// One output.
pub(super) struct Output<T> {
    target: Target,
    sender: Sender<T>,
    store: PathBuf,
    /// Opened at the first look, and again after one that failed: to open it costs more than to look. In no transaction
    /// between two looks, so that the write-ahead log can be cut.
    reader: Option<Reader>,
    event_fields: Vec<String>,
    shared: Arc<Shared>,
    commits: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    /// Last part it has.
    seq: i64,
    backoff: Backoff,
    /// It complained, and has not been well since.
    troubled: bool,
}

impl<T: Transport> Output<T> {
    pub(super) fn new(
        target: &Target,
        sender: Sender<T>,
        config: &Config,
        shared: &Arc<Shared>,
    ) -> Result<Self, StoreError> {
        let store = config.store.path.clone();
        let reader = Reader::open(&store)?;
        let known = reader.outputs()?.into_iter().find(|output| output.name == target.name);
        let (before_oldest, _) = reader.bounds()?;
        Ok(Self {
            target: target.clone(),
            sender,
            store,
            reader: None,
            event_fields: config.settings.events.fields.clone(),
            shared: Arc::clone(shared),
            commits: shared.watch_commits(),
            stop: shared.watch_stop(),
            seq: known.map_or(0, |output| output.seq).max(before_oldest),
            backoff: Backoff::default(),
            troubled: false,
        })
    }

    async fn run(mut self) {
        while !*self.stop.borrow() {
            // Before looking: what is committed while we look wakes us up at once.
            self.commits.mark_unchanged();
            match self.deliver().await {
                Ok(true) => {}
                Ok(false) => self.wait_for_parts().await,
                Err(wait) => self.pause(wait).await,
            }
        }
    }

    /// Sends the next parts. `false` when there are none; an error is how long to wait before the next try.
    pub(super) async fn deliver(&mut self) -> Result<bool, Duration> {
        let (batch, seq) = match self.read() {
            Ok(read) => read,
            Err(StoreError::DamagedPart { seq, path }) => {
                // Sending cannot mend it, and waiting for it would hold up all that follows.
                let error = StoreError::DamagedPart { seq, path };
                error!(output = %self.target.name, "{error}: skipped; `rgwlens replay --replace` makes it anew");
                self.seq = seq;
                let skipped = Acknowledgement { seq, damaged: 1, ..Default::default() };
                self.shared.acknowledge(&self.target.name, skipped);
                return Ok(true);
            }
            Err(error) => {
                warn!(output = %self.target.name, "{error}; next try in {} s", POLL.as_secs());
                return Err(POLL);
            }
        };
        if seq == self.seq {
            return Ok(false);
        }
        let mut acknowledgement = Acknowledgement { seq, expired: batch.expired(), ..Default::default() };
        match self.sender.send(batch.lines()).await {
            Ok(report) => {
                acknowledgement.expired += report.expired;
                self.say_refused(&report.rejected);
                acknowledgement.rejected = report
                    .rejected
                    .into_iter()
                    .map(|point| (String::from_utf8_lossy(&point.line).into_owned(), point.reason))
                    .collect();
            }
            Err(not_now) => {
                let wait = self.backoff.next(&not_now, random());
                warn!(output = %self.target.name, "{not_now}; next try in {:.0} s", wait.as_secs_f64());
                self.troubled = true;
                acknowledgement =
                    Acknowledgement { seq: self.seq, trouble: not_now.to_string(), ..Default::default() };
                self.shared.acknowledge(&self.target.name, acknowledgement);
                return Err(wait);
            }
        }
        if std::mem::take(&mut self.troubled) {
            info!(output = %self.target.name, "takes points again");
        }
        self.backoff.reset();
        self.seq = seq;
        self.shared.acknowledge(&self.target.name, acknowledgement);
        Ok(true)
    }

    /// The next parts as lines, up to a request's worth (a part is never torn), and the number of the last.
    fn read(&mut self) -> Result<(Batch, i64), StoreError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::open(&self.store)?,
        };
        let mut batch = Batch::new(&self.target, &self.event_fields, now_ms());
        let (mut seq, mut read) = (self.seq, 0);
        while read < PARTS && !batch.is_full() {
            let parts = match reader.parts_after(seq, AT_ONCE) {
                // What comes before it goes first.
                Err(StoreError::DamagedPart { .. }) if seq != self.seq => break,
                parts => parts?,
            };
            if parts.is_empty() {
                break;
            }
            read += parts.len();
            for part in parts {
                batch.add(&part);
                seq = part.seq;
                if batch.is_full() {
                    break;
                }
            }
        }
        self.reader = Some(reader);
        Ok((batch, seq))
    }

    /// A few of them: a target may refuse every point of every batch. All are counted, and in quarantine.
    fn say_refused(&self, refused: &[RejectedLine]) {
        for point in refused.iter().take(SAID) {
            warn!(output = %self.target.name, "a point was refused: {}", point.reason);
        }
        if refused.len() > SAID {
            warn!(output = %self.target.name, "{} more points of the batch were refused", refused.len() - SAID);
        }
    }

    async fn wait_for_parts(&mut self) {
        tokio::select! {
            _ = tokio::time::timeout(POLL, self.commits.changed()) => {}
            _ = self.stop.changed() => {}
        }
    }

    async fn pause(&mut self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = self.stop.changed() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn an_output_that_panics_ends_the_thread_beside_one_that_works() {
        let (_sender, stop) = watch::channel(false);
        let ended = thread::spawn(move || {
            runtime().block_on(async {
                let mut outputs = JoinSet::new();
                outputs.spawn(std::future::pending());
                outputs.spawn(async { std::panic::resume_unwind(Box::new("a mistake of ours")) });
                until_stopped(outputs, stop).await;
            });
        });
        assert_eq!(*ended.join().unwrap_err().downcast::<&str>().unwrap(), "a mistake of ours");
    }

    #[test]
    fn outputs_are_ended_by_a_stop_and_not_before() {
        let (sender, stop) = watch::channel(false);
        runtime().block_on(async {
            for outputs in [0, 2] {
                let tasks: JoinSet<()> = (0..outputs).map(|_| std::future::ready(())).collect();
                let waiting = until_stopped(tasks, stop.clone());
                tokio::pin!(waiting);
                tokio::select! {
                    biased;
                    () = &mut waiting => panic!("ended early with {outputs} outputs"),
                    () = async { for _ in 0..10 { tokio::task::yield_now().await } } => {}
                }
                sender.send_replace(true);
                waiting.await;
                sender.send_replace(false);
            }
        });
    }
}
