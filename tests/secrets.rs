//! What strangers say in confidence, and what they say to do harm: a word in every field that a client controls goes
//! through a real nginx in each format, and is looked for in everything that we write.
#![cfg(feature = "cli")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::thread;
use std::time::Duration;

use support::nginx::{self, Nginx};
use support::points;
use support::sink::Sink;
use support::site::Site;
use support::wait_for;

/// A format with what only some operators log: all that may hold a secret, and all that we understand.
const EVERYTHING: &str = r#"log_format everything '$msec $remote_addr "$remote_user" "$request" $status $request_time $request_length '
    '$body_bytes_sent "$http_host" "$http_referer" "$http_authorization" "$http_cookie" "$args" "$query_string" '
    '"$http_x_amz_copy_source" "$http_x_copy_from" "$http_destination" "$content_type" "$http_x_forwarded_for" '
    '"$http_x_amz_security_token" "$http_x_auth_token" "$http_user_agent"';"#;

/// The logs, and how `explain`, `replay` and a configuration are told their format.
const FORMATS: [(&str, &str); 4] =
    [("rgwlens", "rgwlens"), ("main", "main"), ("combined", "combined"), ("everything", EVERYTHING)];

/// Every secret begins so; what follows says where it was.
const CANARY: &str = "CANARY";

/// May be seen: the user agent, by which the search shows that it finds what is there.
const AGENT: &str = "Agent4711";

/// Requests that are all secrets: in queries, plain and in disguise, in headers, in an address, in garbage.
fn requests() -> Vec<Vec<u8>> {
    let mut targets: Vec<String> = Vec::new();
    for name in [
        "X-Amz-Signature",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "AWSAccessKeyId",
        "Signature",
        "temp_url_sig",
        "temp_url_expires",
        "prefix",
        "uploadId",
        "key",
        "access-key",
        "secret-key",
        "rgwx-uid",
        "acl",
        "%61cl",
        "type",
        "X-Amz-Signatur%65",
    ] {
        for path in ["/bucket/key", "/swift/v1/c/o", "/admin/user", "/", "/bucket"] {
            targets.push(format!("{path}?{name}=CANARYquery"));
            targets.push(format!("{path}?a&{name}=%43ANARYquery&{name}%3DCANARYpair"));
        }
    }
    targets.push("/bucket/key?CANARYname".to_owned());
    targets.push("/bucket/key?a=b?CANARYsecond#CANARYfragment".to_owned());
    targets.push("http://user:CANARYuserinfo@s3.example.com/bucket/key?x=CANARYquery".to_owned());
    targets.push("http://CANARYuserinfo@s3.example.com".to_owned());
    targets.push("ftp://user:CANARYuserinfo@s3.example.com/".to_owned());
    targets.push("/bucket/a b?x=CANARYquery".to_owned());
    let mut requests: Vec<Vec<u8>> = Vec::new();
    for (n, target) in targets.iter().enumerate() {
        let method = ["GET", "PUT", "DELETE", "COPY", "POST"][n % 5];
        requests.push(request(method, target, b""));
    }
    requests.push(b"GET /bucket/key?Signature=CANARYhalf".to_vec());
    requests.push(b"CANARY://x y z\r\n\r\n".to_vec());
    requests
}

/// Names that would be something else if anybody let them: points, fields, terminal commands.
fn attacks() -> Vec<Vec<u8>> {
    let mut requests: Vec<Vec<u8>> = Vec::new();
    for name in [
        "%0Argw_node,evil=1%20requests=99i",
        "a,evil=1",
        "a%20evil=1",
        "a%3Devil",
        "a%5C",
        "a%22,evil=%221",
        "%1B%5B31mred%1B%5B0m",
        "%1B%5D0;title%07",
        "a%00b",
        "a%0D%0Ab",
        "%C2%9B31m",
        "%E2%80%AEevil",
        "a'b",
        "%23",
        "%FF%FE",
    ] {
        let headers = b"Destination: /c/a\x1b[31m\"\r\n";
        requests.push(request("GET", &format!("/{name}/{name}"), headers));
        requests.push(request("GET", &format!("/bucket/{name}?{name}"), headers));
        requests.push(request("PUT", &format!("/swift/v1/{name}/{name}"), headers));
        requests.push(request("GET", &format!("/{name}:{name}/{name}"), headers));
        requests.push(request(&format!("GET{name}"), "/", headers));
    }
    requests
}

fn request(method: &str, target: &str, headers: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "{method} {target} HTTP/1.1\r\nHost: s3.example.com\r\nConnection: close\r\nContent-Length: 0\r\n\
         Referer: http://x/?CANARYreferer\r\nCookie: CANARYcookie\r\nX-Forwarded-For: CANARYforwarded, 1.2.3.4\r\n\
         Authorization: Basic Q0FOQVJZdXNlcjp4\r\nX-Amz-Security-Token: CANARYtoken\r\nX-Auth-Token: CANARYauth\r\n\
         X-Amz-Copy-Source: /CANARYsource\r\nX-Copy-From: /CANARYfrom\r\n\
         Content-Type: multipart/form-data; boundary=CANARYboundary\r\n"
    )
    .into_bytes();
    request.extend_from_slice(b"User-Agent: Agent4711 \x1b[31m\x1b]0;title\x07 \"quoted\" back\\\r\n");
    request.extend_from_slice(headers);
    request.extend_from_slice(b"\r\n");
    request
}

/// Everything that came out of us, by where.
#[derive(Default)]
struct Written(BTreeMap<String, Vec<u8>>);

impl Written {
    fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.insert(place.into(), bytes.into());
    }

    fn add_output(&mut self, place: &str, output: Output) {
        assert!(matches!(output.status.code(), Some(0..=2)), "{place}: {}", output.status);
        self.add(format!("{place}: stdout"), output.stdout);
        self.add(format!("{place}: stderr"), output.stderr);
    }

    /// The files of a folder, but not the logs that nginx wrote, nor what was made of them for us to read.
    fn add_store(&mut self, when: &str, site: &Site) {
        for name in ["rgwlens.db", "rgwlens.db-wal", "rgwlens.db-shm"] {
            if let Ok(bytes) = fs::read(site.path(name)) {
                self.add(format!("{name} {when}"), bytes);
            }
        }
    }

    fn places_with(&self, word: &str) -> Vec<&str> {
        let finder = memchr::memmem::Finder::new(word);
        self.0
            .iter()
            .filter(|(_, bytes)| finder.find(bytes).is_some())
            .map(|(place, _)| place.as_str())
            .collect()
    }
}

/// A bidirectional override, a control of either kind: whatever a terminal would obey.
fn harm(text: &str) -> Option<char> {
    text.chars().find(|c| c.is_control() && *c != '\n')
}

#[test]
fn secrets_and_commands_of_strangers_go_nowhere() {
    // Not at once: reports show what is slow.
    let gateway = nginx::backend_with(|request| {
        thread::sleep(Duration::from_millis(5));
        [200, 403, 500][request.len() % 3]
    });
    let upstream = format!("server 127.0.0.1:{gateway};");
    let mut nginx = Nginx::start(|port, prefix| {
        let site = nginx::shipped_site(port, prefix, &upstream);
        let log = "rgw-access.log rgwlens buffer=64k flush=1s;";
        assert!(site.contains(log), "nginx/rgw.conf has changed");
        let more = ["main", "combined", "everything"];
        let more = more.map(|name| format!("\naccess_log {}/{name}.log {name};", prefix.display()));
        format!("{EVERYTHING}\n{}", site.replace(log, &format!("{log}{}", more.concat())))
    });
    let log = |format: &str| -> PathBuf {
        let name = if format == "rgwlens" { "rgw-access" } else { format };
        nginx.prefix().join(format!("{name}.log"))
    };
    let logs = FORMATS.map(|(name, _)| log(name));
    let sent = [requests(), attacks()].concat();
    for request in &sent {
        let whole = request.ends_with(b"\r\n\r\n");
        if whole {
            nginx.send(request)
        } else {
            nginx.send_and_hang_up(request)
        };
    }
    nginx.stop();

    let mut written = Written::default();
    for ((name, format), log) in FORMATS.into_iter().zip(&logs) {
        let text = fs::read(log).expect("nginx logs");
        let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert!(lines >= sent.len() as u64 - 1, "nginx logs all but what was no request");
        assert!(memchr::memmem::find(&text, CANARY.as_bytes()).is_some(), "{name}: nginx logs secrets");
        audit(name, format, log, lines, &mut written);
    }
    assert_eq!(written.places_with(CANARY), Vec::<&str>::new());
    // What may be seen is found, in the store too: so would the rest be.
    let seen = written.places_with(AGENT);
    for place in ["rgwlens: rgwlens.db", "rgwlens: sent", "rgwlens: report"] {
        assert!(seen.iter().any(|seen| seen.starts_with(place)), "{place}: {seen:?}");
    }
    for (place, bytes) in written.0.iter().filter(|(place, _)| !place.contains("rgwlens.db")) {
        let text = String::from_utf8(bytes.clone()).unwrap_or_else(|_| panic!("{place} is not UTF-8"));
        assert_eq!(harm(&text), None, "{place}:\n{}", text.escape_debug());
    }
}

/// All that the program does with a log.
fn audit(name: &str, format: &str, log: &std::path::Path, lines: u64, written: &mut Written) {
    let (sink, mut site) = (Sink::start(), Site::new(format));
    site.replace(&site.log().display().to_string(), &log.display().to_string());
    site.replace("[windows]", "[slow]\nsmall_time = \"1ms\"\n[events]\nnot_found = true\nerrors_4xx = 1000\nerrors_5xx = 1000\nsample = 1.0\nsampled = 1000\n[windows]");
    site.replace("[windows]", "[rgw]\ndns_names = [\"s3.example.com\"]\n[windows]");
    site.replace("cluster =", "log_level = \"trace\"\ncluster =");
    site.output(&format!("name = \"sink\"\nkind = \"influxdb1\"\nurl = \"{}\"\ngzip = false\n", sink.url));
    let daemon = site.start();
    wait_for("all lines are committed", || (site.committed() == lines).then_some(()));
    written.add_store(&format!("{name}: while it runs"), &site);
    site.drain(daemon, lines);
    let store = ["rgwlens.db", "rgwlens.db-wal"].map(|file| fs::read(site.path(file)).unwrap_or_default());
    written.add(format!("{name}: rgwlens.db"), store.concat());
    written.add(format!("{name}: daemon"), site.said());

    // Points that are only ours, and count what there is: nothing was added to them.
    let sent: Vec<String> = sink.lines().into_iter().collect();
    let sent = sent.join("\n");
    let points = points::parse(&sent);
    for measurement in ["rgw_node", "rgw_bucket", "rgw_operation", "rgw_status"] {
        assert_eq!(points::sum(&points, measurement, "requests"), lines, "{name}: {measurement}");
    }
    for point in &points {
        assert!(point.measurement.starts_with("rgw"), "{name}: {}", point.measurement);
        assert!(!point.tags.contains_key("evil") && !point.numbers.contains_key("evil"), "{name}: {point:?}");
    }
    written.add(format!("{name}: sent"), sent);

    let mut mistaken = Site::new(if name == "main" { "rgwlens" } else { "main" });
    mistaken.replace(&mistaken.log().display().to_string(), &log.display().to_string());
    mistaken.replace("cluster =", "log_level = \"trace\"\ncluster =");
    let daemon = mistaken.start();
    wait_for("all lines are rejected", || (mistaken.committed() == lines).then_some(()));
    assert_eq!(daemon.end("TERM"), Some(0));
    written.add_store(&format!("{name}: taken for another format"), &mistaken);
    written.add(format!("{name}: daemon of another format"), mistaken.said());
    written.add_output(&format!("{name}: check of another format"), mistaken.rgwlens(&["check"]));

    let log = log.display().to_string();
    // Read as what it is, and as what it is not: complaints quote no line.
    let other = if name == "main" { "rgwlens" } else { "main" };
    for (what, arguments) in [
        ("explain", vec!["explain", &log]),
        ("explain --json", vec!["explain", "--json", &log]),
        ("explain as another format", vec!["explain", "--log-format", other, &log]),
        ("explain --json as another format", vec!["explain", "--json", "--log-format", other, &log]),
        ("report", vec!["report"]),
        ("report --json", vec!["report", "--json"]),
        ("report of the file", vec!["report", &log]),
        ("report of the file as another format", vec!["report", "--log-format", other, &log]),
        ("replay", vec!["replay", "--to", "stdout", &log]),
        ("replay as another format", vec!["replay", "--to", "stdout", "--log-format", other, &log]),
        ("replay that is refused", vec!["replay", &log]),
        ("status", vec!["status"]),
        ("status --json", vec!["status", "--json"]),
        ("check", vec!["check"]),
        ("check --json", vec!["check", "--json"]),
    ] {
        written.add_output(&format!("{name}: {what}"), site.rgwlens(&arguments));
    }
}
