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
            // Of an OSD that holds nothing since nothing belongs on it, Ceph says 0 or nan: nothing of nothing.
            utilization_percent: node
                .get("utilization")
                .number()
                .filter(|_| node.get("kb").number() != Some(0.0)),
            pgs: node.get("pgs").number(),
        })
    };
    Some(json.get("nodes").list()?.filter_map(osd).collect())
}
