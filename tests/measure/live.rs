//! A daemon that follows a busy log, with a real InfluxDB: what it uses, and how soon a request is a point.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::machine::{Usage, peak_mib, program};
use crate::support::influx::InfluxDb;
use crate::support::process::Process;
use crate::support::site::{Site, count_lines};
use crate::support::traffic::now_ms;
use crate::support::wait_for;
use crate::traffic::Traffic;
use crate::{say, setting};

/// Lines a second.
const RATE: u64 = 10_000;

/// Buckets in use.
const BUCKETS: u64 = 1_000;

/// Of the configuration: the defaults.
const WINDOW_MS: i64 = 10_000;
const LATENESS_MS: i64 = 15_000;

/// Lines without their times, again and again: writing them must cost less than reading them.
struct Lines {
    lines: Vec<(Vec<u8>, Vec<u8>)>,
    next: usize,
    /// The second that `stamp` says.
    second: i64,
    stamp: String,
}

impl Lines {
    fn new() -> Self {
        let mut traffic = Traffic::new(BUCKETS, 1);
        let lines = (0..200_000).map(|_| {
            let line = traffic.line();
            let at = |byte| line.iter().position(|b| *b == byte).expect("a time in brackets");
            (line[..=at(b'[')].to_vec(), line[at(b']')..].to_vec())
        });
        Self { lines: lines.collect(), next: 0, second: 0, stamp: String::new() }
    }

    /// Adds a line of this moment.
    fn add(&mut self, time_ms: i64, to: &mut Vec<u8>) {
        if self.second != time_ms / 1000 {
            self.second = time_ms / 1000;
            let time = chrono::DateTime::from_timestamp(self.second, 0).expect("a time of this century");
            self.stamp = time.format("%d/%b/%Y:%H:%M:%S +0000").to_string();
        }
        let (before, after) = &self.lines[self.next % self.lines.len()];
        self.next += 1;
        [before.as_slice(), self.stamp.as_bytes(), after]
            .into_iter()
            .for_each(|part| to.extend_from_slice(part));
    }
}

/// nginx: [`RATE`] lines a second, each when it happens.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Writes whenever so many bytes have come together (`buffer=`; 0: each line at once), and once a second (`flush=1s`).
    fn start(log: PathBuf, buffer: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut file = File::options().append(true).open(log).expect("the log");
            let (mut lines, mut bytes) = (Lines::new(), Vec::new());
            let (begin, mut flushed) = (Instant::now(), Instant::now());
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                let due = (begin.elapsed().as_secs_f64() * RATE as f64) as u64;
                while number < due {
                    lines.add(now_ms(), &mut bytes);
                    number += 1;
                    if bytes.len() >= buffer {
                        file.write_all(&bytes).expect("write");
                        bytes.clear();
                    }
                }
                if flushed.elapsed() >= Duration::from_secs(1) {
                    file.write_all(&bytes).expect("write");
                    bytes.clear();
                    flushed = Instant::now();
                }
                thread::sleep(Duration::from_micros(200));
            }
            file.write_all(&bytes).expect("write");
        });
        Self { stop, thread }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writer failed");
    }
}

fn daemon(site: &Site) -> Process {
    let follows = || site.said().matches(" following ").count();
    let before = follows();
    let daemon = site.spawn(program().arg("--config").arg(site.config()).arg("run"));
    wait_for("it follows", || (follows() > before).then_some(()));
    daemon
}

/// How long after its end each window could be read in InfluxDB, ms.
fn readable(influx: &InfluxDb, time: Duration) -> Vec<i64> {
    let (begin, mut last, mut delays) = (Instant::now(), None, Vec::new());
    let newest = "SELECT requests FROM rgw_node ORDER BY time DESC LIMIT 1";
    while begin.elapsed() < time {
        let now_ms = now_ms();
        let start = influx.rows("live", newest).first().and_then(|row| row[0].as_i64());
        if start != last {
            if let (Some(_), Some(start)) = (last, start) {
                delays.push(now_ms - start - WINDOW_MS - LATENESS_MS);
            }
            last = start;
        }
        thread::sleep(Duration::from_millis(50));
    }
    delays
}

fn site(influx: &InfluxDb) -> Site {
    let mut site = Site::new("main");
    site.replace("[windows]\nnode = \"1s\"\nbucket = \"2s\"\nlateness = \"1s\"\n", "");
    site.output_influx("influx", influx, "live");
    fs::write(site.log(), "").expect("a log");
    site
}

/// What the daemon uses while something happens.
fn row(what: &str, process: &Process, meanwhile: impl FnOnce()) {
    let before = Usage::of(process.id());
    meanwhile();
    let rates = Usage::of(process.id()).since(&before);
    let (peak, kilobytes) = (peak_mib(process.id()), rates.written / 1000.0);
    say(&format!("| {what} | {:.2} | {:.0} | {kilobytes:.0} | {peak:.0} |", rates.processor, rates.waits));
}

#[test]
#[ignore = "takes minutes: scripts/measure live"]
fn live() {
    // Long enough for windows to close.
    let time = Duration::from_secs(setting("MEASURE_SECONDS", 60).max(40));
    let influx = InfluxDb::start();
    let site = site(&influx);
    let process = daemon(&site);
    say("| what | processor, % of one | waits a second | written, kB/s | peak memory, MiB |");
    say("|--|--:|--:|--:|--:|");
    row("idle", &process, || thread::sleep(time));
    let mut delays = Vec::new();
    for (what, buffer) in [("`buffer=64k flush=1s`", 64 << 10), ("unbuffered", 0)] {
        let writer = Writer::start(site.log(), buffer);
        // By then windows are open, as they always are.
        thread::sleep(Duration::from_secs(5));
        row(&format!("10,000 lines/s, {what}"), &process, || delays.extend(readable(&influx, time)));
        writer.stop();
    }
    delays.sort_unstable();
    let (median, last) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    say(&format!(
        "\nOf {} windows, each could be read in InfluxDB {last} ms after its end and the lateness (15 s) at most, {median} \
         in the median.\n",
        delays.len()
    ));
    assert_eq!(process.end("TERM"), Some(0), "{}", site.said());
    catch_up(&site, setting("MEASURE_BACKLOG", 2_000_000));
}

/// How fast it reads what was written while it was away.
fn catch_up(site: &Site, backlog: u64) {
    let before = site.committed();
    let (mut lines, mut bytes) = (Lines::new(), Vec::new());
    let mut log = File::options().append(true).open(site.log()).expect("the log");
    let begin_ms = now_ms();
    for number in 0..backlog {
        // As they would have come. (A time to come, within reason, is a time like any other.)
        lines.add(begin_ms + number as i64 * 1000 / RATE as i64, &mut bytes);
        if bytes.len() > 1 << 20 {
            log.write_all(&bytes).expect("write");
            bytes.clear();
        }
    }
    log.write_all(&bytes).expect("write");
    // Else it would wait for the disk to take hundreds of megabytes at once.
    log.sync_all().expect("sync");
    let lines = count_lines(&[&site.log()]);
    let begin = Instant::now();
    let process = daemon(site);
    wait_for("it has caught up", || (site.committed() >= lines).then_some(()));
    let (took, behind) = (begin.elapsed().as_secs_f64(), lines - before);
    say(&format!(
        "It read {behind} lines that it was behind in {took:.1} s, {:.1} million a second, with {:.0} MiB at most.",
        behind as f64 / took / 1e6,
        peak_mib(process.id())
    ));
    assert_eq!(process.end("TERM"), Some(0), "{}", site.said());
}
