//! What the gateway itself says about a request wins over what the request looks like.

use memchr::memchr;

use super::{Asked, Classified, Classifier, Method, class, query::Query, target::Target};
use crate::access_log::{Class, Operation, Protocol};

/// What RGW's own log says about a request, beyond what an access log does; empty where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told<'a> {
    /// RGW's name of the operation; in old releases the method.
    pub operation: &'a [u8],
    /// `bucket` or `tenant/bucket`.
    pub bucket: &'a [u8],
    /// The object's key.
    pub object: &'a [u8],
    /// Who asked: the user's id.
    pub user: &'a [u8],
    /// S3's code of an error.
    pub error_code: &'a [u8],
}

impl Classifier {
    /// Like [`classify`](Self::classify), for a request about which the gateway itself says something: its operation, if
    /// it is one we know (in old releases it is the method), its bucket, and its object.
    pub fn classify_told<'a>(
        &self,
        asked: &Asked<'a>,
        told: &Told<'a>,
        scratch: &'a mut Vec<u8>,
    ) -> Classified<'a> {
        let (tenant, bucket) = match memchr(b'/', told.bucket) {
            Some(at) => (&told.bucket[..at], &told.bucket[at + 1..]),
            None => (&b""[..], told.bucket),
        };
        let mut what = match self.elsewhere(asked, bucket, scratch) {
            true => self.of_bucket(asked, bucket, scratch),
            false => self.classify(asked, scratch),
        };
        if !bucket.is_empty() {
            (what.tenant, what.bucket) = (tenant, bucket);
        }
        if !told.object.is_empty() {
            what.object = told.object;
        }
        if what.operation.name().as_bytes() != told.operation
            && let Some(operation) = operation(told.operation)
        {
            what.operation = operation;
            if !matches!(what.class, Class::Health | Class::Sync) {
                let method = Method::parse(asked.method).unwrap_or(Method::Get);
                what.class = class::class(operation, method, !what.object.is_empty());
            }
        }
        what
    }

    /// Whether the bucket is not the one in the path, where S3 has it unless the host names it.
    fn elsewhere(&self, asked: &Asked<'_>, bucket: &[u8], scratch: &mut Vec<u8>) -> bool {
        if bucket.is_empty() {
            return false;
        }
        let in_path = asked.uri.get(1..).and_then(|path| path.strip_prefix(bucket));
        if in_path.is_some_and(|rest| matches!(rest.first(), None | Some(b'/' | b'?'))) {
            return false;
        }
        let what = self.classify(asked, scratch);
        what.protocol == Protocol::S3 && what.bucket != bucket
    }

    /// A request to a bucket that the host names, which no log of the gateway shows.
    #[cold]
    fn of_bucket<'a>(&self, asked: &Asked<'a>, bucket: &'a [u8], scratch: &'a mut Vec<u8>) -> Classified<'a> {
        let Some(method) = Method::parse(asked.method) else { return self.no_request(asked) };
        let Some(target) = Target::parse(asked.uri) else { return self.no_request(asked) };
        let query = Query::parse(target.query);
        let path = target.decoded_path(scratch);
        let mut what = self.s3(asked, method, &query, bucket, &path[1..]);
        if self.health.is_configured(asked, target.path) {
            what.class = Class::Health;
        } else if query.from_gateway {
            what.class = Class::Sync;
        }
        what
    }
}

/// The operation of this name, if we know it.
#[cold]
fn operation(name: &[u8]) -> Option<Operation> {
    let operation = Operation::from_name(std::str::from_utf8(name).ok()?)?;
    (operation != Operation::None).then_some(operation)
}
