//! The wait between two looks. The kernel may cut it short; whether it does changes when something is seen, never what.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::Duration,
};

use notify::{Config, Event, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher};

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
        let tell = move |event: notify::Result<Event>| {
            // An error is an overflow of the queue: something happened.
            let ours =
                |path: &PathBuf| path.file_name().is_none_or(|name| name.as_bytes().starts_with(&base));
            if event.map_or(true, |event| event.need_rescan() || event.paths.iter().any(ours)) {
                // Full means that we are awake already.
                _ = wake.try_send(());
            }
        };
        let watcher = RecommendedWatcher::new(tell, names_only())
            .and_then(|mut watcher| watcher.watch(&self.dir, RecursiveMode::NonRecursive).map(|()| watcher));
        match watcher {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => return Err((self.dir.clone(), error)),
        }
        Ok(())
    }
}

/// To be told of content that grows would wake us, and cost whoever writes it, for each of thousands of lines a second: that
/// is left to polling.
fn names_only() -> Config {
    Config::default()
        .with_event_kinds(EventKindMask::CREATE | EventKindMask::REMOVE | EventKindMask::MODIFY_NAME)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _, sync::mpsc::channel};

    use notify::{EventKind, event::ModifyKind};

    use super::*;

    /// Long enough that only an event ends it.
    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn names_are_told_and_content_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        let mut log = File::create(path("access.log")).unwrap();
        let (tell, told) = channel();
        let mut watcher = RecommendedWatcher::new(tell, names_only()).unwrap();
        watcher.watch(folder.path(), RecursiveMode::NonRecursive).unwrap();
        log.write_all(b"a line\n").unwrap();
        fs::read(path("access.log")).unwrap();
        fs::rename(path("access.log"), path("access.log.1")).unwrap();
        // They are told in the order of what happened.
        let first: Event = told.recv_timeout(LONG).unwrap().unwrap();
        assert!(!first.kind.is_access() && first.paths.contains(&path("access.log")), "{first:?}");
        assert!(!matches!(first.kind, EventKind::Modify(ModifyKind::Data(_))), "{first:?}");
    }

    #[test]
    fn only_our_own_names_wake() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(&folder.path().join("access.log"), true);
        watch.rearm().unwrap();
        for name in ["error.log", "access.log"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        watch.events.1.recv_timeout(LONG).expect("woken by access.log");
        assert!(watch.events.1.try_recv().is_err(), "and by nothing else");
    }
}
