//! Crashes by the hundred: the daemon killed at any moment and at each system call, and power loss after each sync. All
//! lines are there in the end, each once. The short form runs with all tests, the long one by `scripts/torture`.
#![cfg(feature = "cli")]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rgwlens::stats::{Table, WindowKind, counter};
use rgwlens::store::{Payload, Reader, Store};
use support::durable::{Call, Disk, Unsynced, parse, synced_length};
use support::influx::InfluxDb;
use support::points;
use support::sink::Sink;
use support::site::{Site, program};
use support::traffic::{Random, Traffic, line, now_ms};
use support::wait_for;

/// How long a run: the variable, or what all tests take.
fn setting(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Where this is run by hand, it says how far it is.
fn say(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}

fn with_sink() -> (Site, Sink) {
    let (mut site, sink) = (Site::new("rgwlens"), Sink::start());
    site.output(&format!("name = \"sink\"\nkind = \"influxdb1\"\nurl = \"{}\"\ngzip = false\n", sink.url));
    (site, sink)
}

/// Every measurement adds up to the lines, and no point was written twice with different fields (that would be two lines
/// of the sink, and too many requests).
fn assert_counted_once(sink: &Sink, lines: u64) {
    let text: Vec<String> = sink.lines().into_iter().collect();
    let points = points::parse(&text.join("\n"));
    for (measurement, field) in [
        ("rgw_log", "lines"),
        ("rgw_node", "requests"),
        ("rgw_bucket", "requests"),
        ("rgw_operation", "requests"),
    ] {
        assert_eq!(points::sum(&points, measurement, field), lines, "{measurement}");
    }
    assert_eq!(points::sum(&points, "rgw_log", "rejected"), 0);
}

/// Appends so many lines of this moment.
fn append(site: &Site, random: &mut Random, lines: u64) {
    let text: String = (0..lines).map(|_| line(random, now_ms())).collect();
    let mut log = File::options().create(true).append(true).open(site.log()).expect("the log");
    log.write_all(text.as_bytes()).expect("write");
}

fn compress(from: &Path, to: &Path) {
    let mut gz =
        flate2::write::GzEncoder::new(File::create(to).expect("create"), flate2::Compression::fast());
    io::copy(&mut File::open(from).expect("open"), &mut gz).expect("copy");
    gz.finish().expect("finish");
    fs::remove_file(from).expect("remove");
}

/// As logrotate with `rotate 8`, `compress` and `delaycompress`.
fn rotate(site: &Site, traffic: &Traffic) {
    let name = |n: u32, end: &str| site.path(&format!("access.log.{n}{end}"));
    for n in (2..8).rev() {
        let _ = fs::rename(name(n, ".gz"), name(n + 1, ".gz"));
    }
    if name(1, "").exists() {
        compress(&name(1, ""), &name(2, ".gz"));
    }
    traffic.rotate(&name(1, ""));
}

#[test]
#[ignore = "minutes to an hour: scripts/torture kills"]
fn k1_kills_rotations_and_outages() {
    let kills = setting("TORTURE_KILLS", 1_000);
    let seed = setting("TORTURE_SEED", now_ms() as u64);
    say(&format!("seed {seed}"));
    let mut random = Random(seed);
    let (mut site, sink) = with_sink();
    let mut influx = InfluxDb::start();
    site.output_influx("influx", &influx, "k1");
    let traffic = Traffic::start(&site.log(), seed);
    let (mut rotations, mut outages, mut restarts, mut rotated_at) = (0, 0, 0, 0);
    for kill in 1..=kills {
        let daemon = site.run();
        let below = if random.below(3) == 0 { 3_000 } else { 500 };
        thread::sleep(Duration::from_millis(5 + random.below(below)));
        assert_eq!(daemon.end("KILL"), None, "it ended of itself: {}", site.said());
        if random.below(8) == 0 {
            outages += 1;
            sink.set_away(outages % 2 == 1);
        }
        // Never more rotations than it can have read: what is deleted unread is nobody's fault. And none before it has
        // committed anything: a log that it does not know begins with its present file.
        if random.below(6) == 0 && site.committed() >= rotated_at.max(1) {
            rotated_at = traffic.lines();
            rotate(&site, &traffic);
            rotations += 1;
        }
        if random.below(60) == 0 {
            influx.stop();
            let daemon = site.run();
            thread::sleep(Duration::from_millis(random.below(3_000)));
            daemon.end("KILL");
            influx.start_again();
            restarts += 1;
        }
        if kill % 50 == 0 {
            say(&format!("{kill} kills, {} lines, {} of them committed", traffic.lines(), site.committed()));
        }
    }
    sink.set_away(false);
    let daemon = site.start();
    let lines = traffic.stop();
    site.drain(daemon, lines);
    assert_counted_once(&sink, lines);
    for (measurement, field) in [
        ("rgw_log", "lines"),
        ("rgw_node", "requests"),
        ("rgw_bucket", "requests"),
        ("rgw_operation", "requests"),
    ] {
        assert_eq!(influx.sum("k1", measurement, field), lines, "{measurement}");
    }
    say(&format!(
        "seed {seed}: {kills} kills, {rotations} rotations, {outages} changes of an output between here and away, \
         {restarts} of InfluxDB, {lines} lines, difference 0"
    ));
}

/// Whatever changes something outside of the process, and what opens files.
const SYSTEM_CALLS: &[&str] = &[
    "pwrite64",
    "fdatasync",
    "fsync",
    "ftruncate",
    "unlink",
    "openat",
    "write",
    "writev",
    "sendto",
    "pread64",
];

/// Kills the daemon as one of its threads enters a system call for the `k`th time, and lets another one go on. `false`
/// if it is not called so often.
fn killed_at(call: &str, k: u64, with_a_store: bool) -> bool {
    let (site, sink) = with_sink();
    let mut random = Random(k);
    let mut lines = 20;
    append(&site, &mut random, lines);
    if with_a_store {
        let daemon = site.run();
        wait_for("the first lines are counted", || (site.committed() == lines).then_some(()));
        assert_eq!(daemon.end("TERM"), Some(0), "{}", site.said());
    }
    let mut strace = Command::new("strace");
    // Into a file: then what is sent to strace reaches the program, and strace ends as it does.
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]);
    strace.arg(format!("inject={call}:signal=KILL:when={k}")).arg(program().get_program());
    let mut daemon = site.run_by(strace);
    for step in 0..3 {
        // Killed before its first commit, it knows nothing of files that were rotated meanwhile.
        if daemon.ended().is_some() {
            break;
        }
        if step == 2 {
            fs::rename(site.log(), site.path("access.log.1")).expect("rename");
        }
        append(&site, &mut random, 10);
        lines += 10;
        wait_for("it counts, or is killed", || {
            (site.committed() == lines || daemon.ended().is_some()).then_some(())
        });
    }
    let killed = daemon.ended().is_some() || daemon.end("TERM").is_none();
    let daemon = site.run();
    append(&site, &mut random, 1);
    lines += 1;
    site.wait_until_closed(lines);
    // What has arrived is enough: that this is known too would take a commit of the idle daemon, ten seconds away.
    wait_for("all points arrive", || {
        let text: Vec<String> = sink.lines().into_iter().collect();
        let points = points::parse(&text.join("\n"));
        let sums =
            ["rgw_node", "rgw_bucket"].map(|measurement| points::sum(&points, measurement, "requests"));
        (sums.iter().all(|sum| *sum >= lines)).then_some(())
    });
    assert_eq!(daemon.end("TERM"), Some(0), "{}", site.said());
    assert_counted_once(&sink, lines);
    killed
}

/// Each `TORTURE_STEP`th call: by default so few that it takes seconds, and with 1 all of them.
#[test]
fn k2_killed_at_system_calls() {
    let step = setting("TORTURE_STEP", 60);
    let workers = setting("TORTURE_WORKERS", 6);
    // By call and whether there is a store already: the next place, and none once it was not reached.
    let scenarios = SYSTEM_CALLS.iter().flat_map(|call| [(*call, false), (*call, true)]);
    let next: Mutex<BTreeMap<(&str, bool), Option<u64>>> = Mutex::new(
        scenarios.enumerate().map(|(n, scenario)| (scenario, Some(1 + n as u64 % step))).collect(),
    );
    let take = || {
        let mut next = next.lock().expect("no worker panicked");
        let (scenario, k) = next.iter_mut().filter(|(_, k)| k.is_some()).min_by_key(|(_, k)| **k)?;
        let taken = (*scenario, (*k)?);
        *k = Some(taken.1 + step);
        Some(taken)
    };
    let kills = Mutex::new(BTreeMap::<&str, u64>::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((scenario, k)) = take() {
                    if killed_at(scenario.0, k, scenario.1) {
                        *kills.lock().expect("no worker panicked").entry(scenario.0).or_default() += 1;
                    } else {
                        next.lock().expect("no worker panicked").insert(scenario, None);
                    }
                }
            });
        }
    });
    let kills = kills.into_inner().expect("no worker panicked");
    say(&format!("{} kills: {kills:?}", kills.values().sum::<u64>()));
    assert!(kills.get("pwrite64").is_some_and(|kills| *kills > 0), "this tests nothing: {kills:?}");
}

/// What a store says it counted, against the log up to its position.
fn check_books(store: &Path, log: &[u8]) -> u64 {
    Store::open(store).expect("a store that opens after power loss");
    let reader = Reader::open(store).expect("a store");
    let Some(stream) = reader.stream("access").expect("a stream") else { return 0 };
    let (Some(position), Some(windows)) = (stream.position, stream.windows) else { return 0 };
    let read = position.files.iter().map(|file| file.offset).sum::<u64>() as usize;
    assert!(read <= log.len(), "the position is at {read}, and only {} bytes are on the disk", log.len());
    let lines = log[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
    assert_eq!(windows.totals.lines, lines, "lines before the position");
    let parts = reader.parts_after(0, 1_000_000).expect("parts");
    let closed = parts.iter().filter_map(|part| match &part.payload {
        Payload::Window(part) if part.id.kind == WindowKind::Node => Some(&part.contents),
        _ => None,
    });
    let open = stream.fragments.iter().filter(|fragment| fragment.window.kind == WindowKind::Node);
    let counted: u64 = closed
        .chain(open.map(|fragment| &fragment.contents))
        .flat_map(|contents| contents.series())
        .filter(|series| series.key.table() == Some(Table::Log) && !series.key.has_name())
        .map(|series| series.counters[counter::LINES])
        .sum();
    assert_eq!(counted, lines, "lines in parts and fragments");
    lines
}

/// The daemon's writes are recorded, and what was not synced by a moment may be gone, there or torn: after each sync, and
/// in between. The store then agrees with itself, with the log as far as that was synced, and keeps what it had.
#[test]
fn k3_power_loss() {
    let rounds = setting("TORTURE_POWER_LOSSES", 150);
    let site = Site::new("rgwlens");
    let trace = site.path("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-y", "-xx", "-s", "100000000", "-o"]).arg(&trace);
    strace
        .args(["-e", "trace=pwrite64,pread64,ftruncate,fsync,fdatasync,unlink"])
        .arg(program().get_program());
    let daemon = site.run_by(strace);
    let traffic = Traffic::start(&site.log(), 7);
    wait_for("some windows closed", || {
        (site.committed() > 1_000 && site.stream().windows?.totals.closed > 500).then_some(())
    });
    traffic.stop();
    wait_for("all is counted", || {
        (site.committed() == support::site::count_lines(&[&site.log()])).then_some(())
    });
    let committed = site.committed();
    daemon.end("KILL");
    let calls = parse(&fs::read_to_string(&trace).expect("a trace"));
    let store = site.path("rgwlens.db");
    let syncs = |call: &Call| matches!(call, Call::Sync { .. });
    assert!(calls.iter().filter(|call| syncs(call)).count() > 10, "{} calls", calls.len());
    let log = fs::read(site.log()).expect("the log");
    let mut random = Random(setting("TORTURE_SEED", 11));
    // Just after a sync, all that follows is gone: what it made durable, or what has to come before it, shows there.
    let after_syncs: Vec<usize> = (0..calls.len()).filter(|n| syncs(&calls[*n])).map(|n| n + 1).collect();
    for round in 0..rounds {
        let until = match round {
            0 => calls.len(),
            _ if random.below(2) == 0 => random.of(&after_syncs),
            _ => random.below(calls.len() as u64) as usize,
        };
        let unsynced = [Unsynced::Gone, Unsynced::AnyOfIt, Unsynced::Kept][(round % 3) as usize];
        let calls = &calls[..until];
        let disk = Disk::after(calls, unsynced, &mut random);
        let folder = tempfile::tempdir().expect("a folder");
        for (file, content) in &disk.files {
            // `-shm` is memory, and made anew.
            if file.starts_with(store.parent().expect("a folder"))
                && !file.to_string_lossy().ends_with("-shm")
            {
                fs::write(folder.path().join(file.file_name().expect("a name")), content).expect("write");
            }
        }
        let log = &log[..synced_length(calls, &site.log()) as usize];
        let lines = check_books(&folder.path().join("rgwlens.db"), log);
        if round == 0 {
            assert_eq!(lines, committed, "what was committed survives");
        }
    }
}

/// Storage that lied about a sync: the log has lost its end, and the store is ahead of it.
#[test]
fn k4_power_loss_shortens_the_log_behind_the_store() {
    let (site, sink) = with_sink();
    let mut random = Random(4);
    append(&site, &mut random, 200);
    let daemon = site.run();
    wait_for("all is counted", || (site.committed() == 200).then_some(()));
    assert_eq!(daemon.end("KILL"), None);
    // In the middle of a line.
    let size = fs::metadata(site.log()).expect("the log").len();
    File::options().write(true).open(site.log()).expect("open").set_len(size - 1_000).expect("truncate");
    let daemon = site.start();
    wait_for("it says so", || site.said().contains("shrunk").then_some(()));
    append(&site, &mut random, 50);
    site.drain(daemon, 250);
    assert_counted_once(&sink, 250);
}

#[test]
fn k11_suspended_for_longer_than_windows_are_open() {
    let (site, sink) = with_sink();
    let traffic = Traffic::start(&site.log(), 9);
    let daemon = site.start();
    for _ in 0..2 {
        let before = site.committed();
        wait_for("something new is counted", || (site.committed() > before).then_some(()));
        daemon.freeze();
        // Windows of one and two seconds, and a lateness of one.
        let until = now_ms() + 5_000;
        wait_for("windows have ended meanwhile", || (now_ms() > until).then_some(()));
        daemon.thaw();
    }
    let lines = traffic.stop();
    site.drain(daemon, lines);
    assert_counted_once(&sink, lines);
}
