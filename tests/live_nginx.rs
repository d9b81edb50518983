//! The main job, end to end: real requests through a real nginx with the configuration that we ship, counted by the
//! daemon, are in InfluxDB and in VictoriaMetrics, each once.
#![cfg(feature = "cli")]

mod support;

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use support::influx::{InfluxDb, VictoriaMetrics};
use support::nginx::{self, Nginx};
use support::site::Site;
use support::traffic::Random;

/// Clients at a time, each with a connection that it keeps.
const CLIENTS: u64 = 6;

/// Requests of each client.
const REQUESTS: u64 = 600;

/// What the gateway is to do, which a request says in its key: status, bytes of the answer, delay.
#[derive(Clone, Copy, Debug, Default)]
struct Wish {
    status: u16,
    bytes: usize,
    delay_ms: u64,
}

impl Wish {
    /// From `…/s200-b1000-d5-…`.
    fn of(request_line: &str) -> Option<Self> {
        let (_, wish) = request_line.split_once("/s")?;
        let mut parts = wish.split('-');
        Some(Self {
            status: parts.next()?.parse().ok()?,
            bytes: parts.next()?.strip_prefix('b')?.parse().ok()?,
            delay_ms: parts.next()?.strip_prefix('d')?.parse().ok()?,
        })
    }
}

/// Plays a gateway: one request a connection, as nginx asks it to.
fn gateway() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("no free port on 127.0.0.1");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || answer(connection));
        }
    });
    port
}

fn answer(mut connection: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(connection.try_clone().ok()?);
    let (first, length) = head(&mut reader)?;
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
    let wish = Wish::of(&first).unwrap_or(Wish { status: 200, bytes: 300, delay_ms: 0 });
    thread::sleep(Duration::from_millis(wish.delay_ms));
    // 1 is no status: it closes without a word, and nginx answers 502.
    let (body, length) = match wish.status {
        1 => return None,
        204 | 304 => (0, String::new()),
        _ if first.starts_with("HEAD ") => (0, format!("Content-Length: {}\r\n", wish.bytes)),
        _ => (wish.bytes, format!("Content-Length: {}\r\n", wish.bytes)),
    };
    let head = format!("HTTP/1.1 {} X\r\n{length}Connection: close\r\n\r\n", wish.status);
    connection.write_all(head.as_bytes()).ok()?;
    connection.write_all(&vec![b'x'; body]).ok()
}

/// The first line of a request or an answer, and how long its body is.
fn head(reader: &mut impl std::io::BufRead) -> Option<(String, u64)> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim_end().is_empty() {
            return Some((first, length));
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
}

/// A client: keeps its connection, and opens another when nginx closed it. Gives how many requests it sent.
fn client(port: u16, number: u64) -> u64 {
    let mut random = Random(number);
    let mut connection: Option<BufReader<TcpStream>> = None;
    let mut sent = 0;
    for n in 0..REQUESTS {
        let mut kept = connection.take().unwrap_or_else(|| {
            BufReader::new(TcpStream::connect(("127.0.0.1", port)).expect("nginx listens"))
        });
        let (method, wish) = match random.below(100) {
            0..50 => ("GET", Wish { status: 200, bytes: random.below(50_000) as usize, delay_ms: 0 }),
            50..52 => ("GET", Wish { status: 200, bytes: 2 << 20, delay_ms: random.below(20) }),
            52..75 => ("PUT", Wish { status: 200, bytes: 0, delay_ms: random.below(4) }),
            75..80 => ("DELETE", Wish { status: 204, bytes: 0, delay_ms: 0 }),
            80..85 => ("HEAD", Wish { status: 200, bytes: 1000, delay_ms: 0 }),
            85..90 => ("GET", Wish { status: 404, bytes: 200, delay_ms: 0 }),
            90..92 => ("GET", Wish { status: 403, bytes: 200, delay_ms: 0 }),
            92..94 => ("GET", Wish { status: 304, bytes: 0, delay_ms: 0 }),
            94..96 => ("PUT", Wish { status: 503, bytes: 150, delay_ms: 10 }),
            96..97 => ("GET", Wish { status: 1, bytes: 0, delay_ms: 0 }),
            97..98 => ("GET", Wish { status: 200, bytes: 1000, delay_ms: 1_200 }),
            _ => ("GET", Wish { status: 500, bytes: 150, delay_ms: 0 }),
        };
        let Wish { status, bytes, delay_ms } = wish;
        let target = match random.below(20) {
            0 => "/".to_owned(),
            1 => format!("/bucket{}?list-type=2&prefix=p{n}", random.below(5)),
            2 => format!("/swift/v1/container/s{status}-b{bytes}-d{delay_ms}-{number}-{n}"),
            _ => format!("/bucket{}/s{status}-b{bytes}-d{delay_ms}-{number}-{n}", random.below(5)),
        };
        let body = if method == "PUT" { random.below(100_000) as usize } else { 0 };
        let length = if method == "PUT" { format!("Content-Length: {body}\r\n") } else { String::new() };
        let request = format!("{method} {target} HTTP/1.1\r\nHost: s3.example.com\r\n{length}\r\n");
        let mut bytes = request.into_bytes();
        bytes.resize(bytes.len() + body, b'u');
        // A connection that nginx has closed takes no request: that one is not in the log.
        let answered = kept.get_mut().write_all(&bytes).is_ok().then(|| head(&mut kept)).flatten();
        let Some((first, length)) = answered else {
            panic!("no answer to {method} {target}");
        };
        sent += 1;
        let no_body = method == "HEAD" || first.contains(" 204 ") || first.contains(" 304 ");
        let length = if no_body { 0 } else { length };
        let read = std::io::copy(&mut kept.by_ref().take(length), &mut std::io::sink()).expect("a body");
        assert_eq!(read, length, "{method} {target}");
        // nginx closes after some answers to requests with a body; after a thousand requests, too.
        if status != 503 && sent % 100 != 0 {
            connection = Some(kept);
        }
    }
    sent
}

/// A client that goes away before the answer: 499.
fn impatient(nginx: &Nginx) {
    let mut connection = TcpStream::connect(("127.0.0.1", nginx.port)).expect("nginx listens");
    let request = "GET /bucket0/s200-b10-d300-impatient HTTP/1.1\r\nHost: s3.example.com\r\n\r\n";
    connection.write_all(request.as_bytes()).expect("write");
}

#[test]
fn every_request_through_nginx_is_counted_once_everywhere() {
    let (influx, victoria) = (InfluxDb::shared(), VictoriaMetrics::start());
    let upstream = format!("server 127.0.0.1:{};", gateway());
    let mut nginx = Nginx::start(|port, prefix| nginx::shipped_site(port, prefix, &upstream));

    let mut site = Site::new("rgwlens");
    let log = nginx.prefix().join("rgw-access.log");
    site.replace(&site.log().display().to_string(), &log.display().to_string());
    site.output_influx("influx", &influx, "live");
    site.output_victoria("victoria", &victoria);
    let daemon = site.run();

    let sent = Arc::new(AtomicU64::new(0));
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (sent, port) = (Arc::clone(&sent), nginx.port);
            scope.spawn(move || sent.fetch_add(client(port, number), Ordering::Relaxed));
        }
        for _ in 0..5 {
            impatient(&nginx);
        }
        // What nginx refuses by itself, and what is not even a request.
        nginx.send(b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n");
        nginx.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\"\\&k\xbb\n");
        nginx.send_and_hang_up(b"G");
    });
    nginx.stop();

    let lines = nginx.lines("rgw-access.log");
    let count = lines.len() as u64;
    assert_eq!(count, sent.load(Ordering::Relaxed) + 8, "nginx logs every request");
    // msec, time, address, status, time, length, body_bytes_sent: no client can put a blank before these.
    let field = |line: &[u8], n: usize| {
        let field = line.split(|byte| *byte == b' ').nth(n).expect("a field");
        std::str::from_utf8(field).expect("a number").parse::<u64>().expect("a number")
    };
    let bytes_out: u64 = lines.iter().map(|line| field(line, 6)).sum();
    let with_status = |status: u64| lines.iter().filter(|line| field(line, 3) == status).count() as u64;
    for status in [200, 204, 304, 400, 403, 404, 499, 500, 502, 503] {
        assert!(with_status(status) > 0, "the traffic has no {status}");
    }

    site.drain(daemon, count);
    assert_eq!(influx.sum("live", "rgw_log", "lines"), count);
    assert_eq!(influx.sum("live", "rgw_log", "rejected"), 0);
    assert_eq!(influx.sum("live", "rgw_status", "requests"), count);
    for measurement in ["rgw_node", "rgw_bucket", "rgw_operation"] {
        assert_eq!(influx.sum("live", measurement, "requests"), count, "{measurement}");
        assert_eq!(victoria.sum(&format!("{measurement}_requests")), count, "{measurement}");
        assert_eq!(influx.sum("live", measurement, "bytes_out"), bytes_out, "{measurement}");
        assert_eq!(victoria.sum(&format!("{measurement}_bytes_out")), bytes_out, "{measurement}");
        assert_eq!(influx.sum("live", measurement, "aborted"), with_status(499), "{measurement}");
    }
    let errors_5xx = [500, 502, 503].map(with_status).iter().sum::<u64>();
    assert_eq!(influx.sum("live", "rgw_node", "errors_5xx"), errors_5xx);
    assert_eq!(victoria.sum("rgw_node_errors_5xx"), errors_5xx);
}
