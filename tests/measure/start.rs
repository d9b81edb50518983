//! From the start of the daemon to its following the log, with a large store: after a stop, and after a crash.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rgwlens::stats::Part;
use rgwlens::store::{Payload, Range, Reader, Store, Stream};

use crate::machine::{Whole, mib, peak_mib, program};
use crate::replay::{Bench, Log};
use crate::support::ports;
use crate::support::process::Process;
use crate::support::site::Site;
use crate::support::traffic::{Random, line, now_ms};
use crate::support::wait_for;
use crate::{say, setting};

/// A month, as long as history is kept, less what is within reach of the log itself.
const HISTORY_MS: i64 = 29 * 86_400_000;

/// Makes the store as large as asked for: what a busy gateway counted in some minutes, all over the last month.
fn fill(site: &Site, bench: &Bench, megabytes: f64) -> u64 {
    let (log, store) = (bench.log(&Log::new(600_000, 1_000)), bench.path("few.db"));
    let config = bench.path("few.toml");
    fs::write(&config, format!("[store]\npath = \"{}\"\n", store.display())).expect("write");
    let mut replay = program();
    replay.arg("--config").arg(config).args([
        "replay",
        "--to",
        "store",
        "--node",
        "gw1",
        "--log-format",
        "main",
    ]);
    assert!(replay.arg(log).output().expect("the program starts").status.success());
    let few = Reader::open(&store).expect("a store");
    let parts: Vec<(Stream, Part)> = few
        .parts_in(Range::ALL)
        .filter_map(|part| {
            let part = part.expect("a part");
            let Payload::Window(window) = part.payload else { return None };
            Some((Stream { name: part.stream, tags: part.tags }, window))
        })
        .collect();
    let path = site.path("rgwlens.db");
    let mut store = Store::open(&path).expect("a store");
    let (mut made, begin, mut start) = (0, now_ms() - HISTORY_MS, 0);
    while mib(&path) < megabytes {
        let moved: Vec<Part> = parts
            .iter()
            .cycle()
            .take(1_000)
            .map(|(_, part)| {
                start += 1;
                // Not twice in one place; all within the month.
                let mut part = part.clone();
                part.id.start_ms = begin + start * 2_500 % HISTORY_MS;
                part
            })
            .collect();
        made += moved.len() as u64;
        store.append(&parts[0].0, &moved).expect("append");
    }
    store.checkpoint().expect("checkpoint");
    made
}

/// Starts the daemon, and says how long it took until it told the service manager that it is ready.
fn start(site: &Site) -> (Process, f64) {
    let socket = site.path("notify");
    let _ = fs::remove_file(&socket);
    let notified = UnixDatagram::bind(&socket).expect("a socket");
    notified.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let begin = Instant::now();
    let mut command = program();
    command.env("NOTIFY_SOCKET", &socket).arg("--config").arg(site.config()).arg("run");
    let process = site.spawn(&mut command);
    let mut message = [0; 1024];
    loop {
        let length = notified.recv(&mut message).expect("it says that it is ready");
        if message[..length].starts_with(b"READY=1") {
            return (process, begin.elapsed().as_secs_f64() * 1e3);
        }
    }
}

/// Forgets what the system has in memory of the store.
fn forget(store: &Path) {
    let dd =
        Command::new("dd").arg(format!("if={}", store.display())).args(["iflag=nocache", "count=0"]).output();
    assert!(dd.is_ok_and(|dd| dd.status.success()), "this needs dd: apt-get install coreutils");
}

fn write_lines(site: &Site, lines: u64) {
    let mut random = Random(lines);
    let text: String = (0..lines).map(|_| line(&mut random, now_ms())).collect();
    let mut log = File::options().create(true).append(true).open(site.log()).expect("the log");
    log.write_all(text.as_bytes()).expect("write");
}

#[test]
#[ignore = "takes minutes: scripts/measure start"]
fn starting() {
    let mut site = Site::new("rgwlens");
    site.replace(
        "[windows]\nnode = \"1s\"\nbucket = \"2s\"\nlateness = \"1s\"\n",
        "[metrics]\nenabled = true\nlisten = \"127.0.0.1:0\"\n",
    );
    // Nobody is there, so all of history is still to be sent.
    site.output(&format!(
        "name = \"away\"\nkind = \"influxdb1\"\nurl = \"http://127.0.0.1:{}\"\n",
        ports::free()
    ));
    write_lines(&site, 10_000);
    let (process, first) = start(&site);
    wait_for("it read the log", || (site.committed() >= 10_000).then_some(()));
    assert_eq!(process.end("TERM"), Some(0), "{}", site.said());
    let (bench, store) = (Bench::new(1), site.path("rgwlens.db"));
    let parts = fill(&site, &bench, setting("MEASURE_MEGABYTES", 1_024) as f64);
    say(&format!("A store of {:.0} MiB, {parts} parts.\n", mib(&store)));
    say("| what | ms until ready | peak memory, MiB |\n|--|--:|--:|");
    say(&format!("| an empty store | {first:.0} | |"));
    let mut lines = 10_000;
    for (after, how) in [("SIGTERM", "TERM"), ("`kill -9` amid 200,000 lines", "KILL")] {
        for cold in [false, true] {
            if cold {
                forget(&store);
            }
            let (process, ready) = start(&site);
            let page = if cold { ", nothing of it in memory" } else { "" };
            say(&format!("| after {after}{page} | {ready:.0} | {:.0} |", peak_mib(process.id())));
            lines += 200_000;
            write_lines(&site, 200_000);
            if how == "TERM" {
                wait_for("it read the log", || (site.committed() >= lines).then_some(()));
            } else {
                // Some of it is committed, and some is not.
                wait_for("it reads the log", || (site.committed() > lines - 200_000).then_some(()));
            }
            process.signal(how);
            drop(process);
        }
    }
    let config = site.config();
    for (what, words) in
        [("`rgwlens status`", &["status"][..]), ("`rgwlens status --json`", &["status", "--json"])]
    {
        for cold in [false, true] {
            if cold {
                forget(&store);
            }
            let mut all = vec!["--config", config.to_str().expect("UTF-8")];
            all.extend(words);
            let used = Whole::of(1, &all);
            let page = if cold { ", nothing of it in memory" } else { "" };
            say(&format!("| {what}{page} | {:.0} | {:.0} |", used.elapsed * 1e3, used.peak_mib));
        }
    }
}
