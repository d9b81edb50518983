//! What a round found out.

use std::time::Duration;

use super::{failure::Failure, wire::Phases};

/// What a user does with an object store. The names are those of the metrics' label `task`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Create a bucket.
    Create,
    /// Put an object, in parts if it is large.
    Put,
    /// List one's buckets.
    ListBuckets,
    /// List a bucket's objects.
    ListObjects,
    /// Get an object, and compare it with what was put.
    Get,
    /// Delete an object.
    Delete,
    /// Delete many: one listing, and each object that it names.
    DeleteMany,
    /// Remove the bucket.
    Remove,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Create,
        Self::Put,
        Self::ListBuckets,
        Self::ListObjects,
        Self::Get,
        Self::Delete,
        Self::DeleteMany,
        Self::Remove,
    ];

    /// Value of the tag or label `task`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Put => "put",
            Self::ListBuckets => "list_buckets",
            Self::ListObjects => "list_objects",
            Self::Get => "get",
            Self::Delete => "delete",
            Self::DeleteMany => "delete_many",
            Self::Remove => "remove",
        }
    }
}

/// A task, done once.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Which.
    pub task: Task,
    /// Size of the object, bytes; `None` for a task about a bucket.
    pub size: Option<u64>,
    /// From beginning to end, also of one that failed.
    pub duration: Duration,
    /// How long its requests took, added up.
    pub phases: Phases,
    /// How many requests it took.
    pub requests: u32,
    /// Status of the last answer, if there was one.
    pub status: Option<u16>,
    /// The gateway's id of the last request that was answered: it is in the gateway's own log.
    pub request_id: Option<String>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl Observation {
    /// Value of the tag or label `outcome`: `ok`, or the kind of the failure.
    pub fn outcome(&self) -> &'static str {
        self.failure.as_ref().map_or("ok", |failure| failure.kind.name())
    }
}

/// A round at one endpoint.
#[derive(Clone, Debug)]
pub struct Round {
    /// The endpoint's name.
    pub endpoint: String,
    /// Its id: in the user agent of each of its requests, and so in the gateways' logs.
    pub id: String,
    /// What was done, in order.
    pub observations: Vec<Observation>,
    /// What could not be done: what it needs had failed, or there was no time left.
    pub skipped: Vec<(Task, Option<u64>)>,
    /// Objects and buckets that an earlier round had left behind, and that were removed.
    pub removed: u32,
    /// What somebody should look at: leftovers that stay.
    pub notes: Vec<String>,
}

impl Round {
    /// Whether every task was done, and well.
    pub fn is_ok(&self) -> bool {
        self.skipped.is_empty() && self.observations.iter().all(|observation| observation.failure.is_none())
    }
}

/// A size as a tag: `512B`, `1MiB`.
pub(super) fn size_name(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_exact() {
        for (bytes, name) in [
            (0, "0B"),
            (512, "512B"),
            (1024, "1KiB"),
            (1 << 20, "1MiB"),
            (64 << 20, "64MiB"),
            (1025, "1025B"),
        ] {
            assert_eq!(size_name(bytes), name);
        }
    }
}
