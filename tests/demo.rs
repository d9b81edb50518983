//! `rgwlens demo`: what it shows is what was recorded, all of it, and it leaves nothing behind.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use regex::bytes::Regex;

const PACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/demo.log.zst");

/// The corpus in the format `rgwlens`.
fn recorded() -> Vec<u8> {
    let corpus = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/extended.log")).unwrap();
    let quoted = r#""([^"]*)""#;
    let line = [
        r"^(?<addr>\S+) - .*? \[(?<local>[^\]]{26})\] ",
        r#""(?<request>[^"]*)" (?<status>\d+) (?<length>\d+) (?<body>\d+) "[^"]*" "#,
        r#""(?<agent>[^"]*)" "(?<forwarded>[^"]*)" "(?<time>[^"]*)" (?<msec>\S+) "(?<host>[^"]*)" "#,
        r#""(?<upstream>[^"]*)" "(?<ustatus>[^"]*)" "(?<utime>[^"]*)" "(?<uheader>[^"]*)" "#,
        quoted,
        r#" (?<sent>\d+) "(?<copy>[^"]*)"$"#,
    ];
    let line = Regex::new(&line.concat()).unwrap();
    let mut out = Vec::new();
    for text in corpus.split(|byte| *byte == b'\n').filter(|text| !text.is_empty()) {
        let fields = line.captures(text).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(text)));
        let local = std::str::from_utf8(&fields["local"]).unwrap();
        let time = chrono::DateTime::parse_from_str(local, "%d/%b/%Y:%H:%M:%S %z").unwrap();
        let iso = time.to_rfc3339_opts(chrono::SecondsFormat::Secs, false);
        let pieces: [(&[u8], &str); 22] = [
            (b"", "msec"),
            (b" ", &iso),
            (b" ", "addr"),
            (b" ", "status"),
            (b" ", "time"),
            (b" ", "length"),
            (b" ", "body"),
            (b" ", "sent"),
            (b" \"", "upstream"),
            (b"\" \"", "ustatus"),
            (b"\" \"", "uheader"),
            (b"\" \"", "utime"),
            (b"\" \"", "-"),
            (b"\" \"", "-"),
            (b"\" \"", "-"),
            (b"\" \"", "host"),
            (b"\" \"", "request"),
            (b"\" \"", "copy"),
            (b"\" \"", "-"),
            (b"\" \"", "agent"),
            (b"\" \"", "forwarded"),
            (b"\"\n", ""),
        ];
        for (before, what) in pieces {
            out.extend_from_slice(before);
            out.extend_from_slice(fields.name(what).map_or(what.as_bytes(), |field| field.as_bytes()));
        }
    }
    out
}

/// What is bundled is the corpus, line by line. To make it anew: RGWLENS_MAKE_DEMO=1 cargo test --test demo
#[test]
fn the_bundled_requests_are_the_recorded_ones() {
    let recorded = recorded();
    if std::env::var_os("RGWLENS_MAKE_DEMO").is_some() {
        fs::write(PACKED, zstd::encode_all(recorded.as_slice(), 19).unwrap()).unwrap();
    }
    let bundled = zstd::decode_all(fs::read(PACKED).unwrap().as_slice()).unwrap();
    assert!(bundled == recorded, "examples/demo.log.zst is not made from tests/corpus");
}

fn demo(temporary: &Path, arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_rgwlens"))
        .arg("demo")
        .args(arguments)
        .env("TMPDIR", temporary)
        // A configuration of this machine is none of its business.
        .env("RGWLENS_NODE", "")
        .env("RGWLENS_STORE__PATH", "/nowhere/rgwlens.db")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    (output, text)
}

#[test]
fn every_request_is_shown_and_nothing_is_left_behind() {
    let lines = recorded().iter().filter(|byte| **byte == b'\n').count();
    let temporary = tempfile::tempdir().unwrap();
    let (output, text) = demo(temporary.path(), &[]);
    assert!(text.starts_with(&format!("{lines} requests")), "{text}");
    let books = format!("\n{lines} lines = {lines} counted + 0 rejected + 0 expired, 0 of them late\n");
    assert!(text.contains(&books), "{text}");
    // What the store holds, class by class, adds up to the same.
    let table = text.lines().skip_while(|line| !line.starts_with("class ")).skip(2);
    let requests =
        table.map_while(|row| row.split_whitespace().nth(2)?.replace(',', "").parse::<usize>().ok());
    assert_eq!(requests.sum::<usize>(), lines, "{text}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn what_is_kept_can_be_looked_at() {
    let temporary = tempfile::tempdir().unwrap();
    let kept = temporary.path().join("kept");
    let (_, text) = demo(temporary.path(), &["--keep", kept.to_str().unwrap()]);
    let config = kept.join("rgwlens.toml");
    assert!(text.contains(&format!("rgwlens --config {} report", config.display())), "{text}");
    // The log is of the format that the configuration says.
    let explain = Command::new(env!("CARGO_BIN_EXE_rgwlens"))
        .args(["--config", config.to_str().unwrap(), "explain", "--json"])
        .arg(kept.join("access.log"))
        .output()
        .unwrap();
    let explained = String::from_utf8(explain.stdout).unwrap();
    assert_eq!(
        explained.lines().count(),
        fs::read_to_string(kept.join("access.log")).unwrap().lines().count()
    );
    assert!(explained.lines().all(|line| line.contains("\"ok\":true")));
    assert!(kept.join("rgwlens.db").exists());
    // A second one does not write over the first.
    let again = Command::new(env!("CARGO_BIN_EXE_rgwlens"))
        .args(["demo", "--keep", kept.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(1));
}
