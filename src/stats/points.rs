//! Parts as points: measurement, tags and fields of everything that is counted from a log.

use super::{
    Event, Key, Part, SeriesRef, Table, Texts, WindowKind, counter,
    histogram::{Count, Latency},
    series::SIZE_EDGES,
};
use crate::{
    access_log::{Class, ProbeMark},
    point::{
        FieldName, Head,
        Measure::{Float, Whole},
        PointWriter, Tags, TimestampNs,
    },
};

/// Upper edges of the fields `latency_le_…`, ms: cumulative counts that InfluxQL can add up over nodes and time.
pub const LATENCY_EDGES_MS: [u32; 15] =
    [5, 10, 20, 50, 100, 200, 300, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 30_000, 60_000];

const LATENCY_EDGE_FIELDS: [FieldName; 15] = [
    FieldName::new("latency_le_5"),
    FieldName::new("latency_le_10"),
    FieldName::new("latency_le_20"),
    FieldName::new("latency_le_50"),
    FieldName::new("latency_le_100"),
    FieldName::new("latency_le_200"),
    FieldName::new("latency_le_300"),
    FieldName::new("latency_le_500"),
    FieldName::new("latency_le_1000"),
    FieldName::new("latency_le_2000"),
    FieldName::new("latency_le_3000"),
    FieldName::new("latency_le_5000"),
    FieldName::new("latency_le_10000"),
    FieldName::new("latency_le_30000"),
    FieldName::new("latency_le_60000"),
];

/// Fields of requests.
mod field {
    use crate::point::FieldName;

    pub(super) const UPSTREAM: [FieldName; 7] = [
        FieldName::new("requests"),
        FieldName::new("errors_5xx"),
        FieldName::new("slow"),
        FieldName::new("bytes_in"),
        FieldName::new("bytes_out"),
        FieldName::new("latency_count"),
        FieldName::new("latency_sum_ms"),
    ];
    /// What is counted of requests.
    pub(super) const REQUESTS: [FieldName; 10] = [
        FieldName::new("requests"),
        FieldName::new("ok"),
        FieldName::new("errors_4xx"),
        FieldName::new("errors_5xx"),
        FieldName::new("aborted"),
        FieldName::new("slow"),
        FieldName::new("bytes_in"),
        FieldName::new("bytes_out"),
        FieldName::new("latency_count"),
        FieldName::new("latency_sum_ms"),
    ];
    /// How long they took, where that is known.
    pub(super) const MEASURED: [FieldName; 6] = [
        FieldName::new("latency_min_ms"),
        FieldName::new("latency_mean_ms"),
        FieldName::new("latency_max_ms"),
        FieldName::new("latency_p50_ms"),
        FieldName::new("latency_p90_ms"),
        FieldName::new("latency_p99_ms"),
    ];
}

/// The measurements that come from a log, with the kind of window whose points they are.
pub const MEASUREMENTS: &[(&str, WindowKind)] = &[
    ("rgw_node", WindowKind::Node),
    ("rgw_status", WindowKind::Node),
    ("rgw_upstream", WindowKind::Node),
    ("rgw_event", WindowKind::Node),
    ("rgw_probe", WindowKind::Node),
    ("rgw_log", WindowKind::Node),
    ("rgw_bucket", WindowKind::Bucket),
    ("rgw_operation", WindowKind::Bucket),
    ("rgw_size", WindowKind::Bucket),
];

const NS_PER_MS: i64 = 1_000_000;

/// Writes the points that a part stands for, with the constant `tags` of its stream. `events` chooses the fields of
/// events, empty for all; `None` leaves events out.
pub fn write_points(part: &Part, tags: &Tags, events: Option<&[String]>, writer: &mut impl PointWriter) {
    let time = part.id.time_ms().saturating_mul(NS_PER_MS);
    // Series of one name are neighbours.
    let mut named = (None, "");
    for series in part.contents.series() {
        let number = series.key.has_name().then(|| series.key.name());
        if number != named.0 {
            named = (number, part.contents.name(series.key));
        }
        write_series(&series, named.1, tags, time, writer);
    }
    if let Some(fields) = events {
        for event in part.contents.events() {
            match event.class {
                Class::Probe => write_probe(event, tags, writer),
                _ => write_event(event, tags, fields, writer),
            }
        }
    }
}

fn write_series(
    series: &SeriesRef<'_>,
    name: &str,
    tags: &Tags,
    time: TimestampNs,
    writer: &mut impl PointWriter,
) {
    let Some(table) = series.key.table() else { return };
    let status = series.key.status_code().map(|status| format!("{status:03}"));
    let name = told_apart_by(series.key, table).map(|_| status.as_deref().unwrap_or(name));
    let head = || head(series.key, table, name);
    match tags.is_empty() {
        true => writer.begin_known(series.key.kind(), name, head),
        false => head().write(tags, writer),
    }
    match table {
        Table::Log if series.key.has_name() => writer.integer("rejected", series.counters[counter::LINES]),
        Table::Log => {
            writer.integer("lines", series.counters[counter::LINES]);
            writer.integer("late", series.counters[counter::LATE]);
            writer.integer("expired", series.counters[counter::EXPIRED]);
        }
        Table::Status => writer.integer("requests", series.requests()),
        Table::Size => write_sizes(series, writer),
        Table::Node => {
            write_requests(series, writer);
            let at_most = series.latency.at_most(LATENCY_EDGES_MS);
            writer.known_integers(&LATENCY_EDGE_FIELDS, &at_most);
            if series.latency.count > 0 {
                writer.text("histogram", &series.latency.to_base64());
            }
        }
        Table::Bucket | Table::Operation => write_requests(series, writer),
        Table::Upstream => write_upstream(series, writer),
    }
    writer.end(time);
}

/// The tag that a series is told apart by from others of its kind.
fn told_apart_by(key: Key, table: Table) -> Option<&'static str> {
    match table {
        Table::Log => key.has_name().then_some("reason"),
        Table::Status => Some("status"),
        Table::Upstream => Some("upstream"),
        Table::Bucket => Some("bucket"),
        Table::Node | Table::Operation | Table::Size => None,
    }
}

/// Measurement and tags of a series; `name` is what it is told apart by, if anything.
fn head<'a>(key: Key, table: Table, name: Option<&'a str>) -> Head<'a> {
    let measurement = match table {
        Table::Log => "rgw_log",
        Table::Node => "rgw_node",
        Table::Status => "rgw_status",
        Table::Upstream => "rgw_upstream",
        Table::Bucket => "rgw_bucket",
        Table::Operation => "rgw_operation",
        Table::Size => "rgw_size",
    };
    let (protocol, operation) = key.protocol_operation().unzip();
    Head {
        measurement,
        name: told_apart_by(key, table).zip(name),
        words: [
            key.class().map(|class| ("class", class.name())),
            key.size_of_body().map(|size| ("size", size.name())),
            protocol.map(|protocol| ("protocol", protocol.name())),
            operation.map(|operation| ("operation", operation.name())),
        ],
    }
}

fn write_requests(series: &SeriesRef<'_>, writer: &mut impl PointWriter) {
    let [ok, errors_4xx, errors_5xx, aborted, slow, bytes_in, bytes_out, ..] = series.counters;
    let Latency { count, sum_ms, .. } = series.latency;
    let requests = series.requests();
    writer.known_integers(
        &field::REQUESTS,
        &[requests, ok, errors_4xx, errors_5xx, aborted, slow, bytes_in, bytes_out, count, sum_ms],
    );
    write_measured(&series.latency, writer);
}

fn write_upstream(series: &SeriesRef<'_>, writer: &mut impl PointWriter) {
    let [_, _, errors_5xx, _, slow, bytes_in, bytes_out, ..] = series.counters;
    let Latency { count, sum_ms, .. } = series.latency;
    let counted = [series.requests(), errors_5xx, slow, bytes_in, bytes_out, count, sum_ms];
    writer.known_integers(&field::UPSTREAM, &counted);
    write_measured(&series.latency, writer);
}

/// Sums stay integers; what is measured is a float from the first version on. Nothing if there are no latencies.
fn write_measured(latency: &Latency<&[Count]>, writer: &mut impl PointWriter) {
    let Some(mean) = latency.mean_ms() else { return };
    let Some([p50, p90, p99]) = latency.quantiles_ms([0.5, 0.9, 0.99]) else { return };
    let values =
        [Whole(latency.min_ms), Float(mean), Whole(latency.max_ms), Whole(p50), Whole(p90), Whole(p99)];
    writer.known_measures(&field::MEASURED, &values);
}

fn write_sizes(series: &SeriesRef<'_>, writer: &mut impl PointWriter) {
    let mut total = 0u64;
    let edges = SIZE_EDGES.iter().map(|(_, field)| *field).chain(["le_inf"]);
    for (field, count) in edges.zip(series.counters) {
        total = total.saturating_add(count);
        writer.integer(field, total);
    }
}

fn write_event(event: &Event, tags: &Tags, fields: &[String], writer: &mut impl PointWriter) {
    let wanted = |field: &str| fields.is_empty() || fields.iter().any(|wanted| wanted == field);
    writer.begin("rgw_event");
    tags.write(writer);
    writer.tag("class", event.class.name());
    writer.tag(
        "status_class",
        match event.status {
            499 => "499",
            ..=299 => "2xx",
            300..=399 => "3xx",
            400..=498 => "4xx",
            500.. => "5xx",
        },
    );
    writer.tag("slow", if event.slow { "true" } else { "false" });
    for (field, text) in Texts::NAMES.iter().zip(event.texts.iter()) {
        if wanted(field) && !text.is_empty() {
            writer.text(field, text);
        }
    }
    if wanted("operation") {
        writer.text("operation", event.operation.name());
    }
    let numbers = [
        ("status", Some(u64::from(event.status))),
        ("bytes_in", Some(event.bytes_in)),
        ("bytes_out", Some(event.bytes_out)),
        ("request_time_ms", event.request_time_ms.map(u64::from)),
        ("upstream_time_ms", event.upstream_time_ms.map(u64::from)),
    ];
    for (field, number) in numbers {
        if let Some(number) = number.filter(|_| wanted(field)) {
            writer.integer(field, number);
        }
    }
    if let Some(verdict) = event.verdict.filter(|_| wanted("verdict")) {
        writer.text("verdict", verdict.name());
    }
    writer.end(time_of(event));
}

/// To the millisecond as the log has it, with digits below that are the line's own.
fn time_of(event: &Event) -> TimestampNs {
    let below_ms = (event.hash % NS_PER_MS as u64) as i64;
    event.time_ms.saturating_mul(NS_PER_MS).saturating_add(below_ms)
}

/// A request of our own probe, as the gateway's node saw it: what the probe saw has the same round and task.
fn write_probe(event: &Event, tags: &Tags, writer: &mut impl PointWriter) {
    let Some(mark) = ProbeMark::parse(event.text("user_agent").as_bytes()) else { return };
    writer.begin("rgw_probe");
    tags.write(writer);
    writer.tag("task", mark.task);
    writer.text("round", mark.round);
    writer.text("operation", event.operation.name());
    writer.integer("requests", 1);
    writer.integer("status", u64::from(event.status));
    writer.integer("bytes_in", event.bytes_in);
    writer.integer("bytes_out", event.bytes_out);
    for (field, time) in
        [("request_time_ms", event.request_time_ms), ("upstream_time_ms", event.upstream_time_ms)]
    {
        if let Some(time) = time {
            writer.integer(field, u64::from(time));
        }
    }
    writer.end(time_of(event));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_named_after_their_edges() {
        for (edge, field) in LATENCY_EDGES_MS.iter().zip(LATENCY_EDGE_FIELDS) {
            assert_eq!(field.as_str(), format!("latency_le_{edge}"));
        }
    }
}
