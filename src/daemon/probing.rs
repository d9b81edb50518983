//! The probe, in rounds.

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use tracing::{debug, info, warn};

use super::{
    rounds::{self, Pace, Work},
    shared::{Shared, now_ms},
};
use crate::{
    config::Config,
    follow::Clock,
    point::Point,
    probe::{Probe, Round, points},
    store::Stream,
};

/// Beyond what a round takes at the most, for this machine itself to be slow.
const SLACK: Duration = Duration::from_secs(5);

/// Its stream in the store. No log can have this name.
const STREAM: &str = ":probe";

/// Starts the probe, if it is configured.
pub(super) fn start(
    config: &Config,
    shared: &Arc<Shared>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<JoinHandle<anyhow::Result<()>>>> {
    let Some(settings) = config.probe.settings.clone().filter(|_| config.probe.enabled) else {
        return Ok(None);
    };
    let pace = Pace {
        interval: config.probe.interval,
        jitter: config.probe.jitter,
        deadline: settings.longest_round() + SLACK,
    };
    let names: Vec<&str> = settings.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    info!(endpoints = names.join(", "), "probing");
    let work = Probing { probe: Probe::new(settings)?, shared: Arc::clone(shared) };
    let stream = Stream { name: STREAM.into(), tags: config.node_tags() };
    rounds::start(stream, pace, work, shared, clock).map(Some)
}

struct Probing {
    probe: Probe,
    shared: Arc<Shared>,
}

impl Work for Probing {
    async fn round(&mut self, round: rounds::Round) -> Vec<Point> {
        if round.missed > 0 {
            warn!(missed = round.missed, "rounds of the probe were left out");
        }
        let rounds = self.probe.rounds().await;
        rounds.iter().for_each(say);
        if let Some(exposed) = self.shared.exposed() {
            exposed.probed(&rounds, now_ms() as f64 / 1000.0);
        }
        rounds.iter().flat_map(|ended| points(ended, round.time_ns())).collect()
    }
}

fn say(round: &Round) {
    for observation in &round.observations {
        if let Some(failure) = &observation.failure {
            let request_id = observation.request_id.as_deref().unwrap_or("-");
            warn!(
                endpoint = %round.endpoint, task = observation.task.name(), round = %round.id, request_id,
                "the probe failed: {failure}"
            );
        }
    }
    for note in &round.notes {
        warn!(endpoint = %round.endpoint, "{note}");
    }
    if round.removed > 0 {
        info!(endpoint = %round.endpoint, removed = round.removed, "removed what an earlier round left behind");
    }
    debug!(endpoint = %round.endpoint, round = %round.id, ok = round.is_ok(), "probed");
}
