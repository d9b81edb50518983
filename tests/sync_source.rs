//! What `sync_source` costs the clients of the gateway: the latency of nginx itself, while rgwlens has its log synced, while
//! it only reads it, and without it. `scripts/measure-sync-source` runs this; it asserts nothing.
#![cfg(feature = "cli")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::nginx::Nginx;
use support::process::Process;
use support::site::{Site, count_lines};
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
    let mut all = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| client(port, &stop))).collect();
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let latencies = clients.into_iter().map(|client| client.join().expect("a client failed"));
        latencies.collect::<Vec<_>>().concat()
    });
    all.sort_unstable();
    all
}

/// Nearest rank, in milliseconds.
fn quantile(sorted: &[u32], share: f64) -> f64 {
    let rank = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len());
    f64::from(sorted[rank - 1]) / 1000.0
}

/// The middle, the smallest and the largest.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[values.len() / 2], values[0], values[values.len() - 1]]
}

/// A gateway's machine, in each mode.
struct Machine {
    site: Site,
    nginx: Nginx,
    buffer: &'static str,
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
        Self { site, nginx, buffer }
    }

    fn daemon(&mut self, mode: &str) -> Option<Process> {
        if !mode.starts_with("sync_source") {
            return None;
        }
        self.site.replace("start_at", &format!("{mode}\nstart_at"));
        let program = std::env::var("RGWLENS").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rgwlens").to_owned());
        let log = std::fs::File::create(self.site.path("daemon.log")).expect("a log");
        let mut command = Command::new(program);
        command.arg("--config").arg(self.site.config()).arg("run").stderr(log);
        let daemon = Process::start(&mut command).expect("the program starts");
        wait_for("it follows", || self.site.said().contains(" following ").then_some(()));
        // What the other modes left is read before the clock starts.
        let lines = count_lines(&[&self.site.log()]);
        wait_for("it has caught up", || (self.site.committed() >= lines).then_some(()));
        self.site.replace(&format!("{mode}\n"), "");
        Some(daemon)
    }
}

#[test]
#[ignore = "takes minutes: scripts/measure-sync-source"]
fn latency_of_nginx() {
    let number = |name, default| {
        std::env::var(name).map_or(default, |text: String| text.parse::<u64>().expect("a number"))
    };
    let (rounds, seconds) = (number("ROUNDS", 9), number("SECONDS", 4));
    let out = &mut std::io::stdout();
    writeln!(out, "| `access_log` | rgwlens | Requests/s | P50 ms | P99 ms | P99.9 ms | P99 to that without |\n|--|--|--:|--:|--:|--:|--:|").expect("write");
    for buffer in ["", " buffer=64k flush=1s"] {
        let mut machine = Machine::start(buffer);
        let mut results: Vec<Vec<[f64; 4]>> = vec![Vec::new(); MODES.len()];
        for round in 0..rounds as usize {
            // Another one first in each round: what drifts on the machine drifts for all.
            for mode in (0..MODES.len()).map(|at| (at + round) % MODES.len()) {
                let daemon = machine.daemon(MODES[mode]);
                let sorted = latencies(machine.nginx.port, Duration::from_secs(seconds));
                if let Some(daemon) = daemon {
                    assert_eq!(daemon.end("TERM"), Some(0), "{}", machine.site.said());
                }
                let rate = sorted.len() as f64 / seconds as f64;
                results[mode].push([
                    rate,
                    quantile(&sorted, 0.5),
                    quantile(&sorted, 0.99),
                    quantile(&sorted, 0.999),
                ]);
            }
        }
        for (mode, rounds) in MODES.iter().zip(&results) {
            let column = |at: usize| rounds.iter().map(|round| round[at]).collect::<Vec<_>>();
            let [rate, p50, p99, p999] = [0, 1, 2, 3].map(|at| spread(column(at))[0]);
            let ratios = rounds.iter().zip(&results[0]).map(|(this, without)| this[2] / without[2]).collect();
            let [ratio, least, most] = spread(ratios);
            writeln!(
                out,
                "| {} | {mode} | {rate:.0} | {p50:.3} | {p99:.3} | {p999:.3} | {ratio:.2} ({least:.2} to {most:.2}) |",
                if machine.buffer.is_empty() { "unbuffered" } else { machine.buffer.trim() },
            )
            .expect("write");
        }
    }
}
