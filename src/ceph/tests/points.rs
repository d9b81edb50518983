//! What real and older clusters say, as points.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    ceph::{DecodeError, FIELDS, IopsSettings, MEASUREMENTS, Question, Snapshot, TAGS, write_points},
    influx::line_protocol::{Dialect, Encoder},
    point::{Field, Point, Tags},
};

const TIME: i64 = 1_795_287_360_000_000_000;

fn folder(state: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ceph-json").join(state)
}

fn said(state: &str, question: Question) -> Vec<u8> {
    let name = if question == Question::Df { "df".into() } else { question.words().join("-") };
    let path = folder(state).join(name + ".json");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn snapshot(state: &str) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for question in Question::ALL {
        snapshot.take(question, &said(state, question)).unwrap();
    }
    snapshot
}

fn points_of(snapshot: &Snapshot) -> Vec<Point> {
    write_points(snapshot, &IopsSettings::default(), true, TIME)
}

fn states() -> Vec<String> {
    let folders = std::fs::read_dir(folder("")).unwrap().map(|entry| entry.unwrap());
    let folders = folders.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut states: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    states.sort();
    assert!(states.len() >= 7, "{states:?}");
    states
}

/// The one point with these tags.
fn point(points: &[Point], measurement: &str, tags: &[(&str, &str)]) -> BTreeMap<String, Field> {
    let tags = Tags::new(tags.iter().copied());
    let mut found = points.iter().filter(|point| point.measurement == measurement && point.tags == tags);
    let point = found.next().unwrap_or_else(|| panic!("no {measurement} with {tags:?} in {points:#?}"));
    assert!(found.next().is_none(), "more than one {measurement} with {tags:?}");
    point.fields.iter().cloned().collect()
}

/// `None` for a field that must not be there.
fn check(points: &[Point], measurement: &str, tags: &[(&str, &str)], expected: &[(&str, Option<f64>)]) {
    let fields = point(points, measurement, tags);
    for (name, number) in expected {
        let got = fields.get(*name).map(|field| match field {
            Field::Float(number) => *number,
            Field::Boolean(flag) => f64::from(*flag),
            other => panic!("{name} is {other:?}"),
        });
        let close = match (got, number) {
            (Some(got), Some(number)) => (got - number).abs() <= 1e-9 * number.abs().max(1.0),
            (got, number) => got.is_none() && number.is_none(),
        };
        assert!(close, "{measurement} {tags:?} {name}: {got:?}, expected {number:?}");
    }
}

/// `UPDATE_GOLDEN=1 cargo test` writes the files anew; `git diff` then shows what dashboards will see.
#[test]
fn points_are_those_of_the_golden_files() {
    for state in states() {
        let mut encoder = Encoder::new(Dialect::INFLUXDB);
        encoder.set_tags(&Tags::new([("cluster", "ceph")]));
        points_of(&snapshot(&state)).iter().for_each(|point| point.write(&Tags::default(), &mut encoder));
        let text = String::from_utf8(encoder.lines().to_vec()).unwrap();
        let path = folder(&state).join("points.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        for (number, (got, golden)) in text.lines().zip(golden.lines()).enumerate() {
            assert_eq!(got, golden, "line {} of {}", number + 1, path.display());
        }
        assert_eq!(text.lines().count(), golden.lines().count(), "{} is of other points", path.display());
    }
}

#[test]
fn a_busy_cluster_says_what_it_does() {
    let points = points_of(&snapshot("pacific-healthy-busy"));
    check(
        &points,
        "ceph_health",
        &[],
        &[("status_code", Some(2.0)), ("slow_ops", Some(0.0)), ("num_checks", Some(0.0))],
    );
    let rates = [
        ("read_op_per_sec", Some(176.0)),
        ("write_op_per_sec", Some(127.0)),
        ("write_bytes_sec", Some(4_674_840.0)),
        // Not there, since they are zero.
        ("degraded_objects", Some(0.0)),
        ("recovering_bytes_per_sec", Some(0.0)),
        // Not there, and zero of what?
        ("degraded_total", None),
    ];
    check(&points, "ceph_pgmap", &[], &rates);
    check(&points, "ceph_monmap", &[], &[("num_mons", Some(1.0)), ("num_in_quorum", Some(1.0))]);
    check(
        &points,
        "ceph_osdmap",
        &[],
        &[("num_up_osds", Some(1.0)), ("full", Some(0.0)), ("epoch", Some(23.0))],
    );
    let data = &[("name", "default.rgw.buckets.data")][..];
    check(
        &points,
        "ceph_pool_usage",
        data,
        &[("percent_used", Some(0.025336625054478645)), ("objects", Some(1070.0))],
    );
    check(
        &points,
        "ceph_pool_stats",
        data,
        &[("write_op_per_sec", Some(71.0)), ("degraded_objects", Some(0.0))],
    );
    check(
        &points,
        "ceph_deviceclass_usage",
        &[("class", "hdd")],
        &[("total_used_bytes", Some(810_921_984.0))],
    );
    check(
        &points,
        "ceph_osd_latency",
        &[("class", "_all_")],
        &[("commit_p99_ms", Some(5.0)), ("apply_max_ms", Some(5.0))],
    );
    check(
        &points,
        "ceph_osd_class",
        &[("class", "hdd")],
        &[("num_in_osds", Some(1.0)), ("num_nearfull_osds", Some(0.0))],
    );
    // One disk, one copy: 100 of each, and it did more.
    let bound = [
        ("read_bound", Some(100.0)),
        ("write_bound", Some(100.0)),
        ("used_ratio", Some(2.94)),
        ("headroom_ratio", Some(-1.94)),
    ];
    check(&points, "ceph_iops_bound", &[("scope", "cluster")], &bound);
}

#[test]
fn a_sick_cluster_says_how() {
    let points = points_of(&snapshot("pacific-degraded"));
    let degraded = [
        ("degraded_objects", Some(1071.0)),
        ("degraded_total", Some(3018.0)),
        ("misplaced_objects", Some(0.0)),
    ];
    check(&points, "ceph_pgmap", &[], &degraded);
    let pgs = [
        ("total", Some(29.0)),
        ("active", Some(29.0)),
        ("clean", Some(25.0)),
        ("undersized", Some(4.0)),
        ("stale", Some(0.0)),
    ];
    check(&points, "ceph_pg", &[], &pgs);
    let check_tags = &[("check", "PG_DEGRADED"), ("severity", "HEALTH_WARN")][..];
    check(&points, "ceph_health_check", check_tags, &[("count", Some(4.0)), ("muted", Some(0.0))]);

    let points = points_of(&snapshot("pacific-degraded-osd-down"));
    check(
        &points,
        "ceph_osd_class",
        &[("class", "hdd")],
        &[("num_up_osds", Some(0.0)), ("num_in_osds", Some(1.0))],
    );
    // The manager goes on telling what the dead OSD said last.
    let dead =
        [("up", Some(0.0)), ("commit_latency_ms", None), ("utilization_percent", None), ("pgs", Some(29.0))];
    check(&points, "ceph_osd_perf", &[("osd", "0"), ("class", "hdd")], &dead);
    assert!(!points.iter().any(|point| point.measurement == "ceph_osd_latency"));
    check(&points, "ceph_pg", &[], &[("stale", Some(29.0))]);

    let points = points_of(&snapshot("pacific-degraded-osd-out"));
    check(
        &points,
        "ceph_osd_class",
        &[("class", "hdd")],
        &[("num_up_osds", Some(1.0)), ("num_in_osds", Some(0.0)), ("utilization_max_percent", None)],
    );
    check(
        &points,
        "ceph_iops_bound",
        &[("scope", "cluster")],
        &[("osds", Some(0.0)), ("read_bound", Some(0.0)), ("used_ratio", None)],
    );
}

#[test]
fn luminous_is_understood() {
    let points = points_of(&snapshot("luminous"));
    // `overall_status` says HEALTH_ERR.
    check(
        &points,
        "ceph_health",
        &[],
        &[("status_code", Some(1.0)), ("slow_ops", Some(4.0)), ("num_mutes", None)],
    );
    assert!(!point(&points, "ceph_health", &[]).contains_key("overall_status"));
    let down = &[("check", "MON_DOWN"), ("severity", "HEALTH_WARN")][..];
    check(&points, "ceph_health_check", down, &[("count", Some(1.0))]);
    check(&points, "ceph_monmap", &[], &[("num_mons", Some(3.0)), ("num_in_quorum", Some(2.0))]);
    check(&points, "ceph_mgrmap", &[], &[("available", Some(1.0)), ("num_standbys", Some(1.0))]);
    check(
        &points,
        "ceph_osdmap",
        &[],
        &[("num_up_osds", Some(5.0)), ("full", Some(0.0)), ("nearfull", Some(1.0))],
    );
    check(&points, "ceph_pgmap", &[], &[("read_op_per_sec", Some(30.0)), ("write_op_per_sec", Some(0.0))]);
    check(&points, "ceph_pg", &[], &[("scrubbing", Some(1.0)), ("deep_scrubbing", Some(1.0))]);
    // Of 100, however small.
    check(
        &points,
        "ceph_pool_usage",
        &[("name", "data")],
        &[("percent_used", Some(0.5025)), ("stored", None)],
    );
    check(
        &points,
        "ceph_pool_usage",
        &[("name", "index")],
        &[("percent_used", Some(0.009)), ("max_avail", None)],
    );
    check(
        &points,
        "ceph_osd_latency",
        &[("class", "hdd")],
        &[("osds", Some(3.0)), ("commit_p50_ms", Some(30.0)), ("commit_max_ms", Some(40.0))],
    );
    check(
        &points,
        "ceph_osd_perf",
        &[("osd", "3"), ("class", "hdd")],
        &[("utilization_percent", None), ("commit_latency_ms", Some(40.0))],
    );
    check(
        &points,
        "ceph_osd_class",
        &[("class", "hdd")],
        &[("num_osds", Some(4.0)), ("num_up_osds", Some(3.0)), ("num_nearfull_osds", Some(1.0))],
    );
    // k + m = 3; osd.0 is filestore, osd.1 is too, but down.
    let bound = [
        ("osds", Some(3.0)),
        ("replicas", Some(3.0)),
        ("read_bound", Some(100.0)),
        ("write_bound", Some(250.0 / 3.0)),
    ];
    check(&points, "ceph_iops_bound", &[("scope", "pool"), ("class", "hdd"), ("name", "data")], &bound);
    let no_figure = [("osds", Some(2.0)), ("read_bound", None), ("read_ops", Some(0.0))];
    check(&points, "ceph_iops_bound", &[("scope", "pool"), ("class", "ssd"), ("name", "index")], &no_figure);
}

#[test]
fn nautilus_is_understood() {
    let points = points_of(&snapshot("nautilus"));
    check(&points, "ceph_health", &[], &[("slow_ops", Some(31.0)), ("slow_ops_oldest_seconds", Some(37.0))]);
    check(&points, "ceph_osdmap", &[], &[("num_in_osds", Some(5.0)), ("nearfull", Some(1.0))]);
    check(&points, "ceph_pgmap", &[], &[("unfound_objects", Some(1.0)), ("misplaced_ratio", Some(0.023333))]);
    check(
        &points,
        "ceph_pg",
        &[],
        &[("recovering", Some(2.0)), ("backfilling", Some(2.0)), ("remapped", Some(2.0))],
    );
    check(
        &points,
        "ceph_pool_usage",
        &[("name", "data")],
        &[("percent_used", Some(0.0441)), ("stored", Some(614_400.0))],
    );
    check(&points, "ceph_osd_perf", &[("osd", "0"), ("class", "hdd")], &[("commit_latency_ms", Some(10.5))]);
    check(
        &points,
        "ceph_osd_class",
        &[("class", "ssd")],
        &[("num_up_osds", Some(2.0)), ("num_in_osds", Some(1.0))],
    );
}

/// A measurement that Telegraf has as well has the same fields and types.
#[test]
fn telegrafs_names_and_types_are_kept() {
    let telegraf: &[(&str, &[&str])] = &[
        ("ceph_osdmap", &["epoch", "num_osds", "num_up_osds", "num_in_osds", "num_remapped_pgs"]),
        (
            "ceph_pgmap",
            &[
                "num_pgs",
                "data_bytes",
                "bytes_used",
                "bytes_avail",
                "bytes_total",
                "read_bytes_sec",
                "write_bytes_sec",
                "read_op_per_sec",
                "write_op_per_sec",
                "degraded_ratio",
                "recovering_objects_per_sec",
            ],
        ),
        ("ceph_pgmap_state", &["count"]),
        (
            "ceph_usage",
            &[
                "total_bytes",
                "total_used_bytes",
                "total_avail_bytes",
                "total_used_raw_bytes",
                "total_used_raw_ratio",
                "num_osds",
            ],
        ),
        ("ceph_pool_usage", &["bytes_used", "kb_used", "max_avail", "objects", "percent_used", "stored"]),
        (
            "ceph_pool_stats",
            &[
                "read_bytes_sec",
                "write_bytes_sec",
                "read_op_per_sec",
                "write_op_per_sec",
                "recovering_objects_per_sec",
                "recovering_bytes_per_sec",
                "recovering_keys_per_sec",
            ],
        ),
        (
            "ceph_deviceclass_usage",
            &[
                "total_bytes",
                "total_avail_bytes",
                "total_used_bytes",
                "total_used_raw_bytes",
                "total_used_raw_ratio",
            ],
        ),
        ("ceph_monmap", &["num_mons"]),
    ];
    let points = points_of(&snapshot("nautilus"));
    for (measurement, fields) in telegraf {
        let point = points.iter().find(|point| point.measurement == *measurement).unwrap();
        for field in *fields {
            let value = point.fields.iter().find_map(|(name, value)| (name == field).then_some(value));
            assert!(matches!(value, Some(Field::Float(_))), "{measurement} {field}: {value:?}");
        }
    }
    let osdmap = point(&points, "ceph_osdmap", &[]);
    assert!(matches!((&osdmap["full"], &osdmap["nearfull"]), (Field::Boolean(_), Field::Boolean(_))));
    let health = point(&points, "ceph_health", &[]);
    assert!(matches!((&health["status"], &health["status_code"]), (Field::Text(_), Field::Float(_))));
}

#[test]
fn names_are_declared() {
    let (mut measurements, mut tags, mut fields) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for state in states() {
        for point in points_of(&snapshot(&state)) {
            tags.extend(point.tags.iter().map(|(key, _)| key.to_owned()));
            fields.extend(point.fields.iter().map(|(key, _)| key.clone()));
            measurements.insert(point.measurement);
        }
    }
    let declared: BTreeSet<String> = MEASUREMENTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    measurements.insert("ceph_collector".into());
    assert_eq!(measurements, declared);
    assert!(tags.iter().all(|tag| TAGS.contains(&tag.as_str())), "{tags:?}");
    let undeclared: Vec<_> = fields.iter().filter(|field| !FIELDS.contains(&field.as_str())).collect();
    assert!(undeclared.is_empty(), "{undeclared:?}");
    assert!(FIELDS.is_sorted() && TAGS.is_sorted());
}

#[test]
fn nothing_old_is_said_as_new() {
    // A monitor goes on telling what the last manager said.
    let without_manager = |state| {
        let mut snapshot = snapshot(state);
        snapshot.status.as_mut().unwrap().mgr_available = Some(false);
        points_of(&snapshot)
    };
    let points = without_manager("pacific-healthy-busy");
    let names: BTreeSet<&str> = points.iter().map(|point| point.measurement.as_str()).collect();
    let from_monitors =
        ["ceph_health", "ceph_mgrmap", "ceph_monmap", "ceph_osd_class", "ceph_osd_perf", "ceph_osdmap"];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), from_monitors);
    check(&points, "ceph_osd_perf", &[("osd", "0"), ("class", "hdd")], &[("up", Some(1.0)), ("pgs", None)]);
    // Without a status nobody confirms that the map of OSDs still is what it was.
    let mut silent = snapshot("pacific-healthy-busy");
    silent.status = None;
    let points = points_of(&silent);
    let up = points.iter().flat_map(|point| &point.fields).filter(|(name, _)| name.contains("up"));
    assert_eq!(up.count(), 0);
    assert!(points.iter().any(|point| point.measurement == "ceph_usage"));
    assert!(!points.iter().any(|point| point.measurement == "ceph_iops_bound"));
}

#[test]
fn without_points_of_osds_their_classes_stay() {
    let points = write_points(&snapshot("luminous"), &IopsSettings::default(), false, TIME);
    assert!(!points.iter().any(|point| point.measurement == "ceph_osd_perf"));
    assert!(points.iter().any(|point| point.measurement == "ceph_osd_class"));
}

#[test]
fn what_is_missing_is_left_out_and_what_is_strange_ignored() {
    let mut snapshot = Snapshot::default();
    snapshot
        .take(
            Question::Status,
            br#"{"health":{"status":"HEALTH_NEW"},"osdmap":[],"pgmap":{"num_pgs":"12","x":{}}}"#,
        )
        .unwrap();
    let points = points_of(&snapshot);
    check(&points, "ceph_health", &[], &[("status_code", None), ("num_checks", Some(0.0))]);
    check(
        &points,
        "ceph_pgmap",
        &[],
        &[("num_pgs", Some(12.0)), ("read_op_per_sec", Some(0.0)), ("bytes_used", None)],
    );
    assert!(
        !points
            .iter()
            .any(|point| ["ceph_osdmap", "ceph_monmap", "ceph_mgrmap"].contains(&point.measurement.as_str()))
    );
    // No manager has ever reported: nothing is known, which is not nothing.
    let mut snapshot = Snapshot::default();
    snapshot.take(Question::Status, br#"{"health":{"status":"HEALTH_OK"},"pgmap":{}}"#).unwrap();
    assert_eq!(points_of(&snapshot).len(), 1);
}

#[test]
fn an_answer_to_another_question_is_an_error_and_changes_nothing() {
    for asked in Question::ALL {
        for answered in Question::ALL {
            let mut snapshot = Snapshot::default();
            let taken = snapshot.take(asked, &said("nautilus", answered));
            // Lists of anything look alike, and so do trees and usage.
            let lists = [Question::PoolStats, Question::CrushRules, Question::OsdMetadata];
            let nodes = [Question::OsdDf, Question::OsdTree];
            let alike =
                [&lists[..], &nodes[..]].iter().any(|set| set.contains(&asked) && set.contains(&answered));
            if asked == answered {
                taken.unwrap();
            } else if !alike {
                assert!(
                    matches!(taken, Err(DecodeError::NotIt { .. })),
                    "{asked:?} from {answered:?}: {taken:?}"
                );
                assert_eq!(snapshot, Snapshot::default());
            }
        }
        let garbage = Snapshot::default().take(asked, b"Error EINVAL: invalid command").unwrap_err();
        assert!(matches!(garbage, DecodeError::NotJson(_)));
    }
}
