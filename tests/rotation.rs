//! A real nginx writes, the real logrotate rotates, the real daemon counts: every style, every compression, every way to
//! name, with the daemon running, down meanwhile, and killed amid a rotation.
//!
//! The oracle is not ours: clients count the answers they got, bucket by bucket (nginx writes a line for each), and the
//! lines in the files that are there in the end. What is counted is what the points say that reached an output.
#![cfg(feature = "cli")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::logrotate::{Compress, Logrotate, Names, Scheme, Style};
use support::nginx::Nginx;
use support::points;
use support::process::Process;
use support::sink::Sink;
use support::site::Site;
use support::traffic::{Random, now_ms};
use support::wait_for;

/// What the daemon does meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Daemon {
    /// It runs.
    Runs,
    /// It was stopped before the rotations: one, then two.
    IsDown,
    /// It is killed while logrotate is at work.
    IsKilled,
}

impl Daemon {
    const ALL: [Self; 3] = [Self::Runs, Self::IsDown, Self::IsKilled];

    fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::IsDown => "down",
            Self::IsKilled => "killed",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    scheme: Scheme,
    daemon: Daemon,
}

impl Cell {
    fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for style in Style::ALL {
            for compress in Compress::ALL {
                for names in Names::ALL {
                    for daemon in Daemon::ALL {
                        cells.push(Self { scheme: Scheme { style, compress, names }, daemon });
                    }
                }
            }
        }
        cells
    }
}

/// Lines, bucket by bucket.
type Buckets = BTreeMap<String, u64>;

/// What came of a cell.
#[derive(Clone, Debug, Default)]
struct Outcome {
    /// Lines nginx wrote, by its clients' account.
    written: Buckets,
    /// Lines in the files that are there in the end.
    kept: Buckets,
    counted: Buckets,
    /// What the daemon warned of, in short.
    warned: String,
    /// It did not come to an end; what went wrong was said then.
    failed: bool,
}

impl Outcome {
    fn sum(buckets: &Buckets) -> u64 {
        buckets.values().sum()
    }

    /// Lines that are in a file and were not counted.
    fn missed(&self) -> u64 {
        self.kept.iter().map(|(name, kept)| kept.saturating_sub(count(&self.counted, name))).sum()
    }

    /// Lines that were counted and never written: counted twice.
    fn doubled(&self) -> u64 {
        self.counted.iter().map(|(name, counted)| counted.saturating_sub(count(&self.written, name))).sum()
    }
}

fn count(buckets: &Buckets, name: &str) -> u64 {
    buckets.get(name).copied().unwrap_or(0)
}

/// Requests of one bucket: so few that a line counted twice cannot hide behind one that was missed.
const BUCKET: u64 = 20;

/// Clients of an nginx, until they are stopped.
struct Clients {
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<Buckets>>,
}

impl Clients {
    fn start(port: u16) -> Self {
        let (answered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let next = Arc::new(AtomicU64::new(0));
        let client = || {
            let (answered, stop, next) = (Arc::clone(&answered), Arc::clone(&stop), Arc::clone(&next));
            thread::spawn(move || ask(port, &next, &answered, &stop))
        };
        let threads = (0..2).map(|_| client()).collect();
        Self { answered, stop, threads }
    }

    /// Waits until so many more requests are answered.
    fn wait_for_more(&self, requests: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + requests;
        wait_for("more requests are answered", || {
            assert!(self.threads.iter().all(|thread| !thread.is_finished()), "a client failed");
            (self.answered.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    fn stop(self) -> Buckets {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Buckets::new();
        for thread in self.threads {
            for (bucket, requests) in thread.join().expect("a client failed") {
                *all.entry(bucket).or_default() += requests;
            }
        }
        all
    }
}

/// One client. Gives the requests that were answered, by bucket.
fn ask(port: u16, next: &AtomicU64, answered: &AtomicU64, stop: &AtomicBool) -> Buckets {
    let connection = TcpStream::connect(("127.0.0.1", port)).expect("nginx listens");
    connection.set_nodelay(true).expect("a socket");
    let mut reader = BufReader::new(connection);
    let mut buckets = Buckets::new();
    while !stop.load(Ordering::Relaxed) {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let bucket = format!("b{:05}", n / BUCKET);
        let request = format!("GET /{bucket}/{n} HTTP/1.1\r\nHost: s3.example.com\r\n\r\n");
        reader.get_mut().write_all(request.as_bytes()).expect("nginx reads");
        let mut header = String::new();
        while !header.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut header).expect("nginx answers") > 0, "nginx closed");
        }
        let mut body = [0; 5];
        reader.read_exact(&mut body).expect("a body");
        assert!(header.starts_with("HTTP/1.1 200 ") && &body == b"hello", "{header}");
        *buckets.entry(bucket).or_default() += 1;
        answered.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(2));
    }
    buckets
}

/// Lines in these files, by bucket. A line without its end is none.
fn lines_by_bucket(contents: &[(std::path::PathBuf, Vec<u8>)]) -> Buckets {
    let mut buckets = Buckets::new();
    for (path, content) in contents {
        for line in content.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            let line = std::str::from_utf8(line).expect("text");
            let bucket = line.split("\"GET /").nth(1).and_then(|rest| rest.split('/').next());
            let bucket = bucket.unwrap_or_else(|| panic!("{}: {line}", path.display()));
            *buckets.entry(bucket.to_owned()).or_default() += 1;
        }
    }
    buckets
}

struct Run {
    site: Site,
    clients: Clients,
    logrotate: Logrotate,
    cell: Cell,
}

impl Run {
    /// Waits until the daemon has counted something new.
    fn wait_until_counting(&self) {
        self.clients.wait_for_more(20);
        let before = self.site.committed();
        wait_for("something new is counted", || (self.site.committed() > before).then_some(()));
    }

    /// `dateformat -%s`: two rotations within a second would have one name. (And the clock of `time`, which logrotate asks,
    /// is up to a tick behind.)
    fn wait_for_a_new_name(&self) {
        if self.cell.scheme.names == Names::Dates {
            let next = now_ms() / 1000 * 1000 + 1050;
            wait_for("a new second", || (now_ms() > next).then_some(()));
        }
    }

    fn rotate(&self) {
        self.wait_for_a_new_name();
        self.logrotate.rotate();
        self.clients.wait_for_more(100);
    }

    /// All the rotations. Gives the daemon, running.
    fn rotations(&self, random: &mut Random) -> Process {
        let mut daemon = self.site.start();
        self.clients.wait_for_more(100);
        match self.cell.daemon {
            Daemon::Runs => {
                for _ in 0..4 {
                    // What is truncated before the daemon has read anything of the file has no place by which the copy
                    // could be found.
                    if self.cell.scheme.style == Style::CopyTruncate {
                        self.wait_until_counting();
                    }
                    self.rotate();
                }
            }
            Daemon::IsDown => {
                for (signal, rotations) in [("TERM", 1), ("KILL", 2)] {
                    self.wait_until_counting();
                    daemon.end(signal);
                    self.clients.wait_for_more(random.below(50));
                    for _ in 0..rotations {
                        self.rotate();
                    }
                    daemon = self.site.start();
                    self.clients.wait_for_more(100);
                }
            }
            Daemon::IsKilled => {
                for _ in 0..3 {
                    self.wait_until_counting();
                    self.wait_for_a_new_name();
                    let rotation = self.logrotate.start();
                    thread::sleep(Duration::from_micros(random.below(15_000)));
                    daemon.end("KILL");
                    daemon = self.site.run();
                    Logrotate::finish(rotation);
                    self.clients.wait_for_more(100);
                }
            }
        }
        daemon
    }
}

/// Whatever the daemon warned of, as the kinds of incidents it knows.
fn warned(said: &str) -> String {
    let mut warned = String::new();
    for (kind, words) in [
        ("gap", "is in none of its files"),
        ("truncated, copy found", "the rest was found in its copy"),
        ("truncated, rest lost", "what was written after the last read is lost"),
        ("shrunk", "shorter by"),
        ("damaged", "ends early or is damaged"),
        ("unreadable", "cannot be read"),
    ] {
        let times = said.matches(words).count();
        if times > 0 {
            let comma = if warned.is_empty() { "" } else { "; " };
            let _ = write!(warned, "{comma}{kind} ({times})");
        }
    }
    warned
}

fn run(cell: Cell, seed: u64) -> Outcome {
    let sink = Sink::start();
    let mut site = Site::new("rgwlens");
    site.output(&format!("name = \"sink\"\nkind = \"influxdb1\"\nurl = \"{}\"\ngzip = false\n", sink.url));
    let log = site.log();
    let mut nginx = Nginx::start(|port, _| {
        format!(
            "{}\nkeepalive_requests 1000000;\nserver {{\nlisten 127.0.0.1:{port};\n\
             access_log {} rgwlens buffer=64k flush=200ms;\n\
             location / {{ default_type text/plain; return 200 hello; }}\n}}\n",
            include_str!("../nginx/log_format.conf"),
            log.display()
        )
    });
    let logrotate = Logrotate::new(&site.path(""), &log, &nginx.prefix().join("nginx.pid"), cell.scheme);
    if cell.scheme.names == Names::OldDir {
        let olddir = format!("olddir = \"{}\"\n", logrotate.olddir().display());
        site.replace("start_at", &format!("{olddir}start_at"));
    }
    let run = Run { clients: Clients::start(nginx.port), site, logrotate, cell };
    let daemon = run.rotations(&mut Random(seed));
    let Run { site, clients, logrotate, .. } = run;

    let written = clients.stop();
    nginx.stop();
    let kept = lines_by_bucket(&logrotate.contents());
    let least = Outcome::sum(&kept);
    wait_for("all lines that are there are counted, and all windows closed", || {
        let stream = site.stream();
        let lines = stream.windows.as_ref().map_or(0, |windows| windows.totals.lines);
        (lines >= least && stream.fragments.is_empty()).then_some(())
    });
    assert_eq!(daemon.end("TERM"), Some(0), "{}", site.said());
    // A last time: a restart has nothing to add.
    let daemon = site.start();
    site.drain(daemon, site.committed());

    let text: String = sink.lines().into_iter().map(|line| line + "\n").collect();
    let points = points::parse(&text);
    let mut counted = Buckets::new();
    for point in points.iter().filter(|point| point.measurement == "rgw_bucket") {
        *counted.entry(point.tag("bucket").to_owned()).or_default() += point.count("requests");
    }
    assert_eq!(points::sum(&points, "rgw_log", "rejected"), 0, "{cell:?}: nginx writes whole lines");
    Outcome { written, kept, counted, warned: warned(&site.said()), failed: false }
}

/// What is wrong with it; nothing, if nothing is.
fn verdict(cell: Cell, outcome: &Outcome) -> Option<String> {
    let (missed, doubled) = (outcome.missed(), outcome.doubled());
    let (written, counted) = (Outcome::sum(&outcome.written), Outcome::sum(&outcome.counted));
    // A daemon that runs holds a renamed file open: then not even what the files lost is lost.
    let holds = cell.daemon == Daemon::Runs && cell.scheme.style != Style::CopyTruncate;
    let lost = if holds { written.saturating_sub(counted) } else { missed };
    (lost > 0 || doubled > 0 || outcome.failed).then(|| {
        format!(
            "{cell:?}: {written} written, {} in files, {counted} counted: {lost} missed, {doubled} twice; {}",
            Outcome::sum(&outcome.kept),
            outcome.warned
        )
    })
}

/// Runs cells side by side. Gives their outcomes in their order.
fn run_all(cells: &[Cell], threads: usize) -> Vec<Outcome> {
    let outcomes: Vec<Mutex<Outcome>> = cells.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cell) = cells.get(at) else { return };
                    let outcome = std::panic::catch_unwind(|| run(*cell, at as u64))
                        .unwrap_or_else(|_| Outcome { failed: true, ..Outcome::default() });
                    *outcomes[at].lock().expect("no one panics with it") = outcome;
                }
            });
        }
    });
    outcomes.into_iter().map(|outcome| outcome.into_inner().expect("no one panics with it")).collect()
}

/// All of these hold, or it says which do not.
fn check(cells: &[(Style, Compress, Names, Daemon)]) {
    let cells: Vec<Cell> = cells
        .iter()
        .map(|&(style, compress, names, daemon)| Cell { scheme: Scheme { style, compress, names }, daemon })
        .collect();
    let outcomes = run_all(&cells, cells.len());
    let wrong: Vec<String> =
        cells.iter().zip(&outcomes).filter_map(|(cell, outcome)| verdict(*cell, outcome)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (cell, outcome) in cells.iter().zip(&outcomes) {
        assert!(Outcome::sum(&outcome.written) > 300, "{cell:?}: too little traffic to say anything");
        // How much there is, is logrotate's: it may copy or compress, and remove, what nginx has not written yet, each time.
        assert!(!outcome.kept.is_empty(), "{cell:?}: nothing in the files");
    }
}

#[test]
fn r1_r3_r4_real_logrotate_while_the_daemon_runs() {
    check(&[
        (Style::Create, Compress::GzDelayed, Names::Numbers, Daemon::Runs),
        (Style::Create, Compress::Zst, Names::Dates, Daemon::Runs),
        (Style::RenameCopy, Compress::No, Names::OldDir, Daemon::Runs),
    ]);
}

#[test]
fn r5_real_logrotate_while_the_daemon_is_down() {
    check(&[
        (Style::Create, Compress::GzDelayed, Names::Numbers, Daemon::IsDown),
        (Style::NoCreate, Compress::ZstDelayed, Names::OldDir, Daemon::IsDown),
        (Style::Create, Compress::Gz, Names::Dates, Daemon::IsKilled),
    ]);
}

#[test]
fn r8_real_copytruncate() {
    check(&[
        (Style::CopyTruncate, Compress::GzDelayed, Names::Numbers, Daemon::Runs),
        (Style::CopyTruncate, Compress::No, Names::Dates, Daemon::IsDown),
    ]);
}

/// The whole matrix: `scripts/torture rotations`.
#[test]
#[ignore = "takes minutes: scripts/torture rotations"]
fn every_rotation() {
    let threads = std::env::var("THREADS").map_or(6, |text| text.parse().expect("a number"));
    let only = std::env::var("CELLS").unwrap_or_default();
    let cells: Vec<Cell> = Cell::all()
        .into_iter()
        .filter(|cell| only.split_whitespace().all(|word| row(*cell).contains(word)))
        .collect();
    let outcomes = run_all(&cells, threads);
    let mut wrong = Vec::new();
    let head = "Written | In files | Counted | Missed | Twice |";
    let mut table = format!(
        "| Style | Compressed | Names | Daemon | {head} Said |\n|--|--|--|--|--:|--:|--:|--:|--:|--|\n"
    );
    let mut sums: BTreeMap<String, [u64; 6]> = BTreeMap::new();
    for (cell, outcome) in cells.iter().zip(&outcomes) {
        wrong.extend(verdict(*cell, outcome));
        let [written, kept, counted] = [&outcome.written, &outcome.kept, &outcome.counted].map(Outcome::sum);
        let numbers = [written, kept, counted, outcome.missed(), outcome.doubled()];
        let _ = write!(table, "{}", row(*cell));
        numbers.iter().for_each(|number| _ = write!(table, " {number} |"));
        let _ = writeln!(table, " {} |", outcome.warned);
        let style = format!("| {} | {} |", cell.scheme.style, cell.daemon.name());
        let sum = sums.entry(style).or_default();
        [1].iter().chain(&numbers).zip(sum).for_each(|(number, sum)| *sum += number);
    }
    let _ = write!(table, "\n| Style | Daemon | Cells | {head}\n|--|--|--:|--:|--:|--:|--:|--:|\n");
    for (style, numbers) in sums {
        let _ = write!(table, "{style}");
        numbers.iter().for_each(|number| _ = write!(table, " {number} |"));
        table.push('\n');
    }
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("rotations.md");
    std::fs::write(&file, &table).expect("write");
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), file.display());
}

/// How a row of the table begins.
fn row(cell: Cell) -> String {
    let Cell { scheme: Scheme { style, compress, names }, daemon } = cell;
    format!("| {style} | {compress} | {names} | {} |", daemon.name())
}
