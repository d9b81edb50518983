//! Names that prove whose they are: what a probe creates carries a keyed hash, and nothing without it is ever deleted.
//!
//! A bucket is `rgwlens-probe-<round>-<hash>`, an object `rgwlens-probe/<round>/<number>-<hash>`. The hash is keyed with
//! the secret key of the probe's user, so that any probe of that user finds what another left behind, and an operator's
//! bucket of a similar name is not taken for one.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// How buckets begin.
const BUCKET: &str = "rgwlens-probe-";

/// How objects begin, in any bucket.
pub(super) const OBJECT: &str = "rgwlens-probe/";

/// Digits of a hash in a name.
const HASH: usize = 16;

/// Length of a round's id: `ProbeMark::round`.
const ROUND: usize = 25;

/// Makes names, and knows its own.
pub(super) struct Names(Hmac<Sha256>);

impl Names {
    pub(super) fn new(secret_key: &str) -> Self {
        // HMAC takes keys of any length: the error cannot happen.
        Self(Hmac::new_from_slice(secret_key.as_bytes()).unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    pub(super) fn bucket(&self, round: &str) -> String {
        format!("{BUCKET}{round}-{}", self.hash("bucket", round))
    }

    pub(super) fn object(&self, bucket: &str, round: &str, number: usize) -> String {
        let hash = self.hash(bucket, &format!("{round}/{number}"));
        format!("{OBJECT}{round}/{number}-{hash}")
    }

    /// When the bucket was made, s since 1970, if it is ours.
    pub(super) fn bucket_made(&self, bucket: &str) -> Option<u64> {
        let (round, hash) = bucket.strip_prefix(BUCKET)?.rsplit_once('-')?;
        if !self.verify("bucket", round, hash) {
            return None;
        }
        seconds(round)
    }

    /// When the object was made, s since 1970, if it is ours.
    pub(super) fn object_made(&self, bucket: &str, object: &str) -> Option<u64> {
        let (named, hash) = object.strip_prefix(OBJECT)?.rsplit_once('-')?;
        let (round, _) = named.split_once('/')?;
        if !self.verify(bucket, named, hash) {
            return None;
        }
        seconds(round)
    }

    fn over(&self, place: &str, name: &str) -> Hmac<Sha256> {
        let mut hash = self.0.clone();
        hash.update(format!("rgwlens-probe\n{place}\n{name}").as_bytes());
        hash
    }

    fn hash(&self, place: &str, name: &str) -> String {
        let hash = self.over(place, name).finalize().into_bytes();
        hash[..HASH / 2].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Compared as text, so that there is one way to write a name.
    fn verify(&self, place: &str, name: &str, hash: &str) -> bool {
        let expected = self.hash(place, name);
        // In constant time: the names that are asked about may be a stranger's.
        let differing = expected.bytes().zip(hash.bytes()).fold(0, |differing, (a, b)| differing | (a ^ b));
        hash.len() == HASH && differing == 0
    }
}

/// When a round began.
fn seconds(round: &str) -> Option<u64> {
    (round.len() == ROUND).then_some(())?;
    u64::from_str_radix(round.get(..8)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::ProbeMark;

    #[test]
    fn only_its_own_names_are_its_own() {
        let (ours, theirs) = (Names::new("secret"), Names::new("other"));
        let round = ProbeMark::round(1_795_300_000, 7);
        let bucket = ours.bucket(&round);
        assert!((3..=63).contains(&bucket.len()), "{bucket}");
        assert!(bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        assert_eq!(ours.bucket_made(&bucket), Some(1_795_300_000));
        assert_eq!(theirs.bucket_made(&bucket), None);
        let object = ours.object(&bucket, &round, 3);
        assert_eq!(ours.object_made(&bucket, &object), Some(1_795_300_000));
        assert_eq!(theirs.object_made(&bucket, &object), None);
        assert_eq!(
            ours.object_made("elsewhere", &object),
            None,
            "a copy in another bucket is somebody's copy"
        );
        for name in
            ["", "rgwlens-probe-", "rgwlens-probe-backup", "rgwlens-probe-é-é", &bucket[..55], &object]
        {
            assert_eq!(ours.bucket_made(name), None, "{name}");
        }
        for at in 0..bucket.len() {
            let mut changed = bucket.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(ours.bucket_made(&String::from_utf8(changed).unwrap()), None);
        }
        for name in ["", "rgwlens-probe/", "rgwlens-probe/x-y", "other", &bucket] {
            assert_eq!(ours.object_made(&bucket, name), None, "{name}");
        }
    }
}
