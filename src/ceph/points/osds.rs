//! OSDs: how many work, how quick they are, how full; by device class, and one by one.

use std::collections::BTreeMap;

use super::{Fields, Maker};
use crate::ceph::{
    decode::{OsdLatency, OsdUsage, Snapshot},
    topology::{self, NO_CLASS, Osd, Osds},
};

/// Tag `class` of what is said about all OSDs.
const ALL: &str = "_all_";

/// One OSD with all that is known of it.
struct One<'a> {
    id: i64,
    class: &'a str,
    osd: Option<&'a Osd>,
    latency: Option<&'a OsdLatency>,
    usage: Option<&'a OsdUsage>,
}

impl One<'_> {
    /// What it reported last is of now. The manager goes on telling what a dead one said.
    fn speaks(&self) -> bool {
        self.osd.is_none_or(|osd| osd.up == Some(true))
    }

    fn commit_ms(&self) -> Option<f64> {
        self.latency.filter(|_| self.speaks())?.commit_ms
    }

    fn apply_ms(&self) -> Option<f64> {
        self.latency.filter(|_| self.speaks())?.apply_ms
    }

    fn utilization(&self) -> Option<f64> {
        self.usage.filter(|_| self.speaks())?.utilization_percent
    }
}

pub(super) fn write(snapshot: &Snapshot, fresh: bool, per_osd: bool, maker: &mut Maker) {
    let osds = topology::osds(snapshot);
    // Whether they are up is as old as the map; that this is still the map, only the status says.
    let certain = snapshot.status.is_some();
    let all = join(snapshot, &osds, fresh);
    let mut classes: BTreeMap<&str, Vec<&One<'_>>> = BTreeMap::new();
    for one in &all {
        classes.entry(one.class).or_default().push(one);
        classes.entry(ALL).or_default().push(one);
    }
    for (class, members) in &classes {
        let counts = certain && members.iter().all(|one| one.osd.is_some());
        maker.point("ceph_osd_class", &[("class", class)], class_fields(members, counts, snapshot));
        maker.point("ceph_osd_latency", &[("class", class)], latency_fields(members));
    }
    if per_osd {
        for one in &all {
            let osd = one.osd.filter(|_| certain);
            let fields = Fields::default()
                .number("commit_latency_ms", one.commit_ms())
                .number("apply_latency_ms", one.apply_ms())
                .number("utilization_percent", one.utilization())
                .number("pgs", one.usage.and_then(|usage| usage.pgs))
                .flag("up", osd.and_then(|osd| osd.up))
                .flag("in", osd.and_then(|osd| osd.is_in));
            maker.point("ceph_osd_perf", &[("osd", &one.id.to_string()), ("class", one.class)], fields);
        }
    }
}

/// By number, from all who know of them.
fn join<'a>(snapshot: &'a Snapshot, osds: &'a Osds, fresh: bool) -> Vec<One<'a>> {
    let mut all: BTreeMap<i64, One<'a>> = BTreeMap::new();
    let blank = |id, class| One { id, class, osd: None, latency: None, usage: None };
    for (&id, osd) in osds {
        all.insert(id, One { osd: Some(osd), ..blank(id, &osd.class) });
    }
    if fresh {
        for usage in snapshot.osd_df.iter().flatten() {
            let class = usage.class.as_deref().unwrap_or(NO_CLASS);
            all.entry(usage.id).or_insert_with(|| blank(usage.id, class)).usage = Some(usage);
        }
        for latency in snapshot.osd_perf.iter().flatten() {
            // One of a class that nobody knows is not made a series of its own.
            if let Some(one) = all.get_mut(&latency.id) {
                one.latency = Some(latency);
            }
        }
    }
    all.into_values().collect()
}

fn class_fields(members: &[&One<'_>], counts: bool, snapshot: &Snapshot) -> Fields {
    let count = |is: &dyn Fn(&Osd) -> bool| {
        counts.then(|| members.iter().filter(|one| one.osd.is_some_and(is)).count() as f64)
    };
    let used: Vec<f64> = members.iter().filter_map(|one| one.utilization()).collect();
    let of_used = |of: fn(&[f64]) -> f64| (!used.is_empty()).then(|| of(&used));
    let dump = snapshot.osd_dump.as_ref();
    let over = |ratio: Option<f64>| {
        let limit = ratio.filter(|_| !used.is_empty())? * 100.0;
        Some(used.iter().filter(|used| **used >= limit).count() as f64)
    };
    Fields::default()
        .number("num_osds", count(&|_| true))
        .number("num_up_osds", count(&|osd| osd.up == Some(true)))
        .number("num_in_osds", count(&|osd| osd.is_in == Some(true)))
        .number("num_full_osds", over(dump.and_then(|dump| dump.full_ratio)))
        .number("num_nearfull_osds", over(dump.and_then(|dump| dump.nearfull_ratio)))
        .number("utilization_min_percent", of_used(|used| used.iter().copied().fold(f64::INFINITY, f64::min)))
        .number("utilization_mean_percent", of_used(|used| used.iter().sum::<f64>() / used.len() as f64))
        .number(
            "utilization_max_percent",
            of_used(|used| used.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        )
}

fn latency_fields(members: &[&One<'_>]) -> Fields {
    let sorted = |of: fn(&One<'_>) -> Option<f64>| {
        let mut times: Vec<f64> = members.iter().filter_map(|one| of(one)).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let (commit, apply) = (sorted(|one| one.commit_ms()), sorted(|one| one.apply_ms()));
    if commit.is_empty() && apply.is_empty() {
        return Fields::default();
    }
    Fields::default()
        .number("osds", Some(commit.len().max(apply.len()) as f64))
        .number("commit_mean_ms", mean(&commit))
        .number("commit_p50_ms", nearest_rank(&commit, 0.5))
        .number("commit_p99_ms", nearest_rank(&commit, 0.99))
        .number("commit_max_ms", commit.last().copied())
        .number("apply_mean_ms", mean(&apply))
        .number("apply_p50_ms", nearest_rank(&apply, 0.5))
        .number("apply_p99_ms", nearest_rank(&apply, 0.99))
        .number("apply_max_ms", apply.last().copied())
}

fn mean(times: &[f64]) -> Option<f64> {
    (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64)
}

/// The smallest of sorted times that at least this share does not exceed.
fn nearest_rank(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::nearest_rank;

    #[test]
    fn percentiles_are_nearest_rank() {
        let check =
            |times: &[f64], share, expected| assert_eq!(nearest_rank(times, share), expected, "{times:?}");
        check(&[], 0.5, None);
        check(&[7.0], 0.99, Some(7.0));
        check(&[1.0, 2.0], 0.5, Some(1.0));
        check(&[1.0, 2.0, 3.0], 0.5, Some(2.0));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        check(&hundred, 0.99, Some(99.0));
        check(&hundred, 1.0, Some(100.0));
        check(&hundred, 0.0, Some(1.0));
    }
}
