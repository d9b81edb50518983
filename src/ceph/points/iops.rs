//! The bound on IOPS, with the actual rates beside it.

use super::{Fields, Maker};
use crate::ceph::{
    IopsSettings,
    decode::Snapshot,
    iops::{Scope, bounds},
};

pub(super) fn write(snapshot: &Snapshot, settings: &IopsSettings, maker: &mut Maker) {
    // A bound over OSDs of which nobody confirms that they still are there would not be of now.
    if !snapshot.status.as_ref().is_some_and(crate::ceph::decode::Status::is_fresh) {
        return;
    }
    for bound in bounds(snapshot, settings) {
        let left =
            |bound: Option<f64>, actual: Option<f64>| bound.zip(actual).map(|(bound, actual)| bound - actual);
        let fields = Fields::default()
            .number("osds", Some(bound.osds))
            .number("replicas", bound.replicas)
            .number("read_bound", bound.read_bound)
            .number("write_bound", bound.write_bound)
            .number("read_ops", bound.read_ops)
            .number("write_ops", bound.write_ops)
            .number("read_headroom", left(bound.read_bound, bound.read_ops))
            .number("write_headroom", left(bound.write_bound, bound.write_ops))
            .number("used_ratio", bound.used_ratio)
            .number("headroom_ratio", bound.used_ratio.map(|used| 1.0 - used));
        let mut tags = Vec::from(match &bound.scope {
            Scope::Cluster => [("scope", "cluster"), ("class", "")],
            Scope::Class(class) => [("scope", "class"), ("class", class)],
            Scope::Pool { class, .. } => [("scope", "pool"), ("class", class)],
        });
        if let Scope::Pool { name, .. } = &bound.scope {
            tags.push(("name", name));
        }
        maker.point("ceph_iops_bound", &tags, fields);
    }
}
