use super::*;
use crate::influx::Secret;

fn target(kind: Kind) -> Target {
    Target {
        name: "main".to_owned(),
        kind,
        url: "http://influx.example:8086".to_owned(),
        gzip: true,
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(30),
        ca_file: None,
        batch_points: 5_000,
        batch_bytes: 1 << 20,
        retention: None,
        required: true,
    }
}

fn influx1() -> Target {
    target(Kind::Influx1 {
        database: "rgw".to_owned(),
        retention_policy: Some("short".to_owned()),
        login: Some(("writer".to_owned(), Secret::Value("s3cret".to_owned()))),
    })
}

fn influx2() -> Target {
    target(Kind::Influx2 {
        org: "my org".to_owned(),
        bucket: "rgw".to_owned(),
        token: Some(Secret::Value("s3cret".to_owned())),
    })
}

fn victoria() -> Target {
    target(Kind::VictoriaMetrics { login: None })
}

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        retry_after: None,
        date: None,
        location: None,
        version: None,
        body: body.as_bytes().to_vec(),
        end: End::Whole,
    }
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Written => "written",
        Outcome::Retry { .. } => "retry",
        Outcome::Refused { .. } => "refused",
        Outcome::TooLarge => "too large",
        Outcome::Unclear { .. } => "unclear",
        Outcome::Rejected { .. } => "rejected",
        Outcome::Expired { .. } => "expired",
    }
}

/// Status, body, and the outcome from InfluxDB 1, InfluxDB 2 and VictoriaMetrics.
#[test]
fn every_answer_has_its_meaning() {
    const PAGE: &str = "<html><title>400 Bad Request</title></html>";
    const V1: &str = r#"{"error":"partial write: field type conflict dropped=1"}"#;
    const V2: &str = r#"{"code":"invalid","message":"unable to parse 'x': missing fields"}"#;
    const V3: &str = r#"{"error":"partial write of line protocol occurred","data":[{"original_line":"x","line_number":2,"error_message":"no fields"}]}"#;
    for (status, body, expected) in [
        (204, "", ["written"; 3]),
        (200, PAGE, ["retry"; 3]),
        (200, "", ["retry"; 3]),
        (202, "{}", ["retry"; 3]),
        (302, "", ["retry"; 3]),
        (400, V1, ["rejected"; 3]),
        (400, V2, ["rejected"; 3]),
        (400, V3, ["rejected"; 3]),
        (422, V2, ["rejected"; 3]),
        (400, PAGE, ["retry"; 3]),
        (400, "", ["retry"; 3]),
        (400, "too long line: more than 262144 bytes", ["retry", "retry", "rejected"]),
        (400, r#"{"other":1}"#, ["retry", "retry", "rejected"]),
        (400, r#"{"error":"partial write: points beyond retention policy dropped=7"}"#, ["expired"; 3]),
        (
            422,
            r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: points beyond retention policy dropped=1"}"#,
            ["expired"; 3],
        ),
        (
            400,
            r#"{"error":"unable to parse 'x points beyond retention policy': missing fields"}"#,
            ["rejected"; 3],
        ),
        (401, r#"{"error":"authorization failed"}"#, ["refused"; 3]),
        (403, "", ["refused"; 3]),
        (404, r#"{"error":"database not found: \"rgw\""}"#, ["refused"; 3]),
        (405, "", ["refused"; 3]),
        (407, PAGE, ["refused"; 3]),
        (408, "", ["retry"; 3]),
        (413, PAGE, ["too large"; 3]),
        (415, "", ["refused"; 3]),
        (425, "", ["retry"; 3]),
        (429, "", ["retry"; 3]),
        (500, r#"{"error":"timeout"}"#, ["retry"; 3]),
        (500, r#"{"error":"retention policy not found: short"}"#, ["refused"; 3]),
        (502, PAGE, ["retry"; 3]),
        (503, "", ["retry"; 3]),
        (504, PAGE, ["retry"; 3]),
        (599, "", ["retry"; 3]),
        (999, "", ["retry"; 3]),
    ] {
        let got = [influx1(), influx2(), victoria()]
            .map(|target| name(&answer(status, body).meaning(&target, SystemTime::UNIX_EPOCH)));
        assert_eq!(got, expected, "{status} {body}");
    }
}

fn refusal(target: &Target, status: u16, body: &str) -> (String, String) {
    match answer(status, body).meaning(target, SystemTime::UNIX_EPOCH) {
        Outcome::Refused { why, mend } => (why, mend),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refusal_names_the_command_that_mends_it() {
    for (target, status, body, expected) in [
        (
            influx1(),
            404,
            r#"{"error":"database not found: \"rgw\""}"#,
            r#"`influx -host influx.example -execute 'CREATE DATABASE "rgw"'`"#,
        ),
        (
            influx1(),
            500,
            r#"{"error":"retention policy not found: short"}"#,
            r#"-execute 'CREATE RETENTION POLICY "short" ON "rgw" DURATION"#,
        ),
        (influx1(), 403, "{}", r#"-execute 'GRANT ALL ON "rgw" TO "writer"'"#),
        (influx1(), 401, "{}", "`influx -host influx.example -username writer -password ''`"),
        (influx1(), 404, "404 page not found\n", "base URL"),
        (
            influx2(),
            404,
            r#"{"code":"not found","message":"bucket \"rgw\" not found"}"#,
            "`influx bucket create --host http://influx.example:8086 --org 'my org' --name rgw`",
        ),
        (
            influx2(),
            404,
            r#"{"code":"not found","message":"organization name \"my org\" not found"}"#,
            "`influx org create --host http://influx.example:8086 --name 'my org'`",
        ),
        (influx2(), 404, "404 page not found\n", "before 1.8: change its kind to InfluxDB 1"),
        (victoria(), 401, "", "wants a user and a password"),
    ] {
        let (why, mend) = refusal(&target, status, body);
        assert!(mend.contains(expected), "{mend}");
        assert!(why.contains(&format!("http://influx.example:8086 answered {status}")), "{why}");
        assert!(!why.contains("s3cret") && !mend.contains("s3cret"));
    }
}

#[test]
fn retry_after_is_bounded_and_never_fatal() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (text, server, seconds) in [
        ("7", None, 7),
        (" 7 ", None, 7),
        ("0", None, 0),
        ("1000000000", None, 900),
        ("99999999999999999999999999", None, 900),
        ("soon", None, 10),
        ("-5", None, 10),
        ("1.5", None, 10),
        ("", None, 10),
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(date), 60),
        ("Sun, 06 Nov 1994 08:49:07 GMT", Some(date), 0),
        ("Sat, 06 Nov 1999 08:49:37 GMT", Some(date), 900),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None, 30),
    ] {
        let mut answer = answer(503, "");
        answer.retry_after = Some(text.to_owned());
        answer.date = server.map(str::to_owned);
        let now = http_date(date).expect("a date") - Duration::from_secs(30);
        match answer.meaning(&influx1(), now) {
            Outcome::Retry { after, .. } => assert_eq!(after, Some(Duration::from_secs(seconds)), "{text:?}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_a_server_says_is_quoted_on_one_bounded_line() {
    let long = format!("a\r\n\x1b[31m{}", "x".repeat(5_000));
    let quoted = quotable(&long);
    assert!(!quoted.chars().any(char::is_control));
    assert_eq!(quoted.chars().count(), MAX_QUOTE + 1);
    let mut answer = answer(302, "");
    answer.location = Some("https://login.example/?token=s3cret".to_owned());
    let why = answer.why(&influx1());
    assert!(why.contains("https://login.example/") && !why.contains("s3cret"), "{why}");
}

#[test]
fn the_reason_of_influxdb_3_stands_with_the_line() {
    let body = r#"{"error":"partial write of line protocol occurred","data":[{"original_line":"x","line_number":2,"error_message":"no fields"}]}"#;
    assert_eq!(answer(400, body).error(), "partial write of line protocol occurred: no fields");
    assert_eq!(answer(400, r#"{"error":"e","data":{"x":1}}"#).error(), "e");
}
