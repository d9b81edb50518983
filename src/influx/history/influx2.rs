//! InfluxDB 2: Flux at `/api/v2/query`, predicates at `/api/v2/delete`.
//!
//! Source: InfluxDB 2's API reference and annotated CSV specification.

use super::{Found, History, HistoryError, LINE_MEASUREMENTS, Other, Range, Writer, rfc3339};
use crate::{
    influx::{
        client::Request,
        quote::{double_quoted, flux_string},
    },
    point::TimestampMs,
};
use reqwest::Method;

pub(super) async fn has_points(
    history: &History<'_>,
    org: &str,
    bucket: &str,
    range: &Range,
) -> Result<Option<Found>, HistoryError> {
    let measurements = LINE_MEASUREMENTS.map(|name| format!("r._measurement == {}", flux_string(name)));
    // Only the columns that all series have, in one type, survive to be merged.
    let query = format!(
        "{}\n  |> filter(fn: (r) => {})\n  |> first()\n  |> keep(columns: [\"_time\", \"_measurement\"])\n  |> group()\n  \
         |> sort(columns: [\"_time\"])\n  |> limit(n: 1)",
        select(bucket, range),
        measurements.join(" or ")
    );
    let rows = ask(history, org, query).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    match (row.get("_time").and_then(time), row.get("_measurement")) {
        (Some(time_ms), Some(name)) => Ok(Some(Found { name: name.to_owned(), time_ms })),
        _ => Err(history.unexpected("a row without `_time` or `_measurement`")),
    }
}

pub(super) async fn lines(
    history: &History<'_>,
    org: &str,
    bucket: &str,
    range: &Range,
    window_ms: i64,
) -> Result<Vec<(TimestampMs, u64)>, HistoryError> {
    let query = format!(
        "{}\n  |> filter(fn: (r) => r._measurement == \"rgw_log\" and r._field == \"lines\")\n  \
         |> aggregateWindow(every: {window_ms}ms, fn: sum, createEmpty: false, timeSrc: \"_start\")\n  \
         |> keep(columns: [\"_time\", \"_value\"])",
        select(bucket, range),
    );
    let mut lines = Vec::new();
    for row in ask(history, org, query).await? {
        match (row.get("_time").and_then(time), row.get("_value").and_then(|value| value.parse().ok())) {
            (Some(time_ms), Some(count)) => lines.push((time_ms, count)),
            _ => return Err(history.unexpected("a row without `_time` or `_value`")),
        }
    }
    Ok(lines)
}

pub(super) async fn other_writer(
    history: &History<'_>,
    org: &str,
    bucket: &str,
    writer: &Writer,
    since_ms: TimestampMs,
) -> Result<Option<Other>, HistoryError> {
    // Texts only in `_value`: a column of two types cannot be merged.
    let query = format!(
        "from(bucket: {})\n  |> range(start: {})\n  |> filter(fn: (r) => r._measurement == \"rgwlens\" and \
         r._field == \"instance\" and {})\n  |> filter(fn: (r) => r._value != {})\n  \
         |> keep(columns: [\"_time\", \"_value\"])\n  |> group()\n  |> sort(columns: [\"_time\"], desc: true)\n  \
         |> limit(n: 1)",
        flux_string(bucket),
        rfc3339(since_ms, 0),
        are(writer.tags()),
        flux_string(&writer.instance)
    );
    let rows = ask(history, org, query).await?;
    Ok(rows.first().and_then(|row| {
        let instance = row.get("_value")?.to_owned();
        Some(Other { instance, time_ms: row.get("_time").and_then(time)? })
    }))
}

pub(super) async fn delete(
    history: &History<'_>,
    org: &str,
    bucket: &str,
    range: &Range,
    measurements: &[&str],
) -> Result<(), HistoryError> {
    let tags = range.tags().map(|(key, value)| format!("{key}={}", double_quoted(&value))).join(" AND ");
    // A predicate knows no OR. `stop` is included in some versions: a nanosecond less suits all.
    for measurement in measurements {
        let body = serde_json::json!({
            "start": rfc3339(range.from_ms, 0),
            "stop": rfc3339(range.to_ms, -1),
            "predicate": format!("_measurement={} AND {tags}", double_quoted(measurement)),
        });
        let request = Request {
            method: Method::POST,
            path: &["api", "v2", "delete"],
            query: &[("org", org), ("bucket", bucket)],
            body: Some((body.to_string().into_bytes(), "application/json")),
            ..Request::default()
        };
        history.ask(request).await?;
    }
    Ok(())
}

/// The start of every query: bucket, range and tags.
fn select(bucket: &str, range: &Range) -> String {
    format!(
        "from(bucket: {})\n  |> range(start: {}, stop: {})\n  |> filter(fn: (r) => {})",
        flux_string(bucket),
        rfc3339(range.from_ms, 0),
        rfc3339(range.to_ms, 0),
        are(range.tags())
    )
}

fn are<const N: usize>(tags: [(&str, String); N]) -> String {
    tags.map(|(key, value)| format!("r.{key} == {}", flux_string(&value))).join(" and ")
}

async fn ask(history: &History<'_>, org: &str, flux: String) -> Result<Vec<Row>, HistoryError> {
    let request = Request {
        method: Method::POST,
        path: &["api", "v2", "query"],
        query: &[("org", org)],
        body: Some((flux.into_bytes(), "application/vnd.flux")),
        accept: Some("application/csv"),
        ..Request::default()
    };
    let answer = history.ask(request).await?;
    let text = String::from_utf8_lossy(&answer.body);
    rows(&text).map_err(|error| history.unexpected(error))
}

fn time(text: &str) -> Option<TimestampMs> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis())
}

/// A record of a CSV table, with its header.
struct Row {
    header: std::rc::Rc<Vec<String>>,
    fields: Vec<String>,
}

impl Row {
    fn get(&self, column: &str) -> Option<&str> {
        let at = self.header.iter().position(|name| name == column)?;
        self.fields.get(at).map(String::as_str)
    }
}

/// The records of all tables. Every table begins with its header; an empty line is between tables; an error that came
/// up after the first byte of the answer is a table `error,reference` of its own.
fn rows(csv: &str) -> Result<Vec<Row>, String> {
    let mut rows: Vec<Row> = Vec::new();
    let mut header = None;
    for record in records(csv) {
        if record.iter().all(String::is_empty) {
            header = None;
            continue;
        }
        if record.first().is_some_and(|first| first.starts_with('#')) {
            continue;
        }
        match &header {
            None => header = Some(std::rc::Rc::new(record)),
            Some(header) => {
                let row = Row { header: std::rc::Rc::clone(header), fields: record };
                if let Some(error) = row.get("error") {
                    return Err(error.to_owned());
                }
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

/// RFC 4180, where a quoted field may hold commas, newlines and doubled quotes.
fn records(csv: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = csv.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_csv_are_read_by_their_headers() {
        let csv = "#datatype,string,long,dateTime:RFC3339,long\r\n,result,table,_time,_value\r\n,,0,2023-11-14T22:13:20Z,5\r\n,,0,2023-11-14T22:13:30Z,6\r\n\r\n,result,table,_value,_time\r\n,,1,7,2023-11-14T22:13:40.5Z\r\n";
        let read: Vec<_> = rows(csv)
            .expect("rows")
            .iter()
            .map(|row| {
                (row.get("_time").and_then(time).expect("time"), row.get("_value").expect("value").to_owned())
            })
            .collect();
        let expected = [(1_700_000_000_000, "5"), (1_700_000_010_000, "6"), (1_700_000_020_500, "7")];
        assert_eq!(read, expected.map(|(time, value)| (time, value.to_owned())));
        assert!(rows("\r\n").expect("nothing").is_empty());
    }

    #[test]
    fn an_error_in_the_middle_of_an_answer_is_one() {
        let csv = ",result,table,_value\r\n,,0,1\r\n\r\nerror,reference\r\n\"failed, \"\"badly\"\"\",897\r\n";
        assert_eq!(rows(csv).err().as_deref(), Some("failed, \"badly\""));
    }
}
