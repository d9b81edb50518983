//! Which operation of which API on which bucket and object a request is.
//!
//! The method, the target and the host decide, in this order: is it a request at all ([`target`]); whose host is it
//! ([`host`]); which API owns the path; which sub-resource does the query name ([`query`]); which operation is that
//! ([`s3`], [`swift`], [`admin`]); what do we count it under ([`class`], [`health`]).

mod admin;
mod bucket_name;
mod class;
mod health;
mod host;
mod percent;
mod plain;
mod probe;
mod query;
mod redact;
mod s3;
mod settings;
mod swift;
mod target;
mod told;

#[cfg(test)]
mod tests;

use memchr::memchr;

pub use bucket_name::valid_bucket;
pub use redact::redacted_uri;
pub use settings::{ClassifierSettings, HealthSettings, ProbeSettings, Release};
pub use told::Told;

use self::health::Health;
use self::host::{Hosts, Site};
use self::probe::Probe;
use self::query::Query;
use self::target::{Target, first_segment};
use super::{Class, Method, Operation, Protocol, scan};
use crate::point::TimestampMs;

/// What the classifier looks at: the request as the client sent it, nginx's escapes undone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Method as sent; empty for garbage.
    pub method: &'a [u8],
    /// Request target as sent, query included; may be absolute-form.
    pub uri: &'a [u8],
    /// `$http_host` or `$host`, if the log has it.
    pub host: Option<&'a [u8]>,
    /// It is `$http_host`: what the gateway is sent, whatever the target says.
    pub host_as_sent: bool,
    /// Answered status.
    pub status: u16,
    /// Client address.
    pub remote_addr: Option<&'a [u8]>,
    /// User agent.
    pub user_agent: Option<&'a [u8]>,
    /// When: a probe's mark is of its time.
    pub time_ms: TimestampMs,
    /// `x-amz-copy-source` was sent.
    pub has_copy_source: bool,
    /// `X-Copy-From` was sent.
    pub has_copy_from: bool,
    /// `Destination`, which says where Swift's COPY copies to.
    pub destination: Option<&'a [u8]>,
    /// The content type is that of a form with files: with a POST to a Swift container, an upload.
    pub is_form: bool,
}

/// What a request is. Names are decoded bytes as the gateway sees them: validate before they become tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified<'a> {
    /// The API.
    pub protocol: Protocol,
    /// RGW's name for it.
    pub operation: Operation,
    /// Our class.
    pub class: Class,
    /// Tenant, empty for none.
    pub tenant: &'a [u8],
    /// Bucket (Swift: container), empty for none.
    pub bucket: &'a [u8],
    /// Object key, empty for none.
    pub object: &'a [u8],
}

/// The prefix of the Swift API.
#[derive(Clone, Debug)]
enum SwiftPrefix {
    /// `/swift`, say.
    Segment(Box<[u8]>),
    /// Swift is at the root, and there is no S3.
    Root,
}

/// Compiled [`ClassifierSettings`].
#[derive(Clone, Debug)]
pub struct Classifier {
    release: Release,
    hosts: Hosts,
    swift: SwiftPrefix,
    swift_account_in_url: Option<bool>,
    swift_auth: Box<[u8]>,
    admin: Box<[u8]>,
    /// The lengths of these entries and of Swift's prefix, as bits.
    entry_lengths: u64,
    health: Health,
    probe: Probe,
    /// Nothing in the settings makes two requests differ that have the same path, but for hosts and probes.
    goes_by_path: bool,
}

impl Classifier {
    /// Prepares the settings for the hot path. An entry or prefix may be written with or without slashes around it; an
    /// empty one turns its API off (Swift's: `/` puts it at the root).
    pub fn new(settings: ClassifierSettings) -> Self {
        let entry = |entry: &str| -> Box<[u8]> { entry.trim_matches('/').as_bytes().into() };
        let swift = match settings.swift_prefix.as_str() {
            "/" => SwiftPrefix::Root,
            prefix => SwiftPrefix::Segment(entry(prefix)),
        };
        let (swift_auth, admin) = (entry(&settings.swift_auth_entry), entry(&settings.admin_entry));
        let swift_length = match &swift {
            SwiftPrefix::Segment(prefix) => length_bit(prefix),
            SwiftPrefix::Root => 0,
        };
        let health = Health::new(settings.health);
        Self {
            goes_by_path: !health.is_asked_for() && matches!(swift, SwiftPrefix::Segment(_)),
            entry_lengths: swift_length | length_bit(&swift_auth) | length_bit(&admin),
            release: settings.release,
            hosts: Hosts::new(&settings.dns_names, &settings.website_dns_names),
            swift,
            swift_account_in_url: settings.swift_account_in_url,
            swift_auth,
            admin,
            health,
            probe: Probe::new(settings.probe),
        }
    }

    /// Says what a request is. Decoded names borrow from `asked` where nothing had to be decoded, else from `scratch`.
    #[inline(never)]
    pub fn classify<'a>(&self, asked: &Asked<'a>, scratch: &'a mut Vec<u8>) -> Classified<'a> {
        // Taken apart where they stand: moving a target through combinators costs as much as parsing it.
        let Some(method) = Method::parse(asked.method) else { return self.no_request(asked) };
        if let (Method::Copy, Some(destination)) = (method, asked.destination) {
            return self.copy(asked, destination, scratch);
        }
        let Some(target) = Target::parse(asked.uri) else { return self.no_request(asked) };
        if is_refused_by_nginx(asked.status, &target) {
            return self.no_request(asked);
        }
        let query = if target.query.is_empty() { Query::default() } else { Query::parse(target.query) };
        let path = target.decoded_path(scratch);
        // nginx goes by the host of an absolute target, and sends the gateway the header, which may name another: nobody
        // shall get a bucket of an invented name to answer for what the gateway said of its own.
        let host = asked.host.filter(|_| asked.host_as_sent || !target.is_absolute);
        let mut classified = match host.map_or(Site::Path, |host| self.hosts.site(host)) {
            Site::Path => self.by_path(asked, method, path, &query),
            Site::Bucket(bucket) => self.s3(asked, method, &query, bucket, &path[1..]),
            Site::Website(b"") => {
                let (bucket, object) = first_segment(path);
                website(method, bucket, object)
            }
            Site::Website(bucket) => website(method, bucket, &path[1..]),
        };
        let is_root =
            path == b"/" && target.query.is_empty() && classified.operation == Operation::ListBuckets;
        if (is_root && self.health.is_root_check(asked)) || self.health.is_configured(asked, target.path) {
            classified.class = Class::Health;
        } else if query.from_gateway {
            classified.class = Class::Sync;
        }
        self.without_probes(asked, classified)
    }

    /// Requests of our own probe are a class of their own, without names: its buckets live for a moment, and would be new
    /// series every round, for a day.
    #[inline]
    fn without_probes<'a>(&self, asked: &Asked<'_>, what: Classified<'a>) -> Classified<'a> {
        if self.probe.is_recognised(asked) {
            return Classified { tenant: b"", bucket: b"", object: b"", class: Class::Probe, ..what };
        }
        what
    }

    /// What is not a request is never lost, but has neither operation nor names.
    #[cold]
    fn no_request(&self, asked: &Asked<'_>) -> Classified<'static> {
        let class = if self.health.is_configured(asked, b"") { Class::Health } else { Class::Invalid };
        Classified { class, ..NOTHING }
    }

    /// The host says nothing: the path's first segment is an API's entry or a bucket.
    fn by_path<'a>(
        &self,
        asked: &Asked<'_>,
        method: Method,
        path: &'a [u8],
        query: &Query,
    ) -> Classified<'a> {
        let (first, rest) = first_segment(path);
        let below = &path[1 + first.len()..];
        if self.is_entry_length(first) {
            if *first == *self.admin {
                let (operation, sync) = admin::operation(below, method, query, self.release);
                let class = if sync { Class::Sync } else { Class::Admin };
                return Classified { protocol: Protocol::Admin, operation, class, ..NOTHING };
            }
            if *first == *self.swift_auth {
                let operation = if method == Method::Get { Operation::SwiftAuthGet } else { Operation::None };
                return Classified {
                    protocol: Protocol::SwiftAuth,
                    operation,
                    class: Class::Auth,
                    ..NOTHING
                };
            }
        }
        match &self.swift {
            SwiftPrefix::Root => self.swift(asked, method, path, query),
            SwiftPrefix::Segment(prefix) if self.is_entry_length(first) && *first == **prefix => {
                self.swift(asked, method, below, query)
            }
            SwiftPrefix::Segment(_) => self.s3(asked, method, query, first, rest),
        }
    }

    /// Whether a first segment is as long as some entry: told before they are compared, since nearly none is one.
    #[inline]
    fn is_entry_length(&self, first: &[u8]) -> bool {
        !first.is_empty() && self.entry_lengths & length_bit(first) != 0
    }

    /// Whether a first segment is the entry of another API than S3's.
    #[cold]
    fn is_entry(&self, first: &[u8]) -> bool {
        let is_swift = matches!(&self.swift, SwiftPrefix::Segment(prefix) if *first == **prefix);
        is_swift || *first == *self.admin || *first == *self.swift_auth
    }

    /// Swift's COPY, as RGW has it: an upload of what its header names.
    #[cold]
    fn copy<'a>(&self, asked: &Asked<'a>, destination: &[u8], scratch: &'a mut Vec<u8>) -> Classified<'a> {
        let asked = Asked { destination: None, ..*asked };
        let mut path = Vec::new();
        let from = self.classify(&asked, &mut path);
        match (from.operation, swift::destination(destination)) {
            (Operation::CopyObj, Some(to)) => {
                let (protocol, operation, class) = (from.protocol, from.operation, from.class);
                scratch.clear();
                scratch.extend_from_slice(&to);
                let (bucket, object) = first_segment(scratch);
                Classified { protocol, operation, class, tenant: b"", bucket, object }
            }
            _ => self.classify(&asked, scratch),
        }
    }

    fn swift<'a>(&self, asked: &Asked<'_>, method: Method, path: &'a [u8], query: &Query) -> Classified<'a> {
        let resource = swift::resource(path, self.swift_account_in_url);
        let operation = swift::operation(resource, method, query, asked);
        let (bucket, object) = match resource {
            swift::Resource::Path { container, object } => (container, object),
            _ => (&b""[..], &b""[..]),
        };
        let class = match resource {
            swift::Resource::HealthCheck => Class::Health,
            _ => class::class(operation, method, !object.is_empty()),
        };
        Classified { protocol: Protocol::Swift, operation, class, tenant: b"", bucket, object }
    }

    fn s3<'a>(
        &self,
        asked: &Asked<'_>,
        method: Method,
        query: &Query,
        bucket: &'a [u8],
        object: &'a [u8],
    ) -> Classified<'a> {
        let (tenant, bucket) =
            if scan::contains(b':', bucket) { of_tenant(bucket) } else { (&b""[..], bucket) };
        let operation = if bucket.is_empty() {
            if method == Method::Post {
                return Classified { protocol: Protocol::Sts, class: Class::Sts, tenant, object, ..NOTHING };
            }
            s3::service(method, query)
        } else if object.is_empty() {
            s3::bucket(method, query, self.release)
        } else {
            s3::object(method, query, self.release, asked.has_copy_source)
        };
        let class = class::class(operation, method, !object.is_empty());
        Classified { protocol: Protocol::S3, operation, class, tenant, bucket, object }
    }
}

/// A set that holds the length of this text; all very long ones are one.
#[inline]
const fn length_bit(text: &[u8]) -> u64 {
    1 << if text.len() < 63 { text.len() } else { 63 }
}

/// Tenant and bucket of `tenant:bucket`.
#[cold]
fn of_tenant(bucket: &[u8]) -> (&[u8], &[u8]) {
    memchr(b':', bucket).map_or((b"", bucket), |at| (&bucket[..at], &bucket[at + 1..]))
}

/// No API, no operation, no names.
const NOTHING: Classified<'static> = Classified {
    protocol: Protocol::None,
    operation: Operation::None,
    class: Class::Other,
    tenant: b"",
    bucket: b"",
    object: b"",
};

/// A website answers GET and HEAD, whatever the query, and nothing else.
fn website<'a>(method: Method, bucket: &'a [u8], object: &'a [u8]) -> Classified<'a> {
    let operation = match method {
        Method::Get | Method::Head => Operation::GetObj,
        _ => Operation::None,
    };
    Classified { protocol: Protocol::Website, operation, class: Class::Website, tenant: b"", bucket, object }
}

/// Whether the status says that nginx refused the request by itself. The gateway answers 400 too; there the path decides.
fn is_refused_by_nginx(status: u16, target: &Target<'_>) -> bool {
    match status {
        400 => target.is_refused_path(),
        _ => is_nginxs_own(status),
    }
}

/// Whether only nginx answers so: target too long, connection closed without an answer, header too large, TLS trouble, HTTP
/// version.
#[inline]
fn is_nginxs_own(status: u16) -> bool {
    matches!(status, 414 | 444 | 494..=497 | 505)
}
