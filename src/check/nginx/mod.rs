//! nginx's side of the logs: whether it writes them, in which format, and how long it keeps lines back.

mod source;
mod written;

use std::path::Path;

use super::{Finding, format::describe, log::key};
use crate::{
    access_log::{
        LogFormat,
        nginx_conf::{self, AccessLog, LogTarget, NginxConf},
    },
    config::{LogConfig, show_duration},
};
use source::Source;
use written::{Writers, writers};

const SUBJECT: &str = "nginx";

/// nginx's workers flush independently: a line can be as late as the flush, and three times that is never.
const LATENESS: u32 = 3;

/// The longest lateness that can be configured.
const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

/// Compares nginx's configuration with that of the logs.
pub(super) fn check(path: &Path, logs: &[LogConfig]) -> Vec<Finding> {
    let source = match Source::read(path) {
        Ok(source) => source,
        Err(error) => {
            let mend =
                "nginx -T 2>/dev/null > /tmp/nginx-T      # as root\nrgwlens check --nginx-conf /tmp/nginx-T";
            return vec![Finding::fail(SUBJECT, format!("{} cannot be read: {error}", path.display()), mend)];
        }
    };
    match nginx_conf::read(&source.main.name, &source.main.text, |pattern| source.include(pattern)) {
        Ok(conf) => compare(&conf, logs),
        Err(error) => {
            vec![Finding::fail(SUBJECT, error.to_string(), "nginx -t   # as root: does nginx take it?")]
        }
    }
}

fn compare(conf: &NginxConf, logs: &[LogConfig]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = logs
        .iter()
        // What the gateway writes is none of nginx's business.
        .filter(|log| log.gateway().is_none())
        .flat_map(|log| compare_log(conf, log))
        .collect();
    findings.extend(written::not_followed(conf, logs));
    findings.extend(written::not_logged(conf));
    findings
}

fn compare_log(conf: &NginxConf, log: &LogConfig) -> Vec<Finding> {
    let subject = format!("{SUBJECT}, log {}", log.name);
    let mut findings = Vec::new();
    let directives = match writers(conf, &log.path) {
        Writers::These(directives) => directives,
        Writers::Elsewhere(directives) => {
            let path = log.path.display();
            let places: Vec<String> = directives.iter().map(|directive| written::show(directive)).collect();
            let message = format!(
                "nginx does not write {path}, but {}: right if that is mounted there from a container",
                places.join(", ")
            );
            let mend = key(log, "path = \"…\"   # as the host sees it");
            findings.push(Finding::warn(&subject, message, mend));
            directives
        }
        Writers::None => {
            findings.push(written::nowhere(&subject, conf, log));
            return findings;
        }
    };
    findings.extend(compare_format(&subject, conf, log, &directives));
    for directive in &directives {
        findings.extend(kept_back(&subject, log, directive));
        if let Some(condition) = &directive.condition {
            let message =
                format!("{}: only requests with if={condition} are logged, and so counted", directive.place);
            findings.push(Finding::warn(&subject, message, directive_line(log, directive, "")));
        }
        if directive.gzip {
            let message =
                format!("{}: a log that is compressed as it is written cannot be followed", directive.place);
            findings.push(Finding::fail(
                &subject,
                message,
                directive_line(log, directive, " buffer=64k flush=5s"),
            ));
        }
    }
    findings
}

/// The one format that nginx writes the log in, and whether it is the configured one.
fn compare_format(
    subject: &str,
    conf: &NginxConf,
    log: &LogConfig,
    directives: &[&AccessLog],
) -> Vec<Finding> {
    let mut formats: Vec<Written<'_>> = Vec::new();
    for directive in directives {
        match Written::of(conf, directive) {
            Ok(format) if formats.iter().any(|known| known.compiled.writes_the_same_as(&format.compiled)) => {
            }
            Ok(format) => formats.push(format),
            Err(finding) => return vec![finding.under(subject)],
        }
    }
    match formats.as_slice() {
        [] => Vec::new(),
        [format] => format.compare(subject, log),
        several => {
            let names: Vec<_> = several
                .iter()
                .map(|format| format!("{} ({})", format.name, format.directive.place))
                .collect();
            let message =
                format!("nginx writes {} in several formats: {}", log.path.display(), names.join(", "));
            let mend =
                "give all its access_log the same format, or each format a file and a [[log]] of its own";
            vec![Finding::fail(subject, message, mend)]
        }
    }
}

/// A format that nginx writes.
struct Written<'a> {
    name: &'a str,
    directive: &'a AccessLog,
    /// As it stands in nginx.conf; nginx's own `combined` stands nowhere.
    definition: Option<&'a str>,
    compiled: LogFormat,
}

/// What is wrong with a format of nginx's, and what mends it.
struct Unusable {
    message: String,
    mend: String,
}

impl Unusable {
    fn under(self, subject: &str) -> Finding {
        Finding::fail(subject, self.message, self.mend)
    }
}

impl<'a> Written<'a> {
    fn of(conf: &'a NginxConf, directive: &'a AccessLog) -> Result<Self, Unusable> {
        let name = directive.format.as_str();
        let definition = conf.formats.iter().find(|format| format.name == name);
        let compiled = match definition {
            Some(definition) => definition.compile().map_err(|error| Unusable {
                message: format!(
                    "nginx writes the format {name} ({}), which cannot be used: {error}",
                    definition.place
                ),
                mend: format!(
                    "# in nginx's http block, with the log_format.conf that comes with rgwlens:\n\
                     include /etc/nginx/log_format.conf;\n# and instead of {}:\naccess_log … rgwlens;",
                    directive.place
                ),
            })?,
            None => LogFormat::named(name).filter(|_| name == "combined").ok_or_else(|| Unusable {
                message: format!("{}: there is no log_format {name}", directive.place),
                mend: "nginx -t   # as root: nginx does not take this either".to_owned(),
            })?,
        };
        let definition = definition.map(|definition| definition.directive.as_str());
        Ok(Self { name, directive, definition, compiled })
    }

    fn compare(&self, subject: &str, log: &LogConfig) -> Vec<Finding> {
        let written = format!("nginx writes it in the format {} ({})", self.name, self.directive.place);
        let configured = log.format.parse::<LogFormat>();
        if configured.as_ref().is_ok_and(|configured| configured.writes_the_same_as(&self.compiled)) {
            return vec![Finding::ok(subject, format!("{written}, as configured"))];
        }
        let message = match log.format.trim() {
            // The trap: nginx's packages have a `main` of their own, without times.
            name if name == self.name => format!("{written}, which is not what rgwlens calls {name}"),
            _ => format!("{written}, which is not the configured one"),
        };
        let mut findings = vec![Finding::fail(subject, message, key(log, &self.key()))];
        findings
            .extend(describe(subject, self.name, &self.compiled).into_iter().filter(|f| f.mend.is_some()));
        findings
    }

    /// The key to configure for this format.
    fn key(&self) -> String {
        let known = LogFormat::NAMES.iter().find(|name| {
            LogFormat::named(name).is_some_and(|known| known.writes_the_same_as(&self.compiled))
        });
        match (known, self.definition) {
            (Some(name), _) => format!("format = \"{name}\""),
            (None, Some(text)) if !text.contains("'''") => format!("format = '''\n{text}\n'''"),
            (None, text) => format!("format = {}", toml_text(text.unwrap_or(self.name))),
        }
    }
}

/// A text of JSON is one of TOML.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Lines that nginx keeps back against the time that windows wait for them.
fn kept_back(subject: &str, log: &LogConfig, directive: &AccessLog) -> Option<Finding> {
    let buffer = directive.buffer?;
    let place = &directive.place;
    let Some(flush) = directive.flush else {
        let message = format!(
            "{place}: nginx keeps lines back until {buffer} bytes are full, however long that takes: numbers come late, \
             and as second points of windows that have closed"
        );
        let mend = directive_line(log, directive, &format!(" buffer={buffer} flush=5s"));
        return Some(Finding::warn(subject, message, mend));
    };
    let needed = flush.saturating_mul(LATENESS);
    let (has, flush) = (show_duration(log.lateness), show_duration(flush));
    if log.lateness >= needed {
        return Some(Finding::ok(subject, format!("flush={flush} ({place}) fits the lateness of {has}")));
    }
    let message = format!(
        "{place}: nginx keeps lines back for flush={flush}, but windows wait for them only {has} (three times flush is \
         enough): later ones count as second points"
    );
    let mend = if needed <= HOUR {
        key(log, &format!("lateness = \"{}\"", show_duration(needed)))
    } else {
        directive_line(log, directive, &format!(" buffer={buffer} flush=5s"))
    };
    Some(Finding::warn(subject, message, mend))
}

/// The directive as it should be, with these parameters.
fn directive_line(log: &LogConfig, directive: &AccessLog, parameters: &str) -> String {
    let path = match &directive.target {
        LogTarget::File(path) => path.clone(),
        _ => log.path.display().to_string(),
    };
    format!("access_log {path} {}{parameters};   # {}", directive.format, directive.place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::Level, config::Config};

    const RGWLENS: &str = include_str!("../../../nginx/log_format.conf");

    /// What is found with this configuration of nginx and of the log, as `level message` and mend.
    fn found(nginx: &str, log: &str) -> Vec<(Level, String, String)> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nginx.conf");
        std::fs::write(&path, format!("http {{\n{nginx}\n}}")).unwrap();
        std::fs::write(directory.path().join("log_format.conf"), RGWLENS).unwrap();
        let logs = Config::from_toml(&format!("node = \"n\"\n[[log]]\n{log}")).unwrap().logs;
        check(&path, &logs)
            .into_iter()
            .map(|finding| (finding.level, finding.message, finding.mend.unwrap_or_default()))
            .collect()
    }

    fn only(nginx: &str, log: &str) -> (Level, String, String) {
        let mut findings = found(nginx, log);
        assert_eq!(findings.len(), 1, "{findings:#?}");
        findings.remove(0)
    }

    #[test]
    fn the_configured_format() {
        let (level, message, _) = only(
            "include log_format.conf; access_log /var/log/nginx/access.log rgwlens;",
            "format = \"rgwlens\"",
        );
        assert_eq!(level, Level::Ok);
        assert!(message.ends_with("as configured"), "{message}");
    }

    #[test]
    fn the_same_format_by_another_name_and_in_other_pieces() {
        let nginx = "log_format x '$msec \"$request\" ' '$status $request_time $body_bytes_sent'; access_log /var/log/nginx/access.log x;";
        let log = "format = '''log_format y '$msec \"$request\" $status $request_time $body_bytes_sent';'''";
        assert_eq!(only(nginx, log).0, Level::Ok);
    }

    #[test]
    fn another_format_is_shown_as_it_has_to_be_configured() {
        let nginx = "log_format x '$msec \"$request\" $status $request_time $body_bytes_sent'; access_log /var/log/nginx/access.log x;";
        let findings = found(nginx, "");
        let (level, message, mend) = &findings[0];
        assert_eq!(*level, Level::Fail);
        assert!(message.ends_with("which is not the configured one"), "{message}");
        // What is printed, put into a configuration, is the format.
        let config = Config::from_toml(&format!("node = \"n\"\n{mend}")).unwrap();
        let compiled: LogFormat = config.logs[0].format.parse().unwrap();
        assert_eq!(compiled.name(), Some("x"), "{mend}");
        // And what it goes without is said.
        assert!(findings[1].1.contains("$request_length"), "{findings:#?}");
    }

    #[test]
    fn a_known_format_is_named() {
        let (level, _, mend) = only(
            "include log_format.conf; access_log /var/log/nginx/access.log rgwlens;",
            "format = \"main\"",
        );
        assert_eq!((level, mend.as_str()), (Level::Fail, "[[log]]\nformat = \"rgwlens\""));
        let findings = found("access_log /var/log/nginx/access.log;", "");
        assert_eq!(findings[0].2, "[[log]]\nformat = \"combined\"", "{findings:#?}");
    }

    #[test]
    fn a_main_without_times_is_not_ours() {
        let nginx = "log_format main '$remote_addr [$time_local] \"$request\" $status $body_bytes_sent'; access_log /var/log/nginx/access.log main;";
        let (level, message, mend) = only(nginx, "format = \"main\"");
        assert_eq!(level, Level::Fail);
        assert!(message.contains("$request_time") && mend.contains("log_format.conf"), "{message} {mend}");
    }

    #[test]
    fn a_log_that_nginx_does_not_write() {
        let (level, message, mend) = only("access_log off;", "");
        assert_eq!(level, Level::Fail);
        assert!(message.contains("does not write /var/log/nginx/access.log"), "{message}");
        assert!(mend.starts_with("access_log /var/log/nginx/access.log"), "{mend}");
        let (level, message, _) = only("", "");
        assert_eq!(level, Level::Fail);
        assert!(message.contains("logs/access.log below its prefix"), "{message}");
    }

    #[test]
    fn a_namesake_may_be_mounted() {
        let findings = found(
            "include log_format.conf; access_log /var/log/nginx/access.log main;",
            "path = \"/var/log/rgw-nginx/access.log\"",
        );
        assert_eq!(findings[0].0, Level::Warn);
        assert!(findings[0].1.contains("container"), "{findings:#?}");
        assert_eq!(findings[1].0, Level::Ok, "{findings:#?}");
    }

    #[test]
    fn flush_against_lateness() {
        let nginx = |parameters: &str| {
            format!("include log_format.conf; access_log /var/log/nginx/access.log main {parameters};")
        };
        let check = |parameters: &str, log: &str, level, mend: &str| {
            let findings = found(&nginx(parameters), log);
            assert_eq!((findings[1].0, findings[1].2.as_str()), (level, mend), "{findings:#?}");
        };
        check("buffer=64k flush=5s", "", Level::Ok, "");
        check("buffer=64k flush=6s", "", Level::Warn, "[[log]]\nlateness = \"18s\"");
        check("buffer=64k flush=6s", "flush = \"6s\"", Level::Ok, "");
        let findings = found(&nginx("buffer=64k"), "");
        assert!(
            findings[1].2.starts_with("access_log /var/log/nginx/access.log main buffer=65536 flush=5s;"),
            "{findings:#?}"
        );
        let findings = found(&nginx("buffer=64k flush=1h"), "");
        assert!(findings[1].2.contains("flush=5s;"), "{findings:#?}");
        assert_eq!(found(&nginx(""), "").len(), 1);
    }

    #[test]
    fn what_is_not_logged_or_not_followed() {
        let nginx = "include log_format.conf; access_log /var/log/nginx/access.log main if=$loggable;
            server { server_name s3.example.com; access_log /var/log/nginx/s3.log main;
                location /health { access_log off; } }
            server { access_log syslog:server=x main; }";
        let findings = found(nginx, "");
        let find = |text: &str| {
            findings.iter().find(|f| f.1.contains(text)).unwrap_or_else(|| panic!("{text}: {findings:#?}"))
        };
        assert_eq!(find("if=$loggable").0, Level::Warn);
        let (level, _, mend) = find("/var/log/nginx/s3.log");
        assert_eq!(*level, Level::Warn);
        let added = Config::from_toml(&format!("node = \"n\"\n{mend}")).unwrap();
        assert_eq!(added.logs[0].path, Path::new("/var/log/nginx/s3.log"));
        assert_eq!((added.logs[0].name.as_str(), added.logs[0].format.as_str()), ("s3", "main"));
        assert_eq!(find("/health").0, Level::Ok);
        assert_eq!(find("syslog").0, Level::Warn);
    }

    #[test]
    fn more_logs_get_names_of_their_own() {
        let nginx = "access_log /a/access.log; access_log /b/access.log; access_log /c/Access.log;";
        let findings = found(nginx, "path = \"/a/access.log\"\nformat = \"combined\"");
        let mut whole = "node = \"n\"\n[[log]]\npath = \"/a/access.log\"\n".to_owned();
        for (_, _, mend) in findings.iter().filter(|f| f.1.contains("not followed")) {
            whole.push_str(mend);
            whole.push('\n');
        }
        let logs = Config::from_toml(&whole).unwrap().logs;
        let names: Vec<&str> = logs.iter().map(|log| log.name.as_str()).collect();
        assert_eq!(names, ["access", "access-2", "access-3"]);
        assert_eq!(logs[1].format, "combined");
    }

    #[test]
    fn several_formats_in_one_file_and_a_compressed_one() {
        let nginx = "include log_format.conf; access_log /var/log/nginx/access.log main;
            server { access_log /var/log/nginx/access.log rgwlens gzip flush=1s; }";
        let findings = found(nginx, "");
        assert!(findings[0].0 == Level::Fail && findings[0].1.contains("several formats"), "{findings:#?}");
        assert!(findings.iter().any(|f| f.0 == Level::Fail && f.1.contains("compressed")), "{findings:#?}");
    }

    #[test]
    fn a_configuration_that_cannot_be_read() {
        assert!(only("log_format x '", "").2.starts_with("nginx -t"));
        assert!(only("access_log /var/log/nginx/access.log nosuch;", "").1.contains("no log_format nosuch"));
        let findings = check(Path::new("/nowhere/nginx.conf"), &[]);
        assert_eq!(findings[0].level, Level::Fail);
        assert!(findings[0].mend.as_ref().unwrap().starts_with("nginx -T"));
    }
}
