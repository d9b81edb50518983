//! The request target taken apart: path and query.

use memchr::{memchr, memmem, memrchr};

use super::percent::{self, escaped_byte};
use crate::access_log::scan;

/// A request target as it was sent, nothing decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The path; begins with `/`.
    pub(super) path: &'a [u8],
    /// What follows the first `?`; empty for none.
    pub(super) query: &'a [u8],
    /// It begins with a host.
    pub(super) is_absolute: bool,
    /// There is a `%` in the path.
    pub(super) encoded: bool,
}

impl<'a> Target<'a> {
    /// `None` for what is not a target of a request to a gateway: `*`, `host:443`, garbage.
    #[inline]
    pub(super) fn parse(uri: &'a [u8]) -> Option<Self> {
        if uri.first() == Some(&b'/') {
            Some(Self::origin_form(uri, false))
        } else {
            Self::absolute_form(uri)
        }
    }

    #[cold]
    fn absolute_form(uri: &'a [u8]) -> Option<Self> {
        let rest = [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
            uri.split_at_checked(scheme.len())
                .filter(|(start, _)| start.eq_ignore_ascii_case(scheme))
                .map(|(_, rest)| rest)
        })?;
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let host = memrchr(b'@', authority).map_or(authority, |at| &authority[at + 1..]);
        if host.is_empty() {
            return None;
        }
        match rest.first() {
            Some(b'/') => Some(Self::origin_form(rest, true)),
            Some(_) => Some(Self { path: b"/", query: &rest[1..], is_absolute: true, encoded: false }),
            None => Some(Self { path: b"/", query: b"", is_absolute: true, encoded: false }),
        }
    }

    #[inline]
    fn origin_form(uri: &'a [u8], is_absolute: bool) -> Self {
        // One scan tells apart what nearly all targets are: neither encoded nor with a query.
        let Some(first) = scan::find_any([b'?', b'%'], uri) else {
            return Self { path: uri, query: b"", is_absolute, encoded: false };
        };
        let encoded = uri[first] == b'%';
        let mark = if encoded { memchr(b'?', &uri[first..]).map(|at| first + at) } else { Some(first) };
        match mark {
            Some(at) => Self { path: &uri[..at], query: &uri[at + 1..], is_absolute, encoded },
            None => Self { path: uri, query: b"", is_absolute, encoded },
        }
    }

    /// Whether nginx itself refuses such a path with 400, before any gateway sees it: control characters, `%00`, a `%`
    /// that begins no escape.
    pub(super) fn is_refused_path(&self) -> bool {
        let broken = |at: usize| escaped_byte(&self.path[at..]).is_none();
        self.path.iter().any(|byte| byte.is_ascii_control() || *byte == b' ')
            || memmem::find(self.path, b"%00").is_some()
            || memchr::memchr_iter(b'%', self.path).any(broken)
    }

    /// The path as the gateway sees it: decoded once, `+` untouched, what is no escape untouched.
    #[inline]
    pub(super) fn decoded_path<'b>(&self, scratch: &'b mut Vec<u8>) -> &'b [u8]
    where
        'a: 'b,
    {
        if self.encoded { self.decode(scratch) } else { self.path }
    }

    fn decode<'b>(&self, scratch: &'b mut Vec<u8>) -> &'b [u8] {
        scratch.clear();
        percent::decode(self.path, scratch);
        scratch
    }
}

/// The first segment of a path, and what follows its `/`: both empty when there is none. `path` begins with `/`.
#[inline]
pub(super) fn first_segment(path: &[u8]) -> (&[u8], &[u8]) {
    let path = path.get(1..).unwrap_or_default();
    match scan::find_near(b'/', path) {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, path: &str, query: &str, is_absolute: bool) {
        let target = Target::parse(uri.as_bytes()).unwrap_or_else(|| panic!("{uri}"));
        let mut scratch = Vec::new();
        assert_eq!(target.decoded_path(&mut scratch), path.as_bytes(), "{uri}");
        assert_eq!(target.query, query.as_bytes(), "{uri}");
        assert_eq!(target.is_absolute, is_absolute, "{uri}");
    }

    #[test]
    fn origin_form() {
        check("/", "/", "", false);
        check("/b/k", "/b/k", "", false);
        check("/b/k?acl", "/b/k", "acl", false);
        check("/b/k?a=%2F?x", "/b/k", "a=%2F?x", false);
        check("/b/a%20b+c%3F?x%3F", "/b/a b+c?", "x%3F", false);
        check("/b/a%252Fb", "/b/a%2Fb", "", false);
        check("/b/%zz%4%", "/b/%zz%4%", "", false);
        check("//x/../y", "//x/../y", "", false);
    }

    #[test]
    fn absolute_form() {
        check("http://h/b?q", "/b", "q", true);
        check("HTTPS://user:secret@h:8080/b%20", "/b ", "", true);
        check("http://b.h?acl", "/", "acl", true);
        check("http://h", "/", "", true);
        check("http://a@b@h/x@y", "/x@y", "", true);
    }

    #[test]
    fn garbage() {
        for uri in
            ["", "*", "nopath", "h:443", "http:/x", "http://", "http:///x", "ftp://h/x", "http://u:p@/x"]
        {
            assert_eq!(Target::parse(uri.as_bytes()), None, "{uri}");
        }
    }

    #[test]
    fn what_nginx_refuses() {
        let refused = |uri: &[u8]| Target::parse(uri).unwrap().is_refused_path();
        for uri in [&b"/%00"[..], b"/\x01", b"/a\tb", b"/%", b"/%4", b"/b%zz", b"/a b"] {
            assert!(refused(uri), "{}", uri.escape_ascii());
        }
        for uri in [&b"/"[..], b"/%20", b"/b/k?%00", b"/\xC3\xA9"] {
            assert!(!refused(uri), "{}", uri.escape_ascii());
        }
    }
}
