//! Ceph, asked in rounds.

use std::{collections::BTreeMap, sync::Arc, thread::JoinHandle, time::Duration};

use tracing::{info, warn};

use super::{
    rounds::{self, Pace, Round, Work},
    shared::Shared,
};
use crate::{
    ceph::{Collector, Outcome, Question},
    config::Config,
    follow::Clock,
    point::Point,
    store::Stream,
};

/// Name of the stream. No log can have it.
const STREAM: &str = ":ceph";

/// The most by which a round begins later than planned, so that not all of a fleet ask in the same instant.
const JITTER: Duration = Duration::from_secs(5);

/// Left of a round's time for ending a command that hangs.
const LEFT: Duration = Duration::from_millis(1500);

/// Starts asking, if the configuration wants it.
pub(super) fn start(
    config: &Config,
    shared: &Arc<Shared>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<JoinHandle<anyhow::Result<()>>>> {
    if !config.ceph.enabled {
        return Ok(None);
    }
    let interval = config.ceph.settings.interval;
    let pace = Pace { interval, jitter: JITTER.min(interval / 10), deadline: interval.mul_f64(0.9) };
    // The same from whoever asks: points of two who do are the same points.
    let stream = Stream { name: STREAM.into(), tags: config.cluster_tags() };
    let collector = Collector::new(config.ceph.settings.clone(), &*config.node);
    let asking = Asking { collector, failing: BTreeMap::new(), told: false };
    info!(interval_s = interval.as_secs(), "asking Ceph");
    rounds::start(stream, pace, asking, shared, clock).map(Some)
}

struct Asking {
    collector: Collector,
    /// What was not answered last time, and why.
    failing: BTreeMap<Question, String>,
    /// Device classes without a figure were told of.
    told: bool,
}

impl Work for Asking {
    async fn round(&mut self, round: Round) -> Vec<Point> {
        let outcome = self.collector.round(round.time_ns(), round.deadline - LEFT, round.missed).await;
        self.tell(&outcome);
        outcome.points
    }
}

impl Asking {
    /// What changed, and not every minute that it is still so.
    fn tell(&mut self, outcome: &Outcome) {
        for asked in &outcome.asked {
            let command = asked.question.name();
            match &asked.answer {
                Ok(_) => {
                    if self.failing.remove(&asked.question).is_some() {
                        info!(%command, "Ceph answers again");
                    }
                }
                Err(failure) => {
                    if self.failing.insert(asked.question, failure.to_string()).is_none() {
                        warn!(%command, "ceph {failure}");
                    }
                }
            }
        }
        let classes = outcome.classes_without_figure(self.collector.settings());
        if !classes.is_empty() && !std::mem::replace(&mut self.told, true) {
            for (class, osds) in classes {
                info!(%class, osds, "there is no bound on IOPS for this device class: `ceph.iops` has no figure for it");
            }
        }
    }
}
