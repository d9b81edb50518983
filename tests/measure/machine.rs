//! The program as it is measured, and what the system says of it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where the program is: `RGWLENS`, which `scripts/measure` builds in its release profile.
fn path() -> String {
    std::env::var("RGWLENS").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rgwlens").to_owned())
}

/// The program, without this machine's configuration.
pub(crate) fn program() -> Command {
    let mut command = Command::new(path());
    command.env_remove("NO_COLOR").env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET");
    command
}

/// What a command has used, from its start to its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Whole {
    /// By the clock, seconds.
    pub(crate) elapsed: f64,
    /// On processors, its own code and the system's, seconds.
    pub(crate) processor: f64,
    /// The most memory at any time, MiB.
    pub(crate) peak_mib: f64,
}

impl Whole {
    /// Runs the program, its output to nowhere. Of several runs the one that took least of the processor: what else the
    /// machine does can only add to it.
    pub(crate) fn of(runs: u64, arguments: &[&str]) -> Self {
        let program = path();
        let words: Vec<&str> = std::iter::once(program.as_str()).chain(arguments.iter().copied()).collect();
        Self::of_command(runs, &words)
    }

    /// The same of any command.
    pub(crate) fn of_command(runs: u64, words: &[&str]) -> Self {
        let all = (0..runs).map(|_| Self::once(words));
        all.min_by(|a, b| a.processor.total_cmp(&b.processor)).expect("at least one run")
    }

    fn once(words: &[&str]) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", WAIT]).args(words).stdin(Stdio::null()).stderr(Stdio::piped());
        let output = command.output().expect("this needs python3: apt-get install python3");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        let result = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<f64> =
            result.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        Self { elapsed: numbers[0], processor: numbers[1], peak_mib: numbers[2] / 1024.0 }
    }
}

/// What the system tells of a child that has ended is not in the standard library. (Python's own memory, 10 MiB, is the least
/// that is said of the child's.)
const WAIT: &str = "
import os, sys, time
begin = time.monotonic()
nowhere = [(os.POSIX_SPAWN_OPEN, 1, '/dev/null', os.O_WRONLY, 0)]
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=nowhere)
_, status, used = os.wait4(child, 0)
print(time.monotonic() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(status != 0)
";

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    at: Instant,
    processor: Duration,
    waits: u64,
    written: u64,
}

/// What a process uses.
pub(crate) struct Rates {
    /// Its own code and the system's, percent of one processor.
    pub(crate) processor: f64,
    /// How often its threads go to sleep, a second.
    pub(crate) waits: f64,
    /// Bytes a second to the disk.
    pub(crate) written: f64,
}

impl Usage {
    /// Of all threads that the process has.
    pub(crate) fn of(process: u32) -> Self {
        let (mut processor, mut waits) = (Duration::ZERO, 0);
        for thread in fs::read_dir(format!("/proc/{process}/task")).expect("it runs") {
            let thread = thread.expect("a folder").path();
            // A thread may end between two looks.
            let used = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
            let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
            processor += Duration::from_nanos(used.split(' ').next().map_or(0, number));
            waits += value(&status, "voluntary_ctxt_switches:");
        }
        let io = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
        Self { at: Instant::now(), processor, waits, written: value(&io, "write_bytes:") }
    }

    /// What it used since then, a second.
    pub(crate) fn since(&self, before: &Self) -> Rates {
        let time = self.at.duration_since(before.at).as_secs_f64();
        Rates {
            processor: self.processor.saturating_sub(before.processor).as_secs_f64() / time * 100.0,
            waits: self.waits.saturating_sub(before.waits) as f64 / time,
            written: self.written.saturating_sub(before.written) as f64 / time,
        }
    }
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

/// What a file takes on the disk, MiB.
pub(crate) fn mib(path: &Path) -> f64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len()) as f64 / f64::from(1 << 20)
}
