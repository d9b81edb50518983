//! Adding up parts.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use super::{
    BucketReport, Buckets, CephBuilder, ClassReport, Figures, Flow, LatencyStats, Lines, NodeReport,
    OperationReport, Parts, Peak, Rejected, Report, Service, SizeReport, SizeStep, Slow, SlowOfClass,
    SlowOfNode, StatusReport, UpstreamReport, distribution::Distribution, figures::share, probes::Probes,
    seen::Seen, slowest::Slowest,
};
use crate::{
    access_log::{Class, Operation, Protocol},
    point::{Point, Tags, TimestampMs},
    stats::{
        Counters, NO_BUCKET, OTHER, Part, PartId, SIZE_EDGES, SeriesRef, Size, Table, UNKNOWN_BUCKET,
        WindowKind, counter,
    },
};

/// How long the lists of a report are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Buckets in each ranking.
    pub top: usize,
    /// Slow requests listed one by one.
    pub slowest: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { top: 10, slowest: 10 }
    }
}

/// Classes whose requests can be slow.
const CAN_BE_SLOW: [Class; 4] = [Class::Upload, Class::Download, Class::List, Class::Delete];

/// Names that are no bucket's.
const RESERVED: [&str; 3] = [NO_BUCKET, UNKNOWN_BUCKET, OTHER];

/// Whether a class is a client's use of the object store, and so counts for success rate and availability.
fn is_service(class: Class) -> bool {
    !matches!(class, Class::Health | Class::Sync | Class::Admin | Class::Invalid | Class::Probe)
}

/// Adds up parts, in any order, from any number of gateways and logs. A part that was added before (same tags and
/// identity) is not counted again; parts of one window with different `k` add up.
///
/// Memory grows with the number of series, and by a few dozen bytes a window of buckets (for the peaks).
#[derive(Debug)]
pub struct Builder {
    options: Options,
    seen: Seen,
    parts: Parts,
    node_span: Span,
    bucket_span: Span,
    lines: u64,
    late: u64,
    expired: u64,
    rejected: BTreeMap<String, u64>,
    nodes: BTreeMap<String, BTreeMap<(Class, Size), Measured>>,
    statuses: BTreeMap<u16, u64>,
    upstreams: BTreeMap<(String, String), Measured>,
    buckets: HashMap<String, Bucket>,
    operations: BTreeMap<(Protocol, Operation), Measured>,
    sizes: BTreeMap<Class, Counters>,
    windows: BTreeMap<Window, Figures>,
    slowest: Slowest,
    probes: Probes,
    ceph: CephBuilder,
}

impl Builder {
    /// An empty one.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            seen: Seen::default(),
            parts: Parts::default(),
            node_span: Span::default(),
            bucket_span: Span::default(),
            lines: 0,
            late: 0,
            expired: 0,
            rejected: BTreeMap::new(),
            nodes: BTreeMap::new(),
            statuses: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            buckets: HashMap::new(),
            operations: BTreeMap::new(),
            sizes: BTreeMap::new(),
            windows: BTreeMap::new(),
            slowest: Slowest::new(options.slowest),
            probes: Probes::default(),
            ceph: CephBuilder::default(),
        }
    }

    /// Adds a part of a stream with these tags.
    pub fn add(&mut self, part: &Part, tags: &Tags) {
        if !self.seen.insert(tags, &part.id) {
            self.parts.duplicates += 1;
            return;
        }
        self.parts.counted += 1;
        match part.id.kind {
            WindowKind::Node => self.node_span.include(&part.id),
            WindowKind::Bucket => self.bucket_span.include(&part.id),
        }
        let node = tags.get("node").unwrap_or_default();
        let mut of_window = HashMap::new();
        for series in part.contents.series() {
            let name = part.contents.name(series.key);
            match series.key.table() {
                Some(Table::Log) => self.add_log(name, &series),
                Some(Table::Node) => self.add_node(node, &series),
                Some(Table::Status) => self.add_status(&series),
                Some(Table::Upstream) => self.add_upstream(node, name, &series),
                Some(Table::Bucket) => {
                    of_window.entry(name).or_insert_with(Figures::default).add(&series.counters)
                }
                Some(Table::Operation) => self.add_operation(&series),
                Some(Table::Size) => self.add_size(&series),
                // A later version's: it has a total of its own elsewhere.
                None => {}
            }
        }
        self.add_buckets(&part.id, of_window);
        let log = tags.get("log").unwrap_or_default();
        for event in part.contents.events() {
            self.slowest.add(event, node, log);
            self.probes.add_event(event);
        }
    }

    /// Adds a point that is from no window, of a stream with these tags. What is neither Ceph's nor the probe's is left out.
    pub fn add_point(&mut self, point: &Point, tags: &Tags) {
        self.ceph.add(point, tags);
        self.probes.add_point(point);
    }

    /// Tells of a part that could not be read.
    pub fn damaged(&mut self) {
        self.parts.damaged += 1;
    }

    fn add_log(&mut self, reason: &str, series: &SeriesRef<'_>) {
        let lines = series.counters[counter::LINES];
        if series.key.has_name() {
            let rejected = self.rejected.entry(reason.to_owned()).or_default();
            *rejected = rejected.saturating_add(lines);
        } else {
            self.lines = self.lines.saturating_add(lines);
            self.late = self.late.saturating_add(series.counters[counter::LATE]);
            self.expired = self.expired.saturating_add(series.counters[counter::EXPIRED]);
        }
    }

    fn add_node(&mut self, node: &str, series: &SeriesRef<'_>) {
        // A class of a later version counts too, as what it is to this one: sums have to match.
        let class = series.key.class().unwrap_or(Class::Other);
        let size = series.key.size_of_body().unwrap_or(Size::Small);
        self.nodes.entry(node.to_owned()).or_default().entry((class, size)).or_default().add(series);
    }

    fn add_status(&mut self, series: &SeriesRef<'_>) {
        let requests = self.statuses.entry(series.key.status_code().unwrap_or_default()).or_default();
        *requests = requests.saturating_add(series.requests());
    }

    fn add_upstream(&mut self, node: &str, name: &str, series: &SeriesRef<'_>) {
        let upstream = self.upstreams.entry((node.to_owned(), name.to_owned())).or_default();
        upstream.figures.add(&series.counters);
        let is_small = series.key.size_of_body() == Some(Size::Small);
        if is_small && series.key.class().is_some_and(is_service) {
            upstream.latency.add(&series.latency);
        }
    }

    fn add_operation(&mut self, series: &SeriesRef<'_>) {
        let unknown = (Protocol::None, Operation::None);
        let operation = series.key.protocol_operation().unwrap_or(unknown);
        self.operations.entry(operation).or_default().add(series);
    }

    fn add_size(&mut self, series: &SeriesRef<'_>) {
        let sizes = self.sizes.entry(series.key.class().unwrap_or(Class::Other)).or_default();
        for (sum, requests) in sizes.iter_mut().zip(series.counters) {
            *sum = sum.saturating_add(requests);
        }
    }

    fn add_buckets(&mut self, id: &PartId, of_window: HashMap<&str, Figures>) {
        let window = Window { start_ms: id.start_ms, length_ms: id.length_ms };
        for (name, figures) in of_window {
            self.windows.entry(window).or_default().merge(&figures);
            let bucket = self.buckets.entry(name.to_owned()).or_default();
            bucket.figures.merge(&figures);
            bucket.busiest_in.offer(figures.bytes_in, window);
            bucket.busiest_out.offer(figures.bytes_out, window);
        }
    }

    /// What it adds up to.
    pub fn finish(self) -> Report {
        let span = if self.node_span.seconds() > 0.0 { self.node_span } else { self.bucket_span };
        let seconds = span.seconds();
        // Buckets are counted in longer windows: of those at the edges only what lies within the range was seen.
        let of_buckets = self.bucket_span.within(&span);
        let nodes: Vec<NodeReport> =
            self.nodes.iter().map(|(node, classes)| node_report(node, classes, seconds)).collect();
        let mut classes: BTreeMap<(Class, Size), Measured> = BTreeMap::new();
        for (key, measured) in self.nodes.values().flatten() {
            classes.entry(*key).or_default().merge(measured);
        }
        let total = sum(&classes, |_| true);
        let flow = |of: fn(&Figures) -> u64| {
            let mut busiest = Busiest::default();
            for (window, figures) in &self.windows {
                busiest.offer_within(of(figures), *window, &of_buckets);
            }
            busiest.flow(of(&total), seconds, &of_buckets)
        };
        let rejected: Vec<Rejected> = most_first(self.rejected, |(_, lines)| *lines)
            .map(|(reason, lines)| Rejected { reason, lines })
            .collect();
        let lines = Lines {
            read: self.lines,
            counted: total.requests,
            late: self.late,
            expired: self.expired,
            conserved: rejected.iter().map(|r| u128::from(r.lines)).sum::<u128>()
                + u128::from(total.requests)
                + u128::from(self.expired)
                == u128::from(self.lines),
            rejected,
        };
        Report {
            from_ms: span.start_ms(),
            until_ms: span.end_ms(),
            seconds,
            parts: self.parts,
            lines,
            requests_per_second: flow(|figures| figures.requests),
            bytes_in_per_second: flow(|figures| figures.bytes_in),
            bytes_out_per_second: flow(|figures| figures.bytes_out),
            total,
            service: Service::new(sum(&classes, is_service)),
            slow: slow(&classes, &self.nodes, self.slowest),
            classes: class_reports(&classes, seconds),
            statuses: self
                .statuses
                .into_iter()
                .map(|(status, requests)| StatusReport { status, requests })
                .collect(),
            nodes,
            upstreams: self.upstreams.into_iter().map(upstream_report).collect(),
            sizes: self.sizes.into_iter().map(size_report).collect(),
            buckets: buckets(self.buckets, self.options.top, &of_buckets),
            operations: most_first(self.operations, |(_, measured)| measured.figures.requests)
                .map(|((protocol, operation), measured)| OperationReport {
                    protocol: protocol.name(),
                    operation: operation.name(),
                    figures: measured.figures,
                    latency: measured.stats(),
                })
                .collect(),
            probes: self.probes.finish(),
            ceph: self.ceph.finish(),
        }
    }
}

/// Most first; of equals, in the order they come in.
fn most_first<T>(all: impl IntoIterator<Item = T>, of: impl Fn(&T) -> u64) -> impl Iterator<Item = T> {
    let mut all: Vec<T> = all.into_iter().collect();
    all.sort_by_key(|one| Reverse(of(one)));
    all.into_iter()
}

/// Sums and latencies of a series over all windows.
#[derive(Clone, Debug, Default)]
struct Measured {
    figures: Figures,
    latency: Distribution,
}

impl Measured {
    fn add(&mut self, series: &SeriesRef<'_>) {
        self.figures.add(&series.counters);
        self.latency.add(&series.latency);
    }

    fn merge(&mut self, other: &Self) {
        self.figures.merge(&other.figures);
        self.latency.merge(&other.latency);
    }

    fn stats(&self) -> Option<LatencyStats> {
        self.latency.stats()
    }
}

/// A bucket over all windows.
#[derive(Clone, Debug, Default)]
struct Bucket {
    figures: Figures,
    busiest_in: Busiest,
    busiest_out: Busiest,
}

/// A stretch of time, empty at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span(Option<(TimestampMs, TimestampMs)>);

impl Span {
    fn include(&mut self, id: &PartId) {
        let (from, until) = self.0.unwrap_or((id.start_ms, id.start_ms));
        self.0 = Some((from.min(id.start_ms), until.max(id.start_ms.saturating_add(id.length_ms))));
    }

    fn within(&self, other: &Self) -> Self {
        let (Some((from, until)), Some((other_from, other_until))) = (self.0, other.0) else {
            return Self(None);
        };
        let (from, until) = (from.max(other_from), until.min(other_until));
        Self((from < until).then_some((from, until)))
    }

    fn start_ms(&self) -> Option<TimestampMs> {
        self.0.map(|(from, _)| from)
    }

    fn end_ms(&self) -> Option<TimestampMs> {
        self.0.map(|(_, until)| until)
    }

    fn ms(&self) -> i64 {
        self.0.map_or(0, |(from, until)| until.saturating_sub(from))
    }

    fn seconds(&self) -> f64 {
        self.ms() as f64 / 1000.0
    }
}

/// Identity of a window of buckets, whosever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Window {
    start_ms: TimestampMs,
    length_ms: i64,
}

impl Window {
    fn seen_ms(&self, span: &Span) -> i64 {
        let own = Span(Some((self.start_ms, self.start_ms.saturating_add(self.length_ms))));
        own.within(span).ms()
    }
}

/// The window in which most flowed: how much, in how many ms, and which.
#[derive(Clone, Copy, Debug, Default)]
struct Busiest(Option<(u64, i64, Window)>);

impl Busiest {
    fn offer(&mut self, amount: u64, window: Window) {
        self.offer_ms(amount, window.length_ms, window);
    }

    fn offer_within(&mut self, amount: u64, window: Window, span: &Span) {
        self.offer_ms(amount, window.seen_ms(span), window);
    }

    /// By rate; of equals the earliest, so that the order of parts does not matter.
    fn offer_ms(&mut self, amount: u64, ms: i64, window: Window) {
        if amount == 0 || ms <= 0 {
            return;
        }
        let busier = self.0.is_none_or(|(known, known_ms, known_window)| {
            let rates = (i128::from(amount) * i128::from(known_ms), i128::from(known) * i128::from(ms));
            rates.0 > rates.1 || rates.0 == rates.1 && window < known_window
        });
        if busier {
            self.0 = Some((amount, ms, window));
        }
    }

    fn flow(&self, amount: u64, seconds: f64, span: &Span) -> Flow {
        let peak = self.0.map(|(amount, ms, window)| {
            let seen = window.seen_ms(span);
            let ms = if seen > 0 { seen } else { ms };
            Peak {
                per_second: per_second(amount, ms as f64 / 1000.0),
                start_ms: window.start_ms,
                length_ms: window.length_ms,
            }
        });
        Flow { mean: per_second(amount, seconds), peak }
    }
}

fn per_second(amount: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { amount as f64 / seconds } else { 0.0 }
}

fn sum(classes: &BTreeMap<(Class, Size), Measured>, wanted: impl Fn(Class) -> bool) -> Figures {
    let mut sum = Figures::default();
    for (_, measured) in classes.iter().filter(|((class, _), _)| wanted(*class)) {
        sum.merge(&measured.figures);
    }
    sum
}

fn class_reports(classes: &BTreeMap<(Class, Size), Measured>, seconds: f64) -> Vec<ClassReport> {
    let report = |((class, size), measured): (&(Class, Size), &Measured)| ClassReport {
        class: class.name(),
        size: size.name(),
        figures: measured.figures,
        requests_per_second: per_second(measured.figures.requests, seconds),
        latency: measured.stats(),
    };
    classes.iter().map(report).collect()
}

fn node_report(node: &str, classes: &BTreeMap<(Class, Size), Measured>, seconds: f64) -> NodeReport {
    let total = sum(classes, |_| true);
    NodeReport {
        node: node.into(),
        requests_per_second: per_second(total.requests, seconds),
        total,
        service: Service::new(sum(classes, is_service)),
        classes: class_reports(classes, seconds),
    }
}

fn upstream_report(((node, upstream), measured): ((String, String), Measured)) -> UpstreamReport {
    UpstreamReport { node, upstream, figures: measured.figures, latency_small: measured.stats() }
}

fn size_report((class, counters): (Class, Counters)) -> SizeReport {
    let edges = SIZE_EDGES.iter().map(|(edge, _)| Some(*edge)).chain([None]);
    let steps: Vec<SizeStep> =
        edges.zip(counters).map(|(up_to_bytes, requests)| SizeStep { up_to_bytes, requests }).collect();
    let requests = steps.iter().fold(0u64, |sum, step| sum.saturating_add(step.requests));
    SizeReport { class: class.name(), requests, steps }
}

fn slow(
    classes: &BTreeMap<(Class, Size), Measured>,
    nodes: &BTreeMap<String, BTreeMap<(Class, Size), Measured>>,
    slowest: Slowest,
) -> Slow {
    let can_be_slow = |class| CAN_BE_SLOW.contains(&class);
    let total = sum(classes, can_be_slow);
    let of_class = |((class, size), measured): (&(Class, Size), &Measured)| {
        let Figures { requests, slow, .. } = measured.figures;
        SlowOfClass { class: class.name(), size: size.name(), requests, slow, share: share(slow, requests) }
    };
    let of_node = |(node, classes): (&String, &BTreeMap<_, _>)| {
        let Figures { requests, slow, .. } = sum(classes, can_be_slow);
        SlowOfNode {
            node: node.clone(),
            requests,
            slow,
            share: share(slow, requests),
            share_of_slow: share(slow, total.slow),
        }
    };
    let (kept, slowest) = slowest.finish();
    Slow {
        requests: total.slow,
        share: share(total.slow, total.requests),
        classes: classes.iter().filter(|((class, _), _)| can_be_slow(*class)).map(of_class).collect(),
        nodes: most_first(nodes.iter().map(of_node), |node| node.slow).collect(),
        kept,
        slowest,
    }
}

fn buckets(buckets: HashMap<String, Bucket>, top: usize, span: &Span) -> Buckets {
    let seconds = span.seconds();
    let mut total = Figures::default();
    let mut all: Vec<(&String, &Bucket)> = buckets.iter().collect();
    all.iter().for_each(|(_, bucket)| total.merge(&bucket.figures));
    all.sort_by_key(|(name, _)| *name);
    let (reserved, named): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(name, _)| RESERVED.contains(&name.as_str()));
    let report = |(name, bucket): (&String, &Bucket)| BucketReport {
        bucket: name.clone(),
        figures: bucket.figures,
        bytes_in_per_second: bucket.busiest_in.flow(bucket.figures.bytes_in, seconds, span),
        bytes_out_per_second: bucket.busiest_out.flow(bucket.figures.bytes_out, seconds, span),
    };
    let ranked = |of: fn(&Figures) -> u64| {
        most_first(named.iter().copied(), |(_, bucket)| of(&bucket.figures))
            .filter(|(_, bucket)| of(&bucket.figures) > 0)
            .take(top)
            .map(report)
            .collect()
    };
    Buckets {
        named: named.len() as u64,
        seconds,
        total,
        reserved: reserved.into_iter().map(report).collect(),
        by_requests: ranked(|figures| figures.requests),
        by_bytes_in: ranked(|figures| figures.bytes_in),
        by_bytes_out: ranked(|figures| figures.bytes_out),
        by_errors: ranked(Figures::errors),
        by_slow: ranked(|figures| figures.slow),
    }
}
