//! `ceph osd perf`.

use super::json::Json;

/// Latency of an OSD as it last reported, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OsdLatency {
    /// The OSD.
    pub id: i64,
    /// Until a write was safe.
    pub commit_ms: Option<f64>,
    /// Until a write could be read.
    pub apply_ms: Option<f64>,
}

/// From Nautilus on it is within `osdstats`, and in nanoseconds too.
pub(super) fn decode(json: Json<'_>) -> Option<Vec<OsdLatency>> {
    let json = if json.get("osdstats").is_object() { json.get("osdstats") } else { json };
    let infos = json.get("osd_perf_infos").list()?;
    let osd = |info: Json<'_>| {
        let stats = info.get("perf_stats");
        let ms = |ns: &str, ms: &str| {
            let ns = stats.get(ns).number().map(|ns| ns / 1e6);
            ns.or_else(|| stats.get(ms).number()).filter(|ms| *ms >= 0.0)
        };
        Some(OsdLatency {
            id: info.get("id").id()?,
            commit_ms: ms("commit_latency_ns", "commit_latency_ms"),
            apply_ms: ms("apply_latency_ns", "apply_latency_ms"),
        })
    };
    Some(infos.filter_map(osd).collect())
}
