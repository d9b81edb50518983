//! The wait between two looks. The kernel may cut it short; whether it does changes when something is seen, never what.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::Duration,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::ModifyKind};

use super::identity::FileId;

/// Waits, and is woken by files that appear, disappear or change their names beside the log.
pub(crate) struct Watch {
    dir: PathBuf,
    /// What such files' names begin with.
    base: Vec<u8>,
    /// Off: polling only.
    enabled: bool,
    /// Dropped and made again when the directory is another one.
    watcher: Option<RecommendedWatcher>,
    /// The directory that `watcher` was made for, or failed for.
    watched: Option<FileId>,
    /// Never closed, since this holds a sender too; holds one event at most, however many there were.
    events: (SyncSender<()>, Receiver<()>),
}

impl Watch {
    pub(crate) fn new(path: &Path, enabled: bool) -> Self {
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let base = path.file_name().map_or_else(Vec::new, |base| base.as_bytes().to_vec());
        Self { dir: dir.to_path_buf(), base, enabled, watcher: None, watched: None, events: sync_channel(1) }
    }

    /// Returns after `poll`, or earlier if something happened.
    pub(crate) fn wait(&self, poll: Duration) {
        match self.events.1.recv_timeout(poll) {
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    /// Watches the directory, also after it was deleted and made again. An error is told once for each directory, and
    /// means that polling has to do.
    pub(crate) fn rearm(&mut self) -> Result<(), (PathBuf, notify::Error)> {
        if !self.enabled {
            return Ok(());
        }
        let now = fs::metadata(&self.dir).ok().map(|meta| FileId::of(&meta));
        if now == self.watched {
            return Ok(());
        }
        self.watched = now;
        self.watcher = None;
        if now.is_none() {
            return Ok(());
        }
        let (wake, base) = (self.events.0.clone(), self.base.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error is an overflow of the queue: something happened. Content that grows is left to polling: at
            // thousands of lines a second, each would wake us.
            let wakes = event.map_or(true, |event| {
                let kind = matches!(
                    event.kind,
                    EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
                );
                let ours =
                    |path: &PathBuf| path.file_name().is_none_or(|name| name.as_bytes().starts_with(&base));
                event.need_rescan() || (kind && event.paths.iter().any(ours))
            });
            if wakes {
                // Full means that we are awake already.
                _ = wake.try_send(());
            }
        })
        .and_then(|mut watcher| watcher.watch(&self.dir, RecursiveMode::NonRecursive).map(|()| watcher));
        match watcher {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => return Err((self.dir.clone(), error)),
        }
        Ok(())
    }
}
