//! Lines into records, by the plan of a format.

use super::{LogFormat, Record};

/// Why a line is not a line of this format. Counted by [`reason`](Self::reason), never fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at column {column}")]
pub struct Reject {
    /// A short stable word: a tag value of `rgw_log`. One of a closed set.
    pub reason: &'static str,
    /// Where in the line, in bytes from 1.
    pub column: usize,
}

/// Takes lines apart. Holds the format and what it remembers from line to line (the second it last converted).
#[derive(Clone, Debug)]
pub struct LineParser {}

impl LineParser {
    /// A parser of this format.
    pub fn new(format: LogFormat) -> Self {
        let _ = format;
        Self {}
    }

    /// Parses one line, without its newline.
    pub fn parse<'a>(&mut self, line: &'a [u8]) -> Result<Record<'a>, Reject> {
        let _ = line;
        Err(Reject { reason: "malformed", column: 1 })
    }
}
