//! Opening the database, and the lock that one `run` holds.

use std::{
    fs::{File, TryLockError},
    hash::{BuildHasher as _, Hasher as _},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// Layout of the database, in SQLite's `user_version`.
const LAYOUT: i64 = 1;

/// How long a writer waits for another one (replay beside the daemon).
const BUSY: Duration = Duration::from_secs(10);

/// The store, open for writing.
#[derive(Debug)]
pub struct Store {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    instance: u64,
    lost: bool,
}

/// Held by the one `run` (or `replay --replace`) of a store, and by nobody after a crash: the system lets go of it.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// Held by the one `replay` that adds parts to a store: between its look at what is there and its last part, nobody else
/// may add the same. A `run` beside it adds others.
#[derive(Debug)]
pub struct ReplayLock {
    _file: File,
}

impl Store {
    /// Opens the store, or makes it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: rusqlite::Error| match StoreError::of(path, error) {
            StoreError::Open { path, error, .. } => {
                let mend = open_mend(&path);
                StoreError::Open { path, error, mend }
            }
            other => other,
        };
        let empty = std::fs::metadata(path).map_or(true, |metadata| metadata.len() == 0);
        // Only a `run` makes the lock, and nothing takes it away.
        let lost = empty && lock_path(path).exists();
        let db = Connection::open(path).map_err(failed)?;
        db.busy_timeout(BUSY).map_err(failed)?;
        // Before anything is changed.
        let found = layout(&db).map_err(failed)?;
        if found > LAYOUT {
            return Err(StoreError::Newer { path: path.into(), found, known: LAYOUT });
        }
        prepare(&db).map_err(failed)?;
        if found == 0 {
            create(&db).map_err(failed)?;
            checkpoint(&db).map_err(failed)?;
        }
        let instance: i64 = db
            .query_row("SELECT value FROM meta WHERE key = 'instance'", [], |row| row.get(0))
            .map_err(failed)?;
        Ok(Self { db, path: path.into(), instance: instance as u64, lost })
    }

    /// There was a store here that a `run` used, and this is a new one: the file was gone, or empty.
    pub fn was_lost(&self) -> bool {
        self.lost
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells this store from one that was lost and made anew, and from that of another host.
    pub fn instance(&self) -> u64 {
        self.instance
    }

    /// Writes what was committed into the database itself: a lost write-ahead log goes back no further.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        checkpoint(&self.db).map_err(|error| self.failed(error))
    }

    /// Takes the lock of the one who reads the logs. Fails at once when another has it.
    pub fn lock(&self) -> Result<RunLock, StoreError> {
        match locked(&lock_path(&self.path))? {
            Some(file) => Ok(RunLock { _file: file }),
            None => Err(StoreError::InUse { path: self.path.clone() }),
        }
    }

    /// Takes the lock of the one who replays into it. Fails at once when another has it.
    pub fn lock_for_replay(&self) -> Result<ReplayLock, StoreError> {
        match locked(&self.path.with_extension("replay.lock"))? {
            Some(file) => Ok(ReplayLock { _file: file }),
            None => Err(StoreError::InReplay { path: self.path.clone() }),
        }
    }

    /// How long a write waits for another process that writes, before it fails and may be tried again.
    pub fn wait_at_most(&self, time: Duration) -> Result<(), StoreError> {
        self.db.busy_timeout(time).map_err(|error| self.failed(error))
    }

    pub(super) fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::of(&self.path, error)
    }
}

/// The file, locked until it is dropped; `None` when somebody else has it locked.
fn locked(path: &Path) -> Result<Option<File>, StoreError> {
    let failed = |error: std::io::Error| StoreError::Open {
        path: path.to_owned(),
        error: error.to_string(),
        mend: String::new(),
    };
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn lock_path(store: &Path) -> PathBuf {
    store.with_extension("lock")
}

/// Whether a `run` or a `replay --replace` holds the lock of this store. Makes nothing, and needs no right to write.
///
/// # Errors
/// If there is a lock that cannot be looked at.
pub fn is_in_use(store: &Path) -> std::io::Result<bool> {
    let file = match File::open(lock_path(store)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    // Shared, so that two who look do not see each other.
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What every connection needs. `auto_vacuum` has to come before the first table and before WAL.
fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a commit that returned survives power loss; what follows from it (acknowledged, read on) may happen.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "journal_size_limit", 16 << 20)?;
    db.pragma_update(None, "wal_autocheckpoint", 1000)?;
    db.pragma_update(None, "temp_store", "MEMORY")
}

fn layout(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// All tables at once or none: two processes that make one store at a time agree by SQLite's lock.
fn create(db: &Connection) -> rusqlite::Result<()> {
    let transaction = rusqlite::Transaction::new_unchecked(db, rusqlite::TransactionBehavior::Immediate)?;
    if layout(&transaction)? == 0 {
        transaction.execute_batch(include_str!("schema.sql"))?;
        // No secret: only has to differ between stores. 62 bits, so that it is a positive integer everywhere.
        let random = std::hash::RandomState::new().build_hasher().finish() >> 2;
        transaction.execute("INSERT INTO meta (key, value) VALUES ('instance', ?1)", [random as i64])?;
        transaction.pragma_update(None, "user_version", LAYOUT)?;
    }
    transaction.commit()
}

fn checkpoint(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Opens an existing store to look at it only.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| match StoreError::of(path, error) {
        StoreError::Open { path, error, .. } => {
            let mend = reader_mend(&path);
            StoreError::Open { path, error, mend }
        }
        other => other,
    };
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(BUSY).map_err(failed)?;
    let found = layout(&db).map_err(failed)?;
    if found > LAYOUT {
        return Err(StoreError::Newer { path: path.into(), found, known: LAYOUT });
    }
    Ok(db)
}

fn open_mend(path: &Path) -> String {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return String::new();
    };
    // As SQLite just tried, to hear why.
    let tried = File::options().write(true).create(true).truncate(false).open(path);
    if tried.is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem) {
        format!("; {} is mounted read-only: `findmnt -T {}`", folder.display(), folder.display())
    } else if folder.is_dir() {
        format!("; this user needs to be able to write to {}", folder.display())
    } else {
        format!("; make its folder: install -d -o rgwlens -g rgwlens -m 0700 {}", folder.display())
    }
}

fn reader_mend(path: &Path) -> String {
    if path.exists() {
        "; run this as the user of the daemon: sudo -u rgwlens rgwlens …".to_owned()
    } else {
        "; there is no store yet: `rgwlens run` makes it, and so does `rgwlens replay --to store`".to_owned()
    }
}
