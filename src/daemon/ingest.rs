//! One log's thread: the pipeline with a follower in front and the store behind.

use std::{
    ops::ControlFlow,
    sync::{Arc, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tracing::{debug, error, info, warn};

use super::shared::{Progress, Shared};
use crate::{
    access_log::{InputFormat, Reject},
    config::{Config, LogConfig, StartAt},
    follow::{Clock, FollowOptions, Follower, SKIP_REASONS, Socket, SocketOptions, Source, Start},
    pipeline::{self, Counter, PipelineError, Sink},
    point::TimestampMs,
    stats::{Admission, DAMAGED, Part, Windows, WindowsState},
    store::{Commit, Reader, Store, StoreError, Stream, StreamState},
};

/// Between two commits while lines come in or outputs take parts: how much a crash makes us read again, and how old `status` may be.
const COMMIT: Duration = Duration::from_secs(1);

/// Between two commits that only move a watermark.
const IDLE_COMMIT: Duration = Duration::from_secs(10);

/// Waits before a failed commit is tried again.
const RETRY: std::ops::RangeInclusive<u64> = 1..=30;

/// How long a thread that waits sleeps between two signs of life.
const NAP: Duration = Duration::from_millis(250);

/// A log that is ready to be followed.
pub(super) struct Job {
    pub(super) source: Box<dyn Source + Send>,
    pub(super) counter: Counter,
    pub(super) sink: StoreSink,
}

impl Job {
    /// Goes on where the store says, or begins. `pace` may change how often it looks.
    pub(super) fn prepare(
        config: &Config,
        log: &LogConfig,
        number: usize,
        shared: &Arc<Shared>,
        clock: &Arc<dyn Clock>,
        pace: fn(&mut FollowOptions),
    ) -> anyhow::Result<Self> {
        let format: InputFormat =
            log.format.parse().with_context(|| format!("the format of log {:?}", log.name))?;
        let stream = Stream { name: log.name.clone(), tags: config.tags_of(log) };
        let (stored, instance) = {
            let mut store = shared.store();
            store.bind(&stream, &log.path.display().to_string())?;
            let stored = Reader::open(store.path())?.stream(&stream.name)?.unwrap_or_default();
            (stored, store.instance())
        };
        let settings = config.settings_of(log);
        let admission = Admission::new(settings.admission.clone(), stream.seed());
        let slow = settings.slow;
        let mut windows = Windows::live(settings, admission, instance);
        let known = stored.position.is_some();
        let start = match &stored.position {
            Some(position) => Start::At(position.clone()),
            None if log.start_at == StartAt::Beginning => Start::Beginning,
            None => Start::End,
        };
        restore(&mut windows, stored, &log.name);
        let max_line = log.max_line.max(format.longest_line());
        let source: Box<dyn Source + Send> = if log.socket {
            let mut options = SocketOptions::new(&log.path);
            options.clock = Arc::clone(clock);
            options.max_line = max_line;
            Box::new(Socket::open(options))
        } else {
            let mut options = FollowOptions::new(&log.path);
            options.start = start;
            options.clock = Arc::clone(clock);
            options.max_line = max_line;
            options.olddir = log.olddir.clone();
            pace(&mut options);
            Box::new(Follower::open(options)?)
        };
        let classifier = config.classifier().context("cannot read `probe.mark_key_file`")?;
        let counter = Counter::new(format, classifier, slow, windows);
        let sink = StoreSink {
            shared: Arc::clone(shared),
            number,
            stream,
            sync_source: log.sync_source,
            staged: Commit::default(),
            clock: Arc::clone(clock),
            committed: clock.monotonic(),
            committed_state: WindowsState::default(),
            known,
            incidents: 0,
        };
        Ok(Self { source, counter, sink })
    }

    pub(super) fn name(&self) -> &str {
        &self.sink.stream.name
    }

    /// Until the daemon stops.
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        info!(log = %self.name(), "following");
        match pipeline::run(&mut self.source, &mut self.counter, &mut self.sink) {
            Ok(()) => Ok(()),
            Err(PipelineError::Source(error)) => Err(error.into()),
            Err(PipelineError::Sink(error)) => Err(error.into()),
        }
    }
}

/// A moment, for people.
fn time(ms: TimestampMs) -> String {
    chrono::DateTime::from_timestamp_millis(ms).map_or_else(|| ms.to_string(), |time| time.to_rfc3339())
}

/// The reason of a reject that the store kept.
fn known_reason(stored: &str) -> &'static str {
    let known = Reject::REASONS.iter().chain(SKIP_REASONS).chain(&[DAMAGED]);
    known.copied().find(|reason| *reason == stored).unwrap_or("other")
}

/// Windows as the store knows them.
pub(super) fn restore(windows: &mut Windows, stored: StreamState, log: &str) {
    windows.admission().restore(stored.admitted);
    if let Some(state) = stored.windows {
        windows.restore(state, stored.fragments, stored.late_numbers, known_reason);
        if let (Some(first), Some(last)) = (stored.damaged_ms.first(), stored.damaged_ms.last()) {
            // To read these lines again would count their neighbours twice; to stop would lose all that follow.
            let lost = windows.write_off();
            error!(
                %log,
                "the store is damaged where it keeps open windows: {lost} lines of the windows from {} to {} are lost, and \
                 booked as rejected with the reason `damaged`; `rgwlens replay --replace` counts them anew from the log",
                time(*first), time(*last)
            );
        }
    }
    windows.set_floor(stored.floor_ms);
}

/// Commits what the pipeline counted, with the position it was counted up to.
pub(super) struct StoreSink {
    shared: Arc<Shared>,
    /// The log's number among those followed.
    number: usize,
    stream: Stream,
    sync_source: bool,
    /// What a commit that failed would have written, and what came since.
    staged: Commit,
    clock: Arc<dyn Clock>,
    /// When, by the clock that never goes back.
    committed: Duration,
    committed_state: WindowsState,
    /// The database itself has a position of this log.
    known: bool,
    /// What went wrong with the source since the start, in events.
    incidents: u64,
}

impl<S: Source> Sink<S> for StoreSink {
    type Error = StoreError;

    fn turn(
        &mut self,
        parts: Vec<Part>,
        windows: &mut Windows,
        source: &mut S,
    ) -> Result<ControlFlow<()>, StoreError> {
        self.shared.turned(self.number);
        for incident in source.incidents() {
            self.incidents += 1;
            warn!(log = %self.stream.name, kind = incident.kind(), "{incident}");
        }
        let closed = !parts.is_empty();
        self.staged.parts.extend(parts);
        let stopping = self.shared.stopping() && !source.drain();
        if closed || stopping || self.is_time(windows) {
            self.commit(windows, source)?;
        }
        while self.shared.is_full() && !self.shared.stopping() {
            self.wait(NAP);
            let acknowledged = self.shared.take_acknowledgements_into(&mut self.store());
            acknowledged.unwrap_or_else(|error| warn!("{error}"));
        }
        Ok(if stopping { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// A followed log has no end.
    fn end(&mut self, _parts: Vec<Part>, _windows: &mut Windows) -> Result<(), StoreError> {
        Ok(())
    }
}

impl StoreSink {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store_of(self.number)
    }

    /// Something happened, and the last commit is a while ago; or it is a long while ago.
    fn is_time(&self, windows: &Windows) -> bool {
        let age = self.clock.monotonic().saturating_sub(self.committed);
        let news = || windows.totals() != self.committed_state.totals || self.shared.has_acknowledgements();
        age >= IDLE_COMMIT || age >= COMMIT && news()
    }

    /// Tries until it succeeds: what was read is in memory only, and reading waits meanwhile. Gives up when the daemon
    /// stops: what was not committed is read again.
    fn commit(&mut self, windows: &mut Windows, source: &mut impl Source) -> Result<(), StoreError> {
        self.stage(windows, source);
        let mut seconds = *RETRY.start();
        loop {
            if self.sync_source
                && let Err(error) = source.sync()
            {
                warn!(log = %self.stream.name, "{error}");
            }
            match self.try_commit() {
                Ok(()) => break,
                Err(error) if error.may_pass() && !self.shared.stopping() => {
                    error!(log = %self.stream.name, "{error}; reading waits, next try in {seconds} s");
                    self.wait(Duration::from_secs(seconds));
                    seconds = (seconds * 2).min(*RETRY.end());
                }
                Err(error) => return Err(error),
            }
        }
        if !self.known {
            // Without a position reading would begin as if for the first time.
            let known = self.store().checkpoint().is_ok();
            self.known = known;
        }
        // All is committed: what cannot be looked up now is as it was, until the next time.
        let floor = self.store().floor_ms(&self.stream.name);
        match floor {
            Ok(floor_ms) => windows.set_floor(floor_ms),
            Err(error) if error.may_pass() => debug!(log = %self.stream.name, "{error}"),
            Err(error) => return Err(error),
        }
        self.report(windows, source);
        Ok(())
    }

    fn stage(&mut self, windows: &mut Windows, source: &impl Source) {
        self.staged.fragments.extend(windows.fragments());
        self.staged.open = windows.open();
        self.staged.admitted.extend(windows.admission().take_changes());
        self.staged.late_numbers.extend(windows.take_changed_k());
        self.staged.position = source.position();
        self.staged.windows = windows.state();
    }

    fn try_commit(&mut self) -> Result<(), StoreError> {
        let acknowledgements = self.shared.take_acknowledgements();
        let committed = self.store().commit(&self.stream, &self.staged, &acknowledgements);
        if let Err(error) = committed {
            self.shared.give_back(acknowledgements);
            return Err(error);
        }
        let staged = std::mem::take(&mut self.staged);
        self.committed = self.clock.monotonic();
        self.committed_state = staged.windows;
        debug!(
            log = %self.stream.name, lines = self.committed_state.totals.lines, parts = staged.parts.len(),
            open = staged.open.len(), "committed"
        );
        for part in &staged.parts {
            debug!(log = %self.stream.name, kind = ?part.id.kind, start = %time(part.id.start_ms), k = part.id.k, "closed");
        }
        if !staged.parts.is_empty() {
            self.shared.committed();
            if let Some(exposed) = self.shared.exposed() {
                exposed.committed(&self.stream.name, &staged.parts);
            }
        }
        Ok(())
    }

    /// Says where the log stands, and checks the books.
    fn report(&self, windows: &Windows, source: &impl Source) {
        let totals = windows.totals();
        let leak = !totals.conserved() || totals.counted != totals.closed + windows.open_requests();
        if leak {
            error!(
                log = %self.stream.name, ?totals, open = windows.open_requests(),
                "lines and counts disagree: please report this"
            );
        }
        let watermark_ms = windows.watermark_ms();
        let progress =
            Progress { totals, lag_bytes: source.lag(), watermark_ms, leak, incidents: self.incidents };
        self.shared.set_progress(self.number, progress);
    }

    /// Waits, and lets the watchdog know that it is on purpose.
    fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.shared.stopping() {
            self.shared.turned(self.number);
            thread::sleep(NAP.min(until.saturating_duration_since(Instant::now())));
        }
    }
}
