//! From an operation to the class an operator counts it under.

use super::Method;
use crate::access_log::{Class, Operation};

/// The class of an S3 or Swift operation.
pub(super) const fn class(operation: Operation, method: Method, has_object: bool) -> Class {
    use Operation::*;
    match operation {
        PutObj | PostObj | BulkUpload => Class::Upload,
        GetObj if matches!(method, Method::Head) => Class::Head,
        GetObj => Class::Download,
        DeleteObj | MultiObjectDelete | BulkDelete | AbortMultipart => Class::Delete,
        ListBuckets | ListBucket | ListMultipart | ListBucketMultiparts => Class::List,
        InitMultipart | CompleteMultipart => Class::Multipart,
        CopyObj => Class::Copy,
        GetAcls | PutAcls | OptionsCors if has_object => Class::ObjectMeta,
        PutObjMetadata | GetObjLayout | GetObjTags | PutObjTags | DeleteObjTags | GetObjRetention
        | PutObjRetention | GetObjLegalHold | PutObjLegalHold | GetObjAttrs | RestoreObj => Class::ObjectMeta,
        // What there is to know and set about an account is filed with its buckets.
        GetSelfUsage
        | StatAccount
        | PutAccountMetadata
        | StatBucket
        | CreateBucket
        | DeleteBucket
        | PutBucketMetadata
        | GetBucketLogging
        | PutBucketLogging
        | PostBucketLogging
        | GetBucketLocation
        | GetBucketVersioning
        | SetBucketVersioning
        | GetBucketWebsite
        | SetBucketWebsite
        | DeleteBucketWebsite
        | GetBucketMetaSearch
        | ConfigBucketMetaSearch
        | DeleteBucketMetaSearch
        | GetCors
        | PutCors
        | DeleteCors
        | GetRequestPayment
        | SetRequestPayment
        | GetLifecycle
        | PutLifecycle
        | DeleteLifecycle
        | GetBucketPolicy
        | PutBucketPolicy
        | DeleteBucketPolicy
        | GetBucketPolicyStatus
        | GetBucketTags
        | PutBucketTags
        | DeleteBucketTags
        | GetBucketObjectLock
        | PutBucketObjectLock
        | GetBucketNotification
        | CreateBucketNotification
        | DeleteBucketNotification
        | GetBucketReplication
        | PutBucketReplication
        | DeleteBucketReplication
        | GetBucketPublicAccessBlock
        | PutBucketPublicAccessBlock
        | DeleteBucketPublicAccessBlock
        | GetBucketEncryption
        | PutBucketEncryption
        | DeleteBucketEncryption
        | GetAcls
        | PutAcls
        | OptionsCors => Class::BucketMeta,
        GetHealthCheck => Class::Health,
        SwiftAuthGet => Class::Auth,
        GetInfo | GetCrossdomainPolicy | None => Class::Other,
        ListMetadata
        | GetMetadata
        | SetMetadata
        | RemoveMetadata
        | ListMetadataLog
        | GetMetadataLogInfo
        | GetMetadataLogShardInfo
        | GetMetadataLogStatus
        | LockMetadataLog
        | UnlockMetadataLog
        | NotifyMetadataLog
        | TrimMetadataLog
        | ListDataChangesLog
        | GetDataChangesLogInfo
        | GetDataChangesLogShardInfo
        | GetDataChangesLogStatus
        | NotifyDataChangesLog
        | NotifyDataChangesLog2
        | TrimDataChangesLog
        | ListBucketIndexLog
        | GetBucketIndexLogInfo
        | GetBucketIndexLogStatus
        | TrimBucketIndexLog
        | GetRealm
        | ListRealms
        | GetPeriod
        | PostPeriod => Class::Sync,
        GetUsage | TrimUsage | GetUserInfo | ListUser | CreateUser | ModifyUser | RemoveUser
        | CreateSubuser | ModifySubuser | RemoveSubuser | CreateAccessKey | RemoveAccessKey | AddUserCaps
        | RemoveUserCaps | GetQuotaInfo | SetQuotaInfo | GetBucketInfo | CheckBucketIndex | GetPolicy
        | LinkBucket | UnlinkBucket | RemoveBucket | SetBucketQuota | SyncBucket | RemoveObject
        | GetZoneConfig | GetZonegroupMap | GetRegionMap | GetAdminInfo | GetRatelimitInfo
        | PutRatelimitInfo | GetAccount | CreateAccount | ModifyAccount | DeleteAccount => Class::Admin,
    }
}
