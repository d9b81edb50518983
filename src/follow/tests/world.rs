//! A log, the program that writes it, the one that rotates it, and a follower: everything a test can do to them.

use std::{
    cell::Cell,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::super::*;

/// A clock that moves when told to. The wall clock shows the same seconds, from [`EPOCH`] on.
#[derive(Default)]
pub(super) struct FakeClock(AtomicU64);

/// Seconds since 1970 at which a world begins.
const EPOCH: u64 = 1_700_000_000;

impl FakeClock {
    pub(super) fn advance(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as u64, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn wall_ms(&self) -> TimestampMs {
        (EPOCH * 1000 + self.0.load(Ordering::SeqCst) / 1_000_000) as TimestampMs
    }
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

/// How logrotate names what it rotates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    Number,
    Date,
    Olddir,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Packer {
    Gzip,
    Zstd,
}

pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) clock: Arc<FakeClock>,
    pub(super) naming: Naming,
    /// nginx: writes to the file it opened, whatever that is called now.
    nginx: Option<File>,
    /// A line that nginx began and has not ended.
    partial: String,
    lines: Cell<usize>,
    rotations: u64,
    /// Every line that was ended, in order.
    pub(super) written: Vec<String>,
    pub(super) follower: Option<Follower>,
    pub(super) start: Start,
    pub(super) delivered: Vec<String>,
    pub(super) skipped: Vec<&'static str>,
    pub(super) incidents: Vec<Incident>,
    /// What the store has: a position, and how much was delivered (and skipped) before it.
    committed: (Position, usize, usize),
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::default(),
            naming: Naming::Number,
            nginx: None,
            partial: String::new(),
            lines: Cell::new(0),
            rotations: 0,
            written: Vec::new(),
            follower: None,
            start: Start::Beginning,
            delivered: Vec::new(),
            skipped: Vec::new(),
            incidents: Vec::new(),
            committed: (Position::default(), 0, 0),
        }
    }

    /// With nginx running and a follower that has read the first line and committed.
    pub(super) fn running(naming: Naming) -> Self {
        let mut world = Self::new();
        world.naming = naming;
        world.usr1();
        world.write(1);
        world.open();
        world.read();
        world.commit();
        world
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }

    /// The `n`th newest rotated file, from 1 on, uncompressed.
    pub(super) fn rotated(&self, n: u64) -> PathBuf {
        match self.naming {
            Naming::Number => self.dir.path().join(format!("access.log.{n}")),
            Naming::Date => self.dir.path().join(format!("access.log-{}", EPOCH + self.rotations + 1 - n)),
            Naming::Olddir => self.dir.path().join(format!("old/access.log.{n}")),
        }
    }

    /// The time at which files are modified: later at each call, as it is not within one tick of the kernel's clock.
    fn tick(&self) -> SystemTime {
        self.clock.advance(Duration::from_millis(1));
        UNIX_EPOCH + Duration::from_millis(self.clock.wall_ms() as u64)
    }

    /// Line number so-and-so; every fourth is long enough that a few of them are more than a block.
    fn new_line(&self) -> String {
        let n = self.lines.get();
        self.lines.set(n + 1);
        let fill = if n % 4 == 3 { 1500 } else { n % 4 };
        format!("line {n} {}", "x".repeat(fill))
    }

    pub(super) fn append(&self, bytes: &[u8]) {
        let mut file = self.nginx.as_ref().unwrap();
        file.write_all(bytes).unwrap();
        file.set_modified(self.tick()).unwrap();
    }

    pub(super) fn write(&mut self, lines: usize) {
        for _ in 0..lines {
            let line =
                if self.partial.is_empty() { self.new_line() } else { std::mem::take(&mut self.partial) };
            let rest = line.rsplit_once('|').map_or(&*line, |(_, rest)| rest);
            self.append(format!("{rest}\n").as_bytes());
            self.written.push(line.replace('|', ""));
        }
    }

    /// Half a line.
    pub(super) fn write_partial(&mut self) {
        if self.partial.is_empty() {
            let line = self.new_line();
            let (begun, rest) = line.split_at(line.len() / 2);
            self.append(begun.as_bytes());
            self.partial = format!("{begun}|{rest}");
        }
    }

    pub(super) fn end_partial(&mut self) {
        if !self.partial.is_empty() {
            self.write(1);
        }
    }

    /// Whether nginx writes to the file that has the log's name.
    pub(super) fn nginx_is_on_the_log(&self) -> bool {
        let id = |meta: fs::Metadata| FileId::of(&meta);
        let log = fs::metadata(self.log()).map(id);
        self.nginx.as_ref().zip(log.ok()).is_some_and(|(file, log)| id(file.metadata().unwrap()) == log)
    }

    /// `kill -USR1`: nginx opens its log anew.
    pub(super) fn usr1(&mut self) {
        if self.nginx.is_some() {
            self.end_partial();
        }
        let new = !self.log().exists();
        let file = OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        if new {
            file.set_modified(self.tick()).unwrap();
        }
        self.nginx = Some(file);
    }

    /// Makes place for a new rotated file.
    fn shift(&mut self) {
        self.rotations += 1;
        if self.naming == Naming::Olddir {
            fs::create_dir_all(self.dir.path().join("old")).unwrap();
        }
        if self.naming != Naming::Date {
            for n in (1..=self.rotations).rev() {
                for end in ["", ".gz", ".zst"] {
                    let name = |n| PathBuf::from(format!("{}{end}", self.rotated(n).display()));
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

    pub(super) fn rotate(&mut self) {
        self.end_partial();
        self.rename();
        self.usr1();
    }

    pub(super) fn copytruncate(&mut self) {
        if self.nginx_is_on_the_log() {
            self.end_partial();
            self.shift();
            fs::copy(self.log(), self.rotated(1)).unwrap();
            touch(&self.rotated(1), self.tick());
            self.truncate();
        }
    }

    pub(super) fn truncate(&mut self) {
        let file = self.nginx.as_ref().unwrap();
        file.set_len(0).unwrap();
        file.set_modified(self.tick()).unwrap();
    }

    /// Compresses the `n`th newest rotated file, if it is there and nginx has left it.
    pub(super) fn compress(&mut self, n: u64, packer: Packer) -> bool {
        let path = self.rotated(n);
        let Ok(meta) = fs::metadata(&path) else { return false };
        let open = self.nginx.as_ref().map(|file| FileId::of(&file.metadata().unwrap()));
        if open == Some(FileId::of(&meta)) {
            return false;
        }
        let packed = pack(&fs::read(&path).unwrap(), packer);
        let target = packed_name(&path, packer);
        fs::write(&target, packed).unwrap();
        touch(&target, meta.modified().unwrap());
        fs::remove_file(path).unwrap();
        true
    }

    pub(super) fn options(&self) -> FollowOptions {
        FollowOptions {
            start: self.start.clone(),
            poll: Duration::ZERO,
            max_line: 4000,
            olddir: (self.naming == Naming::Olddir).then(|| "old".into()),
            watch: false,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            ..FollowOptions::new(self.log())
        }
    }

    pub(super) fn open(&mut self) {
        self.follower = Some(Follower::open(self.options()).unwrap());
    }

    /// One call. `false` if there was nothing.
    pub(super) fn read_once(&mut self) -> bool {
        let follower = self.follower.as_mut().unwrap();
        let found = match follower.next().unwrap() {
            Next::Lines(lines) => {
                assert!(lines.bytes.ends_with(b"\n"));
                assert!(lines.now_ms.is_some());
                self.delivered.extend(lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()));
                true
            }
            Next::Skipped { reason } => {
                self.skipped.push(reason);
                true
            }
            Next::Idle { now_ms } => {
                assert!(now_ms <= self.clock.wall_ms());
                false
            }
            Next::End => panic!("a log has no end"),
        };
        self.incidents.extend(follower.incidents());
        found
    }

    /// To the end of what is there.
    pub(super) fn read(&mut self) {
        while self.read_once() {}
    }

    pub(super) fn commit(&mut self) {
        if let Some(follower) = &self.follower {
            // As the store would have it.
            let stored = serde_json::to_string(&follower.position()).unwrap();
            self.committed =
                (serde_json::from_str(&stored).unwrap(), self.delivered.len(), self.skipped.len());
        }
    }

    /// `kill -9`: what was not committed has not happened.
    pub(super) fn kill(&mut self) {
        self.follower = None;
        self.delivered.truncate(self.committed.1);
        self.skipped.truncate(self.committed.2);
    }

    pub(super) fn restart(&mut self) {
        self.kill();
        self.start = Start::At(self.committed.0.clone());
        self.open();
    }

    pub(super) fn committed(&self) -> &Position {
        &self.committed.0
    }

    pub(super) fn sleep(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Reads everything, waits until every rotated file is let go, and reads again.
    #[track_caller]
    pub(super) fn settle(&mut self) {
        for _ in 0..3 {
            self.read();
            self.sleep(61);
        }
        self.read();
        assert_eq!(self.follower.as_ref().unwrap().lag(), 0, "nothing is left to read");
    }

    /// Every line once, nothing else, and nothing went wrong.
    #[track_caller]
    pub(super) fn assert_conserved(&mut self) {
        self.settle();
        self.assert_delivered(&self.written.clone());
        assert_eq!(self.skipped, [""; 0]);
        assert_eq!(self.incidents, []);
    }

    #[track_caller]
    pub(super) fn assert_delivered(&self, expected: &[String]) {
        let short = |lines: &[String]| -> Vec<String> {
            let mut lines: Vec<_> = lines.iter().map(|line| line.chars().take(12).collect()).collect();
            lines.sort();
            lines
        };
        assert_eq!(short(&self.delivered), short(expected));
        let (mut delivered, mut expected) = (self.delivered.clone(), expected.to_vec());
        delivered.sort();
        expected.sort();
        assert!(delivered == expected, "lines differ after their beginning");
    }

    pub(super) fn kinds(&self) -> Vec<&'static str> {
        self.incidents.iter().map(Incident::kind).collect()
    }
}

pub(super) fn touch(path: &Path, time: SystemTime) {
    File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

pub(super) fn packed_name(path: &Path, packer: Packer) -> PathBuf {
    let end = match packer {
        Packer::Gzip => "gz",
        Packer::Zstd => "zst",
    };
    PathBuf::from(format!("{}.{end}", path.display()))
}

pub(super) fn pack(bytes: &[u8], packer: Packer) -> Vec<u8> {
    let write = |mut encoder: Box<dyn Write>| encoder.write_all(bytes).unwrap();
    let mut packed = Vec::new();
    match packer {
        Packer::Gzip => {
            write(Box::new(flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast())))
        }
        Packer::Zstd => write(Box::new(zstd::Encoder::new(&mut packed, 1).unwrap().auto_finish())),
    }
    packed
}

/// Standard input that is these bytes.
pub(super) fn stdin(bytes: &[u8]) -> impl Fn() -> Box<dyn io::Read + Send> + use<> {
    let bytes = bytes.to_vec();
    move || Box::new(io::Cursor::new(bytes.clone()))
}
