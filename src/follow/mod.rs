//! Log files, their rotations and their compressed past, as one stream of whole lines. Blocking I/O, no tokio.
//!
//! Three sources of lines, which the pipeline cannot tell apart: [`Follower`] makes one pathname look like one perpetual
//! log, whatever is renamed, truncated, compressed or deleted under it; [`Files`] reads the past to its end; [`Socket`] is
//! told what happens, and cannot ask again (see there for what that means).
//!
//! * [`Position`]: a place in a log, as hashes of its content ([`Fingerprint`]).
//! * [`Incident`]: what cost lines, or may have.
//! * `line_buffer`: bytes in, whole lines out. `reader`: one open file. `siblings`: what a log may be called after it was
//!   rotated. `codec`: gzip and zstd. `watch`: the wait between two looks. [`Clock`]: time, for tests to hold.
//!
//! # What is promised
//! Every whole line is handed out exactly once, across renames, compression, restarts and moves; [`Source::position`] is
//! always the start of a line, and where a restart goes on. What no reader can promise: bytes appended to a file after
//! the last read and then truncated away, unless a copy of them is found; a file written anew in place that has the same
//! 4 KiB before the place read; a file rotated *and* deleted between two looks. What was lost, or may have been, is an
//! [`Incident`].

mod clock;
mod codec;
mod files;
mod follower;
mod identity;
mod incident;
mod line_buffer;
mod position;
mod reader;
mod siblings;
mod socket;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::vec_deque::Drain;

pub use clock::{Clock, SystemClock};
pub use files::{Files, FilesOptions, Taken};
pub use follower::{FollowOptions, Follower, Start};
pub use identity::{FileId, Fingerprint};
pub use incident::Incident;
pub use position::{FilePosition, Position};
pub use socket::{Socket, SocketOptions};

use crate::point::TimestampMs;

/// All reasons of [`Next::Skipped`].
pub const SKIP_REASONS: &[&str] = &["too_long", "unterminated"];

/// What a source has next.
#[derive(Debug)]
pub enum Next<'a> {
    /// Whole lines.
    Lines(Lines<'a>),
    /// Bytes that will never be a line of their own: counted as one reject each, with its reason.
    Skipped {
        /// `too_long` or `unterminated`.
        reason: &'static str,
    },
    /// At the end of what is there; `now_ms` is the wall clock, taken before the read that found the end.
    Idle {
        /// Wall clock before that read.
        now_ms: TimestampMs,
    },
    /// There will be no more, ever.
    End,
}

/// Whole lines of one file.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    /// Whole lines: every one ends in `\n`.
    pub bytes: &'a [u8],
    /// Wall clock before these were read; `None` where the past is replayed.
    pub now_ms: Option<TimestampMs>,
}

impl<'a> Lines<'a> {
    /// The lines, without their newlines.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes.strip_suffix(b"\n").unwrap_or(self.bytes);
        let mut rest = (!self.bytes.is_empty()).then_some(bytes);
        std::iter::from_fn(move || {
            let bytes = rest?;
            match memchr::memchr(b'\n', bytes) {
                Some(at) => {
                    rest = Some(&bytes[at + 1..]);
                    Some(&bytes[..at])
                }
                None => {
                    rest = None;
                    Some(bytes)
                }
            }
        })
    }
}

/// Where lines come from. `run` follows a log, `replay` reads files: the pipeline cannot tell them apart.
pub trait Source {
    /// What there is next. Blocks no longer than the poll interval (a quarter of a second), so that the caller stays alive.
    fn next(&mut self) -> Result<Next<'_>, SourceError>;

    /// Just after the last byte that [`next`](Self::next) handed out: where a restart goes on.
    fn position(&self) -> Position;

    /// Bytes on the disk that were not handed out yet, as far as is known without looking.
    fn lag(&self) -> u64;

    /// Has what was handed out put on the disk. Called before a position is stored: otherwise power loss could leave a log
    /// shorter than its position.
    fn sync(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    /// The owner is about to commit for the last time. Says whether there is something left that only this source has, and
    /// that would be lost with it: then it wants to be asked for that first. A file has nothing of the kind.
    fn drain(&mut self) -> bool {
        false
    }

    /// What went wrong since the last call, for the owner to count and to tell.
    fn incidents(&mut self) -> Drain<'_, Incident>;
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn next(&mut self) -> Result<Next<'_>, SourceError> {
        (**self).next()
    }

    fn position(&self) -> Position {
        (**self).position()
    }

    fn lag(&self) -> u64 {
        (**self).lag()
    }

    fn sync(&mut self) -> Result<(), SourceError> {
        (**self).sync()
    }

    fn drain(&mut self) -> bool {
        (**self).drain()
    }

    fn incidents(&mut self) -> Drain<'_, Incident> {
        (**self).incidents()
    }
}

/// A source that cannot go on. What can be waited out (a missing file, a permission) is not an error: it is `Idle`.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {error}")]
pub struct SourceError {
    /// What was read.
    pub path: String,
    /// What the system said.
    pub error: std::io::Error,
}
