//! The configuration that we ship, in a real nginx: requests of all kinds, logged in three formats, say the same in each.

mod support;

use std::path::Path;

use rgwlens::access_log::nginx_conf::{self, LogTarget};
use rgwlens::access_log::{LineParser, LogFormat, Record, unescape};
use support::nginx::{self, Nginx};

const LOG_FORMAT: &str = include_str!("../nginx/log_format.conf");
const SITE: &str = include_str!("../nginx/rgw.conf");

/// An operator's own, with numbers as JSON numbers.
const JSON: &str = r#"log_format everything escape=json
    '{"msec":$msec,"remote_addr":"$remote_addr","host":"$http_host","request":"$request","status":$status,'
    '"request_length":$request_length,"content_length":"$content_length",'   # a client's text, so in quotes
    '"body_bytes_sent":$body_bytes_sent,"bytes_sent":$bytes_sent,"request_time":$request_time,'
    '"upstream":{"addr":"$upstream_addr","status":"$upstream_status","time":"$upstream_response_time",'
    '"header_time":"$upstream_header_time","id":"$upstream_http_x_amz_request_id"},'
    '"user":"$remote_user","agent":"${http_user_agent}","copy":"$http_x_amz_copy_source",'
    '"copy_from":"$http_x_copy_from"}';"#;

/// The site as it is shipped, with one format more.
fn site(port: u16, prefix: &Path, upstream: &str) -> String {
    format!("{JSON}\n{}", nginx::shipped_site(port, prefix, upstream))
}

/// Logs in all three formats instead of one.
fn three_logs(conf: &str) -> String {
    let line = conf.lines().find(|line| line.trim_start().starts_with("access_log ")).unwrap();
    let log = |file: &str, format: &str| line.replace("rgw-access.log rgwlens", &format!("{file} {format}"));
    let logs = [log("main.log", "main"), line.to_owned(), log("json.log", "everything")];
    conf.replace(line, &logs.join("\n"))
}

fn request(start: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{start} HTTP/1.1\r\nHost: Bucket.s3.example.com:80\r\nConnection: close\r\n{headers}\r\n{body}")
        .into_bytes()
}

/// What is sent, what nginx makes of its request line (method and target), and the status.
fn requests() -> Vec<(Vec<u8>, &'static str, &'static str, u16)> {
    let with = |header: &str| request("GET /b/k", &[header], "");
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "u".repeat(40_000)).into_bytes();
    vec![
        (request("GET /b/k?versionId=1", &["User-Agent: Boto3/1.26"], ""), "GET", "/b/k?versionId=1", 200),
        (request("PUT /b/k", &["Content-Length: 11"], "hello world"), "PUT", "/b/k", 200),
        (
            request("PUT /b/copy", &["x-amz-copy-source: /b/k", "Content-Length: 0"], ""),
            "PUT",
            "/b/copy",
            200,
        ),
        (
            request("PUT /swift/v1/c/o", &["X-Copy-From: c/p", "Content-Length: 0"], ""),
            "PUT",
            "/swift/v1/c/o",
            200,
        ),
        (request("HEAD /b//a/../%2F", &[], ""), "HEAD", "/b//a/../%2F", 200),
        (request("DELETE /b/k", &["User-Agent: "], ""), "DELETE", "/b/k", 200),
        (
            request("GET http://other.s3.example.com/k?acl", &[], ""),
            "GET",
            "http://other.s3.example.com/k?acl",
            200,
        ),
        (with("User-Agent: a \"quoted\" \\ \\x22 agent"), "GET", "/b/k", 200),
        (with("User-Agent: \" 200 1 1 \"-\" \"-\" \"-\" \"0.001\""), "GET", "/b/k", 200),
        (with("User-Agent: caf\u{e9} \u{7f}\u{80}"), "GET", "/b/k", 200),
        (with("User-Agent: -"), "GET", "/b/k", 200),
        (with("X-Forwarded-For: 10.1.2.3, \"172.16.0.9\""), "GET", "/b/k", 200),
        // Users `plain user`, `a [21/Nov/2026:18:59:54 +0000] b`, `q"q\` and ` `.
        (with("Authorization: Basic cGxhaW4gdXNlcjpw"), "GET", "/b/k", 200),
        (with("Authorization: Basic YSBbMjEvTm92LzIwMjY6MTg6NTk6NTQgKzAwMDBdIGI6cA=="), "GET", "/b/k", 200),
        (with("Authorization: Basic cSJxXDpw"), "GET", "/b/k", 200),
        (with("Authorization: Basic IDpw"), "GET", "/b/k", 200),
        (with("Content-Length: many"), "GET", "/b/k", 400),
        (b"GET /a\"b\\c HTTP/1.0\r\n\r\n".to_vec(), "GET", "/a\"b\\c", 200),
        (b"GET /\r\n".to_vec(), "GET", "/", 200),
        (b"GET  /two  HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(), "GET", "/two", 200),
        (b"POST /nine\r\n".to_vec(), "POST", "/nine", 400),
        (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "", "", 400),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "", "", 400),
        (b"GET / FTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "", "", 400),
        (b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "GET", "/\x01", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\"\\&k\xbb\n".to_vec(), "", "", 400),
        (b"G".to_vec(), "", "", 400),
        (b"\r\n\r\n".to_vec(), "", "", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_vec(), "GET", "/", 400),
        // As much as nginx had room for.
        (long, "GET", "/uuuu", 414),
    ]
}

fn parse<'a>(format: LogFormat, lines: &'a [Vec<u8>]) -> Vec<Record<'a>> {
    let name = format.name().unwrap_or_default().to_owned();
    let mut parser = LineParser::new(format);
    let parse = |line: &'a Vec<u8>| {
        parser.parse(line).unwrap_or_else(|reject| panic!("{name}: {reject}: {}", line.escape_ascii()))
    };
    lines.iter().map(parse).collect()
}

fn plain(record: &Record<'_>, value: Option<&[u8]>) -> Option<Vec<u8>> {
    value.map(|value| unescape(value, record.escape, &mut Vec::new()).to_vec())
}

/// What `main` says too.
fn common(record: &Record<'_>) -> impl PartialEq + std::fmt::Debug {
    (
        record.time_ms / 1000,
        [Some(record.request), Some(record.method), Some(record.uri), record.remote_addr, record.user_agent]
            .map(|value| plain(record, value)),
        (record.status, record.request_length, record.body_bytes_sent, record.request_time_ms),
    )
}

/// What `rgwlens` and the operator's format say beyond that.
fn more(record: &Record<'_>) -> impl PartialEq + std::fmt::Debug {
    (
        record.time_ms,
        [record.host, record.upstream_addr, record.gateway_request_id].map(|value| plain(record, value)),
        (record.content_length, record.bytes_sent, record.has_copy_source, record.has_copy_from),
        (record.upstream_tries, record.upstream_status),
        (record.upstream_response_time_ms, record.upstream_header_time_ms),
    )
}

/// Whether nginx understood the line's request so; of a target that was too long it logs what it had room for.
fn is_of(line: &Record<'_>, method: &str, uri: &str, status: u16) -> bool {
    let (logged_method, logged_uri) =
        (plain(line, Some(line.method)).unwrap(), plain(line, Some(line.uri)).unwrap());
    let is_uri = logged_uri == uri.as_bytes() || status == 414 && logged_uri.starts_with(uri.as_bytes());
    line.status == status && logged_method == method.as_bytes() && is_uri
}

#[test]
fn nginx_accepts_what_we_ship() {
    nginx::check(|port, prefix| site(port, prefix, "server 127.0.0.1:8080;"))
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(
        nginx::check(|_, _| "access_log /dev/null no_such_format;".into()).is_err(),
        "the check checks nothing"
    );
}

#[test]
fn what_we_ship_is_found_in_it() {
    let conf = nginx_conf::read("rgw.conf", SITE, |_| Ok(Vec::new())).unwrap();
    let [log] = conf.access_logs.as_slice() else { panic!("{conf:?}") };
    assert_eq!(log.target, LogTarget::File("/var/log/nginx/rgw-access.log".into()));
    assert_eq!(log.format, "rgwlens");
    assert_eq!(log.flush, Some(std::time::Duration::from_secs(1)));
    assert_eq!(
        log.server.as_deref(),
        Some(&["s3.example.com".to_owned(), "*.s3.example.com".to_owned()][..])
    );

    let formats = nginx_conf::read("log_format.conf", LOG_FORMAT, |_| Ok(Vec::new())).unwrap().formats;
    for format in formats {
        assert_eq!(LogFormat::named(&format.name), format.compile().ok(), "{}", format.name);
    }
    let main = LogFormat::compile(concat!(
        r#"$remote_addr - $remote_user [$time_local] "$request" "#,
        r#"$status $request_length $body_bytes_sent "$http_referer" "#,
        r#""$http_user_agent" "$http_x_forwarded_for" "$request_time""#,
    ));
    let named = LogFormat::named("main").unwrap();
    assert!(named.writes_the_same_as(&main.unwrap()), "`main` is not the widespread format any more");
}

#[test]
fn three_formats_say_the_same_about_every_request() {
    let backend = nginx::backend();
    // Nobody listens on port 1: the first request is tried there and then at the backend.
    let upstream = format!("server 127.0.0.1:1; server 127.0.0.1:{backend} backup;");
    let mut nginx = Nginx::start(|port, prefix| three_logs(&site(port, prefix, &upstream)));
    let requests = requests();
    for (request, ..) in &requests {
        match request.as_slice() {
            // nginx would wait for the rest.
            b"G" | b"\r\n\r\n" => nginx.send_and_hang_up(request),
            _ => nginx.send(request),
        };
    }
    nginx.stop();

    let (main, rgwlens, json) =
        (nginx.lines("main.log"), nginx.lines("rgw-access.log"), nginx.lines("json.log"));
    let main = parse(LogFormat::named("main").unwrap(), &main);
    let rgwlens = parse(LogFormat::named("rgwlens").unwrap(), &rgwlens);
    let json = parse(LogFormat::compile(JSON).unwrap(), &json);
    assert_eq!([main.len(), rgwlens.len(), json.len()], [requests.len(); 3]);

    // One worker writes a request's three lines together, but not always in the requests' order: while it still
    // lingers over a body, the next request may be served and logged.
    for (main, (rgwlens, json)) in main.iter().zip(rgwlens.iter().zip(&json)) {
        assert_eq!(common(main), common(rgwlens));
        assert_eq!(common(json), common(rgwlens));
        assert_eq!(more(json), more(rgwlens));
    }
    let mut lines: Vec<&Record<'_>> = rgwlens.iter().collect();
    let logged = requests.iter().map(|(sent, method, uri, status)| {
        let at = lines.iter().position(|line| is_of(line, method, uri, *status));
        let sent = sent[..sent.len().min(200)].escape_ascii();
        lines.remove(at.unwrap_or_else(|| panic!("no line of {method} {uri} {status}: {sent}")))
    });
    let logged: Vec<&Record<'_>> = logged.collect();

    let first = logged[0];
    assert_eq!((first.upstream_tries, first.upstream_status), (2, Some(200)));
    assert_eq!(first.upstream_addr, Some(format!("127.0.0.1:1, 127.0.0.1:{backend}").as_bytes()));
    assert_eq!(first.gateway_request_id, Some(&b"tx00000-1-default"[..]));
    assert_eq!(first.host, Some(&b"Bucket.s3.example.com:80"[..]));
    assert_eq!(first.body_bytes_sent, 5);
    assert_eq!(logged[1].content_length, Some(11));
    assert!(logged[2].has_copy_source && logged[3].has_copy_from);
    let quoted = br#"a "quoted" \ \x22 agent"#;
    assert!(logged.iter().any(|line| plain(line, line.user_agent).as_deref() == Some(quoted)));
}
