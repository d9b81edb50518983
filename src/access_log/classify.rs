//! Which operation of which API on which bucket and object a request is.

use super::{Class, Operation, Protocol};

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
    /// Anonymous `GET /` and `HEAD /` count as health checks (default true).
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
    /// `rgw_swift_auth_entry`.
    pub swift_auth_entry: String,
    /// `rgw_admin_entry`.
    pub admin_entry: String,
    /// What counts as a health check.
    pub health: HealthSettings,
}

impl Default for ClassifierSettings {
    fn default() -> Self {
        Self {
            dns_names: Vec::new(),
            website_dns_names: Vec::new(),
            release: Release::default(),
            swift_prefix: "swift".into(),
            swift_auth_entry: "auth".into(),
            admin_entry: "admin".into(),
            health: HealthSettings::default(),
        }
    }
}

/// What the classifier looks at: the request as the client sent it, nginx's escapes undone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Method as sent; empty for garbage.
    pub method: &'a [u8],
    /// Request target as sent, query included; may be absolute-form.
    pub uri: &'a [u8],
    /// `$host`, if the log has it.
    pub host: Option<&'a [u8]>,
    /// Answered status.
    pub status: u16,
    /// Client address.
    pub remote_addr: Option<&'a [u8]>,
    /// User agent.
    pub user_agent: Option<&'a [u8]>,
    /// `x-amz-copy-source` was sent.
    pub has_copy_source: bool,
    /// `X-Copy-From` was sent.
    pub has_copy_from: bool,
}

/// What a request is. Names are decoded bytes as the gateway sees them: validate before they become tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified<'a> {
    /// The API.
    pub protocol: Protocol,
    /// RGW's name for it.
    pub operation: Operation,
    /// Our class.
    pub class: Class,
    /// Tenant, empty for none.
    pub tenant: &'a [u8],
    /// Bucket (Swift: container), empty for none.
    pub bucket: &'a [u8],
    /// Object key, empty for none.
    pub object: &'a [u8],
}

/// Compiled [`ClassifierSettings`].
#[derive(Clone, Debug)]
pub struct Classifier {
    settings: ClassifierSettings,
}

impl Classifier {
    /// Prepares the settings for the hot path.
    pub fn new(settings: ClassifierSettings) -> Self {
        Self { settings }
    }

    /// Says what a request is. Decoded names borrow from `asked` where nothing had to be decoded, else from `scratch`.
    pub fn classify<'a>(&self, asked: &Asked<'a>, scratch: &'a mut Vec<u8>) -> Classified<'a> {
        let _ = (&self.settings, asked, scratch);
        Classified {
            protocol: Protocol::None,
            operation: Operation::None,
            class: Class::Other,
            tenant: b"",
            bucket: b"",
            object: b"",
        }
    }
}

/// stand-in
pub fn redacted_uri(uri: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(uri.split(|b| *b == b'?').next().unwrap_or_default());
}
/// stand-in
pub fn valid_bucket(name: &[u8]) -> bool {
    !name.is_empty()
}
