//! The short way to say what a request is, for what nearly all are: S3, the bucket in the path as it is. Any doubt,
//! and the request takes the thorough way instead: so this one may only be quick, never of another opinion.
//!
//! On that way, what a request is goes from hand to hand, and moving it costs more than finding it out.

use std::ops::Range;

use super::{Classified, Classifier, Method, Site, class, is_nginxs_own, query::Query, s3};
use crate::access_log::{Class, Operation, PlainTarget, ProbeMark, Protocol, Record};

impl Classifier {
    /// What a request is, if that is plain; its object's key as it was sent, not decoded: who only counts does
    /// not look at it. `record` has nothing escaped.
    #[inline(always)]
    pub fn classify_plainly<'a>(&self, record: &Record<'a>) -> Option<Classified<'a>> {
        let PlainTarget { method, segment, path, text } = record.plain?;
        if method == Method::Copy || self.needs_more_than_a_path(record) {
            return None;
        }
        let (path, query) = record.uri.split_at_checked(path)?;
        let (bucket, object) = path.get(1..)?.split_at_checked(segment)?;
        if self.is_entry_length(bucket) && self.is_entry(bucket) {
            return None;
        }
        let object = object.get(1..).unwrap_or_default();
        let (operation, class) = if query.is_empty() && !record.has_copy_source {
            WITHOUT_QUERY[usize::from(!object.is_empty())][method as usize]
        } else {
            self.by_query(
                text,
                path.len() + 1..record.uri.len(),
                method,
                !object.is_empty(),
                record.has_copy_source,
            )
        };
        Some(Classified { protocol: Protocol::S3, operation, class, tenant: b"", bucket, object })
    }

    #[inline(never)]
    fn by_query(
        &self,
        text: &[u8],
        query: Range<usize>,
        method: Method,
        has_object: bool,
        has_copy_source: bool,
    ) -> (Operation, Class) {
        let query = Query::parse_within(text, query);
        let operation = if has_object {
            s3::object(method, &query, self.release, has_copy_source)
        } else {
            s3::bucket(method, &query, self.release)
        };
        let class =
            if query.from_gateway { Class::Sync } else { class::class(operation, method, has_object) };
        (operation, class)
    }

    /// Whether the host, the status, the client or the settings have a say in what a request is, or may have.
    #[inline(always)]
    fn needs_more_than_a_path(&self, record: &Record<'_>) -> bool {
        !self.goes_by_path
            || (!self.hosts.is_empty() && record.host.is_some_and(|host| self.hosts.site(host) != Site::Path))
            || (record.status >= 400 && (record.status == 400 || is_nginxs_own(record.status)))
            || (self.probe.is_asked_for() && record.user_agent.is_some_and(ProbeMark::is_likely))
    }
}

/// What a request without a query is to a bucket, and to an object, by its method.
const WITHOUT_QUERY: [[(Operation, Class); Method::ALL.len()]; 2] = {
    let mut table = [[(Operation::None, Class::Other); Method::ALL.len()]; 2];
    let mut at = 0;
    while at < Method::ALL.len() {
        let method = Method::ALL[at];
        let (bucket, object) = (s3::plain_bucket(method), s3::plain_object(method));
        table[0][method as usize] = (bucket, class::class(bucket, method, false));
        table[1][method as usize] = (object, class::class(object, method, true));
        at += 1;
    }
    table
};
