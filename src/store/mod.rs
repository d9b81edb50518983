//! The embedded store: one SQLite database whose one transaction moves everything that has to move together — the
//! position in each log, the windows still open, the admitted buckets, the closed parts, the outputs' cursors.
//!
//! [`Store`] is the one writer. [`Reader`]s look at it from other threads and processes, in short transactions.

mod commit;
mod error;
mod open;
mod prune;
mod quarantine;
mod reader;
mod replace;
#[cfg(test)]
mod tests;

pub use commit::{Acknowledgement, Commit, Stream};
pub use error::StoreError;
pub use open::{ReplayLock, RunLock, Store, is_in_use};
pub use prune::{Keep, Pruned};
pub use quarantine::{Quarantined, Which};
pub use reader::{OutputState, Payload, Range, Reader, StoredPart, StreamState};

use crate::stats::WindowKind;

/// How contents are packed in `blob`.
const CODEC_CONTENTS: i64 = 1;
/// Points as JSON.
const CODEC_POINTS: i64 = 2;

const KIND_POINTS: &str = "points";

fn kind_name(kind: WindowKind) -> &'static str {
    match kind {
        WindowKind::Node => "node",
        WindowKind::Bucket => "bucket",
    }
}

fn kind_of(name: &str) -> Option<WindowKind> {
    [WindowKind::Node, WindowKind::Bucket].into_iter().find(|kind| kind_name(*kind) == name)
}

/// A store's instance as points have it.
pub fn instance_name(instance: u64) -> String {
    format!("{instance:016x}")
}

/// SQLite does not notice a flipped bit in a row: we do. Covers everything that is kept of something, with the lengths,
/// so that nothing moves from one piece to the next unnoticed.
fn checksum(pieces: &[&[u8]]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for piece in pieces {
        hasher.update(&(piece.len() as u64).to_le_bytes());
        hasher.update(piece);
    }
    i64::from(hasher.finalize())
}

/// Of a part: its payload, and what says where and what it is.
fn part_checksum(kind: &str, stream: &str, tags: &str, numbers: [i64; 4], blob: &[u8]) -> i64 {
    let [start, length, k, codec] = numbers.map(i64::to_le_bytes);
    checksum(&[kind.as_bytes(), stream.as_bytes(), tags.as_bytes(), &start, &length, &k, &codec, blob])
}

/// Of a fragment: its payload, and what says of which window it is.
fn fragment_checksum(
    kind: &str,
    stream: &str,
    start: i64,
    length: i64,
    late_until: Option<i64>,
    blob: &[u8],
) -> i64 {
    let (start, length) = (start.to_le_bytes(), length.to_le_bytes());
    let late_until = late_until.map(i64::to_le_bytes);
    let late_until = late_until.as_ref().map_or(&[][..], |bytes| bytes);
    checksum(&[kind.as_bytes(), stream.as_bytes(), &start, &length, late_until, blob])
}

/// Of a stream's progress.
fn progress_checksum(position: &str, windows: &str) -> i64 {
    checksum(&[position.as_bytes(), windows.as_bytes()])
}
