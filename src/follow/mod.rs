//! Log files, their rotations and their compressed past, as one stream of whole lines. Blocking I/O, no tokio.

use crate::point::TimestampMs;

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

/// A place in a log, found again by content whatever the file is called by then.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {}
