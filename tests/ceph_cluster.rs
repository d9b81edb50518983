//! The collector against a real cluster, well and sick, and what arrives in a real InfluxDB.
#![cfg(feature = "cli")]

mod support;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

use rgwlens::{
    ceph::{Asked, Collector, CommandError, Failure, Outcome, Settings},
    point::{Field, Tags},
};
use serde_json::Value;
use support::{ceph::Cluster, influx::InfluxDb, process::Process, wait_for};

/// Of the rounds of these tests.
const TIME: i64 = 1_800_000_000_000_000_000;

fn settings(cluster: &Cluster, timeout: Duration) -> Settings {
    Settings { conf: Some(cluster.conf().display().to_string()), timeout, ..Settings::default() }
}

fn round(collector: &mut Collector) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        collector.round(TIME, deadline, 0).await
    })
}

/// The fields of one point, as numbers; texts and truths as their text.
fn fields(outcome: &Outcome, measurement: &str, tags: &[(&str, &str)]) -> BTreeMap<String, Value> {
    let tags = Tags::new(tags.iter().copied());
    let found = outcome.points.iter().find(|point| point.measurement == measurement && point.tags == tags);
    let value = |field: &Field| match field {
        Field::Integer(number) => (*number).into(),
        Field::Float(number) => (*number).into(),
        Field::Boolean(truth) => (*truth).into(),
        Field::Text(text) => text.as_str().into(),
    };
    let fields =
        found.map(|point| point.fields.iter().map(|(name, field)| (name.clone(), value(field))).collect());
    fields.unwrap_or_default()
}

/// Fields of a point that are numbers of Ceph's own answer.
fn assert_same(outcome: &Outcome, measurement: &str, said: &Value, names: &[&str]) {
    let fields = fields(outcome, measurement, &[]);
    for name in names {
        // What Ceph leaves out is zero.
        let expected = said[name].as_f64().unwrap_or(0.0);
        let got = fields.get(*name).and_then(Value::as_f64);
        assert_eq!(got, Some(expected), "{measurement} {name}, of {said:#}");
    }
}

const OSDMAP: &[&str] = &["epoch", "num_osds", "num_up_osds", "num_in_osds", "num_remapped_pgs"];
const PGMAP: &[&str] = &[
    "num_pgs",
    "num_pools",
    "num_objects",
    "data_bytes",
    "bytes_used",
    "bytes_avail",
    "bytes_total",
    "degraded_objects",
    "degraded_ratio",
    "misplaced_objects",
    "unfound_objects",
    "read_op_per_sec",
    "write_op_per_sec",
    "recovering_objects_per_sec",
];

/// A round during which Ceph says the same before and after; and what it says.
fn quiet_round(cluster: &Cluster, collector: &mut Collector) -> (Outcome, Value) {
    wait_for("a moment in which nothing changes", || {
        let before = cluster.status();
        let outcome = round(collector);
        let after = cluster.status();
        let same = ["health", "osdmap", "pgmap"].iter().all(|part| before[part] == after[part]);
        same.then_some((outcome, after))
    })
}

fn assert_says_what_ceph_says(outcome: &Outcome, said: &Value) {
    assert_same(outcome, "ceph_osdmap", &said["osdmap"], OSDMAP);
    assert_same(outcome, "ceph_pgmap", &said["pgmap"], PGMAP);
    let health = fields(outcome, "ceph_health", &[]);
    assert_eq!(health["status"], said["health"]["status"]);
    let checks = said["health"]["checks"].as_object().expect("checks");
    assert_eq!(health["num_checks"], Value::from(checks.len() as f64));
    for (name, check) in checks {
        let severity = check["severity"].as_str().expect("a severity");
        let point = fields(outcome, "ceph_health_check", &[("check", name), ("severity", severity)]);
        assert_eq!(point["count"].as_f64(), check["summary"]["count"].as_f64(), "{name}");
        assert_eq!(point["message"], check["summary"]["message"], "{name}");
    }
    for state in said["pgmap"]["pgs_by_state"].as_array().expect("states") {
        let name = state["state_name"].as_str().expect("a name");
        let point = fields(outcome, "ceph_pgmap_state", &[("state", name)]);
        assert_eq!(point["count"].as_f64(), state["count"].as_f64(), "{name}");
    }
}

#[test]
fn points_are_what_ceph_says_of_a_cluster_well_sick_and_frozen() {
    let mut cluster = Cluster::start(3);
    let mut collector = Collector::new(settings(&cluster, Duration::from_secs(20)), "gw1");
    cluster.ceph(&["osd", "pool", "create", "data", "8"]);
    cluster.ceph(&["osd", "pool", "application", "enable", "data", "rgw"]);
    let file = cluster.path("object");
    fs::write(&file, vec![7; 100_000]).expect("write");
    for n in 0..20 {
        let object = format!("object-{n}");
        cluster
            .tool("rados", &["-p", "data", "put", &object, file.to_str().expect("a path")])
            .expect("rados");
    }
    wait_for("a healthy cluster", || {
        let status = cluster.status();
        let objects = status["pgmap"]["num_objects"].as_u64() >= Some(20);
        (objects && status["health"]["status"] == "HEALTH_OK").then_some(())
    });

    let (well, said) = quiet_round(&cluster, &mut collector);
    let failed: Vec<_> = well.asked.iter().filter(|asked| asked.answer.is_err()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_says_what_ceph_says(&well, &said);
    let df: Value = serde_json::from_str(&cluster.ceph(&["--format", "json", "df", "detail"])).expect("JSON");
    assert_same(&well, "ceph_usage", &df["stats"], &["total_bytes", "num_osds"]);
    let pool = fields(&well, "ceph_pool_usage", &[("name", "data")]);
    assert_eq!((pool["objects"].as_f64(), pool["stored"].as_f64()), (Some(20.0), Some(2_000_000.0)));
    // Three OSDs of a virtual disk's class, three copies, bluestore: all as the real answers say.
    let class = fields(&well, "ceph_osd_class", &[("class", "_all_")]);
    assert_eq!((class["num_osds"].as_f64(), class["num_up_osds"].as_f64()), (Some(3.0), Some(3.0)));
    let bound = well
        .points
        .iter()
        .find(|point| point.measurement == "ceph_iops_bound" && point.tags.get("name") == Some("data"));
    let bound = bound.unwrap_or_else(|| panic!("no bound: {:#?}", well.points));
    let device_class = bound.tags.get("class").expect("a class").to_owned();
    let bound =
        fields(&well, "ceph_iops_bound", &[("scope", "pool"), ("class", &device_class), ("name", "data")]);
    assert_eq!((bound["osds"].as_f64(), bound["replicas"].as_f64()), (Some(3.0), Some(3.0)));
    if device_class == "hdd" {
        assert_eq!((bound["read_bound"].as_f64(), bound["write_bound"].as_f64()), (Some(100.0), Some(100.0)));
    }
    let latency = fields(&well, "ceph_osd_latency", &[("class", "_all_")]);
    assert_eq!(latency["osds"].as_f64(), Some(3.0), "{latency:?}");

    // An OSD ends, and once Ceph has noticed, the next round says so.
    cluster.stop("osd.2");
    wait_for("Ceph notices", || {
        let status = cluster.status();
        let degraded = status["pgmap"]["degraded_objects"].as_u64() > Some(0);
        (status["osdmap"]["num_up_osds"] == 2 && degraded).then_some(())
    });
    let (sick, said) = quiet_round(&cluster, &mut collector);
    assert_says_what_ceph_says(&sick, &said);
    let class = fields(&sick, "ceph_osd_class", &[("class", "_all_")]);
    assert_eq!((class["num_osds"].as_f64(), class["num_up_osds"].as_f64()), (Some(3.0), Some(2.0)));
    assert_eq!(fields(&sick, "ceph_health", &[])["status"], "HEALTH_WARN");
    let dead = fields(&sick, "ceph_osd_perf", &[("osd", "2"), ("class", &device_class)]);
    assert_eq!((&dead["up"], dead.get("commit_latency_ms")), (&Value::Bool(false), None));

    // The monitor hangs: every command is given up in its time, and nothing is said about the cluster.
    collector = Collector::new(settings(&cluster, Duration::from_secs(2)), "gw1");
    cluster.freeze("mon.a");
    let began = Instant::now();
    let frozen = round(&mut collector);
    assert!(began.elapsed() < support::PATIENCE, "{:?}", began.elapsed());
    assert!(!frozen.is_answered() && frozen.asked.len() == 5, "{:?}", frozen.asked);
    assert!(frozen.points.iter().all(|point| point.measurement == "ceph_collector"), "{:#?}", frozen.points);
    cluster.thaw("mon.a");
    // Nothing that was killed is in the way of the next command.
    let after = round(&mut collector);
    let lingers =
        |asked: &Asked| matches!(asked.answer, Err(Failure::Command(CommandError::StillRunning(_))));
    assert!(!after.asked.iter().any(lingers), "{:?}", after.asked);
    let mut patient = Collector::new(settings(&cluster, Duration::from_secs(20)), "gw1");
    wait_for("an answer to everything", || {
        let again = round(&mut patient);
        again.asked.iter().all(|asked| asked.answer.is_ok()).then_some(())
    });
}

/// A daemon that follows no log: only the collector.
struct Daemon {
    folder: tempfile::TempDir,
    process: Process,
}

impl Daemon {
    fn start(cluster: &Cluster, influx: &InfluxDb, database: &str, name: &str, node: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |file: &str| folder.path().join(file).display().to_string();
        let mut text = format!(
            "log = []\ncluster = {name:?}\nnode = {node:?}\n[store]\npath = {:?}\n",
            path("store.db")
        );
        let conf = cluster.conf();
        write!(text, "[ceph]\nenabled = true\ninterval = \"10s\"\ntimeout = \"8s\"\nconf = {conf:?}\n")
            .expect("a text");
        fs::write(folder.path().join("password"), &influx.password).expect("write");
        write!(
            text,
            "[[output]]\nkind = \"influxdb1\"\nurl = {:?}\ndatabase = {database:?}\nuser = {:?}\npassword_file = {:?}\n",
            influx.url, influx.user, path("password")
        )
        .expect("a text");
        fs::write(folder.path().join("rgwlens.toml"), text).expect("write");
        let log = File::create(folder.path().join("daemon.log")).expect("a log");
        let mut command = program(&folder.path().join("rgwlens.toml"));
        command.arg("run").stdout(log.try_clone().expect("a handle")).stderr(log);
        Self { process: Process::start(&mut command).expect("the program starts"), folder }
    }

    fn says(&self, arguments: &[&str]) -> Output {
        program(&self.folder.path().join("rgwlens.toml"))
            .args(arguments)
            .output()
            .expect("the program starts")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default()
    }
}

fn program(config: &PathBuf) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rgwlens"));
    command.arg("--config").arg(config);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Two gateways ask one cluster, a third another (the same one under another name), and all write to one database.
#[test]
fn two_collectors_of_a_cluster_are_harmless_and_two_clusters_stay_apart() {
    let mut cluster = Cluster::start(2);
    let influx = InfluxDb::start();
    influx.database("ceph");
    let first = Daemon::start(&cluster, &influx, "ceph", "prod", "gw1");
    let second = Daemon::start(&cluster, &influx, "ceph", "prod", "gw2");
    let other = Daemon::start(&cluster, &influx, "ceph", "lab", "gw3");
    let rows = |statement: &str| influx.rows("ceph", statement);
    let times = |name: &str, node: &str| {
        let asked = format!(
            "SELECT ok FROM ceph_collector WHERE cluster = '{name}' AND node = '{node}' AND command = 'status' AND ok = true"
        );
        rows(&asked).into_iter().filter_map(|row| row[0].as_i64()).collect::<Vec<_>>()
    };
    let both = wait_for("a round that both have asked, and one of the other's", || {
        let (a, b) = (times("prod", "gw1"), times("prod", "gw2"));
        let both: Vec<i64> = a.into_iter().filter(|time| b.contains(time)).collect();
        (!both.is_empty() && !times("lab", "gw3").is_empty()).then_some(both)
    });
    for time in both {
        assert_eq!(time % 10_000, 0, "rounds have the time that was planned");
        for (measurement, field) in
            [("ceph_osdmap", "num_up_osds"), ("ceph_monmap", "num_mons"), ("ceph_health", "status_code")]
        {
            let of = |name: &str| {
                let ns = time * 1_000_000;
                rows(&format!("SELECT {field} FROM {measurement} WHERE cluster = '{name}' AND time = {ns}"))
            };
            assert_eq!(of("prod").len(), 1, "{measurement} of two who asked is one point");
        }
    }
    let up = rows("SELECT max(num_up_osds), min(num_up_osds) FROM ceph_osdmap");
    assert_eq!((&up[0][1], &up[0][2]), (&Value::from(2), &Value::from(2)));
    let series = influx.query("ceph", "SHOW SERIES FROM ceph_osdmap");
    let series = series.pointer("/results/0/series/0/values").cloned().unwrap_or_default();
    assert_eq!(series, serde_json::json!([["ceph_osdmap,cluster=lab"], ["ceph_osdmap,cluster=prod"]]));
    assert!(!first.log().contains("writes as"), "{}", first.log());

    // What it keeps, it can tell; and it does not tell of a log.
    let page = wait_for("a report", || {
        let report = first.says(&["report"]);
        assert!(report.status.success(), "{}", text(&report.stderr));
        let page = text(&report.stdout);
        page.contains("HEALTH_").then_some(page)
    });
    assert!(page.contains("Ceph: cluster prod") && !page.contains("Nothing was counted"), "{page}");
    let status = first.says(&["status"]);
    assert!(status.status.success(), "{}{}", text(&status.stdout), text(&status.stderr));
    let check = text(&first.says(&["check"]).stdout);
    assert!(check.contains("ceph: answers: HEALTH_"), "{check}");

    // The monitor hangs for a few rounds: they are told as failed, and the one after it is well again.
    let failed = || {
        let asked =
            "SELECT count(ok) FROM ceph_collector WHERE node = 'gw1' AND command = '_round_' AND ok = false";
        rows(asked).first().and_then(|row| row[1].as_u64()).unwrap_or(0)
    };
    let before = failed();
    cluster.freeze("mon.a");
    wait_for("a round that failed", || (failed() > before).then_some(()));
    cluster.thaw("mon.a");
    let last = || times("prod", "gw1").into_iter().max();
    let frozen = last();
    wait_for("a round that is well", || (last() > frozen).then_some(()));
    assert!(first.log().contains("gave no answer"), "{}", first.log());
    for daemon in [first, second, other] {
        let log = daemon.log();
        assert_eq!(daemon.process.end("TERM"), Some(0), "{log}");
    }
}

#[test]
fn one_round_is_shown_to_people_and_machines() {
    let cluster = Cluster::start(1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("rgwlens.toml");
    let conf = cluster.conf();
    fs::write(&config, format!("node = \"gw1\"\n[tags]\nsite = \"berlin\"\n[ceph]\nconf = {conf:?}\n"))
        .expect("write");
    let run = |arguments: &[&str]| program(&config).args(arguments).output().expect("the program starts");
    let lines = run(&["ceph"]);
    assert!(lines.status.success(), "{}", text(&lines.stderr));
    let points = support::points::parse(&text(&lines.stdout));
    let osdmap = points.iter().find(|point| point.measurement == "ceph_osdmap").expect("a map");
    assert_eq!((osdmap.tag("cluster"), osdmap.tag("site")), ("ceph", "berlin"));
    let table = text(&run(&["ceph", "--table"]).stdout);
    assert!(table.contains("Ceph: cluster ceph") && table.contains("PGs"), "{table}");
    let json: Value = serde_json::from_slice(&run(&["ceph", "--json"]).stdout).expect("JSON");
    assert_eq!(json["asked"].as_array().expect("a list").len(), 9, "{json:#}");
    assert_eq!(json["tags"]["cluster"], "ceph");
    // Nobody there.
    fs::write(&config, "[ceph]\ncommand = \"/nowhere/ceph\"\n").expect("write");
    let nobody = run(&["ceph"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("cannot start \"/nowhere/ceph\""), "{}", text(&nobody.stderr));
    assert!(text(&nobody.stdout).lines().all(|line| line.starts_with("ceph_collector,")));
}
