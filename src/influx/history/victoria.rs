//! VictoriaMetrics: `/api/v1/export`, which gives samples as they were written. Its query API would not: it aligns,
//! extrapolates and looks back.

use super::{Found, History, HistoryError, LINE_MEASUREMENTS, Range};
use crate::{
    influx::{client::Request, quote::double_quoted},
    point::TimestampMs,
};
use serde::Deserialize;

/// One line of an export.
#[derive(Deserialize)]
struct Series {
    metric: Metric,
    /// A value that is not a number is `null`.
    values: Vec<Option<f64>>,
    timestamps: Vec<TimestampMs>,
}

#[derive(Deserialize)]
struct Metric {
    #[serde(rename = "__name__")]
    name: String,
}

pub(super) async fn has_points(history: &History<'_>, range: &Range) -> Result<Option<Found>, HistoryError> {
    // A field is a metric: `rgw_node_requests`. None of the names needs escaping in a regular expression.
    let names = format!("__name__=~{}", double_quoted(&format!("({})_.+", LINE_MEASUREMENTS.join("|"))));
    let answer = history
        .client
        .send(&Request {
            path: &["api", "v1", "export"],
            query: &[
                ("match[]", &selector(&names, range)),
                ("start", &seconds(range.from_ms)),
                ("end", &seconds(range.to_ms - 1)),
                ("max_rows_per_line", "1"),
            ],
            // One line says it; to stop reading ends the export.
            max_answer: 16 << 10,
            ..Request::default()
        })
        .await
        .map_err(|failure| super::from_outcome(failure.outcome(history.client.target())))?;
    if answer.status != 200 {
        let now = std::time::SystemTime::now();
        return Err(super::from_outcome(answer.meaning(history.client.target(), now)));
    }
    let Some(line) = answer.body.split(|&byte| byte == b'\n').next().filter(|line| !line.is_empty()) else {
        return Ok(None);
    };
    let series = parse(history, line)?;
    let time_ms = series.timestamps.first().copied().unwrap_or(range.from_ms);
    Ok(Some(Found { name: series.metric.name, time_ms }))
}

pub(super) async fn lines(
    history: &History<'_>,
    range: &Range,
) -> Result<Vec<(TimestampMs, u64)>, HistoryError> {
    let answer = history
        .ask(Request {
            path: &["api", "v1", "export"],
            query: &[
                ("match[]", &selector("__name__=\"rgw_log_lines\"", range)),
                ("start", &seconds(range.from_ms)),
                ("end", &seconds(range.to_ms - 1)),
            ],
            ..Request::default()
        })
        .await?;
    let mut lines = Vec::new();
    for line in answer.body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let series = parse(history, line)?;
        let samples = series.timestamps.into_iter().zip(series.values);
        lines.extend(samples.filter_map(|(time, value)| Some((time, value? as u64))));
    }
    Ok(lines)
}

fn parse(history: &History<'_>, line: &[u8]) -> Result<Series, HistoryError> {
    serde_json::from_slice(line).map_err(|error| history.unexpected(format!("not an export's JSON: {error}")))
}

fn selector(name: &str, range: &Range) -> String {
    let tags = range.tags().map(|(key, value)| format!("{key}={}", double_quoted(&value)));
    format!("{{{name},{}}}", tags.join(","))
}

/// Unix time as it is read there: seconds, with a fraction.
fn seconds(time_ms: TimestampMs) -> String {
    format!("{}.{:03}", time_ms.div_euclid(1000), time_ms.rem_euclid(1000))
}
