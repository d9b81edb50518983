//! Every number of `rgw_node` and `rgw_bucket` against a count by another program (tests/oracle.py), which keeps all
//! values and sorts them: percentiles to 1 %, everything else exactly.
#![cfg(feature = "cli")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use support::influx::InfluxDb;
use support::points::{self, Point};
use support::site::{Site, count_lines};
use support::traffic::{self, Random};

const NODE_MS: i64 = 1_000;
const BUCKET_MS: i64 = 2_000;

/// Measurement, start of the window, bucket, class, size.
type Key = (String, i64, String, String, String);
type Numbers = BTreeMap<String, f64>;

/// What a series has to be: what is exact, and what may be 1 % off.
type Counts = BTreeMap<Key, (Numbers, Numbers)>;

/// Forty seconds of requests, half a second out of order at most: no line is late.
fn log(site: &Site) -> Counts {
    let mut random = Random(5);
    let start = (traffic::now_ms() - 3_600_000) / 10_000 * 10_000;
    let line = |n: i64| traffic::line(&mut random, start + n * 2 - (n * 7_919) % 500);
    let text: String = (0..20_000).map(line).collect();
    fs::write(site.log(), text).expect("write");
    let counts = oracle(&site.log());
    // The log has what it is there for.
    let most = |field: &str| {
        counts.values().filter_map(|(exact, _)| exact.get(field)).fold(0.0, |a: f64, b| a.max(*b))
    };
    assert!(most("latency_max_ms") > 10_000.0 && most("bytes_in") > 1e8 && most("bytes_out") > 1e8);
    for field in ["errors_4xx", "errors_5xx", "aborted"] {
        assert!(most(field) > 0.0, "no {field}");
    }
    assert!(
        counts.values().any(|(_, near)| near.values().any(|time| *time > 10_000.0)),
        "no percentile is long"
    );
    counts
}

fn oracle(log: &Path) -> Counts {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(log).args([NODE_MS.to_string(), BUCKET_MS.to_string()]);
    let output = python
        .output()
        .unwrap_or_else(|error| panic!("this test needs python3 ({error}): apt-get install python3"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let word = |key: &str| row[key].as_str().expect("a text").to_owned();
        let numbers = |key: &str| serde_json::from_value(row[key].clone()).expect("numbers");
        let start = row["start"].as_i64().expect("a time");
        let key = (word("measurement"), start, word("bucket"), word("class"), word("size"));
        (key, (numbers("exact"), numbers("near")))
    };
    text.lines().map(row).collect()
}

/// Compares series by series, number by number.
fn assert_same(expected: &Counts, got: &BTreeMap<Key, Numbers>) {
    let keys: BTreeSet<&Key> = expected.keys().chain(got.keys()).collect();
    let mut differences = Vec::new();
    for key in keys {
        let (Some((exact, near)), Some(got)) = (expected.get(key), got.get(key)) else {
            differences.push(format!("{key:?}: only one has it"));
            continue;
        };
        let differs = |field: &String, wanted: f64, tolerance: f64| {
            let is = got.get(field).copied();
            let same = is.is_some_and(|is| (is - wanted).abs() <= tolerance);
            (!same).then(|| format!("{key:?}: {field} is {wanted}, we say {is:?}"))
        };
        differences.extend(exact.iter().filter_map(|(field, wanted)| differs(field, *wanted, wanted * 1e-9)));
        differences.extend(near.iter().filter_map(|(field, wanted)| differs(field, *wanted, wanted * 0.01)));
        if near.is_empty() && got.contains_key("latency_p99_ms") {
            differences.push(format!("{key:?}: has percentiles of nothing"));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences: {:#?}",
        differences.len(),
        &differences[..differences.len().min(10)]
    );
}

/// Start of the window of a point. What a new store begins in has a number of its own, some milliseconds later.
fn start(measurement: &str, time_ms: i64) -> i64 {
    let length = if measurement == "rgw_node" { NODE_MS } else { BUCKET_MS };
    time_ms - time_ms.rem_euclid(length)
}

#[test]
fn replay_says_what_the_oracle_says() {
    let site = Site::new("rgwlens");
    let expected = log(&site);
    let said = site.succeed(&["replay", "--to", "stdout", &site.log().display().to_string()]);
    let compared = |point: &Point| matches!(&*point.measurement, "rgw_node" | "rgw_bucket");
    let mut got = BTreeMap::new();
    for point in points::parse(&said).into_iter().filter(compared) {
        let start = start(&point.measurement, point.time_ns / 1_000_000);
        let tag = |key: &str| point.tag(key).to_owned();
        let key = (point.measurement.clone(), start, tag("bucket"), tag("class"), tag("size"));
        assert!(got.insert(key, point.numbers).is_none(), "a series has two points in a window");
    }
    assert_same(&expected, &got);
}

#[test]
fn run_writes_to_influxdb_what_the_oracle_says() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "percentiles");
    let expected = log(&site);
    let daemon = site.run();
    site.drain(daemon, count_lines(&[&site.log()]));
    let mut got = BTreeMap::new();
    for measurement in ["rgw_node", "rgw_bucket"] {
        let answer = influx.query("percentiles", &format!("SELECT * FROM {measurement}"));
        let series = answer.pointer("/results/0/series/0").expect("points");
        let columns: Vec<&str> =
            series["columns"].as_array().expect("columns").iter().filter_map(|name| name.as_str()).collect();
        for row in series["values"].as_array().expect("rows") {
            let column = |name: &str| columns.iter().position(|column| *column == name).map(|at| &row[at]);
            let text = |name| column(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
            let time_ms = column("time").and_then(serde_json::Value::as_i64).expect("a time");
            let key = (
                measurement.to_owned(),
                start(measurement, time_ms),
                text("bucket"),
                text("class"),
                text("size"),
            );
            let numbers = columns.iter().zip(row.as_array().expect("a row"));
            let numbers =
                numbers.filter_map(|(name, value)| Some(((*name).to_owned(), value.as_f64()?))).collect();
            assert!(got.insert(key, numbers).is_none(), "a series has two points in a window");
        }
    }
    assert_same(&expected, &got);
}
