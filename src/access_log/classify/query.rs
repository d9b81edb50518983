//! The query of a request: which of the names that RGW knows are there. Values are secrets and are not kept.

mod pairs;

use std::ops::Range;

use fearless_simd::{Level, dispatch};

use pairs::{DECODED, Name, Pairs, Value, decode_into, head};

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

/// The heads of all keys' names, in their order.
const HEADS: [u64; Key::ALL.len()] = {
    let mut heads = [0; Key::ALL.len()];
    let mut at = 0;
    while at < heads.len() {
        heads[at] = head(Key::ALL[at].name());
        at += 1;
    }
    heads
};

/// Which key has a name with this head, if there is one: no two of them lead to one slot, so that none has to be searched
/// for.
const SLOTS: [u8; 256] = {
    let mut slots = [u8::MAX; 256];
    let mut at = 0;
    while at < HEADS.len() {
        let slot = &mut slots[slot(HEADS[at])];
        assert!(*slot == u8::MAX, "two names lead to one slot: another factor is needed");
        *slot = at as u8;
        at += 1;
    }
    slots
};

const fn slot(head: u64) -> usize {
    // Found by trial.
    const FACTOR: u64 = 0x921a_7ada_3445_c33b;
    (head.wrapping_mul(FACTOR) >> 56) as usize
}

/// The key of this name.
#[inline(always)]
fn key(name: Name<'_>) -> Option<Key> {
    let number = usize::from(SLOTS[slot(name.head)]);
    let key = *Key::ALL.get(number)?;
    name.is(HEADS[number], key.name()).then_some(key)
}

/// Calls `each` with every key whose name is in a query.
pub(super) fn for_each_key(query: &[u8], mut each: impl FnMut(Key)) {
    dispatch!(Level::baseline(), simd => {
        let mut pairs = Pairs::new(simd, query, 0..query.len());
        while let Some((name, _)) = pairs.next() {
            if let Some(key) = key(name) {
                each(key);
            }
        }
    });
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
    /// The value of `type`.
    pub(super) type_value: TypeValue,
}

impl Query {
    /// Reads what follows the `?`.
    pub(super) fn parse(query: &[u8]) -> Self {
        Self::parse_within(query, 0..query.len())
    }

    /// The same of a query that stands in a text: with more behind it, the quicker.
    pub(super) fn parse_within(text: &[u8], query: Range<usize>) -> Self {
        dispatch!(Level::new(), simd => {
            let (mut found, mut pairs) = (Self::default(), Pairs::new(simd, text, query));
            while let Some((name, value)) = pairs.next() {
                found.add(name, value);
            }
            found
        })
    }

    /// Whether a name is there, whatever its value.
    pub(super) const fn has(&self, key: Key) -> bool {
        self.keys & (1 << key as u8) != 0
    }

    /// Whether there is none of the names that decide what a request is.
    pub(super) const fn decides_nothing(&self) -> bool {
        self.keys & ((1 << Key::Append as u8) - 1) == 0
    }

    #[inline(always)]
    fn add(&mut self, name: Name<'_>, value: Value<'_>) {
        let Some(key) = key(name) else {
            self.from_gateway |= name.text.starts_with(b"rgwx-");
            return;
        };
        self.keys |= 1 << key as u8;
        match key {
            Key::UploadId => self.upload_id_given |= !value.is_empty(),
            Key::Type => {
                let mut decoded = [0; DECODED];
                let length = decode_into(value.text(), &mut decoded);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fit_into_the_set_and_lead_back() {
        assert!(Key::ALL.len() <= 64);
        for_each_key(b"&", |key| panic!("{key:?} has no name"));
        for &key in Key::ALL {
            let mut found = Vec::new();
            for_each_key(key.name(), |key| found.push(key));
            assert_eq!(found, [key]);
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
    }
}
