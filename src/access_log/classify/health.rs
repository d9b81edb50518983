//! Whether a balancer or a monitor asks, not a user.

use regex::bytes::Regex;

use super::{Asked, HealthSettings};

/// Compiled [`HealthSettings`].
#[derive(Clone, Debug)]
pub(super) struct Health {
    root: bool,
    /// Sorted, for a binary search.
    addresses: Vec<Box<[u8]>>,
    paths: Vec<Box<[u8]>>,
    user_agents: Vec<Regex>,
    /// Something besides `root` is set.
    asks: bool,
}

/// How the user agents of clients that sign every request begin: their `GET /` lists their buckets. The log does not show
/// whether a request was signed, so this and the status must do.
const SIGNING_CLIENTS: [&[u8]; 19] = [
    b"aws-",
    b"APN/",
    b"AWS",
    b"Boto",
    b"Cyberduck",
    b"Duplicati",
    b"JuiceFS",
    b"Minio",
    b"MinIO",
    b"Mountain Duck",
    b"S3",
    b"Veeam",
    b"WinSCP",
    b"duplicity",
    b"kopia",
    b"mc ",
    b"rclone",
    b"restic",
    b"s3",
];

impl Health {
    pub(super) fn new(settings: HealthSettings) -> Self {
        let bytes = |list: Vec<String>| list.into_iter().map(|text| text.into_bytes().into());
        let mut addresses: Vec<Box<[u8]>> = bytes(settings.addresses).collect();
        addresses.sort_unstable();
        let paths: Vec<Box<[u8]>> = bytes(settings.paths).collect();
        let asks = !addresses.is_empty() || !paths.is_empty() || !settings.user_agents.is_empty();
        Self { root: settings.root, addresses, paths, user_agents: settings.user_agents, asks }
    }

    /// Whether the settings say anything of what is a health check.
    #[inline]
    pub(super) fn is_asked_for(&self) -> bool {
        self.asks
    }

    /// Whether the settings make this request a health check, by who asks or for what. `path` is as it was sent, without
    /// the query; empty for garbage.
    #[inline]
    pub(super) fn is_configured(&self, asked: &Asked<'_>, path: &[u8]) -> bool {
        self.asks && self.is_listed(asked, path)
    }

    fn is_listed(&self, asked: &Asked<'_>, path: &[u8]) -> bool {
        asked
            .remote_addr
            .is_some_and(|addr| self.addresses.binary_search_by(|known| known.as_ref().cmp(addr)).is_ok())
            || self.paths.iter().any(|known| known.as_ref() == path)
            || asked
                .user_agent
                .is_some_and(|agent| self.user_agents.iter().any(|known| known.is_match(agent)))
    }

    /// Whether a `GET` or `HEAD` of `/` without a query is an anonymous one, as far as the log can say. RGW answers
    /// anonymous ones with an empty listing, so 400 to 403 went to somebody who had signed, or to garbage.
    pub(super) fn is_root_check(&self, asked: &Asked<'_>) -> bool {
        self.root
            && !matches!(asked.status, 400..=403)
            && !asked
                .user_agent
                .is_some_and(|agent| SIGNING_CLIENTS.iter().any(|name| agent.starts_with(name)))
    }
}
