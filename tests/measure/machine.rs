//! The program as it is measured, and what the system says of it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// The program: `RGWLENS`, which `scripts/measure` builds in its release profile.
pub(crate) fn program() -> Command {
    let path = std::env::var("RGWLENS").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rgwlens").to_owned());
    let mut command = Command::new(path);
    command.env_remove("NO_COLOR").env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET");
    command
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    at: Instant,
    /// On a processor, its own code and the system's.
    pub(crate) processor: Duration,
    /// How often its threads went to sleep.
    pub(crate) waits: u64,
    /// Given to the disk.
    pub(crate) written: u64,
}

impl Usage {
    /// Of all threads that the process has.
    pub(crate) fn of(process: u32) -> Self {
        let (mut processor, mut waits) = (Duration::ZERO, 0);
        for thread in fs::read_dir(format!("/proc/{process}/task")).expect("it runs") {
            let thread = thread.expect("a folder").path();
            // A thread may end between two looks.
            let used = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
            processor += Duration::from_nanos(number(used.split(' ').next().unwrap_or_default()));
            waits += value(
                &fs::read_to_string(thread.join("status")).unwrap_or_default(),
                "voluntary_ctxt_switches:",
            );
        }
        let io = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
        Self { at: Instant::now(), processor, waits, written: value(&io, "write_bytes:") }
    }

    /// What it used since, as it is told: percent of one processor, waits a second, bytes a second.
    pub(crate) fn since(&self, before: &Self) -> Rates {
        let time = self.at.duration_since(before.at).as_secs_f64();
        Rates {
            processor: self.processor.saturating_sub(before.processor).as_secs_f64() / time * 100.0,
            waits: self.waits.saturating_sub(before.waits) as f64 / time,
            written: self.written.saturating_sub(before.written) as f64 / time,
        }
    }
}

/// What a process uses.
pub(crate) struct Rates {
    /// Percent of one processor.
    pub(crate) processor: f64,
    /// Waits a second.
    pub(crate) waits: f64,
    /// Bytes a second to the disk.
    pub(crate) written: f64,
}

/// The most memory a process had at any time so far, MiB.
pub(crate) fn peak_mib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    value(&status, "VmHWM:") as f64 / 1024.0
}

/// The number after a name, in a file of the system; 0 if the name is not there.
fn value(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()).map_or(0, number)
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// A folder on the disk that `TMPDIR` names.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// What a log or a store takes on the disk, MiB.
pub(crate) fn mib(path: &PathBuf) -> f64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len()) as f64 / f64::from(1 << 20)
}
