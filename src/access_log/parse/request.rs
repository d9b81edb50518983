//! The text of `$request`: method and target, if it is a request at all.

use fearless_simd::{Simd, prelude::*};

use super::plain::{WINDOW, chunk, eight};
use super::present;
use crate::access_log::scan::{self, Set};
use crate::access_log::{Method, PlainTarget, Record};

/// Takes a request line apart into the record's method and target: `METHOD target` or `METHOD target HTTP/x.y`, as far as
/// nginx is of the same opinion: it lets more than one blank pass between the three and after them (real gateways get such
/// requests, and answer them). Leaves both empty for anything else.
pub(super) fn split<'a>(request: &'a [u8], record: &mut Record<'a>) {
    record.request = request;
    (record.method, record.uri, record.plain) = (b"", b"", None);
    let Some(length) = method_length(request) else { return };
    let (method, rest) = request.split_at(length);
    if let Some(target) = rest[1..].strip_suffix(b" HTTP/1.1")
        && !target.is_empty()
        && !scan::contains(b' ', target)
    {
        (record.method, record.uri) = (method, target);
        return;
    }
    split_rarely(method, rest, record);
}

/// The same for a request that stands in a line from `at` to `end`. Nearly all have a plain target, and that is noted.
#[inline(always)]
pub(super) fn split_in<'a, S: Simd>(
    simd: S,
    window: &[u8; WINDOW],
    line: &'a [u8],
    at: usize,
    end: usize,
    record: &mut Record<'a>,
) -> Option<()> {
    if split_plainly(simd, window, line, at, end, record).is_none() {
        split(present(line.get(at..end)?).unwrap_or_default(), record);
    }
    Some(())
}

/// `None`, and nothing done, if there is any doubt.
#[inline(always)]
fn split_plainly<'a, S: Simd>(
    simd: S,
    window: &[u8; WINDOW],
    line: &'a [u8],
    at: usize,
    end: usize,
    record: &mut Record<'a>,
) -> Option<()> {
    let (name, method) = known_method(eight(window, at)?)?;
    let start = at + name.len() + 1;
    let blank = end.checked_sub(PROTOCOL.len())?;
    if chunk(window, blank)? != PROTOCOL {
        return None;
    }
    let (segment, path) = plain_target(simd, chunk(window, start)?, line.get(start..blank)?)?;
    record.request = line.get(at..end)?;
    record.method = name;
    record.uri = line.get(start..blank)?;
    record.plain = Some(PlainTarget { method, segment, path, text: line.get(start..)? });
    Some(())
}

/// What ends nearly all requests.
const PROTOCOL: &[u8; 9] = b" HTTP/1.1";

/// How long a target's first segment is, if there is neither a colon nor a `%` in it, and its path; `None` also for one with a
/// blank. `near` is what it begins with, and what follows it, which is a blank.
///
/// Nothing depends on how long they are, as far as they are near: where a search by small steps ends, nobody can predict.
#[inline(always)]
fn plain_target<S: Simd>(simd: S, near: &[u8; scan::FAR], target: &[u8]) -> Option<(usize, usize)> {
    const SEGMENT_ENDS: Set = Set::of(b"/:%");
    // A blank ends it, if it is near; and there is no other.
    let path = if scan::first(simd, b' ', near) == target.len() {
        target.len().min(scan::first(simd, b'?', near))
    } else {
        far_path(target)?
    };
    // No bucket's name is longer than this looks.
    let segment_ends = SEGMENT_ENDS.among(simd, near.first_chunk()?).to_bitmask();
    let segment = path.min((segment_ends & !1).trailing_zeros() as usize);
    let is_plain = near[0] == b'/' && segment >= 2 && matches!(near[segment], b'/' | b'?' | b' ');
    if is_plain { Some((segment - 1, path)) } else { None }
}

/// Where the path ends of a target that is not near; `None` for one with a blank.
#[cold]
fn far_path(target: &[u8]) -> Option<usize> {
    (!scan::contains(b' ', target)).then(|| memchr::memchr(b'?', target).unwrap_or(target.len()))
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
fn method_length(request: &[u8]) -> Option<usize> {
    let blank = scan::find_near(b' ', request).filter(|blank| *blank > 0)?;
    let is_method = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-');
    request[..blank].iter().all(is_method).then_some(blank)
}

/// The method at the start of eight bytes, if it is one that we know.
#[inline(always)]
fn known_method(bytes: u64) -> Option<(&'static [u8], Method)> {
    let (text, mask, name, method) = METHODS[method_slot(bytes)];
    (bytes & mask == text).then_some((name, method))
}

/// Where a method stands that begins so: each has its own place, so that none has to be searched for, which nobody can
/// predict.
const fn method_slot(bytes: u64) -> usize {
    // Found by trial.
    const FACTOR: u32 = 3789;
    ((bytes as u32).wrapping_mul(FACTOR) >> 29) as usize
}

/// The methods by [`method_slot`]: the bytes of each with the blank after it, which of eight bytes they are, name and method.
const METHODS: [(u64, u64, &[u8], Method); 8] = {
    // An entry that nothing is: no bit may be set, and one has to be.
    let mut methods: [(u64, u64, &[u8], Method); 8] = [(1, 0, b"", Method::Get); 8];
    let all: [(&[u8], Method); 7] = [
        (b"GET ", Method::Get),
        (b"PUT ", Method::Put),
        (b"HEAD ", Method::Head),
        (b"POST ", Method::Post),
        (b"DELETE ", Method::Delete),
        (b"OPTIONS ", Method::Options),
        (b"COPY ", Method::Copy),
    ];
    let mut at = 0;
    while at < all.len() {
        let (text, method) = all[at];
        let (bytes, mask) = scan::head_and_mask(text);
        let slot = method_slot(bytes);
        assert!(methods[slot].1 == 0, "two methods lead to one place");
        methods[slot] = (bytes, mask, text.split_at(text.len() - 1).0, method);
        at += 1;
    }
    methods
};

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
    use fearless_simd::{Level, dispatch};
    use proptest::prelude::*;

    fn check(request: &str, expected: Option<(&str, &str)>) {
        let mut record = Record::default();
        split(request.as_bytes(), &mut record);
        let (method, target) = expected.unwrap_or_default();
        assert_eq!((record.method, record.uri), (method.as_bytes(), target.as_bytes()), "{request:?}");
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

    proptest! {
        #[test]
        fn a_plain_target_is_one_by_its_definition(
            method in prop::sample::select(["GET", "PUT", "HEAD", "POST", "DELETE", "OPTIONS", "COPY", "PATCH", "GETX"].as_slice()),
            (segment, key, query) in ("/[a:]{0,70}", "(/[a/:]{0,90}[a %]?){0,2}", "(\\?[a=&%?]{0,90}[ a]?){0,2}"),
            protocol in prop::sample::select([" HTTP/1.1", "aHTTP/1.1", " HTTP/1.0", "  HTTP/1.1"].as_slice()),
        ) {
            let request = format!("{method} {segment}{key}{query}{protocol}");
            let request = request.as_bytes();
            let (mut record, mut expected) = (Record::default(), Record::default());
            let mut window = [b'a'; WINDOW];
            window[..request.len()].copy_from_slice(request);
            dispatch!(Level::new(), simd => split_in(simd, &window, request, 0, request.len(), &mut record)).unwrap();
            split(request, &mut expected);
            let said = (record.request, record.method, record.uri);
            prop_assert_eq!(said, (expected.request, expected.method, expected.uri));
            let plain = PlainTarget::of(expected.method, expected.uri);
            let is_usual = segment.len() <= 64 && protocol == " HTTP/1.1" && !(key + &query).contains(' ');
            let said = record.plain.map(|said| PlainTarget { text: record.uri, ..said });
            prop_assert!(said == plain || (record.plain.is_none() && !is_usual), "{:?}", record.plain);
        }
    }
}
