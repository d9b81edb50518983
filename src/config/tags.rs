//! The operator's constant tags.

use std::collections::BTreeMap;

use super::check::Checks;
use crate::{ceph, point::Tags, probe, stats::EventSettings};

/// Tags that we set ourselves.
const OWN_TAGS: &[&str] = &[
    "bucket",
    "class",
    "cluster",
    "log",
    "node",
    "operation",
    "output",
    "protocol",
    "reason",
    "size",
    "slow",
    "status",
    "status_class",
    "upstream",
];

/// Fields that we write. InfluxDB 3 refuses a table in which a tag and a field have one name.
const OWN_FIELDS: &[&str] = &[
    "aborted",
    "conserved",
    "errors_4xx",
    "errors_5xx",
    "expired",
    "gaps",
    "histogram",
    "incidents",
    "instance",
    "lag_bytes",
    "lag_seconds",
    "late",
    "lines",
    "ok",
    "points_expired",
    "rejected",
    "requests",
    "skipped",
    "store_bytes",
    "time",
    "unsent_parts",
    "write_errors",
];

/// Families of fields that we write.
const OWN_PREFIXES: &[&str] = &["latency_", "le_"];

/// Line protocol takes more than this, query languages only with quotes.
fn is_identifier(key: &str) -> bool {
    key.len() <= 64
        && key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_reserved(key: &str) -> bool {
    [OWN_TAGS, OWN_FIELDS, EventSettings::FIELDS, ceph::TAGS, ceph::FIELDS, probe::TAGS, probe::FIELDS]
        .iter()
        .any(|names| names.contains(&key))
        || OWN_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

impl Checks<'_> {
    pub(super) fn tags(&mut self, tags: &BTreeMap<String, String>) -> Tags {
        for (tag, value) in tags {
            let key = format!("tags.{tag}");
            if is_reserved(tag) {
                self.wrong(
                    &key,
                    "rgwlens writes a tag or field of this name itself; choose another, as site or rack",
                );
            } else if !is_identifier(tag) {
                self.wrong(
                    &key,
                    "a tag's name must be 1 to 64 of a-z, A-Z, 0-9 and _, beginning with a letter",
                );
            }
            self.tag_value(&key, value);
        }
        Tags::new(tags.clone())
    }
}
