//! What Prometheus sees: `/metrics` of the daemon.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tracing::info;

use super::shared::{Shared, now_ms};
use crate::{
    config::Config,
    metrics::{Exposition, Kind, RequestMetrics, Server},
    probe::{ProbeMetrics, Round},
    stats::Part,
    store::{OutputState, Reader, StoreError},
};

/// How old what the store says may be: however often somebody asks, it is looked at once in this time.
const FRESH: Duration = Duration::from_secs(1);

/// What is exposed besides what the store knows.
pub(super) struct Exposed {
    cluster: String,
    node: String,
    logs: Vec<String>,
    store: std::path::PathBuf,
    requests: Mutex<RequestMetrics>,
    probe: Mutex<Option<ProbeMetrics>>,
    stored: Mutex<Option<(Instant, Stored)>>,
}

/// What the store says.
struct Stored {
    outputs: Vec<OutputState>,
    bytes: u64,
}

impl Exposed {
    /// Nothing counted yet. `None` if nobody is to see it.
    pub(super) fn new(config: &Config) -> Option<Self> {
        let probe = config.probe.settings.as_ref().filter(|_| config.probe.enabled);
        config.metrics.enabled.then(|| Self {
            cluster: config.cluster.clone(),
            node: config.node.clone(),
            logs: config.logs.iter().map(|log| log.name.clone()).collect(),
            store: config.store.path.clone(),
            requests: Mutex::new(RequestMetrics::new(config.metrics.buckets)),
            probe: Mutex::new(probe.map(ProbeMetrics::new)),
            stored: Mutex::new(None),
        })
    }

    /// Parts of a log were committed.
    pub(super) fn committed(&self, log: &str, parts: &[Part]) {
        let mut requests = lock(&self.requests);
        parts.iter().for_each(|part| requests.add(log, part));
    }

    /// Rounds of the probe ended at this time, s since 1970.
    pub(super) fn probed(&self, rounds: &[Round], seconds: f64) {
        if let Some(probe) = &mut *lock(&self.probe) {
            rounds.iter().for_each(|round| probe.observe(round, seconds));
        }
    }

    fn text(&self, shared: &Shared) -> String {
        let mut text = Exposition::default();
        if let Some(probe) = &*lock(&self.probe) {
            probe.write(&mut text);
        }
        let constant = [("cluster", self.cluster.as_str()), ("node", self.node.as_str())];
        lock(&self.requests).write(&constant, &mut text);
        text.family("rgwlens_build_info", Kind::Gauge, "The version that runs.");
        text.count("rgwlens_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.write_logs(shared, &mut text);
        // Without the store there is the rest: that it is missing says so.
        let _ = self.write_stored(&mut text);
        text.into_text()
    }

    fn write_logs(&self, shared: &Shared, text: &mut Exposition) {
        let now_ms = now_ms();
        let all: Vec<_> = self.logs.iter().zip(shared.progress()).collect();
        let mut family = |name: &str, kind, help: &str, value: &dyn Fn(&super::shared::Progress) -> f64| {
            text.family(name, kind, help);
            for (log, progress) in &all {
                text.sample(name, &[("log", log)], value(progress));
            }
        };
        let counter = Kind::Counter;
        family("rgwlens_log_lines_total", counter, "Lines read.", &|p| p.totals.lines as f64);
        family("rgwlens_log_rejected_total", counter, "Lines that are not of the format.", &|p| {
            p.totals.rejected as f64
        });
        family("rgwlens_log_late_total", counter, "Lines counted after their window closed.", &|p| {
            p.totals.late as f64
        });
        family("rgwlens_log_expired_total", counter, "Lines older than what the store keeps.", &|p| {
            p.totals.expired as f64
        });
        family("rgwlens_log_lag_bytes", Kind::Gauge, "On disk, and not read yet.", &|p| p.lag_bytes as f64);
        family(
            "rgwlens_log_lag_seconds",
            Kind::Gauge,
            "How far the newest line read is behind the clock.",
            &|p| p.watermark_ms.map_or(0.0, |watermark| (now_ms - watermark).max(0) as f64 / 1000.0),
        );
        family("rgwlens_log_conserved", Kind::Gauge, "Every line became exactly one thing.", &|p| {
            f64::from(u8::from(!p.leak))
        });
    }

    fn write_stored(&self, text: &mut Exposition) -> Result<(), StoreError> {
        let mut stored = lock(&self.stored);
        if stored.as_ref().is_none_or(|(at, _)| at.elapsed() >= FRESH) {
            *stored = None;
            let reader = Reader::open(&self.store)?;
            let fresh = Stored { outputs: reader.outputs()?, bytes: reader.used_bytes()? };
            *stored = Some((Instant::now(), fresh));
        }
        let Some((_, stored)) = &*stored else { return Ok(()) };
        text.family("rgwlens_store_bytes", Kind::Gauge, "Size of the store, without free pages.");
        text.count("rgwlens_store_bytes", &[], stored.bytes);
        let mut family = |name: &str, kind, help: &str, value: &dyn Fn(&OutputState) -> u64| {
            text.family(name, kind, help);
            for output in &stored.outputs {
                text.count(name, &[("output", &output.name)], value(output));
            }
        };
        family("rgwlens_output_unsent_parts", Kind::Gauge, "Parts that an output does not have yet.", &|o| {
            o.unsent_parts
        });
        family("rgwlens_output_refused_points_total", Kind::Counter, "Points refused for good.", &|o| {
            o.rejected
        });
        family(
            "rgwlens_output_expired_points_total",
            Kind::Counter,
            "Points beyond an output's retention.",
            &|o| o.expired,
        );
        family("rgwlens_output_gaps_total", Kind::Counter, "Parts that an output never gets.", &|o| o.gaps);
        family("rgwlens_output_up", Kind::Gauge, "An output took what it was sent last.", &|o| {
            o.trouble.is_empty().into()
        });
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the server, if there is to be one.
pub(super) fn start(
    config: &Config,
    shared: &Arc<Shared>,
) -> anyhow::Result<Option<JoinHandle<anyhow::Result<()>>>> {
    if shared.exposed().is_none() {
        return Ok(None);
    }
    let server = Server::bind(config.metrics.listen)?;
    let address = server.address().map(|address| address.to_string()).unwrap_or_default();
    info!("metrics at http://{address}/metrics");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = Arc::clone(shared);
    let body = move || {
        runtime.block_on(async {
            let mut stop = shared.watch_stop();
            let of = Arc::clone(&shared);
            let text = move || of.exposed().map(|exposed| exposed.text(&of)).unwrap_or_default();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => Ok(()),
                ended = server.serve(text) => ended.map(|never| match never {}).context("metrics"),
            }
        })
    };
    thread::Builder::new().name("metrics".into()).spawn(body).map(Some).context("cannot start a thread")
}
