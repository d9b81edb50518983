//! Replaying, as it is measured: logs of any shape, and settings.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::machine::Whole;
use crate::shapes::{Change, Line, Write};
use crate::traffic::Traffic;

/// Lines in a second of a log.
pub(crate) const RATE: u64 = 2_000;

/// A log to be made.
#[derive(Clone, Copy)]
pub(crate) struct Log {
    pub(crate) lines: u64,
    pub(crate) buckets: u64,
    pub(crate) format: &'static str,
    pub(crate) write: Write,
    pub(crate) change: Change,
    /// So many lines are written in an order of their own, turned around.
    pub(crate) turned: usize,
}

impl Log {
    /// In the format `main`, as they come.
    pub(crate) const fn new(lines: u64, buckets: u64) -> Self {
        Self { lines, buckets, format: "main", write: Line::main, change: |_| (), turned: 1 }
    }

    fn write_to(&self, path: &Path) {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path).expect("create"));
        let (mut traffic, mut waiting) = (Traffic::new(self.buckets, 1), Vec::new());
        for number in 0..self.lines {
            let mut line = Line::next(&mut traffic, number, number * 1000 / RATE);
            (self.change)(&mut line);
            waiting.push((self.write)(&line));
            if waiting.len() == self.turned || number + 1 == self.lines {
                waiting.drain(..).rev().for_each(|line| file.write_all(line.as_bytes()).expect("write"));
            }
        }
        file.flush().expect("write");
    }
}

/// A folder with logs and a configuration.
pub(crate) struct Bench {
    dir: TempDir,
    runs: u64,
    made: RefCell<u64>,
}

impl Bench {
    /// Each thing is done so many times.
    pub(crate) fn new(runs: u64) -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder"), runs, made: RefCell::default() }
    }

    /// Makes a log.
    pub(crate) fn log(&self, log: &Log) -> PathBuf {
        *self.made.borrow_mut() += 1;
        let path = self.path(&format!("{}.log", self.made.borrow()));
        log.write_to(&path);
        path
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Replays files with these settings, to line protocol that nobody reads.
    pub(crate) fn replay(&self, settings: &str, format: &str, files: &[&Path], jobs: &str) -> Whole {
        let config = self.path("rgwlens.toml");
        fs::write(&config, settings).expect("write");
        let config = config.to_string_lossy();
        let mut words = vec!["--config", &config, "replay", "--to", "stdout", "--node", "gw1", "-j", jobs];
        words.extend(["--log-format", format]);
        let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
        words.extend(files.iter().map(AsRef::as_ref));
        Whole::of(self.runs, &words)
    }

    /// The same of one log, which is gone after that.
    pub(crate) fn replay_once(&self, settings: &str, log: &Log) -> Whole {
        let path = self.log(log);
        let used = self.replay(settings, log.format, &[&path], "1");
        fs::remove_file(path).expect("remove");
        used
    }
}
