//! RGW's names: which API a request spoke, which operation it was, and the class we count it under.

use std::fmt;

macro_rules! names {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$inner])* $variant,)+ }

        impl $name {
            /// All of them, in the order of their numbers: `ALL[x as usize] == x`.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name as it stands in tags and reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The one with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

names! {
    /// What a request is to an operator: the unit of rates, latencies and alerts. Closed and small on purpose.
    Class {
        /// Objects in: PUT, POST form, a part of a multipart upload, bulk upload.
        Upload = "upload",
        /// Objects out: GET.
        Download = "download",
        /// HEAD of an object.
        Head = "head",
        /// Objects away: single, multi, bulk, abort of a multipart upload.
        Delete = "delete",
        /// Listings: of buckets, objects, uploads, parts.
        List = "list",
        /// Start and end of a multipart upload.
        Multipart = "multipart",
        /// Server-side copy.
        Copy = "copy",
        /// Everything else about a bucket: create, delete, HEAD, ACL, policy, versioning and so on.
        BucketMeta = "bucket_meta",
        /// Everything else about an object: ACL, tags, retention and so on.
        ObjectMeta = "object_meta",
        /// Swift's token service.
        Auth = "auth",
        /// IAM, STS and SNS calls: POST to `/`.
        Sts = "sts",
        /// RGW's admin API.
        Admin = "admin",
        /// Multisite replication between gateways.
        Sync = "sync",
        /// Health checks of balancers and monitors.
        Health = "health",
        /// Static websites.
        Website = "website",
        /// Spoke HTTP well, but to nothing we know.
        Other = "other",
        /// Not a request: TLS on a plain port, half lines, refused methods.
        Invalid = "invalid",
        /// A request of rgwlens's own probe, recognised by its mark.
        Probe = "probe",
    }
}

names! {
    /// Which of RGW's APIs a request spoke, as its path and host show it.
    Protocol {
        /// S3, path style or virtual host.
        S3 = "s3",
        /// Swift, below its prefix.
        Swift = "swift",
        /// Swift's token service.
        SwiftAuth = "swift-auth",
        /// RGW's admin API.
        Admin = "admin",
        /// IAM, STS, SNS: POST to `/`.
        Sts = "sts",
        /// A static website's host.
        Website = "website",
        /// No API: what nginx answered itself, garbage.
        None = "none",
    }
}

names! {
    /// RGW's own name of an operation, as `RGWOp::name()` has it and its ops log shows it.
    Operation {
        // Service and account.

        /// The buckets of a user; Swift: the containers of an account.
        ListBuckets = "list_buckets",
        /// A user's own usage: `GET /?usage`.
        GetSelfUsage = "get_self_usage",
        /// HEAD of a Swift account.
        StatAccount = "stat_account",
        /// POST to a Swift account.
        PutAccountMetadata = "put_account_metadata",

        // Buckets.

        /// The objects of a bucket.
        ListBucket = "list_bucket",
        /// HEAD of a bucket.
        StatBucket = "stat_bucket",
        /// PUT of a bucket.
        CreateBucket = "create_bucket",
        /// DELETE of a bucket.
        DeleteBucket = "delete_bucket",
        /// POST to a Swift container.
        PutBucketMetadata = "put_bucket_metadata",
        /// GET `?logging`.
        GetBucketLogging = "get_bucket_logging",
        /// PUT `?logging`.
        PutBucketLogging = "put_bucket_logging",
        /// POST `?logging`: flush the log now.
        PostBucketLogging = "post_bucket_logging",
        /// GET `?location`.
        GetBucketLocation = "get_bucket_location",
        /// GET `?versioning`.
        GetBucketVersioning = "get_bucket_versioning",
        /// PUT `?versioning`.
        SetBucketVersioning = "set_bucket_versioning",
        /// GET `?website`.
        GetBucketWebsite = "get_bucket_website",
        /// PUT `?website`.
        SetBucketWebsite = "set_bucket_website",
        /// DELETE `?website`.
        DeleteBucketWebsite = "delete_bucket_website",
        /// GET `?mdsearch`.
        GetBucketMetaSearch = "get_bucket_meta_search",
        /// POST `?mdsearch`.
        ConfigBucketMetaSearch = "config_bucket_meta_search",
        /// DELETE `?mdsearch`.
        DeleteBucketMetaSearch = "delete_bucket_meta_search",
        /// GET `?cors`.
        GetCors = "get_cors",
        /// PUT `?cors`.
        PutCors = "put_cors",
        /// DELETE `?cors`.
        DeleteCors = "delete_cors",
        /// GET `?requestPayment`.
        GetRequestPayment = "get_request_payment",
        /// PUT `?requestPayment`.
        SetRequestPayment = "set_request_payment",
        /// GET `?lifecycle`.
        GetLifecycle = "get_lifecycle",
        /// PUT `?lifecycle`.
        PutLifecycle = "put_lifecycle",
        /// DELETE `?lifecycle`.
        DeleteLifecycle = "delete_lifecycle",
        /// GET `?policy`.
        GetBucketPolicy = "get_bucket_policy",
        /// PUT `?policy`.
        PutBucketPolicy = "put_bucket_policy",
        /// DELETE `?policy`.
        DeleteBucketPolicy = "delete_bucket_policy",
        /// GET `?policyStatus`.
        GetBucketPolicyStatus = "get_bucket_policy_status",
        /// GET `?tagging` of a bucket.
        GetBucketTags = "get_bucket_tags",
        /// PUT `?tagging` of a bucket.
        PutBucketTags = "put_bucket_tags",
        /// DELETE `?tagging` of a bucket.
        DeleteBucketTags = "delete_bucket_tags",
        /// GET `?object-lock`.
        GetBucketObjectLock = "get_bucket_object_lock",
        /// PUT `?object-lock`.
        PutBucketObjectLock = "put_bucket_object_lock",
        /// GET `?notification`.
        GetBucketNotification = "pubsub_notifications_get_s3",
        /// PUT `?notification`.
        CreateBucketNotification = "pubsub_notification_create_s3",
        /// DELETE `?notification`.
        DeleteBucketNotification = "pubsub_notification_delete_s3",
        /// GET `?replication`.
        GetBucketReplication = "get_bucket_replication",
        /// PUT `?replication`.
        PutBucketReplication = "put_bucket_replication",
        /// DELETE `?replication`.
        DeleteBucketReplication = "delete_bucket_replication",
        /// GET `?publicAccessBlock`.
        GetBucketPublicAccessBlock = "get_bucket_public_access_block",
        /// PUT `?publicAccessBlock`.
        PutBucketPublicAccessBlock = "put_bucket_public_access_block",
        /// DELETE `?publicAccessBlock`.
        DeleteBucketPublicAccessBlock = "delete_bucket_public_access_block",
        /// GET `?encryption`.
        GetBucketEncryption = "get_bucket_encryption",
        /// PUT `?encryption`.
        PutBucketEncryption = "put_bucket_encryption",
        /// DELETE `?encryption`.
        DeleteBucketEncryption = "delete_bucket_encryption",

        // Buckets and objects.

        /// GET or HEAD `?acl`.
        GetAcls = "get_acls",
        /// PUT `?acl`.
        PutAcls = "put_acls",
        /// A browser's preflight.
        OptionsCors = "options_cors",

        // Objects.

        /// PUT of an object, also of a part.
        PutObj = "put_obj",
        /// A browser's form upload.
        PostObj = "post_obj",
        /// GET or HEAD of an object; also S3 Select.
        GetObj = "get_obj",
        /// Copy on the server's side.
        CopyObj = "copy_obj",
        /// DELETE of an object or of a version.
        DeleteObj = "delete_obj",
        /// POST `?delete`: many objects at once.
        MultiObjectDelete = "multi_object_delete",
        /// Swift's `?extract-archive`.
        BulkUpload = "bulk_upload",
        /// Swift's `?bulk-delete`.
        BulkDelete = "bulk_delete",
        /// POST to a Swift object.
        PutObjMetadata = "put_obj_metadata",
        /// GET `?layout`.
        GetObjLayout = "get_obj_layout",
        /// GET `?tagging` of an object.
        GetObjTags = "get_obj_tags",
        /// PUT `?tagging` of an object.
        PutObjTags = "put_obj_tags",
        /// DELETE `?tagging` of an object.
        DeleteObjTags = "delete_obj_tags",
        /// GET `?retention`.
        GetObjRetention = "get_obj_retention",
        /// PUT `?retention`.
        PutObjRetention = "put_obj_retention",
        /// GET `?legal-hold`.
        GetObjLegalHold = "get_obj_legal_hold",
        /// PUT `?legal-hold`.
        PutObjLegalHold = "put_obj_legal_hold",
        /// GET `?attributes`.
        GetObjAttrs = "get_obj_attrs",
        /// POST `?restore`.
        RestoreObj = "restore_obj",

        // Multipart uploads.

        /// POST `?uploads`.
        InitMultipart = "init_multipart",
        /// POST `?uploadId`.
        CompleteMultipart = "complete_multipart",
        /// DELETE `?uploadId`.
        AbortMultipart = "abort_multipart",
        /// GET `?uploadId`: the parts of an upload.
        ListMultipart = "list_multipart",
        /// GET `?uploads`: the uploads of a bucket.
        ListBucketMultiparts = "list_bucket_multiparts",

        // Swift's other addresses.

        /// A token of Swift's own token service.
        SwiftAuthGet = "swift_auth_get",
        /// `/swift/healthcheck`.
        GetHealthCheck = "get_health_check",
        /// `/swift/info`. RGW calls it `get info`; this is its first word, all that its log shows.
        GetInfo = "get",
        /// `/swift/crossdomain.xml`.
        GetCrossdomainPolicy = "get_crossdomain_policy",

        // Admin API.

        /// GET `usage`.
        GetUsage = "get_usage",
        /// DELETE `usage`.
        TrimUsage = "trim_usage",
        /// GET `user`.
        GetUserInfo = "get_user_info",
        /// GET `user?list`.
        ListUser = "list_user",
        /// PUT `user`.
        CreateUser = "create_user",
        /// POST `user`.
        ModifyUser = "modify_user",
        /// DELETE `user`.
        RemoveUser = "remove_user",
        /// PUT `user?subuser`.
        CreateSubuser = "create_subuser",
        /// POST `user?subuser`.
        ModifySubuser = "modify_subuser",
        /// DELETE `user?subuser`.
        RemoveSubuser = "remove_subuser",
        /// PUT `user?key`.
        CreateAccessKey = "create_access_key",
        /// DELETE `user?key`.
        RemoveAccessKey = "remove_access_key",
        /// PUT `user?caps`.
        AddUserCaps = "add_user_caps",
        /// DELETE `user?caps`.
        RemoveUserCaps = "remove_user_caps",
        /// GET `user?quota`.
        GetQuotaInfo = "get_quota_info",
        /// PUT `user?quota`.
        SetQuotaInfo = "set_quota_info",
        /// GET `bucket`.
        GetBucketInfo = "get_bucket_info",
        /// GET `bucket?index`.
        CheckBucketIndex = "check_bucket_index",
        /// GET `bucket?policy`.
        GetPolicy = "get_policy",
        /// PUT `bucket`.
        LinkBucket = "link_bucket",
        /// POST `bucket`.
        UnlinkBucket = "unlink_bucket",
        /// DELETE `bucket`.
        RemoveBucket = "remove_bucket",
        /// PUT `bucket?quota`.
        SetBucketQuota = "set_bucket_quota",
        /// PUT `bucket?sync`.
        SyncBucket = "sync_bucket",
        /// DELETE `bucket?object`.
        RemoveObject = "remove_object",
        /// GET `config?type=zone`.
        GetZoneConfig = "get_zone_config",
        /// GET `config?type=zonegroup-map`.
        GetZonegroupMap = "get_zonegroup_map",
        /// GET `config` otherwise: the map's old form.
        GetRegionMap = "get_region_map",
        /// GET `info`.
        GetAdminInfo = "get_info",
        /// GET `ratelimit`.
        GetRatelimitInfo = "get_ratelimit_info",
        /// POST `ratelimit`.
        PutRatelimitInfo = "put_ratelimit_info",
        /// GET `account`.
        GetAccount = "get_account",
        /// POST `account`.
        CreateAccount = "create_account",
        /// PUT `account`.
        ModifyAccount = "modify_account",
        /// DELETE `account`.
        DeleteAccount = "delete_account",

        // Multisite.

        /// GET `metadata`.
        ListMetadata = "list_metadata",
        /// GET `metadata?key`.
        GetMetadata = "get_metadata",
        /// PUT `metadata`.
        SetMetadata = "set_metadata",
        /// DELETE `metadata`.
        RemoveMetadata = "remove_metadata",
        /// GET `log?type=metadata&id`.
        ListMetadataLog = "list_metadata_log",
        /// GET `log?type=metadata`.
        GetMetadataLogInfo = "get_metadata_log_info",
        /// GET `log?type=metadata&id&info`.
        GetMetadataLogShardInfo = "get_metadata_log_shard_info",
        /// GET `log?type=metadata&status`.
        GetMetadataLogStatus = "get_metadata_log_status",
        /// POST `log?type=metadata&lock`.
        LockMetadataLog = "lock_mdlog_object",
        /// POST `log?type=metadata&unlock`.
        UnlockMetadataLog = "unlock_mdlog_object",
        /// POST `log?type=metadata&notify`.
        NotifyMetadataLog = "mdlog_notify",
        /// DELETE `log?type=metadata`.
        TrimMetadataLog = "trim_metadata_log",
        /// GET `log?type=data&id`.
        ListDataChangesLog = "list_data_changes_log",
        /// GET `log?type=data`.
        GetDataChangesLogInfo = "get_data_changes_log_info",
        /// GET `log?type=data&id&info`.
        GetDataChangesLogShardInfo = "get_data_changes_log_shard_info",
        /// GET `log?type=data&status`.
        GetDataChangesLogStatus = "get_data_changes_log_status",
        /// POST `log?type=data&notify`.
        NotifyDataChangesLog = "datalog_notify",
        /// POST `log?type=data&notify2`.
        NotifyDataChangesLog2 = "datalog_notify2",
        /// DELETE `log?type=data`.
        TrimDataChangesLog = "trim_data_changes_log",
        /// GET `log?type=bucket-index`.
        ListBucketIndexLog = "list_bucket_index_log",
        /// GET `log?type=bucket-index&info`.
        GetBucketIndexLogInfo = "bucket_index_log_info",
        /// GET `log?type=bucket-index&status`.
        GetBucketIndexLogStatus = "get_bucket_index_log_status",
        /// DELETE `log?type=bucket-index`.
        TrimBucketIndexLog = "trim_bucket_index_log",
        /// GET `realm`.
        GetRealm = "get_realm",
        /// GET `realm?list`.
        ListRealms = "list_realms",
        /// GET `realm/period`.
        GetPeriod = "get_period",
        /// POST `realm/period`.
        PostPeriod = "post_period",

        /// None, or none that the log shows: the request never became an operation, or the operation's name stands in
        /// the request's body (IAM, STS, SNS).
        None = "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_lead_back_and_fit_into_a_tag() {
        for (index, &operation) in Operation::ALL.iter().enumerate() {
            assert_eq!(operation as usize, index);
            assert_eq!(Operation::from_name(operation.name()), Some(operation), "{operation}");
            assert!(
                operation
                    .name()
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            );
        }
        for (index, &class) in Class::ALL.iter().enumerate() {
            assert_eq!(class as usize, index);
            assert_eq!(Class::from_name(class.name()), Some(class));
        }
        assert_eq!(Protocol::from_name("swift-auth"), Some(Protocol::SwiftAuth));
        assert_eq!(Operation::from_name("GET"), None);
    }
}
