//! What an operator can do about a target that refuses us: the command, ready to be pasted.

use super::{
    Kind, Target,
    quote::{influxql_name, shell_word},
};

/// For a 401 (or a proxy's 407).
pub(super) fn credentials(target: &Target) -> String {
    let name = &target.name;
    match &target.kind {
        Kind::Influx1 { login: None, .. } | Kind::VictoriaMetrics { login: None } => {
            format!("the server wants a user and a password: set them for the output `{name}`")
        }
        Kind::Influx1 { login: Some((user, _)), .. } => {
            let command = format!("influx{} -username {} -password ''", connection(target), shell_word(user));
            format!("correct user or password of the output `{name}`; `{command}` tries them by hand")
        }
        Kind::VictoriaMetrics { login: Some(_) } => {
            format!("correct user or password of the output `{name}`: those of the proxy in front of it")
        }
        Kind::Influx2 { token: None, .. } => {
            format!(
                "the server wants a token: set one for the output `{name}` (`influx auth list` shows those there are)"
            )
        }
        Kind::Influx2 { org, .. } => format!(
            "correct the token of the output `{name}`; `influx auth list{} --org {}` shows those there are",
            host(target),
            shell_word(org)
        ),
    }
}

/// For a 403.
pub(super) fn permission(target: &Target) -> String {
    match &target.kind {
        Kind::Influx1 { database, login: Some((user, _)), .. } => {
            influx1(target, &format!("GRANT ALL ON {} TO {}", influxql_name(database), influxql_name(user)))
        }
        Kind::Influx1 { login: None, .. } | Kind::VictoriaMetrics { .. } => credentials(target),
        Kind::Influx2 { org, bucket, .. } => format!(
            "the token may not do this with the bucket {bucket:?}: make one that may with \
             `influx auth create{} --org {} --read-buckets --write-buckets`",
            host(target),
            shell_word(org)
        ),
    }
}

/// For a database or bucket that is not there.
pub(super) fn create(target: &Target) -> String {
    match &target.kind {
        Kind::Influx1 { database, .. } => {
            influx1(target, &format!("CREATE DATABASE {}", influxql_name(database)))
        }
        Kind::Influx2 { org, bucket, .. } => format!(
            "create it with `influx bucket create{} --org {} --name {}`",
            host(target),
            shell_word(org),
            shell_word(bucket)
        ),
        Kind::VictoriaMetrics { .. } => address(target),
    }
}

/// For an organisation that is not there (InfluxDB 2).
pub(super) fn create_org(target: &Target, org: &str) -> String {
    format!(
        "correct the organisation, or create it with `influx org create{} --name {}`",
        host(target),
        shell_word(org)
    )
}

/// For a retention policy that is not there (InfluxDB 1).
pub(super) fn create_retention_policy(target: &Target) -> String {
    match &target.kind {
        Kind::Influx1 { database, retention_policy: Some(policy), .. } => influx1(
            target,
            &format!(
                "CREATE RETENTION POLICY {} ON {} DURATION 90d REPLICATION 1",
                influxql_name(policy),
                influxql_name(database)
            ),
        ),
        _ => address(target),
    }
}

/// For a server that is there and speaks, but does not know our requests.
pub(super) fn address(target: &Target) -> String {
    let what = match target.kind {
        Kind::Influx1 { .. } => "InfluxDB 1 (or another version: then change its kind)",
        Kind::Influx2 { .. } => "InfluxDB 1.8 or later, 2 or 3 (before 1.8: change its kind to InfluxDB 1)",
        Kind::VictoriaMetrics { .. } => "VictoriaMetrics",
    };
    format!("the output `{}` must have the base URL of {what}, with nothing behind it", target.name)
}

/// A statement for the command line of InfluxDB 1.
fn influx1(target: &Target, statement: &str) -> String {
    let login = match &target.kind {
        Kind::Influx1 { login: Some(_), .. } => " as an administrator (`-username`, `-password ''`)",
        _ => "",
    };
    format!("run{login} `influx{} -execute {}`", connection(target), shell_word(statement))
}

/// Options of the command line of InfluxDB 1 to reach the server; none where its defaults do.
fn connection(target: &Target) -> String {
    let Ok(url) = reqwest::Url::parse(&target.url) else { return String::new() };
    let host = url.host_str().unwrap_or("localhost");
    let port = url.port_or_known_default().unwrap_or(8086);
    let mut options = String::new();
    if host != "localhost" && host != "127.0.0.1" {
        options.push_str(&format!(" -host {}", shell_word(host)));
    }
    if port != 8086 {
        options.push_str(&format!(" -port {port}"));
    }
    if url.scheme() == "https" {
        options.push_str(" -ssl");
    }
    options
}

/// The option of the command line of InfluxDB 2 to reach the server.
fn host(target: &Target) -> String {
    format!(" --host {}", shell_word(&target.url))
}
