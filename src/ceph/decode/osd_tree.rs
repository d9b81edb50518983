//! `ceph osd tree`.

use super::json::Json;

/// The hierarchy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OsdTree {
    /// Buckets and OSDs.
    pub nodes: Vec<Node>,
    /// OSDs that are in no bucket.
    pub stray: Vec<Node>,
}

/// A bucket (its id is negative) or an OSD.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its number.
    pub id: i64,
    /// As `default`, `rack1`, `osd.0`.
    pub name: String,
    /// What is below.
    pub children: Vec<i64>,
    /// Of an OSD.
    pub class: Option<String>,
    /// Of an OSD: it is up.
    pub up: bool,
    /// Of an OSD: data belongs on it.
    pub is_in: bool,
}

pub(super) fn decode(json: Json<'_>) -> Option<OsdTree> {
    let nodes = json.get("nodes").list()?.filter_map(node).collect();
    let stray = json.get("stray").list().into_iter().flatten().filter_map(node).collect();
    Some(OsdTree { nodes, stray })
}

fn node(json: Json<'_>) -> Option<Node> {
    if json.get("exists").flag() == Some(false) {
        return None;
    }
    Some(Node {
        id: json.get("id").id()?,
        name: json.get("name").owned().unwrap_or_default(),
        children: json.get("children").list().into_iter().flatten().filter_map(Json::id).collect(),
        class: json.get("device_class").owned(),
        up: json.get("status").text() == Some("up"),
        is_in: json.get("reweight").number().is_some_and(|weight| weight > 0.0),
    })
}
