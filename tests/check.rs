//! `rgwlens check`, as an operator or a program calls it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const LINE: &str =
    r#"127.0.0.1 - - [21/Nov/2026:18:59:54 +0000] "GET /b/k HTTP/1.1" 200 300 12 "-" "x" "-" "0.031""#;

fn check(config: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rgwlens"))
        .args(["--config", config.to_str().unwrap(), "check"])
        .args(arguments)
        .env_remove("RGWLENS_NODE")
        .output()
        .unwrap()
}

/// Findings as `level subject: message`.
fn findings(output: &Output) -> Vec<String> {
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)));
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let line = |finding: &serde_json::Value| {
        // What is not well has a mend.
        assert_eq!(finding["mend"].is_null(), finding["level"] == "ok", "{finding}");
        format!("{} {}: {}", text(finding, "level"), text(finding, "subject"), text(finding, "message"))
    };
    findings.as_array().unwrap().iter().map(line).collect()
}

#[track_caller]
fn has(findings: &[String], start: &str, end: &str) {
    let is_it = |finding: &&String| finding.starts_with(start) && finding.ends_with(end);
    assert!(findings.iter().any(|finding| is_it(&finding)), "{start} … {end}: {findings:#?}");
}

struct Surroundings {
    directory: tempfile::TempDir,
}

impl Surroundings {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let surroundings = Self { directory };
        surroundings.write("access.log", &format!("{LINE}\n"));
        let log = surroundings.at("access.log");
        let log = log.display();
        let format = include_str!("../nginx/log_format.conf");
        let server =
            format!("server {{ server_name s3.example.com; access_log {log} main buffer=32k flush=10s; }}");
        surroundings.write("nginx.conf", "http { include conf.d/*.conf; }");
        surroundings.write("conf.d/format.conf", format);
        surroundings.write("conf.d/s3.conf", &server);
        surroundings
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        fs::write(self.at(name), text).unwrap();
    }

    fn config(&self, log_keys: &str) -> std::path::PathBuf {
        let (store, log) = (self.at("rgwlens.db"), self.at("access.log"));
        let text = format!(
            "node = \"n\"\n[store]\npath = {store:?}\nmax_bytes = \"16MiB\"\n[[log]]\npath = {log:?}\n{log_keys}\n"
        );
        self.write("rgwlens.toml", &text);
        self.at("rgwlens.toml")
    }
}

#[test]
fn what_works_and_what_is_to_be_considered() {
    let surroundings = Surroundings::new();
    let nginx = surroundings.at("nginx.conf");
    let output = check(
        &surroundings.config("format = \"main\""),
        &["--json", "--nginx-conf", nginx.to_str().unwrap()],
    );
    let found = findings(&output);
    assert_eq!(output.status.code(), Some(0), "{found:#?}");
    assert!(output.stderr.is_empty());
    has(&found, "ok configuration: ", "cluster \"ceph\", node \"n\", 1 log");
    has(&found, "ok log access: /", "bytes");
    has(&found, "ok log access: 1 of the last 1 lines are of the format main", "");
    has(&found, "warn log access: the format main works, but goes without $msec", "");
    has(&found, "ok nginx, log access: nginx writes it in the format main", "as configured");
    has(&found, "warn nginx, log access: ", "later ones count as second points");
    has(&found, "ok store: /", "will be made by the first run");
    has(&found, "ok outputs: none is configured", "");
    assert!(!surroundings.at("rgwlens.db").exists());
}

#[test]
fn what_does_not_work_is_in_the_exit_code() {
    let surroundings = Surroundings::new();
    let output = check(&surroundings.config("format = \"rgwlens\""), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    has(
        &findings(&output),
        "fail log access: only 0 of the last 1 lines are of the format rgwlens",
        "column 1",
    );
    let plain = check(&surroundings.config("format = \"rgwlens\""), &[]);
    let text = String::from_utf8(plain.stdout).unwrap();
    assert_eq!(plain.status.code(), Some(1));
    assert!(text.contains("\nfail log access: only 0"), "{text}");
    assert!(text.contains("\n       format = \"main\""), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a pipe: {text}");
}

#[test]
fn a_configuration_that_cannot_be_used() {
    let surroundings = Surroundings::new();
    let output = check(&surroundings.config("formt = \"main\""), &["--json"]);
    assert_eq!(output.status.code(), Some(2));
    has(&findings(&output), "fail configuration: log[0].formt", "did you mean format?");
    assert_eq!(check(Path::new("/nowhere.toml"), &["--json"]).status.code(), Some(2));
}
