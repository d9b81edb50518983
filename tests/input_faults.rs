//! What a log may hold that nobody meant it to, and more of it than anybody expected. The names begin with the fault: C
//! content.
#![cfg(feature = "cli")]

mod support;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rgwlens::store::{Range, Reader};
use support::points;
use support::process::Process;
use support::sink::Sink;
use support::site::{Site, program};
use support::traffic::{self, Random, now_ms};
use support::wait_for;

fn with_sink() -> (Site, Sink) {
    let (mut site, sink) = (Site::new("rgwlens"), Sink::start());
    site.output(&format!("name = \"sink\"\nkind = \"influxdb1\"\nurl = \"{}\"\ngzip = false\n", sink.url));
    (site, sink)
}

fn append(site: &Site, text: &str) {
    let mut log = File::options().create(true).append(true).open(site.log()).expect("open");
    log.write_all(text.as_bytes()).expect("write");
}

fn sum(sink: &Sink, measurement: &str, field: &str) -> u64 {
    let text: Vec<String> = sink.lines().into_iter().collect();
    points::sum(&points::parse(&text.join("\n")), measurement, field)
}

/// As nginx leaves it that ran out of disk: it drops the rest of the line, and later writes on.
#[test]
fn c6_half_a_line_with_another_glued_to_it_is_one_line() {
    let site = Site::new("rgwlens");
    let mut random = Random(6);
    let start = now_ms() - 600_000;
    let (mut text, mut glued) = (String::new(), 0);
    for n in 0..2_000 {
        let line = traffic::line(&mut random, start + n * 10);
        if n % 4 == 0 {
            text.push_str(&line[..1 + random.below(line.len() as u64 - 2) as usize]);
            glued += 1;
        } else {
            text.push_str(&line);
        }
    }
    append(&site, &text);
    let points =
        points::parse(&site.succeed(&["replay", "--to", "stdout", &site.log().display().to_string()]));
    let sum = |measurement, field| points::sum(&points, measurement, field);
    let (lines, rejected) = (sum("rgw_log", "lines"), sum("rgw_log", "rejected"));
    assert_eq!(lines, 2_000 - glued);
    assert_eq!(sum("rgw_node", "requests"), lines - rejected);
    // Where the cut is after the last thing that a format asks for, the line fits, and says what its beginning says.
    assert!(rejected > glued / 2 && rejected <= glued, "{rejected} of {glued} rejected");
}

/// A disk that fails in the middle of a log, or before.
#[test]
fn c6_a_replay_says_whether_anything_was_written_before_a_file_could_not_be_read() {
    let mut random = Random(7);
    let start = now_ms() - 4_000_000;
    let lines: String = (0..3_000).map(|n| traffic::line(&mut random, start + n * 1_000)).collect();
    // What it is packed with is asked for, the first line's time, blocks of lines.
    let outcomes = [3, 4, 5, 8].map(|when| {
        let site = Site::new("rgwlens");
        append(&site, &lines);
        let log = site.log().display().to_string();
        let output = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-P", &log, "-e", "trace=pread64"])
            .args(["-e", &format!("inject=pread64:error=EIO:when={when}+")])
            .arg(program().get_program())
            .args(["--config", site.config().to_str().unwrap(), "replay", "--to", "store", &log])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("Input/output error"), "{said}");
        let parts =
            Reader::open(&site.path("rgwlens.db")).map_or(0, |store| store.parts_in(Range::ALL).count());
        let written = said.contains("what was written so far stays, go on with --overwrite");
        assert_eq!(written, parts > 0, "{parts} parts: {said}");
        written
    });
    assert!(!outcomes[0] && outcomes[3], "{outcomes:?}");
}

/// One that nginx was given and rgwlens was not: every line of it is counted as what it is, and `check` knows the mend.
#[test]
fn c14_a_changed_log_format_is_rejected_line_by_line_and_named() {
    let (site, sink) = with_sink();
    let mut random = Random(14);
    let good = |random: &mut Random, lines: i64| -> String {
        (0..lines).map(|n| traffic::line(random, now_ms() - 10_000 + n)).collect()
    };
    append(&site, &good(&mut random, 100));
    let daemon = site.start();
    wait_for("the first are counted", || (site.committed() == 100).then_some(()));
    let time =
        chrono::DateTime::from_timestamp_millis(now_ms()).expect("now").format("%d/%b/%Y:%H:%M:%S +0000");
    let combined = format!("192.0.2.1 - - [{time}] \"GET /b/k HTTP/1.1\" 200 300 \"-\" \"x\"\n");
    append(&site, &combined.repeat(500));
    wait_for("the others are read", || (site.committed() == 600).then_some(()));
    let check = site.rgwlens(&["check"]);
    let found = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.code() == Some(1) && found.contains("format = \"combined\""), "{found}");
    append(&site, &good(&mut random, 100));
    site.drain(daemon, 700);
    let totals = site.stream().windows.expect("windows").totals;
    assert!(totals.conserved() && totals.rejected == 500, "{totals:?}");
    assert_eq!((sum(&sink, "rgw_node", "requests"), sum(&sink, "rgw_log", "rejected")), (200, 500));
}

/// A client that asks twice within a millisecond: these are two requests.
#[test]
fn c16_the_same_line_twice_is_two_lines() {
    let (site, sink) = with_sink();
    let mut random = Random(16);
    let start = now_ms() - 600_000;
    for n in 0..200 {
        let line = traffic::line(&mut random, start + n * 20);
        append(&site, &line.repeat(1 + n as usize % 3));
    }
    let lines = support::site::count_lines(&[&site.log()]);
    let daemon = site.start();
    site.drain(daemon, lines);
    for (measurement, field) in [("rgw_log", "lines"), ("rgw_node", "requests"), ("rgw_bucket", "requests")] {
        assert_eq!(sum(&sink, measurement, field), lines, "{measurement}");
    }
}

/// Appends so many bytes of lines, each about a bucket that no other names. Gives how many lines.
fn invent(log: &Path, bytes: u64, random: &mut Random) -> u64 {
    let file = File::options().create(true).append(true).open(log).expect("open");
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let (mut written, mut lines) = (0, 0);
    // Two thousand a second, the last of them a minute ago.
    let start = now_ms() - 60_000 - bytes as i64 / 600;
    while written < bytes {
        let line = traffic::line(random, start + lines as i64 / 2);
        let line = line.replacen("/bucket", &format!("/invented-{:x}-{lines}", random.next()), 1);
        file.write_all(line.as_bytes()).expect("write");
        written += line.len() as u64;
        lines += 1;
    }
    file.flush().expect("write");
    lines
}

/// The most memory it ever had, MiB.
fn peak_mib(daemon: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says it");
    peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

/// Far more than it may have in memory, as it is and compressed, with a name of its own for each line:
/// `TORTURE_BACKLOG_MB`, and `scripts/torture backlog`.
#[test]
fn c12_c13_a_backlog_of_invented_names_in_bounded_memory() {
    let megabytes = std::env::var("TORTURE_BACKLOG_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(16);
    for zst in [false, true] {
        let (site, sink) = with_sink();
        let mut random = Random(13);
        let mut lines = 0;
        if zst {
            // To be known, and to be found compressed. Idle, it lets the clock pass by all that comes then: all is late.
            append(&site, &traffic::line(&mut random, now_ms() - 3_600_000));
            lines += 1;
            let daemon = site.start();
            wait_for("the first is counted", || (site.committed() == 1).then_some(()));
            assert_eq!(daemon.end("TERM"), Some(0));
        }
        lines += invent(&site.log(), megabytes << 20, &mut random);
        if zst {
            let packed = File::create(site.path("access.log.1.zst")).expect("create");
            let log = File::open(site.log()).expect("open");
            zstd::stream::copy_encode(io::BufReader::new(log), packed, 1).expect("compress");
            fs::remove_file(site.log()).expect("remove");
            append(&site, &traffic::line(&mut random, now_ms()));
            lines += 1;
        }
        let started = std::time::Instant::now();
        let daemon = site.start();
        // As long as it gets on, however long that takes.
        let mut committed = 0;
        while committed < lines {
            let before = committed;
            wait_for("more is counted", || (site.committed() > before).then_some(()));
            committed = site.committed();
            thread::sleep(Duration::from_millis(100));
        }
        let (peak, seconds) = (peak_mib(&daemon), started.elapsed().as_secs_f64());
        let _ = writeln!(
            io::stderr(),
            "{megabytes} MiB{}, {lines} lines, each of its own bucket: {peak} MiB at most, {seconds:.1} s",
            if zst { " as .zst, all of it late" } else { "" }
        );
        assert!(peak < 256, "{peak} MiB for a log of {megabytes}");
        site.drain(daemon, lines);
        for (measurement, field) in
            [("rgw_log", "lines"), ("rgw_node", "requests"), ("rgw_bucket", "requests")]
        {
            assert_eq!(sum(&sink, measurement, field), lines, "{measurement}");
        }
    }
}
