//! Rounds as metrics: counters since the process began.

use std::collections::BTreeMap;

use super::{
    observation::{Round, Task, size_name},
    settings::Settings,
    wire::Phases,
};
use crate::metrics::{Exposition, Histogram, Kind};

/// Edges of `s3_request_duration_seconds_histogram`, s: each the nearest number to its two digits.
const EDGES: [f64; 20] = [
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95,
    1.0,
];

/// Edges of `rgwlens_probe_task_duration_seconds`, s: from a small read to a large object.
const WIDE_EDGES: [f64; 14] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// What `/metrics` says of the probe.
#[derive(Debug)]
pub struct ProbeMetrics {
    /// The endpoint and the size of the metrics that have no labels for them.
    main: (String, Option<u64>),
    tasks: BTreeMap<Task, TaskTotals>,
    at: BTreeMap<(String, Task, String), At>,
    failures: BTreeMap<(String, Task, String, &'static str), u64>,
    skipped: BTreeMap<(String, Task), u64>,
    rounds: BTreeMap<String, Rounds>,
}

/// A task at the main endpoint.
#[derive(Clone, Debug)]
struct TaskTotals {
    count: u64,
    sum: f64,
    last: Option<f64>,
    histogram: Histogram,
    fails: u64,
}

/// A task at an endpoint, with objects of one size.
#[derive(Debug)]
struct At {
    durations: Histogram,
    phases: [(u64, f64); Phases::NAMES.len()],
}

#[derive(Debug, Default)]
struct Rounds {
    ok: u64,
    failed: u64,
    removed: u64,
    last_seconds: f64,
    last_ok: bool,
}

impl ProbeMetrics {
    /// Nothing observed yet.
    pub fn new(settings: &Settings) -> Self {
        let none = TaskTotals { count: 0, sum: 0.0, last: None, histogram: Histogram::new(&EDGES), fails: 0 };
        let main = settings.endpoints.first().map(|endpoint| endpoint.name.clone()).unwrap_or_default();
        let rounds = settings.endpoints.iter().map(|endpoint| (endpoint.name.clone(), Rounds::default()));
        Self {
            main: (main, settings.sizes.first().copied()),
            tasks: Task::ALL.iter().map(|task| (*task, none.clone())).collect(),
            at: BTreeMap::new(),
            failures: BTreeMap::new(),
            skipped: BTreeMap::new(),
            rounds: rounds.collect(),
        }
    }

    /// Adds a round that ended at this time, s since 1970.
    pub fn observe(&mut self, round: &Round, seconds: f64) {
        for observation in &round.observations {
            let (took, task) = (observation.duration.as_secs_f64(), observation.task);
            let is_main = round.endpoint == self.main.0
                && (observation.size.is_none() || observation.size == self.main.1);
            if let Some(totals) = self.tasks.get_mut(&task).filter(|_| is_main) {
                totals.count += 1;
                totals.sum += took;
                totals.last = Some(took);
                totals.histogram.observe(took);
                totals.fails += u64::from(observation.failure.is_some());
            }
            let size = observation.size.map(size_name).unwrap_or_default();
            let key = (round.endpoint.clone(), task, size);
            if let Some(failure) = &observation.failure {
                let (endpoint, task, size) = key.clone();
                *self.failures.entry((endpoint, task, size, failure.kind.name())).or_default() += 1;
            }
            let at = self.at.entry(key).or_insert_with(|| At {
                durations: Histogram::new(&WIDE_EDGES),
                phases: [(0, 0.0); Phases::NAMES.len()],
            });
            at.durations.observe(took);
            for ((count, sum), phase) in at.phases.iter_mut().zip(observation.phases.all()) {
                *count += u64::from(phase.is_some());
                *sum += phase.unwrap_or_default().as_secs_f64();
            }
        }
        for (task, _) in &round.skipped {
            *self.skipped.entry((round.endpoint.clone(), *task)).or_default() += 1;
        }
        let rounds = self.rounds.entry(round.endpoint.clone()).or_default();
        rounds.last_ok = round.is_ok();
        *(if rounds.last_ok { &mut rounds.ok } else { &mut rounds.failed }) += 1;
        rounds.removed += u64::from(round.removed);
        rounds.last_seconds = seconds;
    }

    /// Writes all of it.
    pub fn write(&self, text: &mut Exposition) {
        self.write_tasks(text);
        self.write_endpoints(text);
        self.write_rounds(text);
    }

    /// The names and labels that dashboards for S3 probes have had since the first of them.
    fn write_tasks(&self, text: &mut Exposition) {
        let name = "s3_request_duration_seconds";
        text.family(name, Kind::Summary, "Time of S3 requests, failed ones too.");
        for (task, totals) in &self.tasks {
            text.summary(name, &[("task", task.name())], totals.count, totals.sum);
        }
        let name = "s3_request_last_duration_seconds";
        text.family(name, Kind::Gauge, "Time of the last S3 request.");
        for (task, totals) in &self.tasks {
            if let Some(last) = totals.last {
                text.sample(name, &[("task", task.name())], last);
            }
        }
        let name = "s3_request_duration_seconds_histogram";
        text.family(name, Kind::Histogram, "Time of S3 requests, failed ones too.");
        for (task, totals) in &self.tasks {
            totals.histogram.write(name, &[("task", task.name())], text);
        }
        let name = "s3_requests_fails_total";
        text.family(name, Kind::Counter, "S3 requests that failed.");
        for (task, totals) in &self.tasks {
            text.count(name, &[("task", task.name())], totals.fails);
        }
    }

    fn write_endpoints(&self, text: &mut Exposition) {
        let name = "rgwlens_probe_task_duration_seconds";
        text.family(name, Kind::Histogram, "Time of the probe's tasks, failed ones too.");
        for ((endpoint, task, size), at) in &self.at {
            let labels = [("endpoint", endpoint.as_str()), ("task", task.name()), ("size", size)];
            at.durations.write(name, &labels, text);
        }
        let name = "rgwlens_probe_phase_duration_seconds";
        text.family(name, Kind::Summary, "Time of the phases of the probe's tasks.");
        for ((endpoint, task, size), at) in &self.at {
            for (phase, (count, sum)) in Phases::NAMES.iter().zip(at.phases) {
                let labels = [
                    ("endpoint", endpoint.as_str()),
                    ("task", task.name()),
                    ("size", size),
                    ("phase", phase),
                ];
                if count > 0 {
                    text.summary(name, &labels, count, sum);
                }
            }
        }
        let name = "rgwlens_probe_failures_total";
        text.family(name, Kind::Counter, "The probe's tasks that failed, by kind of failure.");
        for ((endpoint, task, size, kind), count) in &self.failures {
            let labels =
                [("endpoint", endpoint.as_str()), ("task", task.name()), ("size", size), ("kind", kind)];
            text.count(name, &labels, *count);
        }
        let name = "rgwlens_probe_skipped_total";
        text.family(name, Kind::Counter, "The probe's tasks that could not be tried.");
        for ((endpoint, task), count) in &self.skipped {
            text.count(name, &[("endpoint", endpoint), ("task", task.name())], *count);
        }
    }

    fn write_rounds(&self, text: &mut Exposition) {
        let name = "rgwlens_probe_rounds_total";
        text.family(name, Kind::Counter, "Rounds of the probe.");
        for (endpoint, rounds) in &self.rounds {
            text.count(name, &[("endpoint", endpoint), ("outcome", "ok")], rounds.ok);
            text.count(name, &[("endpoint", endpoint), ("outcome", "failed")], rounds.failed);
        }
        let name = "rgwlens_probe_leftovers_removed_total";
        text.family(name, Kind::Counter, "Objects and buckets of earlier rounds that were removed.");
        for (endpoint, rounds) in &self.rounds {
            text.count(name, &[("endpoint", endpoint)], rounds.removed);
        }
        let ended = || self.rounds.iter().filter(|(_, rounds)| rounds.last_seconds > 0.0);
        let name = "rgwlens_probe_last_round_ok";
        text.family(name, Kind::Gauge, "Whether the last round was all well.");
        for (endpoint, rounds) in ended() {
            text.count(name, &[("endpoint", endpoint)], rounds.last_ok.into());
        }
        let name = "rgwlens_probe_last_round_timestamp_seconds";
        text.family(name, Kind::Gauge, "When the last round ended.");
        for (endpoint, rounds) in ended() {
            text.sample(name, &[("endpoint", endpoint)], rounds.last_seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        influx::Secret,
        probe::{Endpoint, Failure, FailureKind, Observation, Style},
    };

    fn settings() -> Settings {
        let endpoint = |name: &str| Endpoint {
            name: name.into(),
            url: "http://localhost".into(),
            connect: None,
            style: Style::Path,
            ca_file: None,
        };
        let time = Duration::from_secs(1);
        Settings {
            endpoints: vec![endpoint("main"), endpoint("gw1")],
            region: String::new(),
            access_key: Secret::Value(String::new()),
            secret_key: Secret::Value(String::new()),
            mark_key: None,
            bucket: None,
            sizes: vec![512, 1 << 20],
            part_size: 5 << 20,
            objects: 0,
            fresh_connections: false,
            connect_timeout: time,
            timeout: time,
            round_timeout: time,
            leftovers_after: time,
        }
    }

    fn round(endpoint: &str, size: u64, millis: u64, failed: bool) -> Round {
        let failure = Failure { kind: FailureKind::Timeout, code: None, detail: String::new() };
        let observation = Observation {
            task: Task::Put,
            size: Some(size),
            duration: Duration::from_millis(millis),
            phases: Phases { first_byte: Some(Duration::from_millis(millis)), ..Phases::default() },
            requests: 1,
            status: None,
            request_id: None,
            failure: failed.then_some(failure),
        };
        Round {
            endpoint: endpoint.into(),
            id: String::new(),
            observations: vec![observation],
            skipped: Vec::new(),
            removed: 0,
            notes: Vec::new(),
        }
    }

    #[test]
    fn the_old_names_are_of_the_first_endpoint_and_size_and_have_no_label_but_the_task() {
        let mut metrics = ProbeMetrics::new(&settings());
        for (endpoint, size, millis, failed) in [
            ("main", 512, 50, false),
            ("main", 512, 1_250, true),
            ("main", 1 << 20, 70, false),
            ("gw1", 512, 90, true),
        ] {
            metrics.observe(&round(endpoint, size, millis, failed), 1.5);
        }
        let mut text = Exposition::default();
        metrics.write(&mut text);
        let text = text.into_text();
        let has =
            |sample: &str| assert!(text.contains(&format!("\n{sample}\n")), "{sample} is not in {text}");
        has("# TYPE s3_request_duration_seconds summary");
        has("s3_request_duration_seconds_sum{task=\"put\"} 1.3");
        has("s3_request_duration_seconds_count{task=\"put\"} 2");
        has("s3_request_duration_seconds_count{task=\"delete_many\"} 0");
        has("s3_request_last_duration_seconds{task=\"put\"} 1.25");
        has("s3_requests_fails_total{task=\"put\"} 1");
        has("s3_requests_fails_total{task=\"get\"} 0");
        let mut edges: Vec<String> =
            (1..=20).map(|edge| format!("{:?}", f64::from(edge) * 5.0 / 100.0)).collect();
        edges.push("+Inf".into());
        for edge in &edges {
            let count = if edge == "+Inf" { 2 } else { 1 };
            has(&format!(
                "s3_request_duration_seconds_histogram_bucket{{task=\"put\",le=\"{edge}\"}} {count}"
            ));
        }
        assert_eq!(text.matches("histogram_bucket{task=\"put\"").count(), edges.len());
        for (endpoint, size, count) in [("main", "512B", 2), ("main", "1MiB", 1), ("gw1", "512B", 1)] {
            let labels = format!("endpoint=\"{endpoint}\",task=\"put\",size=\"{size}\"");
            has(&format!("rgwlens_probe_task_duration_seconds_count{{{labels}}} {count}"));
            has(&format!(
                "rgwlens_probe_phase_duration_seconds_count{{{labels},phase=\"first_byte\"}} {count}"
            ));
        }
        has("rgwlens_probe_failures_total{endpoint=\"gw1\",task=\"put\",size=\"512B\",kind=\"timeout\"} 1");
        has("rgwlens_probe_rounds_total{endpoint=\"main\",outcome=\"failed\"} 1");
        has("rgwlens_probe_last_round_ok{endpoint=\"gw1\"} 0");
        has("rgwlens_probe_last_round_timestamp_seconds{endpoint=\"main\"} 1.5");
    }
}
