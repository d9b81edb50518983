//! What Ceph said about itself: the newest of everything, and what became of it over the range.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::point::{Field, Point, Tags, TimestampNs};

/// A cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CephReport {
    /// Tag `cluster`.
    pub cluster: String,
    /// The first round with an answer, ms.
    pub from_ms: i64,
    /// The last.
    pub until_ms: i64,
    /// Health now.
    pub health: Option<String>,
    /// How many rounds had which health.
    pub rounds: BTreeMap<String, u64>,
    /// What Ceph complains about now.
    pub checks: Vec<CephCheck>,
    /// How full it is.
    pub usage: Option<CephUsage>,
    /// Pools, fullest first.
    pub pools: Vec<CephPool>,
    /// Operations a second against what is possible: the cluster, its device classes, its pools.
    pub iops: Vec<CephIops>,
    /// OSDs by device class; `_all_` is all of them.
    pub osds: Vec<CephOsds>,
    /// PGs by state, most first.
    pub pgs: Vec<CephPgs>,
    /// Share of copies that are missing: now, and at most.
    pub degraded_ratio: Option<Reading>,
    /// Share of copies that are in the wrong place: now, and at most.
    pub misplaced_ratio: Option<Reading>,
    /// Objects of which no copy is found: now, and at most.
    pub unfound_objects: Option<Reading>,
    /// Questions to Ceph that were not answered, of all.
    pub unanswered: u64,
    /// Questions to Ceph.
    pub asked: u64,
}

/// A number now, and the greatest of the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reading {
    /// In the last round that has it.
    pub now: f64,
    /// Over the range.
    pub max: f64,
}

/// A health check.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CephCheck {
    /// As `OSD_DOWN`.
    pub name: String,
    /// `HEALTH_WARN` or `HEALTH_ERR`.
    pub severity: String,
    /// How many.
    pub count: Option<f64>,
    /// An operator muted it.
    pub muted: bool,
    /// Ceph's words.
    pub message: String,
}

/// How full a cluster is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CephUsage {
    /// Size, bytes.
    pub total_bytes: Option<f64>,
    /// Used, bytes.
    pub used_bytes: Option<f64>,
    /// Left, bytes.
    pub available_bytes: Option<f64>,
    /// Objects of all pools.
    pub objects: Option<f64>,
    /// Bytes used now beyond those at the beginning of the range.
    pub growth_bytes: Option<f64>,
    /// The same, for a day. `null` for less than an hour.
    pub growth_bytes_per_day: Option<f64>,
}

/// A pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CephPool {
    /// Its name.
    pub name: String,
    /// Used on the devices, bytes.
    pub used_bytes: Option<f64>,
    /// Objects.
    pub objects: Option<f64>,
    /// Used of what it could use, 0 to 1.
    pub used_ratio: Option<f64>,
    /// Bytes used now beyond those at the beginning of the range.
    pub growth_bytes: Option<f64>,
}

/// Operations a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CephIops {
    /// `cluster`, `class` or `pool`.
    pub scope: String,
    /// Device class; empty for the cluster.
    pub class: String,
    /// The pool; empty for others.
    pub pool: String,
    /// OSDs that are up and in.
    pub osds: Option<f64>,
    /// Reads a second: now, and at most.
    pub reads: Option<Reading>,
    /// Reads a second that are possible.
    pub read_bound: Option<f64>,
    /// Writes a second: now, and at most.
    pub writes: Option<Reading>,
    /// Writes a second that are possible.
    pub write_bound: Option<f64>,
    /// Share of what is possible: now, and at most.
    pub used_ratio: Option<Reading>,
}

/// OSDs of a device class.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CephOsds {
    /// Device class, or `_all_`.
    pub class: String,
    /// How many.
    pub total: Option<f64>,
    /// That are up.
    pub up: Option<f64>,
    /// That are in.
    pub r#in: Option<f64>,
    /// The fewest that were up.
    pub least_up: Option<f64>,
    /// How full the fullest is, percent.
    pub fullest_percent: Option<f64>,
    /// Commit latency that 99 of 100 do not exceed, ms: now, and at most.
    pub commit_p99_ms: Option<Reading>,
    /// Apply latency, likewise.
    pub apply_p99_ms: Option<Reading>,
}

/// PGs in a state.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CephPgs {
    /// As `active+clean`.
    pub state: String,
    /// How many.
    pub count: f64,
}

/// Adds up points, in any order.
#[derive(Clone, Debug, Default)]
pub struct CephBuilder {
    clusters: BTreeMap<String, Cluster>,
}

type Numbers = BTreeMap<String, f64>;

/// A series: its tags, without those of the stream.
type Key = Vec<(String, String)>;

/// What is kept of a series.
#[derive(Clone, Debug, Default)]
struct Kept {
    first: Option<(TimestampNs, Numbers)>,
    last: Option<(TimestampNs, Numbers)>,
    max: Numbers,
    min: Numbers,
    /// Texts and truths of the last.
    words: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default)]
struct Cluster {
    series: BTreeMap<String, BTreeMap<Key, Kept>>,
    rounds: BTreeMap<TimestampNs, String>,
    unanswered: BTreeSet<(TimestampNs, String, String)>,
    asked: BTreeSet<(TimestampNs, String, String)>,
}

impl CephBuilder {
    /// Adds a point of a stream with these tags; one that is not of Ceph is none of its business.
    pub fn add(&mut self, point: &Point, tags: &Tags) {
        if !point.measurement.starts_with("ceph_") {
            return;
        }
        let name = tags.get("cluster").unwrap_or_default();
        self.clusters.entry(name.to_owned()).or_default().add(point);
    }

    /// A report of each cluster that said anything.
    pub fn finish(self) -> Vec<CephReport> {
        self.clusters.into_iter().map(|(name, cluster)| cluster.finish(name)).collect()
    }
}

impl Cluster {
    fn add(&mut self, point: &Point) {
        if point.measurement == "ceph_collector" {
            let tag = |key| point.tags.get(key).unwrap_or_default().to_owned();
            let one = (point.time, tag("node"), tag("command"));
            if one.2 != "_round_" {
                if point.fields.contains(&("ok".into(), Field::Boolean(false))) {
                    self.unanswered.insert(one.clone());
                }
                self.asked.insert(one);
            }
            return;
        }
        if point.measurement == "ceph_health"
            && let Some((_, Field::Text(status))) = point.fields.iter().find(|(name, _)| name == "status")
        {
            self.rounds.insert(point.time, status.clone());
        }
        let key = point.tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        self.series.entry(point.measurement.clone()).or_default().entry(key).or_default().add(point);
    }

    /// Series of a measurement that were there in its last round: what is gone is not said to be.
    fn of<'a>(&'a self, measurement: &str) -> impl Iterator<Item = (&'a Key, &'a Kept)> {
        let series = self.series.get(measurement);
        let time = |kept: &Kept| kept.last.as_ref().map(|(time, _)| *time);
        let last = series.and_then(|series| series.values().filter_map(time).max());
        series.into_iter().flatten().filter(move |(_, kept)| time(kept) == last)
    }

    fn one(&self, measurement: &str) -> Option<&Kept> {
        self.of(measurement).next().map(|(_, kept)| kept)
    }

    fn finish(self, cluster: String) -> CephReport {
        let ms = |time: Option<&TimestampNs>| time.copied().unwrap_or_default().div_euclid(1_000_000);
        let mut rounds = BTreeMap::new();
        for status in self.rounds.values() {
            *rounds.entry(status.clone()).or_default() += 1;
        }
        let reading = |name| self.one("ceph_pgmap").and_then(|kept| kept.reading(name));
        let mut pools: Vec<CephPool> =
            self.of("ceph_pool_usage").map(|(key, kept)| pool(key, kept)).collect();
        pools.sort_by(|a, b| b.used_bytes.unwrap_or(0.0).total_cmp(&a.used_bytes.unwrap_or(0.0)));
        let states = self.of("ceph_pgmap_state");
        let mut pgs: Vec<CephPgs> = states
            .map(|(key, kept)| CephPgs {
                state: tag(key, "state"),
                count: kept.now("count").unwrap_or_default(),
            })
            .collect();
        pgs.sort_by(|a, b| b.count.total_cmp(&a.count));
        let mut iops: Vec<CephIops> = self.of("ceph_iops_bound").map(|(key, kept)| iops(key, kept)).collect();
        let order =
            |iops: &CephIops| ["cluster", "class", "pool"].iter().position(|scope| *scope == iops.scope);
        iops.sort_by_key(order);
        CephReport {
            from_ms: ms(self.rounds.keys().next()),
            until_ms: ms(self.rounds.keys().next_back()),
            health: self.rounds.values().next_back().cloned(),
            checks: self.checks(),
            usage: self.usage(),
            osds: self.osds(),
            degraded_ratio: reading("degraded_ratio"),
            misplaced_ratio: reading("misplaced_ratio"),
            unfound_objects: reading("unfound_objects"),
            unanswered: self.unanswered.len() as u64,
            asked: self.asked.len() as u64,
            cluster,
            rounds,
            pools,
            iops,
            pgs,
        }
    }

    /// Those of the last round that had a health at all.
    fn checks(&self) -> Vec<CephCheck> {
        let last = self.rounds.keys().next_back();
        let now =
            self.of("ceph_health_check").filter(|(_, kept)| kept.last.as_ref().map(|(time, _)| time) == last);
        now.map(|(key, kept)| CephCheck {
            name: tag(key, "check"),
            severity: tag(key, "severity"),
            count: kept.now("count"),
            muted: kept.words.get("muted").is_some_and(|muted| muted == "true"),
            message: kept.words.get("message").cloned().unwrap_or_default(),
        })
        .collect()
    }

    fn usage(&self) -> Option<CephUsage> {
        let kept = self.one("ceph_usage")?;
        // Since Nautilus what is used counts from the devices' view in `raw`.
        let used =
            ["total_used_raw_bytes", "total_used_bytes"].into_iter().find(|name| kept.now(name).is_some())?;
        let growth = kept.growth(used);
        let seconds = kept.seconds();
        Some(CephUsage {
            total_bytes: kept.now("total_bytes"),
            used_bytes: kept.now(used),
            available_bytes: kept.now("total_avail_bytes"),
            objects: self.one("ceph_pgmap").and_then(|kept| kept.now("num_objects")),
            growth_bytes: growth,
            growth_bytes_per_day: growth
                .filter(|_| seconds >= 3600.0)
                .map(|growth| growth / seconds * 86_400.0),
        })
    }

    fn osds(&self) -> Vec<CephOsds> {
        let latency: BTreeMap<&Key, &Kept> = self.of("ceph_osd_latency").collect();
        let of_class = |(key, kept): (&Key, &Kept)| {
            let latency = |name| latency.get(key).and_then(|kept| kept.reading(name));
            CephOsds {
                class: tag(key, "class"),
                total: kept.now("num_osds"),
                up: kept.now("num_up_osds"),
                r#in: kept.now("num_in_osds"),
                least_up: kept.min.get("num_up_osds").copied(),
                fullest_percent: kept.now("utilization_max_percent"),
                commit_p99_ms: latency("commit_p99_ms"),
                apply_p99_ms: latency("apply_p99_ms"),
            }
        };
        self.of("ceph_osd_class").map(of_class).collect()
    }
}

fn tag(key: &Key, name: &str) -> String {
    key.iter().find_map(|(known, value)| (known == name).then(|| value.clone())).unwrap_or_default()
}

fn pool(key: &Key, kept: &Kept) -> CephPool {
    CephPool {
        name: tag(key, "name"),
        used_bytes: kept.now("bytes_used"),
        objects: kept.now("objects"),
        used_ratio: kept.now("percent_used"),
        growth_bytes: kept.growth("bytes_used"),
    }
}

fn iops(key: &Key, kept: &Kept) -> CephIops {
    CephIops {
        scope: tag(key, "scope"),
        class: tag(key, "class"),
        pool: tag(key, "name"),
        osds: kept.now("osds"),
        reads: kept.reading("read_ops"),
        read_bound: kept.now("read_bound"),
        writes: kept.reading("write_ops"),
        write_bound: kept.now("write_bound"),
        used_ratio: kept.reading("used_ratio"),
    }
}

impl Kept {
    fn add(&mut self, point: &Point) {
        let number = |(name, field): &(String, Field)| match field {
            Field::Float(number) => Some((name.clone(), *number)),
            Field::Integer(number) => Some((name.clone(), *number as f64)),
            Field::Boolean(_) | Field::Text(_) => None,
        };
        let numbers: Numbers = point.fields.iter().filter_map(number).collect();
        for (name, number) in &numbers {
            let max = self.max.entry(name.clone()).or_insert(*number);
            *max = max.max(*number);
            let min = self.min.entry(name.clone()).or_insert(*number);
            *min = min.min(*number);
        }
        if self.last.as_ref().is_none_or(|(time, _)| *time <= point.time) {
            let word = |(name, field): &(String, Field)| match field {
                Field::Boolean(truth) => Some((name.clone(), truth.to_string())),
                Field::Text(text) => Some((name.clone(), text.clone())),
                Field::Float(_) | Field::Integer(_) => None,
            };
            self.words = point.fields.iter().filter_map(word).collect();
            self.last = Some((point.time, numbers.clone()));
        }
        if self.first.as_ref().is_none_or(|(time, _)| *time > point.time) {
            self.first = Some((point.time, numbers));
        }
    }

    fn now(&self, name: &str) -> Option<f64> {
        self.last.as_ref()?.1.get(name).copied()
    }

    fn reading(&self, name: &str) -> Option<Reading> {
        Some(Reading { now: self.now(name)?, max: *self.max.get(name)? })
    }

    fn growth(&self, name: &str) -> Option<f64> {
        let (first, last) = (self.first.as_ref()?, self.last.as_ref()?);
        if first.0 == last.0 {
            return None;
        }
        Some(last.1.get(name)? - first.1.get(name)?)
    }

    fn seconds(&self) -> f64 {
        let time = |kept: &Option<(TimestampNs, Numbers)>| kept.as_ref().map_or(0, |(time, _)| *time);
        (time(&self.last) - time(&self.first)) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn point(minute: i64, measurement: &str, tags: &[(&str, &str)], fields: &[(&str, f64)]) -> Point {
        let fields = fields.iter().map(|(name, number)| ((*name).to_owned(), Field::Float(*number)));
        Point {
            measurement: measurement.into(),
            tags: Tags::new(tags.iter().copied()),
            fields: fields.collect(),
            time: minute * MINUTE,
        }
    }

    fn health(minute: i64, status: &str) -> Point {
        let mut point = point(minute, "ceph_health", &[], &[]);
        point.fields.push(("status".into(), Field::Text(status.into())));
        point
    }

    /// Two hours: a check that came and went, usage that grew, an OSD that was down for a while.
    fn points() -> Vec<Point> {
        let mut points = vec![
            health(0, "HEALTH_OK"),
            health(60, "HEALTH_WARN"),
            health(120, "HEALTH_OK"),
            point(
                60,
                "ceph_health_check",
                &[("check", "OSD_DOWN"), ("severity", "HEALTH_WARN")],
                &[("count", 1.0)],
            ),
            point(60, "ceph_pgmap_state", &[("state", "stale")], &[("count", 3.0)]),
            point(120, "ceph_pgmap_state", &[("state", "active+clean")], &[("count", 32.0)]),
            point(60, "ceph_pgmap", &[], &[("degraded_ratio", 0.25)]),
            point(120, "ceph_pgmap", &[], &[("degraded_ratio", 0.0)]),
        ];
        for (minute, used, up, ops) in
            [(0, 100.0, 3.0, 10.0), (60, 150.0, 2.0, 90.0), (120, 300.0, 3.0, 20.0)]
        {
            points.push(point(
                minute,
                "ceph_usage",
                &[],
                &[("total_bytes", 1000.0), ("total_used_raw_bytes", used)],
            ));
            points.push(point(
                minute,
                "ceph_osd_class",
                &[("class", "_all_")],
                &[("num_osds", 3.0), ("num_up_osds", up)],
            ));
            let bound = &[("read_ops", ops), ("read_bound", 100.0), ("used_ratio", ops / 100.0)];
            points.push(point(minute, "ceph_iops_bound", &[("scope", "cluster")], bound));
        }
        let mut failed = point(60, "ceph_collector", &[("command", "osd perf")], &[]);
        failed.fields.push(("ok".into(), Field::Boolean(false)));
        points.push(failed);
        points
    }

    fn report(points: &[Point]) -> Vec<CephReport> {
        let mut builder = CephBuilder::default();
        points.iter().for_each(|point| builder.add(point, &Tags::new([("cluster", "prod")])));
        builder.finish()
    }

    #[test]
    fn the_newest_and_what_became_of_it() {
        let reports = report(&points());
        let [ceph] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!((ceph.cluster.as_str(), ceph.health.as_deref()), ("prod", Some("HEALTH_OK")));
        assert_eq!(ceph.rounds, BTreeMap::from([("HEALTH_OK".into(), 2), ("HEALTH_WARN".into(), 1)]));
        assert_eq!(ceph.checks, [], "it is gone");
        assert_eq!(ceph.pgs, [CephPgs { state: "active+clean".into(), count: 32.0 }]);
        assert_eq!(ceph.degraded_ratio, Some(Reading { now: 0.0, max: 0.25 }));
        let usage = ceph.usage.unwrap();
        assert_eq!((usage.used_bytes, usage.growth_bytes), (Some(300.0), Some(200.0)));
        assert_eq!(usage.growth_bytes_per_day, Some(2400.0));
        assert_eq!((ceph.osds[0].up, ceph.osds[0].least_up), (Some(3.0), Some(2.0)));
        assert_eq!(ceph.iops[0].used_ratio, Some(Reading { now: 0.2, max: 0.9 }));
        assert_eq!((ceph.unanswered, ceph.asked), (1, 1));
        assert_eq!((ceph.from_ms, ceph.until_ms), (0, 7_200_000));
    }

    #[test]
    fn the_order_of_points_does_not_matter_and_twice_is_once() {
        let mut other = points();
        other.reverse();
        other.extend(points());
        assert_eq!(report(&other), report(&points()));
    }

    #[test]
    fn one_round_is_no_growth_and_other_points_are_none_of_it() {
        let reports = report(&[point(0, "ceph_usage", &[], &[("total_used_bytes", 5.0)])]);
        let usage = reports[0].usage.unwrap();
        assert_eq!((usage.used_bytes, usage.growth_bytes), (Some(5.0), None));
        assert_eq!(report(&[point(0, "rgwlens", &[], &[("lag_bytes", 1.0)])]), []);
    }
}
