//! What `sync_source` costs the clients of the gateway: the latency of nginx itself, while rgwlens has its log synced, while
//! it only reads it, and without it. `scripts/measure-sync-source` runs this; it asserts nothing.
#![cfg(feature = "cli")]

mod support;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::nginx::Nginx;
use support::process::Process;
use support::site::{Site, count_lines};
use support::traffic::{self, Random};
use support::wait_for;

/// Who else looks at the log. Twice nobody: how much two equal runs differ.
const MODES: [&str; 4] = ["no rgwlens", "no rgwlens, again", "sync_source = false", "sync_source = true"];

const CLIENTS: usize = 4;

/// Between the answer to a request of a client and its next one.
const PAUSE: Duration = Duration::from_millis(2);

/// Sends requests for so long. Gives their latencies in microseconds.
fn client(port: u16, stop: &AtomicBool) -> Vec<u32> {
    let connection = TcpStream::connect(("127.0.0.1", port)).expect("nginx listens");
    connection.set_nodelay(true).expect("a socket");
    let mut reader = BufReader::new(connection);
    let mut latencies = Vec::new();
    let mut line = String::new();
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        let request = b"GET /bucket/key HTTP/1.1\r\nHost: s3.example.com\r\n\r\n";
        reader.get_mut().write_all(request).expect("nginx reads");
        while line != "\r\n" {
            line.clear();
            assert!(reader.read_line(&mut line).expect("nginx answers") > 0, "nginx closed");
        }
        line.clear();
        reader.read_exact(&mut [0; 5]).expect("a body");
        latencies.push(start.elapsed().as_micros() as u32);
        thread::sleep(PAUSE);
    }
    latencies
}

fn latencies(port: u16, time: Duration) -> Vec<u32> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| client(port, &stop))).collect();
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let latencies = clients.into_iter().map(|client| client.join().expect("a client failed"));
        latencies.collect::<Vec<_>>().concat()
    })
}

/// Latencies, by their size: half a percent a step.
#[derive(Clone)]
struct Histogram(Vec<u32>);

const STEPS: f64 = 200.0;

impl Histogram {
    fn of(latencies: &[u32]) -> Self {
        let mut histogram = Self(vec![0; (f64::from(u32::MAX).ln() * STEPS) as usize + 1]);
        for us in latencies {
            histogram.0[(f64::from((*us).max(1)).ln() * STEPS) as usize] += 1;
        }
        histogram
    }

    fn of_all<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        let mut sum = Self::of(&[]);
        for histogram in all {
            for (sum, count) in sum.0.iter_mut().zip(&histogram.0) {
                *sum += count;
            }
        }
        sum
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// Nearest rank, in milliseconds.
    fn quantile(&self, share: f64) -> f64 {
        let rank = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        let at = self.0.iter().position(|count| {
            below += u64::from(*count);
            below >= rank
        });
        (at.unwrap_or(0) as f64 / STEPS).exp() / 1000.0
    }
}

/// The ratio of the P99 of all rounds in one mode to that in another, and where it lies in 95 of 100 draws of as many rounds
/// from these, with replacement. What both modes have of a round is drawn together, so that what the machine did to a round
/// it did to both.
fn ratio(of: &[Histogram], to: &[Histogram]) -> [f64; 3] {
    let p99 = |rounds: &[Histogram], drawn: &[usize]| {
        Histogram::of_all(drawn.iter().map(|round| &rounds[*round])).quantile(0.99)
    };
    let all: Vec<usize> = (0..of.len()).collect();
    let mut random = Random(1);
    let mut ratios: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let drawn: Vec<usize> = all.iter().map(|_| random.below(of.len() as u64) as usize).collect();
            p99(of, &drawn) / p99(to, &drawn)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    [p99(of, &all) / p99(to, &all), ratios[DRAWS / 40], ratios[DRAWS - 1 - DRAWS / 40]]
}

const DRAWS: usize = 400;

/// A gateway's machine.
struct Machine {
    site: Site,
    nginx: Nginx,
}

impl Machine {
    fn start(buffer: &'static str) -> Self {
        let site = Site::new("rgwlens");
        let log = site.log().display().to_string();
        let nginx = Nginx::start(|port, _| {
            format!(
                "{}\nkeepalive_requests 1000000;\nserver {{\nlisten 127.0.0.1:{port};\n\
                 access_log {log} rgwlens{buffer};\n\
                 location / {{ default_type text/plain; return 200 hello; }}\n}}\n",
                include_str!("../nginx/log_format.conf"),
            )
        });
        Self { site, nginx }
    }
}

/// The daemon in a mode that has one.
fn daemon(site: &mut Site, mode: &str) -> Option<Process> {
    if !mode.starts_with("sync_source") {
        return None;
    }
    site.replace("start_at", &format!("{mode}\nstart_at"));
    let program = std::env::var("RGWLENS").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rgwlens").to_owned());
    let log = File::create(site.path("daemon.log")).expect("a log");
    let mut command = Command::new(program);
    command.arg("--config").arg(site.config()).arg("run").stderr(log);
    let daemon = Process::start(&mut command).expect("the program starts");
    wait_for("it follows", || site.said().contains(" following ").then_some(()));
    // What the other modes left is read before the clock starts.
    let lines = count_lines(&[&site.log()]);
    wait_for("it has caught up", || (site.committed() >= lines).then_some(()));
    site.replace(&format!("{mode}\n"), "");
    Some(daemon)
}

/// A setting of a long run.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What happens in each mode in each of the rounds. In another order in each: what drifts on the machine, and what one
/// leaves to the next, is for all.
fn in_rounds(mut one: impl FnMut(&'static str) -> Vec<u32>) -> Vec<Vec<Histogram>> {
    let rounds = number("ROUNDS", 80);
    let mut random = Random(rounds);
    let mut results: Vec<Vec<Histogram>> = vec![Vec::new(); MODES.len()];
    for _ in 0..rounds {
        let mut order: Vec<usize> = (0..MODES.len()).collect();
        (1..order.len()).for_each(|at| order.swap(at, random.below(at as u64 + 1) as usize));
        for mode in order {
            results[mode].push(Histogram::of(&one(MODES[mode])));
        }
    }
    results
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("write");
}

/// As rows of a table.
fn print(first: &str, results: &[Vec<Histogram>]) {
    for (mode, rounds) in MODES.iter().zip(results) {
        let all = Histogram::of_all(rounds.iter());
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| all.quantile(share));
        let [ratio, least, most] = ratio(rounds, &results[0]);
        let requests = all.count();
        say(&format!(
            "| {first} | {mode} | {requests} | {p50:.3} | {p99:.3} | {p999:.3} | {ratio:.2} ({least:.2} to {most:.2}) |"
        ));
    }
}

/// What nginx's worker waits for: the system call that writes a line to the log. Nanoseconds.
fn writes(log: &Path, time: Duration) -> Vec<u32> {
    let mut file = File::options().create(true).append(true).open(log).expect("the log");
    let (mut random, mut latencies, start) = (Random(1), Vec::new(), Instant::now());
    while start.elapsed() < time {
        let line = traffic::line(&mut random, traffic::now_ms());
        let before = Instant::now();
        file.write_all(line.as_bytes()).expect("write");
        latencies.push(before.elapsed().as_nanos() as u32);
        thread::sleep(Duration::from_micros(300));
    }
    latencies
}

#[test]
#[ignore = "takes minutes: scripts/measure-sync-source"]
fn latency_of_a_write() {
    let time = Duration::from_millis(number("MILLISECONDS", 1_500));
    let mut site = Site::new("rgwlens");
    let results = in_rounds(|mode| {
        let daemon = daemon(&mut site, mode);
        let latencies = writes(&site.log(), time);
        if let Some(daemon) = daemon {
            assert_eq!(daemon.end("TERM"), Some(0), "{}", site.said());
        }
        latencies
    });
    say(
        "| | rgwlens | Writes | P50 \u{b5}s | P99 \u{b5}s | P99.9 \u{b5}s | P99 to that without |\n|--|--|--:|--:|--:|--:|--:|",
    );
    print("one `write`", &results);
}

#[test]
#[ignore = "takes minutes: scripts/measure-sync-source"]
fn latency_of_nginx() {
    let time = Duration::from_millis(number("MILLISECONDS", 1_500));
    say(
        "| `access_log` | rgwlens | Requests | P50 ms | P99 ms | P99.9 ms | P99 to that without |\n|--|--|--:|--:|--:|--:|--:|",
    );
    for buffer in ["", " buffer=64k flush=1s"] {
        let mut machine = Machine::start(buffer);
        let results = in_rounds(|mode| {
            let daemon = daemon(&mut machine.site, mode);
            let latencies = latencies(machine.nginx.port, time);
            if let Some(daemon) = daemon {
                assert_eq!(daemon.end("TERM"), Some(0), "{}", machine.site.said());
            }
            latencies
        });
        print(if buffer.is_empty() { "unbuffered" } else { buffer.trim() }, &results);
    }
}
