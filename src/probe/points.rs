//! Rounds as points.

use std::{collections::BTreeMap, time::Duration};

use super::{
    observation::{Observation, Round, size_name},
    wire::Phases,
};
use crate::point::{Field, Point, Tags, TimestampNs};

/// A task at an endpoint.
const MEASUREMENT: &str = "s3_probe";

/// A round at an endpoint.
const ROUND: &str = "s3_probe_round";

/// Tags of these points.
pub const TAGS: &[&str] = &["endpoint", "outcome", "size", "task"];

/// Fields of these points, and of `rgw_probe`.
pub const FIELDS: &[&str] = &[
    "body_ms",
    "connect_ms",
    "count",
    "dns_ms",
    "duration_max_ms",
    "duration_ms",
    "failed",
    "failure",
    "first_byte_ms",
    "removed",
    "request_id",
    "requests",
    "round",
    "s3_code",
    "skipped",
    "status",
    "success",
    "tasks",
    "tls_ms",
];

/// A round's points, all of this time: one for each task, size and outcome, and one for the round.
pub fn points(round: &Round, time: TimestampNs) -> Vec<Point> {
    let mut groups: BTreeMap<_, Vec<&Observation>> = BTreeMap::new();
    for observation in &round.observations {
        groups
            .entry((observation.task, observation.size, observation.outcome()))
            .or_default()
            .push(observation);
    }
    let mut points: Vec<Point> = groups
        .into_iter()
        .map(|((task, size, outcome), observations)| {
            let size = size.map(size_name).unwrap_or_default();
            let tags = [
                ("endpoint", &*round.endpoint),
                ("task", task.name()),
                ("size", &*size),
                ("outcome", outcome),
            ];
            Point {
                measurement: MEASUREMENT.into(),
                tags: Tags::new(tags),
                fields: task_fields(round, &observations),
                time,
            }
        })
        .collect();
    points.push(Point {
        measurement: ROUND.into(),
        tags: Tags::new([("endpoint", &*round.endpoint)]),
        fields: round_fields(round),
        time,
    });
    points
}

fn task_fields(round: &Round, observations: &[&Observation]) -> Vec<(String, Field)> {
    let durations = observations.iter().map(|observation| observation.duration);
    let mut fields = vec![
        ("round".to_owned(), Field::Text(round.id.clone())),
        ("count".to_owned(), Field::Integer(observations.len() as u64)),
        ("requests".to_owned(), Field::Integer(observations.iter().map(|o| u64::from(o.requests)).sum())),
        ("duration_ms".to_owned(), Field::Float(mean_ms(durations.clone()))),
        ("duration_max_ms".to_owned(), Field::Float(ms(durations.max().unwrap_or_default()))),
    ];
    for (at, phase) in Phases::NAMES.iter().enumerate() {
        let took: Vec<_> =
            observations.iter().filter_map(|observation| observation.phases.all()[at]).collect();
        if !took.is_empty() {
            fields.push((format!("{phase}_ms"), Field::Float(mean_ms(took.into_iter()))));
        }
    }
    let last = |of: &dyn Fn(&Observation) -> Option<Field>| observations.iter().rev().find_map(|o| of(o));
    let text = |text: &Option<String>| text.clone().map(Field::Text);
    let told = [
        ("status", last(&|o| o.status.map(|status| Field::Integer(status.into())))),
        ("request_id", last(&|o| text(&o.request_id))),
        ("s3_code", last(&|o| o.failure.as_ref().and_then(|failure| text(&failure.code)))),
        ("failure", last(&|o| o.failure.as_ref().map(|failure| Field::Text(failure.detail.clone())))),
    ];
    fields.extend(told.into_iter().filter_map(|(name, field)| Some((name.to_owned(), field?))));
    fields
}

fn round_fields(round: &Round) -> Vec<(String, Field)> {
    let failed = round.observations.iter().filter(|observation| observation.failure.is_some()).count();
    let duration = round.observations.iter().map(|observation| observation.duration).sum();
    vec![
        ("round".to_owned(), Field::Text(round.id.clone())),
        ("success".to_owned(), Field::Boolean(round.is_ok())),
        ("tasks".to_owned(), Field::Integer(round.observations.len() as u64)),
        ("failed".to_owned(), Field::Integer(failed as u64)),
        ("skipped".to_owned(), Field::Integer(round.skipped.len() as u64)),
        ("removed".to_owned(), Field::Integer(round.removed.into())),
        ("duration_ms".to_owned(), Field::Float(ms(duration))),
    ]
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn mean_ms(durations: impl ExactSizeIterator<Item = Duration>) -> f64 {
    let count = durations.len().max(1);
    ms(durations.sum::<Duration>()) / count as f64
}
