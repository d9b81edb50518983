//! The format of a log: that it compiles, what it goes without, and that the log's last lines are written in it.

use super::{Finding, log::key, sample};
use crate::{
    access_log::{GatewayLog, InputFormat, InputParser, Lack, LogFormat, Parsed, Reject},
    config::LogConfig,
};

/// How many of a log's last lines are tried.
const LINES: usize = 1000;

/// The compiled format, and what is to be said about it.
pub(super) fn compiles(subject: &str, log: &LogConfig) -> (Option<InputFormat>, Vec<Finding>) {
    match log.format.parse() {
        Ok(InputFormat::Nginx(format)) => {
            let findings = describe(subject, &shown(log), &format);
            (Some(format.into()), findings)
        }
        Ok(InputFormat::Gateway(gateway)) => (Some(gateway.into()), vec![describe_gateway(subject, gateway)]),
        Err(error) => {
            let message = format!("the format {} cannot be used: {error}", shown(log));
            let mend = format!(
                "{}   # or main, or the log_format directive of your nginx.conf between '''",
                key(log, "format = \"rgwlens\"")
            );
            (None, vec![Finding::fail(subject, message, mend)])
        }
    }
}

/// The format's name as messages call it.
fn shown(log: &LogConfig) -> String {
    let name = log.format.trim();
    if InputFormat::names().any(|known| known == name) {
        name.to_owned()
    } else {
        "of the configuration".to_owned()
    }
}

/// What the format goes without, and what stands in it so that a stranger can shift it.
pub(super) fn describe(subject: &str, name: &str, format: &LogFormat) -> Vec<Finding> {
    let (shifting, missing): (Vec<&Lack>, Vec<&Lack>) =
        format.warnings().iter().partition(|lack| format.has(&lack.variable));
    let mut findings = Vec::new();
    if missing.is_empty() {
        findings.push(Finding::ok(subject, format!("the format {name} has all that is useful")));
    } else {
        let losses: Vec<String> = missing.iter().map(|lack| format!("  {lack}")).collect();
        let mend = format!(
            "# Without them:\n{}\n# All of them: include log_format.conf in nginx's http block, and\naccess_log … rgwlens;",
            losses.join("\n")
        );
        let others = match missing.len() - 1 {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        let first = &missing[0].variable;
        let message = format!("the format {name} works, but goes without ${first}{others}");
        findings.push(Finding::warn(subject, message, mend));
    }
    for lack in shifting {
        let mend =
            format!("put quotes around ${} in nginx's log_format, and in the configuration", lack.variable);
        findings.push(Finding::warn(subject, format!("${}: {}", lack.variable, lack.lost), mend));
    }
    findings
}

/// What one of RGW's own logs goes without.
fn describe_gateway(subject: &str, log: GatewayLog) -> Finding {
    let name = log.name();
    match log {
        GatewayLog::Ops | GatewayLog::OpsJewel => Finding::ok(
            subject,
            format!(
                "the format {name} has RGW's own operations and buckets; what never reached RGW is not in it"
            ),
        ),
        GatewayLog::Civetweb => Finding::warn(
            subject,
            format!("the format {name} works, but has no latencies, and no buckets of virtual-host requests"),
            "# has both, in ceph.conf:\nrgw_enable_ops_log = true\nrgw_ops_log_file_path = /var/log/ceph/ops-log.log\n\
             # and in the configuration of rgwlens:\nformat = \"rgw-ops\"",
        ),
        GatewayLog::Beast => Finding::ok(
            subject,
            format!("the format {name} has latencies, but no buckets of virtual-host requests"),
        ),
    }
}

/// Tries the last lines of the log.
pub(super) fn fits(subject: &str, log: &LogConfig, format: InputFormat) -> Finding {
    let lines = match sample::last_lines(&log.path, LINES) {
        Ok(lines) => lines,
        Err(error) => {
            let mend = "see whether the disk is well: dmesg | tail";
            return Finding::fail(subject, format!("the last lines cannot be read: {error}"), mend);
        }
    };
    judge(subject, log, format, &lines)
}

fn judge(subject: &str, log: &LogConfig, format: InputFormat, lines: &[Vec<u8>]) -> Finding {
    let Tried { fitting, rejected, skipped, first } = try_on(format, lines);
    let tried = fitting + rejected;
    let share = match (skipped, log.gateway().is_some_and(GatewayLog::is_ops)) {
        (_, true) => {
            format!("{fitting} of the {tried} entries on the last {} lines can be read", lines.len())
        }
        (0, false) => format!("{fitting} of the last {tried} lines are of the format {}", shown(log)),
        (_, false) => format!(
            "{fitting} of the {tried} access lines among the last {} lines are of the format {}",
            lines.len(),
            shown(log)
        ),
    };
    let Some((number, reject)) = first else {
        if lines.is_empty() {
            return Finding::ok(subject, "it has no lines yet to try the format on".to_owned());
        }
        if tried == 0 {
            let message = format!("none of the last {} lines is about a request", lines.len());
            let mend = "ceph config show-with-defaults client.rgw.NAME | grep -E 'debug_rgw|rgw_frontends|rgw_enable_ops_log'\n\
                        # access lines need debug_rgw (debug_rgw_access) of 1 or more, and the frontend of the format";
            return Finding::warn(subject, message, mend);
        }
        return Finding::ok(subject, share);
    };
    let example = format!("line {number} of them: {reject}");
    if fitting * 2 > tried {
        // What is of the format parses, whatever a client says: somebody else writes to this file, or it was damaged.
        let mend = format!("rgwlens explain {} | grep 'does not parse'", super::shell::quote(&log.path));
        return Finding::warn(subject, format!("{share}; {example}"), mend);
    }
    Finding::fail(subject, format!("only {share}; {example}"), better(log, lines))
}

/// What came of lines.
#[derive(Default)]
struct Tried {
    fitting: usize,
    rejected: usize,
    skipped: usize,
    /// The first line that does not fit.
    first: Option<(usize, Reject)>,
}

fn try_on(format: InputFormat, lines: &[Vec<u8>]) -> Tried {
    let mut parser = InputParser::new(format);
    let mut tried = Tried::default();
    for (index, line) in lines.iter().enumerate() {
        parser.parse(line, |parsed| match parsed {
            Parsed::Record(..) => tried.fitting += 1,
            Parsed::Skipped => tried.skipped += 1,
            Parsed::Rejected(reject) => {
                tried.rejected += 1;
                tried.first = tried.first.or(Some((index + 1, reject)));
            }
        });
    }
    tried
}

/// The known format that most lines are written in, else how to find the right one.
fn better(log: &LogConfig, lines: &[Vec<u8>]) -> String {
    let known = InputFormat::names().filter_map(|name| {
        let tried = try_on(name.parse().ok()?, lines);
        (tried.fitting * 2 > lines.len()).then_some((tried.fitting, name))
    });
    // Of two that fit as well, the first: civetweb's lines are a part of nginx's.
    match known.min_by_key(|(fitting, _)| std::cmp::Reverse(*fitting)) {
        Some((fitting, name)) => format!(
            "{}   # {fitting} of the {} lines are of this format",
            key(log, &format!("format = \"{name}\"")),
            lines.len()
        ),
        None => "rgwlens check --nginx-conf /etc/nginx/nginx.conf   # finds the log_format to put into the configuration"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::Level, config::Config};

    const MAIN: &str =
        r#"127.0.0.1 - - [21/Nov/2026:18:59:54 +0000] "GET /b/k HTTP/1.1" 200 300 12 "-" "x" "-" "0.031""#;
    const COMBINED: &str =
        r#"127.0.0.1 - - [21/Nov/2026:18:59:54 +0000] "GET /b/k HTTP/1.1" 200 300 "-" "x""#;

    fn configured(format: &str) -> LogConfig {
        let text = format!("node = \"n\"\n[[log]]\nname = \"s3\"\nformat = {format:?}");
        Config::from_toml(&text).unwrap().logs.remove(0)
    }

    fn judged(format: &str, lines: &[&str]) -> Finding {
        let log = configured(format);
        let lines: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        judge("log s3", &log, format.parse().unwrap(), &lines)
    }

    #[test]
    fn lines_of_the_format() {
        assert_eq!(judged("main", &[]).level, Level::Ok);
        let finding = judged("main", &[MAIN, MAIN]);
        assert_eq!(finding.level, Level::Ok);
        assert_eq!(finding.message, "2 of the last 2 lines are of the format main");
    }

    #[test]
    fn a_few_lines_of_another() {
        let finding = judged("main", &[MAIN, MAIN, "junk"]);
        assert_eq!(finding.level, Level::Warn);
        assert!(
            finding.message.starts_with("2 of the last 3 lines are of the format main; line 3"),
            "{finding:?}"
        );
    }

    #[test]
    fn most_lines_of_another_name_the_one_that_fits() {
        let finding = judged("rgwlens", &[MAIN, MAIN, "junk"]);
        assert_eq!(finding.level, Level::Fail);
        let mend = finding.mend.unwrap();
        assert!(mend.starts_with("[[log]]\nname = \"s3\"\nformat = \"main\"   # 2 of the 3"), "{mend}");
        let finding = judged("main", &[COMBINED]);
        assert!(finding.mend.unwrap().contains("format = \"combined\""));
        let finding = judged("main", &["junk", "more"]);
        assert!(finding.mend.unwrap().contains("--nginx-conf"));
    }

    #[test]
    fn what_a_format_goes_without_is_said_with_what_is_lost() {
        let (format, findings) = compiles("log s3", &configured("main"));
        assert!(format.is_some());
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert_eq!(finding.level, Level::Warn);
        assert!(finding.message.contains("$msec"), "{finding:?}");
        assert!(finding.mend.as_ref().unwrap().contains("$msec: requests are known to the second only"));
        let (_, findings) = compiles("log s3", &configured("rgwlens"));
        assert_eq!(findings[0].level, Level::Ok, "{findings:?}");
    }

    #[test]
    fn what_a_client_can_shift() {
        let format =
            "$msec $http_referer $http_user_agent \"$request\" $status $request_time $body_bytes_sent";
        let format = LogFormat::compile(format).unwrap();
        let findings = describe("log s3", "x", &format);
        assert!(
            findings.iter().any(|f| f
                .mend
                .as_deref()
                .unwrap_or_default()
                .starts_with("put quotes around $http_referer")),
            "{findings:?}"
        );
    }

    #[test]
    fn a_format_that_cannot_be_used() {
        let (format, findings) = compiles("log s3", &configured("$msec $status"));
        assert!(format.is_none());
        assert_eq!(findings[0].level, Level::Fail);
        assert!(findings[0].message.contains("$request_time"), "{findings:?}");
    }
}
