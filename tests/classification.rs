//! Our names for 1,152 recorded requests against RGW's own (see tests/corpus/README.md).

mod support;

use rgwlens::access_log::{
    Asked, Class, Classifier, ClassifierSettings, Escape, Operation, Release, redacted_uri, unescape,
};
use support::corpus::{self, lines, text};

/// A request of the corpus, and what RGW says of it.
struct Sample {
    line: usize,
    method: Vec<u8>,
    uri: Vec<u8>,
    host: Vec<u8>,
    status: u16,
    user_agent: Vec<u8>,
    has_copy_source: bool,
    truth: Names,
    source: String,
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Names {
    operation: String,
    /// `tenant/bucket`, or `bucket`.
    bucket: String,
    object: String,
}

fn plain(value: &[u8]) -> Vec<u8> {
    unescape(value, Some(Escape::Default), &mut Vec::new()).to_vec()
}

fn samples() -> Vec<Sample> {
    let (log, truth) = (corpus::read("extended.log"), corpus::read("truth.tsv"));
    assert_eq!(lines(&log).count() + 1, lines(&truth).count());
    lines(&log).zip(lines(&truth).skip(1)).map(|(line, truth)| sample(line, truth)).collect()
}

fn sample(line: &[u8], truth: &[u8]) -> Sample {
    // No value holds a quote that nginx has not escaped, so counting quotes from the end is safe.
    let quoted: Vec<&[u8]> = line.rsplit(|&byte| byte == b'"').collect();
    let truth: Vec<&[u8]> = truth.split(|&byte| byte == b'\t').collect();
    assert_eq!(quoted[3], truth[8], "request ids");
    let number = |field: &[u8]| String::from_utf8_lossy(field).parse::<usize>().unwrap();
    Sample {
        line: number(truth[0]),
        method: truth[1].to_vec(),
        uri: plain(truth[2]),
        host: plain(quoted[13]),
        status: u16::try_from(number(truth[3])).unwrap(),
        user_agent: plain(quoted[19]),
        has_copy_source: quoted[1] != b"-",
        truth: Names { operation: text(truth[4]), bucket: text(truth[5]), object: text(truth[6]) },
        source: text(truth[10]),
    }
}

impl Sample {
    fn asked(&self) -> Asked<'_> {
        Asked {
            method: &self.method,
            uri: &self.uri,
            host: Some(&self.host),
            status: self.status,
            user_agent: Some(&self.user_agent),
            has_copy_source: self.has_copy_source,
            ..Asked::default()
        }
    }
}

fn pacific() -> Classifier {
    Classifier::new(ClassifierSettings {
        dns_names: vec!["s3.test.local".into()],
        website_dns_names: vec!["web.test.local".into()],
        release: Release::Pacific,
        ..ClassifierSettings::default()
    })
}

fn ours(classifier: &Classifier, asked: &Asked<'_>) -> Names {
    let mut scratch = Vec::new();
    let classified = classifier.classify(asked, &mut scratch);
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (tenant, bucket) = (lossy(classified.tenant), lossy(classified.bucket));
    Names {
        operation: classified.operation.name().to_owned(),
        bucket: if tenant.is_empty() { bucket } else { format!("{tenant}/{bucket}") },
        object: lossy(classified.object),
    }
}

/// RGW's key without the version it was asked for, which is in the query.
fn key(object: &str, uri: &[u8]) -> String {
    let versioned = memchr::memmem::find(uri, b"versionId=").is_some();
    match object.rfind('[') {
        Some(at) if versioned && object.ends_with(']') => object[..at].to_owned(),
        _ => object.to_owned(),
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the explained differences are for reading")]
fn names_are_those_of_a_real_gateway() {
    let classifier = pacific();
    let mut expected = corpus::unseen();
    let (mut compared, mut surprises) = (0, Vec::new());
    for sample in samples().iter().filter(|sample| matches!(sample.source.as_str(), "ops" | "debug")) {
        compared += 1;
        let (truth, ours) = (&sample.truth, ours(&classifier, &sample.asked()));
        let mut parts = vec![("operation", truth.operation.clone(), ours.operation)];
        // Only the ops log shows a bucket.
        if sample.source == "ops" {
            parts.push(("bucket", truth.bucket.clone(), ours.bucket));
            parts.push(("object", key(&truth.object, &sample.uri), ours.object));
        }
        for (part, truth, ours) in parts {
            let explained = expected.remove(&(sample.line, part));
            let at = format!(
                "line {}: {} {}: {part} is {truth:?}, we say {ours:?}",
                sample.line,
                String::from_utf8_lossy(&sample.method),
                String::from_utf8_lossy(&sample.uri)
            );
            match (truth == ours, explained) {
                (true, None) => {}
                (false, Some(reason)) => println!("explained: {reason}: {at}"),
                (false, None) => surprises.push(at),
                (true, Some(_)) => surprises.push(format!("no longer a difference: {at}")),
            }
        }
    }
    assert_eq!(compared, 1096);
    assert_eq!(surprises, Vec::<String>::new());
    assert!(expected.is_empty(), "listed, but not in the corpus: {expected:?}");
}

#[test]
fn without_the_host_only_hosts_and_copies_are_lost() {
    // What the article's `main` format shows: neither `$host` nor the headers of a copy.
    let classifier = pacific();
    let (mut by_host, mut by_copy) = (0, 0);
    for sample in samples() {
        let with = ours(&classifier, &sample.asked());
        let host_counts =
            sample.host.ends_with(b".s3.test.local") || sample.host.ends_with(b"web.test.local");
        let is_copy = with.operation == "copy_obj" && sample.method == b"PUT";
        let without = ours(&classifier, &Asked { host: None, has_copy_source: false, ..sample.asked() });
        let same = without == with;
        // An absolute URI brings its host along.
        let has_uri_host = sample.uri.starts_with(b"http");
        by_host += usize::from(!same && host_counts);
        by_copy += usize::from(!same && !host_counts && is_copy);
        let lost = (host_counts && !has_uri_host) || is_copy;
        assert_eq!(!same, lost, "line {}", sample.line);
    }
    assert_eq!((by_host, by_copy), (68, 9));
}

#[test]
fn what_never_reached_an_operation_has_none_where_the_log_shows_it() {
    let classifier = pacific();
    // A request that nginx refused for its headers, its Host or its body looks like any other.
    let looks_well =
        [1102, 1109, 1112, 1123, 1124, 1125, 1126, 1127, 1128, 1129, 1131, 1134, 1135, 1136, 1137];
    let mut unexpected = Vec::new();
    for sample in samples().iter().filter(|sample| !matches!(sample.source.as_str(), "ops" | "debug")) {
        let mut scratch = Vec::new();
        let classified = classifier.classify(&sample.asked(), &mut scratch);
        // Of a POST to `/` we know no operation, whoever answers it.
        let named = classified.operation != Operation::None || classified.class == Class::Sts;
        let is_invalid = classified.class == Class::Invalid;
        let by_nginx = sample.source == "nginx";
        if named != looks_well.contains(&sample.line) || (by_nginx && !named && !is_invalid) {
            unexpected.push((
                sample.line,
                String::from_utf8_lossy(&sample.uri).into_owned(),
                classified.class,
            ));
        }
    }
    assert_eq!(unexpected, []);
}

#[test]
fn no_secret_of_the_corpus_survives_redaction() {
    let mut out = Vec::new();
    let mut had = 0;
    for sample in samples() {
        redacted_uri(&sample.uri, &mut out);
        for secret in ["Signature=", "Credential=", "temp_url_sig=", "AWSAccessKeyId", "ALICEKEY", "BOBKEY"] {
            had += usize::from(memchr::memmem::find(&sample.uri, secret.as_bytes()).is_some());
            assert_eq!(memchr::memmem::find(&out, secret.as_bytes()), None, "line {}", sample.line);
        }
        let query = memchr::memchr(b'?', &out).map_or(&b""[..], |at| &out[at..]);
        assert_eq!(memchr::memchr(b'=', query), None, "line {}", sample.line);
    }
    assert!(had > 50, "the corpus has secrets to lose");
}
