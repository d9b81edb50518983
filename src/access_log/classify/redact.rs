//! A URI without its secrets, for events and samples.

use memchr::{memchr2, memmem, memrchr};

use super::query::for_each_key;

/// Replaces the contents of `out` by `uri` without what may be secret: the path stays as it was sent, the user information
/// of an absolute URI goes, and of the query only the names of known sub-resources stay, decoded, without values
/// (`/b/k?partNumber&uploadId`). Never longer than `uri`.
pub fn redacted_uri(uri: &[u8], out: &mut Vec<u8>) {
    out.clear();
    // nginx, too, ends a path at `#`.
    let end = memchr2(b'?', b'#', uri).unwrap_or(uri.len());
    let (address, rest) = uri.split_at(end);
    push_address(address, out);
    let Some((b'?', query)) = rest.split_first() else { return };
    let query = memchr::memchr(b'#', query).map_or(query, |at| &query[..at]);
    let mut separator = b'?';
    for_each_key(query, |key| {
        out.push(separator);
        out.extend_from_slice(key.name());
        separator = b'&';
    });
}

/// The part before the query.
fn push_address(address: &[u8], out: &mut Vec<u8>) {
    if address.first() == Some(&b'/') {
        return out.extend_from_slice(address);
    }
    let authority = memmem::find(address, b"://").map_or(0, |at| at + 3);
    let (scheme, rest) = address.split_at(authority);
    let (authority, path) = rest.split_at(memchr::memchr(b'/', rest).unwrap_or(rest.len()));
    let host = memrchr(b'@', authority).map_or(authority, |at| &authority[at + 1..]);
    // `user:pa/ss@host` reads as the host `user` with the port `pa`: where the port is none, nothing is safe to show.
    let port = memrchr(b':', host).map_or(&b""[..], |at| &host[at + 1..]);
    let is_address = host.last() == Some(&b']');
    if is_address || port.iter().all(u8::is_ascii_digit) {
        out.extend_from_slice(scheme);
        out.extend_from_slice(host);
        out.extend_from_slice(path);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access_log::classify::query::Key;

    fn check(uri: &str, expected: &str) {
        let mut out = b"left over".to_vec();
        redacted_uri(uri.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected, "{uri}");
    }

    #[test]
    fn paths_stay_and_queries_keep_known_names_only() {
        check("/", "/");
        check("/b/a%20k", "/b/a%20k");
        check("/b/k?acl", "/b/k?acl");
        check("/b/k?uploadId=SECRET&partNumber=7", "/b/k?uploadId&partNumber");
        check("/b/k?X-Amz-Signature=SECRET&X-Amz-Credential=AKIA%2F1&acl=SECRET", "/b/k?acl");
        check("/b/k?AWSAccessKeyId=AKIA&Signature=SECRET&Expires=1", "/b/k");
        check("/b?list-type=2&prefix=SECRET", "/b?list-type");
        check("/b?SECRET", "/b");
        check("/b?%61cl=SECRET&upl%6Fads%3DSECRET", "/b?acl&uploads");
        check("/b?acl#SECRET", "/b?acl");
        check("/b#SECRET?acl", "/b");
        check("", "");
        check("*", "*");
    }

    #[test]
    fn user_information_goes() {
        check("http://user:SECRET@h:80/b@c?acl", "http://h:80/b@c?acl");
        check("http://a@SECRET@h/", "http://h/");
        check("http://h", "http://h");
        check("http://[::1]:80/x", "http://[::1]:80/x");
        check("http://[::1]/x", "http://[::1]/x");
        check("ftp://u:SECRET@h/x", "ftp://h/x");
        check("u:SECRET@h:443", "h:443");
        check("http://u:SEC/RET@h/", "");
        check("h:443", "h:443");
    }

    proptest! {
        #[test]
        fn no_value_and_no_unknown_name_survives(
            path in "/[a-z/]{0,9}",
            names in proptest::collection::vec("[A-Za-z%0-9-]{0,9}|acl|uploadId|key|type", 0..5),
        ) {
            let query: Vec<String> = names.iter().map(|name| format!("{name}=CANARY~")).collect();
            let uri = format!("{path}?{}&CANARY~", query.join("&"));
            let mut out = Vec::new();
            redacted_uri(uri.as_bytes(), &mut out);
            let out = String::from_utf8(out).unwrap();
            prop_assert!(!out.contains("CANARY"));
            let mut parts = out.splitn(2, '?');
            prop_assert_eq!(parts.next(), Some(path.as_str()));
            for name in parts.next().into_iter().flat_map(|query| query.split('&')) {
                prop_assert!(Key::ALL.iter().any(|key| key.name() == name.as_bytes()));
            }
        }

        #[test]
        fn never_panics_and_never_grows(uri in proptest::collection::vec(any::<u8>(), 0..99)) {
            let mut out = Vec::new();
            redacted_uri(&uri, &mut out);
            prop_assert!(out.len() <= uri.len());
        }
    }
}
