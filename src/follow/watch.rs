//! The wait between two looks. The kernel may cut it short; whether it does changes when something is seen, never what.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::identity::FileId;

/// Waits, and is woken by files that appear, disappear or change their names beside the log.
pub(crate) struct Watch {
    dir: PathBuf,
    /// What such files' names begin with.
    base: Vec<u8>,
    /// Off: polling only.
    enabled: bool,
    /// Dropped and made again when the directory is another one.
    names: Option<kernel::Names>,
    /// The directory that `names` was made for, or failed for.
    watched: Option<FileId>,
}

impl Watch {
    pub(crate) fn new(path: &Path, enabled: bool) -> Self {
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let base = path.file_name().map_or_else(Vec::new, |base| base.as_bytes().to_vec());
        Self { dir: dir.to_path_buf(), base, enabled, names: None, watched: None }
    }

    /// Returns after `poll`, or earlier if something happened.
    pub(crate) fn wait(&self, poll: Duration) {
        let until = Instant::now() + poll;
        while let left = until.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            match &self.names {
                Some(names) if names.changed(left, |name| name.starts_with(&self.base)) => return,
                Some(_) => {}
                None => thread::sleep(left),
            }
        }
    }

    /// Watches the directory, also after it was deleted and made again. An error is told once for each directory, and
    /// means that polling has to do.
    pub(crate) fn rearm(&mut self) -> Result<(), (PathBuf, io::Error)> {
        if !self.enabled {
            return Ok(());
        }
        let now = fs::metadata(&self.dir).ok().map(|meta| FileId::of(&meta));
        if now == self.watched {
            return Ok(());
        }
        self.watched = now;
        self.names = None;
        if now.is_some() {
            self.names = kernel::Names::watch(&self.dir).map_err(|error| (self.dir.clone(), error))?;
        }
        Ok(())
    }
}

/// inotify, asked for names only. To be told of content that grows would wake us, and cost whoever writes it, for each of
/// thousands of lines a second: that is left to polling.
#[cfg(target_os = "linux")]
mod kernel {
    use std::{io, mem::MaybeUninit, os::fd::OwnedFd, path::Path, time::Duration};

    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init},
        io::Errno,
    };

    /// Changes of names in one directory.
    pub(super) struct Names(OwnedFd);

    impl Names {
        /// `None` where the system has nothing of the kind.
        pub(super) fn watch(dir: &Path) -> io::Result<Option<Self>> {
            let names = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            let all = [WatchFlags::CREATE, WatchFlags::DELETE, WatchFlags::MOVED_FROM, WatchFlags::MOVED_TO];
            add_watch(&names, dir, all.into_iter().collect::<WatchFlags>() | WatchFlags::ONLYDIR)?;
            Ok(Some(Self(names)))
        }

        /// Waits at most so long, and says whether one of ours changed. May return early without.
        pub(super) fn changed(&self, most: Duration, ours: impl Fn(&[u8]) -> bool) -> bool {
            let Ok(most) = Timespec::try_from(most) else { return true };
            if poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&most)).is_err() {
                // A signal. Whoever waits for the rest of the time asks again.
                return false;
            }
            let mut buffer = [const { MaybeUninit::uninit() }; 4096];
            let mut events = Reader::new(&self.0, &mut buffer);
            let mut changed = false;
            loop {
                match events.next() {
                    // No name: the queue was too short for all that happened, or the directory itself is gone.
                    Ok(event) => changed |= event.file_name().is_none_or(|name| ours(name.to_bytes())),
                    Err(Errno::INTR) => {}
                    Err(_) => return changed,
                }
            }
        }
    }
}

/// Polling has to do.
#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::{io, path::Path, time::Duration};

    pub(super) enum Names {}

    impl Names {
        pub(super) fn watch(_dir: &Path) -> io::Result<Option<Self>> {
            Ok(None)
        }

        pub(super) fn changed(&self, _most: Duration, _ours: impl Fn(&[u8]) -> bool) -> bool {
            match *self {}
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn names_wake_and_content_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        let mut log = fs::File::create(path("access.log")).unwrap();
        let names = kernel::Names::watch(folder.path()).unwrap().unwrap();
        // What the kernel has to tell is there before the call that caused it returns.
        let changed = || names.changed(Duration::ZERO, |name| name.starts_with(b"access.log"));
        log.write_all(b"a line\n").unwrap();
        fs::read(path("access.log")).unwrap();
        fs::write(path("error.log"), "of another").unwrap();
        assert!(!changed(), "content");
        fs::rename(path("access.log"), path("access.log.1")).unwrap();
        assert!(changed(), "renamed");
        assert!(!changed(), "told once");
        fs::write(path("access.log"), "").unwrap();
        assert!(changed(), "created");
        fs::remove_file(path("access.log.1")).unwrap();
        assert!(changed(), "deleted");
        drop(folder);
        assert!(changed(), "the directory itself");
    }
}
