//! `replay` and `run` say the same about the same lines, and no replay damages what is there.
#![cfg(feature = "cli")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rgwlens::access_log::ClassifierSettings;
use rgwlens::point::{Tags, TimestampMs};
use rgwlens::replay::{self, Input, Limits, Mode, Outcome, Parts, Place, Progress, ReplayError, StorePlace};
use rgwlens::stats::{Part, Settings, WindowKind};
use rgwlens::store::{Range, Reader, Store, Stream};
use support::influx::{InfluxDb, VictoriaMetrics};
use support::points::{self, Point};
use support::sink::Sink;
use support::site::{Site, count_lines, program};
use support::traffic::{self, Random, Traffic};
use support::wait_for;

/// A log of half a minute, an hour ago: out of order, with late lines if wanted, and with lines that are none.
fn log(late: bool) -> String {
    let mut random = Random(3);
    let mut text = String::new();
    let start = (traffic::now_ms() - 3_600_000) / 10_000 * 10_000;
    for n in 0..6_000 {
        let time = start + n * 5;
        // A window closes a second after its end: half a second back is never late.
        let ago = if late && random.below(100) == 0 { random.below(9_000) } else { random.below(500) };
        if random.below(200) == 0 {
            text.push_str("this is no line of an access log\n");
        }
        text.push_str(&traffic::line(&mut random, time - ago as i64));
    }
    text
}

/// What `replay --to stdout` and `run` say, without our own health, and without the windows that a new store begins in:
/// up to the lateness after its first line these have other numbers. What is left begins with a bucket window.
fn said_by_both(log: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let sink = Sink::start();
    let mut site = Site::new("rgwlens");
    site.output(&format!("name = \"sink\"\nkind = \"influxdb1\"\nurl = \"{}\"\ngzip = false\n", sink.url));
    fs::write(site.log(), log).expect("write");
    let replayed = site.succeed(&["replay", "--to", "stdout", &site.log().display().to_string()]);
    let daemon = site.start();
    site.drain(daemon, count_lines(&[&site.log()]));
    let first = log.lines().find_map(|line| line.split(' ').next()?.replace('.', "").parse::<i64>().ok());
    let from = (first.expect("a line") + 1_000 + 1_999) / 2_000 * 2_000;
    let whole = |line: &String| !line.starts_with("rgwlens,") && time_ms(line) >= from;
    let replayed: BTreeSet<String> = replayed.lines().map(str::to_owned).collect();
    let all = replayed.len();
    let (replayed, live): (BTreeSet<_>, BTreeSet<_>) =
        (replayed.into_iter().filter(whole).collect(), sink.lines().into_iter().filter(whole).collect());
    assert!(
        replayed.len() > 1_000 && replayed.len() > all * 3 / 4,
        "{} of {all} are compared",
        replayed.len()
    );
    (replayed, live)
}

fn time_ms(line: &str) -> i64 {
    points::parse(line)[0].time_ns / 1_000_000
}

#[test]
fn replay_says_byte_for_byte_what_run_sends() {
    let (replayed, live) = said_by_both(&log(false));
    for measurement in ["node", "status", "upstream", "event", "log", "bucket", "operation", "size"] {
        let prefix = format!("rgw_{measurement},");
        assert!(replayed.iter().any(|line| line.starts_with(&prefix)), "nothing of {measurement}");
    }
    assert_eq!(live.len(), replayed.len());
    for (live, replayed) in live.iter().zip(&replayed) {
        assert_eq!(live, replayed);
    }
}

#[test]
fn late_lines_are_the_same_lines_in_both() {
    let (replayed, live) = said_by_both(&log(true));
    let is_on_time = |line: &&String| {
        // Events stand where they happened.
        line.starts_with("rgw_event,") || time_ms(line) % 1_000 == 0
    };
    // `run` may close late windows in several parts. What was on time is the same, and the sums are.
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> {
        a.difference(b).filter(is_on_time).cloned().collect()
    };
    assert_eq!((only(&live, &replayed), only(&replayed, &live)), (Vec::new(), Vec::new()));
    let parse = |lines: &BTreeSet<String>| -> Vec<Point> {
        lines.iter().flat_map(|line| points::parse(line)).collect()
    };
    let (replayed, live) = (parse(&replayed), parse(&live));
    let late = points::sum(&replayed, "rgw_log", "late");
    assert!(late > 20, "only {late} lines are late");
    for (measurement, field) in [
        ("rgw_log", "lines"),
        ("rgw_log", "late"),
        ("rgw_log", "rejected"),
        ("rgw_node", "requests"),
        ("rgw_node", "latency_sum_ms"),
        ("rgw_bucket", "bytes_in"),
        ("rgw_operation", "bytes_out"),
        ("rgw_status", "requests"),
        ("rgw_size", "le_inf"),
        ("rgw_upstream", "requests"),
    ] {
        let (live, replayed) =
            (points::sum(&live, measurement, field), points::sum(&replayed, measurement, field));
        assert_eq!(live, replayed, "{field} of {measurement}");
    }
}

/// One InfluxDB, and a log in three files.
struct History {
    influx: std::sync::Arc<InfluxDb>,
    database: &'static str,
    site: Site,
    files: Vec<PathBuf>,
    lines: u64,
}

impl History {
    /// Followed live, with late lines, a restart of the daemon and two rotations.
    fn live(database: &'static str) -> Self {
        let influx = InfluxDb::shared();
        let mut site = Site::new("rgwlens");
        site.output_influx("influx", &influx, database);
        let (log, rotated, older) = (site.log(), site.path("access.log.1"), site.path("access.log.2"));
        let traffic = Traffic::start(&log, 4);
        let daemon = site.start();
        let seconds = |seconds: i64| {
            let until = traffic::now_ms() + seconds * 1_000;
            wait_for("the clock goes on", || (traffic::now_ms() >= until).then_some(()));
        };
        seconds(5);
        traffic.rotate(&rotated);
        seconds(2);
        assert_eq!(daemon.end("TERM"), Some(0), "{}", site.said());
        seconds(2);
        let daemon = site.start();
        seconds(2);
        fs::rename(&rotated, &older).expect("rename");
        traffic.rotate(&rotated);
        seconds(6);
        let lines = traffic.stop();
        site.drain(daemon, lines);
        let files = vec![older, rotated, log];
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        assert_eq!(count_lines(&paths), lines);
        let history = Self { influx, database, site, files, lines };
        history.assert_whole("live");
        assert!(history.influx.sum(database, "rgw_log", "late") > 0, "no line was late");
        history
    }

    fn assert_whole(&self, when: &str) {
        let sum = |measurement, field| self.influx.sum(self.database, measurement, field);
        for (measurement, field) in [
            ("rgw_log", "lines"),
            ("rgw_node", "requests"),
            ("rgw_status", "requests"),
            ("rgw_bucket", "requests"),
            ("rgw_operation", "requests"),
        ] {
            assert_eq!(sum(measurement, field), self.lines, "{measurement}, {when}");
        }
    }

    fn replay(&self, options: &[&str], files: &[PathBuf]) -> std::process::Output {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let files = files.iter().map(String::as_str);
        let arguments: Vec<&str> =
            ["replay"].into_iter().chain(options.iter().copied()).chain(files).collect();
        self.site.rgwlens(&arguments)
    }
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn no_replay_damages_what_is_there() {
    let history = History::live("sequence");

    let output = history.replay(&[], &history.files);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("`run`") && said(&output).contains("resend"), "{}", said(&output));
    history.assert_whole("after a replay that was refused");

    for _ in 0..2 {
        history.site.succeed(&["resend", "--since", "1h"]);
        history.assert_whole("after resend");
    }

    let daemon = history.site.start();
    let output = history.replay(&["--replace"], &history.files);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("stop"), "{}", said(&output));
    assert_eq!(daemon.end("TERM"), Some(0));

    let output = history.replay(&["--replace"], &history.files);
    assert!(output.status.success(), "{}", said(&output));
    history.assert_whole("after --replace of all files");
    let mut nothing = 0;
    for file in &history.files {
        let output = history.replay(&["--replace"], std::slice::from_ref(file));
        assert!(output.status.success(), "{}: {}", file.display(), said(&output));
        // Where late lines of all windows of a file are in the next one, all stay as they are.
        nothing += usize::from(said(&output).contains("; 0 parts written"));
        history.assert_whole(&format!("after --replace of {} alone", file.display()));
    }
    assert!(nothing < history.files.len(), "no file alone had a window to replace: this tests nothing");

    // Killed at any moment, it is done again, once what the store got of it has been sent.
    let files: Vec<String> = history.files.iter().map(|file| file.display().to_string()).collect();
    let mut interrupted = 0;
    for after_ms in [30, 600] {
        let mut command = program();
        command.arg("--config").arg(history.site.config()).args(["replay", "--replace"]).args(&files);
        let mut replay = history.site.spawn(&mut command);
        std::thread::sleep(std::time::Duration::from_millis(after_ms));
        interrupted += usize::from(replay.ended().is_none());
        drop(replay);
        let daemon = history.site.start();
        history.site.drain(daemon, history.lines);
        let output = history.replay(&["--replace"], &history.files);
        assert!(output.status.success(), "{}", said(&output));
        history.assert_whole("after a --replace that was killed and done again");
    }
    assert!(interrupted > 0, "it was never killed: this tests nothing");

    // What the store has now goes out once more, and changes nothing.
    let daemon = history.site.start();
    history.site.drain(daemon, history.lines);
    history.assert_whole("after the daemon sent what was replaced");
    history.site.succeed(&["resend", "--since", "1h"]);
    history.assert_whole("after resend of what was replaced");
}

/// Lines of these moments, in this order.
fn lines(times: impl IntoIterator<Item = i64>) -> String {
    let mut random = Random(5);
    times.into_iter().map(|time| traffic::line(&mut random, time)).collect()
}

/// Workers write out of order: `run` counts from a moment that is before its first line.
#[test]
fn a_backfill_ends_where_run_began_also_out_of_order() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "began");
    let start = (traffic::now_ms() - 3_600_000) / 10_000 * 10_000;
    let before = site.path("access.log.1");
    fs::write(&before, lines([start].into_iter().chain((2_000..10_000).step_by(10).map(|ms| start + ms))))
        .expect("write");
    // The second line is in the window before that of the first, and in time for it.
    let began = [15_100, 14_950].into_iter().chain((15_200..20_000).step_by(10));
    fs::write(site.log(), lines(began.map(|ms| start + ms))).expect("write");
    let daemon = site.start();
    site.drain(daemon, 482);
    assert_eq!(influx.sum("began", "rgw_log", "lines"), 482);
    for file in [&before, &site.log()] {
        assert!(file.exists());
    }
    let (before, log) = (before.display().to_string(), site.log().display().to_string());
    site.succeed(&["replay", &before, &log]);
    // All but the line of the window that the files begin in.
    for (measurement, field) in [("rgw_log", "lines"), ("rgw_node", "requests"), ("rgw_bucket", "requests")] {
        assert_eq!(influx.sum("began", measurement, field), 482 + 800, "{measurement}");
    }
}

#[test]
fn a_second_replay_into_a_store_is_refused() {
    let site = Site::new("rgwlens");
    fs::write(site.log(), log(false)).expect("write");
    let log = site.log().display().to_string();
    let store = Store::open(&site.path("rgwlens.db")).expect("a store");
    let first = store.lock_for_replay().expect("nobody else replays");
    let second = site.rgwlens(&["replay", "--to", "store", &log]);
    assert_eq!(second.status.code(), Some(1));
    assert!(said(&second).contains("another `rgwlens replay`"), "{}", said(&second));
    drop(first);
    site.succeed(&["replay", "--to", "store", &log]);
    let again = site.rgwlens(&["replay", "--to", "store", &log]);
    assert!(said(&again).contains("already has points"), "{}", said(&again));
}

/// It is asked about all of time from the first line on.
#[test]
fn a_second_replay_into_victoria_metrics_is_refused() {
    let victoria = VictoriaMetrics::start();
    let mut site = Site::new("rgwlens");
    site.output_victoria("victoria", &victoria);
    fs::write(site.log(), log(false)).expect("write");
    let log = site.log().display().to_string();
    site.succeed(&["replay", "--to", "influxdb", &log]);
    assert!(!victoria.export("{__name__=~\"rgw_.*\"}").is_empty());
    let again = site.rgwlens(&["replay", "--to", "influxdb", &log]);
    assert!(said(&again).contains("already has points"), "{}", said(&again));
}

/// It is asked before anything is deleted, also of the store.
#[test]
fn what_an_output_cannot_delete_is_not_deleted_anywhere() {
    let victoria = VictoriaMetrics::start();
    let mut site = Site::new("rgwlens");
    site.output_victoria("victoria", &victoria);
    fs::write(site.log(), log(false)).expect("write");
    let daemon = site.start();
    site.drain(daemon, count_lines(&[&site.log()]));
    let stored = || Reader::open(&site.path("rgwlens.db")).expect("a store").bounds().expect("bounds");
    let before = stored();
    let output = site.rgwlens(&["replay", "--replace", &site.log().display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("cannot delete a range of time"), "{}", said(&output));
    assert_eq!(stored(), before);
}

/// Takes nothing.
struct Away;

impl Parts for Away {
    fn write(&mut self, _: &mut Vec<Part>) -> Result<(), ReplayError> {
        Err(ReplayError::NotTaken { place: "it".into(), why: "503".into(), go_on: "" })
    }

    fn finish(&mut self, _: &mut Outcome) -> Result<(), ReplayError> {
        Ok(())
    }
}

impl Place for Away {
    fn name(&self) -> String {
        "it".into()
    }

    fn find(&mut self, _: Range) -> Result<Option<String>, ReplayError> {
        Ok(None)
    }

    fn lines_by_window(&mut self, _: Range, _: i64) -> Result<BTreeMap<TimestampMs, u64>, ReplayError> {
        Ok(BTreeMap::new())
    }

    fn delete(&mut self, _: WindowKind, _: &[Range]) -> Result<(), ReplayError> {
        Ok(())
    }
}

/// Which passes there were.
#[derive(Default)]
struct Passes(Vec<&'static str>);

impl Progress for Passes {
    fn begin(&mut self, what: &'static str, _: u64, _: std::sync::Arc<std::sync::atomic::AtomicU64>) {
        self.0.push(what);
    }

    fn end(&mut self) {}
}

fn input(file: &Path) -> Input {
    Input {
        files: vec![file.to_owned()],
        format: "rgwlens".parse().expect("a format"),
        classifier: ClassifierSettings::default(),
        settings: Settings::default(),
        stream: Stream { name: "access".into(), tags: Tags::new([("node", "gw1")]) },
        max_line: 1 << 20,
        jobs: 2,
    }
}

const FREE: Limits = Limits { period: Range::ALL, counted_from_ms: None };

/// Each way to write is gone on with in the one way that is right.
#[test]
fn an_interrupted_replay_says_how_to_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("access.log");
    fs::write(&file, log(false)).expect("write");
    for (mode, option) in
        [(Mode::Careful, "--overwrite"), (Mode::Overwrite, "--overwrite"), (Mode::Replace, "--replace")]
    {
        let error = replay::replay(&input(&file), &mut [Away], mode, FREE, &mut Passes::default())
            .expect_err("it takes nothing");
        let error = error.to_string();
        assert!(error.contains(option) && error.matches("--").count() == 1, "{mode:?}: {error}");
    }
}

/// Where nothing is there from the first line on, the files are read once; where something is, twice: and what is later than
/// all of them is not in the way.
#[test]
fn files_are_read_once_where_nothing_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = 1_800_000_000_000;
    let half = |name: &str, from: i64| {
        let path = folder.path().join(name);
        let mut log = lines((from..from + 300_000).step_by(50));
        log.insert_str(0, "this is no line of an access log\n");
        fs::write(&path, log).expect("write");
        path
    };
    let halves = [half("access.log.1", start), half("access.log", start + 300_000)];
    let stored = |name: &str, order: [usize; 2], passes: [&[&str]; 2]| {
        let path = folder.path().join(name);
        for (at, passes) in order.into_iter().zip(passes) {
            let input = input(&halves[at]);
            let store = Store::open(&path).expect("a store");
            let mut place = [StorePlace::new(store, input.stream.clone()).expect("nobody else replays")];
            let mut made = Passes::default();
            let outcome =
                replay::replay(&input, &mut place, Mode::Careful, FREE, &mut made).expect("a replay");
            assert_eq!((outcome.totals.counted, outcome.totals.rejected), (6_000, 1));
            // The window that it begins in, and those that end less than the lateness before it does.
            assert_eq!(outcome.left_out.len(), 4, "{:?}", outcome.left_out);
            assert_eq!(made.0, passes, "{at} into {name}");
        }
        let mut parts: Vec<_> = Reader::open(&path)
            .expect("a store")
            .parts_in(Range::ALL)
            .map(|part| part.map(|part| (part.stream, part.tags, part.payload)).expect("a part"))
            .collect();
        parts.sort_by_key(|part| format!("{part:?}"));
        parts
    };
    let once = stored("once.db", [0, 1], [&["writing"], &["writing"]]);
    let twice = stored("twice.db", [1, 0], [&["writing"], &["checking", "writing"]]);
    assert!(once.len() > 50 && once == twice, "{} and {} parts", once.len(), twice.len());
}
