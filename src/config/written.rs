//! Exactly what the operator wrote: every key the file can have, with its default, and nothing checked but its kind.
//! [`super::validate`] makes of it what the program uses. No `Debug`: there may be secrets in it.
//!
//! A key that is added here has to be documented in `examples/rgwlens.toml` (a test sees to it).

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

use super::{
    choice::{Choice, LogLevel, StartAt},
    leaf::{Count, Flag, Share, Size, Span, Texts},
};
use crate::{
    access_log::{ClassifierSettings, HealthSettings},
    ceph::Settings,
    probe::Style,
    stats::{AdmissionSettings, EventSettings, SlowSettings, WindowSettings},
};

/// The whole file.
#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) cluster: String,
    pub(super) node: Option<String>,
    pub(super) log_level: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) store: Store,
    pub(super) log: Vec<Log>,
    pub(super) rgw: Rgw,
    pub(super) health: Health,
    pub(super) windows: Windows,
    pub(super) slow: Slow,
    pub(super) buckets: Buckets,
    pub(super) events: Events,
    pub(super) probe: Probe,
    pub(super) metrics: Metrics,
    pub(super) ceph: Ceph,
    pub(super) output: Vec<Output>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            cluster: "ceph".into(),
            node: None,
            log_level: LogLevel::default().name().into(),
            tags: BTreeMap::new(),
            store: Store::default(),
            log: vec![Log::default()],
            rgw: Rgw::default(),
            health: Health::default(),
            windows: Windows::default(),
            slow: Slow::default(),
            buckets: Buckets::default(),
            events: Events::default(),
            probe: Probe::default(),
            metrics: Metrics::default(),
            ceph: Ceph::default(),
            output: Vec::new(),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Store {
    pub(super) path: String,
    pub(super) keep: Span,
    pub(super) max_bytes: Size,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            path: "/var/lib/rgwlens/rgwlens.db".into(),
            keep: Span(Duration::from_secs(30 * 86_400)),
            max_bytes: Size(4 << 30),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) format: String,
    pub(super) start_at: String,
    pub(super) flush: Option<Span>,
    pub(super) lateness: Option<Span>,
    pub(super) sync_source: Flag,
    pub(super) olddir: Option<String>,
    pub(super) max_line: Size,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            name: "access".into(),
            path: "/var/log/nginx/access.log".into(),
            format: "main".into(),
            start_at: StartAt::default().name().into(),
            flush: None,
            lateness: None,
            sync_source: Flag(true),
            olddir: None,
            max_line: Size(1 << 20),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rgw {
    pub(super) dns_names: Texts,
    pub(super) website_dns_names: Texts,
    pub(super) release: String,
    pub(super) swift_prefix: String,
    pub(super) swift_account_in_url: Option<Flag>,
    pub(super) swift_auth_entry: String,
    pub(super) admin_entry: String,
}

impl Default for Rgw {
    fn default() -> Self {
        let default = ClassifierSettings::default();
        Self {
            dns_names: Texts(default.dns_names),
            website_dns_names: Texts(default.website_dns_names),
            release: default.release.name().into(),
            swift_prefix: default.swift_prefix,
            swift_account_in_url: default.swift_account_in_url.map(Flag),
            swift_auth_entry: default.swift_auth_entry,
            admin_entry: default.admin_entry,
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Health {
    pub(super) root: Flag,
    pub(super) addresses: Texts,
    pub(super) paths: Texts,
    pub(super) user_agents: Texts,
}

impl Default for Health {
    fn default() -> Self {
        let HealthSettings { root, addresses, paths, user_agents } = HealthSettings::default();
        Self {
            root: Flag(root),
            addresses: Texts(addresses),
            paths: Texts(paths),
            user_agents: Texts(user_agents.iter().map(|regex| regex.as_str().to_owned()).collect()),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Windows {
    pub(super) node: Span,
    pub(super) bucket: Span,
    pub(super) lateness: Span,
}

impl Default for Windows {
    fn default() -> Self {
        let WindowSettings { node_ms, bucket_ms, lateness_ms } = WindowSettings::default();
        let span = |ms: i64| Span(Duration::from_millis(ms.unsigned_abs()));
        Self { node: span(node_ms), bucket: span(bucket_ms), lateness: span(lateness_ms) }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Slow {
    pub(super) small: Size,
    pub(super) small_time: Span,
    pub(super) large_rate: Size,
}

impl Default for Slow {
    fn default() -> Self {
        let SlowSettings { small_bytes, small_ms, large_bytes_per_second } = SlowSettings::default();
        Self {
            small: Size(small_bytes),
            small_time: Span(Duration::from_millis(small_ms.into())),
            large_rate: Size(large_bytes_per_second),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Buckets {
    pub(super) always: Texts,
    pub(super) per_window: Count,
    pub(super) admitted: Count,
    pub(super) candidates: Count,
    pub(super) keep: Span,
}

impl Default for Buckets {
    fn default() -> Self {
        let AdmissionSettings { always, per_window, admitted, candidates, keep_ms } =
            AdmissionSettings::default();
        Self {
            always: Texts(always),
            per_window: Count(per_window as u64),
            admitted: Count(admitted as u64),
            candidates: Count(candidates as u64),
            keep: Span(Duration::from_millis(keep_ms.unsigned_abs())),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Events {
    pub(super) enabled: Flag,
    pub(super) slow: Count,
    pub(super) errors_5xx: Count,
    pub(super) errors_4xx: Count,
    pub(super) not_found: Flag,
    pub(super) sample: Share,
    pub(super) sampled: Count,
    pub(super) fields: Texts,
}

impl Default for Events {
    fn default() -> Self {
        let EventSettings { enabled, slow, errors_5xx, errors_4xx, not_found, sample, sampled, fields } =
            EventSettings::default();
        Self {
            enabled: Flag(enabled),
            slow: Count(slow as u64),
            errors_5xx: Count(errors_5xx as u64),
            errors_4xx: Count(errors_4xx as u64),
            not_found: Flag(not_found),
            sample: Share(sample),
            sampled: Count(sampled as u64),
            fields: Texts(fields),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Probe {
    pub(super) enabled: Flag,
    pub(super) interval: Span,
    pub(super) jitter: Span,
    pub(super) region: String,
    pub(super) access_key: Option<String>,
    pub(super) access_key_file: Option<String>,
    pub(super) secret_key: Option<String>,
    pub(super) secret_key_file: Option<String>,
    pub(super) bucket: Option<String>,
    pub(super) sizes: Texts,
    pub(super) part_size: Size,
    pub(super) objects: Count,
    pub(super) fresh_connections: Flag,
    pub(super) connect_timeout: Span,
    pub(super) timeout: Span,
    pub(super) round_timeout: Span,
    pub(super) leftovers_after: Span,
    pub(super) mark_key: Option<String>,
    pub(super) mark_key_file: Option<String>,
    pub(super) separate: Flag,
    pub(super) known_addresses: Texts,
    pub(super) endpoint: Vec<Endpoint>,
}

impl Default for Probe {
    fn default() -> Self {
        let seconds = |seconds| Span(Duration::from_secs(seconds));
        Self {
            enabled: Flag(false),
            interval: seconds(120),
            jitter: seconds(10),
            region: "us-east-1".into(),
            access_key: None,
            access_key_file: None,
            secret_key: None,
            secret_key_file: None,
            bucket: None,
            sizes: Texts(vec!["512B".into()]),
            part_size: Size(16 << 20),
            objects: Count(15),
            fresh_connections: Flag(false),
            connect_timeout: seconds(5),
            timeout: seconds(10),
            round_timeout: seconds(60),
            leftovers_after: seconds(3_600),
            mark_key: None,
            mark_key_file: None,
            separate: Flag(true),
            known_addresses: Texts(Vec::new()),
            endpoint: Vec::new(),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ceph {
    pub(super) enabled: Flag,
    pub(super) interval: Span,
    pub(super) timeout: Span,
    pub(super) command: Texts,
    pub(super) conf: Option<String>,
    pub(super) keyring: Option<String>,
    pub(super) name: Option<String>,
    pub(super) id: Option<String>,
    pub(super) cluster: Option<String>,
    pub(super) max_output: Size,
    pub(super) per_osd: Flag,
    pub(super) filestore_writes: Count,
    pub(super) bluestore_writes: Count,
    pub(super) divide_reads: Flag,
    /// By device class. Empty, since any class may be in it; what it has by default is added to it.
    pub(super) iops: BTreeMap<String, Count>,
}

impl Default for Ceph {
    fn default() -> Self {
        let Settings { interval, timeout, max_output, command, per_osd, iops, .. } = Settings::default();
        Self {
            enabled: Flag(false),
            interval: Span(interval),
            timeout: Span(timeout),
            command: Texts(command),
            conf: None,
            keyring: None,
            name: None,
            id: None,
            cluster: None,
            max_output: Size(max_output as u64),
            per_osd: Flag(per_osd),
            filestore_writes: Count(iops.filestore_writes as u64),
            bluestore_writes: Count(iops.bluestore_writes as u64),
            divide_reads: Flag(iops.divide_reads),
            iops: BTreeMap::new(),
        }
    }
}

/// Where S3 is asked for. The URL has to be written.
#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Endpoint {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) connect: Option<String>,
    pub(super) style: String,
    pub(super) ca_file: Option<String>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            name: "main".into(),
            url: String::new(),
            connect: None,
            style: Style::default().name().into(),
            ca_file: None,
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Metrics {
    pub(super) enabled: Flag,
    pub(super) listen: String,
    pub(super) buckets: Count,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { enabled: Flag(false), listen: "127.0.0.1:9102".into(), buckets: Count(100) }
    }
}

/// One output. Which keys mean something depends on `kind`; those that have to be written are empty by default.
#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) url: String,
    pub(super) database: Option<String>,
    pub(super) retention_policy: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) password_file: Option<String>,
    pub(super) org: Option<String>,
    pub(super) bucket: Option<String>,
    pub(super) token: Option<String>,
    pub(super) token_file: Option<String>,
    pub(super) allow_insecure: Flag,
    pub(super) ca_file: Option<String>,
    pub(super) gzip: Flag,
    pub(super) connect_timeout: Span,
    pub(super) timeout: Span,
    pub(super) batch_points: Count,
    pub(super) batch_bytes: Size,
    pub(super) retention: Option<Span>,
    pub(super) required: Flag,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            name: "influxdb".into(),
            kind: String::new(),
            url: String::new(),
            database: None,
            retention_policy: None,
            user: None,
            password: None,
            password_file: None,
            org: None,
            bucket: None,
            token: None,
            token_file: None,
            allow_insecure: Flag(false),
            ca_file: None,
            gzip: Flag(true),
            connect_timeout: Span(Duration::from_secs(5)),
            timeout: Span(Duration::from_secs(10)),
            batch_points: Count(5_000),
            batch_bytes: Size(1 << 20),
            retention: None,
            required: Flag(true),
        }
    }
}

/// Every key with its default, as a tree: what is not in it is unknown. `null` where a key has no default; an empty
/// table may have any keys.
pub(super) fn every_key() -> serde_json::Value {
    let probe = Probe { endpoint: vec![Endpoint::default()], ..Probe::default() };
    let file = File { output: vec![Output::default()], probe, ..File::default() };
    serde_json::to_value(file).unwrap_or_default()
}
