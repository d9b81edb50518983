//! Where points go, validated.

use super::line_protocol::Dialect;
use std::{fmt, path::PathBuf, time::Duration};

/// One output: an InfluxDB, or something that speaks its write protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The output's name in the configuration: the name of its cursor. Never reused for another place.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Base URL, `http://` or `https://`, a path in front of the API allowed; without user info.
    pub url: String,
    /// Gzip the bodies.
    pub gzip: bool,
    /// To connect, and for a whole request.
    pub connect_timeout: Duration,
    /// For a whole request, body and answer included.
    pub timeout: Duration,
    /// PEM file with the certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Points a request carries at most.
    pub batch_points: usize,
    /// Bytes of line protocol a request carries at most, before compression.
    pub batch_bytes: usize,
    /// Retention of the database: older points are counted expired, not sent.
    pub retention: Option<Duration>,
    /// Parts stay until this output has them. Otherwise it is moved on when space runs out, and the gap counted.
    pub required: bool,
}

impl Target {
    /// How points have to be encoded for it.
    pub fn dialect(&self) -> Dialect {
        match self.kind {
            Kind::Influx1 { .. } | Kind::Influx2 { .. } => Dialect::INFLUXDB,
            Kind::VictoriaMetrics { .. } => Dialect::VICTORIA_METRICS,
        }
    }
}

/// What kind of server, and how it lets us in.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// InfluxDB 1.x: `POST /write`.
    Influx1 {
        /// Database.
        database: String,
        /// Retention policy; the database's default when absent.
        retention_policy: Option<String>,
        /// User and password.
        login: Option<(String, Secret)>,
    },
    /// InfluxDB 2.x and 3.x: `POST /api/v2/write`.
    Influx2 {
        /// Organisation; 3.x ignores it.
        org: String,
        /// Bucket (3.x: database).
        bucket: String,
        /// API token.
        token: Option<Secret>,
    },
    /// VictoriaMetrics: `POST /api/v2/write`, no text fields, no events.
    VictoriaMetrics {
        /// User and password of the proxy in front of it.
        login: Option<(String, Secret)>,
    },
}

/// A secret: shown as `[redacted]`, whoever prints it. Read anew from its file when the server refuses it, so that a
/// rotated token needs no restart.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// As given (environment or configuration file).
    Value(String),
    /// First line of a file (systemd credential, Kubernetes secret).
    File(PathBuf),
}

impl Kind {
    /// Whether texts are sent to it.
    pub fn has_texts(&self) -> bool {
        !matches!(self, Self::VictoriaMetrics { .. })
    }

    /// The server's name, for messages.
    pub fn product(&self) -> &'static str {
        match self {
            Self::Influx1 { .. } | Self::Influx2 { .. } => "InfluxDB",
            Self::VictoriaMetrics { .. } => "VictoriaMetrics",
        }
    }
}

impl Secret {
    /// The secret's text. Trailing white space of a file is not part of it.
    pub fn read(&self) -> std::io::Result<String> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File(path) => Ok(std::fs::read_to_string(path)?.trim_end().to_owned()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("[redacted]"),
            Self::File(path) => write!(f, "[redacted, from {}]", path.display()),
        }
    }
}
