//! Swift: the path below its prefix.

use super::Method;
use super::query::{Key, Query};
use super::target::first_segment;
use crate::access_log::Operation::{self, *};

/// What a Swift path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource<'a> {
    /// `healthcheck`.
    HealthCheck,
    /// `info`.
    Info,
    /// `crossdomain.xml`.
    CrossDomain,
    /// An account, a container or an object: what is absent is empty.
    Path { container: &'a [u8], object: &'a [u8] },
}

/// Reads the path below Swift's prefix; it begins with `/`, or is empty.
///
/// The first segment is the version, and RGW does not look at it. Whether the account comes next is a setting of the
/// gateway (`rgw_swift_account_in_url`); a segment `AUTH_…` or `KEY_…` is taken for one.
pub(super) fn resource(path: &[u8]) -> Resource<'_> {
    let (version, rest) = first_segment(path);
    match version {
        b"healthcheck" => return Resource::HealthCheck,
        b"info" => return Resource::Info,
        b"crossdomain.xml" => return Resource::CrossDomain,
        _ => {}
    }
    let (segment, after) = split(rest);
    let (container, object) = if segment.starts_with(b"AUTH_") || segment.starts_with(b"KEY_") {
        split(after)
    } else {
        (segment, after)
    };
    // An empty container is the account, whatever follows it.
    if container.is_empty() {
        Resource::Path { container, object: b"" }
    } else {
        Resource::Path { container, object }
    }
}

/// The next segment of a path that does not begin with `/`, and what follows.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    memchr::memchr(b'/', path).map_or((path, b""), |at| (&path[..at], &path[at + 1..]))
}

/// The operation of a method on a resource.
pub(super) fn operation(
    resource: Resource<'_>,
    method: Method,
    query: &Query,
    has_copy_from: bool,
) -> Operation {
    let Resource::Path { container, object } = resource else {
        return match (resource, method) {
            (Resource::HealthCheck, Method::Get | Method::Head) => GetHealthCheck,
            (Resource::Info, Method::Get) => GetInfo,
            (Resource::CrossDomain, Method::Get) => GetCrossdomainPolicy,
            _ => None,
        };
    };
    let archive = query.has(Key::ExtractArchive);
    let bulk_delete = query.has(Key::BulkDelete);
    if container.is_empty() {
        match method {
            Method::Get => ListBuckets,
            Method::Head => StatAccount,
            Method::Put if archive => BulkUpload,
            Method::Post | Method::Delete if bulk_delete => BulkDelete,
            Method::Post => PutAccountMetadata,
            Method::Options => OptionsCors,
            Method::Put | Method::Delete | Method::Copy => None,
        }
    } else if object.is_empty() {
        match method {
            Method::Get => ListBucket,
            Method::Head => StatBucket,
            Method::Put if archive => BulkUpload,
            Method::Put => CreateBucket,
            Method::Post => PutBucketMetadata,
            Method::Delete => DeleteBucket,
            Method::Options => OptionsCors,
            Method::Copy => None,
        }
    } else {
        match method {
            Method::Get | Method::Head => GetObj,
            Method::Put if archive => BulkUpload,
            Method::Put if has_copy_from => CopyObj,
            Method::Put => PutObj,
            Method::Post => PutObjMetadata,
            Method::Delete => DeleteObj,
            Method::Copy => CopyObj,
            Method::Options => OptionsCors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, container: &str, object: &str) {
        let expected = Resource::Path { container: container.as_bytes(), object: object.as_bytes() };
        assert_eq!(resource(path.as_bytes()), expected, "{path}");
    }

    #[test]
    fn paths_with_and_without_an_account() {
        check("", "", "");
        check("/", "", "");
        check("/v1", "", "");
        check("/v1/", "", "");
        check("/v1/c", "c", "");
        check("/v1/c/", "c", "");
        check("/v1/c/o/p", "c", "o/p");
        check("/v1/c//o", "c", "/o");
        check("/v1/info", "info", "");
        check("/v1/AUTH_alice", "", "");
        check("/v1/AUTH_alice/", "", "");
        check("/v1/AUTH_alice/c/o/p", "c", "o/p");
        check("/v1/KEY_7f/c", "c", "");
        check("/v1/c/AUTH_x", "c", "AUTH_x");
        check("/v1//o", "", "");
    }

    #[test]
    fn addresses_beside_the_version() {
        assert_eq!(resource(b"/healthcheck"), Resource::HealthCheck);
        assert_eq!(resource(b"/info"), Resource::Info);
        assert_eq!(resource(b"/crossdomain.xml"), Resource::CrossDomain);
    }
}
