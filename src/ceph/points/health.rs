//! Health, monitors, managers, and the map of OSDs.

use super::{Fields, Maker};
use crate::ceph::decode::Status;

/// Telegraf's numbers.
fn code(status: &str) -> Option<f64> {
    match status {
        "HEALTH_ERR" => Some(0.0),
        "HEALTH_WARN" => Some(1.0),
        "HEALTH_OK" => Some(2.0),
        _ => None,
    }
}

pub(super) fn write(status: &Status, maker: &mut Maker) {
    let health = &status.health;
    let muted = health.checks.iter().filter(|check| check.muted).count();
    let fields = Fields::default()
        .text("status", Some(&health.status))
        .number("status_code", code(&health.status))
        .number("num_checks", Some(health.checks.len() as f64))
        .number("num_muted", Some(muted as f64))
        .number("num_mutes", health.mutes)
        .number("slow_ops", health.slow_ops())
        .number("slow_ops_oldest_seconds", health.slow_ops_oldest_seconds());
    maker.point("ceph_health", &[], fields);
    for check in &health.checks {
        let severity = check.severity.as_deref().unwrap_or_default();
        let fields = Fields::default()
            .number("count", check.count)
            .flag("muted", Some(check.muted))
            .text("message", check.message.as_deref());
        maker.point("ceph_health_check", &[("check", &check.name), ("severity", severity)], fields);
    }
    let mons =
        Fields::default().number("num_mons", status.num_mons).number("num_in_quorum", status.num_in_quorum);
    maker.point("ceph_monmap", &[], mons);
    let mgrs =
        Fields::default().flag("available", status.mgr_available).number("num_standbys", status.num_standbys);
    maker.point("ceph_mgrmap", &[], mgrs);
    let osdmap = &status.osdmap;
    if !osdmap.numbers.is_empty() {
        let fields = Fields::default()
            .numbers(&osdmap.numbers)
            .flag("full", osdmap.full)
            .flag("nearfull", osdmap.nearfull);
        maker.point("ceph_osdmap", &[], fields);
    }
}
