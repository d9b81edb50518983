//! Why a replay did not happen.

use crate::{follow::SourceError, influx::history::HistoryError, store::StoreError};

/// Why. Nothing was written, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file, when something was written already.
    #[error("{error}; what was written so far stays{go_on}")]
    Unreadable {
        /// What happened to it.
        error: SourceError,
        /// How to go on once it can be read, with its own punctuation.
        go_on: &'static str,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Wrong format.
    #[error(
        "none of the {lines} lines fits the log format: nothing was written; see what `rgwlens explain` says of a line, \
         and give the format's name, or the `log_format` directive of your nginx.conf, with --log-format"
    )]
    NothingFits {
        /// Lines read.
        lines: u64,
    },
    /// Too little of it.
    #[error(
        "no window is covered whole by these files: nothing was written; give all files of the log at once, older and \
         newer ones too"
    )]
    NothingWhole,
    /// The store has all of it.
    #[error(
        "`run` on this host counted all of these lines: nothing was written; `rgwlens resend` sends an output again what \
         the store has of them, and --replace, with the daemon stopped, counts them anew"
    )]
    CountedByRun,
    /// Nothing of it was asked for.
    #[error("none of these lines is between --since and --until: nothing was written")]
    OutsidePeriod,
    /// Points are there.
    #[error(
        "{place} already has points of this cluster, node and log in this range ({found}): nothing was written; \
         --replace deletes the range first, --overwrite goes on with a replay of the same files that was interrupted"
    )]
    AlreadyThere {
        /// Where.
        place: String,
        /// What was found.
        found: String,
    },
    /// The target cannot be asked, or cannot do it.
    #[error("{place}: {error}")]
    History {
        /// Where.
        place: String,
        /// Why.
        error: HistoryError,
    },
    /// The target did not take it for too long.
    #[error("{place} does not take points: {why}; what was written so far stays{go_on}")]
    NotTaken {
        /// Where.
        place: String,
        /// Why.
        why: String,
        /// How to go on once it does, with its own punctuation; may be empty.
        go_on: &'static str,
    },
    /// Writing to standard output.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}
