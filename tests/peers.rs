//! The same faults, and the same account of them, for other programs that read a growing log: `scripts/torture peers`. Only
//! rgwlens has to lose nothing; what the others do is measured.
#![cfg(feature = "cli")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use support::influx::http;
use support::ports;
use support::process::Process;
use support::sink::Sink;
use support::site::Site;
use support::traffic::{Random, now_ms};
use support::{points, wait_for};

/// Lines, bucket by bucket.
type Buckets = BTreeMap<String, u64>;

/// Requests of one bucket: so few that a line counted twice cannot hide behind one that was missed.
const BUCKET: u64 = 20;

/// What writes the log: a line every millisecond or so, as long as nobody holds it.
struct Writer {
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    file: File,
    path: PathBuf,
    lines: u64,
    stop: bool,
}

fn append_to(path: &Path) -> File {
    File::options().create(true).append(true).open(path).expect("the log")
}

fn bucket(line: u64) -> String {
    format!("b{:05}", line / BUCKET)
}

impl Writer {
    fn start(path: &Path) -> Self {
        let state = State { file: append_to(path), path: path.to_owned(), lines: 0, stop: false };
        let state = Arc::new(Mutex::new(state));
        let thread = thread::spawn({
            let state = Arc::clone(&state);
            move || {
                loop {
                    let mut state = state.lock().expect("no panic");
                    if state.stop {
                        return;
                    }
                    let (n, ms) = (state.lines, now_ms());
                    let time = chrono::DateTime::from_timestamp_millis(ms).expect("now");
                    let line = format!(
                        "{}.{:03} {} 192.0.2.1 200 0.005 350 5 205 \"127.0.0.1:8080\" \"200\" \"0.001\" \"0.005\" \
                         \"tx{n:016x}\" \"-\" \"-\" \"s3.example.com\" \"GET /{}/{n} HTTP/1.1\" \"-\" \"-\" \"peer/1\" \"-\"\n",
                        ms / 1000,
                        ms % 1000,
                        time.format("%Y-%m-%dT%H:%M:%S+00:00"),
                        bucket(n),
                    );
                    state.file.write_all(line.as_bytes()).expect("write");
                    state.lines += 1;
                    drop(state);
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        Self { state, thread: Some(thread) }
    }

    fn wait_for_more(&self, lines: u64) {
        let goal = self.state.lock().expect("no panic").lines + lines;
        wait_for("lines are written", || (self.state.lock().expect("no panic").lines >= goal).then_some(()));
    }

    /// Older files make room, as logrotate's `compress` and `delaycompress` do it.
    fn shift(&self) {
        let path = self.state.lock().expect("no panic").path.clone();
        let name = |n: u32, end: &str| path.with_file_name(format!("access.log.{n}{end}"));
        for n in (2..9).rev() {
            let _ = fs::rename(name(n, ".gz"), name(n + 1, ".gz"));
        }
        if name(1, "").exists() {
            let to = File::create(name(2, ".gz")).expect("create");
            let mut gz = flate2::write::GzEncoder::new(to, flate2::Compression::fast());
            io::copy(&mut File::open(name(1, "")).expect("open"), &mut gz).expect("copy");
            gz.finish().expect("finish");
            fs::remove_file(name(1, "")).expect("remove");
        }
    }

    /// By renaming; some more lines go to the old file.
    fn rename(&self) {
        self.shift();
        let path = self.state.lock().expect("no panic").path.clone();
        fs::rename(&path, path.with_file_name("access.log.1")).expect("rename");
        self.wait_for_more(20);
        self.state.lock().expect("no panic").file = append_to(&path);
    }

    /// By copying. Nothing is written between the copy and the truncation: that would be lost to everyone.
    fn copytruncate(&self) {
        self.shift();
        let state = self.state.lock().expect("no panic");
        fs::copy(&state.path, state.path.with_file_name("access.log.1")).expect("copy");
        state.file.set_len(0).expect("truncate");
    }

    fn stop(mut self) -> Buckets {
        self.state.lock().expect("no panic").stop = true;
        self.thread.take().expect("it runs").join().expect("no panic");
        let mut buckets = Buckets::new();
        for line in 0..self.state.lock().expect("no panic").lines {
            *buckets.entry(bucket(line)).or_default() += 1;
        }
        buckets
    }
}

/// One that reads the log.
trait Peer {
    fn log(&self) -> PathBuf;

    fn start(&mut self) -> Process;

    /// It is going to be stopped: the last moment to see what is only in its memory.
    fn ends(&mut self) {}

    /// What it has counted of each bucket.
    fn counted(&self) -> Buckets;
}

fn add(to: &mut Buckets, line: &str, lines: u64) {
    if let Some(bucket) = line.split("GET /").nth(1).and_then(|rest| rest.split('/').next()) {
        *to.entry(bucket.to_owned()).or_default() += lines;
    }
}

struct Rgwlens {
    site: Site,
    sink: Sink,
}

impl Peer for Rgwlens {
    fn log(&self) -> PathBuf {
        self.site.log()
    }

    fn start(&mut self) -> Process {
        self.site.run()
    }

    fn counted(&self) -> Buckets {
        let text: String = self.sink.lines().into_iter().map(|line| line + "\n").collect();
        let mut buckets = Buckets::new();
        for point in points::parse(&text).iter().filter(|point| point.measurement == "rgw_bucket") {
            *buckets.entry(point.tag("bucket").to_owned()).or_default() += point.count("requests");
        }
        buckets
    }
}

/// imfile into a file, with the settings that lose least: its state written after each line.
struct Rsyslog {
    dir: tempfile::TempDir,
}

impl Rsyslog {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, log) = (dir.path().display(), dir.path().join("access.log"));
        fs::create_dir(dir.path().join("work")).expect("a folder");
        let conf = format!(
            "global(workDirectory=\"{path}/work\")\nmodule(load=\"imfile\")\n\
             template(name=\"line\" type=\"string\" string=\"%msg%\\n\")\n\
             input(type=\"imfile\" file=\"{}\" tag=\"access\" reopenOnTruncate=\"on\" persistStateInterval=\"1\")\n\
             action(type=\"omfile\" file=\"{path}/out\" template=\"line\")\n",
            log.display()
        );
        fs::write(dir.path().join("rsyslog.conf"), conf).expect("write");
        Self { dir }
    }
}

impl Peer for Rsyslog {
    fn log(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }

    fn start(&mut self) -> Process {
        let pid = self.dir.path().join("pid");
        let _ = fs::remove_file(&pid);
        let mut command = Command::new("/usr/sbin/rsyslogd");
        command.arg("-n").arg("-f").arg(self.dir.path().join("rsyslog.conf")).arg("-i").arg(pid);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Process::start(&mut command).expect("this needs rsyslog: apt-get install rsyslog")
    }

    fn counted(&self) -> Buckets {
        let mut buckets = Buckets::new();
        let out = fs::read(self.dir.path().join("out")).unwrap_or_default();
        String::from_utf8_lossy(&out).lines().for_each(|line| add(&mut buckets, line, 1));
        buckets
    }
}

/// A counter for each bucket. What it had before a crash is taken as seen by a Prometheus that looked just before.
struct Mtail {
    dir: tempfile::TempDir,
    port: u16,
    before: Buckets,
}

impl Mtail {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let program =
            "counter requests by bucket\n/GET \\/(?P<bucket>b\\d+)\\// {\n  requests[$bucket]++\n}\n";
        fs::write(dir.path().join("access.mtail"), program).expect("write");
        Self { dir, port: ports::free(), before: Buckets::new() }
    }

    fn now(&self) -> Buckets {
        let mut buckets = Buckets::new();
        let Some((200, body)) = http(self.port, "GET", "/metrics", &[], b"") else { return buckets };
        for line in String::from_utf8_lossy(&body).lines().filter(|line| line.starts_with("requests{")) {
            let name = line.split("bucket=\"").nth(1).and_then(|rest| rest.split('"').next());
            let count = line.rsplit(' ').next().and_then(|count| count.parse::<f64>().ok());
            if let (Some(name), Some(count)) = (name, count) {
                *buckets.entry(name.to_owned()).or_default() += count as u64;
            }
        }
        buckets
    }
}

impl Peer for Mtail {
    fn log(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }

    fn start(&mut self) -> Process {
        let mut command = Command::new("mtail");
        command.arg("--progs").arg(self.dir.path().join("access.mtail")).arg("--logs").arg(self.log());
        command.args([
            "--address",
            "127.0.0.1",
            "--port",
            &self.port.to_string(),
            "--poll_interval",
            "250ms",
        ]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::start(&mut command).expect("this needs mtail: apt-get install mtail");
        wait_for("mtail answers", || http(self.port, "GET", "/metrics", &[], b""));
        process
    }

    fn ends(&mut self) {
        self.before = self.counted();
    }

    fn counted(&self) -> Buckets {
        let mut all = self.before.clone();
        for (bucket, count) in self.now() {
            *all.entry(bucket).or_default() += count;
        }
        all
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    Renames,
    CopyTruncates,
    Kills,
    DownOverOne,
    DownOverTwo,
}

impl Fault {
    const ALL: [Self; 6] = [
        Self::Nothing,
        Self::Renames,
        Self::CopyTruncates,
        Self::Kills,
        Self::DownOverOne,
        Self::DownOverTwo,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Renames => "4 rotations by renaming",
            Self::CopyTruncates => "4 rotations by `copytruncate`",
            Self::Kills => "5 times kill -9",
            Self::DownOverOne => "stopped over a rotation",
            Self::DownOverTwo => "stopped over two, the older compressed",
        }
    }
}

/// Lines written, missed, counted twice.
fn run(mut peer: impl Peer, fault: Fault) -> [u64; 3] {
    let writer = Writer::start(&peer.log());
    writer.wait_for_more(50);
    let mut random = Random(fault as u64);
    let mut process = peer.start();
    // A peer that begins at the log's end has not missed what was there before it.
    writer.wait_for_more(1_500);
    let seen_at_start = peer.counted();
    match fault {
        Fault::Nothing => writer.wait_for_more(1_000),
        Fault::Renames => (0..4).for_each(|_| {
            writer.rename();
            writer.wait_for_more(1_000);
        }),
        Fault::CopyTruncates => (0..4).for_each(|_| {
            writer.copytruncate();
            writer.wait_for_more(1_000);
        }),
        Fault::Kills => {
            for _ in 0..5 {
                writer.wait_for_more(200 + random.below(1_000));
                peer.ends();
                process.end("KILL");
                process = peer.start();
            }
        }
        Fault::DownOverOne | Fault::DownOverTwo => {
            peer.ends();
            process.end("TERM");
            for _ in 0..if fault == Fault::DownOverOne { 1 } else { 2 } {
                writer.wait_for_more(300);
                writer.rename();
                writer.wait_for_more(300);
            }
            process = peer.start();
        }
    }
    writer.wait_for_more(1_000);
    let mut written = writer.stop();
    // As long as something comes: until nothing did for five seconds.
    let (mut last, mut quiet) = (peer.counted(), 0);
    while quiet < 10 {
        thread::sleep(Duration::from_millis(500));
        let now = peer.counted();
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
    }
    process.end("TERM");
    // (The first buckets, which one that begins at the end has no part of or half of.)
    let first = seen_at_start.keys().nth(1).cloned().unwrap_or_default();
    written.retain(|bucket, _| *bucket >= first);
    let of = |buckets: &Buckets, name: &String| buckets.get(name).copied().unwrap_or(0);
    let missed = written.iter().map(|(name, lines)| lines.saturating_sub(of(&last, name))).sum();
    let twice = written.iter().map(|(name, lines)| of(&last, name).saturating_sub(*lines)).sum();
    [written.values().sum(), missed, twice]
}

fn rgwlens() -> Rgwlens {
    let (mut site, sink) = (Site::new("rgwlens"), Sink::start());
    site.output(&format!("name = \"sink\"\nkind = \"influxdb1\"\nurl = \"{}\"\ngzip = false\n", sink.url));
    Rgwlens { site, sink }
}

#[test]
#[ignore = "needs other programs: scripts/torture peers"]
fn the_same_faults_for_others() {
    let mut table = String::from("| Fault |");
    let names = ["rgwlens", "rsyslog imfile", "mtail"];
    names.iter().for_each(|name| _ = write!(table, " {name} |"));
    table.push_str("\n|--|--|--|--|\n");
    for fault in Fault::ALL {
        let results: Vec<[u64; 3]> = thread::scope(|scope| {
            let runs: Vec<_> = (0..names.len())
                .map(|which| {
                    scope.spawn(move || match which {
                        0 => run(rgwlens(), fault),
                        1 => run(Rsyslog::new(), fault),
                        _ => run(Mtail::new(), fault),
                    })
                })
                .collect();
            runs.into_iter().map(|run| run.join().expect("it comes to an end")).collect()
        });
        let _ = write!(table, "| {} |", fault.name());
        for [written, missed, twice] in &results {
            let _ = write!(table, " {written}: {missed} missed, {twice} twice |");
        }
        table.push('\n');
        assert_eq!(&results[0][1..], [0, 0], "rgwlens, {fault:?}");
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers.md");
    fs::write(file, table).expect("write");
}
