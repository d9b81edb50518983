//! What is probed from outside, how requests of probes are known in the logs, and where Prometheus may ask.

use std::{net::SocketAddr, time::Duration};

use super::{
    LogLevel, check::Checks, choice::Choice as _, leaf::Texts, outputs::Section, units::parse_size,
    validate::Surroundings, written,
};
use crate::{
    access_log::ProbeSettings,
    influx::Secret,
    probe::{Endpoint, Settings, Style},
};

/// What is probed.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// `run` probes.
    pub enabled: bool,
    /// Between two rounds.
    pub interval: Duration,
    /// How much later than planned rounds begin, at most.
    pub jitter: Duration,
    /// What a round does; `None` if there is no endpoint.
    pub settings: Option<Settings>,
    /// What the requests of probes are signed with, so that they are known in the logs.
    pub mark_key: Option<Secret>,
    /// Requests of probes are a class of their own.
    pub separate: bool,
}

/// Where Prometheus may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// There is a server.
    pub enabled: bool,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How many buckets have metrics of their own; all others are one.
    pub buckets: usize,
}

/// The variables of the environment by which the first probes of S3 were configured. They count where the configuration
/// says nothing.
pub(super) struct Variables<'a> {
    endpoint: Option<&'a str>,
    access_key: Option<&'a str>,
    secret_key: Option<&'a str>,
    log_level: Option<&'a str>,
}

impl<'a> Variables<'a> {
    pub(super) fn of(environment: &'a [(String, String)]) -> Self {
        let find = |wanted: &str| {
            let variable =
                environment.iter().find(|(name, value)| name == wanted && !value.trim().is_empty());
            variable.map(|(_, value)| value.trim())
        };
        Self {
            endpoint: find("CLUSTER_ENDPOINT"),
            access_key: find("ACCESS_KEY"),
            secret_key: find("SECRET_ACCESS_KEY"),
            log_level: find("LOG_LEVEL"),
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

impl Checks<'_> {
    /// `LOG_LEVEL` is a common name: it counts where there is `CLUSTER_ENDPOINT` too, if it is a level at all.
    pub(super) fn log_level(&mut self, written: &str, variables: &Variables<'_>) -> LogLevel {
        let level =
            variables.log_level.filter(|_| variables.endpoint.is_some() && !self.tree.has("log_level"));
        let level = level.map(|level| match level.to_ascii_lowercase().as_str() {
            "warning" => Some(LogLevel::Warn),
            "critical" | "fatal" => Some(LogLevel::Error),
            level => LogLevel::named(level),
        });
        level.flatten().unwrap_or_else(|| self.choice("log_level", written))
    }

    pub(super) fn known_probes(&mut self, written: &written::Probe) -> ProbeSettings {
        let address = |text: &str| text.parse::<std::net::IpAddr>().ok().map(|address| address.to_string());
        let expected = "an IP address (not a network)";
        let addresses = self.each("probe.known_addresses", &written.known_addresses, address, expected);
        ProbeSettings { key: None, addresses: if written.separate.0 { addresses } else { Vec::new() } }
    }

    pub(super) fn probe(&mut self, mut written: written::Probe, around: &Surroundings<'_>) -> ProbeConfig {
        let section = Section { prefix: "probe".into(), around };
        if let Some(url) = around.probe.endpoint.filter(|_| written.endpoint.is_empty()) {
            let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
            written.endpoint.push(written::Endpoint { url, ..written::Endpoint::default() });
        }
        let mark_key =
            section.secret(self, "mark_key", written.mark_key.take(), written.mark_key_file.take());
        let interval = self.span("probe.interval", &written.interval, &(10 * SECOND..=86_400 * SECOND));
        let jitter = self.span("probe.jitter", &written.jitter, &(Duration::ZERO..=3_600 * SECOND));
        let (enabled, separate) = (written.enabled.0, written.separate.0);
        let settings = self.round(written, &section, mark_key.clone());
        if enabled && settings.is_none() {
            self.wrong("probe.enabled", "needs at least one [[probe.endpoint]] with a url");
        }
        ProbeConfig { enabled, interval, jitter, settings, mark_key, separate }
    }

    /// What a round does. Everything is checked, also where there is no endpoint.
    fn round(
        &mut self,
        mut written: written::Probe,
        section: &Section<'_>,
        mark_key: Option<Secret>,
    ) -> Option<Settings> {
        let variables = &section.around.probe;
        let has_endpoint = !written.endpoint.is_empty();
        let found =
            |checks: &mut Self, field: &str, secret: Option<Secret>, variable: Option<&str>, name: &str| {
                let secret = secret.or_else(|| variable.map(|value| Secret::Value(value.to_owned())));
                if secret.is_none() && has_endpoint {
                    let message = format!(
                        "is missing: the keys of the probe's user; {name} in the environment would do too"
                    );
                    checks.wrong(&section.key(field), message);
                }
                secret.unwrap_or_else(|| Secret::Value(String::new()))
            };
        let access_key = self.access_key(written.access_key.take(), written.access_key_file.take(), section);
        let access_key = found(self, "access_key", access_key, variables.access_key, "ACCESS_KEY");
        let secret_key =
            section.secret(self, "secret_key", written.secret_key.take(), written.secret_key_file.take());
        let secret_key = found(self, "secret_key", secret_key, variables.secret_key, "SECRET_ACCESS_KEY");
        let times = SECOND..=600 * SECOND;
        let timeout = self.span("probe.timeout", &written.timeout, &times);
        let round_timeout =
            self.span("probe.round_timeout", &written.round_timeout, &(SECOND..=3_600 * SECOND));
        let ages = SECOND..=30 * 86_400 * SECOND;
        let leftovers_after = self.span("probe.leftovers_after", &written.leftovers_after, &ages);
        if leftovers_after < round_timeout + timeout {
            let message = "must not be shorter than round_timeout and timeout together: another probe's round would \
                           be taken for what it left behind";
            self.wrong("probe.leftovers_after", message);
        }
        if written.region.is_empty() || !written.region.bytes().all(|b| b.is_ascii_graphic() && b != b'/') {
            self.wrong("probe.region", "must be a word, as the zonegroup's api_name");
        }
        let settings = Settings {
            endpoints: self.endpoints(written.endpoint, section),
            region: written.region,
            access_key,
            secret_key,
            mark_key,
            bucket: written.bucket.map(|bucket| self.probe_bucket(bucket)),
            sizes: self.sizes(&written.sizes),
            part_size: self.size("probe.part_size", &written.part_size, &((5 << 20)..=(256 << 20))),
            objects: self.count("probe.objects", &written.objects, &(0..=500)),
            fresh_connections: written.fresh_connections.0,
            connect_timeout: self.span("probe.connect_timeout", &written.connect_timeout, &times),
            timeout,
            round_timeout,
            leftovers_after,
        };
        has_endpoint.then_some(settings)
    }

    /// A name, not a secret: it may stand where others can read it.
    fn access_key(
        &mut self,
        value: Option<String>,
        file: Option<String>,
        section: &Section<'_>,
    ) -> Option<Secret> {
        let key = section.key("access_key");
        if value.is_some() && file.is_some() {
            self.wrong(&key, "write either access_key or access_key_file");
        }
        if value
            .as_ref()
            .is_some_and(|value| value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()))
        {
            self.wrong(&key, "must be a word");
        }
        let file = file.map(|file| Secret::File(section.file(self, "access_key_file", &file)));
        file.or_else(|| value.map(Secret::Value))
    }

    fn probe_bucket(&mut self, bucket: String) -> String {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if !(3..=255).contains(&bucket.len()) || !bucket.bytes().all(allowed) {
            self.wrong("probe.bucket", "must be the name of a bucket that is there");
        }
        bucket
    }

    fn sizes(&mut self, written: &Texts) -> Vec<u64> {
        let mut sizes = Vec::new();
        for text in &written.0 {
            match parse_size(text) {
                Some(size) if size > 5 << 30 || sizes.contains(&size) => {
                    self.wrong("probe.sizes", format!("{text:?} must be there only once, and at most 5GiB"));
                }
                Some(size) => sizes.push(size),
                None => {
                    self.wrong("probe.sizes", format!("{text:?} must be a size such as \"512B\" or \"1MiB\""))
                }
            }
        }
        if written.0.is_empty() || written.0.len() > 8 {
            self.wrong("probe.sizes", "must be 1 to 8 sizes");
        }
        sizes
    }

    fn endpoints(&mut self, written: Vec<written::Endpoint>, section: &Section<'_>) -> Vec<Endpoint> {
        if written.len() > 64 {
            self.wrong("probe.endpoint", "must not be more than 64");
        }
        let endpoints: Vec<Endpoint> = written
            .into_iter()
            .enumerate()
            .map(|(index, endpoint)| {
                let section = Section { prefix: format!("probe.endpoint[{index}]"), around: section.around };
                self.endpoint(endpoint, &section)
            })
            .collect();
        let why = "its numbers would be mixed up with the other's; give this one another name";
        self.unique("probe.endpoint", "name", endpoints.iter().map(|endpoint| &endpoint.name), why);
        endpoints
    }

    fn endpoint(&mut self, written: written::Endpoint, section: &Section<'_>) -> Endpoint {
        let style: Style = self.choice(&section.key("style"), &written.style);
        self.endpoint_url(&section.key("url"), &written.url, style);
        if let Some(connect) = &written.connect {
            let port = connect.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            if port.and_then(|(_, port)| port.parse::<u16>().ok()).is_none_or(|port| port == 0) {
                self.wrong(&section.key("connect"), "must be host:port");
            }
        }
        Endpoint {
            name: self.name(&section.key("name"), &written.name),
            url: written.url,
            connect: written.connect,
            style,
            ca_file: written.ca_file.as_ref().map(|file| section.file(self, "ca_file", file)),
        }
    }

    /// Over `http://` too: a request has a signature in it, never the secret.
    fn endpoint_url(&mut self, key: &str, text: &str, style: Style) {
        let expected = "must be http://host:port or https://host:port, a path may follow";
        let Ok(url) = reqwest::Url::parse(text) else { return self.wrong(key, expected) };
        let host = url.host_str().unwrap_or_default();
        if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
            self.wrong(key, expected);
        } else if !url.username().is_empty() || url.password().is_some() {
            self.wrong(key, "must not have user or password in it; there are access_key and secret_key");
        } else if url.query().is_some() || url.fragment().is_some() {
            self.wrong(key, "must end before ? and #");
        } else if style == Style::VirtualHost
            && host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
        {
            self.wrong(
                key,
                "must have a name, not an address, for the style virtual-host; connect may have the address",
            );
        }
    }

    pub(super) fn metrics(&mut self, written: &written::Metrics) -> MetricsConfig {
        let listen = written.listen.parse().unwrap_or_else(|_| {
            self.wrong("metrics.listen", "must be address:port, as 127.0.0.1:9102 or [::]:9102");
            SocketAddr::from(([127, 0, 0, 1], 9102))
        });
        let buckets = self.count("metrics.buckets", &written.buckets, &(0..=100_000));
        MetricsConfig { enabled: written.enabled.0, listen, buckets }
    }
}
