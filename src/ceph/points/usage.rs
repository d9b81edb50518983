//! What the cluster and its pools hold, and what pools do.

use super::{Fields, Maker};
use crate::ceph::decode::Snapshot;

pub(super) fn write(snapshot: &Snapshot, maker: &mut Maker) {
    if let Some(df) = &snapshot.df {
        maker.point("ceph_usage", &[], Fields::default().numbers(&df.stats));
        for (class, numbers) in &df.classes {
            maker.point("ceph_deviceclass_usage", &[("class", class)], Fields::default().numbers(numbers));
        }
        for pool in &df.pools {
            maker.point("ceph_pool_usage", &[("name", &pool.name)], Fields::default().numbers(&pool.numbers));
        }
    }
    for pool in snapshot.pool_stats.iter().flatten() {
        maker.point("ceph_pool_stats", &[("name", &pool.name)], Fields::default().numbers(&pool.numbers));
    }
}
