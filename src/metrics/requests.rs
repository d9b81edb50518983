//! Requests as metrics: counters since the process began, made of the same points as everything else.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::{Exposition, Histogram, Kind};
use crate::{
    point::{PointWriter, Tags, TimestampNs},
    stats::{LATENCY_EDGES_MS, OTHER, Part, write_points},
};

/// Edges of the latency histogram, s: those of the fields `latency_le_…`.
const EDGES: [f64; LATENCY_EDGES_MS.len()] = {
    let mut edges = [0.0; LATENCY_EDGES_MS.len()];
    let mut at = 0;
    while at < edges.len() {
        edges[at] = LATENCY_EDGES_MS[at] as f64 / 1000.0;
        at += 1;
    }
    edges
};

/// Outcomes of requests, and the fields that count them.
const OUTCOMES: [(&str, &str); 4] =
    [("ok", "ok"), ("4xx", "errors_4xx"), ("5xx", "errors_5xx"), ("aborted", "aborted")];

/// Labels of a series, all of them.
type Labels = Vec<(&'static str, String)>;

/// Integer fields of a point.
type Fields = BTreeMap<String, u64>;

/// What `/metrics` says of requests.
#[derive(Debug)]
pub struct RequestMetrics {
    most_buckets: usize,
    /// Log and bucket that have series: those that came first, since a counter must not go away again.
    named: BTreeSet<(String, String)>,
    /// By class and size.
    node: BTreeMap<Labels, Totals>,
    /// By bucket and class.
    buckets: BTreeMap<Labels, Totals>,
}

impl RequestMetrics {
    /// Nothing counted yet; so many buckets get series of their own.
    pub fn new(most_buckets: usize) -> Self {
        Self { most_buckets, named: BTreeSet::new(), node: BTreeMap::new(), buckets: BTreeMap::new() }
    }

    /// Adds a part of a log.
    pub fn add(&mut self, log: &str, part: &Part) {
        write_points(
            part,
            &Tags::default(),
            None,
            &mut Reading { metrics: self, log, point: ReadPoint::default() },
        );
    }

    /// Writes all of it.
    pub fn write(&self, constant: &[(&str, &str)], text: &mut Exposition) {
        let node = Family { total: "rgwlens_requests_total", one: "rgwlens_request", histogram: true };
        node.write(constant, &self.node, text);
        let bucket = Family {
            total: "rgwlens_bucket_requests_total",
            one: "rgwlens_bucket_request",
            histogram: false,
        };
        bucket.write(constant, &self.buckets, text);
    }

    fn add_point(&mut self, log: &str, point: &ReadPoint) {
        let log_label = ("log", log.to_owned());
        let class = ("class", point.class.clone());
        let totals = if point.measurement == "rgw_node" {
            self.node.entry(vec![log_label, class, ("size", point.size.clone())]).or_default()
        } else {
            let bucket = ("bucket", self.name_of(log, &point.bucket));
            self.buckets.entry(vec![log_label, bucket, class]).or_default()
        };
        totals.add(&point.fields);
    }

    /// The bucket, or the name of all others. Names that are no bucket's always have series.
    fn name_of(&mut self, log: &str, bucket: &str) -> String {
        let key = (log.to_owned(), bucket.to_owned());
        if bucket.starts_with('_') || self.named.contains(&key) {
            return key.1;
        }
        if self.named.len() < self.most_buckets {
            self.named.insert(key.clone());
            return key.1;
        }
        OTHER.to_owned()
    }
}

/// One of its amounts.
type Amount = fn(&Totals) -> u64;

/// What one series adds up to.
#[derive(Debug)]
struct Totals {
    outcomes: [u64; OUTCOMES.len()],
    slow: u64,
    bytes_in: u64,
    bytes_out: u64,
    latency: Histogram,
}

impl Default for Totals {
    fn default() -> Self {
        let latency = Histogram::new(&EDGES);
        Self { outcomes: [0; OUTCOMES.len()], slow: 0, bytes_in: 0, bytes_out: 0, latency }
    }
}

impl Totals {
    fn add(&mut self, fields: &Fields) {
        let field = |name: &str| fields.get(name).copied().unwrap_or(0);
        for (total, (_, name)) in self.outcomes.iter_mut().zip(OUTCOMES) {
            *total += field(name);
        }
        self.slow += field("slow");
        self.bytes_in += field("bytes_in");
        self.bytes_out += field("bytes_out");
        // Points of buckets have no such fields: all their requests are above all edges, and only the sum is written.
        let cumulative = LATENCY_EDGES_MS.map(|edge| field(&format!("latency_le_{edge}")));
        self.latency.add(&cumulative, field("latency_count"), field("latency_sum_ms") as f64 / 1000.0);
    }
}

/// Metrics of one kind of series.
struct Family {
    total: &'static str,
    /// What the names of amounts begin with.
    one: &'static str,
    histogram: bool,
}

impl Family {
    fn write(&self, constant: &[(&str, &str)], all: &BTreeMap<Labels, Totals>, text: &mut Exposition) {
        let labelled: Vec<(Vec<(&str, &str)>, &Totals)> = all
            .iter()
            .map(|(labels, totals)| {
                let own = labels.iter().map(|(label, value)| (*label, value.as_str()));
                (constant.iter().copied().chain(own).collect(), totals)
            })
            .collect();
        text.family(self.total, Kind::Counter, "Requests, by outcome.");
        for (labels, totals) in &labelled {
            for (count, (outcome, _)) in totals.outcomes.iter().zip(OUTCOMES) {
                let labels: Vec<_> = labels.iter().copied().chain([("outcome", outcome)]).collect();
                text.count(self.total, &labels, *count);
            }
        }
        let amounts: [(&str, &str, Amount); 3] = [
            ("slow_total", "Requests that were slow.", |totals| totals.slow),
            ("received_bytes_total", "Bytes received.", |totals| totals.bytes_in),
            ("sent_bytes_total", "Bytes sent.", |totals| totals.bytes_out),
        ];
        for (name, help, amount) in amounts {
            let name = format!("{}_{name}", self.one);
            text.family(&name, Kind::Counter, help);
            for (labels, totals) in &labelled {
                text.count(&name, labels, amount(totals));
            }
        }
        let name = format!("{}_duration_seconds", self.one);
        let kind = if self.histogram { Kind::Histogram } else { Kind::Summary };
        text.family(&name, kind, "Time that nginx took for requests that were ok.");
        for (labels, totals) in &labelled {
            if self.histogram {
                totals.latency.write(&name, labels, text);
            } else {
                text.summary(&name, labels, totals.latency.count(), totals.latency.sum());
            }
        }
    }
}

/// Takes the points of a part apart.
struct Reading<'a> {
    metrics: &'a mut RequestMetrics,
    log: &'a str,
    point: ReadPoint,
}

/// A point, as far as it is of interest.
#[derive(Default)]
struct ReadPoint {
    measurement: String,
    class: String,
    size: String,
    bucket: String,
    fields: Fields,
}

impl ReadPoint {
    fn counts(&self) -> bool {
        matches!(&*self.measurement, "rgw_node" | "rgw_bucket")
    }
}

impl PointWriter for Reading<'_> {
    fn begin(&mut self, measurement: &str) {
        self.point = ReadPoint { measurement: measurement.to_owned(), ..ReadPoint::default() };
    }

    fn tag(&mut self, key: &str, value: &str) {
        match key {
            "class" => value.clone_into(&mut self.point.class),
            "size" => value.clone_into(&mut self.point.size),
            "bucket" => value.clone_into(&mut self.point.bucket),
            _ => {}
        }
    }

    fn integer(&mut self, key: &str, value: u64) {
        if self.point.counts() {
            self.point.fields.insert(key.to_owned(), value);
        }
    }

    fn float(&mut self, _key: &str, _value: f64) {}

    fn boolean(&mut self, _key: &str, _value: bool) {}

    fn text(&mut self, _key: &str, _value: &str) {}

    fn end(&mut self, _time: TimestampNs) {
        if self.point.counts() {
            self.metrics.add_point(self.log, &self.point);
        }
    }
}
