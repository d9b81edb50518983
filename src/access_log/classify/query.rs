//! The query of a request: which of the names that RGW knows are there. Values are secrets and are not kept.

use memchr::memchr;

use super::percent::escaped_byte;
use crate::access_log::scan;

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

            /// All of them; their numbers are bits of [`Query`].
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
    Credential = b"key",
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
    // Decide nothing, and are worth showing in a redacted URI. `Query::decides_nothing` knows the first of them.
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

/// The keys whose name begins with this letter, and those whose name has this length, as bits: together they leave one
/// candidate, or nearly always none.
const BY_FIRST: [u64; 26] = {
    let mut sets = [0; 26];
    let mut at = 0;
    while at < Key::ALL.len() {
        sets[(Key::ALL[at].name()[0] - b'a') as usize] |= 1 << at;
        at += 1;
    }
    sets
};
const BY_LENGTH: [u64; 32] = {
    let mut sets = [0; 32];
    let mut at = 0;
    while at < Key::ALL.len() {
        sets[Key::ALL[at].name().len()] |= 1 << at;
        at += 1;
    }
    sets
};

impl Key {
    /// The key of this name, decoded.
    pub(super) fn from_name(name: &[u8]) -> Option<Self> {
        let letter = usize::from(name.first()?.wrapping_sub(b'a'));
        let mut candidates = BY_FIRST.get(letter)? & BY_LENGTH.get(name.len())?;
        while candidates != 0 {
            let key = Self::ALL[candidates.trailing_zeros() as usize];
            if key.name() == name {
                return Some(key);
            }
            candidates &= candidates - 1;
        }
        None
    }
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
        Self::parse_from(query, 0)
    }

    /// The same of a query that begins somewhere in a target.
    pub(super) fn parse_from(target: &[u8], query: usize) -> Self {
        let mut found = Self::default();
        for_each_pair_from(target, query, |name, value| found.add(name, value));
        found
    }

    /// Whether a name is there, whatever its value.
    pub(super) const fn has(&self, key: Key) -> bool {
        self.keys & (1 << key as u8) != 0
    }

    /// Whether there is none of the names that decide what a request is.
    pub(super) const fn decides_nothing(&self) -> bool {
        self.keys & ((1 << Key::Append as u8) - 1) == 0
    }

    fn add(&mut self, name: &[u8], value: &[u8]) {
        let Some(key) = Key::from_name(name) else {
            self.from_gateway |= name.starts_with(b"rgwx-");
            self.signed |= matches!(name, b"X-Amz-Signature" | b"Signature" | b"temp_url_sig");
            return;
        };
        self.keys |= 1 << key as u8;
        match key {
            Key::UploadId => self.upload_id_given |= !value.is_empty(),
            Key::Type => {
                let mut decoded = [0; DECODED];
                let length = decode_into(value, &mut decoded);
                self.type_value = match &decoded[..length] {
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

/// How much of a pair or value is decoded: more than any name or value that we know has.
const DECODED: usize = 48;

/// Calls `each` with every name, decoded, and its value, as sent. RGW splits at `&`, decodes, and only then splits at the
/// first `=`, so that `acl%3Dx` is `acl`; of such a pair, all of it is given as the value.
#[inline]
pub(super) fn for_each_pair(query: &[u8], each: impl FnMut(&[u8], &[u8])) {
    for_each_pair_from(query, 0, each);
}

/// The same of a query that begins somewhere in a target.
#[inline]
fn for_each_pair_from(target: &[u8], query: usize, mut each: impl FnMut(&[u8], &[u8])) {
    let mut start = query;
    while start < target.len() {
        let end = scan::find_any_from([b'=', b'&', b'%', b'+'], target, start).unwrap_or(target.len());
        let name = &target[start..end];
        start = match target.get(end) {
            Some(b'=') => {
                let next = scan::find_any_from([b'&'], target, end).unwrap_or(target.len());
                each(name, &target[end + 1..next]);
                next
            }
            Some(b'%' | b'+') => {
                let next = scan::find_any_from([b'&'], target, end).unwrap_or(target.len());
                encoded_pair(&target[start..next], &mut each);
                next
            }
            _ => {
                each(name, b"");
                end
            }
        } + 1;
    }
}

/// A pair with something to decode before its first `=`.
#[cold]
fn encoded_pair(pair: &[u8], each: &mut impl FnMut(&[u8], &[u8])) {
    let mut decoded = [0; DECODED];
    let length = decode_into(pair, &mut decoded);
    let name = memchr(b'=', &decoded[..length]).map_or(&decoded[..length], |at| &decoded[..at]);
    each(name, memchr(b'=', pair).map_or(pair, |at| &pair[at + 1..]));
}

/// Percent-decoding as in a form: `+` is a blank. Stops when `into` is full; returns how much of it was written.
fn decode_into(mut from: &[u8], into: &mut [u8; DECODED]) -> usize {
    for (written, slot) in into.iter_mut().enumerate() {
        let Some(&first) = from.first() else { return written };
        let (byte, length) = match escaped_byte(from) {
            Some(byte) => (byte, 3),
            None if first == b'+' => (b' ', 1),
            None => (first, 1),
        };
        *slot = byte;
        from = &from[length..];
    }
    DECODED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fit_into_the_set_and_lead_back() {
        assert!(Key::ALL.len() <= 64);
        assert_eq!(Key::from_name(b""), None);
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
        assert_eq!(Query::parse(b"type=d%61ta&x").type_value, TypeValue::Data);
        assert!(Query::parse(b"uploadI%64=2").upload_id_given);
        assert!(!Query::parse(b"uploadI%64=&x=1").upload_id_given);
        assert!(Query::parse(b"x=1&rgwx-zonegroup=z").from_gateway);
        assert!(Query::parse(b"X-Amz-Signature=00").signed);
    }
}
