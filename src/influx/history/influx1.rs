//! InfluxDB 1: InfluxQL at `/query`.

use super::{Found, History, HistoryError, LINE_MEASUREMENTS, Other, Range, Writer};
use crate::{
    influx::{
        Kind,
        client::Request,
        mend,
        quote::{influxql_name, influxql_string},
    },
    point::TimestampMs,
};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Statement>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(default)]
    series: Vec<Series>,
    error: Option<String>,
    /// More rows than the server's `max-row-limit`.
    #[serde(default)]
    partial: bool,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    name: String,
    columns: Vec<String>,
    #[serde(default)]
    values: Vec<Vec<Value>>,
}

impl Series {
    fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

pub(super) async fn has_points(history: &History<'_>, range: &Range) -> Result<Option<Found>, HistoryError> {
    first_in_policy(history, policy_of(history), range, &LINE_MEASUREMENTS).await
}

pub(super) async fn lines(
    history: &History<'_>,
    range: &Range,
    window_ms: i64,
) -> Result<Vec<(TimestampMs, u64)>, HistoryError> {
    let from = source(history, policy_of(history), "rgw_log");
    let filter = filter(range);
    let query =
        format!(r#"SELECT sum("lines") FROM {from} WHERE {filter} GROUP BY time({window_ms}ms) fill(none)"#);
    let mut lines = Vec::new();
    for series in ask(history, query).await? {
        for row in &series.values {
            let [time, sum] = row.as_slice() else { continue };
            if let (Some(time), Some(sum)) = (time.as_i64(), sum.as_f64()) {
                lines.push((time, sum as u64));
            }
        }
    }
    Ok(lines)
}

pub(super) async fn other_writer(
    history: &History<'_>,
    writer: &Writer,
    since_ms: TimestampMs,
) -> Result<Option<Other>, HistoryError> {
    let from = source(history, policy_of(history), "rgwlens");
    let query = format!(
        r#"SELECT "instance" FROM {from} WHERE {} AND "instance" != {} AND time >= {since_ms}ms ORDER BY time DESC LIMIT 1"#,
        are(writer.tags()),
        influxql_string(&writer.instance)
    );
    let series = ask(history, query).await?;
    let row = series.first().and_then(|series| series.values.first());
    Ok(row.and_then(|row| {
        let [time, Value::String(instance)] = row.as_slice() else { return None };
        Some(Other { instance: instance.clone(), time_ms: time.as_i64()? })
    }))
}

pub(super) async fn delete(
    history: &History<'_>,
    database: &str,
    retention_policy: Option<&str>,
    range: &Range,
    measurements: &[&str],
) -> Result<(), HistoryError> {
    if measurements.is_empty() {
        return Ok(());
    }
    for (policy, is_default) in policies(history).await? {
        if retention_policy.map_or(is_default, |ours| ours == policy) {
            continue;
        }
        if let Some(found) = first_in_policy(history, Some(&policy), range, measurements).await? {
            let database = database.to_owned();
            return Err(HistoryError::OtherPolicy { policy, database, measurement: found.name });
        }
    }
    let filter = filter(range);
    let statements: Vec<_> = measurements
        .iter()
        .map(|measurement| format!("DELETE FROM {} WHERE {filter}", influxql_name(measurement)))
        .collect();
    ask(history, statements.join("; ")).await.map(drop)
}

/// The database's retention policies, and whether each is the default.
async fn policies(history: &History<'_>) -> Result<Vec<(String, bool)>, HistoryError> {
    let mut policies = Vec::new();
    let query = format!("SHOW RETENTION POLICIES ON {}", influxql_name(database_of(history)));
    for series in ask(history, query).await? {
        let (Some(name), Some(default)) = (series.column("name"), series.column("default")) else {
            return Err(history.unexpected("retention policies without name or default"));
        };
        for row in &series.values {
            if let (Some(Value::String(name)), Some(Value::Bool(default))) = (row.get(name), row.get(default))
            {
                policies.push((name.clone(), *default));
            }
        }
    }
    Ok(policies)
}

async fn first_in_policy(
    history: &History<'_>,
    policy: Option<&str>,
    range: &Range,
    measurements: &[&str],
) -> Result<Option<Found>, HistoryError> {
    let from: Vec<_> = measurements.iter().map(|name| source(history, policy, name)).collect();
    let query = format!("SELECT * FROM {} WHERE {} ORDER BY time LIMIT 1", from.join(", "), filter(range));
    let found = ask(history, query).await?.into_iter().filter_map(|series| {
        let time_ms = series.values.first()?.get(series.column("time")?)?.as_i64()?;
        Some(Found { name: series.name, time_ms })
    });
    Ok(found.min_by_key(|found| found.time_ms))
}

/// Runs statements; an error of any of them is the error of all.
async fn ask(history: &History<'_>, statements: String) -> Result<Vec<Series>, HistoryError> {
    let database = database_of(history);
    // What deletes must be a POST, and a long question is safer as one.
    let form = reqwest::Url::parse_with_params("x:", [("q", statements)])
        .ok()
        .and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default();
    let request = Request {
        method: Method::POST,
        path: &["query"],
        query: &[("db", database), ("epoch", "ms")],
        body: Some((form.into_bytes(), "application/x-www-form-urlencoded")),
        ..Request::default()
    };
    let answer = history.ask(request).await?;
    let answer: Answer = serde_json::from_slice(&answer.body)
        .map_err(|error| history.unexpected(format!("not InfluxQL's JSON: {error}")))?;
    let mut series = Vec::new();
    let mut error = answer.error;
    for statement in answer.results {
        if statement.partial {
            error = Some("more rows than the server's `max-row-limit`".to_owned());
        }
        error = error.or(statement.error);
        series.extend(statement.series);
    }
    match error {
        None => Ok(series),
        Some(error) if error.contains("database not found") => {
            Err(HistoryError::Refused { why: error, mend: mend::create(history.client.target()) })
        }
        Some(error) if error.contains("retention policy not found") => Err(HistoryError::Refused {
            why: error,
            mend: mend::create_retention_policy(history.client.target()),
        }),
        Some(error) if error.contains("authorized") => {
            Err(HistoryError::Refused { why: error, mend: mend::permission(history.client.target()) })
        }
        Some(error) => Err(history.unexpected(error)),
    }
}

fn filter(range: &Range) -> String {
    format!("{} AND time >= {}ms AND time < {}ms", are(range.tags()), range.from_ms, range.to_ms)
}

fn are<const N: usize>(tags: [(&str, String); N]) -> String {
    tags.map(|(key, value)| format!("{} = {}", influxql_name(key), influxql_string(&value))).join(" AND ")
}

/// A measurement, in a policy other than the default if one is named.
fn source(history: &History<'_>, policy: Option<&str>, measurement: &str) -> String {
    let measurement = influxql_name(measurement);
    match policy {
        Some(policy) => {
            format!("{}.{}.{measurement}", influxql_name(database_of(history)), influxql_name(policy))
        }
        None => measurement,
    }
}

fn database_of<'a>(history: &'a History<'_>) -> &'a str {
    match &history.client.target().kind {
        Kind::Influx1 { database, .. } => database,
        Kind::Influx2 { .. } | Kind::VictoriaMetrics { .. } => "",
    }
}

fn policy_of<'a>(history: &'a History<'_>) -> Option<&'a str> {
    match &history.client.target().kind {
        Kind::Influx1 { retention_policy, .. } => retention_policy.as_deref(),
        Kind::Influx2 { .. } | Kind::VictoriaMetrics { .. } => None,
    }
}
