//! A place in a log, found again by content whatever its files are called by then.

use serde::{Deserialize, Serialize};

use super::identity::{FileId, Fingerprint};
use crate::point::{TimestampMs, TimestampNs};

/// A place in a log: how far each of the files that are being read has been read.
///
/// Right after a rotation nginx still writes to the renamed file while the new one fills, so one offset is not enough.
/// Everything older than the first file is done, everything newer than the last is unread, and what lies between is
/// listed. `Position::default()` means "nothing known": reading starts with the log's present file, from its beginning.
///
/// It holds hashes, never content, so it may be stored and shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Oldest first. Empty if there has been no file to read yet.
    pub files: Vec<FilePosition>,
    /// Wall clock of the last look at the files; 0 if there has been none. Says how long a gap is, if there is one.
    pub read_at_ms: TimestampMs,
}

/// How far one file has been read.
///
/// A file is the same if its first bytes and the bytes before the offset are the same. The rest are hints, used to look
/// at the likeliest file first and, where there is no content to compare yet, as the only thing there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    /// Bytes handed out, counted in the uncompressed content. Always the start of a line.
    pub offset: u64,
    /// The file's first 1024 bytes, or all up to the offset if that is less.
    pub head: Fingerprint,
    /// The 4096 bytes before the offset, or all of them if they are fewer.
    pub anchor: Fingerprint,
    /// Hint: device and inode.
    #[serde(flatten)]
    pub id: FileId,
    /// Hint: when the file was created, where the file system keeps that.
    pub born_ns: Option<TimestampNs>,
    /// Hint: when the file was last modified, as of the last look. After a gap, what is newer than this is unread.
    pub modified_ns: TimestampNs,
    /// The file is done with, and is listed only because it says where reading had come to: nothing newer has content.
    #[serde(default)]
    pub done: bool,
}

impl Position {
    /// Whether nothing is known: no file, and no time at which there was none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
