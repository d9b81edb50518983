//! Reports of parts that real windows made, against figures worked out by hand.

use proptest::prelude::*;

use super::{
    Builder, Figures, Joined, LatencyStats, Options, Parts, ProbeReport, Rejected, Report, SlowOfNode,
    StatusReport,
    sample::{self, Made, NOON, parts, tags, windows},
};
use crate::{access_log::Class, stats::Part};

const MIB: u64 = 1 << 20;

fn report(of: &[(&str, &[Made])]) -> Report {
    let mut builder = Builder::new(Options::default());
    for (node, made) in of {
        parts(made).iter().for_each(|part| builder.add(part, &tags(node)));
    }
    builder.finish()
}

/// Two minutes at one gateway.
fn two_minutes() -> Vec<Made> {
    let mut made = vec![
        Made::new(1_000, Class::Upload, "photos").took(20).bytes(1000, 0),
        Made::new(2_000, Class::Upload, "photos").took(40).bytes(3 * MIB, 0),
        Made::new(3_000, Class::Download, "photos").took(2_500).bytes(0, 5000),
        Made::new(4_000, Class::Download, "photos").status(404),
        Made::new(5_000, Class::Download, "logs").status(503).took(900),
        Made::new(6_000, Class::Delete, "logs").status(499).took(3_000),
        Made::new(65_000, Class::List, "logs").took(100).bytes(0, 700),
        Made::new(66_000, Class::Head, "logs").took(5),
    ];
    made.extend((0..2).map(|i| Made::new(70_000 + i, Class::Health, "").took(1)));
    made.push(Made::new(71_000, Class::Invalid, "").status(400));
    made.push(Made::new(119_000, Class::Admin, "").status(500));
    made
}

#[test]
fn totals_and_rates() {
    let report = report(&[("gw1", &two_minutes())]);
    assert_eq!((report.from_ms, report.until_ms), (Some(NOON), Some(NOON + 120_000)));
    assert_eq!(report.seconds, 120.0);
    let total = Figures {
        requests: 12,
        ok: 7,
        errors_4xx: 2,
        errors_5xx: 2,
        aborted: 1,
        slow: 2,
        bytes_in: 1000 + 3 * MIB,
        bytes_out: 5700,
    };
    assert_eq!(report.total, total);
    assert_eq!(report.buckets.total, total);
    // Without two health checks, one admin error and one piece of garbage.
    let service = report.service;
    assert_eq!((service.figures.requests, service.figures.ok), (8, 5));
    assert_eq!(service.success_rate, Some(5.0 / 8.0));
    assert_eq!(service.availability, Some(7.0 / 8.0));
    assert_eq!(service.errors_4xx_rate, Some(1.0 / 8.0));
    assert_eq!(service.aborted_rate, Some(1.0 / 8.0));
    let statuses = [(200, 7), (400, 1), (404, 1), (499, 1), (500, 1), (503, 1)];
    let statuses = statuses.map(|(status, requests)| StatusReport { status, requests });
    assert_eq!(report.statuses, statuses);
    assert_eq!(report.requests_per_second.mean, 0.1);
    assert_eq!(report.bytes_out_per_second.mean, 5700.0 / 120.0);
    let peak = report.bytes_out_per_second.peak.unwrap();
    assert_eq!((peak.start_ms, peak.per_second), (NOON, 5000.0 / 60.0));
    assert_eq!(report.lines.counted, 12);
    assert!(report.lines.conserved);
}

#[test]
fn latency_is_of_ok_requests_by_class_and_size() {
    let report = report(&[("gw1", &two_minutes())]);
    let names: Vec<_> = report.classes.iter().map(|c| (c.class, c.size, c.figures.requests)).collect();
    let expected = [
        ("upload", "small", 1),
        ("upload", "large", 1),
        ("download", "small", 3),
        ("head", "small", 1),
        ("delete", "small", 1),
        ("list", "small", 1),
        ("admin", "small", 1),
        ("health", "small", 2),
        ("invalid", "small", 1),
    ];
    assert_eq!(names, expected);
    let download = &report.classes[2];
    let stats = LatencyStats {
        count: 1,
        sum_ms: 2500,
        min_ms: 2500.0,
        mean_ms: 2500.0,
        max_ms: 2500.0,
        p50_ms: 2500.0,
        p90_ms: 2500.0,
        p99_ms: 2500.0,
    };
    assert_eq!(download.latency, Some(stats));
    assert_eq!(report.classes[4].latency, None, "no delete was ok");
}

#[test]
fn slow_requests_by_class_node_and_one_by_one() {
    let slow = |at, ms| Made::new(at, Class::Download, "b").took(ms).upstream("127.0.0.1:7480", 10);
    let report = report(&[
        ("gw1", &[slow(0, 1001), slow(1, 9000), slow(2, 1000), Made::new(3, Class::Health, "")]),
        ("gw2", &[slow(0, 2000), Made::new(1, Class::Head, "b").took(5000)]),
        ("gw3", &[slow(0, 1)]),
    ]);
    let slow = &report.slow;
    assert_eq!((slow.requests, slow.share, slow.kept), (3, Some(3.0 / 5.0), 3));
    let node = |node: &str, requests, slow: u64, share_of_slow| SlowOfNode {
        node: node.into(),
        requests,
        slow,
        share: Some(slow as f64 / requests as f64),
        share_of_slow: Some(share_of_slow),
    };
    assert_eq!(
        slow.nodes,
        [node("gw1", 3, 2, 2.0 / 3.0), node("gw2", 1, 1, 1.0 / 3.0), node("gw3", 1, 0, 0.0)]
    );
    assert_eq!((slow.classes.len(), slow.classes[0].slow, slow.classes[0].requests), (1, 3, 5));
    let listed: Vec<_> =
        slow.slowest.iter().map(|e| (e.node.as_str(), e.request_time_ms, e.verdict)).collect();
    let client = Some("client");
    assert_eq!(listed, [("gw1", 9000, client), ("gw2", 2000, client), ("gw1", 1001, client)]);
    assert_eq!(slow.slowest[0].uri, "/some/object", "secrets stay out");
    let upstreams: Vec<_> =
        report.upstreams.iter().map(|u| (u.node.as_str(), u.upstream.as_str(), u.figures.requests)).collect();
    assert_eq!(
        upstreams,
        [("gw1", "127.0.0.1:7480", 3), ("gw2", "127.0.0.1:7480", 1), ("gw3", "127.0.0.1:7480", 1)]
    );
}

#[test]
fn buckets_are_ranked_five_ways() {
    let mut made = Vec::new();
    for (i, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        made.extend((0..=i as i64).map(|at| Made::new(at, Class::Download, name).bytes(0, 100 >> i)));
    }
    made.push(Made::new(5, Class::Upload, "a").bytes(4096, 0).took(2000));
    made.push(Made::new(61_000, Class::Upload, "b").bytes(6000, 0));
    made.push(Made::new(6, Class::Download, "b").status(404));
    made.push(Made::new(7, Class::Download, "never-there").status(404));
    made.push(Made::new(8, Class::Health, ""));
    let report = report(&[("gw1", &made)]);
    let names =
        |list: &[super::BucketReport]| list.iter().map(|b| b.bucket.clone()).collect::<Vec<_>>().concat();
    let buckets = &report.buckets;
    assert_eq!(buckets.named, 4);
    assert_eq!(names(&buckets.by_requests), "bdca", "of equals by name");
    assert_eq!(names(&buckets.by_bytes_in), "ba");
    assert_eq!(names(&buckets.by_bytes_out), "abcd");
    assert_eq!(names(&buckets.by_errors), "b");
    assert_eq!(names(&buckets.by_slow), "a");
    assert_eq!(names(&buckets.reserved), "_none__unknown_");
    assert_eq!(buckets.total, report.total);
    let b = &buckets.by_bytes_in[0].bytes_in_per_second;
    assert_eq!(b.mean, 6000.0 / 70.0, "of the range, which ends with the last window of node totals");
    assert_eq!(b.peak.unwrap().per_second, 6000.0 / 10.0, "of the window's part in the range");
}

#[test]
fn sizes_are_disjoint_steps_of_ok_requests() {
    let up = |bytes| Made::new(0, Class::Upload, "b").bytes(bytes, 0);
    let report = report(&[("gw1", &[up(0), up(4096), up(4097), up(300 * MIB), up(1).status(500)])]);
    let [size] = &report.sizes[..] else { panic!("{:?}", report.sizes) };
    assert_eq!((size.class, size.requests), ("upload", 4));
    let steps: Vec<_> = size.steps.iter().map(|step| (step.up_to_bytes, step.requests)).collect();
    let expected = [
        (Some(4096), 2),
        (Some(65536), 1),
        (Some(MIB), 0),
        (Some(16 * MIB), 0),
        (Some(256 * MIB), 0),
        (None, 1),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn lines_that_are_no_requests_are_told_apart() {
    let mut windows = windows();
    Made::new(0, Class::Head, "b").record(&mut windows);
    for reason in ["quotes", "time", "quotes"] {
        windows.reject(reason);
    }
    Made::new(200_000, Class::Head, "b").record(&mut windows);
    Made::new(1, Class::Head, "b").record(&mut windows);
    let mut builder = Builder::new(Options::default());
    windows.close_all().iter().for_each(|part| builder.add(part, &tags("gw1")));
    let lines = builder.finish().lines;
    assert_eq!((lines.read, lines.counted, lines.late, lines.expired), (6, 3, 1, 0));
    let rejected = |reason: &str, lines| Rejected { reason: reason.into(), lines };
    assert_eq!(lines.rejected, [rejected("quotes", 2), rejected("time", 1)]);
    assert!(lines.conserved);
}

#[test]
fn a_part_counts_once_and_a_late_part_of_its_window_too() {
    let mut windows = windows();
    Made::new(0, Class::Head, "b").record(&mut windows);
    Made::new(200_000, Class::Head, "b").record(&mut windows);
    Made::new(1, Class::Head, "b").record(&mut windows);
    let parts = windows.close_all();
    let mut numbers: Vec<u32> = parts.iter().map(|part| part.id.k).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 0, 0, 0, 1, 1]);
    let mut builder = Builder::new(Options::default());
    for _ in 0..2 {
        parts.iter().for_each(|part| builder.add(part, &tags("gw1")));
    }
    parts.iter().for_each(|part| builder.add(part, &tags("gw2")));
    let report = builder.finish();
    assert_eq!(report.parts, Parts { counted: 12, duplicates: 6, damaged: 0 });
    assert_eq!((report.total.requests, report.buckets.total.requests), (6, 6));
}

#[test]
fn nothing_is_a_report_too() {
    assert_eq!(
        Builder::new(Options::default()).finish(),
        Report { lines: super::Lines { conserved: true, ..super::Lines::default() }, ..Report::default() }
    );
}

#[test]
fn the_shape_of_the_json() {
    let json = serde_json::to_value(report(&[("gw1", &two_minutes())])).unwrap();
    let keys =
        |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        keys(&json),
        "buckets bytes_in_per_second bytes_out_per_second ceph classes from_ms lines nodes operations parts \
         probes requests_per_second seconds service sizes slow statuses total until_ms upstreams"
    );
    let figures = "aborted bytes_in bytes_out errors_4xx errors_5xx ok requests slow";
    assert_eq!(keys(&json["total"]), figures);
    assert_eq!(
        keys(&json["service"]),
        "aborted aborted_rate availability bytes_in bytes_out errors_4xx errors_4xx_rate errors_5xx errors_5xx_rate ok \
         requests slow success_rate"
    );
    assert_eq!(
        keys(&json["classes"][0]),
        "aborted bytes_in bytes_out class errors_4xx errors_5xx latency ok requests requests_per_second size slow"
    );
    assert_eq!(
        keys(&json["classes"][0]["latency"]),
        "count max_ms mean_ms min_ms p50_ms p90_ms p99_ms sum_ms"
    );
    assert_eq!(keys(&json["slow"]), "classes kept nodes requests share slowest");
    assert_eq!(
        keys(&json["buckets"]),
        "by_bytes_in by_bytes_out by_errors by_requests by_slow named reserved seconds total"
    );
    assert!(json["total"]["bytes_in"].is_u64() && json["classes"][0]["latency"]["p99_ms"].is_f64());
    assert!(json["classes"][4]["latency"].is_null());
}

proptest! {
    /// The order of parts, and how requests were cut into logs, do not matter.
    #[test]
    fn any_order_gives_the_same_report(
        made in prop::collection::vec((0i64..300_000, 0usize..17, 0usize..4, 0usize..6, 0u32..20_000), 1..60),
        shuffle in any::<u64>(),
    ) {
        let mut made: Vec<Made> = made
            .into_iter()
            .map(|(at, class, bucket, status, took)| {
                let bucket = ["", "a", "b", "t/c"][bucket];
                let status = [0, 200, 304, 404, 499, 503][status];
                Made::new(at, Class::ALL[class], bucket).status(status).took(took).bytes(at as u64, took.into())
            })
            .collect();
        made.sort_by_key(|made| made.at_ms);
        let (left, right) = made.split_at(made.len() / 2);
        let mut all: Vec<(&str, Part)> = parts(left).into_iter().map(|part| ("gw1", part)).collect();
        all.extend(parts(right).into_iter().map(|part| ("gw2", part)));
        let report = |parts: &[(&str, Part)]| {
            let mut builder = Builder::new(Options { top: 2, slowest: 3 });
            parts.iter().for_each(|(node, part)| builder.add(part, &tags(node)));
            builder.finish()
        };
        let in_order = report(&all);
        all.sort_by_key(|(node, part)| xxhash_rust::xxh3::xxh3_64_with_seed(format!("{node}{:?}", part.id).as_bytes(), shuffle));
        prop_assert_eq!(&report(&all), &in_order);

        let total = in_order.total;
        prop_assert_eq!(total.requests, made.len() as u64);
        prop_assert_eq!(total.requests, total.ok + total.errors_4xx + total.errors_5xx + total.aborted);
        prop_assert_eq!(in_order.buckets.total, total);
        prop_assert_eq!(in_order.operations.iter().map(|o| o.figures.bytes_in).sum::<u64>(), total.bytes_in);
        prop_assert_eq!(in_order.sizes.iter().map(|s| s.requests).sum::<u64>(), total.ok);
        prop_assert!(in_order.bytes_in_per_second.peak.is_none_or(|p| p.per_second >= in_order.bytes_in_per_second.mean * 0.999_999));
        prop_assert!(in_order.lines.conserved);
    }
}

#[test]
fn the_probe_and_the_log_are_joined_by_round_and_task() {
    use crate::{
        access_log::{Classified, Operation, ProbeMark, Protocol, Record},
        point::{Field, Point, Tags},
        stats::{Request, SlowSettings},
    };
    let (seen, unseen) = (ProbeMark::round(1_795_262_400, 1), ProbeMark::round(1_795_262_520, 2));
    let mut windows = sample::windows();
    for (round, task, took, upstream) in
        [(&seen, "put", 30, 20), (&seen, "put", 50, 40), (&seen, "sweep", 9, 9), (&seen, "delete_many", 1, 1)]
    {
        let agent = ProbeMark::user_agent(round, task, None);
        let record = Record {
            time_ms: sample::NOON,
            status: 200,
            request_time_ms: Some(took),
            upstream_response_time_ms: Some(upstream),
            user_agent: Some(agent.as_bytes()),
            ..Record::default()
        };
        let what = Classified {
            protocol: Protocol::S3,
            operation: Operation::PutObj,
            class: Class::Probe,
            tenant: b"",
            bucket: b"",
            object: b"",
        };
        let mut label = Vec::new();
        windows.record(
            &Request::new(&record, &what, &SlowSettings::default(), &mut label),
            agent.as_bytes(),
            None,
        );
    }
    let point = |round: &str, task: &str, outcome: &str, count: u64, ms: f64| Point {
        measurement: "s3_probe".into(),
        tags: Tags::new([("endpoint", "main"), ("task", task), ("outcome", outcome)]),
        fields: vec![
            ("round".into(), Field::Text(round.into())),
            ("count".into(), Field::Integer(count)),
            ("duration_ms".into(), Field::Float(ms)),
        ],
        time: sample::NOON * 1_000_000,
    };
    let mut builder = Builder::new(Options::default());
    let outside = [
        point(&seen, "put", "ok", 2, 60.0),
        point(&unseen, "put", "ok", 1, 90.0),
        point(&unseen, "put", "timeout", 1, 990.0),
        Point { measurement: "rgwlens".into(), ..point(&seen, "put", "ok", 9, 9.0) },
    ];
    outside.iter().for_each(|point| builder.add_point(point, &Tags::default()));
    windows.close_all().iter().for_each(|part| builder.add(part, &sample::tags("gw1")));
    let report = builder.finish();
    let joined = Joined { count: 2, outside_ms: 60.0, nginx_ms: 40.0, gateway_ms: Some(30.0) };
    let put = ProbeReport {
        endpoint: "main".into(),
        task: "put".into(),
        count: 4,
        failed: 1,
        outside_ms: 300.0,
        joined: Some(joined),
    };
    assert_eq!(report.probes, [put], "what only one side knows of is not joined");
    assert_eq!((report.service.figures.requests, report.total.requests), (0, 4));
}
