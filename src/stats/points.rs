//! Parts as points: measurement, tags and fields of everything that is counted from a log.

use super::{Contents, Event, Key, Part, Series, Table, WindowKind, counter, series::SIZE_EDGES};
use crate::{
    access_log::{Class, ProbeMark},
    point::{FieldName, PointWriter, Tags, TimestampNs},
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

/// The fields of requests, which nearly every point has.
mod field {
    use crate::point::FieldName;

    pub(super) const REQUESTS: FieldName = FieldName::new("requests");
    pub(super) const OK: FieldName = FieldName::new("ok");
    pub(super) const ERRORS_4XX: FieldName = FieldName::new("errors_4xx");
    pub(super) const ERRORS_5XX: FieldName = FieldName::new("errors_5xx");
    pub(super) const ABORTED: FieldName = FieldName::new("aborted");
    pub(super) const SLOW: FieldName = FieldName::new("slow");
    pub(super) const BYTES_IN: FieldName = FieldName::new("bytes_in");
    pub(super) const BYTES_OUT: FieldName = FieldName::new("bytes_out");
    pub(super) const LATENCY_COUNT: FieldName = FieldName::new("latency_count");
    pub(super) const LATENCY_SUM: FieldName = FieldName::new("latency_sum_ms");
    pub(super) const LATENCY_MIN: FieldName = FieldName::new("latency_min_ms");
    pub(super) const LATENCY_MEAN: FieldName = FieldName::new("latency_mean_ms");
    pub(super) const LATENCY_MAX: FieldName = FieldName::new("latency_max_ms");
    pub(super) const LATENCY_QUANTILES: [FieldName; 3] = [
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
    for series in part.contents.series() {
        write_series(&part.contents, series, tags, time, writer);
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
    contents: &Contents,
    series: &Series,
    tags: &Tags,
    time: TimestampNs,
    writer: &mut impl PointWriter,
) {
    let Some(table) = series.key.table() else { return };
    let name = contents.name(series.key);
    writer.begin(match table {
        Table::Log => "rgw_log",
        Table::Node => "rgw_node",
        Table::Status => "rgw_status",
        Table::Upstream => "rgw_upstream",
        Table::Bucket => "rgw_bucket",
        Table::Operation => "rgw_operation",
        Table::Size => "rgw_size",
    });
    tags.write(writer);
    write_key(series.key, table, name, writer);
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
            write_outcomes(series, writer);
            write_volume(series, writer);
            write_latency(series, writer);
            for (edge, field) in LATENCY_EDGES_MS.iter().zip(LATENCY_EDGE_FIELDS) {
                writer.known_integer(&field, series.latency.at_most(*edge));
            }
            if series.latency.count > 0 {
                writer.text("histogram", &series.latency.to_base64());
            }
        }
        Table::Bucket | Table::Operation => {
            write_outcomes(series, writer);
            write_volume(series, writer);
            write_latency(series, writer);
        }
        Table::Upstream => {
            writer.known_integer(&field::REQUESTS, series.requests());
            writer.known_integer(&field::ERRORS_5XX, series.counters[counter::ERRORS_5XX]);
            write_volume(series, writer);
            write_latency(series, writer);
        }
    }
    writer.end(time);
}

fn write_key(key: Key, table: Table, name: &str, writer: &mut impl PointWriter) {
    if key.has_name() {
        writer.tag(
            match table {
                Table::Upstream => "upstream",
                Table::Log => "reason",
                _ => "bucket",
            },
            name,
        );
    }
    if let Some(class) = key.class() {
        writer.known_tag("class", class.name());
    }
    if let Some(size) = key.size_of_body() {
        writer.known_tag("size", size.name());
    }
    if let Some((protocol, operation)) = key.protocol_operation() {
        writer.known_tag("protocol", protocol.name());
        writer.known_tag("operation", operation.name());
    }
    if let Some(status) = key.status_code() {
        writer.tag("status", &format!("{status:03}"));
    }
}

fn write_outcomes(series: &Series, writer: &mut impl PointWriter) {
    writer.known_integer(&field::REQUESTS, series.requests());
    writer.known_integer(&field::OK, series.counters[counter::OK]);
    writer.known_integer(&field::ERRORS_4XX, series.counters[counter::ERRORS_4XX]);
    writer.known_integer(&field::ERRORS_5XX, series.counters[counter::ERRORS_5XX]);
    writer.known_integer(&field::ABORTED, series.counters[counter::ABORTED]);
}

fn write_volume(series: &Series, writer: &mut impl PointWriter) {
    writer.known_integer(&field::SLOW, series.counters[counter::SLOW]);
    writer.known_integer(&field::BYTES_IN, series.counters[counter::BYTES_IN]);
    writer.known_integer(&field::BYTES_OUT, series.counters[counter::BYTES_OUT]);
}

/// Sums stay integers; what is measured is a float from the first version on.
fn write_latency(series: &Series, writer: &mut impl PointWriter) {
    let latency = &series.latency;
    writer.known_integer(&field::LATENCY_COUNT, latency.count);
    writer.known_integer(&field::LATENCY_SUM, latency.sum_ms);
    let Some(mean) = latency.mean_ms() else { return };
    writer.known_float(&field::LATENCY_MIN, f64::from(latency.min_ms));
    writer.known_float(&field::LATENCY_MEAN, mean);
    writer.known_float(&field::LATENCY_MAX, f64::from(latency.max_ms));
    let quantiles = latency.quantiles_ms([0.5, 0.9, 0.99]).unwrap_or([mean; 3]);
    for (name, value) in field::LATENCY_QUANTILES.iter().zip(quantiles) {
        writer.known_float(name, value);
    }
}

fn write_sizes(series: &Series, writer: &mut impl PointWriter) {
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
    for (field, text) in Event::TEXTS.iter().zip(&event.texts) {
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
