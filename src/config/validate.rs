//! From what was written to what is used, section by section.

use std::{net::IpAddr, ops::RangeInclusive, path::Path, time::Duration};

use super::{
    Config, LogConfig, StoreConfig,
    check::{Checks, millis},
    leaf::Texts,
    probe::Variables,
    problem::{Problem, suggest},
    tree::Tree,
    written,
};
use crate::{
    access_log::{ClassifierSettings, GatewayLog, HealthSettings, ProbeSettings},
    stats::{AdmissionSettings, EventSettings, Settings, SlowSettings, WindowSettings},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Longer than anybody keeps anything, and far from any overflow.
const DECADE: Duration = Duration::from_secs(3_650 * 86_400);
/// What a counter of things per window or in memory may be set to.
const MILLION: u64 = 1_000_000;

/// What has to be known about where a configuration came from.
pub(super) struct Surroundings<'a> {
    /// It may hold secrets: nobody but its owner can read it.
    pub(super) private: bool,
    /// The file, if there is one.
    pub(super) file: Option<&'a Path>,
    /// What `${CREDENTIALS_DIRECTORY}` means.
    pub(super) credentials: &'a str,
    /// Variables of the environment that other probes of S3 have.
    pub(super) probe: Variables<'a>,
}

/// Checks everything. The result is to be used only if no problem was added.
pub(super) fn validate(
    written: written::File,
    tree: &Tree,
    surroundings: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Config {
    let mut checks = Checks::new(tree, problems);
    let windows = checks.windows(&written.windows);
    Config {
        file: surroundings.file.map(Path::to_owned),
        cluster: checks.tag_value("cluster", &written.cluster),
        node: checks.node(written.node.as_deref()),
        node_configured: written.node.is_some(),
        log_level: checks.log_level(&written.log_level, &surroundings.probe),
        tags: checks.tags(&written.tags),
        store: checks.store(&written.store),
        logs: checks.logs(
            &written.log,
            written.windows.lateness.0,
            written.ceph.enabled.0 || written.probe.enabled.0,
        ),
        classifier: ClassifierSettings {
            health: checks.health(&written.health),
            probe: checks.known_probes(&written.probe),
            ..checks.rgw(&written.rgw)
        },
        probe: checks.probe(written.probe, surroundings),
        metrics: checks.metrics(&written.metrics),
        settings: Settings {
            windows,
            slow: checks.slow(&written.slow),
            admission: checks.buckets(&written.buckets),
            events: checks.events(&written.events),
        },
        ceph: checks.ceph(&written.ceph),
        outputs: checks.outputs(written.output, surroundings),
    }
}

impl Checks<'_> {
    fn node(&mut self, written: Option<&str>) -> String {
        if let Some(node) = written {
            return self.tag_value("node", node);
        }
        let name = hostname::get().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Only the first label: the domain is the same on every gateway, and comes and goes with the resolver's mood.
        let short = name.split('.').next().unwrap_or_default();
        if short.is_empty() {
            self.wrong("node", "this machine has no host name; name the node here");
        }
        short.to_owned()
    }

    fn store(&mut self, written: &written::Store) -> StoreConfig {
        StoreConfig {
            path: self.path("store.path", &written.path),
            keep: self.span("store.keep", &written.keep, &(HOUR..=DECADE)),
            max_bytes: self.size("store.max_bytes", &written.max_bytes, &((16 << 20)..=(64 << 40))),
        }
    }

    /// `else_to_do`: a daemon without logs has something to do.
    fn logs(
        &mut self,
        written: &[written::Log],
        least_lateness: Duration,
        else_to_do: bool,
    ) -> Vec<LogConfig> {
        if written.is_empty() && !else_to_do {
            self.wrong(
                "log",
                "there is nothing to do: no log is followed, and neither ceph.enabled nor probe.enabled is true; without this line it is /var/log/nginx/access.log",
            );
        }
        let logs: Vec<_> = written
            .iter()
            .enumerate()
            .map(|(index, log)| self.log(|field| format!("log[{index}].{field}"), log, least_lateness))
            .collect();
        self.unique("log", "name", logs.iter().map(|log| &log.name), "each log has a stream of its own");
        self.unique(
            "log",
            "path",
            logs.iter().map(|log| log.path.display().to_string()),
            "its lines would count twice",
        );
        logs
    }

    fn log(
        &mut self,
        key: impl Fn(&str) -> String,
        written: &written::Log,
        least_lateness: Duration,
    ) -> LogConfig {
        if written.path.contains(['*', '?', '[']) {
            self.wrong(
                &key("path"),
                "must be one file; write one [[log]] for each, rotated files are found by content",
            );
        }
        if written.format.trim().is_empty() {
            self.wrong(
                &key("format"),
                "must be a format's name (main, rgwlens, combined, rgw-ops, rgw-ops-jewel, civetweb, beast) or a log_format directive",
            );
        }
        let span = |checks: &mut Self, field, span: &Option<_>| {
            span.as_ref().map(|span| checks.span(&key(field), span, &(Duration::ZERO..=HOUR)))
        };
        let flush = span(self, "flush", &written.flush).unwrap_or_default();
        let lateness = span(self, "lateness", &written.lateness);
        let socket = written.path.strip_prefix("unix:");
        if socket.is_some() && !GatewayLog::named(written.format.trim()).is_some_and(GatewayLog::is_ops) {
            self.wrong(&key("format"), "must be rgw-ops for a socket: nothing else comes through one");
        }
        LogConfig {
            name: self.name(&key("name"), &written.name),
            path: self.path(&key("path"), socket.unwrap_or(&written.path)),
            socket: socket.is_some(),
            format: written.format.clone(),
            start_at: self.choice(&key("start_at"), &written.start_at),
            // nginx's workers flush independently: a line can be as late as the flush, and is measured to be so.
            lateness: lateness.unwrap_or_else(|| least_lateness.max(flush.saturating_mul(3)).min(HOUR)),
            sync_source: written.sync_source.0,
            olddir: written.olddir.as_ref().map(|olddir| self.path(&key("olddir"), olddir)),
            max_line: usize::try_from(self.size(
                &key("max_line"),
                &written.max_line,
                &((4 << 10)..=(16 << 20)),
            ))
            .unwrap_or(usize::MAX),
        }
    }

    fn rgw(&mut self, written: &written::Rgw) -> ClassifierSettings {
        ClassifierSettings {
            dns_names: self.host_names("rgw.dns_names", &written.dns_names),
            website_dns_names: self.host_names("rgw.website_dns_names", &written.website_dns_names),
            release: self.choice("rgw.release", &written.release),
            swift_prefix: if written.swift_prefix == "/" {
                written.swift_prefix.clone()
            } else {
                self.path_segment("rgw.swift_prefix", &written.swift_prefix, ", or / for Swift at the root")
            },
            swift_account_in_url: written.swift_account_in_url.as_ref().map(|flag| flag.0),
            swift_auth_entry: self.path_segment("rgw.swift_auth_entry", &written.swift_auth_entry, ""),
            admin_entry: self.path_segment("rgw.admin_entry", &written.admin_entry, ""),
            health: HealthSettings::default(),
            probe: ProbeSettings::default(),
        }
    }

    fn host_names(&mut self, key: &str, names: &Texts) -> Vec<String> {
        self.each(key, names, host_name, "a host name without scheme, port or path")
    }

    fn path_segment(&mut self, key: &str, text: &str, or: &str) -> String {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        if text.is_empty() || !text.bytes().all(allowed) {
            self.wrong(key, format!("must be one segment of a path, without slashes{or}"));
        }
        text.to_owned()
    }

    fn health(&mut self, written: &written::Health) -> HealthSettings {
        let address = |text: &str| text.parse::<IpAddr>().ok().map(|address| address.to_string());
        let path =
            |text: &str| (text.starts_with('/') && !text.contains(['?', '#', ' '])).then(|| text.to_owned());
        let mut user_agents = Vec::new();
        for pattern in &written.user_agents.0 {
            match regex::bytes::Regex::new(pattern) {
                Ok(regex) => user_agents.push(regex),
                Err(error) => {
                    // The crate draws the pattern with a caret under it; its last line says what is wrong.
                    let said = error.to_string();
                    let said = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    self.wrong(
                        "health.user_agents",
                        format!("{pattern:?} is not a regular expression: {said}"),
                    );
                }
            }
        }
        HealthSettings {
            root: written.root.0,
            addresses: self.each(
                "health.addresses",
                &written.addresses,
                address,
                "an IP address (not a network)",
            ),
            paths: self.each(
                "health.paths",
                &written.paths,
                path,
                "a path that begins with / and has no query",
            ),
            user_agents,
        }
    }

    fn windows(&mut self, written: &written::Windows) -> WindowSettings {
        let lengths = SECOND..=HOUR;
        let mut length = |key, span| {
            let length = self.span(key, span, &lengths);
            if length.subsec_nanos() != 0 {
                self.wrong(key, "must be whole seconds, from 1s to 1h");
            }
            length
        };
        let node = length("windows.node", &written.node);
        let bucket = length("windows.bucket", &written.bucket);
        if lengths.contains(&node) && bucket.as_secs() % node.as_secs() != 0 {
            let message = format!("must be a multiple of windows.node ({})", super::show_duration(node));
            self.wrong("windows.bucket", message);
        }
        WindowSettings {
            node_ms: millis(node),
            bucket_ms: millis(bucket),
            lateness_ms: millis(self.span("windows.lateness", &written.lateness, &(Duration::ZERO..=HOUR))),
        }
    }

    fn slow(&mut self, written: &written::Slow) -> SlowSettings {
        let small_time =
            self.span("slow.small_time", &written.small_time, &(Duration::from_millis(1)..=HOUR));
        SlowSettings {
            small_bytes: self.size("slow.small", &written.small, &(0..=(1 << 40))),
            small_ms: u32::try_from(small_time.as_millis()).unwrap_or(u32::MAX),
            large_bytes_per_second: self.size("slow.large_rate", &written.large_rate, &(0..=(1 << 31))),
        }
    }

    fn buckets(&mut self, written: &written::Buckets) -> AdmissionSettings {
        let bucket = |text: &str| {
            let fits = !text.is_empty() && text.len() <= 512 && text.matches('/').count() <= 1;
            (fits && !text.chars().any(char::is_control)).then(|| text.to_owned())
        };
        AdmissionSettings {
            always: self.each("buckets.always", &written.always, bucket, "a bucket, or tenant/bucket"),
            per_window: self.count("buckets.per_window", &written.per_window, &(1..=MILLION)),
            admitted: self.count("buckets.admitted", &written.admitted, &(1..=MILLION)),
            candidates: self.count("buckets.candidates", &written.candidates, &(1..=MILLION)),
            keep_ms: millis(self.span("buckets.keep", &written.keep, &(HOUR..=365 * DAY))),
        }
    }

    fn events(&mut self, written: &written::Events) -> EventSettings {
        for field in &written.fields.0 {
            if !EventSettings::FIELDS.contains(&field.as_str()) {
                let near = suggest(field, EventSettings::FIELDS.iter().copied());
                self.wrong("events.fields", format!("{field:?} is not a field of an event{near}"));
            }
        }
        let caps: RangeInclusive<u64> = 0..=MILLION;
        EventSettings {
            enabled: written.enabled.0,
            slow: self.count("events.slow", &written.slow, &caps),
            errors_5xx: self.count("events.errors_5xx", &written.errors_5xx, &caps),
            errors_4xx: self.count("events.errors_4xx", &written.errors_4xx, &caps),
            not_found: written.not_found.0,
            sample: self.share("events.sample", written.sample.0),
            sampled: self.count("events.sampled", &written.sampled, &caps),
            fields: written.fields.0.clone(),
        }
    }
}

/// A host name in the form in which hosts are compared: lower case, no dot at the end.
fn host_name(text: &str) -> Option<String> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    (name.len() <= 253 && name.split('.').all(label)).then_some(name)
}
