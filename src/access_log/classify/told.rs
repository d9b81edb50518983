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
        if !told.operation.is_empty()
            && what.operation.name().as_bytes() != told.operation
            && let Some(operation) = operation(told.operation)
        {
            what.operation = operation;
            if !matches!(what.class, Class::Health | Class::Sync) {
                let method = Method::parse(asked.method).unwrap_or(Method::Get);
                what.class = class::class(operation, method, !what.object.is_empty());
            }
        }
        self.without_probes(asked, what)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::ClassifierSettings;

    /// A request in short, and what the gateway says: `METHOD /target`, operation, bucket, object.
    fn check(request: &str, (operation, bucket, object): (&str, &str, &str), expected: &str) {
        let mut settings = ClassifierSettings::default();
        settings.health.paths = vec!["/alive".into()];
        let (method, uri) = request.split_once(' ').unwrap();
        let asked = Asked { method: method.as_bytes(), uri: uri.as_bytes(), status: 200, ..Asked::default() };
        let told = Told {
            operation: operation.as_bytes(),
            bucket: bucket.as_bytes(),
            object: object.as_bytes(),
            ..Told::default()
        };
        let mut scratch = Vec::new();
        let Classified { protocol, operation, class, tenant, bucket, object } =
            Classifier::new(settings).classify_told(&asked, &told, &mut scratch);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said =
            format!("{protocol} {operation} {class} {}|{}|{}", text(tenant), text(bucket), text(object));
        assert_eq!(said, expected, "{request} {told:?}");
    }

    #[test]
    fn what_the_gateway_says_wins() {
        // Nothing is said: the request decides.
        check("GET /b/k", ("", "", ""), "s3 get_obj download |b|k");
        // A copy, whose header no log of the gateway shows; the key of a form upload.
        check("PUT /b/k", ("copy_obj", "b", ""), "s3 copy_obj copy |b|k");
        check("POST /b", ("post_obj", "b", "from/the form"), "s3 post_obj upload |b|from/the form");
        // The user's own tenant, and one in the path.
        check("GET /b/k", ("get_obj", "acme/b", ""), "s3 get_obj download acme|b|k");
        check("GET /acme:b/k", ("get_obj", "acme/b", ""), "s3 get_obj download acme|b|k");
        check("GET /acme%3Ab/k", ("get_obj", "acme/b", ""), "s3 get_obj download acme|b|k");
        // HEAD has the operation of GET, and another class.
        check("HEAD /b/k", ("get_obj", "b", "k"), "s3 get_obj head |b|k");
        // An older gateway than the settings say: it did delete the bucket.
        check("DELETE /b?encryption", ("delete_bucket", "b", ""), "s3 delete_bucket bucket_meta |b|");
        // Garbage to us, but the gateway made something of it.
        check("BREW /b/k", ("get_obj", "b", "k"), "none get_obj download |b|k");
    }

    #[test]
    fn a_bucket_that_the_host_names() {
        check("PUT /k/x?acl", ("put_acls", "b", ""), "s3 put_acls object_meta |b|k/x");
        check("GET /", ("list_bucket", "b", ""), "s3 list_bucket list |b|");
        check("GET /?uploads", ("GET", "b", ""), "s3 list_bucket_multiparts list |b|");
        check("GET /a%20k", ("GET", "t/b", ""), "s3 get_obj download t|b|a k");
        check("GET /bucket/k", ("GET", "b", ""), "s3 get_obj download |b|bucket/k");
        check("GET /k?rgwx-zonegroup=x", ("get_obj", "b", ""), "s3 get_obj sync |b|k");
        // Elsewhere it is where the path has it.
        check("GET /swift/v1/c/k", ("get_obj", "c", "k"), "swift get_obj download |c|k");
        check("DELETE /swift/v1/c", ("delete_bucket", "c", ""), "swift delete_bucket bucket_meta |c|");
    }

    #[test]
    fn names_that_say_nothing() {
        check("PUT /b/k", ("PUT", "b", ""), "s3 put_obj upload |b|k");
        check("PUT /b/k", ("unknown", "b", ""), "s3 put_obj upload |b|k");
        check("PUT /b/k", ("none", "b", ""), "s3 put_obj upload |b|k");
        check("POST /", ("assume_role", "", ""), "sts none sts ||");
        check("GET /alive", ("get_obj", "", ""), "s3 get_obj health |alive|");
        check("GET /alive", ("get_obj", "b", ""), "s3 get_obj health |b|alive");
    }
}
