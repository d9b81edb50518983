//! What the probe saw from outside beside what its gateway's node saw of the same requests.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    access_log::{Class, ProbeMark},
    point::{Field, Point},
    stats::Event,
};

/// Rounds times tasks that are kept to be joined: a month of one endpoint's.
const MOST: usize = 250_000;

/// A task of the probe.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeReport {
    /// Where S3 was asked; empty where only the gateway's node knows of it.
    pub endpoint: String,
    /// The task, as `put`.
    pub task: String,
    /// How often it was done.
    pub count: u64,
    /// How often it failed.
    pub failed: u64,
    /// Its mean time as the probe saw it, ms.
    pub outside_ms: f64,
    /// The mean time of those that nginx's log has too: as the probe saw it, as nginx did, and as the gateway behind it
    /// did (if the log has that), ms.
    pub joined: Option<Joined>,
}

/// The same tasks from outside and from inside. A task's requests are added up, so all three are about the whole task.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Joined {
    /// How many tasks both saw.
    pub count: u64,
    /// As the probe saw it, ms.
    pub outside_ms: f64,
    /// As nginx did: `$request_time`, ms.
    pub nginx_ms: f64,
    /// As nginx saw the gateway: `$upstream_response_time`, ms.
    pub gateway_ms: Option<f64>,
}

/// Joins them by round and task, in whatever order they come.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// By round and task.
    rounds: BTreeMap<(String, String), Both>,
}

#[derive(Debug, Default)]
struct Both {
    endpoint: String,
    count: u64,
    failed: u64,
    outside_ms: f64,
    requests: u64,
    nginx_ms: u64,
    gateway_ms: Option<u64>,
}

impl Probes {
    fn of(&mut self, round: &str, task: &str) -> Option<&mut Both> {
        let key = (round.to_owned(), task.to_owned());
        (self.rounds.len() < MOST || self.rounds.contains_key(&key))
            .then(|| self.rounds.entry(key).or_default())
    }

    /// A request that the log had.
    pub(super) fn add_event(&mut self, event: &Event) {
        if event.class != Class::Probe {
            return;
        }
        let Some(mark) = ProbeMark::parse(event.text("user_agent").as_bytes()) else { return };
        let Some(both) = self.of(mark.round, mark.task) else { return };
        both.requests += 1;
        both.nginx_ms += u64::from(event.request_time_ms.unwrap_or(0));
        if let Some(ms) = event.upstream_time_ms {
            *both.gateway_ms.get_or_insert(0) += u64::from(ms);
        }
    }

    /// A point of the probe's; others are left alone.
    pub(super) fn add_point(&mut self, point: &Point) {
        let (Some(endpoint), Some(task)) = (point.tags.get("endpoint"), point.tags.get("task")) else {
            return;
        };
        if point.measurement != "s3_probe" {
            return;
        }
        let field =
            |name: &str| point.fields.iter().find_map(|(known, field)| (known == name).then_some(field));
        let (Some(Field::Text(round)), Some(Field::Integer(count)), Some(Field::Float(ms))) =
            (field("round"), field("count"), field("duration_ms"))
        else {
            return;
        };
        let failed = if point.tags.get("outcome") == Some("ok") { 0 } else { *count };
        let Some(both) = self.of(round, task) else { return };
        endpoint.clone_into(&mut both.endpoint);
        both.count += count;
        both.failed += failed;
        both.outside_ms += ms * *count as f64;
    }

    /// By endpoint and task.
    pub(super) fn finish(self) -> Vec<ProbeReport> {
        let mut tasks: BTreeMap<(String, String), (Both, Both)> = BTreeMap::new();
        for ((_, task), both) in self.rounds {
            // A round that only the log has: its probe keeps its points elsewhere.
            if both.count == 0 {
                continue;
            }
            let (all, joined) = tasks.entry((both.endpoint.clone(), task)).or_default();
            if both.requests > 0 {
                joined.add(&both);
            }
            all.add(&both);
        }
        let mean = |sum: f64, count: u64| sum / count.max(1) as f64;
        let report = |((endpoint, task), (all, joined)): ((String, String), (Both, Both))| ProbeReport {
            endpoint,
            task,
            count: all.count,
            failed: all.failed,
            outside_ms: mean(all.outside_ms, all.count),
            joined: (joined.count > 0).then(|| Joined {
                count: joined.count,
                outside_ms: mean(joined.outside_ms, joined.count),
                nginx_ms: mean(joined.nginx_ms as f64, joined.count),
                gateway_ms: joined.gateway_ms.map(|ms| mean(ms as f64, joined.count)),
            }),
        };
        tasks.into_iter().map(report).collect()
    }
}

impl Both {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.failed += other.failed;
        self.outside_ms += other.outside_ms;
        self.requests += other.requests;
        self.nginx_ms += other.nginx_ms;
        self.gateway_ms = self.gateway_ms.into_iter().chain(other.gateway_ms).reduce(|a, b| a + b);
    }
}
