//! Faults that no real server shows on request: a server that answers whatever a test wants, or not at all.
#![cfg(feature = "cli")]

mod support;

use rgwlens::influx::{
    Client, Kind, Outcome, Secret, Target,
    history::{Found, History, HistoryError, Other, Range, Writer},
    sender::{NotNowKind, Sender},
};
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use support::influx::target;

/// What the fake does with one request.
#[derive(Clone)]
enum Act {
    /// Answers with these bytes, and closes.
    Say(String),
    /// Says this much, and then nothing more, but leaves the connection open.
    Stall(String),
    /// Closes after this many bytes of the body.
    Cut(usize),
}

use Act::{Cut, Say, Stall};

/// A status with headers and a body.
fn say(status: u16, headers: &str, body: &str) -> Act {
    let length = body.len();
    Say(format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    ))
}

/// A request as it came.
#[derive(Clone, Debug)]
struct Received {
    /// `POST /path?query HTTP/1.1`
    first_line: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// Takes one request a connection, and does with each in turn what it was told; with all further ones the last.
struct Fake {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        let acts: Vec<_> = acts.into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let received = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (received, stop) = (Arc::clone(&received), Arc::clone(&stop));
            move || {
                let mut stalled = Vec::new();
                for (n, stream) in listener.incoming().enumerate() {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let act = acts[n.min(acts.len() - 1)].clone();
                    // A client that gives up is part of the tests.
                    if let Ok(Some(stream)) = stream.and_then(|stream| serve(stream, &act, &received)) {
                        stalled.push(stream);
                    }
                }
            }
        });
        Self { url, received, stop, thread: Some(thread) }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no panic").clone()
    }

    fn target(&self) -> Target {
        let login = Some(("writer".to_owned(), Secret::Value("s3cret-pw".to_owned())));
        let kind = Kind::Influx1 { database: "rgw".to_owned(), retention_policy: None, login };
        target(&self.url, kind)
    }

    fn influx2(&self) -> Target {
        let token = Some(Secret::Value("t0ken-of-influx".to_owned()));
        let kind = Kind::Influx2 { org: "an org".to_owned(), bucket: "rgw".to_owned(), token };
        target(&self.url, kind)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, act: &Act, log: &Mutex<Vec<Received>>) -> std::io::Result<Option<TcpStream>> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).map(|_| line.trim_end().to_owned())
    };
    let first_line = line()?;
    let mut headers = BTreeMap::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let wanted = if let Cut(most) = act { length.min(*most) } else { length };
    let mut body = vec![0; wanted];
    reader.read_exact(&mut body)?;
    log.lock().expect("no panic").push(Received { first_line, headers, body });
    let mut stream = stream;
    match act {
        Say(answer) => {
            stream.write_all(answer.as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            Ok(None)
        }
        Stall(answer) => {
            stream.write_all(answer.as_bytes())?;
            Ok(Some(stream))
        }
        Cut(_) => Ok(None),
    }
}

fn client(target: Target) -> Client {
    Client::new(target).expect("a client")
}

const LINES: &[u8] = b"m x=1i 1\nm x=2i 2\n";

#[tokio::test]
async fn every_disturbance_is_tried_again() {
    let page = "<html>Sign in</html>";
    for (act, expected_after, expected_why) in [
        (say(503, "Retry-After: 7\r\n", ""), Some(7), "answered 503"),
        (say(503, "Retry-After: soon\r\n", ""), Some(10), "answered 503"),
        (say(429, "Retry-After: 1000000000\r\n", ""), Some(900), "answered 429"),
        (
            say(
                429,
                "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n",
                "",
            ),
            Some(30),
            "answered 429",
        ),
        (
            say(500, "", r#"{"error":"engine: cache-max-memory-size exceeded"}"#),
            None,
            "cache-max-memory-size",
        ),
        (say(502, "", page), None, "a web page"),
        (say(200, "", page), None, "is it a proxy's page?"),
        (
            say(302, "Location: http://127.0.0.1:1/login?token=abc\r\n", ""),
            None,
            "redirect to http://127.0.0.1:1/login,",
        ),
        (say(307, "Location: http://127.0.0.1:1/write\r\n", ""), None, "not followed"),
        (say(400, "", page), None, "a web page"),
        (Cut(0), None, "request broke off"),
        (Cut(10), None, "request broke off"),
        (Say("SSH-2.0-OpenSSH_9.2\r\n".to_owned()), None, "request broke off"),
        (Say(String::new()), None, "request broke off"),
        (Stall(String::new()), None, "no answer from"),
        (Stall("HTTP/1.1 400 X\r\nContent-Length: 100\r\n\r\n{\"error\":".to_owned()), None, "broke off"),
        (
            Stall("HTTP/1.1 503 X\r\nRetry-After: 3\r\nContent-Length: 100\r\n\r\n".to_owned()),
            Some(3),
            "answered 503",
        ),
    ] {
        // Patience only where there is something to come.
        let timeout = Duration::from_millis(if matches!(act, Stall(_)) { 200 } else { 60_000 });
        let fake = Fake::new([act]);
        let client = client(Target { timeout, ..fake.target() });
        match client.write(LINES).await {
            Outcome::Retry { after, why } => {
                assert_eq!(after, expected_after.map(Duration::from_secs), "{why}");
                assert!(why.contains(expected_why), "{why}, not {expected_why}");
                assert!(!why.contains("s3cret") && !why.contains("token=abc"), "{why}");
            }
            other => panic!("{other:?}, not {expected_why}"),
        }
        assert_eq!(fake.received().len(), 1, "{expected_why}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again() {
    // Port 1 is reserved, and nobody's.
    for url in ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://name.invalid"] {
        let client = client(Target { url: url.to_owned(), ..Fake::new([Cut(0)]).target() });
        match client.write(LINES).await {
            Outcome::Retry { after: None, why } => assert!(why.contains("cannot connect"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn tls_is_never_given_up_for_plain_text() {
    let fake = Fake::new([say(204, "", "")]);
    let target = Target { url: fake.url.replace("http:", "https:"), ..fake.target() };
    let outcome = client(target).write(LINES).await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    assert!(
        fake.received().iter().all(|request| !request.first_line.starts_with("POST")),
        "it spoke plain text"
    );
}

#[tokio::test]
async fn an_answer_is_not_read_without_end() {
    let endless = format!("{{\"error\":\"{}\"}}", "x".repeat(2 << 20));
    let fake = Fake::new([say(400, "", &endless), say(503, "", &endless)]);
    let client = client(fake.target());
    for _ in 0..2 {
        match client.write(LINES).await {
            Outcome::Unclear { why } | Outcome::Retry { why, .. } => {
                assert!(why.len() < 1_000, "{} bytes", why.len());
            }
            other => panic!("{other:?}"),
        }
    }
}

/// InfluxDB quotes each line that it cannot parse: for a batch of them that is more than anybody reads.
#[tokio::test]
async fn s5_a_400_that_is_too_long_is_asked_for_fewer_points() {
    let long = format!("{{\"error\":\"{}\"}}", "unable to parse ".repeat(100_000));
    let fake =
        Fake::new([say(400, "", &long), say(204, "", ""), say(400, "", "{\"error\":\"type conflict\"}")]);
    let mut sender = Sender::new(client(fake.target()));
    let report = sender.send(b"a x=1i 1\nb x=1i 1\n").await.expect("it is dealt with");
    assert_eq!((report.written, report.rejected.len()), (1, 1));
    assert_eq!(report.rejected[0].reason, "type conflict");
}

#[tokio::test]
async fn gzip_is_given_up_once_it_is_not_understood() {
    let fake = Fake::new([say(415, "", ""), say(204, "", "")]);
    let client = client(fake.target());
    assert_eq!(client.write(LINES).await, Outcome::Written);
    assert_eq!(client.write(LINES).await, Outcome::Written);
    let received = fake.received();
    let encodings: Vec<_> = received.iter().map(|request| request.headers.get("content-encoding")).collect();
    assert_eq!(encodings, [Some(&"gzip".to_owned()), None, None]);
    assert_eq!((received[1].body.as_slice(), received[2].body.as_slice()), (LINES, LINES));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&received[0].body[..]).read_to_end(&mut unpacked).expect("gzip");
    assert_eq!(unpacked, LINES);

    let fake = Fake::new([say(415, "", "")]);
    let outcome = self::client(fake.target()).write(LINES).await;
    assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
    assert_eq!(fake.received().len(), 2);
}

#[tokio::test]
async fn requests_are_what_the_server_expects() {
    let fake = Fake::new([say(204, "", "")]);
    let with = |kind: Kind, base: &str| Target { url: format!("{}{base}", fake.url), kind, ..fake.target() };
    let login = || Some(("writer".to_owned(), Secret::Value("s3cret-pw".to_owned())));
    let influx2 = |token: Option<&str>| Kind::Influx2 {
        org: "an org".to_owned(),
        bucket: "rgw/all".to_owned(),
        token: token.map(|token| Secret::Value(token.to_owned())),
    };
    let basic = "Basic d3JpdGVyOnMzY3JldC1wdw==";
    for (target, line, authorization) in [
        (
            with(
                Kind::Influx1 {
                    database: "r&b".to_owned(),
                    retention_policy: Some("a b".to_owned()),
                    login: login(),
                },
                "",
            ),
            "POST /write?precision=ns&db=r%26b&rp=a+b HTTP/1.1",
            Some(basic),
        ),
        (
            with(influx2(Some("t0ken")), "/influx/sub/"),
            "POST /influx/sub/api/v2/write?precision=ns&org=an+org&bucket=rgw%2Fall HTTP/1.1",
            Some("Token t0ken"),
        ),
        (
            with(influx2(None), "/influx"),
            "POST /influx/api/v2/write?precision=ns&org=an+org&bucket=rgw%2Fall HTTP/1.1",
            None,
        ),
        (
            with(Kind::VictoriaMetrics { login: login() }, ""),
            "POST /api/v2/write?precision=ms HTTP/1.1",
            Some(basic),
        ),
    ] {
        assert_eq!(client(target).write(LINES).await, Outcome::Written);
        let received = fake.received().pop().expect("a request");
        assert_eq!(received.first_line, line);
        assert_eq!(received.headers.get("authorization").map(String::as_str), authorization);
    }
}

#[tokio::test]
async fn secrets_stay_inside() {
    let body = r#"{"error":"no user with password s3cret-pw, or d3JpdGVyOnMzY3JldC1wdw=="}"#;
    let fake = Fake::new([say(401, "", body)]);
    let client = client(fake.target());
    match client.write(LINES).await {
        Outcome::Refused { why, mend } => {
            for text in [why, mend, format!("{client:?}")] {
                assert!(!text.contains("s3cret-pw") && !text.contains("d3JpdGVy"), "{text}");
            }
        }
        other => panic!("{other:?}"),
    }
    for secret in ["two\nlines", "snow\0man"] {
        let token = Some(Secret::Value(secret.to_owned()));
        let kind = Kind::Influx2 { org: String::new(), bucket: String::new(), token };
        match self::client(Target { kind, ..fake.target() }).write(LINES).await {
            Outcome::Refused { why, .. } => {
                assert!(why.contains("cannot be sent") && !why.contains("man"), "{why}")
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_of_authorities_that_is_none_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("ca.pem");
    let target = |ca_file| Target { ca_file: Some(ca_file), ..Fake::new([Cut(0)]).target() };
    let error = Client::new(target(file.clone())).expect_err("not there").to_string();
    assert!(error.contains("ca.pem") && error.contains("`test`"), "{error}");
    std::fs::write(&file, "no PEM\n").expect("write");
    let error = Client::new(target(file)).expect_err("nothing in it").to_string();
    assert!(error.contains("no certificate"), "{error}");
}

#[tokio::test]
async fn the_sender_stops_at_the_first_disturbance() {
    let fake = Fake::new([say(204, "", ""), say(503, "Retry-After: 7\r\n", ""), say(204, "", "")]);
    let mut sender = Sender::new(client(Target { batch_points: 1, ..fake.target() }));
    let not_now = sender.send(LINES).await.expect_err("503");
    assert_eq!((not_now.kind, not_now.after), (NotNowKind::Retry, Some(Duration::from_secs(7))));
    assert_eq!(sender.send(LINES).await.expect("able").written, 2);
    assert_eq!(fake.received().len(), 4, "the batch was sent again, whole");
}

fn range() -> Range {
    Range {
        cluster: "ceph".to_owned(),
        node: "a\"${b}".to_owned(),
        log: "access".to_owned(),
        from_ms: 1_700_000_000_000,
        to_ms: 1_700_000_060_000,
    }
}

/// Against answers in the form of InfluxDB 2's reference; Debian has no InfluxDB 2 to ask.
#[tokio::test]
async fn history_of_influxdb_2() {
    let csv = |rows: &str| say(200, "Content-Type: text/csv\r\n", &rows.replace('\n', "\r\n"));
    let fake = Fake::new([
        csv(",result,table,_time,_measurement\n,_result,0,2023-11-14T22:13:20.001Z,rgw_node\n\n"),
        csv("\n"),
        csv(
            ",result,table,_time,_value\n,_result,0,2023-11-14T22:13:20Z,5\n,_result,1,2023-11-14T22:13:20Z,2\n,_result,0,2023-11-14T22:13:30Z,1\n\n",
        ),
        csv("error,reference\nfailed to initialize,897\n"),
        say(204, "", ""),
        say(204, "", ""),
        say(404, "", "404 page not found"),
    ]);
    let client = client(fake.influx2());
    let history = History::new(&client);
    let found = Found { name: "rgw_node".to_owned(), time_ms: 1_700_000_000_001 };
    assert_eq!(history.has_points(&range()).await.expect("an answer"), Some(found));
    assert_eq!(history.has_points(&range()).await.expect("an answer"), None);
    let lines = history.lines_by_window(&range(), 10_000).await.expect("an answer");
    assert_eq!(lines, BTreeMap::from([(1_700_000_000_000, 7), (1_700_000_010_000, 1)]));
    let error = history.has_points(&range()).await.expect_err("an error in the table");
    assert!(
        matches!(&error, HistoryError::Unexpected(why) if why.contains("failed to initialize")),
        "{error:?}"
    );
    history.delete(&range(), &["rgw_node", "rgw_log"]).await.expect("deleted");
    let error = history.delete(&range(), &["rgw_node"]).await.expect_err("not there");
    assert!(matches!(error, HistoryError::Refused { .. }), "{error:?}");

    let received = fake.received();
    assert_eq!(received[0].first_line, "POST /api/v2/query?org=an+org HTTP/1.1");
    assert_eq!(received[0].headers["authorization"], "Token t0ken-of-influx");
    let flux = String::from_utf8_lossy(&received[0].body).into_owned();
    for part in [
        r#"from(bucket: "rgw")"#,
        "start: 2023-11-14T22:13:20.000000000Z, stop: 2023-11-14T22:14:20.000000000Z",
        r#"r.node == "a\"\${b}""#,
        r#"r._measurement == "rgw_event""#,
    ] {
        assert!(flux.contains(part), "{part} in\n{flux}");
    }
    assert_eq!(received[4].first_line, "POST /api/v2/delete?org=an+org&bucket=rgw HTTP/1.1");
    let body: serde_json::Value = serde_json::from_slice(&received[4].body).expect("JSON");
    assert_eq!(
        body,
        serde_json::json!({
            "start": "2023-11-14T22:13:20.000000000Z",
            "stop": "2023-11-14T22:14:19.999999999Z",
            "predicate": r#"_measurement="rgw_node" AND cluster="ceph" AND node="a\"${b}" AND log="access""#,
        })
    );
}

#[tokio::test]
async fn k9_influxdb_2_is_asked_for_other_writers() {
    let csv = ",result,table,_time,_value\r\n,_result,0,2023-11-14T22:13:20Z,00000000deadbeef\r\n";
    let fake = Fake::new([say(200, "", csv), say(200, "", "\r\n"), say(404, "", "")]);
    let client = client(fake.influx2());
    let history = History::new(&client);
    let writer =
        Writer { cluster: "ceph".into(), node: "a\"${b}".into(), instance: "00000000cafecafe".into() };
    let now_ms = 1_700_000_000_000;
    let other = Other { instance: "00000000deadbeef".into(), time_ms: now_ms };
    assert_eq!(history.other_writer(&writer, now_ms).await.expect("an answer"), Some(other));
    assert_eq!(history.other_writer(&writer, now_ms).await.expect("an answer"), None);
    history.other_writer(&writer, now_ms).await.expect_err("no such bucket");
    let flux = String::from_utf8_lossy(&fake.received()[0].body).into_owned();
    for part in [
        "range(start: 2023-11-14T22:03:20.000000000Z)",
        r#"r._measurement == "rgwlens" and r._field == "instance""#,
        r#"r.node == "a\"\${b}""#,
        r#"r._value != "00000000cafecafe""#,
    ] {
        assert!(flux.contains(part), "{part}: {flux}");
    }
}
