//! RGW's admin API, `/admin/{resource}`: for operators' tools, and for the other gateways of a multisite.

use super::query::{Key, Query, TypeValue};
use super::target::first_segment;
use super::{Method, Release};
use crate::access_log::Operation::{self, *};

/// The operation at a path below `/admin` (empty, or beginning with `/`), and whether it belongs to multisite sync.
pub(super) fn operation(path: &[u8], method: Method, query: &Query, release: Release) -> (Operation, bool) {
    let (resource, rest) = first_segment(path);
    let has = |key| query.has(key);
    match resource {
        b"usage" => (usage(method), false),
        b"user" => (user(method, has), false),
        b"bucket" => (bucket(method, has), false),
        b"config" => (config(method, query.type_value), false),
        b"info" if release >= Release::Quincy && method == Method::Get => (GetAdminInfo, false),
        b"ratelimit" if release >= Release::Quincy => (ratelimit(method), false),
        b"account" if release >= Release::Squid => (account(method), false),
        b"metadata" => (metadata(method, has), true),
        b"log" => (log(method, query), true),
        b"realm" => (realm(rest, method, has), true),
        _ => (None, false),
    }
}

fn usage(method: Method) -> Operation {
    match method {
        Method::Get => GetUsage,
        Method::Delete => TrimUsage,
        _ => None,
    }
}

fn user(method: Method, has: impl Fn(Key) -> bool) -> Operation {
    match method {
        Method::Get if has(Key::Quota) => GetQuotaInfo,
        Method::Get if has(Key::List) => ListUser,
        Method::Get => GetUserInfo,
        Method::Put if has(Key::Subuser) => CreateSubuser,
        Method::Put if has(Key::Credential) => CreateAccessKey,
        Method::Put if has(Key::Caps) => AddUserCaps,
        Method::Put if has(Key::Quota) => SetQuotaInfo,
        Method::Put => CreateUser,
        Method::Post if has(Key::Subuser) => ModifySubuser,
        Method::Post => ModifyUser,
        Method::Delete if has(Key::Subuser) => RemoveSubuser,
        Method::Delete if has(Key::Credential) => RemoveAccessKey,
        Method::Delete if has(Key::Caps) => RemoveUserCaps,
        Method::Delete => RemoveUser,
        Method::Head | Method::Options | Method::Copy => None,
    }
}

fn bucket(method: Method, has: impl Fn(Key) -> bool) -> Operation {
    match method {
        Method::Get if has(Key::Policy) => GetPolicy,
        Method::Get if has(Key::Index) => CheckBucketIndex,
        Method::Get => GetBucketInfo,
        Method::Put if has(Key::Quota) => SetBucketQuota,
        Method::Put if has(Key::Sync) => SyncBucket,
        Method::Put => LinkBucket,
        Method::Post => UnlinkBucket,
        Method::Delete if has(Key::Object) => RemoveObject,
        Method::Delete => RemoveBucket,
        Method::Head | Method::Options | Method::Copy => None,
    }
}

fn config(method: Method, kind: TypeValue) -> Operation {
    match (method, kind) {
        (Method::Get, TypeValue::Zone) => GetZoneConfig,
        (Method::Get, TypeValue::ZonegroupMap) => GetZonegroupMap,
        (Method::Get, _) => GetRegionMap,
        _ => None,
    }
}

fn ratelimit(method: Method) -> Operation {
    match method {
        Method::Get => GetRatelimitInfo,
        Method::Post => PutRatelimitInfo,
        _ => None,
    }
}

fn account(method: Method) -> Operation {
    match method {
        Method::Get => GetAccount,
        Method::Post => CreateAccount,
        Method::Put => ModifyAccount,
        Method::Delete => DeleteAccount,
        _ => None,
    }
}

fn metadata(method: Method, has: impl Fn(Key) -> bool) -> Operation {
    match method {
        Method::Get if has(Key::Credential) => GetMetadata,
        Method::Get => ListMetadata,
        Method::Put => SetMetadata,
        Method::Delete => RemoveMetadata,
        _ => None,
    }
}

fn log(method: Method, query: &Query) -> Operation {
    use TypeValue::{BucketIndex, Data, Metadata};
    let has = |key| query.has(key);
    let shard = has(Key::Id);
    match (method, query.type_value) {
        (Method::Get, Metadata) if shard && has(Key::Info) => GetMetadataLogShardInfo,
        (Method::Get, Metadata) if shard => ListMetadataLog,
        (Method::Get, Metadata) if has(Key::Status) => GetMetadataLogStatus,
        (Method::Get, Metadata) => GetMetadataLogInfo,
        (Method::Get, BucketIndex) if has(Key::Info) => GetBucketIndexLogInfo,
        (Method::Get, BucketIndex) if has(Key::Status) => GetBucketIndexLogStatus,
        (Method::Get, BucketIndex) => ListBucketIndexLog,
        (Method::Get, Data) if shard && has(Key::Info) => GetDataChangesLogShardInfo,
        (Method::Get, Data) if shard => ListDataChangesLog,
        (Method::Get, Data) if has(Key::Status) => GetDataChangesLogStatus,
        (Method::Get, Data) => GetDataChangesLogInfo,
        (Method::Delete, Metadata) => TrimMetadataLog,
        (Method::Delete, BucketIndex) => TrimBucketIndexLog,
        (Method::Delete, Data) => TrimDataChangesLog,
        (Method::Post, Metadata) if has(Key::Lock) => LockMetadataLog,
        (Method::Post, Metadata) if has(Key::Unlock) => UnlockMetadataLog,
        (Method::Post, Metadata) if has(Key::Notify) => NotifyMetadataLog,
        (Method::Post, Data) if has(Key::Notify) => NotifyDataChangesLog,
        (Method::Post, Data) if has(Key::Notify2) => NotifyDataChangesLog2,
        _ => None,
    }
}

fn realm(rest: &[u8], method: Method, has: impl Fn(Key) -> bool) -> Operation {
    let period = rest == b"period" || rest.starts_with(b"period/");
    match method {
        Method::Get if period => GetPeriod,
        Method::Post if period => PostPeriod,
        Method::Get if has(Key::List) => ListRealms,
        Method::Get => GetRealm,
        _ => None,
    }
}
