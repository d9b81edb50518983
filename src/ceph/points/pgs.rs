//! PGs, and what the cluster does for clients and for itself.

use super::{Fields, Maker};
use crate::ceph::decode::Status;

/// What a state is made of (`active+undersized+degraded`), with the field that counts the PGs of which it is part.
const PARTS: &[(&str, &[&str])] = &[
    ("active", &["active"]),
    ("clean", &["clean"]),
    ("degraded", &["degraded"]),
    ("undersized", &["undersized"]),
    ("remapped", &["remapped"]),
    ("peering", &["peering", "activating"]),
    ("stale", &["stale"]),
    ("down", &["down"]),
    ("incomplete", &["incomplete"]),
    ("inconsistent", &["inconsistent"]),
    ("unknown", &["unknown"]),
    ("recovering", &["recovering", "recovery_wait"]),
    ("backfilling", &["backfilling", "backfill_wait"]),
    ("scrubbing", &["scrubbing"]),
    ("deep_scrubbing", &["deep"]),
];

pub(super) fn write(status: &Status, maker: &mut Maker) {
    maker.point("ceph_pgmap", &[], Fields::default().numbers(&status.pgmap));
    for (state, count) in &status.pg_states {
        maker.point("ceph_pgmap_state", &[("state", state)], Fields::default().number("count", Some(*count)));
    }
    if status.pgmap.is_empty() {
        return;
    }
    // All states are there, so a part that is in none is in no PG.
    let count = |names: &[&str]| {
        let has = |state: &str| state.split('+').any(|part| names.contains(&part));
        status.pg_states.iter().filter(|(state, _)| has(state)).map(|(_, count)| count).sum()
    };
    let total = status.pg_states.iter().map(|(_, count)| count).sum();
    let all = Fields::default().number("total", Some(total));
    let fields = PARTS.iter().fold(all, |fields, (field, names)| fields.number(field, Some(count(names))));
    maker.point("ceph_pg", &[], fields);
}
