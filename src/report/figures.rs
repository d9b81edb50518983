//! What a report says. Its JSON is this, field by field: names carry their units, shares are 0 to 1, and `null` means
//! that there was nothing to tell it from.

use serde::Serialize;

use super::{CephReport, ProbeReport};
use crate::{
    point::TimestampMs,
    stats::{Counters, counter},
};

/// A summary of parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Start of the first window of node totals; `null` for an empty report.
    pub from_ms: Option<TimestampMs>,
    /// End of the last.
    pub until_ms: Option<TimestampMs>,
    /// Seconds between: what all rates are averaged over, quiet times included.
    pub seconds: f64,
    /// Parts added.
    pub parts: Parts,
    /// What became of the lines.
    pub lines: Lines,
    /// All requests.
    pub total: Figures,
    /// Requests per second, mean and peak, of all requests; the peak over all gateways.
    pub requests_per_second: Flow,
    /// Bytes received per second, of all requests, booked when a request ends.
    pub bytes_in_per_second: Flow,
    /// Body bytes sent per second.
    pub bytes_out_per_second: Flow,
    /// Requests that clients made of the object store: without health checks, replication, the admin API, and what is
    /// no request at all.
    pub service: Service,
    /// By class and size of body, classes in the order of their numbers.
    pub classes: Vec<ClassReport>,
    /// By answered status, ascending.
    pub statuses: Vec<StatusReport>,
    /// By gateway, by name.
    pub nodes: Vec<NodeReport>,
    /// By RGW behind nginx, by node and name; empty where the log format has no `$upstream_addr`.
    pub upstreams: Vec<UpstreamReport>,
    /// Slow requests.
    pub slow: Slow,
    /// By size of body, of ok requests.
    pub sizes: Vec<SizeReport>,
    /// By bucket.
    pub buckets: Buckets,
    /// By RGW's operation, most requests first.
    pub operations: Vec<OperationReport>,
    /// What the probe saw from outside, by endpoint and task; empty where its points are elsewhere.
    pub probes: Vec<ProbeReport>,
    /// What Ceph said about itself, by cluster; empty where nobody asks it.
    pub ceph: Vec<CephReport>,
}

/// Parts added to a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parts {
    /// Counted.
    pub counted: u64,
    /// Given more than once: counted the first time only.
    pub duplicates: u64,
    /// Not readable in the store, and so left out.
    pub damaged: u64,
}

/// What became of the lines. `read = counted + expired + all of rejected`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lines {
    /// Lines read.
    pub read: u64,
    /// Counted as a request.
    pub counted: u64,
    /// Of those counted, ones that came after their window had closed.
    pub late: u64,
    /// Older than what is kept: not counted.
    pub expired: u64,
    /// Not of the log format, by reason.
    pub rejected: Vec<Rejected>,
    /// Whether every line became exactly one of these.
    pub conserved: bool,
}

/// Lines that are not of the log format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Why.
    pub reason: String,
    /// How many.
    pub lines: u64,
}

/// Additive integers of a series of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// All: `ok + errors_4xx + errors_5xx + aborted`.
    pub requests: u64,
    /// Answered below 400, and nginx's `000`.
    pub ok: u64,
    /// Answered 400 to 499, without 499.
    pub errors_4xx: u64,
    /// Answered from 500 on.
    pub errors_5xx: u64,
    /// 499: the client went away before the answer.
    pub aborted: u64,
    /// Slow, whatever the answer.
    pub slow: u64,
    /// `$content_length` where the log format has it, else `$request_length`, headers included.
    pub bytes_in: u64,
    /// `$body_bytes_sent`.
    pub bytes_out: u64,
}

impl Figures {
    /// Adds the counters of a series.
    pub(super) fn add(&mut self, counters: &Counters) {
        let of = |index: usize| counters[index];
        self.merge(&Self {
            requests: counters[counter::OK..=counter::ABORTED]
                .iter()
                .fold(0, |sum, n| sum.saturating_add(*n)),
            ok: of(counter::OK),
            errors_4xx: of(counter::ERRORS_4XX),
            errors_5xx: of(counter::ERRORS_5XX),
            aborted: of(counter::ABORTED),
            slow: of(counter::SLOW),
            bytes_in: of(counter::BYTES_IN),
            bytes_out: of(counter::BYTES_OUT),
        });
    }

    /// Adds others.
    pub(super) fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.ok, other.ok),
            (&mut self.errors_4xx, other.errors_4xx),
            (&mut self.errors_5xx, other.errors_5xx),
            (&mut self.aborted, other.aborted),
            (&mut self.slow, other.slow),
            (&mut self.bytes_in, other.bytes_in),
            (&mut self.bytes_out, other.bytes_out),
        ];
        for (mine, theirs) in pairs {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// 4xx and 5xx together.
    pub fn errors(&self) -> u64 {
        self.errors_4xx.saturating_add(self.errors_5xx)
    }
}

/// How well requests of clients went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Service {
    /// Their sums.
    #[serde(flatten)]
    pub figures: Figures,
    /// ok / requests.
    pub success_rate: Option<f64>,
    /// 1 − errors_5xx / requests.
    pub availability: Option<f64>,
    /// errors_4xx / requests.
    pub errors_4xx_rate: Option<f64>,
    /// errors_5xx / requests.
    pub errors_5xx_rate: Option<f64>,
    /// aborted / requests.
    pub aborted_rate: Option<f64>,
}

impl Service {
    pub(super) fn new(figures: Figures) -> Self {
        let rate = |part| share(part, figures.requests);
        Self {
            figures,
            success_rate: rate(figures.ok),
            // Of the rest, not 1 minus a rounded rate: exact where all went well.
            availability: rate(figures.requests - figures.errors_5xx.min(figures.requests)),
            errors_4xx_rate: rate(figures.errors_4xx),
            errors_5xx_rate: rate(figures.errors_5xx),
            aborted_rate: rate(figures.aborted),
        }
    }
}

/// A part of a whole, 0 to 1; `None` of nothing.
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Something that flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Flow {
    /// Mean, per second.
    pub mean: f64,
    /// The busiest window; `null` when nothing flowed.
    pub peak: Option<Peak>,
}

/// The busiest window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Peak {
    /// Mean of the window, per second.
    pub per_second: f64,
    /// Its start.
    pub start_ms: TimestampMs,
    /// Its length.
    pub length_ms: i64,
}

/// Latencies of ok requests, ms: `$request_time`, until the last byte went to the client.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencyStats {
    /// How many ok requests.
    pub count: u64,
    /// Their sum.
    pub sum_ms: u64,
    /// The shortest.
    pub min_ms: f64,
    /// Arithmetic mean.
    pub mean_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Half of them took at most this; nearest rank, to 1 %.
    pub p50_ms: f64,
    /// 90 % of them took at most this.
    pub p90_ms: f64,
    /// 99 % of them took at most this.
    pub p99_ms: f64,
}

/// A class of requests with small or large bodies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// Class.
    pub class: &'static str,
    /// `small` or `large` bodies.
    pub size: &'static str,
    /// Sums.
    #[serde(flatten)]
    pub figures: Figures,
    /// Mean.
    pub requests_per_second: f64,
    /// Latency; `null` when none was ok.
    pub latency: Option<LatencyStats>,
}

/// Requests by answered status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StatusReport {
    /// Status; 0 where nginx wrote `000`.
    pub status: u16,
    /// All requests so answered.
    pub requests: u64,
}

/// A gateway.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeReport {
    /// Tag `node`.
    pub node: String,
    /// All requests.
    pub total: Figures,
    /// Mean of all requests.
    pub requests_per_second: f64,
    /// Requests of clients.
    pub service: Service,
    /// By class and size.
    pub classes: Vec<ClassReport>,
}

/// An RGW behind nginx.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UpstreamReport {
    /// Tag `node` of its nginx.
    pub node: String,
    /// Its address.
    pub upstream: String,
    /// Sums of all classes.
    #[serde(flatten)]
    pub figures: Figures,
    /// Of ok requests of clients with small bodies, all classes together.
    pub latency_small: Option<LatencyStats>,
}

/// Slow requests: small ones over a time, large ones under a transfer rate; uploads, downloads, lists and deletes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Slow {
    /// How many.
    pub requests: u64,
    /// Share of all uploads, downloads, lists and deletes.
    pub share: Option<f64>,
    /// By class and size, those that can be slow.
    pub classes: Vec<SlowOfClass>,
    /// By gateway, most first.
    pub nodes: Vec<SlowOfNode>,
    /// How many of them are kept one by one: events are capped per window.
    pub kept: u64,
    /// The slowest of those kept, slowest first.
    pub slowest: Vec<SlowEvent>,
}

/// Slow requests of a class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SlowOfClass {
    /// Class.
    pub class: &'static str,
    /// `small` or `large` bodies.
    pub size: &'static str,
    /// All of this class and size.
    pub requests: u64,
    /// Slow ones.
    pub slow: u64,
    /// slow / requests.
    pub share: Option<f64>,
}

/// Slow requests of a gateway.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlowOfNode {
    /// Tag `node`.
    pub node: String,
    /// Its uploads, downloads, lists and deletes.
    pub requests: u64,
    /// Slow ones.
    pub slow: u64,
    /// slow / requests.
    pub share: Option<f64>,
    /// Share of the slow requests of all gateways.
    pub share_of_slow: Option<f64>,
}

/// One slow request. Text is a stranger's: printable, but not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlowEvent {
    /// End of the request.
    pub time_ms: TimestampMs,
    /// Tag `node`.
    pub node: String,
    /// Tag `log`.
    pub log: String,
    /// Class.
    pub class: &'static str,
    /// Operation.
    pub operation: &'static str,
    /// Status.
    pub status: u16,
    /// `$request_time`.
    pub request_time_ms: u32,
    /// Sum of `$upstream_response_time`; `null` where the log format has none.
    pub upstream_time_ms: Option<u32>,
    /// Where the time went: `gateway`, `client` or `retried`; `null` without upstream times.
    pub verdict: Option<&'static str>,
    /// Bytes in.
    pub bytes_in: u64,
    /// Body bytes out.
    pub bytes_out: u64,
    /// `bucket` or `tenant/bucket`.
    pub bucket: String,
    /// Object key.
    pub object: String,
    /// Method.
    pub method: String,
    /// URI without its query's values.
    pub uri: String,
    /// Client address.
    pub remote_addr: String,
    /// User agent.
    pub user_agent: String,
}

/// Ok requests of a class by the size of their body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SizeReport {
    /// Class.
    pub class: &'static str,
    /// All ok requests.
    pub requests: u64,
    /// Disjoint, ascending; they add up to `requests`.
    pub steps: Vec<SizeStep>,
}

/// Requests whose body is above the step before, and at most this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SizeStep {
    /// Longest body of the step; `null` for the last, which has no end.
    pub up_to_bytes: Option<u64>,
    /// Ok requests.
    pub requests: u64,
}

/// Buckets, ranked. They are counted in longer windows than node totals: see `seconds`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Buckets {
    /// How many have a name of their own.
    pub named: u64,
    /// Seconds that the windows of buckets cover of the report's range.
    pub seconds: f64,
    /// Sums over all buckets and what has none.
    pub total: Figures,
    /// What has no bucket of its own: `_none_` (no bucket in the request), `_unknown_` (never seen to succeed), `_other_`
    /// (over the caps).
    pub reserved: Vec<BucketReport>,
    /// Those with most requests.
    pub by_requests: Vec<BucketReport>,
    /// Those that received most bytes.
    pub by_bytes_in: Vec<BucketReport>,
    /// Those that sent most bytes.
    pub by_bytes_out: Vec<BucketReport>,
    /// Those with most errors, 4xx and 5xx together.
    pub by_errors: Vec<BucketReport>,
    /// Those with most slow requests.
    pub by_slow: Vec<BucketReport>,
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BucketReport {
    /// `bucket` or `tenant/bucket`.
    pub bucket: String,
    /// Sums of all classes.
    #[serde(flatten)]
    pub figures: Figures,
    /// Bytes received per second: the mean of all gateways, and the busiest window of one.
    pub bytes_in_per_second: Flow,
    /// Body bytes sent per second, likewise.
    pub bytes_out_per_second: Flow,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperationReport {
    /// API.
    pub protocol: &'static str,
    /// RGW's name.
    pub operation: &'static str,
    /// Sums.
    #[serde(flatten)]
    pub figures: Figures,
    /// Latency, small and large together; `null` when none was ok.
    pub latency: Option<LatencyStats>,
}
