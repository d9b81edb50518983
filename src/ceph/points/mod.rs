//! A snapshot as points: names and types as Telegraf's `inputs.ceph` has them, where it has them. Telegraf writes every
//! number as a float, so we do. What is not known is left out, and never written as 0.

mod health;
mod iops;
mod maker;
mod osds;
mod pgs;
mod usage;

pub(super) use maker::{Fields, Maker};

use super::{IopsSettings, decode::Snapshot};
use crate::point::{Point, TimestampNs};

/// All measurements, with whether Telegraf has one of the same name.
pub const MEASUREMENTS: &[(&str, bool)] = &[
    ("ceph_health", true),
    ("ceph_health_check", false),
    ("ceph_monmap", true),
    ("ceph_mgrmap", false),
    ("ceph_osdmap", true),
    ("ceph_pgmap", true),
    ("ceph_pgmap_state", true),
    ("ceph_pg", false),
    ("ceph_usage", true),
    ("ceph_deviceclass_usage", true),
    ("ceph_pool_usage", true),
    ("ceph_pool_stats", true),
    ("ceph_osd_class", false),
    ("ceph_osd_latency", false),
    ("ceph_osd_perf", false),
    ("ceph_iops_bound", false),
    ("ceph_collector", false),
];

/// Tags of these points, beside `cluster`: no constant tag of the operator's may have such a name.
pub const TAGS: &[&str] = &["check", "class", "command", "name", "osd", "scope", "severity", "state"];

/// Names of fields, as [`TAGS`].
pub const FIELDS: &[&str] = &[
    "active",
    "apply_latency_ms",
    "apply_max_ms",
    "apply_mean_ms",
    "apply_p50_ms",
    "apply_p99_ms",
    "available",
    "backfilling",
    "bytes",
    "bytes_avail",
    "bytes_total",
    "bytes_used",
    "clean",
    "commit_latency_ms",
    "commit_max_ms",
    "commit_mean_ms",
    "commit_p50_ms",
    "commit_p99_ms",
    "count",
    "data_bytes",
    "deep_scrubbing",
    "degraded",
    "degraded_objects",
    "degraded_ratio",
    "degraded_total",
    "down",
    "duration_seconds",
    "epoch",
    "error",
    "full",
    "headroom_ratio",
    "in",
    "inactive_pgs_ratio",
    "incomplete",
    "inconsistent",
    "kb_used",
    "max_avail",
    "message",
    "misplaced_objects",
    "misplaced_ratio",
    "misplaced_total",
    "missed",
    "muted",
    "nearfull",
    "num_bytes_recovered",
    "num_checks",
    "num_full_osds",
    "num_in_osds",
    "num_in_quorum",
    "num_keys_recovered",
    "num_mons",
    "num_muted",
    "num_mutes",
    "num_nearfull_osds",
    "num_objects",
    "num_objects_recovered",
    "num_osds",
    "num_per_pool_omap_osds",
    "num_per_pool_osds",
    "num_pgs",
    "num_pools",
    "num_remapped_pgs",
    "num_standbys",
    "num_up_osds",
    "objects",
    "osds",
    "peering",
    "percent_used",
    "pgs",
    "quota_bytes",
    "quota_objects",
    "rd",
    "rd_bytes",
    "read_bound",
    "read_bytes_sec",
    "read_headroom",
    "read_op_per_sec",
    "read_ops",
    "recovering",
    "recovering_bytes_per_sec",
    "recovering_keys_per_sec",
    "recovering_objects_per_sec",
    "remapped",
    "replicas",
    "scrubbing",
    "slow_ops",
    "slow_ops_oldest_seconds",
    "stale",
    "status",
    "status_code",
    "stored",
    "total",
    "total_avail_bytes",
    "total_bytes",
    "total_used_bytes",
    "total_used_raw_bytes",
    "total_used_raw_ratio",
    "undersized",
    "unfound_objects",
    "unfound_ratio",
    "unfound_total",
    "unknown",
    "unknown_pgs_ratio",
    "up",
    "used_ratio",
    "utilization_max_percent",
    "utilization_mean_percent",
    "utilization_min_percent",
    "utilization_percent",
    "wr",
    "wr_bytes",
    "write_bound",
    "write_bytes_sec",
    "write_headroom",
    "write_op_per_sec",
    "write_ops",
];

/// All points of a snapshot, at this time. `per_osd` wants some for each OSD, beside those of their classes.
///
/// Without a manager that is active, what a monitor says about PGs, rates and usage is what the last one told it: nothing
/// of that is written as if it were new.
pub fn write_points(
    snapshot: &Snapshot,
    settings: &IopsSettings,
    per_osd: bool,
    time: TimestampNs,
) -> Vec<Point> {
    let mut maker = Maker::new(time);
    let fresh = snapshot.status.as_ref().is_none_or(super::decode::Status::is_fresh);
    if let Some(status) = &snapshot.status {
        health::write(status, &mut maker);
        if fresh {
            pgs::write(status, &mut maker);
        }
    }
    if fresh {
        usage::write(snapshot, &mut maker);
    }
    osds::write(snapshot, fresh, per_osd, &mut maker);
    iops::write(snapshot, settings, &mut maker);
    maker.points
}
