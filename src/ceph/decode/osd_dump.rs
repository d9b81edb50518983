//! `ceph osd dump`.

use super::json::Json;

/// A pool whose objects are cut up, not copied.
const ERASURE: i64 = 3;

/// What the map of OSDs has beside the hierarchy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OsdDump {
    /// Pools.
    pub pools: Vec<Pool>,
    /// OSDs.
    pub osds: Vec<OsdState>,
    /// Share of its space from which on an OSD is full.
    pub full_ratio: Option<f64>,
    /// Share from which on it is nearly full.
    pub nearfull_ratio: Option<f64>,
}

/// A pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Copies, or pieces (k + m) of an erasure-coded one.
    pub size: Option<f64>,
    /// Pieces that are needed to read, of an erasure-coded one.
    pub k: Option<f64>,
    /// It is erasure-coded.
    pub is_erasure: bool,
    /// Number of its CRUSH rule.
    pub rule: Option<i64>,
}

/// Whether an OSD works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OsdState {
    /// The OSD.
    pub id: i64,
    /// It is up.
    pub up: bool,
    /// Data belongs on it.
    pub is_in: bool,
}

pub(super) fn decode(json: Json<'_>) -> Option<OsdDump> {
    let profiles = json.get("erasure_code_profiles");
    let pool = |pool: Json<'_>| {
        let is_erasure = pool.get("type").id() == Some(ERASURE);
        let k = || profiles.get(pool.get("erasure_code_profile").text()?).get("k").number();
        Some(Pool {
            id: pool.get("pool").id()?,
            name: pool.get("pool_name").owned()?,
            size: pool.get("size").number().filter(|size| *size > 0.0),
            k: is_erasure.then(k).flatten().filter(|k| *k > 0.0),
            is_erasure,
            rule: pool.get("crush_rule").id(),
        })
    };
    let osd = |osd: Json<'_>| {
        let flag = |name| osd.get(name).flag();
        Some(OsdState { id: osd.get("osd").id()?, up: flag("up")?, is_in: flag("in")? })
    };
    Some(OsdDump {
        pools: json.get("pools").list()?.filter_map(pool).collect(),
        osds: json.get("osds").list()?.filter_map(osd).collect(),
        full_ratio: json.get("full_ratio").number().filter(|ratio| *ratio > 0.0),
        nearfull_ratio: json.get("nearfull_ratio").number().filter(|ratio| *ratio > 0.0),
    })
}
