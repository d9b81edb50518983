//! `ceph osd df`.

use super::json::Json;

/// Usage of an OSD.
#[derive(Clone, Debug, PartialEq)]
pub struct OsdUsage {
    /// The OSD.
    pub id: i64,
    /// Its device class.
    pub class: Option<String>,
    /// How full it is, percent.
    pub utilization_percent: Option<f64>,
    /// PGs on it.
    pub pgs: Option<f64>,
}

pub(super) fn decode(json: Json<'_>) -> Option<Vec<OsdUsage>> {
    let osd = |node: Json<'_>| {
        Some(OsdUsage {
            id: node.get("id").id().filter(|id| *id >= 0)?,
            class: node.get("device_class").owned(),
            utilization_percent: node.get("utilization").number(),
            pgs: node.get("pgs").number(),
        })
    };
    Some(json.get("nodes").list()?.filter_map(osd).collect())
}
