//! How many operations a second the cluster can do at most, and how much of that it does.
//!
//! `bound = osds × iops_per_osd ÷ replicas ÷ write_factor`, over the OSDs of a pool's CRUSH rule that are up and in: every
//! write is done by as many OSDs as there are copies (or pieces, of an erasure-coded pool), and as often as the object
//! store writes it. Reads have no write factor; that they too are divided by the copies is an option, on by default.
//!
//! It is a prediction from a figure for one device, and good for what it is: a line in a diagram that the actual rate
//! should stay below.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    IopsSettings,
    decode::{Pool, Snapshot},
    topology::{self, Osd, Osds},
};

/// Tag `class` of a pool on more than one class.
const MIXED: &str = "_mixed_";

/// What is bounded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Cluster,
    Class(String),
    Pool { class: String, name: String },
}

/// Operations a second, possible and actual. `None` where something to compute it from is not known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bound {
    pub(super) scope: Scope,
    /// OSDs that work.
    pub(super) osds: f64,
    /// Copies or pieces that are written; of a class and the cluster, those of the pool that holds most.
    pub(super) replicas: Option<f64>,
    pub(super) read_bound: Option<f64>,
    pub(super) write_bound: Option<f64>,
    pub(super) read_ops: Option<f64>,
    pub(super) write_ops: Option<f64>,
    /// Share of what is possible that is used, reads and writes together.
    pub(super) used_ratio: Option<f64>,
}

/// What a set of OSDs can do, counted at the devices.
#[derive(Clone, Copy, Debug, Default)]
struct Power {
    osds: f64,
    reads: Option<f64>,
    writes: Option<f64>,
}

impl Power {
    fn of<'a>(osds: impl Iterator<Item = &'a Osd>, settings: &IopsSettings) -> Self {
        let mut power = Self { osds: 0.0, reads: Some(0.0), writes: Some(0.0) };
        for osd in osds.filter(|osd| osd.works()) {
            let iops = settings.of_class(&osd.class);
            let factor = match osd.object_store.as_deref() {
                Some("filestore") => Some(settings.filestore_writes),
                Some(_) => Some(settings.bluestore_writes),
                None => None,
            };
            power.osds += 1.0;
            power.reads = sum(power.reads, iops);
            power.writes = sum(power.writes, iops.zip(factor).map(|(iops, factor)| iops / factor));
        }
        power
    }
}

/// Both, or nothing.
fn sum(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.zip(b).map(|(a, b)| a + b)
}

fn sum_with(sum: f64, next: Option<f64>) -> Option<f64> {
    next.map(|next| sum + next)
}

/// A pool, with what it does and holds.
struct Placed<'a> {
    pool: &'a Pool,
    osds: BTreeSet<i64>,
    reads: Option<f64>,
    writes: Option<f64>,
    bytes: f64,
}

/// Bounds of pools, device classes, and the cluster. Empty without the hierarchy and the map of OSDs.
pub(super) fn bounds(snapshot: &Snapshot, settings: &IopsSettings) -> Vec<Bound> {
    let Some(dump) = &snapshot.osd_dump else { return Vec::new() };
    let osds = topology::osds(snapshot);
    if osds.is_empty() {
        return Vec::new();
    }
    let rules = topology::osds_of_rules(snapshot, &osds);
    let placed = |pool| place(pool, &rules, snapshot);
    let pools: Vec<Placed<'_>> = dump.pools.iter().filter_map(placed).collect();
    let mut bounds: Vec<Bound> = pools.iter().map(|pool| of_pool(pool, &osds, settings)).collect();
    let classes: BTreeSet<&str> = osds.values().map(|osd| osd.class.as_str()).collect();
    for class in classes {
        let members: BTreeSet<i64> = with_class(&osds, class).map(|(id, _)| *id).collect();
        bounds.push(of_all(Scope::Class(class.into()), &members, &pools, &osds, settings));
    }
    let all = osds.keys().copied().collect();
    bounds.push(of_all(Scope::Cluster, &all, &pools, &osds, settings));
    bounds.sort_by(|a, b| a.scope.cmp(&b.scope));
    bounds
}

fn with_class<'a>(osds: &'a Osds, class: &'a str) -> impl Iterator<Item = (&'a i64, &'a Osd)> {
    osds.iter().filter(move |(_, osd)| osd.class == class)
}

fn place<'a>(
    pool: &'a Pool,
    rules: &std::collections::HashMap<i64, BTreeSet<i64>>,
    snapshot: &Snapshot,
) -> Option<Placed<'a>> {
    let osds = rules.get(&pool.rule?)?.clone();
    let stats = snapshot.pool_stats.iter().flatten().find(|stats| stats.name == pool.name);
    let usage = snapshot.df.iter().flat_map(|df| &df.pools).find(|usage| usage.name == pool.name);
    Some(Placed {
        pool,
        osds,
        reads: stats.and_then(|stats| stats.number("read_op_per_sec")),
        writes: stats.and_then(|stats| stats.number("write_op_per_sec")),
        bytes: usage.and_then(|usage| usage.number("bytes_used")).unwrap_or(0.0),
    })
}

/// How many OSDs take part in a read and in a write.
fn divisors(pool: &Pool, settings: &IopsSettings) -> (Option<f64>, Option<f64>) {
    let reads = match (settings.divide_reads, pool.is_erasure) {
        (true, _) => pool.size,
        // k pieces answer a read of an erasure-coded object, one copy that of another.
        (false, true) => pool.k,
        (false, false) => Some(1.0),
    };
    (reads, pool.size)
}

fn bound_of(power: &Power, pool: &Pool, settings: &IopsSettings) -> (Option<f64>, Option<f64>) {
    let (reads, writes) = divisors(pool, settings);
    let over =
        |power: Option<f64>, divisor: Option<f64>| power.zip(divisor).map(|(power, divisor)| power / divisor);
    (over(power.reads, reads), over(power.writes, writes))
}

fn of_pool(placed: &Placed<'_>, osds: &Osds, settings: &IopsSettings) -> Bound {
    let members = || placed.osds.iter().filter_map(|id| osds.get(id));
    let power = Power::of(members(), settings);
    let (read_bound, write_bound) = bound_of(&power, placed.pool, settings);
    let classes: BTreeSet<&str> = members().map(|osd| osd.class.as_str()).collect();
    let class = match (classes.first(), classes.len()) {
        (Some(class), 1) => class,
        _ => MIXED,
    };
    Bound {
        scope: Scope::Pool { class: class.into(), name: placed.pool.name.clone() },
        osds: power.osds,
        replicas: placed.pool.size,
        read_bound,
        write_bound,
        read_ops: placed.reads,
        write_ops: placed.writes,
        used_ratio: sum(share(placed.reads, read_bound), share(placed.writes, write_bound)),
    }
}

/// Nothing of nothing is no share.
fn share(actual: Option<f64>, bound: Option<f64>) -> Option<f64> {
    match (actual, bound) {
        (Some(actual), Some(bound)) if bound > 0.0 => Some(actual / bound),
        _ => None,
    }
}

/// A class or the cluster: the load of all pools that use these OSDs, each as far as it does.
fn of_all(
    scope: Scope,
    members: &BTreeSet<i64>,
    pools: &[Placed<'_>],
    osds: &Osds,
    settings: &IopsSettings,
) -> Bound {
    let works = |id: &&i64| osds.get(id).is_some_and(Osd::works);
    let power = Power::of(members.iter().filter_map(|id| osds.get(id)), settings);
    // How much of a pool's load is theirs: as much as they are of its OSDs.
    let part = |placed: &Placed<'_>| {
        let share = |all: usize, ours: usize| (all > 0).then(|| ours as f64 / all as f64);
        let working = placed.osds.iter().filter(works).count();
        let ours = || placed.osds.intersection(members);
        share(working, ours().filter(works).count())
            .or_else(|| share(placed.osds.len(), ours().count()))
            .unwrap_or(0.0)
    };
    let here = pools.iter().map(|placed| (placed, part(placed))).filter(|(_, part)| *part > 0.0);
    let here: Vec<(&Placed<'_>, f64)> = here.collect();
    let largest = here.iter().max_by(|(a, _), (b, _)| {
        let size = |placed: &Placed<'_>| placed.pool.size.unwrap_or(0.0);
        a.bytes.total_cmp(&b.bytes).then(size(a).total_cmp(&size(b)))
    });
    let (read_bound, write_bound) =
        largest.map_or((None, None), |(placed, _)| bound_of(&power, placed.pool, settings));
    // Without pools nothing is known to be done.
    let some = largest.map(|_| ());
    let total = |of: fn(&Placed<'_>) -> Option<f64>| {
        some?;
        here.iter().try_fold(0.0, |sum, (placed, part)| of(placed).map(|ops| sum + ops * part))
    };
    // Each pool has copies of its own: shares add up, operations do not.
    let used = |(placed, part): &(&Placed<'_>, f64)| {
        let (reads, writes) = bound_of(&power, placed.pool, settings);
        let ops = |ops: Option<f64>| ops.map(|ops| ops * part);
        sum(share(ops(placed.reads), reads), share(ops(placed.writes), writes))
    };
    Bound {
        scope,
        osds: power.osds,
        replicas: largest.and_then(|(placed, _)| placed.pool.size),
        read_bound,
        write_bound,
        read_ops: total(|placed| placed.reads),
        write_ops: total(|placed| placed.writes),
        used_ratio: some.and_then(|()| here.iter().map(used).try_fold(0.0, sum_with)),
    }
}

/// By class, to say so once: OSDs for which there is no figure.
pub(super) fn without_figure(snapshot: &Snapshot, settings: &IopsSettings) -> BTreeMap<String, usize> {
    let mut missing = BTreeMap::new();
    for osd in topology::osds(snapshot).into_values() {
        if settings.of_class(&osd.class).is_none() {
            *missing.entry(osd.class).or_default() += 1;
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceph::decode::{
        CrushRule, Df, Node, ObjectStore, OsdDump, OsdState, OsdTree, PoolStats, PoolUsage, Take,
    };

    /// Ten disks on filestore, five on bluestore, four ssd; a pool of three copies, one of k=4 m=2, one on ssd.
    fn cluster() -> Snapshot {
        let osd = |id: i64| Node {
            id,
            name: format!("osd.{id}"),
            children: Vec::new(),
            class: Some(if id < 15 { "hdd" } else { "ssd" }.into()),
            up: true,
            is_in: true,
        };
        let host = |id, osds: std::ops::Range<i64>| Node {
            id,
            name: format!("host{id}"),
            children: osds.collect(),
            class: None,
            up: false,
            is_in: false,
        };
        let root = Node { name: "default".into(), children: vec![-2, -3], ..host(-1, 0..0) };
        let mut nodes = vec![root, host(-2, 0..10), host(-3, 10..19)];
        nodes.extend((0..19).map(osd));
        let rule = |id, class: &str| CrushRule {
            id,
            takes: vec![Take { bucket: "default".into(), class: Some(class.into()) }],
        };
        let pool = |id, name: &str, size, k, rule| Pool {
            id,
            name: name.into(),
            size: Some(size),
            k,
            is_erasure: k.is_some(),
            rule: Some(rule),
        };
        let stats = |name: &str, reads, writes| PoolStats {
            name: name.into(),
            id: None,
            numbers: vec![("read_op_per_sec", reads), ("write_op_per_sec", writes)],
        };
        let usage = |name: &str, bytes| PoolUsage {
            name: name.into(),
            id: None,
            numbers: vec![("bytes_used", bytes)],
        };
        let store = |id| ObjectStore { id, name: if id < 10 { "filestore" } else { "bluestore" }.into() };
        Snapshot {
            osd_tree: Some(OsdTree { nodes, stray: Vec::new() }),
            osd_dump: Some(OsdDump {
                pools: vec![
                    pool(1, "data", 3.0, None, 0),
                    pool(2, "cold", 6.0, Some(4.0), 0),
                    pool(3, "index", 3.0, None, 1),
                ],
                osds: (0..19).map(|id| OsdState { id, up: true, is_in: true }).collect(),
                full_ratio: None,
                nearfull_ratio: None,
            }),
            crush_rules: Some(vec![rule(0, "hdd"), rule(1, "ssd")]),
            osd_metadata: Some((0..19).map(store).collect()),
            pool_stats: Some(vec![
                stats("data", 100.0, 50.0),
                stats("cold", 25.0, 0.0),
                stats("index", 9.0, 9.0),
            ]),
            df: Some(Df {
                stats: Vec::new(),
                classes: Vec::new(),
                pools: vec![usage("data", 10.0), usage("cold", 5.0), usage("index", 1.0)],
            }),
            ..Snapshot::default()
        }
    }

    fn of(snapshot: &Snapshot, settings: &IopsSettings, scope: Scope) -> Bound {
        bounds(snapshot, settings).into_iter().find(|bound| bound.scope == scope).unwrap()
    }

    fn pool(class: &str, name: &str) -> Scope {
        Scope::Pool { class: class.into(), name: name.into() }
    }

    fn close(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() < 1e-9)
    }

    #[test]
    fn the_formula_by_hand() {
        let settings = IopsSettings::default();
        // 15 disks: reads 1500 / 3; writes (10 × 100 / 2 + 5 × 100) / 3.
        let data = of(&cluster(), &settings, pool("hdd", "data"));
        assert_eq!((data.osds, data.replicas), (15.0, Some(3.0)));
        assert!(close(data.read_bound, 500.0) && close(data.write_bound, 1000.0 / 3.0), "{data:?}");
        assert!(close(data.used_ratio, 100.0 / 500.0 + 50.0 / (1000.0 / 3.0)), "{data:?}");
        // k + m = 6 pieces.
        let cold = of(&cluster(), &settings, pool("hdd", "cold"));
        assert!(close(cold.read_bound, 250.0) && close(cold.write_bound, 1000.0 / 6.0), "{cold:?}");
        // No figure for ssd: no bound, but what it does.
        let index = of(&cluster(), &settings, pool("ssd", "index"));
        assert_eq!((index.read_bound, index.write_bound, index.used_ratio), (None, None, None));
        assert_eq!((index.osds, index.read_ops, index.write_ops), (4.0, Some(9.0), Some(9.0)));
        assert_eq!(without_figure(&cluster(), &settings), BTreeMap::from([("ssd".into(), 4)]));
    }

    #[test]
    fn a_class_adds_up_shares_and_has_the_copies_of_its_largest_pool() {
        let settings = IopsSettings::default();
        let hdd = of(&cluster(), &settings, Scope::Class("hdd".into()));
        assert!(close(hdd.read_bound, 500.0) && hdd.replicas == Some(3.0), "{hdd:?}");
        assert_eq!((hdd.read_ops, hdd.write_ops), (Some(125.0), Some(50.0)));
        assert!(close(hdd.used_ratio, 0.2 + 0.15 + 25.0 / 250.0), "{hdd:?}");
        let cluster_bound = of(&cluster(), &settings, Scope::Cluster);
        assert_eq!((cluster_bound.osds, cluster_bound.read_bound), (19.0, None), "ssd has no figure");
        let mut with_ssd = settings;
        with_ssd.per_class.insert("ssd".into(), 5000.0);
        let cluster_bound = of(&cluster(), &with_ssd, Scope::Cluster);
        assert!(close(cluster_bound.read_bound, (1500.0 + 20_000.0) / 3.0), "{cluster_bound:?}");
        assert_eq!(cluster_bound.read_ops, Some(134.0));
    }

    #[test]
    fn reads_need_not_be_divided() {
        let settings = IopsSettings { divide_reads: false, ..IopsSettings::default() };
        assert!(close(of(&cluster(), &settings, pool("hdd", "data")).read_bound, 1500.0));
        assert!(close(of(&cluster(), &settings, pool("hdd", "cold")).read_bound, 1500.0 / 4.0));
        assert!(close(of(&cluster(), &settings, pool("hdd", "cold")).write_bound, 1000.0 / 6.0));
    }

    #[test]
    fn only_osds_that_are_up_and_in_do_anything() {
        let mut snapshot = cluster();
        let dump = snapshot.osd_dump.as_mut().unwrap();
        (dump.osds[0].up, dump.osds[14].is_in) = (false, false);
        let data = of(&snapshot, &IopsSettings::default(), pool("hdd", "data"));
        assert_eq!(data.osds, 13.0);
        assert!(
            close(data.read_bound, 1300.0 / 3.0) && close(data.write_bound, (450.0 + 400.0) / 3.0),
            "{data:?}"
        );
        dump_all_down(&mut snapshot);
        let data = of(&snapshot, &IopsSettings::default(), pool("hdd", "data"));
        assert_eq!((data.read_bound, data.used_ratio), (Some(0.0), None), "nothing of nothing is no share");
    }

    fn dump_all_down(snapshot: &mut Snapshot) {
        for osd in &mut snapshot.osd_dump.as_mut().unwrap().osds {
            osd.up = false;
        }
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let settings = IopsSettings::default();
        let mut snapshot = cluster();
        snapshot.osd_metadata = None;
        let data = of(&snapshot, &settings, pool("hdd", "data"));
        assert!(close(data.read_bound, 500.0) && data.write_bound.is_none() && data.used_ratio.is_none());
        snapshot.crush_rules = None;
        let scopes: Vec<Scope> = bounds(&snapshot, &settings).into_iter().map(|bound| bound.scope).collect();
        assert_eq!(scopes, [Scope::Cluster, Scope::Class("hdd".into()), Scope::Class("ssd".into())]);
        snapshot.osd_tree = None;
        assert_eq!(bounds(&snapshot, &settings), []);
    }
}
