//! What is wrong with a target, and what mends it: what `rgwlens check` prints.

use super::{Client, Kind, Outcome, answer::Answer, client::Request, mend};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What: `reachable`, `writable`, `deduplication`.
    pub what: &'static str,
    /// How it is, or what is wrong.
    pub result: Result<String, Problem>,
}

/// What is wrong, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}; {mend}")]
pub struct Problem {
    /// What is wrong.
    pub why: String,
    /// What mends it.
    pub mend: String,
}

/// Looks at everything that a target needs, in the order in which one thing needs the other; what cannot be seen for
/// want of one that is missing is left out. Stores nothing.
pub async fn check(client: &Client) -> Vec<Finding> {
    let mut findings = Vec::new();
    let version = ping(client).await;
    let reachable = version.is_ok();
    let product = client.target().kind.product();
    findings.push(Finding {
        what: "reachable",
        result: version.map(|version| match version {
            // VictoriaMetrics names the version of InfluxDB that it resembles.
            Some(version) if product == "InfluxDB" => {
                format!("{product} {version} at {}", client.target().url)
            }
            _ => format!("{product} at {}", client.target().url),
        }),
    });
    if !reachable {
        return findings;
    }
    let writable = writable(client).await;
    findings.push(Finding { what: "writable", result: writable });
    if let Kind::VictoriaMetrics { .. } = &client.target().kind {
        findings.push(Finding { what: "deduplication", result: deduplication(client).await });
    }
    findings
}

/// Asks the server whether it is there, and for its version if it tells. Needs no credentials but with InfluxDB 3.
pub async fn ping(client: &Client) -> Result<Option<String>, Problem> {
    let answer = get(client, "ping").await?;
    match answer.status {
        200 | 204 => Ok(answer.version),
        _ => Err(Problem { why: answer.why(client.target()), mend: mend::address(client.target()) }),
    }
}

/// Writes no points: the server checks the credentials and looks for database and retention policy all the same.
async fn writable(client: &Client) -> Result<String, Problem> {
    match client.write(b"").await {
        // InfluxDB 2 finds a body without points invalid, after it has found the bucket.
        Outcome::Written | Outcome::Unclear { .. } | Outcome::Rejected { .. } | Outcome::Expired { .. } => {
            Ok(match &client.target().kind {
                Kind::Influx1 { database, .. } => {
                    format!("database {database:?} is there and may be written")
                }
                Kind::Influx2 { bucket, .. } => format!("bucket {bucket:?} is there and may be written"),
                Kind::VictoriaMetrics { .. } => "may be written".to_owned(),
            })
        }
        Outcome::Refused { why, mend } => Err(Problem { why, mend }),
        Outcome::Retry { why, .. } => {
            Err(Problem { why, mend: "see what ails the server, or the proxy in front of it".to_owned() })
        }
        Outcome::TooLarge => Err(Problem {
            why: format!("{} takes no request at all (413)", client.target().url),
            mend: "raise `max-body-size` in InfluxDB's configuration, or the limit of the proxy in front"
                .to_owned(),
        }),
    }
}

/// A point that is sent again counts twice in VictoriaMetrics unless it drops duplicates; with a longer interval than a
/// millisecond it drops late parts too, which are that far apart.
async fn deduplication(client: &Client) -> Result<String, Problem> {
    const FLAG: &str = "-dedup.minScrapeInterval";
    let mend = || format!("start VictoriaMetrics with `{FLAG}=1ms`");
    let answer = get(client, "flags").await?;
    if answer.status != 200 {
        let why = format!("cannot see whether `{FLAG}` is set: {}", answer.why(client.target()));
        return Err(Problem { why, mend: format!("{}, and let `/flags` through its proxy", mend()) });
    }
    let flags = String::from_utf8_lossy(&answer.body);
    let value = flags.lines().find_map(|line| line.trim().strip_prefix(FLAG)?.strip_prefix('='));
    match value.map(|value| value.trim_matches('"')) {
        Some("1ms") => Ok(format!("`{FLAG}=1ms`")),
        Some(other) => Err(Problem { why: format!("`{FLAG}` is {other}"), mend: mend() }),
        None => Err(Problem { why: format!("`{FLAG}` is not among its flags"), mend: mend() }),
    }
}

async fn get(client: &Client, path: &str) -> Result<Answer, Problem> {
    client.send(&Request { path: &[path], ..Request::default() }).await.map_err(|failure| {
        match failure.outcome(client.target()) {
            Outcome::Refused { why, mend } => Problem { why, mend },
            Outcome::Retry { why, .. } => Problem { why, mend: mend::address(client.target()) },
            other => Problem { why: format!("{other:?}"), mend: mend::address(client.target()) },
        }
    })
}
