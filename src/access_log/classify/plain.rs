//! The short way to say what a request is, for what nearly all are: S3, the bucket in the path, nothing encoded. Any doubt,
//! and the request takes the thorough way instead: so this one may only be quick, never of another opinion.
//!
//! On that way, what a request is goes from hand to hand, and moving it costs more than finding it out.

use super::{Classified, Classifier, Method, SwiftPrefix, class, is_nginxs_own, query::Query, s3};
use crate::access_log::{Class, PlainTarget, ProbeMark, Protocol, Record};

impl Classifier {
    /// What a request is, if that is plain. `record` has nothing escaped.
    #[inline(always)]
    pub fn classify_plainly<'a>(&self, record: &Record<'a>) -> Option<Classified<'a>> {
        let PlainTarget { method, segment, path } = record.plain?;
        if method == Method::Copy || self.needs_more_than_a_path(record) {
            return None;
        }
        let (path, query) = record.uri.split_at_checked(path as usize)?;
        let (bucket, object) = path.get(1..)?.split_at_checked(segment as usize)?;
        if self.is_entry_length(bucket) {
            return None;
        }
        let object = object.get(1..).unwrap_or_default();
        let query = query.get(1..).map_or_else(Query::default, Query::parse);
        let operation = if object.is_empty() {
            s3::bucket(method, &query, self.release)
        } else {
            s3::object(method, &query, self.release, record.has_copy_source)
        };
        let class = if query.from_gateway {
            Class::Sync
        } else {
            class::class(operation, method, !object.is_empty())
        };
        Some(Classified { protocol: Protocol::S3, operation, class, tenant: b"", bucket, object })
    }

    /// Whether the host, the status, the client or the settings may have a say in what a request is.
    #[inline(always)]
    fn needs_more_than_a_path(&self, record: &Record<'_>) -> bool {
        (record.host.is_some() && !self.hosts.is_empty())
            || record.status == 400
            || is_nginxs_own(record.status)
            || self.health.is_asked_for()
            || matches!(self.swift, SwiftPrefix::Root)
            || (self.probe.is_asked_for() && record.user_agent.is_some_and(ProbeMark::is_likely))
    }
}
