//! Which `access_log` writes which log, and what no configured log is written by.

use std::{fs, path::Path};

use super::{Finding, LogConfig, SUBJECT, Written, toml_text};
use crate::access_log::nginx_conf::{AccessLog, LogTarget, NginxConf};

/// What nginx writes without any `access_log`, below the prefix it was built with.
const DEFAULT: &str = "logs/access.log";

/// The directives that write a log.
pub(super) enum Writers<'a> {
    These(Vec<&'a AccessLog>),
    /// To a file of the same name in another directory.
    Elsewhere(Vec<&'a AccessLog>),
    None,
}

pub(super) fn writers<'a>(conf: &'a NginxConf, log: &Path) -> Writers<'a> {
    let choose = |is_it: &dyn Fn(&Path) -> bool| -> Vec<&'a AccessLog> {
        conf.access_logs.iter().filter(|directive| file(directive).is_some_and(is_it)).collect()
    };
    let these = choose(&|written| is_same(written, log));
    if !these.is_empty() {
        return Writers::These(these);
    }
    let namesakes = choose(&|written| written.file_name() == log.file_name());
    if namesakes.is_empty() { Writers::None } else { Writers::Elsewhere(namesakes) }
}

fn file(directive: &AccessLog) -> Option<&Path> {
    match &directive.target {
        LogTarget::File(path) => Some(Path::new(path)),
        _ => None,
    }
}

/// A relative path is relative to a prefix that only nginx knows. Links may lead to the same file.
fn is_same(written: &Path, log: &Path) -> bool {
    let real = |path| fs::canonicalize(path).ok();
    match written.is_absolute() {
        true => written == log || real(written).is_some_and(|written| real(log) == Some(written)),
        false => log.ends_with(written),
    }
}

/// `path (format main, nginx.conf: line 12)`.
pub(super) fn show(directive: &AccessLog) -> String {
    let target = match &directive.target {
        LogTarget::Off => "off",
        LogTarget::Syslog(target) | LogTarget::Variable(target) | LogTarget::File(target) => target,
    };
    format!("{target} (format {}, {})", directive.format, directive.place)
}

/// nginx does not write this log.
pub(super) fn nowhere(subject: &str, conf: &NginxConf, log: &LogConfig) -> Finding {
    let instead: Vec<String> =
        conf.access_logs.iter().filter(|directive| directive.target != LogTarget::Off).map(show).collect();
    let instead = match (instead.is_empty(), conf.access_logs.is_empty()) {
        (_, true) => format!("it has no access_log, and so writes {DEFAULT} below its prefix as combined"),
        (true, false) => "it writes none".to_owned(),
        (false, false) => format!("it writes {}", instead.join(", ")),
    };
    let path = log.path.display();
    let mend =
        format!("access_log {path} rgwlens;   # in the server block of the gateway, and nginx -s reload");
    Finding::fail(subject, format!("nginx does not write {path}: {instead}"), mend)
}

/// Logs that nginx writes and nobody follows: what is in them is not counted.
pub(super) fn not_followed(conf: &NginxConf, logs: &[LogConfig]) -> Vec<Finding> {
    let is_followed = |path: &Path| {
        logs.iter().any(|log| {
            matches!(&writers(conf, &log.path),
        Writers::These(these) | Writers::Elsewhere(these) if these.iter().any(|one| file(one) == Some(path)))
        })
    };
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    let mut names = Names(logs.iter().map(|log| log.name.clone()).collect());
    for directive in &conf.access_logs {
        if directive.target == LogTarget::Off || seen.contains(&&directive.target) {
            continue;
        }
        seen.push(&directive.target);
        let servers = match &directive.server {
            Some(names) if !names.is_empty() => format!(" for {}", names.join(" ")),
            _ => String::new(),
        };
        let message = format!("nginx also writes {}{servers}, which is not followed", show(directive));
        let mend = match file(directive) {
            Some(path) if is_followed(path) => continue,
            Some(path) => match Written::of(conf, directive) {
                Ok(format) => format!(
                    "[[log]]   # if requests to the gateway are in it\nname = \"{}\"\npath = {}\n{}",
                    names.take(path),
                    toml_text(&path.display().to_string()),
                    format.key()
                ),
                Err(unusable) => unusable.mend,
            },
            None => format!(
                "access_log /var/log/nginx/access.log {};   # a file can be followed",
                directive.format
            ),
        };
        findings.push(Finding::warn(SUBJECT, message, mend));
    }
    findings
}

/// Names of logs that are taken.
struct Names(Vec<String>);

impl Names {
    /// One for another log: what its file is called, as far as a name allows, and a number where that is taken.
    fn take(&mut self, path: &Path) -> String {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        let stem: String = stem.chars().map(allowed).take(28).collect();
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        let free = std::iter::once(stem.clone()).chain(numbered).find(|name| !self.0.contains(name));
        let name = free.unwrap_or(stem);
        self.0.push(name.clone());
        name
    }
}

/// Where logging is turned off, which may well be meant.
pub(super) fn not_logged(conf: &NginxConf) -> Option<Finding> {
    let places: Vec<String> = conf
        .access_logs
        .iter()
        .filter(|directive| directive.target == LogTarget::Off)
        .filter_map(|directive| {
            let server = directive.server.as_ref()?.join(" ");
            let location = directive.location.as_deref().map(|l| format!("location {l}")).unwrap_or_default();
            let what = format!("{server} {location}");
            Some(format!("{} ({})", what.trim(), directive.place))
        })
        .collect();
    (!places.is_empty())
        .then(|| Finding::ok(SUBJECT, format!("not logged, and so not counted: {}", places.join(", "))))
}
