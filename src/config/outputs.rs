//! Where points go: which keys each kind has, and that nothing secret leaves unencrypted or lies about readable.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use super::{
    check::Checks,
    choice::{Choice, OutputKind},
    validate::Surroundings,
    written,
};
use crate::influx::{Kind, Secret, Target};

/// Where systemd puts the credentials of the unit `rgwlens.service`. So `check`, run by root, finds what the daemon does.
pub(super) const CREDENTIALS: &str = "/run/credentials/rgwlens.service";

/// Below the 25,000,000 bytes that InfluxDB 1 takes.
const MAX_BATCH_BYTES: u64 = 16 << 20;

/// Keys that mean something to some kinds only.
const KEYS_OF_KINDS: &[(&str, &[OutputKind])] = &[
    ("database", &[OutputKind::Influx1]),
    ("retention_policy", &[OutputKind::Influx1]),
    ("user", &[OutputKind::Influx1, OutputKind::VictoriaMetrics]),
    ("password", &[OutputKind::Influx1, OutputKind::VictoriaMetrics]),
    ("password_file", &[OutputKind::Influx1, OutputKind::VictoriaMetrics]),
    ("org", &[OutputKind::Influx2]),
    ("bucket", &[OutputKind::Influx2]),
    ("token", &[OutputKind::Influx2]),
    ("token_file", &[OutputKind::Influx2]),
];

impl Checks<'_> {
    pub(super) fn outputs(
        &mut self,
        written: Vec<written::Output>,
        around: &Surroundings<'_>,
    ) -> Vec<Target> {
        let targets: Vec<_> = written
            .into_iter()
            .enumerate()
            .map(|(index, output)| {
                Section { prefix: format!("output[{index}]"), around }.target(self, output)
            })
            .collect();
        let why = "each has its own place in what is sent; give this one another name";
        self.unique("output", "name", targets.iter().map(|target| &target.name), why);
        targets
    }
}

/// A section with secrets in it: an `[[output]]`, say.
pub(super) struct Section<'a> {
    pub(super) prefix: String,
    pub(super) around: &'a Surroundings<'a>,
}

impl Section<'_> {
    pub(super) fn key(&self, field: &str) -> String {
        format!("{}.{field}", self.prefix)
    }

    fn target(&self, checks: &mut Checks<'_>, written: written::Output) -> Target {
        let second = Duration::from_secs(1);
        let timeouts = second..=600 * second;
        let points = checks.count(&self.key("batch_points"), &written.batch_points, &(1..=100_000));
        let bytes =
            checks.size(&self.key("batch_bytes"), &written.batch_bytes, &((64 << 10)..=MAX_BATCH_BYTES));
        let retention = written.retention.as_ref().map(|retention| {
            checks.span(&self.key("retention"), retention, &(3_600 * second..=3_650 * 86_400 * second))
        });
        Target {
            name: checks.name(&self.key("name"), &written.name),
            url: self.url(checks, &written.url, written.allow_insecure.0),
            gzip: written.gzip.0,
            connect_timeout: checks.span(&self.key("connect_timeout"), &written.connect_timeout, &timeouts),
            timeout: checks.span(&self.key("timeout"), &written.timeout, &timeouts),
            ca_file: written.ca_file.as_ref().map(|file| self.file(checks, "ca_file", file)),
            batch_points: points,
            batch_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            retention,
            required: written.required.0,
            kind: self.kind(checks, written),
        }
    }

    fn kind(&self, checks: &mut Checks<'_>, written: written::Output) -> Kind {
        let named = written.kind;
        let kind = checks.choice::<OutputKind>(&self.key("kind"), &named);
        if OutputKind::named(&named).is_some() {
            for (field, kinds) in KEYS_OF_KINDS {
                let key = self.key(field);
                if checks.tree.has(&key) && !kinds.contains(&kind) {
                    let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
                    checks.wrong(&key, format!("means nothing to {named}, only to {}", kinds.join(" and ")));
                }
            }
        }
        let password = self.secret(checks, "password", written.password, written.password_file);
        let token = self.secret(checks, "token", written.token, written.token_file);
        let login = match (written.user, password) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            (Some(_), None) => {
                checks.wrong(&self.key("user"), "needs a password_file (or password) too");
                None
            }
            (None, Some(_)) => {
                checks.wrong(&self.key("user"), "is missing: there is a password");
                None
            }
        };
        let name = |checks: &mut Checks<'_>, field: &str, text: Option<String>| {
            let text = text.unwrap_or_else(|| "rgwlens".into());
            checks.tag_value(&self.key(field), &text)
        };
        match kind {
            OutputKind::Influx1 => Kind::Influx1 {
                database: name(checks, "database", written.database),
                retention_policy: written.retention_policy.filter(|policy| !policy.is_empty()),
                login,
            },
            OutputKind::Influx2 => Kind::Influx2 {
                org: written.org.unwrap_or_default(),
                bucket: name(checks, "bucket", written.bucket),
                token,
            },
            OutputKind::VictoriaMetrics => Kind::VictoriaMetrics { login },
        }
    }

    /// A secret from its file, or from the configuration if nobody else can read that.
    pub(super) fn secret(
        &self,
        checks: &mut Checks<'_>,
        field: &str,
        value: Option<String>,
        file: Option<String>,
    ) -> Option<Secret> {
        let (key, file_field) = (self.key(field), format!("{field}_file"));
        if value.is_some() && file.is_some() {
            checks.wrong(&key, format!("write either {field} or {file_field}"));
        }
        if let Some(file) = file {
            return Some(Secret::File(self.file(checks, &file_field, &file)));
        }
        let value = value?;
        if value.is_empty() || value.chars().any(char::is_control) {
            checks.wrong(&key, "must not be empty and must not have control characters");
        }
        if checks.tree.in_file(&key) && !self.around.private {
            let file = self.around.file.map(|file| file.display().to_string()).unwrap_or_default();
            let message = format!(
                "others than its owner can read {file}; chmod 600 it, or put the {field} into a file or a systemd \
                 credential of its own: {file_field} = \"${{CREDENTIALS_DIRECTORY}}/{field}\""
            );
            checks.wrong(&key, message);
        }
        Some(Secret::Value(value))
    }

    /// A file that systemd may have put among the credentials.
    pub(super) fn file(&self, checks: &mut Checks<'_>, field: &str, path: &str) -> PathBuf {
        checks.path(&self.key(field), &path.replace("${CREDENTIALS_DIRECTORY}", self.around.credentials))
    }

    fn url(&self, checks: &mut Checks<'_>, text: &str, allow_insecure: bool) -> String {
        let key = self.key("url");
        let expected = "must be http://host:port or https://host:port, a path may follow";
        let Ok(url) = reqwest::Url::parse(text) else {
            checks.wrong(&key, expected);
            return String::new();
        };
        let host = url.host_str().unwrap_or_default();
        if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
            checks.wrong(&key, expected);
        } else if !url.username().is_empty() || url.password().is_some() {
            checks.wrong(&key, "must not have user or password in it; there are keys for them");
        } else if url.query().is_some() || url.fragment().is_some() {
            checks.wrong(&key, "must not have a query; there are keys for database, org and bucket");
        } else if url.scheme() == "http" && !is_loopback(host) && !allow_insecure {
            let message = format!(
                "would send everything unencrypted over the network; use https://, or say {} = true",
                self.key("allow_insecure")
            );
            checks.wrong(&key, message);
        }
        text.trim_end_matches('/').to_owned()
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok_and(|address| address.is_loopback()) || host == "localhost" || host.ends_with(".localhost")
}
