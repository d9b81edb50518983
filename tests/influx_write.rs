//! Writing to real servers: InfluxDB 1.6 and VictoriaMetrics, as Debian has them.
#![cfg(feature = "cli")]

mod support;

use rgwlens::{
    influx::{
        Client, Kind, Outcome, Secret, Target,
        check::check,
        history::{Found, History, HistoryError, LINE_MEASUREMENTS, Range},
        line_protocol::Encoder,
        sender::{NotNowKind, Report, Sender},
    },
    point::{PointWriter, Tags},
};
use std::{collections::BTreeMap, time::SystemTime};
use support::influx::{InfluxDb, Overrides, VictoriaMetrics};

/// A time that falls into no retention policy's past: today, at a full ten seconds.
fn today_ms() -> i64 {
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    now - now.rem_euclid(10_000) - 600_000
}

fn encoder(target: &Target) -> Encoder {
    let mut encoder = Encoder::new(target.dialect());
    encoder.set_tags(&Tags::new([("cluster", "ceph"), ("node", "gw=1, \"a\\"), ("log", "access")]));
    encoder
}

fn range(from_ms: i64, to_ms: i64) -> Range {
    Range {
        cluster: "ceph".to_owned(),
        node: "gw=1, \"a\\".to_owned(),
        log: "access".to_owned(),
        from_ms,
        to_ms,
    }
}

/// `lines` of `rgw_log`, and one point of `rgw_node`, at each of these times.
fn windows(target: &Target, windows: &[(i64, u64)]) -> Vec<u8> {
    let mut encoder = encoder(target);
    for &(time_ms, lines) in windows {
        encoder.begin("rgw_log");
        encoder.integer("lines", lines);
        encoder.end(time_ms * 1_000_000);
        encoder.begin("rgw_node");
        encoder.tag("class", "upload");
        encoder.integer("requests", lines);
        encoder.float("latency_p99_ms", 12.0);
        encoder.text("histogram", "a\"b\\c\nd");
        encoder.end(time_ms * 1_000_000);
    }
    encoder.take()
}

fn client(target: &Target) -> Client {
    Client::new(target.clone()).expect("a client")
}

async fn send(target: &Target, lines: &[u8]) -> Report {
    Sender::new(client(target)).send(lines).await.expect("the server is able")
}

fn written(lines: u64) -> Report {
    Report { written: lines, ..Report::default() }
}

fn refusal(outcome: Outcome) -> (String, String) {
    match outcome {
        Outcome::Refused { why, mend } => (why, mend),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_written_twice_is_there_once_and_as_it_was_meant() {
    let influx = InfluxDb::shared();
    let target = influx.database("twice");
    let start = today_ms();
    let lines = windows(&target, &[(start, 5), (start + 1, 2)]);
    for gzip in [true, false] {
        assert_eq!(send(&Target { gzip, ..target.clone() }, &lines).await, written(4));
        let rows = influx.rows("twice", "SELECT node, requests, latency_p99_ms, histogram FROM rgw_node");
        assert_eq!(
            rows,
            [
                serde_json::json!([start, "gw=1, \"a%5C", 5, 12, "a\"b\\c d"]),
                serde_json::json!([start + 1, "gw=1, \"a%5C", 2, 12, "a\"b\\c d"]),
            ]
        );
    }
    let types = influx.rows("twice", "SHOW FIELD KEYS FROM rgw_node");
    let expected = [("histogram", "string"), ("latency_p99_ms", "float"), ("requests", "integer")];
    assert_eq!(types, expected.map(|(name, kind)| serde_json::json!([name, kind])));
}

#[tokio::test]
async fn refusals_leave_the_points_and_name_the_command() {
    let influx = InfluxDb::shared();
    let target = influx.database("refusals");
    let lines = windows(&target, &[(today_ms(), 1)]);
    let with = |database: &str, retention_policy: Option<&str>, user: &str, password: &str| Target {
        kind: Kind::Influx1 {
            database: database.to_owned(),
            retention_policy: retention_policy.map(str::to_owned),
            login: Some((user.to_owned(), Secret::Value(password.to_owned()))),
        },
        ..target.clone()
    };
    let (user, password) = (influx.user.as_str(), influx.password.as_str());
    influx.query("", "CREATE USER reader WITH PASSWORD 'reader'; GRANT READ ON refusals TO reader");
    for (target, status, mend) in [
        (with("refusals", None, user, "wrong"), "401", "correct user or password"),
        (with("refusals", None, "reader", "reader"), "403", "GRANT ALL ON \"refusals\" TO \"reader\""),
        (with("absent", None, user, password), "404", "-execute 'CREATE DATABASE \"absent\"'"),
        (
            with("refusals", Some("absent"), user, password),
            "500",
            "CREATE RETENTION POLICY \"absent\" ON \"refusals\"",
        ),
        (
            Target {
                kind: Kind::Influx2 { org: "o".to_owned(), bucket: "b".to_owned(), token: None },
                ..target.clone()
            },
            "404",
            "before 1.8: change its kind to InfluxDB 1",
        ),
    ] {
        let client = client(&target);
        let (why, named) = refusal(client.write(&lines).await);
        assert!(why.contains(&format!("answered {status}")), "{why}");
        assert!(named.contains(mend), "{named}");
        assert!(!format!("{why}{named}{client:?}").contains("wrong"), "the password shows");
        let not_now = Sender::new(client).send(&lines).await.expect_err("still refused");
        assert_eq!((not_now.kind, not_now.mend), (NotNowKind::Refused, Some(named)));
    }
    assert_eq!(influx.rows("refusals", "SELECT * FROM rgw_node"), Vec::<serde_json::Value>::new());
    // The command that was named does mend it.
    influx.query("", "CREATE DATABASE absent");
    assert_eq!(send(&with("absent", None, user, password), &lines).await, written(2));
}

#[tokio::test]
async fn a_rotated_password_is_read_anew() {
    let influx = InfluxDb::shared();
    let target = influx.database("rotated");
    influx.query("", "CREATE USER rotating WITH PASSWORD 'first'; GRANT ALL ON rotated TO rotating");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("password");
    std::fs::write(&file, "first\n").expect("write");
    let client = client(&Target {
        kind: Kind::Influx1 {
            database: "rotated".to_owned(),
            retention_policy: None,
            login: Some(("rotating".to_owned(), Secret::File(file.clone()))),
        },
        ..target
    });
    let lines = b"m x=1i 1\n";
    assert_eq!(client.write(lines).await, Outcome::Written);
    influx.query("", "SET PASSWORD FOR rotating = 'second'");
    refusal(client.write(lines).await);
    std::fs::write(&file, "second\n").expect("write");
    assert_eq!(client.write(lines).await, Outcome::Written);
    influx.query("", "SET PASSWORD FOR rotating = 'third'");
    std::fs::remove_file(&file).expect("remove");
    let (why, _) = refusal(client.write(lines).await);
    assert!(why.contains("cannot read the secret"), "{why}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_split_until_it_fits() {
    let influx = InfluxDb::start_with(Overrides { max_body_size: Some(2_000), ..Overrides::default() });
    let target = Target { gzip: false, ..influx.database("large") };
    let start = today_ms();
    let mut all: Vec<_> = (0..500).map(|n| (start + n, n as u64)).collect();
    let lines = windows(&target, &all);
    assert_eq!(send(&target, &lines).await, written(1000));
    assert_eq!(influx.rows("large", "SELECT count(requests) FROM rgw_node")[0][1], 500);
    // Also far beyond what fits into the buffers of a connection, which the server closes without reading on.
    all = (0..40_000).map(|n| (start + n, n as u64)).collect();
    let lines = windows(&target, &all);
    let outcome = client(&target).write(&lines).await;
    assert_eq!(outcome, Outcome::TooLarge, "{} bytes", lines.len());
    // A line that does not fit alone is named, not sent for ever.
    let mut long = encoder(&target);
    long.begin("rgw_event");
    long.text("uri", &"x".repeat(3_000));
    long.end(start * 1_000_000);
    let report = send(&target, long.lines()).await;
    assert_eq!((report.written, report.rejected.len()), (0, 1));
    assert!(report.rejected[0].reason.contains("not even alone"));
}

#[tokio::test]
async fn exactly_the_bad_lines_are_set_aside() {
    let influx = InfluxDb::shared();
    let target = influx.database("bad");
    let now = today_ms() * 1_000_000;
    assert_eq!(send(&target, format!("m,k=first v=1i {now}\n").as_bytes()).await, written(1));
    let mut lines = Vec::new();
    let mut bad = Vec::new();
    for n in 0..200 {
        let line = match n {
            // of another type than the field has
            17 | 150 => format!("m,k=a{n} v=1.5 {now}"),
            // cannot be parsed: the server says `dropped=0`
            63 | 64 => format!("m,k=a{n} v= {now}"),
            n => format!("m,k=a{n} v={n}i {now}"),
        };
        if matches!(n, 17 | 150 | 63 | 64) {
            bad.push(line.clone().into_bytes());
        }
        lines.extend_from_slice(line.as_bytes());
        lines.push(b'\n');
    }
    let report = send(&target, &lines).await;
    let set_aside: Vec<_> = report.rejected.iter().map(|line| line.line.clone()).collect();
    assert_eq!((set_aside, report.written, report.expired), (bad, 196, 0));
    assert!(report.rejected[0].reason.contains("field type conflict"), "{:?}", report.rejected[0].reason);
    assert!(report.rejected[1].reason.contains("missing field value"), "{:?}", report.rejected[1].reason);
    assert_eq!(influx.rows("bad", "SELECT count(v) FROM m")[0][1], 197);
}

#[tokio::test]
async fn a_tag_limit_takes_only_the_new_series() {
    let influx = InfluxDb::start_with(Overrides { max_values_per_tag: Some(5), ..Overrides::default() });
    let target = influx.database("tags");
    let now = today_ms() * 1_000_000;
    let lines = |buckets: std::ops::Range<u32>| {
        buckets.map(|n| format!("rgw_bucket,bucket=b{n} requests={n}i {now}\n")).collect::<String>()
    };
    // The limit counts what is there before a request.
    assert_eq!(send(&target, lines(0..5).as_bytes()).await, written(5));
    let report = send(&target, lines(0..12).as_bytes()).await;
    assert_eq!((report.written, report.rejected.len()), (5, 7));
    assert!(report.rejected[0].reason.contains("max-values-per-tag"), "{:?}", report.rejected[0].reason);
}

#[tokio::test]
async fn what_the_database_no_longer_keeps_is_counted_expired() {
    let influx = InfluxDb::shared();
    let target = influx.database("expired");
    influx.query("", "CREATE RETENTION POLICY day ON expired DURATION 1d REPLICATION 1 DEFAULT");
    let start = today_ms();
    let old = 1_000_000_000_000;
    let of = |times: &[i64]| windows(&target, &times.iter().map(|&time| (time, 1)).collect::<Vec<_>>());
    assert_eq!(send(&target, &of(&[old, old + 10_000])).await, Report { expired: 4, ..Report::default() });
    let mixed = of(&[old, old + 10_000, old + 20_000, start, start + 10_000]);
    let expected = Report { written: 4, expired: 6, ..Report::default() };
    assert_eq!(send(&target, &mixed).await, expected);
    // A line that is wrong as well does not hide behind the others.
    let mut wrong = mixed.clone();
    wrong.extend_from_slice(b"rgw_node requests= 5\n");
    let report = send(&target, &wrong).await;
    assert_eq!((report.written, report.expired, report.rejected.len()), (4, 6, 1));
    assert_eq!(influx.rows("expired", "SELECT count(lines) FROM rgw_log")[0][1], 2);
}

#[tokio::test]
async fn history_of_influxdb_1() {
    let influx = InfluxDb::shared();
    let target = influx.database("history");
    let client = client(&target);
    let history = History::new(&client);
    let start = today_ms();
    let all = range(start, start + 60_000);
    assert_eq!(history.has_points(&all).await.expect("an answer"), None);
    assert_eq!(history.lines_by_window(&all, 10_000).await.expect("an answer"), BTreeMap::new());

    let lines = windows(&target, &[(start, 5), (start + 7, 2), (start + 10_000, 1), (start + 59_999, 3)]);
    assert_eq!(send(&target, &lines).await, written(8));
    let found = history.has_points(&all).await.expect("an answer").expect("points");
    assert_eq!(found.time_ms, start);
    assert!(LINE_MEASUREMENTS.contains(&found.name.as_str()));
    let counted = history.lines_by_window(&all, 10_000).await.expect("an answer");
    assert_eq!(counted, BTreeMap::from([(start, 7), (start + 10_000, 1), (start + 50_000, 3)]));
    for other in [
        range(start + 60_000, start + 70_000),
        range(start + 8, start + 10_000),
        Range { node: "other".to_owned(), ..all.clone() },
        Range { log: "' OR log =~ /.*/ OR log = '".to_owned(), ..all.clone() },
    ] {
        assert_eq!(history.has_points(&other).await.expect("an answer"), None, "{other:?}");
        history.delete(&other, &LINE_MEASUREMENTS).await.expect("nothing to delete");
    }
    assert_eq!(influx.rows("history", "SELECT count(lines) FROM rgw_log")[0][1], 4);

    // The other policy holds one of them too: InfluxDB would take it away as well.
    influx.query("", "CREATE RETENTION POLICY \"long one\" ON history DURATION 52w REPLICATION 1");
    let second = with_policy(&target, "long one");
    assert_eq!(send(&second, &windows(&target, &[(start + 10_000, 1)])).await, written(2));
    match history.delete(&all, &LINE_MEASUREMENTS).await {
        Err(HistoryError::OtherPolicy { policy, database, .. }) => {
            assert_eq!((policy.as_str(), database.as_str()), ("long one", "history"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(influx.rows("history", "SELECT count(lines) FROM rgw_log")[0][1], 4, "nothing was deleted");

    // Seen from the other policy, the default is the other one.
    let second_client = Client::new(second).expect("a client");
    let second_history = History::new(&second_client);
    let found = second_history.has_points(&all).await.expect("an answer").expect("points");
    assert_eq!(found.time_ms, start + 10_000);
    match second_history.delete(&all, &["rgw_log"]).await {
        Err(HistoryError::OtherPolicy { policy, .. }) => assert_eq!(policy, "autogen"),
        other => panic!("{other:?}"),
    }

    // Where the other policy has nothing in the range, the rest of the range goes and no more.
    let head = range(start, start + 10_000);
    history.delete(&head, &LINE_MEASUREMENTS).await.expect("deleted");
    let left = history.lines_by_window(&all, 10_000).await.expect("an answer");
    assert_eq!(left, BTreeMap::from([(start + 10_000, 1), (start + 50_000, 3)]));
    assert_eq!(influx.rows("history", "SELECT count(requests) FROM rgw_node")[0][1], 2);
}

fn with_policy(target: &Target, policy: &str) -> Target {
    match target.kind.clone() {
        Kind::Influx1 { database, login, .. } => Target {
            kind: Kind::Influx1 { database, retention_policy: Some(policy.to_owned()), login },
            ..target.clone()
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn history_names_what_is_missing() {
    let influx = InfluxDb::shared();
    let client = client(&influx.target("not there"));
    let refused = History::new(&client).has_points(&range(0, 10)).await;
    match refused {
        Err(HistoryError::Refused { mend, .. }) => {
            assert!(mend.contains("CREATE DATABASE \"not there\""), "{mend}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn check_finds_what_is_wrong_with_influxdb() {
    let influx = InfluxDb::shared();
    let target = influx.database("checked");
    let results = |target: Target| async move {
        let client = client(&target);
        check(&client)
            .await
            .into_iter()
            .map(|finding| (finding.what, finding.result))
            .collect::<BTreeMap<_, _>>()
    };
    let good = results(target.clone()).await;
    assert!(good["reachable"].as_ref().is_ok_and(|text| text.contains("InfluxDB 1.6")), "{good:?}");
    assert!(good["writable"].is_ok(), "{good:?}");
    assert_eq!(good.len(), 2);

    assert!(results(with_policy(&target, "autogen")).await["writable"].is_ok());
    let absent = results(with_policy(&target, "absent")).await;
    let problem = absent["writable"].as_ref().expect_err("no such policy");
    assert!(problem.mend.contains("CREATE RETENTION POLICY \"absent\""), "{problem}");

    let absent = results(influx.target("unmade")).await;
    let problem = absent["writable"].as_ref().expect_err("no database");
    assert!(problem.mend.contains("CREATE DATABASE \"unmade\""), "{problem}");

    // Port 1 is reserved, and nobody's.
    let away = results(Target { url: "http://127.0.0.1:1".to_owned(), ..target }).await;
    assert_eq!(away.len(), 1);
    assert!(
        away["reachable"].as_ref().is_err_and(|problem| problem.why.contains("cannot connect")),
        "{away:?}"
    );
}

#[tokio::test]
async fn victoria_metrics_has_what_was_written_once() {
    let victoria = VictoriaMetrics::start();
    let target = victoria.target();
    let start = today_ms();
    let all = range(start, start + 60_000);
    let client = client(&target);
    let history = History::new(&client);
    assert_eq!(history.has_points(&all).await.expect("an answer"), None);
    let lines = windows(&target, &[(start, 5), (start + 1, 2), (start + 20_000, 9)]);
    for _ in 0..2 {
        assert_eq!(send(&target, &lines).await, written(6));
    }
    let exported = victoria.export("{__name__=~\"rgw_.*\"}");
    let mut names: Vec<_> = exported.iter().map(|series| series["metric"]["__name__"].as_str()).collect();
    names.sort_unstable();
    let expected = ["rgw_log_lines", "rgw_node_latency_p99_ms", "rgw_node_requests"];
    assert_eq!(names, expected.map(Some), "no text becomes a series");
    for series in &exported {
        assert_eq!(series["timestamps"], serde_json::json!([start, start + 1, start + 20_000]));
        assert_eq!(series["metric"]["node"], "gw=1, \"a%5C");
    }

    let found: Found = history.has_points(&all).await.expect("an answer").expect("points");
    assert!(found.name.starts_with("rgw_") && found.time_ms == start, "{found:?}");
    let counted = history.lines_by_window(&all, 10_000).await.expect("an answer");
    assert_eq!(counted, BTreeMap::from([(start, 7), (start + 20_000, 9)]));
    for other in [range(start + 2, start + 20_000), Range { node: "\"} or {a=\"".to_owned(), ..all.clone() }]
    {
        assert_eq!(history.has_points(&other).await.expect("an answer"), None, "{other:?}");
    }
    match history.delete(&all, &LINE_MEASUREMENTS).await {
        Err(HistoryError::Impossible(why)) => assert!(why.contains("cannot delete a range"), "{why}"),
        other => panic!("{other:?}"),
    }
    let findings = check(&client).await;
    assert!(findings.len() == 3 && findings.iter().all(|finding| finding.result.is_ok()), "{findings:?}");
}

#[tokio::test]
async fn check_wants_victoria_metrics_to_drop_duplicates() {
    let victoria = VictoriaMetrics::start_with(&[]);
    let findings = check(&client(&victoria.target())).await;
    let problems: Vec<_> = findings.iter().filter_map(|finding| finding.result.as_ref().err()).collect();
    assert!(
        matches!(problems[..], [problem] if problem.mend.contains("-dedup.minScrapeInterval=1ms")),
        "{findings:?}"
    );
}
