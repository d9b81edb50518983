//! The recorded requests through the whole program: `explain` and `replay` name them as the gateway did.
#![cfg(feature = "cli")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use support::corpus::{self, EXTENDED, lines, text};
use support::points;
use support::site::program;

/// Options that say what that gateway was.
const GATEWAY: [&str; 6] =
    ["--log-format", EXTENDED, "--dns-name", "s3.test.local", "--rgw-release", "pacific"];

fn rgwlens(arguments: &[&str]) -> String {
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/extended.log");
    // No configuration of this machine.
    let mut command = program();
    command.args(["--config", "/dev/null"]).args(arguments);
    command.args(GATEWAY).args(["--website-dns-name", "web.test.local"]).arg(log);
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A row of truth.tsv.
struct Truth {
    line: usize,
    status: u64,
    operation: String,
    bucket: String,
    /// What knows it: `ops`, `debug`, or nobody.
    source: String,
}

fn truth() -> Vec<Truth> {
    let file = corpus::read("truth.tsv");
    let row = |row: &[u8]| {
        let fields: Vec<String> = row.split(|byte| *byte == b'\t').map(text).collect();
        let number = |n: usize| fields[n].parse().expect("a number");
        Truth {
            line: number(0),
            status: number(3) as u64,
            operation: fields[4].clone(),
            bucket: fields[5].clone(),
            source: fields[10].clone(),
        }
    };
    lines(&file).skip(1).map(row).collect()
}

/// What `explain --json` says of every line.
fn explained() -> Vec<serde_json::Value> {
    let said = rgwlens(&["explain", "--json"]);
    said.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn explain_names_requests_as_the_gateway_did() {
    let (truth, explained) = (truth(), explained());
    assert_eq!(explained.len(), truth.len());
    let mut unseen = corpus::unseen();
    unseen.retain(|(_, part), _| *part != "object");
    let mut surprises = Vec::new();
    for (truth, said) in truth.iter().zip(&explained) {
        let word = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        assert_eq!((said["line"].as_u64(), &said["ok"]), (Some(truth.line as u64), &true.into()));
        assert_eq!(said["status"].as_u64(), Some(truth.status), "line {}", truth.line);
        let bucket = match (word("tenant"), word("bucket")) {
            (tenant, bucket) if tenant.is_empty() => bucket,
            (tenant, bucket) => format!("{tenant}/{bucket}"),
        };
        let parts: &[_] = match &*truth.source {
            "ops" => &[
                ("operation", truth.operation.clone(), word("operation")),
                ("bucket", truth.bucket.clone(), bucket),
            ],
            "debug" => &[("operation", truth.operation.clone(), word("operation"))],
            _ => &[],
        };
        for (part, truth_says, we_say) in parts {
            let explained = unseen.remove(&(truth.line, *part)).is_some();
            if explained == (truth_says == we_say) {
                surprises.push(format!("line {}: {part} is {truth_says}, we say {we_say}", truth.line));
            }
        }
    }
    assert_eq!(surprises, Vec::<String>::new());
    assert!(unseen.is_empty(), "listed, but no difference: {unseen:?}");
}

#[test]
fn replay_counts_what_explain_names() {
    let points = points::parse(&rgwlens(&["replay", "--node", "gw1", "--to", "stdout"]));
    let truth = truth();
    for measurement in ["rgw_node", "rgw_bucket", "rgw_operation", "rgw_status"] {
        assert_eq!(points::sum(&points, measurement, "requests"), truth.len() as u64, "{measurement}");
    }
    let mut counted: BTreeMap<String, i64> = BTreeMap::new();
    for point in points.iter().filter(|point| point.measurement == "rgw_operation") {
        *counted.entry(point.tag("operation").to_owned()).or_default() += point.count("requests") as i64;
    }
    let mut expected: BTreeMap<String, i64> = BTreeMap::new();
    // The gateway's own names, but for the lines that only it could name, and for those it never named.
    let (unseen, explained) = (corpus::unseen(), explained());
    for (truth, said) in truth.iter().zip(&explained) {
        let named =
            matches!(&*truth.source, "ops" | "debug") && !unseen.contains_key(&(truth.line, "operation"));
        let name = if named { &*truth.operation } else { said["operation"].as_str().expect("a name") };
        *expected.entry(name.to_owned()).or_default() += 1;
    }
    assert_eq!(counted, expected);

    let mut statuses: BTreeMap<String, u64> = BTreeMap::new();
    for point in points.iter().filter(|point| point.measurement == "rgw_status") {
        *statuses.entry(point.tag("status").to_owned()).or_default() += point.count("requests");
    }
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for truth in &truth {
        *expected.entry(format!("{:03}", truth.status)).or_default() += 1;
    }
    assert_eq!(statuses, expected);
}
