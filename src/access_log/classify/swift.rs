//! Swift: the path below its prefix.

use super::percent::escaped_byte;
use super::query::{Key, Query};
use super::target::first_segment;
use super::{Asked, Method};
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
    /// No version that RGW knows: it has no operation there.
    Nothing,
}

/// Reads the path below Swift's prefix; it begins with `/`, or is empty.
///
/// The first segment is the version, of which RGW looks at the first two letters. Whether the account comes next is a
/// setting of the gateway; where it is not known, a segment `AUTH_…` or `KEY_…` is taken for one.
pub(super) fn resource(path: &[u8], account_in_url: Option<bool>) -> Resource<'_> {
    let (version, rest) = first_segment(path);
    match version {
        b"healthcheck" => return Resource::HealthCheck,
        b"info" => return Resource::Info,
        b"crossdomain.xml" => return Resource::CrossDomain,
        version if version.starts_with(b"v1") => {}
        _ => return Resource::Nothing,
    }
    let (segment, after) = split(rest);
    let is_account = account_in_url
        .unwrap_or_else(|| [&b"AUTH_"[..], b"KEY_"].iter().any(|prefix| segment.starts_with(prefix)));
    let (container, object) = if is_account { split(after) } else { (segment, after) };
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

/// What the `Destination` of a COPY names, decoded: `/container/object`. `None` if RGW would not copy there.
pub(super) fn destination(header: &[u8]) -> Option<Vec<u8>> {
    let header = header.strip_prefix(b"/").unwrap_or(header);
    let header = &header[..memchr::memchr(b'?', header).unwrap_or(header.len())];
    let mut path = vec![b'/'];
    let mut rest = header;
    while let Some(&first) = rest.first() {
        let (byte, length) = escaped_byte(rest).map_or((first, 1), |byte| (byte, 3));
        path.push(byte);
        rest = &rest[length..];
    }
    let (container, object) = first_segment(&path);
    (!container.is_empty() && !object.is_empty()).then_some(path)
}

/// The operation of a method on a resource.
pub(super) fn operation(
    resource: Resource<'_>,
    method: Method,
    query: &Query,
    asked: &Asked<'_>,
) -> Operation {
    let Resource::Path { container, object } = resource else {
        return match (resource, method) {
            (Resource::HealthCheck, Method::Get) => GetHealthCheck,
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
            Method::Post if asked.is_form => PostObj,
            Method::Post => PutBucketMetadata,
            Method::Delete => DeleteBucket,
            Method::Options => OptionsCors,
            Method::Copy => None,
        }
    } else {
        match method {
            Method::Get | Method::Head => GetObj,
            Method::Put if archive => BulkUpload,
            Method::Put if asked.has_copy_from => CopyObj,
            Method::Put => PutObj,
            Method::Post if asked.is_form => PostObj,
            Method::Post => PutObjMetadata,
            Method::Delete => DeleteObj,
            Method::Copy => CopyObj,
            Method::Options => OptionsCors,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::option::Option::None; // not the operation of that name

    use super::*;

    fn check(path: &str, container: &str, object: &str) {
        check_with(None, path, container, object);
    }

    fn check_with(account_in_url: Option<bool>, path: &str, container: &str, object: &str) {
        let expected = Resource::Path { container: container.as_bytes(), object: object.as_bytes() };
        assert_eq!(resource(path.as_bytes(), account_in_url), expected, "{path}");
    }

    #[test]
    fn paths_with_and_without_an_account() {
        check("/v1", "", "");
        check("/v1.0/c", "c", "");
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
    fn what_the_gateway_is_configured_as_goes_before_what_it_looks_like() {
        check_with(Some(false), "/v1/AUTH_alice/c/o", "AUTH_alice", "c/o");
        check_with(Some(false), "/v1/c/o", "c", "o");
        check_with(Some(true), "/v1/AUTH_alice/c/o", "c", "o");
        check_with(Some(true), "/v1/alice/c/o/p", "c", "o/p");
        check_with(Some(true), "/v1/alice", "", "");
    }

    #[test]
    fn addresses_beside_the_version() {
        for (path, expected) in [
            ("/healthcheck", Resource::HealthCheck),
            ("/info", Resource::Info),
            ("/crossdomain.xml", Resource::CrossDomain),
            ("/v2/c", Resource::Nothing),
            ("/", Resource::Nothing),
            ("", Resource::Nothing),
        ] {
            assert_eq!(resource(path.as_bytes(), None), expected, "{path}");
        }
    }

    #[test]
    fn destinations_are_decoded_once() {
        for (header, expected) in [
            ("c/o", Some("/c/o")),
            ("/c/a%20b/%C3%A9", Some("/c/a b/é")),
            ("/c/o?version=1", Some("/c/o")),
            ("/c/%3F%2520", Some("/c/?%20")),
            ("c", None),
            ("/c/", None),
            ("", None),
            ("//o", None),
        ] {
            assert_eq!(
                destination(header.as_bytes()),
                expected.map(|path| path.as_bytes().to_vec()),
                "{header}"
            );
        }
    }
}
