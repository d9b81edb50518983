//! `ceph osd metadata`.

use super::json::Json;

/// How an OSD keeps objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectStore {
    /// The OSD.
    pub id: i64,
    /// `bluestore` or `filestore`.
    pub name: String,
}

/// One that never reported has nothing but its number.
pub(super) fn decode(json: Json<'_>) -> Option<Vec<ObjectStore>> {
    let osd = |osd: Json<'_>| {
        Some(ObjectStore { id: osd.get("id").id()?, name: osd.get("osd_objectstore").owned()? })
    };
    Some(json.list()?.filter_map(osd).collect())
}
