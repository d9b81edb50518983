//! Which bucket names may become tags.

/// What we write in a bucket's place; a container could be called so, and must not be mistaken for it.
const RESERVED: [&[u8]; 3] = [b"_none_", b"_unknown_", b"_other_"];

/// Whether a bucket may become a series of its own, as `tenant/bucket` or `bucket`.
///
/// RGW's relaxed rules for S3 allow 3 to 255 bytes of `A-Z a-z 0-9 . _ -`; a Swift container may be nearly anything. Both
/// are met by 1 to 255 bytes of printable ASCII without `, = " ' \ /` and blanks: what needs no escape anywhere on its
/// way into a database, a query or a link. A container beyond that is counted with the unknown ones. A tenant is empty, or
/// at most 255 bytes of the same.
pub fn valid_bucket(tenant: &[u8], bucket: &[u8]) -> bool {
    let plain = |name: &[u8]| {
        // To the end in any case, many bytes at once: a loop that may end earlier looks at them one by one.
        name.len() <= 255
            && name.iter().fold(true, |plain, byte| {
                plain & byte.is_ascii_graphic() & !matches!(byte, b',' | b'=' | b'"' | b'\'' | b'\\' | b'/')
            })
    };
    !bucket.is_empty()
        && plain(bucket)
        && plain(tenant)
        && !(tenant.is_empty() && bucket.first() == Some(&b'_') && RESERVED.contains(&bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tenant: &str, bucket: &str, expected: bool) {
        assert_eq!(valid_bucket(tenant.as_bytes(), bucket.as_bytes()), expected, "{tenant:?} {bucket:?}");
    }

    #[test]
    fn what_exists_in_practice_is_valid() {
        for bucket in
            ["b", "dev-bkt-0000", "dev.dotted.1.example", "dev_Swift-Cont0", "UPPER", "192.168.5.4", "a:b"]
        {
            check("", bucket, true);
            check("acme", bucket, true);
        }
        check("", &"b".repeat(255), true);
    }

    #[test]
    fn what_would_break_something_is_not() {
        for bucket in ["", "a b", "a,b", "a=b", "a\"b", "a'b", "a\\b", "a/b", "a\nb", "a\0b", "a\x7Fb", "é"]
        {
            check("", bucket, false);
        }
        check("", &"b".repeat(256), false);
        check("a/b", "c", false);
        check("a b", "c", false);
        check(&"t".repeat(256), "c", false);
    }

    #[test]
    fn our_own_names_do_not_collide() {
        for bucket in ["_none_", "_unknown_", "_other_"] {
            check("", bucket, false);
            check("acme", bucket, true);
        }
        check("", "_none", true);
        check("", "_nothing_", true);
    }
}
