//! A real gateway behind nginx, with the files that we ship for both, asked by real clients: what rgwlens says of each
//! request, and what it stores, is what the gateway itself says. The long form is `scripts/gateway`.
#![cfg(feature = "cli")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::account::{Account, Told};
use support::ceph::Cluster;
use support::gateway::Gateway;
use support::influx::InfluxDb;
use support::nginx::{self, Nginx};
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
            Answered { told, by_nginx: upstream.starts_with("-|") }
        };
        self.nginx.lines("joined.log").iter().map(answered).collect()
    }

    /// What `explain --json` says of each line of a log.
    fn explained(&self, format: &str) -> Vec<Value> {
        let log = if format == "rgwlens" { "rgw-access" } else { format };
        let directive = if format == "seeing" { SEEING } else { format };
        let mut program = support::site::program();
        program.args(["explain", "--json", "--log-format", directive, "--dns-name", "s3.example.com"]);
        program.args(["--website-dns-name", "web.example.com", "--rgw-release", "pacific"]);
        let output = program.arg(self.nginx.prefix().join(format!("{log}.log"))).output().expect("rgwlens");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// What became of a request of nginx's.
struct Answered {
    /// The gateway's account of it, if it became an operation.
    told: Option<Told>,
    /// It never left nginx.
    by_nginx: bool,
}

/// Our name for where a request went, as RGW's ops log writes it.
fn place(explained: &Value) -> String {
    let text = |key: &str| explained[key].as_str().unwrap_or_default();
    if text("tenant").is_empty() {
        text("bucket").to_owned()
    } else {
        format!("{}/{}", text("tenant"), text("bucket"))
    }
}

#[test]
fn wip() {
    let mut setup = Setup::start();
    say("started");
    setup.drive("a", &[]);
    say("driven");
    setup.disturb("a");
    setup.nginx.stop();
    let requests = setup.requests();
    say(&format!(
        "{} requests, {} told",
        requests.len(),
        requests.iter().filter(|r| r.told.is_some()).count()
    ));
    for format in FORMATS {
        let explained = setup.explained(format);
        assert_eq!(explained.len(), requests.len());
        let mut differences = BTreeMap::<String, usize>::new();
        for (answered, explained) in requests.iter().zip(&explained) {
            let Some(told) = &answered.told else { continue };
            let ours = (explained["operation"].as_str().unwrap_or_default(), place(explained));
            if (told.operation.as_str(), told.bucket.clone()) != ours {
                let what = format!(
                    "{} {} {}: RGW {} {:?}, ours {} {:?}",
                    explained["method"],
                    explained["uri"],
                    explained["status"],
                    told.operation,
                    told.bucket,
                    ours.0,
                    ours.1
                );
                *differences.entry(what).or_default() += 1;
            }
        }
        let mut text = String::new();
        for (what, n) in &differences {
            let _ = writeln!(text, "{n:5} {what}");
        }
        fs::write(format!("/tmp/gwp/diff-{format}.txt"), text).unwrap();
        say(&format!("{format}: {}", differences.values().sum::<usize>()));
    }
    let none: Vec<String> = requests
        .iter()
        .zip(setup.explained("rgwlens"))
        .filter(|(a, _)| a.told.is_none())
        .map(|(a, e)| format!("{} {}", a.by_nginx, e))
        .collect();
    fs::write("/tmp/gwp/none.txt", none.join("\n")).unwrap();
}

fn say(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}
