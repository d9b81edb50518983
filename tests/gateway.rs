//! A real gateway behind nginx, with the files that we ship for both, asked by real clients: what rgwlens says of each
//! request, and what it stores, is what the gateway itself says. The long form is `scripts/gateway`.
#![cfg(feature = "cli")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::account::{Account, Ops, Told};
use support::ceph::Cluster;
use support::gateway::Gateway;
use support::influx::InfluxDb;
use support::nginx::{self, Nginx};
use support::points;
use support::site::Site;

/// What the debug log beside the others has: which request of the gateway's a line is.
const JOIN: &str = r#"log_format joined '$request_id $upstream_http_x_amz_request_id$upstream_http_x_trans_id $upstream_addr|$upstream_status|';"#;

/// All that can be seen of a request's meaning: what `rgwlens` has, and the two headers that only Swift's COPY and its
/// form upload need.
const SEEING: &str = r#"log_format seeing '$msec $remote_addr $status $request_time $request_length $body_bytes_sent "$http_host" '
    '"$request" "$http_x_amz_copy_source" "$http_x_copy_from" "$http_destination" "$content_type" "$http_user_agent"';"#;

/// The formats of the three logs of the same requests; the first is the one whose differences are explained.
const FORMATS: [&str; 3] = ["rgwlens", "seeing", "main"];

/// The shipped site with three more logs, and an id on each request for the gateway's own.
fn site(port: u16, prefix: &Path, upstream: &str) -> String {
    let logged = prefix.display();
    let site = nginx::shipped_site(port, prefix, upstream);
    let log = "rgw-access.log rgwlens buffer=64k flush=1s;";
    let id = "proxy_set_header X-Real-IP         $remote_addr;";
    assert!(site.contains(log) && site.contains(id), "nginx/rgw.conf has changed");
    let more = ["joined", "seeing", "main"]
        .map(|name| format!("\n    access_log {logged}/{name}.log {name} buffer=64k flush=1s;"));
    let site = site.replace(log, &format!("{log}{}", more.concat()));
    let site = site.replace(id, &format!("{id}\n        proxy_set_header X-Request-Id $request_id;"));
    format!("{JOIN}\n{SEEING}\n{site}")
}

/// A machine that follows this log, of a gateway as ours is configured.
fn configured(log: &Path) -> Site {
    let mut site = Site::new("rgwlens");
    site.replace(&site.log().display().to_string(), &log.display().to_string());
    let rgw = "dns_names = [\"s3.example.com\"]\nwebsite_dns_names = [\"web.example.com\"]\n\
               release = \"pacific\"\nswift_account_in_url = false\n";
    site.replace("[windows]", &format!("[rgw]\n{rgw}[windows]"));
    site
}

/// Cluster, gateway and nginx. The gateway says what it does.
struct Setup {
    nginx: Nginx,
    gateway: Gateway,
    _cluster: Cluster,
}

impl Setup {
    fn start() -> Self {
        let cluster = Cluster::lean();
        let gateway = Gateway::start_with(&cluster, "debug rgw = 10");
        let upstream = format!("server 127.0.0.1:{};", gateway.port);
        let nginx = Nginx::start(|port, prefix| site(port, prefix, &upstream));
        Self { nginx, gateway, _cluster: cluster }
    }

    /// Real clients: the programs below tests/gateway/.
    fn drive(&self, prefix: &str, parts: &[&str]) {
        let work = self.nginx.prefix().join("work");
        fs::create_dir_all(&work).expect("the prefix is ours");
        let drive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gateway/drive.py");
        // Debian's, which has the libraries; the PATH may name another one first.
        let mut python = Command::new("/usr/bin/python3");
        python.args(["-B".as_ref(), drive.as_os_str()]).arg(prefix).args(parts);
        python.env("GATEWAY_PORT", self.nginx.port.to_string()).env("GATEWAY_WORK", &work);
        python.env("GATEWAY_SEED", prefix.len().to_string());
        let output = python.output().expect("python3");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{prefix} {parts:?}: {said}");
    }

    /// A gateway that is away, and one that hangs until the client has left.
    fn disturb(&mut self, prefix: &str) {
        self.gateway.stop();
        for method in ["GET", "PUT", "DELETE"] {
            let away = format!(
                "{method} /{prefix}-away/k HTTP/1.1\r\nHost: s3.example.com\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            assert!(self.nginx.send(away.as_bytes()).starts_with(b"HTTP/1.1 502 "));
        }
        self.gateway.start_again();
        self.gateway.freeze();
        for n in 0..3 {
            let mut client = TcpStream::connect(("127.0.0.1", self.nginx.port)).expect("nginx listens");
            let request = format!("GET /{prefix}-frozen/{n} HTTP/1.1\r\nHost: s3.example.com\r\n\r\n");
            client.write_all(request.as_bytes()).expect("write");
            std::thread::sleep(Duration::from_millis(100));
        }
        self.gateway.thaw();
    }

    /// Each line of the logs, with what the gateway says of it.
    fn requests(&self) -> Vec<Answered> {
        let account = Account::of(&self.gateway);
        let answered = |line: &Vec<u8>| {
            let line = String::from_utf8_lossy(line);
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().expect("three words").to_owned();
            let (id, gateway_id, upstream) = (word(), word(), word());
            // Only one of the two headers is there; the other is `-`.
            let told = account.of_request(&id, gateway_id.trim_matches('-'));
            Answered { told, reached_gateway: !upstream.starts_with("-|") && !upstream.contains("|502") }
        };
        self.nginx.lines("joined.log").iter().map(answered).collect()
    }

    fn log(&self, format: &str) -> PathBuf {
        let name = if format == "rgwlens" { "rgw-access" } else { format };
        self.nginx.prefix().join(format!("{name}.log"))
    }
}

/// How many reasons [`Ours::reason`] has.
const REASONS: usize = 7;

/// What became of a request of nginx's.
struct Answered {
    /// The gateway's account of it, if it became an operation.
    told: Option<Told>,
    /// nginx got through to the gateway with it.
    reached_gateway: bool,
}

/// What we say of a request.
#[derive(Clone, Debug, PartialEq)]
struct Ours {
    method: String,
    uri: String,
    protocol: String,
    operation: String,
    /// `bucket` or `tenant/bucket`, as RGW's ops log writes it.
    bucket: String,
    status: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Ours {
    fn of(explained: &Value) -> Self {
        let text = |key: &str| explained[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| explained[key].as_u64().unwrap_or_default();
        let (tenant, bucket) = (text("tenant"), text("bucket"));
        Self {
            method: text("method"),
            uri: text("uri"),
            protocol: text("protocol"),
            operation: text("operation"),
            bucket: if tenant.is_empty() { bucket } else { format!("{tenant}/{bucket}") },
            status: number("status"),
            bytes_in: number("bytes_in"),
            bytes_out: number("bytes_out"),
        }
    }

    /// What `explain --json` says of each line of a log.
    fn of_log(site: &Site, format: &str, log: &Path) -> Vec<Self> {
        let directive = if format == "seeing" { SEEING } else { format };
        let said =
            site.succeed(&["explain", "--json", "--log-format", directive, &log.display().to_string()]);
        said.lines().map(|line| Self::of(&serde_json::from_str(line).expect("JSON"))).collect()
    }

    fn agrees(&self, told: &Told) -> bool {
        self.operation == told.operation && told.bucket.as_ref().is_none_or(|bucket| *bucket == self.bucket)
    }

    /// Why this is not what the gateway says. Each of these is explained in docs/classification.md.
    fn reason(&self, told: &Told, format: &str) -> Option<&'static str> {
        let bucket = told.bucket.as_deref().unwrap_or_default();
        let same_operation = self.operation == told.operation;
        let (seeing, main) = (format == "seeing", format == "main");
        Some(match (self.operation.as_str(), told.operation.as_str()) {
            ("none", _) if self.protocol == "sts" => "POST / says in its body what it wants",
            ("get", "get info") => "a name without the blank",
            _ if same_operation
                && bucket.split_once('/').is_some_and(|(_, bucket)| bucket == self.bucket) =>
            {
                "the user's own tenant"
            }
            ("copy_obj", "copy_obj") if self.method == "COPY" && !seeing => {
                "Swift's COPY to another container"
            }
            ("put_bucket_metadata", "post_obj") if !seeing => "a form to a Swift container",
            ("put_obj", "copy_obj") if main => "a copy's header",
            _ if main => "the host",
            _ => return None,
        })
    }
}

/// Requests and bytes, counted by something.
type Counts = BTreeMap<String, u64>;

fn count<T>(items: impl IntoIterator<Item = T>, of: impl Fn(&T) -> (String, u64)) -> Counts {
    let mut counts = Counts::new();
    for item in items {
        let (key, number) = of(&item);
        *counts.entry(key).or_default() += number;
    }
    counts.retain(|_, number| *number > 0);
    counts
}

/// A counter of a measurement, added up by a tag.
fn stored(influx: &InfluxDb, database: &str, measurement: &str, field: &str, tag: &str) -> Counts {
    let answer =
        influx.query(database, &format!("SELECT sum(\"{field}\") FROM \"{measurement}\" GROUP BY \"{tag}\""));
    let series = answer.pointer("/results/0/series").and_then(Value::as_array).cloned().unwrap_or_default();
    count(series, |series| {
        let key = series["tags"][tag].as_str().unwrap_or_default().to_owned();
        (key, series.pointer("/values/0/1").and_then(Value::as_u64).unwrap_or_default())
    })
}

/// What is in a database is what `explain` says of each line.
fn assert_stored(influx: &InfluxDb, database: &str, ours: &[Ours]) {
    let check = |measurement: &str, field: &str, tag: &str, expected: Counts| {
        assert_eq!(
            stored(influx, database, measurement, field, tag),
            expected,
            "{field} of {measurement} in {database}"
        );
    };
    let by_operation = |number: fn(&Ours) -> u64| count(ours, |ours| (ours.operation.clone(), number(ours)));
    check("rgw_operation", "requests", "operation", by_operation(|_| 1));
    check("rgw_operation", "bytes_in", "operation", by_operation(|ours| ours.bytes_in));
    check("rgw_operation", "bytes_out", "operation", by_operation(|ours| ours.bytes_out));
    check("rgw_status", "requests", "status", count(ours, |ours| (ours.status.to_string(), 1)));
    assert_eq!(influx.sum(database, "rgw_bucket", "requests"), ours.len() as u64);
}

/// Buckets with a success have a series of their own, all others are counted together.
fn assert_buckets(log: &Path, ours: &[Ours]) {
    let admitted: BTreeSet<&str> = ours
        .iter()
        .filter(|ours| matches!(ours.status, 200..=299 | 304) && !ours.bucket.is_empty())
        .map(|ours| ours.bucket.as_str())
        .collect();
    // The lines that frame the log are its first and its last.
    let all = ours.first().into_iter().chain(ours).chain(ours.last());
    let expected = count(all, |ours| {
        let bucket = match ours.bucket.as_str() {
            "" => "_none_",
            bucket if admitted.contains(bucket) => bucket,
            _ => "_unknown_",
        };
        (bucket.to_owned(), 1)
    });
    let mut site = configured(log);
    site.replace("node = \"1s\"\nbucket = \"2s\"", "node = \"1h\"\nbucket = \"1h\"");
    let points = points::parse(&site.succeed(&["replay", "--to", "stdout", &log.display().to_string()]));
    let of_buckets = points.iter().filter(|point| point.measurement == "rgw_bucket");
    let replayed = count(of_buckets, |point| (point.tag("bucket").to_owned(), point.count("requests")));
    assert_eq!(replayed, expected);
}

/// The log as of another day, from the beginning of an hour on so that it is in one window of an hour; with a line long
/// before and one long after, so that a replay covers all that is between.
fn framed(log: &Path) -> Vec<u8> {
    const HOUR: f64 = 1_700_002_800.0;
    let text = fs::read(log).expect("the log");
    let lines: Vec<&[u8]> = text.strip_suffix(b"\n").unwrap_or(&text).split(|byte| *byte == b'\n').collect();
    let apart = |line: &[u8]| {
        let (time, rest) = line.split_at(line.iter().position(|byte| *byte == b' ').expect("a time"));
        (String::from_utf8_lossy(time).parse::<f64>().expect("a time"), rest.to_vec())
    };
    let first = apart(lines[0]).0;
    let mut framed = Vec::new();
    let mut push = |line: &[u8], later: f64| {
        let (time, rest) = apart(line);
        framed.extend_from_slice(format!("{:.3}", HOUR + 60.0 + time - first + later).as_bytes());
        framed.extend_from_slice(&rest);
        framed.push(b'\n');
    };
    push(lines[0], -60.0);
    lines.iter().for_each(|line| push(line, 0.0));
    push(lines[lines.len() - 1], 60.0);
    framed
}

/// What the gateway says, line by line, against what we say: the differences by their reason, in each format.
struct Comparison {
    compared: usize,
    reasons: BTreeMap<&'static str, [usize; 3]>,
    surprises: Vec<String>,
}

impl Comparison {
    fn new(requests: &[Answered], ours: &[Vec<Ours>; 3]) -> Self {
        let (mut reasons, mut surprises) = (BTreeMap::<_, [usize; 3]>::new(), Vec::new());
        for (n, format) in FORMATS.iter().enumerate() {
            assert_eq!(ours[n].len(), requests.len(), "lines of {format}");
            for (answered, ours) in requests.iter().zip(&ours[n]) {
                let Some(told) = answered.told.as_ref().filter(|told| !ours.agrees(told)) else { continue };
                match ours.reason(told, format) {
                    Some(reason) => reasons.entry(reason).or_default()[n] += 1,
                    None => surprises.push(format!("{format}: RGW {told:?}, ours {ours:?}")),
                }
            }
        }
        let compared = requests.iter().filter(|answered| answered.told.is_some()).count();
        Self { compared, reasons, surprises }
    }

    fn table(&self) -> String {
        let mut table =
            String::from("| difference | `rgwlens` | with two more headers | `main` |\n|--|--:|--:|--:|\n");
        for (reason, [shipped, seeing, main]) in &self.reasons {
            let _ = writeln!(table, "| {reason} | {shipped} | {seeing} | {main} |");
        }
        let agree = |format: usize| {
            let differences: usize = self.reasons.values().map(|counts| counts[format]).sum();
            100.0 * (1.0 - differences as f64 / self.compared as f64)
        };
        let [shipped, seeing, main] = [agree(0), agree(1), agree(2)];
        let _ = writeln!(
            table,
            "| **agree, of {}** | **{shipped:.2} %** | **{seeing:.2} %** | **{main:.2} %** |",
            self.compared
        );
        table
    }
}

/// Status and bytes, line by line, against the ops log: the differences by their reason, how many and what they add up to.
struct Numbers {
    compared: usize,
    reasons: BTreeMap<&'static str, (usize, i64)>,
    surprises: Vec<String>,
}

impl Numbers {
    fn new(requests: &[Answered], ours: &[Ours]) -> Self {
        let mut numbers = Self { compared: 0, reasons: BTreeMap::new(), surprises: Vec::new() };
        for (answered, ours) in requests.iter().zip(ours) {
            let Some(ops) = answered.told.as_ref().and_then(|told| told.ops) else { continue };
            numbers.compared += 1;
            let checks: [(u64, u64, Reason); 3] = [
                (ours.status, u64::from(ops.status), Self::status),
                (ours.bytes_out, ops.bytes_sent, Self::bytes_out),
                (ours.bytes_in, ops.bytes_received, Self::bytes_in),
            ];
            let uncounted = matches!(ours.method.as_str(), "PUT" | "POST") && ours.operation != "put_obj";
            for (n, (we, they, reason)) in checks.into_iter().enumerate() {
                // What comes with a body and is stored nowhere the gateway does not count as received.
                if we == they || (n == 2 && uncounted) {
                    continue;
                }
                match reason(ours, &ops) {
                    Some(reason) => {
                        let (count, bytes) = numbers.reasons.entry(reason).or_default();
                        *count += 1;
                        *bytes += if n == 0 { 0 } else { we as i64 - they as i64 };
                    }
                    None => numbers.surprises.push(format!("{ours:?}, RGW {:?}", answered.told)),
                }
            }
        }
        numbers
    }

    fn status(ours: &Ours, ops: &Ops) -> Option<&'static str> {
        Some(match (ours.status, ops.status) {
            (499, _) => "status: the client left, the gateway went on",
            (400, 500) => "status: an upload was cut off",
            (400..=499, 200) if ours.protocol == "website" => "status: a website's error page",
            _ => return None,
        })
    }

    fn bytes_out(ours: &Ours, ops: &Ops) -> Option<&'static str> {
        let more = ours.bytes_out as i64 - ops.bytes_sent as i64;
        Some(match (ours.method.as_str(), ours.status) {
            ("PUT" | "POST", _) if more == 25 => "out: nginx counts its own `100 Continue`",
            ("HEAD", _) if ours.bytes_out == 0 => "out: a HEAD has no body",
            ("PUT", 400) | (_, 499) => "out: the client had left",
            ("GET", 200 | 206) if more < 0 => "out: a download was cut off",
            // `7\r\n`, `\r\n`, `0\r\n\r\n` around each chunk of an answer without a length.
            // A delete of many objects may answer in as many chunks.
            _ if (-40..0).contains(&more) => "out: the gateway counts the frames of chunks",
            _ if ours.operation == "multi_object_delete" && (-500..0).contains(&more) => {
                "out: the gateway counts the frames of chunks"
            }
            _ => return None,
        })
    }

    fn bytes_in(ours: &Ours, ops: &Ops) -> Option<&'static str> {
        Some(match ours.status {
            400.. if ops.bytes_received == 0 => {
                "in: the gateway did not want the body, or not all of it came"
            }
            _ if ours.uri.contains("multipart-manifest") => "in: a manifest is no object to the gateway",
            _ => return None,
        })
    }

    fn table(&self) -> String {
        let mut table = String::from("| difference | requests | bytes |\n|--|--:|--:|\n");
        for (reason, (count, bytes)) in &self.reasons {
            let _ = writeln!(table, "| {reason} | {count} | {bytes:+} |");
        }
        let _ = writeln!(table, "| **of** | **{}** | |", self.compared);
        table
    }
}

/// Why a number differs, if that is explained.
type Reason = fn(&Ours, &Ops) -> Option<&'static str>;

/// By operation: how many the gateway counted, how many are in InfluxDB, and bytes. Those that the gateway has no name for
/// are ours alone: it answered before it knew what was asked, or never got the request.
fn table(requests: &[Answered], influx: &InfluxDb, database: &str) -> String {
    let told = |number: fn(&Told) -> u64| {
        count(requests.iter().filter_map(|answered| answered.told.as_ref()), |told| {
            (told.operation.clone(), number(told))
        })
    };
    let of_ops = |number: fn(&Ops) -> u64| {
        let told = requests.iter().filter_map(|answered| answered.told.as_ref());
        count(told.filter_map(|told| Some((told, told.ops?))), |(told, ops)| {
            (told.operation.clone(), number(ops))
        })
    };
    let theirs = [told(|_| 1), of_ops(|_| 1), of_ops(|ops| ops.bytes_received), of_ops(|ops| ops.bytes_sent)];
    let ours = ["requests", "bytes_in", "bytes_out"]
        .map(|field| stored(influx, database, "rgw_operation", field, "operation"));
    let mut table = String::from(
        "| operation | RGW | in its ops log | ours | RGW received | ours in | RGW sent | ours out |\n|--|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let operations: BTreeSet<&String> = theirs[0].keys().chain(ours[0].keys()).collect();
    for operation in operations {
        let number = |counts: &Counts| counts.get(operation).copied().unwrap_or_default();
        let _ = writeln!(
            table,
            "| {operation} | {} | {} | {} | {} | {} | {} | {} |",
            number(&theirs[0]),
            number(&theirs[1]),
            number(&ours[0]),
            number(&theirs[2]),
            number(&ours[1]),
            number(&theirs[3]),
            number(&ours[2]),
        );
    }
    table
}

#[test]
fn what_is_counted_is_what_the_gateway_did() {
    let rounds = setting("GATEWAY_ROUNDS", 1);
    let (mut setup, influx) = (Setup::start(), InfluxDb::shared());
    let log = setup.log("rgwlens");
    let mut site = configured(&log);
    site.output_influx("influx", &influx, "run");
    let daemon = site.start();
    setup.drive("once", &["unseen"]);
    for round in 0..rounds {
        setup.drive(&format!("r{round}"), &["s3", "swift", "tools", "raw", "admin"]);
        setup.disturb(&format!("r{round}"));
    }
    setup.nginx.stop();

    let requests = setup.requests();
    let ours = FORMATS.map(|format| Ours::of_log(&site, format, &setup.log(format)));
    site.drain(daemon, requests.len() as u64);
    assert_stored(&influx, "run", &ours[0]);

    let again = site.path("again.log");
    fs::write(&again, framed(&log)).expect("write");
    let mut replay = configured(&again);
    replay.output_influx("influx", &influx, "replay");
    replay.succeed(&["replay", &again.display().to_string()]);
    assert_stored(&influx, "replay", &ours[0]);
    assert_buckets(&again, &ours[0]);

    let comparison = Comparison::new(&requests, &ours);
    let numbers = Numbers::new(&requests, &ours[0]);
    let reached = requests.iter().filter(|answered| answered.reached_gateway).count();
    say(&format!(
        "{} requests, {reached} reached the gateway, {} became an operation",
        requests.len(),
        comparison.compared
    ));
    say(&comparison.table());
    say(&numbers.table());
    say(&table(&requests, &influx, "run"));
    assert_eq!((comparison.surprises, numbers.surprises), (Vec::<String>::new(), Vec::<String>::new()));
    assert_eq!(comparison.reasons.len(), REASONS, "all that is explained still happens");
    if rounds >= 20 {
        assert!(
            comparison.reasons.values().map(|counts| counts[0]).sum::<usize>() * 1_000 <= comparison.compared
        );
    }
}

/// How long a run: the variable, or what all tests take.
fn setting(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn say(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}
