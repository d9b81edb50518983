//! The text of `$request`: method and target, if it is a request at all.

use crate::access_log::{Record, scan};

/// Takes a request line apart into the record's method and target: `METHOD target` or `METHOD target HTTP/x.y`, as far as
/// nginx is of the same opinion: it lets more than one blank pass between the three and after them (real gateways get such
/// requests, and answer them). Leaves both empty for anything else.
#[inline]
pub(super) fn split<'a>(request: &'a [u8], record: &mut Record<'a>) {
    record.request = request;
    let Some(length) = method_length(request) else { return };
    let (method, rest) = request.split_at(length);
    if let Some(target) = rest[1..].strip_suffix(b" HTTP/1.1")
        && !target.is_empty()
    {
        // One look for all that matters in a target, and nearly none has any of it.
        let first = scan::find_any([b' ', b'?', b'%'], target);
        if first.is_none_or(|at| !scan::contains(b' ', &target[at..])) {
            record.method = method;
            record.uri = target;
            record.plain_uri = Some(first.unwrap_or(target.len()));
            return;
        }
    }
    split_rarely(method, rest, record);
}

/// The same for an older protocol, or with more blanks than it takes.
#[cold]
fn split_rarely<'a>(method: &'a [u8], rest: &'a [u8], record: &mut Record<'a>) {
    let target = skip_blanks(rest);
    let end = memchr::memchr(b' ', target).unwrap_or(target.len());
    let (target, rest) = target.split_at(end);
    if !target.is_empty() && is_end(rest) {
        (record.method, record.uri) = (method, target);
    }
}

/// How long the method is, up to the blank after it.
#[inline]
fn method_length(request: &[u8]) -> Option<usize> {
    if let Some(first) = request.first_chunk() {
        let first = u64::from_le_bytes(*first);
        if let Some((_, _, length)) = FREQUENT.iter().find(|(text, mask, _)| first & mask == *text) {
            return Some(*length);
        }
    }
    let blank = scan::find_near(b' ', request).filter(|blank| *blank > 0)?;
    let is_method = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-');
    request[..blank].iter().all(is_method).then_some(blank)
}

/// Nearly all of what a gateway is asked: the method's bytes and the blank, as a number, what of eight bytes they are, and
/// the method's length.
const FREQUENT: [(u64, u64, usize); 5] =
    [frequent(b"GET "), frequent(b"PUT "), frequent(b"HEAD "), frequent(b"POST "), frequent(b"DELETE ")];

const fn frequent(method: &[u8]) -> (u64, u64, usize) {
    let (text, mask) = scan::head_and_mask(method);
    (text, mask, method.len() - 1)
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| **byte == b' ').count()..]
}

/// Blanks, or the protocol with blanks around it.
#[cold]
fn is_end(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii();
    let Some([major @ .., last]) = rest.strip_prefix(b"HTTP/") else { return rest.is_empty() };
    let Some(dot) = memchr::memchr(b'.', major) else { return false };
    let (major, minor) = (&major[..dot], &major[dot + 1..]);
    !major.is_empty() && major.iter().chain(minor).chain([last]).all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &str, expected: Option<(&str, &str)>) {
        let mut record = Record::default();
        split(request.as_bytes(), &mut record);
        let (method, target) = expected.unwrap_or_default();
        assert_eq!((record.method, record.uri), (method.as_bytes(), target.as_bytes()), "{request:?}");
        if let Some(plain) = record.plain_uri {
            let first = target.find(['?', '%']);
            assert_eq!(plain, first.unwrap_or(target.len()), "{request:?}");
        }
    }

    #[test]
    fn is_not_impressed_by_a_million_blanks() {
        let blanks = " ".repeat(1 << 20);
        check(&format!("GET{blanks}/x{blanks}HTTP/1.1{blanks}"), Some(("GET", "/x")));
        check(&format!("GET{blanks}"), None);
    }

    #[test]
    fn takes_a_request_apart_or_not_at_all() {
        check("GET / HTTP/1.1", Some(("GET", "/")));
        check("PUT /b/k?partNumber=1 HTTP/1.0", Some(("PUT", "/b/k?partNumber=1")));
        check("GET /", Some(("GET", "/")));
        check("Z /", Some(("Z", "/")));
        check("PROPFIND / HTTP/1.1", Some(("PROPFIND", "/")));
        check("GET / ", Some(("GET", "/")));
        check("GET  /two HTTP/1.1", Some(("GET", "/two")));
        check("GET /x  HTTP/1.1 ", Some(("GET", "/x")));
        check("GET /x?y%20 HTTP/1.1", Some(("GET", "/x?y%20")));
        check("GET /x%20?y HTTP/1.1", Some(("GET", "/x%20?y")));
        check("GET /x?y z HTTP/1.1", None);
        check("GET http://h/x?acl HTTP/1.1", Some(("GET", "http://h/x?acl")));
        check("OPTIONS * HTTP/1.1", Some(("OPTIONS", "*")));
        check("M-SEARCH * HTTP/1.1", Some(("M-SEARCH", "*")));
        check("GET / HTTP/2.0", Some(("GET", "/")));
        check("GET / HTTP/1.10", Some(("GET", "/")));
        for garbage in [
            "",
            " ",
            "G",
            "GET",
            "GET ",
            "GET  ",
            "get / HTTP/1.1",
            "GE[ / HTTP/1.1",
            "G@T / HTTP/1.1",
            "G\u{e9}T / HTTP/1.1",
            " / HTTP/1.1",
            "GET /a b HTTP/1.1",
            "GET / FTP/1.1",
            "GET / HTTP/1.",
            "GET / HTTP/.1",
            "GET / HTTP/11",
            "GET / HTTP/1.1 x",
            " GET / HTTP/1.1",
            r"\x16\x03\x01",
            "SSH-2.0-OpenSSH_9.2",
            r"{\x22json\x22:1}",
            "GET /' OR '1'='1 HTTP/1.1",
        ] {
            check(garbage, None);
        }
    }
}
