//! The embedded store: one SQLite database whose one transaction moves everything that has to move together — the
//! position in each log, the windows still open, the admitted buckets, the closed parts, the outputs' cursors.
//!
//! [`Store`] is the one writer. [`Reader`]s look at it from other threads and processes, in short transactions.

mod commit;
mod error;
mod open;
mod prune;
mod reader;
mod replace;
#[cfg(test)]
mod tests;

pub use commit::{Acknowledgement, Commit, Stream};
pub use error::StoreError;
pub use open::{RunLock, Store, is_in_use};
pub use prune::{Keep, Pruned};
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

/// SQLite does not notice a flipped bit in a blob: we do.
fn checksum(blob: &[u8]) -> i64 {
    i64::from(crc32fast::hash(blob))
}
