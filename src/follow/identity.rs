//! What makes a file the same file: its bytes. Names change at every rotation, inodes are used again within
//! milliseconds; a log's first line carries a time and is never written twice.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::point::TimestampNs;

/// At most this many of a file's first bytes say which file it is.
pub(crate) const HEAD: usize = 1024;

/// At most this many bytes before a place in a file say that the place is still the same.
pub(crate) const ANCHOR: usize = 4096;

/// A run of bytes, as its length and its hash (XXH3, 128 bits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many bytes.
    pub len: u32,
    /// Their hash; in text formats 32 hexadecimal digits.
    #[serde(with = "hex")]
    pub hash: u128,
}

impl Fingerprint {
    /// The fingerprint of these bytes (of their first 4 GiB: callers give at most a few KiB).
    pub fn of(bytes: &[u8]) -> Self {
        Self { len: u32::try_from(bytes.len()).unwrap_or(u32::MAX), hash: xxh3_128(bytes) }
    }

    /// Whether these are the bytes.
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        *self == Self::of(bytes)
    }
}

/// A hash as text: a number of 128 bits does not survive most readers of JSON.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(hash: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{hash:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(|_| D::Error::custom("a hash is up to 32 hexadecimal digits"))
    }
}

/// Device and inode. Proof of identity only while the file is held open; otherwise a hint where to look first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
}

impl FileId {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self { dev: meta.dev(), ino: meta.ino() }
    }
}

/// What changes when a file's content does. (A change within one tick of the kernel's clock, after the file was looked
/// at and without a change of size, shows only with the next change.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    pub(crate) modified_ns: TimestampNs,
    changed_ns: TimestampNs,
}

impl Stamp {
    pub(crate) fn of(meta: &Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
        Self {
            size: meta.size(),
            modified_ns: ns(meta.mtime(), meta.mtime_nsec()),
            changed_ns: ns(meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// When the file was created, where the file system keeps that.
pub(crate) fn born_ns(meta: &Metadata) -> Option<TimestampNs> {
    let since = meta.created().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    TimestampNs::try_from(since.as_nanos()).ok()
}

/// Up to `len` bytes at `offset`, fewer only at the end of the file.
pub(crate) fn read_at(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut have = 0;
    while have < len {
        match file.read_at(&mut bytes[have..], offset + have as u64) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

/// Reads until the buffer is full or there is no more. An error ends the content like its end does, and is returned too.
pub(crate) fn read_full(from: &mut dyn Read, buffer: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut have = 0;
    while have < buffer.len() {
        match from.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (have, Some(error)),
        }
    }
    (have, None)
}

/// Whether two files that both begin with these bytes may be the same content: with less than a line in common, they may as
/// well be two logs whose first line begins alike.
pub(crate) fn is_telling(common: &[u8]) -> bool {
    common.len() >= HEAD || memchr::memchr(b'\n', common).is_some()
}

/// How the contents of two files relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// Byte for byte the same.
    Same,
    /// The first is how the second begins.
    FirstIsPrefix,
    /// The second is how the first begins.
    SecondIsPrefix,
    /// They differ, be it after a GiB.
    Different,
}

/// Compares decoded contents to the first difference. What cannot be decoded counts as not being there, so a
/// half-written copy is a prefix of its original.
pub(crate) fn compare(first: &mut dyn Read, second: &mut dyn Read) -> Relation {
    let (mut a, mut b) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let (n, first_error) = read_full(first, &mut a);
        let (m, second_error) = read_full(second, &mut b);
        let common = n.min(m);
        if a[..common] != b[..common] {
            return Relation::Different;
        }
        if n != m {
            return if n < m { Relation::FirstIsPrefix } else { Relation::SecondIsPrefix };
        }
        if n < a.len() || first_error.is_some() || second_error.is_some() {
            return Relation::Same;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_survives_json() {
        let fingerprint = Fingerprint::of(b"a line");
        let json = serde_json::to_string(&fingerprint).unwrap();
        assert!(json.contains(&format!("{:032x}", fingerprint.hash)), "{json}");
        assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), fingerprint);
        assert!(serde_json::from_str::<Fingerprint>(r#"{"len":1,"hash":"xyz"}"#).is_err());
    }

    #[test]
    fn compare_tells_prefix_from_difference() {
        let check = |a: &[u8], b: &[u8], expected| {
            assert_eq!(compare(&mut &a[..], &mut &b[..]), expected, "{} and {} bytes", a.len(), b.len());
        };
        let long = vec![7; 200_000];
        let mut other = long.clone();
        other[199_999] = 8;
        check(b"", b"", Relation::Same);
        check(b"ab", b"abc", Relation::FirstIsPrefix);
        check(b"abc", b"ab", Relation::SecondIsPrefix);
        check(b"abc", b"abd", Relation::Different);
        check(&long, &long, Relation::Same);
        check(&long, &other, Relation::Different);
        check(&long, &long[..131_072], Relation::SecondIsPrefix);
    }
}
