//! A gateway's machine: its clocks, the program that writes the log and the one that rotates it.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use tempfile::TempDir;

use crate::{follow::Clock, point::TimestampMs};

/// When a machine is switched on, ms since 1970.
const EPOCH_MS: TimestampMs = 1_700_000_000_000;

/// The longest line of the log, in bytes.
pub(super) const MAX_LINE: usize = 4096;

/// Who writes the log, and how.
#[derive(Clone, Copy, Debug)]
pub(super) enum Writer {
    /// nginx: a line is a request.
    Nginx,
    /// The gateway, its ops log: a line is all that it has for now, torn pieces and empty lines among them.
    Gateway,
}

impl Writer {
    /// The log's format.
    pub(super) fn format(self) -> &'static str {
        match self {
            Self::Nginx => r#"log_format model '$msec $status $body_bytes_sent $request_time "$request"';"#,
            Self::Gateway => "rgw-ops",
        }
    }
}

/// Clocks that move when told to.
#[derive(Debug, Default)]
pub(super) struct ToldClock {
    /// Since the machine was switched on.
    passed_ms: AtomicI64,
    /// How wrong the wall clock is.
    off_ms: AtomicI64,
}

impl ToldClock {
    /// Time passes.
    pub(super) fn pass(&self, ms: i64) {
        self.passed_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// The wall clock is put forward, or back.
    pub(super) fn step(&self, ms: i64) {
        self.off_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ToldClock {
    fn wall_ms(&self) -> TimestampMs {
        EPOCH_MS + self.passed_ms.load(Ordering::SeqCst) + self.off_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.passed_ms.load(Ordering::SeqCst) as u64)
    }
}

/// How logrotate names what it rotates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    Number,
    Date,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Packer {
    Gzip,
    Zstd,
}

/// A line that was ended, or an entry on it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Line {
    /// A request that was answered with so many bytes.
    Request { bytes: u64 },
    /// Nothing of the format.
    Garbage,
}

pub(super) struct Machine {
    dir: TempDir,
    pub(super) clock: Arc<ToldClock>,
    naming: Naming,
    pub(super) writer: Writer,
    /// What nginx writes to, whatever it is called by now.
    nginx: File,
    /// The end of a line that nginx has begun.
    begun: Option<(String, Vec<Line>)>,
    rotations: u64,
    random: u64,
    /// Every line that was ended, in order.
    pub(super) written: Vec<Line>,
    /// How many lines were written before the present content of the log.
    pub(super) content_from: usize,
}

impl Machine {
    pub(super) fn new(naming: Naming, writer: Writer) -> Self {
        // In memory where that is possible: nothing here is about disks.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = dir.unwrap();
        let clock = Arc::new(ToldClock::default());
        let nginx = open(&dir.path().join("access.log"));
        let machine = Self {
            dir,
            clock,
            naming,
            writer,
            nginx,
            begun: None,
            rotations: 0,
            random: 0,
            written: Vec::new(),
            content_from: 0,
        };
        machine.touch(&machine.nginx);
        machine
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path("access.log")
    }

    /// The `n`th newest rotated file, from 1 on, uncompressed.
    fn rotated(&self, n: u64) -> PathBuf {
        match self.naming {
            Naming::Number => self.path(&format!("access.log.{n}")),
            Naming::Date => self.path(&format!("access.log-{}", 20_260_000 + self.rotations + 1 - n)),
        }
    }

    /// No two files are modified at the same time, and none before another that was: a clock that is put back is the
    /// follower's own test.
    fn touch(&self, file: &File) {
        self.clock.pass(1);
        file.set_modified(UNIX_EPOCH + Duration::from_millis(EPOCH_MS as u64) + self.clock.monotonic())
            .unwrap();
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (z ^ (z >> 27)) >> 8
    }

    /// A line that differs from all others, and what is on it.
    fn line(&mut self, time_ms: TimestampMs) -> (String, Vec<Line>) {
        if matches!(self.writer, Writer::Nginx) {
            let (text, line) = self.request_line(time_ms);
            return (text, vec![line]);
        }
        let (mut text, mut lines) = (String::new(), Vec::new());
        for _ in 0..self.random() % 4 + 1 {
            let (entry, line) = self.entry(time_ms);
            if self.random().is_multiple_of(8) {
                text.push_str(&entry[..entry.len() / 2]);
                lines.push(Line::Garbage);
            }
            text.push_str(&entry);
            lines.push(line);
        }
        text.push_str(["\n", "\n\n"][(self.random() % 2) as usize]);
        (text, lines)
    }

    /// An entry of the ops log, of a request that ended then.
    fn entry(&mut self, time_ms: TimestampMs) -> (String, Line) {
        let random = self.random();
        let bytes = random % 1_000_000;
        let status = [200, 200, 200, 304, 404, 503][(random % 6) as usize];
        let (bucket, took) = (random % 7, random % 1000);
        let began = chrono::DateTime::from_timestamp_millis(time_ms - took as i64).unwrap();
        let text = format!(
            r#"{{"bucket":"bucket{bucket}","time":"{}","operation":"get_obj","uri":"GET /bucket{bucket}/{random:x} HTTP/1.1","http_status":"{status}","bytes_sent":{bytes},"bytes_received":0,"total_time":{took},"trans_id":"{random:x}"}}"#,
            began.format("%Y-%m-%dT%H:%M:%S%.6fZ")
        );
        (text, Line::Request { bytes })
    }

    /// A line of nginx.
    fn request_line(&mut self, time_ms: TimestampMs) -> (String, Line) {
        let random = self.random();
        let bytes = random % 1_000_000;
        let status = [200, 200, 200, 304, 404, 503][(random % 6) as usize];
        let bucket = random % 7;
        let (seconds, ms) = (time_ms.div_euclid(1000), time_ms.rem_euclid(1000));
        let text = format!(
            "{seconds}.{ms:03} {status} {bytes} 0.{:03} \"GET /bucket{bucket}/{random:x} HTTP/1.1\"\n",
            random % 1000
        );
        (text, Line::Request { bytes })
    }

    fn append(&self, text: &str) {
        (&self.nginx).write_all(text.as_bytes()).unwrap();
        self.touch(&self.nginx);
    }

    fn end(&mut self, text: &str, lines: &[Line]) {
        self.append(text);
        self.written.extend(lines);
    }

    /// A request whose time is so far from what the wall clock says.
    pub(super) fn request(&mut self, off_ms: i64) {
        self.end_partial();
        let (text, line) = self.line(self.clock.wall_ms() + off_ms);
        self.end(&text, &line);
    }

    pub(super) fn garbage(&mut self, too_long: bool) {
        self.end_partial();
        let text = format!("what is this: {:x}", self.random());
        let fill = "x".repeat(if too_long { MAX_LINE } else { 0 });
        self.end(&format!("{text}{fill}\n"), &[Line::Garbage]);
    }

    /// The beginning of a line.
    pub(super) fn partial(&mut self) {
        if self.begun.is_none() {
            let (text, line) = self.line(self.clock.wall_ms());
            let (begun, rest) = text.split_at(text.len() / 3);
            self.append(begun);
            self.begun = Some((rest.to_owned(), line));
        }
    }

    pub(super) fn end_partial(&mut self) {
        if let Some((rest, line)) = self.begun.take() {
            self.end(&rest, &line);
        }
    }

    /// Whether nginx writes to the file that has the log's name.
    pub(super) fn nginx_is_on_the_log(&self) -> bool {
        fs::metadata(self.log()).is_ok_and(|log| log.ino() == self.nginx.metadata().unwrap().ino())
    }

    /// `kill -USR1`: nginx opens its log anew.
    pub(super) fn usr1(&mut self) {
        if !self.nginx_is_on_the_log() {
            self.end_partial();
            self.nginx = open(&self.log());
            self.touch(&self.nginx);
            self.content_from = self.written.len();
        }
    }

    /// Makes place for a new rotated file.
    fn shift(&mut self) {
        self.rotations += 1;
        if self.naming == Naming::Number {
            for n in (1..self.rotations).rev() {
                for end in ["", ".gz", ".zst"] {
                    let name = |n| format!("{}{end}", self.rotated(n).display());
                    _ = fs::rename(name(n), name(n + 1));
                }
            }
        }
    }

    /// What logrotate does before it tells nginx.
    pub(super) fn rename(&mut self) {
        if self.log().exists() {
            self.shift();
            fs::rename(self.log(), self.rotated(1)).unwrap();
        }
    }

    pub(super) fn copytruncate(&mut self) {
        self.shift();
        let copy = self.rotated(1);
        fs::copy(self.log(), &copy).unwrap();
        self.touch(&OpenOptions::new().append(true).open(copy).unwrap());
        self.nginx.set_len(0).unwrap();
        self.touch(&self.nginx);
        self.content_from = self.written.len();
    }

    /// Compresses the `n`th newest rotated file, if it is there and nginx has left it.
    pub(super) fn compress(&self, n: u64, packer: Packer) {
        let path = self.rotated(n);
        let Ok(meta) = fs::metadata(&path) else { return };
        if meta.ino() == self.nginx.metadata().unwrap().ino() {
            return;
        }
        let content = fs::read(&path).unwrap();
        let (packed, end) = match packer {
            Packer::Gzip => {
                let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gz.write_all(&content).unwrap();
                (gz.finish().unwrap(), "gz")
            }
            Packer::Zstd => (zstd::encode_all(&*content, 1).unwrap(), "zst"),
        };
        let target = format!("{}.{end}", path.display());
        fs::write(&target, packed).unwrap();
        let file = OpenOptions::new().append(true).open(target).unwrap();
        file.set_modified(meta.modified().unwrap()).unwrap();
        fs::remove_file(path).unwrap();
    }

    /// Deletes the oldest rotated file that nginx has left.
    pub(super) fn delete_oldest(&self) {
        let nginx = self.nginx.metadata().unwrap().ino();
        for n in (1..=self.rotations).rev() {
            for end in ["", ".gz", ".zst"] {
                let path = format!("{}{end}", self.rotated(n).display());
                if fs::metadata(&path).is_ok_and(|meta| meta.ino() != nginx) {
                    fs::remove_file(path).unwrap();
                    return;
                }
            }
        }
    }
}

fn open(log: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(log).unwrap()
}
