//! What went wrong in a way that an operator has to hear of, as data: nothing in here prints.

use std::{collections::VecDeque, collections::vec_deque::Drain, path::PathBuf};

use crate::point::TimestampMs;

/// Something that cost lines, or may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incident {
    /// The place where reading stopped is in none of the files that are left: what was written between is unknown.
    #[error(
        "{path}: the place where reading stopped is in none of its files; lines may be missing (keep more rotations, \
         or stop for a shorter time)"
    )]
    Gap {
        /// The log.
        path: PathBuf,
        /// Wall clock of the last read before the gap; `None` if it was not kept.
        since_ms: Option<TimestampMs>,
    },
    /// The file was emptied or rewritten in place (`copytruncate`) and is read from its beginning.
    #[error(
        "{path}: truncated in place (rotate by rename and USR1 instead of copytruncate); {}",
        if *.recovered { "the rest was found in its copy" } else { "what was written after the last read is lost" }
    )]
    Truncated {
        /// The log.
        path: PathBuf,
        /// Whether a copy was found that goes on where reading had stopped.
        recovered: bool,
    },
    /// The file lost its end, but is still the same file: power loss on storage that does not keep what it synced.
    #[error("{path}: shorter by {bytes} bytes that were read before; going on at its new end")]
    Shrunk {
        /// The file.
        path: PathBuf,
        /// Bytes that were read and are no longer there.
        bytes: u64,
    },
    /// The file cannot be read for now; it is tried again, and nothing of it is given up.
    #[error("{path}: cannot be read for now: {error} (does the user belong to the group of the log?)")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// A compressed file ends early or is damaged; its good part was read.
    #[error("{path}: compressed data ends early or is damaged: {error}; the part before was read")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        error: String,
    },
    /// Nobody listens on the socket, for now.
    #[error(
        "{path}: cannot connect: {error}; trying again (is the gateway running, with this rgw_ops_log_socket_path?)"
    )]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// The connection to the socket ended. The gateway keeps what it has not sent, up to its `rgw_ops_log_data_backlog`.
    #[error("{path}: disconnected: {error}; connecting again")]
    Disconnected {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// The kernel does not tell of changes (network file system, too many watches): polling finds them, a little later.
    #[error("{path}: changes are found by polling only: {error}")]
    Unwatched {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
}

impl Incident {
    /// Its name in metrics and tags.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Gap { .. } => "gap",
            Self::Truncated { .. } => "truncated",
            Self::Shrunk { .. } => "shrunk",
            Self::Unreadable { .. } => "unreadable",
            Self::Corrupt { .. } => "corrupt",
            Self::Unreachable { .. } => "unreachable",
            Self::Disconnected { .. } => "disconnected",
            Self::Unwatched { .. } => "unwatched",
        }
    }
}

/// Incidents until their owner asks for them: at most [`Incidents::KEPT`], the oldest go first.
#[derive(Debug, Default)]
pub(crate) struct Incidents(VecDeque<Incident>);

impl Incidents {
    /// More than an owner that never asks may have waiting.
    const KEPT: usize = 256;

    pub(crate) fn push(&mut self, incident: Incident) {
        if self.0.len() == Self::KEPT {
            self.0.pop_front();
        }
        self.0.push_back(incident);
    }

    pub(crate) fn drain(&mut self) -> Drain<'_, Incident> {
        self.0.drain(..)
    }
}
