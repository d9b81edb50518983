//! S3: which operation a method and its sub-resource are. The tables are RGW's, in RGW's order: the first match wins.

use super::query::{Key, Query};
use super::{Method, Release};
use crate::access_log::Operation::{self, *};

/// A sub-resource, the operation it selects, and the first release whose gateway knows it there: an older one does not
/// see it, and goes on to the next row or to the plain operation.
type Row = (Key, Operation, Release);

/// Every release that we name.
const ALWAYS: Release = Release::Luminous;

/// A method's sub-resources, and its plain operation.
type Table = (&'static [Row], Operation);

const BUCKET_GET: Table = (
    &[
        (Key::Logging, GetBucketLogging, ALWAYS),
        (Key::Location, GetBucketLocation, ALWAYS),
        (Key::Versioning, GetBucketVersioning, ALWAYS),
        (Key::Website, GetBucketWebsite, ALWAYS),
        (Key::MdSearch, GetBucketMetaSearch, ALWAYS),
        (Key::Acl, GetAcls, ALWAYS),
        (Key::Cors, GetCors, ALWAYS),
        (Key::RequestPayment, GetRequestPayment, ALWAYS),
        (Key::Uploads, ListBucketMultiparts, ALWAYS),
        (Key::Lifecycle, GetLifecycle, ALWAYS),
        (Key::Policy, GetBucketPolicy, ALWAYS),
        (Key::Tagging, GetBucketTags, Release::Nautilus),
        (Key::ObjectLock, GetBucketObjectLock, Release::Nautilus),
        (Key::Notification, GetBucketNotification, Release::Quincy),
        (Key::Replication, GetBucketReplication, Release::Octopus),
        (Key::PolicyStatus, GetBucketPolicyStatus, Release::Octopus),
        (Key::PublicAccessBlock, GetBucketPublicAccessBlock, Release::Octopus),
        (Key::Encryption, GetBucketEncryption, Release::Quincy),
    ],
    ListBucket,
);

const BUCKET_HEAD: Table =
    (&[(Key::Acl, GetAcls, ALWAYS), (Key::Uploads, ListBucketMultiparts, ALWAYS)], StatBucket);

const BUCKET_PUT: Table = (
    &[
        (Key::Logging, PutBucketLogging, Release::Tentacle),
        (Key::Versioning, SetBucketVersioning, ALWAYS),
        (Key::Website, SetBucketWebsite, ALWAYS),
        (Key::Tagging, PutBucketTags, Release::Nautilus),
        (Key::Acl, PutAcls, ALWAYS),
        (Key::Cors, PutCors, ALWAYS),
        (Key::RequestPayment, SetRequestPayment, ALWAYS),
        (Key::Lifecycle, PutLifecycle, ALWAYS),
        (Key::Policy, PutBucketPolicy, ALWAYS),
        (Key::ObjectLock, PutBucketObjectLock, Release::Nautilus),
        (Key::Notification, CreateBucketNotification, Release::Quincy),
        (Key::Replication, PutBucketReplication, Release::Octopus),
        (Key::PublicAccessBlock, PutBucketPublicAccessBlock, Release::Octopus),
        (Key::Encryption, PutBucketEncryption, Release::Quincy),
    ],
    CreateBucket,
);

const BUCKET_DELETE: Table = (
    &[
        (Key::Tagging, DeleteBucketTags, Release::Nautilus),
        (Key::Cors, DeleteCors, ALWAYS),
        (Key::Lifecycle, DeleteLifecycle, ALWAYS),
        (Key::Policy, DeleteBucketPolicy, ALWAYS),
        (Key::Notification, DeleteBucketNotification, Release::Quincy),
        (Key::Replication, DeleteBucketReplication, Release::Octopus),
        (Key::PublicAccessBlock, DeleteBucketPublicAccessBlock, Release::Octopus),
        (Key::Encryption, DeleteBucketEncryption, Release::Quincy),
        (Key::Website, DeleteBucketWebsite, ALWAYS),
        (Key::MdSearch, DeleteBucketMetaSearch, ALWAYS),
    ],
    DeleteBucket,
);

const BUCKET_POST: Table = (
    &[
        (Key::Delete, MultiObjectDelete, ALWAYS),
        (Key::Logging, PostBucketLogging, Release::Tentacle),
        (Key::MdSearch, ConfigBucketMetaSearch, ALWAYS),
    ],
    PostObj,
);

const OBJECT_GET: Table = (
    &[
        (Key::Acl, GetAcls, ALWAYS),
        (Key::UploadId, ListMultipart, ALWAYS),
        (Key::Layout, GetObjLayout, ALWAYS),
        (Key::Tagging, GetObjTags, ALWAYS),
        (Key::Attributes, GetObjAttrs, Release::Tentacle),
        (Key::Retention, GetObjRetention, Release::Nautilus),
        (Key::LegalHold, GetObjLegalHold, Release::Nautilus),
    ],
    GetObj,
);

const OBJECT_HEAD: Table = (&[(Key::Acl, GetAcls, ALWAYS), (Key::UploadId, ListMultipart, ALWAYS)], GetObj);

const OBJECT_PUT: Table = (
    &[
        (Key::Acl, PutAcls, ALWAYS),
        (Key::Tagging, PutObjTags, ALWAYS),
        (Key::Retention, PutObjRetention, Release::Nautilus),
        (Key::LegalHold, PutObjLegalHold, Release::Nautilus),
    ],
    PutObj,
);

const OBJECT_DELETE: Table =
    (&[(Key::Tagging, DeleteObjTags, ALWAYS), (Key::UploadId, AbortMultipart, ALWAYS)], DeleteObj);

const OBJECT_POST: Table = (
    &[
        (Key::UploadId, CompleteMultipart, ALWAYS),
        (Key::Uploads, InitMultipart, ALWAYS),
        (Key::Restore, RestoreObj, Release::Tentacle),
        // S3 Select, which RGW's ops log calls get_obj.
        (Key::SelectType, GetObj, Release::Pacific),
    ],
    PostObj,
);

/// A method's table for buckets; a method without one is the same whatever the query.
const fn of_bucket(method: Method) -> Table {
    match method {
        Method::Get => BUCKET_GET,
        Method::Head => BUCKET_HEAD,
        Method::Put => BUCKET_PUT,
        Method::Delete => BUCKET_DELETE,
        Method::Post => BUCKET_POST,
        Method::Options => (&[], OptionsCors),
        Method::Copy => (&[], None),
    }
}

/// The same for objects.
const fn of_object(method: Method) -> Table {
    match method {
        Method::Get => OBJECT_GET,
        Method::Head => OBJECT_HEAD,
        Method::Put => OBJECT_PUT,
        Method::Delete => OBJECT_DELETE,
        Method::Post => OBJECT_POST,
        Method::Options => (&[], OptionsCors),
        Method::Copy => (&[], None),
    }
}

fn pick((rows, plain): Table, query: &Query, release: Release) -> Operation {
    if query.decides_nothing() {
        return plain;
    }
    let row = rows.iter().find(|(key, _, since)| query.has(*key) && release >= *since);
    row.map_or(plain, |(_, operation, _)| *operation)
}

/// A request without a bucket. POST is IAM, STS or SNS, by its body, and none of S3's business.
pub(super) fn service(method: Method, query: &Query) -> Operation {
    match method {
        Method::Get if query.has(Key::Usage) => GetSelfUsage,
        Method::Get | Method::Head => ListBuckets,
        _ => None,
    }
}

/// A request to a bucket.
pub(super) fn bucket(method: Method, query: &Query, release: Release) -> Operation {
    pick(of_bucket(method), query, release)
}

/// The same without a query.
pub(super) const fn plain_bucket(method: Method) -> Operation {
    of_bucket(method).1
}

/// A request to an object.
pub(super) fn object(method: Method, query: &Query, release: Release, has_copy_source: bool) -> Operation {
    match pick(of_object(method), query, release) {
        // With an upload id it is UploadPartCopy, which RGW handles, and names, as the upload of a part.
        PutObj if has_copy_source && !query.has(Key::UploadId) => CopyObj,
        // RGW asks here for the upload id's value, not for its presence.
        AbortMultipart if !query.upload_id_given => DeleteObj,
        operation => operation,
    }
}

/// The same without a query, and nothing to copy from.
pub(super) const fn plain_object(method: Method) -> Operation {
    of_object(method).1
}
