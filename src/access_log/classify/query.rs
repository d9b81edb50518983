//! The query of a request: which of the names that RGW knows are there. Values are secrets and are not kept.

use memchr::{memchr, memchr2};

use crate::access_log::escape::hex_digit;

macro_rules! keys {
    ($($variant:ident = $text:literal,)+) => {
        /// A name in a query that decides what a request is, or that is worth showing. Case-sensitive.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Key { $($variant,)+ }

        impl Key {
            /// The name as it stands in a request.
            pub(super) const fn name(self) -> &'static [u8] {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The key of this name, percent-decoded.
            pub(super) fn from_name(name: &[u8]) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }

            /// All of them; their numbers are bits of [`Query`].
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)+];
        }
    };
}

keys! {
    // S3
    Acl = b"acl",
    Attributes = b"attributes",
    Cors = b"cors",
    Delete = b"delete",
    Encryption = b"encryption",
    Layout = b"layout",
    LegalHold = b"legal-hold",
    Lifecycle = b"lifecycle",
    Location = b"location",
    Logging = b"logging",
    MdSearch = b"mdsearch",
    Notification = b"notification",
    ObjectLock = b"object-lock",
    Policy = b"policy",
    PolicyStatus = b"policyStatus",
    PublicAccessBlock = b"publicAccessBlock",
    Replication = b"replication",
    RequestPayment = b"requestPayment",
    Restore = b"restore",
    Retention = b"retention",
    SelectType = b"select-type",
    Tagging = b"tagging",
    UploadId = b"uploadId",
    Uploads = b"uploads",
    Usage = b"usage",
    Versioning = b"versioning",
    Website = b"website",
    // Swift
    BulkDelete = b"bulk-delete",
    ExtractArchive = b"extract-archive",
    // Admin
    Caps = b"caps",
    Id = b"id",
    Index = b"index",
    Info = b"info",
    AccessKey = b"key",
    List = b"list",
    Lock = b"lock",
    Notify = b"notify",
    Notify2 = b"notify2",
    Object = b"object",
    Quota = b"quota",
    Status = b"status",
    Subuser = b"subuser",
    Sync = b"sync",
    Type = b"type",
    Unlock = b"unlock",
    // Decide nothing, and are worth showing in a redacted URI.
    Append = b"append",
    ListType = b"list-type",
    MultipartManifest = b"multipart-manifest",
    OwnershipControls = b"ownershipControls",
    PartNumber = b"partNumber",
    Select = b"select",
    Torrent = b"torrent",
    VersionId = b"versionId",
    Versions = b"versions",
}

/// What the admin API's `type=` says: with `log` and `config`, the one value that is part of an operation's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TypeValue {
    #[default]
    Other,
    Metadata,
    Data,
    BucketIndex,
    Zone,
    ZonegroupMap,
}

/// The names in a query, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    keys: u64,
    /// There is an `uploadId`, and it is not empty.
    pub(super) upload_id_given: bool,
    /// There is a name that begins `rgwx-`: another gateway of the multisite asks.
    pub(super) from_gateway: bool,
    /// There is a signature: the request is not anonymous.
    pub(super) signed: bool,
    /// The value of `type`.
    pub(super) type_value: TypeValue,
}

impl Query {
    /// Reads what follows the `?`.
    pub(super) fn parse(query: &[u8]) -> Self {
        let mut found = Self::default();
        for_each_pair(query, |name, value| found.add(name, value));
        found
    }

    /// Whether a name is there, whatever its value.
    pub(super) const fn has(&self, key: Key) -> bool {
        self.keys & (1 << key as u8) != 0
    }

    fn add(&mut self, name: &[u8], value: &[u8]) {
        // None of our names begins with a capital, as those of a signed URL do.
        let key = if name.first().is_some_and(u8::is_ascii_lowercase) { Key::from_name(name) } else { None };
        let Some(key) = key else {
            self.from_gateway |= name.starts_with(b"rgwx-");
            self.signed |= matches!(name, b"X-Amz-Signature" | b"Signature" | b"temp_url_sig");
            return;
        };
        self.keys |= 1 << key as u8;
        match key {
            Key::UploadId => self.upload_id_given |= !value.is_empty(),
            Key::Type => {
                self.type_value = match value {
                    b"metadata" => TypeValue::Metadata,
                    b"data" => TypeValue::Data,
                    b"bucket-index" => TypeValue::BucketIndex,
                    b"zone" => TypeValue::Zone,
                    b"zonegroup-map" => TypeValue::ZonegroupMap,
                    _ => TypeValue::Other,
                }
            }
            _ => {}
        }
    }
}

/// Longest decoded name and value that are looked at; a longer pair cannot be one that we know.
const DECODED: usize = 48;

/// Calls `each` with the name and value of every pair, decoded. RGW splits at `&`, decodes, and only then splits at the
/// first `=`, so `a%3Db` is a name and a value. A value may come cut.
pub(super) fn for_each_pair(query: &[u8], mut each: impl FnMut(&[u8], &[u8])) {
    let mut rest = query;
    while !rest.is_empty() {
        let end = memchr(b'&', rest).unwrap_or(rest.len());
        let pair = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        if memchr2(b'%', b'+', pair).is_none() {
            let (name, value) = split_pair(pair);
            each(name, value);
        } else {
            let mut decoded = [0; DECODED];
            let length = decode_into(pair, &mut decoded);
            let (name, value) = split_pair(&decoded[..length]);
            // Without its `=` inside the buffer a name that fills it is longer than any we know.
            if name.len() < DECODED {
                each(name, value);
            }
        }
    }
}

fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b'=', pair) {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, b""),
    }
}

/// Percent-decoding as in a form: `+` is a blank. Stops when `into` is full; returns how much of it was written.
fn decode_into(from: &[u8], into: &mut [u8; DECODED]) -> usize {
    let mut at = 0;
    for slot in 0..DECODED {
        match from.get(at) {
            None => return slot,
            Some(b'+') => into[slot] = b' ',
            Some(b'%') => match (digit(from, at + 1), digit(from, at + 2)) {
                (Some(high), Some(low)) => {
                    into[slot] = high << 4 | low;
                    at += 2;
                }
                _ => into[slot] = b'%',
            },
            Some(&byte) => into[slot] = byte,
        }
        at += 1;
    }
    DECODED
}

fn digit(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).and_then(|&byte| hex_digit(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fit_into_the_set_and_lead_back() {
        assert!(Key::ALL.len() <= 64);
        for &key in Key::ALL {
            assert_eq!(Key::from_name(key.name()), Some(key));
            assert!(Query::parse(key.name()).has(key));
            assert!(key.name().len() < DECODED);
        }
    }

    fn check(query: &str, expected: &[Key]) {
        let found = Query::parse(query.as_bytes());
        for &key in Key::ALL {
            assert_eq!(found.has(key), expected.contains(&key), "{key:?} in {query}");
        }
    }

    #[test]
    fn names_count_and_values_do_not() {
        check("", &[]);
        check("acl", &[Key::Acl]);
        check("acl=", &[Key::Acl]);
        check("acl=no&&&uploads=", &[Key::Acl, Key::Uploads]);
        check("foo=uploads&x=acl", &[]);
        check("foo=acl&acl&prefix=a%26uploads", &[Key::Acl]);
        check("UPLOADS&Acl&policystatus", &[]);
        check("acls&ac&=acl&&", &[]);
    }

    #[test]
    fn names_are_decoded_once() {
        check("upl%6Fads", &[Key::Uploads]);
        check("%75ploads&%61%63%6C", &[Key::Uploads, Key::Acl]);
        check("upl%256Fads", &[]);
        check("legal%2dhold=ON", &[Key::LegalHold]);
        check("acl%3Dx", &[Key::Acl]);
        check("acl%26uploads", &[]);
        check("ac%6", &[]);
        check("acl+", &[]);
        check(&format!("{}acl", "%61".repeat(60)), &[]);
        check(&format!("tagging={}", "%61".repeat(600)), &[Key::Tagging]);
    }

    #[test]
    fn the_few_values_that_matter() {
        assert!(!Query::parse(b"uploadId=").upload_id_given);
        assert!(!Query::parse(b"uploadId").upload_id_given);
        assert!(Query::parse(b"uploadId=2~x").upload_id_given);
        assert!(Query::parse(b"upload%49d=2%7Ex").upload_id_given);
        assert_eq!(Query::parse(b"type=bucket-index").type_value, TypeValue::BucketIndex);
        assert_eq!(Query::parse(b"type=Data").type_value, TypeValue::Other);
        assert!(Query::parse(b"x=1&rgwx-zonegroup=z").from_gateway);
        assert!(Query::parse(b"X-Amz-Signature=00").signed);
    }
}
