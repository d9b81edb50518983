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
    /// RGW's own name of an operation, as its ops log has it.
    Operation {
        /// PUT of an object, also of a part.
        PutObj = "put_obj",
        /// GET or HEAD of an object.
        GetObj = "get_obj",
        /// None: the request never became an operation.
        None = "none",
    }
}
