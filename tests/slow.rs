//! Where the time of a slow request went: a gateway that stands still, clients that crawl, a gateway that is tried after
//! another one. All of it real: nginx with our configuration, two gateways, and signals that stop them.
#![cfg(feature = "cli")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use support::ceph::Cluster;
use support::gateway::{Gateway, USERS};
use support::nginx::{self, Nginx};
use support::site::Site;

/// Longer than what counts as slow here, and shorter than any timeout of nginx's.
const STALL: Duration = Duration::from_millis(1_500);

/// A client of Swift, whose requests need no signature.
struct Client<'a> {
    nginx: &'a Nginx,
    token: String,
}

impl Client<'_> {
    fn connect(&self, method: &str, path: &str, length: usize) -> TcpStream {
        let mut connection = TcpStream::connect(("127.0.0.1", self.nginx.port)).expect("nginx listens");
        let head = format!(
            "{method} /swift/v1/slow{path} HTTP/1.1\r\nHost: s3.example.com\r\nConnection: close\r\n\
             X-Auth-Token: {}\r\nContent-Length: {length}\r\n\r\n",
            self.token
        );
        connection.write_all(head.as_bytes()).expect("write");
        connection
    }

    /// Sends a request and reads the answer, at full speed; its status.
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> u16 {
        let mut connection = self.connect(method, path, body.len());
        connection.write_all(body).expect("write");
        status(connection)
    }

    /// Sends the body in steps, over the time of a stall.
    fn crawl_up(&self, path: &str, body: &[u8]) -> u16 {
        let mut connection = self.connect("PUT", path, body.len());
        for step in body.chunks(body.len().div_ceil(10)) {
            connection.write_all(step).expect("write");
            thread::sleep(STALL / 10);
        }
        status(connection)
    }

    /// Reads the answer in steps, over the time of two stalls: a part of it is in buffers of the kernel.
    fn crawl_down(&self, path: &str, length: usize) {
        let mut connection = self.connect("GET", path, 0);
        let mut step = vec![0; length / 20];
        let mut read = 0;
        while let Ok(n) = connection.read(&mut step)
            && n > 0
        {
            read += n;
            thread::sleep(STALL.mul_f64(2.0 * n as f64 / length as f64));
        }
        assert!(read > length, "{read} bytes");
    }

    /// Goes away after a stall without having had an answer.
    fn give_up(&self, path: &str) {
        let connection = self.connect("GET", path, 0);
        thread::sleep(STALL);
        drop(connection);
    }
}

fn status(mut connection: TcpStream) -> u16 {
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer[9..12]).parse().expect("a status")
}

/// A token of the first user's.
fn token(nginx: &Nginx) -> String {
    let user = &USERS[0];
    let request = format!(
        "GET /auth/v1.0 HTTP/1.1\r\nHost: s3.example.com\r\nConnection: close\r\nX-Auth-User: {}:swift\r\nX-Auth-Key: {}\r\n\r\n",
        user.uid, user.swift_key
    );
    let answer = String::from_utf8(nginx.send(request.as_bytes())).expect("ASCII");
    let token = answer.lines().find_map(|line| line.strip_prefix("X-Auth-Token: "));
    token.unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
}

/// Does this while the gateway stands still for a while.
fn frozen<T: Send>(gateway: &Gateway, act: impl FnOnce() -> T + Send) -> T {
    gateway.freeze();
    thread::scope(|scope| {
        let act = scope.spawn(act);
        thread::sleep(STALL);
        gateway.thaw();
        act.join().expect("no panic")
    })
}

#[test]
fn slow_requests_say_where_their_time_went() {
    const LARGE: usize = 24 << 20;
    let cluster = Cluster::lean();
    let first = Gateway::start(&cluster);
    let second = Gateway::another(&cluster, "gateway2", "");
    // The second one only when the first one says nothing for a second.
    let upstream = format!("server 127.0.0.1:{};", first.port);
    let mut alone = Nginx::start(|port, prefix| nginx::shipped_site(port, prefix, &upstream));
    let upstream =
        format!("server 127.0.0.1:{} max_fails=0; server 127.0.0.1:{} backup;", first.port, second.port);
    let mut both = Nginx::start(|port, prefix| {
        nginx::shipped_site(port, prefix, &upstream)
            .replace("proxy_read_timeout    300s", "proxy_read_timeout 1s")
    });

    let client = Client { nginx: &alone, token: token(&alone) };
    assert_eq!(client.ask("PUT", "", b""), 201);
    for (key, length) in [("stalled", 1), ("stalled-large", LARGE), ("crawled-large", LARGE), ("retried", 1)]
    {
        assert_eq!(client.ask("PUT", &format!("/{key}"), &vec![b'x'; length]), 201);
    }
    assert_eq!(frozen(&first, || client.ask("GET", "/stalled", b"")), 200);
    assert_eq!(frozen(&first, || client.ask("GET", "/stalled-large", b"")), 200);
    assert_eq!(frozen(&first, || client.ask("PUT", "/upload-stalled-tiny", b"x")), 201);
    assert_eq!(frozen(&first, || client.ask("PUT", "/upload-stalled", &vec![b'x'; 300_000])), 201);
    first.freeze();
    client.give_up("/given-up");
    first.thaw();
    client.crawl_down("/crawled-large", LARGE);
    assert_eq!(client.crawl_up("/upload-crawled", &vec![b'x'; 300_000]), 201);
    let retrying = Client { nginx: &both, token: client.token.clone() };
    assert_eq!(frozen(&first, || retrying.ask("GET", "/retried", b"")), 200);
    alone.stop();
    both.stop();

    check(
        &alone,
        &[
            ("stalled", Some("gateway")),
            ("stalled-large", Some("gateway")),
            ("upload-stalled-tiny", Some("gateway")),
            ("given-up", Some("gateway")),
            ("crawled-large", Some("client")),
            // A body that came in pieces: nothing in the log says who kept whom waiting.
            ("upload-stalled", None),
            ("upload-crawled", None),
        ],
    );
    check(&both, &[("retried", Some("retried"))]);
}

/// The report of a log has these slow objects, with these verdicts; and as it is printed too.
fn check(nginx: &Nginx, expected: &[(&str, Option<&str>)]) {
    let (slowest, page) = reported(nginx);
    for (object, verdict) in expected {
        let event = slowest.iter().find(|event| event["object"] == *object);
        let event = event.unwrap_or_else(|| panic!("{object} is not slow: {slowest:#?}"));
        assert_eq!(event["verdict"].as_str(), *verdict, "{event}");
        let (time, upstream) = (event["request_time_ms"].as_u64(), event["upstream_time_ms"].as_u64());
        assert!(time >= Some(500) && upstream.is_some(), "{event}");
        let place = format!("  slow/{object} from 127.0.0.1");
        let line = page.lines().zip(page.lines().skip(1)).find(|(_, below)| *below == place);
        let (line, _) = line.unwrap_or_else(|| panic!("{object} is not on the page:\n{page}"));
        assert_eq!(line.rsplit("gw1").next().map(str::trim), Some(verdict.unwrap_or_default()), "{line}");
    }
}

/// The slow requests that the report of a log has, and the report as it is printed.
fn reported(nginx: &Nginx) -> (Vec<Value>, String) {
    let log = nginx.prefix().join("rgw-access.log");
    let mut site = Site::new("rgwlens");
    site.replace(&site.log().display().to_string(), &log.display().to_string());
    site.replace("[windows]", "[slow]\nsmall_time = \"500ms\"\nlarge_rate = \"32MiB\"\n[windows]");
    let daemon = site.start();
    site.drain(daemon, nginx.lines("rgw-access.log").len() as u64);
    let json: Value = serde_json::from_str(&site.succeed(&["report", "--json"])).expect("JSON");
    let slowest = json.pointer("/slow/slowest").and_then(Value::as_array).cloned();
    (slowest.expect("slow requests"), site.succeed(&["report"]))
}
