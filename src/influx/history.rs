//! What a target already has: so that a replay never adds on top of it, and can take it away first.
//!
//! What is asked for is one range of time of one cluster, node and log: what the lines of one log on one gateway became.

mod influx1;
mod influx2;
mod victoria;

use super::{
    Client, Kind, Outcome,
    answer::{Answer, End},
    client::{Failure, Request},
    line_protocol::stored_name,
};
use crate::point::TimestampMs;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// All measurements that are made of log lines.
pub const LINE_MEASUREMENTS: [&str; 8] = [
    "rgw_node",
    "rgw_bucket",
    "rgw_operation",
    "rgw_status",
    "rgw_size",
    "rgw_upstream",
    "rgw_event",
    "rgw_log",
];

/// The most that is read of the answer to a query, bytes.
const MAX_ANSWER: usize = 8 << 20;

/// Windows that one query asks for: answers stay far below [`MAX_ANSWER`], and below InfluxDB's `max-row-limit`.
const WINDOWS_A_QUERY: i64 = 5_000;

/// The points of one log of one gateway in a range of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Tag `cluster`.
    pub cluster: String,
    /// Tag `node`.
    pub node: String,
    /// Tag `log`.
    pub log: String,
    /// Start, included.
    pub from_ms: TimestampMs,
    /// End, not included.
    pub to_ms: TimestampMs,
}

impl Range {
    /// The tags, values as the server has them.
    fn tags(&self) -> [(&'static str, String); 3] {
        [("cluster", &self.cluster), ("node", &self.node), ("log", &self.log)]
            .map(|(key, value)| (key, stored_name(value)))
    }

    /// The range in pieces of at most [`WINDOWS_A_QUERY`] windows, cut where windows meet.
    fn slices(&self, window_ms: i64) -> impl Iterator<Item = Self> {
        let mut from_ms = self.from_ms;
        std::iter::from_fn(move || {
            if from_ms >= self.to_ms {
                return None;
            }
            let to_ms = (window_start(from_ms, window_ms) + WINDOWS_A_QUERY * window_ms).min(self.to_ms);
            let slice = Self { from_ms, to_ms, ..self.clone() };
            from_ms = to_ms;
            Some(slice)
        })
    }
}

/// A point that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its measurement; of VictoriaMetrics, its metric.
    pub name: String,
    /// Its time. InfluxDB names the first in the range, VictoriaMetrics any.
    pub time_ms: TimestampMs,
}

/// How long ago a point of `rgwlens` still says that its writer is alive: it writes one a minute.
pub const RECENT: Duration = Duration::from_secs(600);

/// One that writes as a node: its points of `rgwlens` say which store it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Tag `cluster`.
    pub cluster: String,
    /// Tag `node`.
    pub node: String,
    /// Field `instance`.
    pub instance: String,
}

impl Writer {
    /// The tags, values as the server has them.
    fn tags(&self) -> [(&'static str, String); 2] {
        [("cluster", stored_name(&self.cluster)), ("node", stored_name(&self.node))]
    }
}

/// Another one that wrote as the same node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Field `instance`.
    pub instance: String,
    /// Time of its last point.
    pub time_ms: TimestampMs,
}

impl Other {
    /// What is wrong.
    pub fn describe(&self, writer: &Writer) -> String {
        format!(
            "another rgwlens (instance {}, this is {}) wrote as node {:?} of cluster {:?} at {}: two hosts with one name \
             overwrite each other's points",
            self.instance,
            writer.instance,
            writer.node,
            writer.cluster,
            rfc3339(self.time_ms, 0)
        )
    }
}

/// Why a target cannot be asked, or cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It may be better later.
    #[error("{why}")]
    Unreachable {
        /// No earlier than in this time, if the server said so.
        after: Option<Duration>,
        /// What happened.
        why: String,
    },
    /// Somebody has to mend something.
    #[error("{why}; {mend}")]
    Refused {
        /// What happened.
        why: String,
        /// What mends it.
        mend: String,
    },
    /// This kind of server cannot do it.
    #[error("{0}")]
    Impossible(String),
    /// InfluxDB 1 deletes from all retention policies at once, and another one holds such points too.
    #[error(
        "retention policy {policy:?} of database {database:?} holds {measurement} of the same cluster, node and log in \
         this range, and InfluxDB 1 would delete them as well; move or drop those first, or write in place"
    )]
    OtherPolicy {
        /// The other policy.
        policy: String,
        /// The database.
        database: String,
        /// A measurement found in it.
        measurement: String,
    },
    /// The server said something that it should not.
    #[error("{0}")]
    Unexpected(String),
}

/// What a target already has. Every method may be repeated.
#[derive(Debug)]
pub struct History<'a> {
    client: &'a Client,
}

impl<'a> History<'a> {
    /// Asks by this client.
    pub fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Whether any measurement made of log lines has a point in the range. VictoriaMetrics shows points about a second
    /// after it took them.
    pub async fn has_points(&self, range: &Range) -> Result<Option<Found>, HistoryError> {
        match &self.client.target().kind {
            Kind::Influx1 { .. } => influx1::has_points(self, range).await,
            Kind::Influx2 { org, bucket, .. } => influx2::has_points(self, org, bucket, range).await,
            Kind::VictoriaMetrics { .. } => victoria::has_points(self, range).await,
        }
    }

    /// How many log lines the target has counted in each window (`lines` of `rgw_log`, late parts included), by the
    /// window's start; windows without any are left out. The first and last may be cut by the range.
    pub async fn lines_by_window(
        &self,
        range: &Range,
        window_ms: i64,
    ) -> Result<BTreeMap<TimestampMs, u64>, HistoryError> {
        let window_ms = window_ms.max(1);
        let mut lines = BTreeMap::new();
        for slice in range.slices(window_ms) {
            let counts = match &self.client.target().kind {
                Kind::Influx1 { .. } => influx1::lines(self, &slice, window_ms).await?,
                Kind::Influx2 { org, bucket, .. } => {
                    influx2::lines(self, org, bucket, &slice, window_ms).await?
                }
                Kind::VictoriaMetrics { .. } => victoria::lines(self, &slice).await?,
            };
            for (time_ms, count) in counts {
                *lines.entry(window_start(time_ms, window_ms)).or_default() += count;
            }
        }
        Ok(lines)
    }

    /// Deletes the points of these measurements in the range, and no others: InfluxDB 1 is refused where another
    /// retention policy would be emptied too, and VictoriaMetrics always, since it cannot delete a range of time.
    pub async fn delete(&self, range: &Range, measurements: &[&str]) -> Result<(), HistoryError> {
        match &self.client.target().kind {
            Kind::Influx1 { database, retention_policy, .. } => {
                influx1::delete(self, database, retention_policy.as_deref(), range, measurements).await
            }
            Kind::Influx2 { org, bucket, .. } => {
                influx2::delete(self, org, bucket, range, measurements).await
            }
            Kind::VictoriaMetrics { .. } => self.can_delete(),
        }
    }

    /// Whether its kind can delete a range of time: VictoriaMetrics cannot.
    pub fn can_delete(&self) -> Result<(), HistoryError> {
        let target = self.client.target();
        match &target.kind {
            Kind::Influx1 { .. } | Kind::Influx2 { .. } => Ok(()),
            Kind::VictoriaMetrics { .. } => Err(HistoryError::Impossible(format!(
                "the output `{}` is a VictoriaMetrics, which cannot delete a range of time, only whole series; \
                 write in place instead, or to another `log`",
                target.name
            ))),
        }
    }

    /// The last one, other than this, that wrote as its node in the [recent](RECENT) past; none that VictoriaMetrics knows
    /// of, which has no texts.
    pub async fn other_writer(
        &self,
        writer: &Writer,
        now_ms: TimestampMs,
    ) -> Result<Option<Other>, HistoryError> {
        let since_ms = now_ms.saturating_sub(RECENT.as_millis() as TimestampMs);
        match &self.client.target().kind {
            Kind::Influx1 { .. } => influx1::other_writer(self, writer, since_ms).await,
            Kind::Influx2 { org, bucket, .. } => {
                influx2::other_writer(self, org, bucket, writer, since_ms).await
            }
            Kind::VictoriaMetrics { .. } => Ok(None),
        }
    }

    /// Sends a request, and sorts out all answers but a good one.
    async fn ask(&self, request: Request<'_>) -> Result<Answer, HistoryError> {
        let target = self.client.target();
        let answer = match self.client.send(&Request { max_answer: MAX_ANSWER, ..request }).await {
            Ok(answer) => answer,
            Err(failure @ (Failure::Network(_) | Failure::Secret(_))) => {
                return Err(from_outcome(failure.outcome(target)));
            }
        };
        match answer.status {
            200 | 204 if answer.end != End::Whole => Err(HistoryError::Unreachable {
                after: None,
                why: format!("the answer of {} broke off", target.url),
            }),
            200 | 204 => Ok(answer),
            400 | 422 => Err(HistoryError::Unexpected(answer.why(target))),
            _ => Err(from_outcome(answer.meaning(target, SystemTime::now()))),
        }
    }

    fn unexpected(&self, what: impl std::fmt::Display) -> HistoryError {
        HistoryError::Unexpected(format!("{}: {what}", self.client.target().url))
    }
}

fn from_outcome(outcome: Outcome) -> HistoryError {
    match outcome {
        Outcome::Retry { after, why } => HistoryError::Unreachable { after, why },
        Outcome::Refused { why, mend } => HistoryError::Refused { why, mend },
        Outcome::Written => HistoryError::Unexpected("an empty answer to a question".to_owned()),
        Outcome::TooLarge => HistoryError::Unexpected("the server finds the question too large".to_owned()),
        Outcome::Unclear { why: message } | Outcome::Rejected { message } | Outcome::Expired { message } => {
            HistoryError::Unexpected(message)
        }
    }
}

/// The start of the window, aligned to the epoch, that holds this time.
fn window_start(time_ms: TimestampMs, window_ms: i64) -> TimestampMs {
    time_ms.div_euclid(window_ms) * window_ms
}

/// As RFC 3339 wants it, within the years that InfluxDB has (1677 to 2262).
fn rfc3339(time_ms: TimestampMs, add_ns: i64) -> String {
    let bound = i64::MAX / 1_000_000 - 1;
    chrono::DateTime::from_timestamp_nanos(time_ms.clamp(-bound, bound) * 1_000_000 + add_ns)
        .to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_meet_at_windows_and_cover_the_range() {
        let range = Range {
            cluster: String::new(),
            node: String::new(),
            log: String::new(),
            from_ms: -5,
            to_ms: 120_000_003,
        };
        let slices: Vec<_> = range.slices(10_000).map(|slice| (slice.from_ms, slice.to_ms)).collect();
        assert_eq!(slices, [(-5, 49_990_000), (49_990_000, 99_990_000), (99_990_000, 120_000_003)]);
        assert_eq!(Range { to_ms: -5, ..range }.slices(10_000).count(), 0);
    }

    #[test]
    fn times_stay_within_what_the_server_has() {
        assert_eq!(rfc3339(1_700_000_000_123, 0), "2023-11-14T22:13:20.123000000Z");
        assert_eq!(rfc3339(1_700_000_000_123, -1), "2023-11-14T22:13:20.122999999Z");
        assert!(rfc3339(i64::MAX, 0).starts_with("2262-04-11"));
        assert!(rfc3339(i64::MIN, -1).starts_with("1677-09-21"));
    }
}
