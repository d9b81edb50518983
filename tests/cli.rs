//! The program as an operator meets it: exit codes, what it says when something is wrong and what to do next, and that
//! no secret of a request gets out of it.
#![cfg(feature = "cli")]

mod support;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use support::sink::Sink;
use support::site::{Site, program};
use support::traffic::{self, Random};

fn rgwlens(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The exit code, and every part of what is said on standard error; nothing goes to standard output.
#[track_caller]
fn assert_refused(output: &Output, code: i32, parts: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "it does not say {part:?}: {said}");
    }
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    assert!(!said.contains("panicked"), "{said}");
}

/// A site whose log has so many good lines.
fn site(lines: i64) -> Site {
    let site = Site::new("rgwlens");
    let mut random = Random(7);
    let start = traffic::now_ms() - 600_000;
    let log: String = (0..lines).map(|n| traffic::line(&mut random, start + n * 10)).collect();
    fs::write(site.log(), log).expect("write");
    site
}

fn path(site: &Site, name: &str) -> String {
    site.path(name).display().to_string()
}

#[test]
fn every_command_has_help() {
    let help = rgwlens(&["--help"]);
    assert!(help.status.success());
    let help = text(&help.stdout);
    let listed =
        help.split("Commands:").nth(1).and_then(|rest| rest.split("Options").next()).expect("commands");
    let commands: Vec<&str> = listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for command in [
        "run",
        "replay",
        "resend",
        "quarantine",
        "report",
        "status",
        "explain",
        "check",
        "demo",
        "completions",
        "man",
    ] {
        assert!(commands.contains(&command), "{command} is not in {commands:?}");
    }
    for command in commands.into_iter().filter(|command| *command != "help") {
        let output = rgwlens(&[command, "--help"]);
        assert!(output.status.success(), "{command}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("Usage: rgwlens"), "{command}: {}", text(&output.stdout));
    }
    let version = rgwlens(&["--version"]);
    assert_eq!(text(&version.stdout), format!("rgwlens {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_and_manual_page() {
    let check = |shell: &str, marker: &str| {
        let output = rgwlens(&["completions", shell]);
        assert!(output.status.success(), "{shell}");
        let script = text(&output.stdout);
        assert!(script.contains(marker) && script.contains("replay"), "{shell}: {script}");
        script
    };
    check("zsh", "#compdef rgwlens");
    check("fish", "complete -c rgwlens");
    let script = check("bash", "complete -F _rgwlens");
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().expect("bash");
    bash.stdin.take().expect("piped").write_all(script.as_bytes()).expect("write");
    assert!(bash.wait().expect("bash ends").success(), "bash does not accept it");

    let page = text(&rgwlens(&["man"]).stdout);
    assert!(page.contains(".TH rgwlens 1") && page.contains("replay"), "{page}");
}

#[test]
fn wrong_usage_is_2_and_says_what_is_right() {
    let site = site(10);
    let log = path(&site, "access.log");
    assert_refused(&rgwlens(&[]), 2, &["Usage: rgwlens"]);
    assert_refused(&rgwlens(&["replai", "x"]), 2, &["replay"]);
    assert_refused(&rgwlens(&["replay"]), 2, &["<FILE>"]);
    assert_refused(&rgwlens(&["resend"]), 2, &["--since"]);
    assert_refused(&rgwlens(&["explain", "--rgw-release", "pacifik"]), 2, &["pacific"]);
    assert_refused(&site.rgwlens(&["replay", "--replace", "--overwrite", &log]), 2, &["--overwrite"]);
    assert_refused(&site.rgwlens(&["replay", "--to", "stdout", "--replace", &log]), 2, &["stdout"]);
    assert_refused(&site.rgwlens(&["replay", &log]), 2, &["[[output]]", "--to store"]);
    assert_refused(
        &site.rgwlens(&["resend", "--since", "1h", "--until", "2h"]),
        2,
        &["--since is not before --until"],
    );
    assert_refused(&site.rgwlens(&["resend", "--since", "yesterday"]), 2, &["2026-11-20"]);
    assert_refused(&site.rgwlens(&["explain", "--log-format", "$msec $", &log]), 2, &["--log-format"]);
    let nowhere =
        program().args(["--config", "/dev/null", "replay", "--to", "store", &log]).output().expect("starts");
    assert_refused(&nowhere, 2, &["--node"]);
}

#[test]
fn a_wrong_configuration_is_2_and_says_where() {
    assert_refused(&rgwlens(&["--config", "/does/not/exist.toml", "run"]), 2, &["/does/not/exist.toml"]);
    let mut site = site(1);
    site.replace("lateness = \"1s\"", "latenes = \"1s\"");
    let output = site.rgwlens(&["run"]);
    assert_refused(&output, 2, &["windows.latenes", "lateness", &path(&site, "rgwlens.toml")]);
    site.replace("latenes = \"1s\"", "lateness = \"1 parsec\"");
    assert_refused(&site.rgwlens(&["run"]), 2, &["windows.lateness", "1 parsec"]);
    site.replace("lateness = \"1 parsec\"", "lateness = \"1s\"\nnode = ");
    assert_refused(&site.rgwlens(&["run"]), 2, &[&path(&site, "rgwlens.toml")]);
}

#[test]
fn what_fails_is_1_and_says_what_to_do() {
    let site = site(2_000);
    let log = path(&site, "access.log");
    assert_refused(&site.rgwlens(&["resend", "--since", "1h"]), 2, &["[[output]]"]);
    assert_refused(&site.rgwlens(&["explain", "/does/not/exist.log"]), 1, &["/does/not/exist.log"]);
    assert_refused(
        &site.rgwlens(&["replay", "--to", "store", "/does/not/exist.log"]),
        1,
        &["/does/not/exist.log"],
    );
    // The wrong format.
    let output = site.rgwlens(&["replay", "--to", "store", "--log-format", "main", &log]);
    assert_refused(&output, 1, &["none of the 2000 lines", "rgwlens explain", "--log-format"]);
    // Too little of a log.
    fs::write(site.path("short.log"), traffic::line(&mut Random(8), 1_800_000_000_000)).expect("write");
    let output = site.rgwlens(&["replay", "--to", "store", &path(&site, "short.log")]);
    assert_refused(&output, 1, &["no window is covered whole", "give all files"]);
    // The same twice.
    site.succeed(&["replay", "--to", "store", &log]);
    let output = site.rgwlens(&["replay", "--to", "store", &log]);
    assert_refused(&output, 1, &["already has points", "--replace", "--overwrite"]);
    site.succeed(&["replay", "--to", "store", "--overwrite", &log]);
    site.succeed(&["replay", "--to", "store", "--replace", &log]);
}

#[test]
fn an_output_that_is_closed_early_is_no_failure() {
    let site = site(20_000);
    let mut explain = program();
    explain.args(["--config", &path(&site, "rgwlens.toml"), "explain", &path(&site, "access.log")]);
    let mut explain = explain.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    drop(explain.stdout.take());
    let output = explain.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn explain_answers_every_line() {
    let site = site(3);
    let mut log = fs::read(site.log()).expect("read");
    log.extend_from_slice(b"no line\n\n\xff\xfe\x1b[2J");
    fs::write(site.log(), log).expect("write");
    let said = site.succeed(&["explain", "--json", &path(&site, "access.log")]);
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ok: Vec<_> = lines.iter().map(|line| line["ok"].as_bool()).collect();
    assert_eq!(ok, [true, true, true, false, false, false].map(Some));
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(line["line"].as_u64(), Some(n as u64 + 1));
    }
    assert!(lines[3]["error"].is_string() && lines[3]["column"].is_u64(), "{}", lines[3]);
    let said = site.succeed(&["explain", &path(&site, "access.log")]);
    assert_eq!(said.lines().count(), 6, "{said}");
    assert!(!said.contains('\u{1b}'), "a terminal would obey this");
}

/// In every place where a client puts a secret.
const SECRET: &str = "CANARYq7Zx";

/// Lines in the format `main`, each with the secret in it. All fail or are slow, so that they are kept as events.
fn secret_lines() -> String {
    let secret = SECRET;
    let requests = [
        format!(
            "GET /b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={secret}%2F20261120&X-Amz-Signature={secret} HTTP/1.1"
        ),
        format!("GET /b/k?X-Amz-Security-Token={secret}&partNumber=2 HTTP/1.1"),
        format!("GET /b/k?AWSAccessKeyId={secret}&Expires=1&Signature={secret} HTTP/1.1"),
        format!("PUT /b/k?uploadId={secret}&partNumber={secret} HTTP/1.1"),
        format!("GET /b/k?{secret} HTTP/1.1"),
        format!("GET /b/k?uploads{secret}=1&={secret}&&acl={secret} HTTP/1.1"),
        format!("GET /b/k?acl#{secret} HTTP/1.1"),
        format!("GET /swift/v1/c/o?temp_url_sig={secret}&temp_url_expires=1 HTTP/1.1"),
        format!("GET /admin/user?access-key={secret}&secret-key={secret} HTTP/1.1"),
        format!("POST /?Action=AssumeRoleWithWebIdentity&WebIdentityToken={secret} HTTP/1.1"),
        format!("GET http://user:{secret}@s3.example.com/b/k?token={secret} HTTP/1.1"),
        format!("GET http://{secret}@b.s3.example.com/k HTTP/1.1"),
        // What is no request, or only a part of one.
        format!("GET /b/k ?X-Amz-Signature={secret} HTTP/1.1"),
        format!("get /b/k?X-Amz-Signature={secret} HTTP/1.1"),
        format!("GET /b/k?X-Amz-Signature={secret}"),
        format!("GET http://user:{secret}@"),
        secret.to_owned(),
    ];
    // Long enough for whole windows.
    let start = traffic::now_ms() / 1_000 - 600;
    let time = |n: i64| {
        let time = chrono::DateTime::from_timestamp(start + n, 0).expect("a time");
        time.format("%d/%b/%Y:%H:%M:%S +0000").to_string()
    };
    let line = |(n, request): (usize, &String)| {
        let (status, time) = ([200, 403, 500][n % 3], time(n as i64 / 3));
        format!(
            "192.0.2.1 - {secret} [{time}] \"{request}\" {status} 300 400 \"https://x/?Signature={secret}\" \"agent/1\" \
             \"-\" \"12.000\"\n"
        )
    };
    let mut lines: String = requests.iter().cycle().take(3 * requests.len()).enumerate().map(line).collect();
    // What does not fit the format, in several ways.
    let time = time(20);
    lines.push_str(&format!("{secret}\n"));
    lines.push_str(&format!("192.0.2.1 - - [{time}] \"GET /b/k?X-Amz-Signature={secret} HTTP/1.1\" x\n"));
    lines.push_str(&format!(
        "192.0.2.1 - - [{secret}] \"GET /b/k?X-Amz-Signature={secret} HTTP/1.1\" 200 1 1\n"
    ));
    lines
}

#[test]
fn no_secret_of_a_request_gets_out() {
    let sink = Sink::start();
    let mut site = Site::new("main");
    site.output(&format!("name = \"sink\"\nkind = \"influxdb1\"\nurl = \"{}\"\ngzip = false\n", sink.url));
    let lines = secret_lines();
    fs::write(site.log(), &lines).expect("write");
    let (log, count) = (path(&site, "access.log"), lines.lines().count() as u64);

    let daemon = site.start();
    site.drain(daemon, count);
    let sent: Vec<String> = sink.lines().into_iter().collect();
    let events = sent.iter().filter(|line| line.starts_with("rgw_event,") && line.contains("uri=")).count();
    assert!(events > 20, "only {events} events have a URI to hide something in");

    let mut places = vec![("what was sent".to_owned(), sent.join("\n").into_bytes())];
    for arguments in [
        vec!["explain", &log],
        vec!["explain", "--json", &log],
        vec!["--log-level", "trace", "replay", "--to", "stdout", &log],
        vec!["--log-level", "trace", "replay", "--to", "store", "--node", "gw2", &log],
        vec!["report", &log],
        vec!["report", "--json", &log],
        vec!["report", "--json"],
        vec!["status", "--json"],
    ] {
        let output = site.rgwlens(&arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        places.push((format!("{arguments:?}"), [output.stdout, output.stderr].concat()));
    }
    for entry in fs::read_dir(site.path("")).expect("the folder") {
        let entry = entry.expect("an entry");
        if entry.file_name() != "access.log" {
            places.push((entry.path().display().to_string(), fs::read(entry.path()).expect("read")));
        }
    }
    assert!(places.iter().any(|(name, bytes)| name.ends_with("rgwlens.db") && bytes.len() > 10_000));
    let found = |bytes: &[u8]| memchr::memmem::find(bytes, SECRET.as_bytes());
    assert!(found(lines.as_bytes()).is_some(), "the search finds nothing");
    for (place, bytes) in places {
        if let Some(at) = found(&bytes) {
            let from = at.saturating_sub(200);
            panic!("{place} shows it: …{}", bytes[from..(at + 20).min(bytes.len())].escape_ascii());
        }
    }
}

#[test]
fn a_report_is_of_all_or_of_one_gateway_or_log() {
    let site = site(2_000);
    let log = path(&site, "access.log");
    for node in ["gw1", "gw2"] {
        site.succeed(&["replay", "--to", "store", "--node", node, &log]);
    }
    let requests = |options: &[&str]| -> u64 {
        let arguments: Vec<&str> = ["report", "--json"].iter().chain(options).copied().collect();
        let report: serde_json::Value = serde_json::from_str(&site.succeed(&arguments)).expect("JSON");
        report["total"]["requests"].as_u64().unwrap_or_else(|| panic!("{report}"))
    };
    let (all, one) = (requests(&[]), requests(&["--node", "gw2"]));
    assert!(one > 1_000 && all == 2 * one, "{all}, {one}");
    assert_eq!((requests(&["--log", "access"]), requests(&["--node", "gw1", "--log", "access"])), (all, one));
    assert_eq!((requests(&["--log", "other"]), requests(&["--node", "gw3"])), (0, 0));
}
