//! `scripts/compare` takes rgwlens for right only where another program says the same, and notices when it does not.
#![cfg(feature = "cli")]

#[path = "../examples/generate/traffic.rs"]
mod traffic;

use std::{fs, path::Path, process::Command};

use traffic::Traffic;

/// Standard output and error of a comparison with mawk, if it ended well.
fn compare(log: &[u8]) -> Result<String, String> {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("access.log");
    fs::write(&path, log).unwrap();
    let run = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/compare"))
        .env("RGWLENS", env!("CARGO_BIN_EXE_rgwlens"))
        .args(["--rounds", "1", "--only", "mawk", "--only", "wc -l", "--log"])
        .arg(&path)
        .arg("--work")
        .arg(work.path())
        .output()
        .unwrap();
    let [out, err] = [run.stdout, run.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    if run.status.success() { Ok(out) } else { Err(err) }
}

fn traffic(lines: usize) -> Vec<u8> {
    let mut traffic = Traffic::new(50, 1);
    let mut log = Vec::new();
    (0..lines).for_each(|_| log.extend_from_slice(traffic.line()));
    log
}

#[test]
fn programs_that_agree_are_measured() {
    let tables = compare(&traffic(5_000)).unwrap_or_else(|error| panic!("{error}"));
    // Six of each of the 49 buckets that occur, and of those without a name.
    assert!(
        tables
            .contains("| requests and bytes by bucket and outcome; no windows, no latencies | 300 figures |"),
        "{tables}"
    );
    let row = tables.lines().find(|line| line.starts_with("| mawk |")).unwrap();
    assert!(row.ends_with(" MiB |"), "{row}");
}

/// Rgwlens decodes a path, awk does not.
#[test]
fn a_difference_ends_it() {
    let mut log = traffic(5_000);
    log.extend_from_slice(b"192.0.2.1 - - [12/Aug/2025:00:00:02 +0000] \"GET /tenant%2Ddata-eu-00001/key HTTP/1.1\" 200 600 7 \"-\" \"-\" \"-\" \"0.001\"\n");
    let error = compare(&log).expect_err("a difference");
    assert!(error.contains("figures differ, so nothing is measured"), "{error}");
}
