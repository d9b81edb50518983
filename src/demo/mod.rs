//! Something to look at where there is no gateway: requests that a real one answered, written into a log as nginx would
//! write them, some minutes of them in some seconds, while a daemon follows that log.
//!
//! Nothing is made up but the time: the requests are moved to the last minutes before now, and spread over them as they
//! were when they were recorded. Everything behind the log is what `rgwlens run` does.

mod clock;
mod directory;
mod recording;

use std::{
    fs::{self, File},
    io::Write as _,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;

use crate::{config::Config, daemon::Embedded, follow::Clock, point::TimestampMs, stats::Totals};
use clock::ToldClock;
pub use directory::Directory;
use recording::Recording;

/// How much time the requests are spread over, ms: whole windows of buckets, so that none is left open at the end.
const SPAN_MS: i64 = 120_000;

/// How much faster than life.
pub const SPEED: u32 = 30;

/// Between two bursts of lines.
const STEP: Duration = Duration::from_millis(50);

/// How long after the last line the daemon may take to have counted it: a machine that is very busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// A log, a store and a configuration in a directory of their own.
#[derive(Debug)]
pub struct Demo {
    config: Config,
    config_file: PathBuf,
    log: PathBuf,
    recording: Recording,
}

/// Somebody wants it to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

impl Demo {
    /// Puts a configuration and an empty log into the directory. Nothing outside of it is read or written.
    ///
    /// # Errors
    /// A directory that cannot be written to, or in which these files are already.
    pub fn prepare(directory: &Path) -> anyhow::Result<Self> {
        let recording = Recording::bundled().context("the bundled recording cannot be unpacked")?;
        let at = |name: &str| directory.join(name);
        let (config_file, log) = (at("rgwlens.toml"), at("access.log"));
        let text = configuration(&at("rgwlens.db"), &log).context("the directory's name is not UTF-8")?;
        for (path, text) in [(&config_file, text.as_str()), (&log, "")] {
            File::create_new(path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .with_context(|| format!("cannot make {}", path.display()))?;
        }
        let config = Config::from_toml(&text)?;
        Ok(Self { config, config_file, log, recording })
    }

    /// How many requests there are.
    pub fn requests(&self) -> usize {
        self.recording.len()
    }

    /// The store.
    pub fn store(&self) -> &Path {
        &self.config.store.path
    }

    /// The log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The configuration's file.
    pub fn config_file(&self) -> &Path {
        &self.config_file
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Writes the log while a daemon follows it, and waits until all of it is counted in windows that have closed.
    /// `now_ms` is the wall clock; `watch` is told how far the daemon is, every now and then.
    ///
    /// # Errors
    /// [`Interrupted`]; a daemon that does not start, or ends early; a disk that is full.
    pub fn play(
        &self,
        now_ms: TimestampMs,
        interrupted: &AtomicBool,
        mut watch: impl FnMut(Totals),
    ) -> anyhow::Result<Totals> {
        let windows = self.config.settings.windows;
        // The last window of buckets that is closed by now, and as many before it as it takes.
        let end_ms = (now_ms - windows.lateness_ms).div_euclid(windows.bucket_ms) * windows.bucket_ms;
        let begin_ms = end_ms - SPAN_MS;
        let clock = Arc::new(ToldClock::new(begin_ms));
        let as_clock: Arc<dyn Clock> = Arc::<ToldClock>::clone(&clock);
        let daemon = Embedded::start(&self.config, &as_clock)?;

        let totals = self.write(begin_ms..end_ms, &clock, &daemon, interrupted, &mut watch);
        // Why a log's thread ended says more than that it did.
        daemon.stop()?;
        totals
    }

    fn write(
        &self,
        time: Range<TimestampMs>,
        clock: &ToldClock,
        daemon: &Embedded,
        interrupted: &AtomicBool,
        watch: &mut impl FnMut(Totals),
    ) -> anyhow::Result<Totals> {
        let mut log = fs::OpenOptions::new().append(true).open(&self.log)?;
        let mut lines = self.recording.over(time.end - time.start).peekable();
        let mut burst = Vec::new();
        // The last windows close by then, and it is not beyond the wall clock.
        let closed_ms = time.end + self.config.settings.windows.lateness_ms;
        let mut now_ms = time.start;
        let mut patience = PATIENCE;
        loop {
            now_ms = (now_ms + i64::from(SPEED) * STEP.as_millis() as i64).min(closed_ms);
            burst.clear();
            while let Some(line) = lines.next_if(|line| time.start + line.after_ms < now_ms) {
                line.write(time.start + line.after_ms, &mut burst);
            }
            log.write_all(&burst)?;
            // After the lines: whoever finds the end of the log has seen all that happened until then.
            clock.tell(now_ms);
            thread::sleep(STEP);
            let totals = daemon.totals();
            watch(totals);
            if totals.lines == self.requests() as u64 && totals.closed == totals.counted {
                return Ok(totals);
            }
            if interrupted.load(Ordering::Relaxed) {
                return Err(Interrupted.into());
            }
            anyhow::ensure!(daemon.is_running(), "the daemon ended early");
            if lines.peek().is_none() {
                patience = patience.saturating_sub(STEP);
                anyhow::ensure!(!patience.is_zero(), "the daemon did not count all in time: {totals:?}");
            }
        }
    }
}

/// The configuration's text; `None` for paths that TOML cannot hold.
fn configuration(store: &Path, log: &Path) -> Option<String> {
    // A text of JSON is one of TOML.
    let quote = |path: &Path| path.to_str().and_then(|path| serde_json::to_string(path).ok());
    Some(format!(
        "# Made by `rgwlens demo`.\n\
         node = \"demo\"\n\n\
         [store]\npath = {}\n\n\
         [[log]]\npath = {}\nformat = \"rgwlens\"\nstart_at = \"beginning\"\n",
        quote(store)?,
        quote(log)?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_holds_any_path() {
        let (store, log) = (Path::new("/a \"b\"\\/s.db"), Path::new("/a\nb/access.log"));
        let config = Config::from_toml(&configuration(store, log).unwrap()).unwrap();
        assert_eq!((config.store.path.as_path(), config.logs[0].path.as_path()), (store, log));
    }

    #[test]
    fn what_is_there_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        Demo::prepare(directory.path()).unwrap();
        let error = Demo::prepare(directory.path()).unwrap_err();
        assert!(format!("{error:#}").contains("rgwlens.toml"), "{error:#}");
    }

    #[test]
    fn whoever_interrupts_does_not_wait() {
        let directory = tempfile::tempdir().unwrap();
        let demo = Demo::prepare(directory.path()).unwrap();
        let mut told = 0;
        let error = demo.play(1_795_290_000_000, &AtomicBool::new(true), |_| told += 1).unwrap_err();
        assert!(error.is::<Interrupted>(), "{error:#}");
        assert_eq!(told, 1);
    }
}
