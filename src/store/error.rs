//! What can go wrong with the store, and what the operator can do about it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its folder.
    #[error("cannot open the store {path}: {error}{mend}")]
    Open {
        /// The database.
        path: PathBuf,
        /// What the system or SQLite said.
        error: String,
        /// What to do, with its own punctuation; may be empty.
        mend: String,
    },
    /// Another `run` has it.
    #[error(
        "the store {path} is in use by another rgwlens: two that read the same log would count it twice; stop the other \
         one (`systemctl status rgwlens`), or give this one a store of its own"
    )]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// Another `replay` adds to it.
    #[error(
        "another `rgwlens replay` writes to the store {path}: two at once could count the same lines twice; nothing was \
         written, try again when it has ended"
    )]
    InReplay {
        /// The database.
        path: PathBuf,
    },
    /// From the future.
    #[error(
        "the store {path} was written by a later version of rgwlens (its layout is {found}, this version knows {known}): \
         install that version again, or move the file away to begin a new store"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Layout found.
        found: i64,
        /// Newest layout known.
        known: i64,
    },
    /// Not a database, or a broken one.
    #[error(
        "the store {path} is damaged: {error}; move it and its -wal away (the log is still there: a new store begins at \
         its end, and `rgwlens replay` fills in what it missed)"
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        error: String,
    },
    /// A part whose checksum is wrong.
    #[error(
        "part {seq} of the store {path} is damaged: its checksum is wrong or its contents are not readable"
    )]
    DamagedPart {
        /// The database.
        path: PathBuf,
        /// Its number.
        seq: i64,
    },
    /// No space, read-only, busy, I/O: may pass.
    #[error("cannot use the store {path}: {error}{mend}")]
    Failed {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        error: String,
        /// What to do, with its own punctuation; may be empty.
        mend: &'static str,
    },
    /// A log's name is taken by another path.
    #[error(
        "the log {name:?} of the store {path} is {bound}, but the configuration says it is {wanted}: give the new log \
         another `name`, or move the store away"
    )]
    Rebound {
        /// The database.
        path: PathBuf,
        /// The stream.
        name: String,
        /// Its path in the store.
        bound: String,
        /// Its path in the configuration.
        wanted: String,
    },
}

impl StoreError {
    /// Whether waiting may help: the disk is full, busy or read-only for now.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    /// Sorts out what SQLite said while it worked on `path`.
    pub(super) fn of(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        let code = error.sqlite_error_code();
        let error = match error {
            // What was read is not what is ever written: `error` says so better than the conversion that it broke.
            rusqlite::Error::FromSqlConversionFailure(_, _, error) => {
                return Self::Damaged { path, error: error.to_string() };
            }
            error => error.to_string(),
        };
        match code {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { path, error },
            // A table or a row that is not as it was made, a value that is not of its column's type: waiting mends none.
            None | Some(ErrorCode::Unknown | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {
                Self::Damaged { path, error }
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::Open { path, error, mend: String::new() }
            }
            Some(ErrorCode::DiskFull) => Self::Failed { path, error, mend: "; free some space" },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Failed {
                path,
                error,
                mend: "; another process has it, and did not let go of it in time",
            },
            Some(ErrorCode::SystemIoFailure) => {
                Self::Failed { path, error, mend: "; see what the kernel says of the disk: `dmesg`" }
            }
            Some(ErrorCode::ReadOnly) => {
                Self::Failed { path, error, mend: "; the file or its file system is read-only" }
            }
            _ => Self::Failed { path, error, mend: "" },
        }
    }
}
