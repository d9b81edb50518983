//! What the gateway is configured as.

use crate::access_log::MarkKey;

/// RGW's release, which decides how sub-resources that an older gateway does not know are named.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// 12
    Luminous,
    /// 13
    Mimic,
    /// 14
    Nautilus,
    /// 15
    Octopus,
    /// 16
    Pacific,
    /// 17
    Quincy,
    /// 18
    Reef,
    /// 19
    Squid,
    /// 20
    #[default]
    Tentacle,
}

/// Who is a balancer's or monitor's health check, not a user.
#[derive(Clone, Debug)]
pub struct HealthSettings {
    /// Anonymous `GET /` and `HEAD /` count as health checks (default true). A log does not show who signed: one that was
    /// answered 400 to 403, or sent by a client that signs always (an AWS SDK, say), does not count.
    pub root: bool,
    /// Client addresses whose every request is a health check, exact text of `$remote_addr`.
    pub addresses: Vec<String>,
    /// Paths (without query) that are health checks, exact.
    pub paths: Vec<String>,
    /// User agents of health checks.
    pub user_agents: Vec<regex::bytes::Regex>,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self { root: true, addresses: Vec::new(), paths: Vec::new(), user_agents: Vec::new() }
    }
}

/// How requests of our own probe are told from those of users: they get a class of their own.
#[derive(Clone, Debug, Default)]
pub struct ProbeSettings {
    /// The secret that probes sign their user agents with; `None`: such a proof is not looked at.
    pub key: Option<MarkKey>,
    /// Client addresses whose requests with a probe's user agent are a probe's, proof or not: exact text of
    /// `$remote_addr`.
    pub addresses: Vec<String>,
}

/// What the gateway is configured as, as far as it decides what a request means.
#[derive(Clone, Debug)]
pub struct ClassifierSettings {
    /// `rgw_dns_name` and the zonegroup's `hostnames`: below these a host names a bucket.
    pub dns_names: Vec<String>,
    /// `rgw_dns_s3website_name` and `hostnames_s3website`.
    pub website_dns_names: Vec<String>,
    /// The gateway's release.
    pub release: Release,
    /// `rgw_swift_url_prefix`; `/` puts Swift at the root.
    pub swift_prefix: String,
    /// `rgw_swift_account_in_url`: Swift's account comes before the container. If unknown, a segment `AUTH_…` or `KEY_…` is
    /// taken for one, and no other.
    pub swift_account_in_url: Option<bool>,
    /// `rgw_swift_auth_entry`.
    pub swift_auth_entry: String,
    /// `rgw_admin_entry`.
    pub admin_entry: String,
    /// What counts as a health check.
    pub health: HealthSettings,
    /// What counts as a request of our own probe.
    pub probe: ProbeSettings,
}

impl Default for ClassifierSettings {
    fn default() -> Self {
        Self {
            dns_names: Vec::new(),
            website_dns_names: Vec::new(),
            release: Release::default(),
            swift_prefix: "swift".into(),
            swift_account_in_url: None,
            swift_auth_entry: "auth".into(),
            admin_entry: "admin".into(),
            health: HealthSettings::default(),
            probe: ProbeSettings::default(),
        }
    }
}
