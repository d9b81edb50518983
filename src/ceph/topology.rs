//! Which OSDs there are, of what kind, and which of them a pool uses.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::decode::{CrushRule, Node, Snapshot};

/// Tag `class` of OSDs that have none.
pub(super) const NO_CLASS: &str = "_none_";

/// An OSD.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Osd {
    pub(super) class: String,
    /// `None` where the map of OSDs is not known.
    pub(super) up: Option<bool>,
    pub(super) is_in: Option<bool>,
    /// `bluestore` or `filestore`.
    pub(super) object_store: Option<String>,
}

impl Osd {
    /// It does its share.
    pub(super) fn works(&self) -> bool {
        self.up == Some(true) && self.is_in == Some(true)
    }
}

/// All OSDs by number.
pub(super) type Osds = BTreeMap<i64, Osd>;

/// OSDs as the hierarchy, the map and their metadata say. Without the hierarchy nothing is known of any.
pub(super) fn osds(snapshot: &Snapshot) -> Osds {
    let Some(tree) = &snapshot.osd_tree else { return Osds::new() };
    let leaves = tree.nodes.iter().chain(&tree.stray).filter(|node| node.id >= 0);
    let osd = |node: &Node| Osd {
        class: node.class.clone().unwrap_or_else(|| NO_CLASS.into()),
        up: Some(node.up),
        is_in: Some(node.is_in),
        object_store: None,
    };
    let mut osds: Osds = leaves.map(|node| (node.id, osd(node))).collect();
    // The map is exact about both in every release.
    for state in snapshot.osd_dump.iter().flat_map(|dump| &dump.osds) {
        if let Some(osd) = osds.get_mut(&state.id) {
            (osd.up, osd.is_in) = (Some(state.up), Some(state.is_in));
        }
    }
    for store in snapshot.osd_metadata.iter().flatten() {
        if let Some(osd) = osds.get_mut(&store.id) {
            osd.object_store = Some(store.name.clone());
        }
    }
    osds
}

/// The OSDs of each rule.
pub(super) fn osds_of_rules(snapshot: &Snapshot, osds: &Osds) -> HashMap<i64, BTreeSet<i64>> {
    let (Some(tree), Some(rules)) = (&snapshot.osd_tree, &snapshot.crush_rules) else {
        return HashMap::new();
    };
    let nodes: HashMap<i64, &Node> = tree.nodes.iter().map(|node| (node.id, node)).collect();
    let by_name: HashMap<&str, i64> = tree.nodes.iter().map(|node| (node.name.as_str(), node.id)).collect();
    let taken = |rule: &CrushRule| {
        let mut found = BTreeSet::new();
        for take in &rule.takes {
            let Some(&root) = by_name.get(take.bucket.as_str()) else { continue };
            let of_class = |id: &i64| {
                let osd = osds.get(id);
                osd.is_some_and(|osd| take.class.as_ref().is_none_or(|class| *class == osd.class))
            };
            found.extend(below(root, &nodes).into_iter().filter(of_class));
        }
        found
    };
    rules.iter().map(|rule| (rule.id, taken(rule))).collect()
}

/// OSDs below a node. What is below itself is looked at once.
fn below(root: i64, nodes: &HashMap<i64, &Node>) -> BTreeSet<i64> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![root]);
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(nodes.get(&id).into_iter().flat_map(|node| &node.children));
        }
    }
    seen.retain(|id| *id >= 0);
    seen
}
