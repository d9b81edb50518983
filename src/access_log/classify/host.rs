//! Whose host a request asked for: the gateway's own, a bucket's, a website's.

use memchr::{memchr, memchr2};

/// What a host says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site<'a> {
    /// Nothing: the bucket is in the path.
    Path,
    /// The labels before one of the gateway's names are the bucket; or all of a host that is none of them, which RGW takes
    /// for a name that leads to the bucket of the same name.
    Bucket(&'a [u8]),
    /// A website; its bucket, or empty when the host is the website name itself.
    Website(&'a [u8]),
}

/// The gateway's names, longest first, so that `s3.web.example` wins over `web.example` when both are configured.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    names: Vec<(Box<[u8]>, bool)>,
}

impl Hosts {
    /// From `rgw_dns_name` and its like, and the website's.
    pub(super) fn new(dns_names: &[String], website_dns_names: &[String]) -> Self {
        let names = |list: &[String], website: bool| -> Vec<(Box<[u8]>, bool)> {
            let list = list.iter().map(|name| name.trim().trim_matches('.').to_ascii_lowercase());
            list.filter(|name| !name.is_empty()).map(|name| (name.into_bytes().into(), website)).collect()
        };
        let mut names = [names(dns_names, false), names(website_dns_names, true)].concat();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Self { names }
    }

    /// Whether none is configured, and so no host says anything.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// What `host` is: with or without a port, in any case. An address says nothing, and without configured names none does.
    pub(super) fn site<'a>(&self, host: &'a [u8]) -> Site<'a> {
        if self.names.is_empty() {
            return Site::Path;
        }
        let host = without_port(host);
        for (name, website) in &self.names {
            let Some(at) = host.len().checked_sub(name.len()) else { continue };
            let (before, end) = host.split_at(at);
            if end != &**name && !end.eq_ignore_ascii_case(name) {
                continue;
            }
            match (before, website) {
                ([], false) => return Site::Path,
                ([], true) => return Site::Website(b""),
                ([bucket @ .., b'.'], false) if !bucket.is_empty() => return Site::Bucket(bucket),
                ([bucket @ .., b'.'], true) if !bucket.is_empty() => return Site::Website(bucket),
                _ => {}
            }
        }
        if can_be_bucket(host) { Site::Bucket(host) } else { Site::Path }
    }
}

/// Whether RGW looks for a bucket of this name: neither an address nor too short or too long.
fn can_be_bucket(host: &[u8]) -> bool {
    let is_ipv4 = host.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
        && host.split(|byte| *byte == b'.').filter(|part| !part.is_empty()).count() == 4;
    (3..=255).contains(&host.len()) && !is_ipv4 && host[0] != b'[' && memchr2(b'/', 0xff, host).is_none()
}

/// A host up to its first colon, as RGW has it: of an IPv6 address nothing, or the bracket before it.
fn without_port(host: &[u8]) -> &[u8] {
    &host[..memchr(b':', host).unwrap_or(host.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, expected: Site<'_>) {
        let names = ["s3.test.local".to_owned(), "OBJECTS.example.".to_owned()];
        let hosts = Hosts::new(&names, &["web.test.local".to_owned(), "web.objects.example".to_owned()]);
        assert_eq!(hosts.site(host.as_bytes()), expected, "{host}");
    }

    #[test]
    fn the_gateways_own_names_and_addresses_mean_path_style() {
        for host in [
            "",
            "s3.test.local",
            "S3.Test.Local:8080",
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]:80",
            "[2001:db8::1]:80",
            "::1",
            "x",
            "ab",
            ":80",
        ] {
            check(host, Site::Path);
        }
    }

    #[test]
    fn a_strangers_name_is_a_bucket() {
        for host in
            ["test.local", "abc", "localhost", "1.2.3", "Evil-s3.test.local", "s3.test.local.evil.example"]
        {
            check(host, Site::Bucket(host.as_bytes()));
        }
        check("cname.example:8080", Site::Bucket(b"cname.example"));
        check("b.s3.test.local:80x", Site::Bucket(b"b"));
        let long = "b".repeat(256);
        check(&long, Site::Path);
    }

    #[test]
    fn labels_before_a_name_are_the_bucket() {
        check("b.s3.test.local", Site::Bucket(b"b"));
        check("b.s3.test.local.", Site::Bucket(b"b.s3.test.local."));
        check("my.dotted.bucket.s3.test.local:443", Site::Bucket(b"my.dotted.bucket"));
        check("Up.S3.TEST.local", Site::Bucket(b"Up"));
        check("b.objects.example", Site::Bucket(b"b"));
    }

    #[test]
    fn websites_and_the_longer_name_first() {
        check("b.web.test.local", Site::Website(b"b"));
        check("web.test.local", Site::Website(b""));
        check("b.web.objects.example", Site::Website(b"b"));
        check("webs.objects.example", Site::Bucket(b"webs"));
    }

    #[test]
    fn without_names_every_host_means_path_style() {
        assert_eq!(Hosts::default().site(b"b.s3.test.local"), Site::Path);
    }
}
