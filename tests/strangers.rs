//! What strangers can do to us, who choose every name and every header: without end, they get neither series nor memory.
//! The short form runs with all tests; `scripts/torture names` tries a million.
#![cfg(feature = "cli")]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use support::influx::InfluxDb;
use support::nginx::{self, Nginx};
use support::points;
use support::site::Site;
use support::traffic::{Random, line, now_ms};
use support::wait_for;

/// How long a run: the variable, or what all tests take.
fn setting(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Where this is run by hand, it says what came of it.
fn say(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// How many real buckets are used meanwhile, and how often: one line in so many.
const REAL: u64 = 10;
const ONE_IN: u64 = 20;

/// Before anybody tries names: as long as it takes until a bucket counts as known.
const QUIET_MS: i64 = 120_000;

/// A log of a quarter of an hour: buckets that are in use, and from the third minute on as many invented names as are
/// tried, none with a success. What each real bucket counts, and all lines.
fn attack(log: &Path, names: u64) -> (BTreeMap<String, u64>, u64) {
    let mut random = Random(12);
    let mut out = BufWriter::new(File::create(log).expect("create"));
    let lines = names * 15 / 13 * ONE_IN / (ONE_IN - 1);
    let start = (now_ms() - 3_600_000) / 60_000 * 60_000;
    let (mut real, mut all) = (BTreeMap::new(), 0);
    for n in 0..lines {
        let time = start + (n * 900_000 / lines) as i64;
        // Somebody else's line, with our names and statuses in their places.
        let text = line(&mut random, time);
        let (head, rest) = text.split_once("\"s3.example.com\" \"").expect("a host");
        let (_, tail) = rest.split_once('"').expect("a request");
        let (request, status) = if n % ONE_IN == 0 || time < start + QUIET_MS {
            let bucket = format!("real{}", random.below(REAL));
            *real.entry(bucket.clone()).or_default() += 1;
            (format!("GET /{bucket}/k HTTP/1.1"), 200)
        } else {
            let name = random.next();
            // 404 and 403 of the gateway, and a redirect of nginx's own.
            let status = random.of(&[404, 404, 404, 403, 301]);
            let request = match random.below(4) {
                0 => format!("GET /swift/v1/{name:x}/k HTTP/1.1"),
                1 => format!("GET /{name:x}:{name:x}/k HTTP/1.1"),
                _ => format!("PUT /{name:x}-{n} HTTP/1.1"),
            };
            (request, status)
        };
        // msec, time, address, status: no name can put a blank before these.
        let fields: Vec<&str> = head.splitn(5, ' ').collect();
        let head = format!("{} {} {} {status} {}", fields[0], fields[1], fields[2], fields[4]);
        writeln!(out, "{head}\"s3.example.com\" \"{request}\"{}", tail.trim_end()).expect("write");
        all += 1;
    }
    out.flush().expect("write");
    (real, all)
}

/// The greatest resident memory of a process so far, KiB.
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Requests by bucket.
fn by_bucket(influx: &InfluxDb, database: &str) -> BTreeMap<String, u64> {
    let answer = influx.query(database, "SELECT sum(\"requests\") FROM \"rgw_bucket\" GROUP BY \"bucket\"");
    let series = answer.pointer("/results/0/series").and_then(|series| series.as_array().cloned());
    let of = |series: serde_json::Value| {
        let count = series.pointer("/values/0/1").and_then(serde_json::Value::as_u64).unwrap_or_default();
        (series["tags"]["bucket"].as_str().unwrap_or_default().to_owned(), count)
    };
    series.unwrap_or_default().into_iter().map(of).collect()
}

/// What is in InfluxDB: every line, each real bucket, and one name for all others.
fn assert_bounded(influx: &InfluxDb, database: &str, real: &BTreeMap<String, u64>, lines: u64) {
    influx.assert_counted_once(database, lines);
    let mut expected = real.clone();
    expected.insert("_unknown_".to_owned(), lines - real.values().sum::<u64>());
    assert_eq!(by_bucket(influx, database), expected);
}

fn series(influx: &InfluxDb, database: &str) -> u64 {
    influx.rows(database, "SHOW SERIES").len() as u64
}

#[test]
fn c12_a_million_bucket_names() {
    let names = setting("TORTURE_NAMES", 30_000);
    let influx = InfluxDb::start();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "run");
    // The windows that are the default.
    site.replace("node = \"1s\"\nbucket = \"2s\"", "node = \"10s\"\nbucket = \"60s\"");
    if names < 1_000_000 {
        // So that fewer names than fill the memory of a window fill it here too.
        site.replace("[windows]", "[buckets]\ncandidates = 500\n[windows]");
    }
    let (real, lines) = attack(&site.log(), names);
    let daemon = site.start();
    wait_for_lines(&site, lines);
    let memory = peak_memory(daemon.id());
    site.drain(daemon, lines);
    assert_bounded(&influx, "run", &real, lines);
    assert!(memory < 256 << 10, "{memory} KiB at its peak");

    // The same log in other files: the same points.
    let whole = site.succeed(&["replay", "--to", "stdout", &site.log().display().to_string()]);
    let pieces: Vec<String> = split(&site.log(), 7).iter().map(|piece| piece.display().to_string()).collect();
    let mut replay = vec!["replay", "--to", "stdout"];
    replay.extend(pieces.iter().rev().map(String::as_str));
    let split = site.succeed(&replay);
    let (whole, split) = (sorted(&whole), sorted(&split));
    assert!(whole == split, "{} points of one file, {} of seven", whole.len(), split.len());
    let points = points::parse(&whole.join("\n"));
    assert_eq!(points::sum(&points, "rgw_bucket", "requests"), lines);

    let store = fs::metadata(site.path("rgwlens.db")).expect("a store").len();
    say(&format!(
        "{names} names tried in {lines} lines: {} series in InfluxDB, {} of them of buckets ({} names), {} MiB of memory, \
         a store of {} KiB; sums differ by 0",
        series(&influx, "run"),
        influx.rows("run", "SHOW SERIES FROM \"rgw_bucket\"").len(),
        by_bucket(&influx, "run").len(),
        memory >> 10,
        store >> 10,
    ));
}

/// As many lines of the file in a piece as it takes; named as if rotated.
fn split(log: &Path, pieces: usize) -> Vec<PathBuf> {
    let text = fs::read_to_string(log).expect("the log");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let each = lines.len().div_ceil(pieces);
    let write = |(n, lines): (usize, &[&str])| {
        let piece = log.with_file_name(format!("piece-{n}.log"));
        fs::write(&piece, lines.concat()).expect("write");
        piece
    };
    lines.chunks(each).enumerate().map(write).collect()
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Longer than other tests are patient.
fn wait_for_lines(site: &Site, lines: u64) {
    let mut last = 0;
    while last < lines {
        last = wait_for("more lines are counted", || Some(site.committed()).filter(|now| *now > last));
    }
}

/// The same through a real nginx: names that it sends on, and a redirect that it makes itself.
#[test]
fn c12_names_that_are_tried_at_a_real_nginx() {
    const NAMES: u64 = 2_000;
    // Nothing there but a list of buckets and a bucket.
    let gateway = nginx::backend_with(|request| match request.split(' ').nth(1) {
        Some("/" | "/real/k") => 200,
        _ => 404,
    });
    let upstream = format!("server 127.0.0.1:{gateway};");
    let mut nginx = Nginx::start(|port, prefix| {
        let site = nginx::shipped_site(port, prefix, &upstream);
        let moved = "location /moved { return 301 http://elsewhere.example/; }\n    location / {";
        site.replacen("location / {", moved, 1)
    });
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    let log = nginx.prefix().join("rgw-access.log");
    site.replace(&site.log().display().to_string(), &log.display().to_string());
    site.replace("[windows]", "[rgw]\ndns_names = [\"s3.example.com\"]\n[windows]");
    site.output_influx("influx", &influx, "nginx");
    let daemon = site.start();
    let mut random = Random(7);
    for n in 0..NAMES {
        let name = random.next();
        let (target, host) = match n % 6 {
            0 => (format!("/{name:x}/k"), "s3.example.com".to_owned()),
            1 => ("/k".to_owned(), format!("{name:x}.s3.example.com")),
            2 => (format!("/moved{name:x}/k"), "s3.example.com".to_owned()),
            3 => ("/k".to_owned(), format!("{name:x}.example.net")),
            // What nginx serves by one host and passes on with another: the gateway lists its buckets, 200.
            4 => (format!("http://{name:x}.s3.example.com/"), "s3.example.com".to_owned()),
            _ => ("/real/k".to_owned(), "s3.example.com".to_owned()),
        };
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        nginx.send(request.as_bytes());
    }
    nginx.stop();
    let lines = nginx.lines("rgw-access.log").len() as u64;
    site.drain(daemon, lines);
    influx.assert_counted_once("nginx", lines);
    let by_bucket = by_bucket(&influx, "nginx");
    let names: Vec<&str> = by_bucket.keys().map(String::as_str).collect();
    assert_eq!(names, ["_none_", "_unknown_", "real"]);
    assert_eq!(by_bucket["real"], NAMES / 6, "{by_bucket:?}");
}
