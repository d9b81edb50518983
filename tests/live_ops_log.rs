//! The ops log of a real gateway, from its file and from its socket at a time: both have every entry once, also when the
//! daemon is stopped amid requests, and the file also when it is killed.
#![cfg(feature = "cli")]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rgwlens::stats::Totals;
use rgwlens::store::Reader;
use support::ceph::Cluster;
use support::gateway::Gateway;
use support::site::Site;
use support::wait_for;

/// How long to wait for an entry that is the last one so far, before there is another one.
const NEXT_ENTRY: Duration = Duration::from_secs(5);

/// What the gateway answers: status, and the headers in lower case.
fn ask(port: u16, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the gateway listens");
    let (line, rest) = request.split_once('\n').unwrap_or((request, ""));
    let request = format!("{line} HTTP/1.1\r\nHost: s3.example.com\r\nConnection: close\r\n{rest}\r\n");
    stream.write_all(request.as_bytes()).expect("write");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("read");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, answer.to_ascii_lowercase())
}

/// A token of Swift's, as a header.
fn token(port: u16) -> String {
    let login = "GET /auth/v1.0\nX-Auth-User: alice:swift\r\nX-Auth-Key: aliceswiftkey\r\n";
    let (_, answer) = ask(port, login);
    let token = answer.lines().find_map(|line| line.strip_prefix("x-auth-token: ")).expect("a token");
    // The answer was made lower case, and the token is a hexadecimal text after its prefix.
    format!("X-Auth-Token: {}\r\n", token.trim().replace("auth_rgwtk", "AUTH_rgwtk"))
}

/// Six requests that the ops log has, of which the last one fails.
fn round(port: u16, token: &str, n: usize) {
    let check = |request: String, expected: u16| assert_eq!(ask(port, &request).0, expected, "{request}");
    let (upload, token) = (format!("Content-Length: 0\r\n{token}"), token.to_owned());
    check(format!("PUT /swift/v1/container{n}\n{upload}"), 201);
    check(format!("PUT /swift/v1/container{n}/a%20b\n{upload}"), 201);
    check(format!("GET /swift/v1/container{n}\n{token}"), 200);
    check(format!("DELETE /swift/v1/container{n}/a%20b\n{token}"), 204);
    check(format!("DELETE /swift/v1/container{n}\n{token}"), 204);
    check(format!("GET /nobody-has-this-{n}/k\n"), 404);
}

fn totals(site: &Site, log: &str) -> Totals {
    let stream = Reader::open(&site.path("rgwlens.db")).and_then(|reader| reader.stream(log));
    stream.ok().flatten().and_then(|stream| stream.windows).map(|windows| windows.totals).unwrap_or_default()
}

/// Entries in the gateway's own file.
fn entries(log: &Path) -> u64 {
    let text = fs::read(log).expect("the ops log");
    memchr::memmem::find_iter(&text, b"{\"bucket\":").count() as u64
}

#[test]
fn file_and_socket_have_every_entry_once() {
    let cluster = Cluster::lean();
    let mut site = Site::new("rgw-ops");
    let socket = site.path("ops.sock");
    let gateway = Gateway::start_with(&cluster, &format!("rgw_ops_log_socket_path = {}", socket.display()));
    site.replace(
        &format!("path = \"{}\"\nformat", site.log().display()),
        &format!("path = \"{}\"\nformat", gateway.ops_log().display()),
    );
    site.replace(
        "[windows]",
        &format!(
            "[[log]]\nname = \"socket\"\npath = \"unix:{}\"\nformat = \"rgw-ops\"\n[rgw]\nrelease = \"pacific\"\n[windows]",
            socket.display()
        ),
    );
    let token = token(gateway.port);
    let wait_until_counted = |log: &&str| {
        let mut asked = Instant::now();
        wait_for("all is counted", || {
            let is_all = totals(&site, log).counted == entries(&gateway.ops_log());
            // RGW may miss that there is one more entry while it writes to its socket: it goes with the next one.
            if !is_all && asked.elapsed() > NEXT_ENTRY {
                ask(gateway.port, "GET /nobody-has-this/either\n");
                asked = Instant::now();
            }
            is_all.then_some(())
        });
    };

    let daemon = site.start();
    round(gateway.port, &token, 0);
    wait_for("RGW logs each of them", || (entries(&gateway.ops_log()) == 6).then_some(()));
    ["access", "socket"].iter().for_each(&wait_until_counted);

    // Stopped while nobody asks anything: the gateway notices with the next request, and keeps that one too.
    assert_eq!(daemon.end("TERM"), Some(0), "{}", site.said());
    round(gateway.port, &token, 1);
    let daemon = site.start();
    ["access", "socket"].iter().for_each(&wait_until_counted);

    // Stopped while many ask.
    let done = AtomicBool::new(false);
    let daemon = thread::scope(|scope| {
        let (_done, mut daemon) = (SetAtTheEnd(&done), daemon);
        for client in 1..=3 {
            let (done, token, port) = (&done, &token, gateway.port);
            scope.spawn(move || {
                (0..)
                    .take_while(|_| !done.load(Ordering::Relaxed))
                    .for_each(|n| round(port, token, client * 10_000 + n));
            });
        }
        for _ in 0..5 {
            let before = totals(&site, "socket").counted;
            wait_for("more is counted", || (totals(&site, "socket").counted > before + 20).then_some(()));
            assert_eq!(daemon.end("TERM"), Some(0), "{}", site.said());
            daemon = site.start();
        }
        daemon
    });
    ["access", "socket"].iter().for_each(&wait_until_counted);
    assert!(totals(&site, "socket").lines > 100);
    for log in ["access", "socket"] {
        let totals = totals(&site, log);
        assert!(totals.conserved() && totals.rejected == 0, "{log}: {totals:?}");
    }

    // Killed: the file has a place to go back to. What the socket loses is what came in the last second.
    round(gateway.port, &token, 2);
    assert_eq!(daemon.end("KILL"), None, "{}", site.said());
    round(gateway.port, &token, 3);
    let daemon = site.start();
    wait_until_counted(&"access");
    drop(daemon);
}

/// Whatever happens, so that nobody waits for those who wait for it.
struct SetAtTheEnd<'a>(&'a AtomicBool);

impl Drop for SetAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
