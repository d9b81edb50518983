//! What an answer to a write means: for the data, and for the operator. Pure.
//!
//! Sources: the HTTP handlers of InfluxDB 1.6 and 1.8, InfluxDB 2's and 3's API references, VictoriaMetrics' handlers;
//! all of 1.6 and VictoriaMetrics as recorded in `tests/influx_write.rs`.

use super::{Kind, Target, mend};
use serde::Deserialize;
use std::time::{Duration, SystemTime};

/// Longest wait a server may ask for: a `Retry-After` of a day is a mistake, not a wish.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(15 * 60);

/// The wait for a `Retry-After` that cannot be understood.
const UNREADABLE_RETRY_AFTER: Duration = Duration::from_secs(10);

/// Longest piece of a server's text that is passed on, in characters.
const MAX_QUOTE: usize = 300;

/// What became of the points of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All are stored.
    Written,
    /// Nothing is known; the same request may well succeed later.
    Retry {
        /// No earlier than in this time, if the server said so; at most a quarter of an hour.
        after: Option<Duration>,
        /// What happened.
        why: String,
    },
    /// It will be refused until somebody mends it. The points lack nothing and must be kept.
    Refused {
        /// What happened.
        why: String,
        /// What mends it.
        mend: String,
    },
    /// More bytes than the server takes at once.
    TooLarge,
    /// At least one point cannot be stored, ever; others may or may not have been.
    Rejected {
        /// The server's reason, for one of them.
        message: String,
    },
    /// At least one point may never be stored, but the answer was too long to be read to its end: for fewer points it is
    /// shorter.
    Unclear {
        /// What happened.
        why: String,
    },
    /// At least one point is older than the database keeps; all others that are good were stored.
    Expired {
        /// The server's message.
        message: String,
    },
}

/// An answer, read as far as it will be.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    /// The server's own clock (`Date`), by which its `Retry-After` is meant.
    pub(super) date: Option<String>,
    pub(super) location: Option<String>,
    pub(super) version: Option<String>,
    pub(super) body: Vec<u8>,
    /// Whether that is all of the body.
    pub(super) end: End,
}

/// Where the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was read to its end.
    Whole,
    /// It is longer than what is read of one.
    TooLong,
    /// The connection broke.
    BrokenOff,
}

impl Answer {
    /// The meaning of an answer to a write. `now` is the clock for servers that do not tell theirs.
    pub(super) fn meaning(&self, target: &Target, now: SystemTime) -> Outcome {
        let error = self.error();
        let why = self.why(target);
        match self.status {
            204 => Outcome::Written,
            // Anything else that sounds like success is not the server's: a captive portal, a login page.
            200..=299 => Outcome::Retry {
                after: None,
                why: format!(
                    "{why}, which is not how {} acknowledges: is it a proxy's page?",
                    target.kind.product()
                ),
            },
            300..=399 => Outcome::Retry { after: None, why },
            400 | 422 if !self.is_of(&target.kind) => Outcome::Retry { after: self.wait(now), why },
            400 | 422 if is_expired(&error) => Outcome::Expired { message: error },
            400 | 422 => Outcome::Rejected { message: error },
            401 | 407 => Outcome::Refused { why, mend: mend::credentials(target) },
            403 => Outcome::Refused { why, mend: mend::permission(target) },
            404 => Outcome::Refused { why, mend: self.missing(target, &error) },
            413 => Outcome::TooLarge,
            500 if error.contains("retention policy not found") => {
                Outcome::Refused { why, mend: mend::create_retention_policy(target) }
            }
            408 | 425 | 429 | 500.. => Outcome::Retry { after: self.wait(now), why },
            _ => Outcome::Refused { why, mend: mend::address(target) },
        }
    }

    /// `http://host answered 503: text`.
    pub(super) fn why(&self, target: &Target) -> String {
        let error = self.error();
        let place = format!("{} answered {}", target.url, self.status);
        match &self.location {
            // What follows the `?` may be a secret of a login page.
            Some(location) if (300..=399).contains(&self.status) => {
                let location = quotable(location.split(['?', '#']).next().unwrap_or_default());
                format!("{place}, a redirect to {location}, which is not followed")
            }
            _ if error.is_empty() => place,
            _ => format!("{place}: {error}"),
        }
    }

    fn missing(&self, target: &Target, error: &str) -> String {
        match &target.kind {
            Kind::VictoriaMetrics { .. } => mend::address(target),
            // A path that nobody serves is answered in plain text.
            _ if !self.is_of(&target.kind) => mend::address(target),
            Kind::Influx2 { org, .. } if error.contains("organization") => mend::create_org(target, org),
            _ => mend::create(target),
        }
    }

    /// How long `Retry-After` asks to wait.
    fn wait(&self, now: SystemTime) -> Option<Duration> {
        let now = self.date.as_deref().and_then(http_date).unwrap_or(now);
        self.retry_after.as_deref().map(|text| retry_after(text.trim(), now))
    }

    /// Whether the body is one that this kind of server writes. InfluxDB's errors are JSON, VictoriaMetrics' are text;
    /// proxies answer with pages. No data is given up because of a proxy.
    fn is_of(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Influx1 { .. } | Kind::Influx2 { .. } => self.json().is_some(),
            Kind::VictoriaMetrics { .. } => !self.body.is_empty() && !self.is_page(),
        }
    }

    fn is_page(&self) -> bool {
        self.body.trim_ascii_start().starts_with(b"<")
    }

    fn json(&self) -> Option<ErrorBody> {
        let body: ErrorBody = serde_json::from_slice(&self.body).ok()?;
        (body.error.is_some() || body.message.is_some()).then_some(body)
    }

    /// The error in words, fit for a log line.
    pub(super) fn error(&self) -> String {
        match self.json() {
            Some(ErrorBody { error, message, data }) => {
                let text = message.or(error).unwrap_or_default();
                // InfluxDB 3 names the reason only with the line.
                match data.and_then(|data| data.first().and_then(|line| line.error_message.clone())) {
                    Some(detail) => quotable(&format!("{text}: {detail}")),
                    None => quotable(&text),
                }
            }
            None if self.is_page() => "a web page".to_owned(),
            None => quotable(&String::from_utf8_lossy(&self.body)),
        }
    }
}

/// Both messages name the same thing, but the second quotes a line, and a line can hold any words.
fn is_expired(error: &str) -> bool {
    error.contains("points beyond retention policy") && !error.contains("unable to parse")
}

/// `{"error":…}` of InfluxDB 1 and 3, `{"code":…,"message":…}` of 2.
#[derive(Deserialize)]
struct ErrorBody {
    error: Option<String>,
    message: Option<String>,
    #[serde(default, deserialize_with = "lines_or_nothing")]
    data: Option<Vec<ErrorLine>>,
}

#[derive(Deserialize)]
struct ErrorLine {
    error_message: Option<String>,
}

/// A `data` of another shape takes nothing from the rest.
fn lines_or_nothing<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Vec<ErrorLine>>, D::Error> {
    Ok(serde_json::from_value(serde_json::Value::deserialize(d)?).ok())
}

/// One line, printable, bounded.
pub(super) fn quotable(text: &str) -> String {
    let mut quoted: String =
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_QUOTE).collect();
    if text.trim().chars().nth(MAX_QUOTE).is_some() {
        quoted.push('…');
    }
    quoted
}

/// Seconds or a date; 10 s for what is neither; never more than [`MAX_RETRY_AFTER`].
fn retry_after(text: &str, now: SystemTime) -> Duration {
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a u64 has is a very long time.
        text.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        match http_date(text) {
            Some(date) => date.duration_since(now).unwrap_or_default(),
            None => UNREADABLE_RETRY_AFTER,
        }
    };
    wait.min(MAX_RETRY_AFTER)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<SystemTime> {
    chrono::DateTime::parse_from_rfc2822(text.trim()).ok().map(Into::into)
}

#[cfg(test)]
mod tests;
