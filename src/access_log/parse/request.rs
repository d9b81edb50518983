//! The text of `$request`: method and target, if it is a request at all.

use fearless_simd::{Simd, prelude::*, u8x32};

use super::plain::{WINDOW, chunk, eight};
use super::present;
use crate::access_log::{Method, PlainTarget, Record, scan};

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
    let (method, length) = frequent_method(eight(window, at)?)?;
    let (start, blank) = (at + length + 1, end.checked_sub(PROTOCOL.len())?);
    if chunk(window, blank)? != PROTOCOL {
        return None;
    }
    let target = line.get(start..blank)?;
    let path = plain_path(simd, target, window.get(start..)?)?;
    let segment = plain_segment(simd, path, chunk(window, start)?)?;
    record.request = line.get(at..end)?;
    record.method = line.get(at..at + length)?;
    record.uri = target;
    record.plain = Some(PlainTarget { method, segment, path: path.len() });
    Some(())
}

/// What ends nearly all requests.
const PROTOCOL: &[u8; 9] = b" HTTP/1.1";

/// The path of a target that has no blank, and none of it encoded. `window` begins with the target, and a blank follows it.
#[inline(always)]
fn plain_path<'a, S: Simd>(simd: S, target: &'a [u8], window: &[u8]) -> Option<&'a [u8]> {
    let path = scan::first_of(simd, [b' ', b'?', b'%'], window)?;
    if path == target.len() {
        return Some(target);
    }
    let (path, query) = target.split_at_checked(path)?;
    let blank = scan::first_of(simd, [b' '], window.get(path.len()..)?)?;
    (query.first() == Some(&b'?') && blank == query.len()).then_some(path)
}

/// How long the first segment of a path is, if there is one without a colon. `near` is what the path begins with, and
/// what follows it.
#[inline(always)]
fn plain_segment<S: Simd>(simd: S, path: &[u8], near: &[u8; scan::CHUNK]) -> Option<usize> {
    let near = u8x32::simd_from(simd, *near);
    let is = |byte: u8| near.simd_eq(byte).to_bitmask();
    let slashes = is(b'/');
    let ends = (slashes & !1) | 1 << path.len().min(63);
    let end = ends.trailing_zeros() as usize;
    if slashes & 1 == 0 || end < 2 {
        return None;
    }
    let (length, has_colon) = if end <= scan::CHUNK {
        (end - 1, is(b':') & (ends - 1) & !ends != 0)
    } else {
        scan::segment(path.get(1..)?)
    };
    (!has_colon).then_some(length)
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

/// The method at the start of eight bytes and its length, if it is one of those that nearly all requests have.
#[inline(always)]
fn frequent_method(bytes: u64) -> Option<(Method, usize)> {
    const FREQUENT: [(u64, u64, usize, Method); 5] = [
        frequent(b"GET ", Method::Get),
        frequent(b"PUT ", Method::Put),
        frequent(b"HEAD ", Method::Head),
        frequent(b"POST ", Method::Post),
        frequent(b"DELETE ", Method::Delete),
    ];
    let (.., length, method) = FREQUENT.iter().find(|(text, mask, ..)| bytes & mask == *text)?;
    Some((*method, *length))
}

/// The method's bytes and the blank, as a number, what of eight bytes they are, and the method's length.
const fn frequent(text: &[u8], method: Method) -> (u64, u64, usize, Method) {
    let (bytes, mask) = scan::head_and_mask(text);
    (bytes, mask, text.len() - 1, method)
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
