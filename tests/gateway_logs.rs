//! RGW's own logs of the recorded requests: they say the same as nginx's log of them, and where nginx's does not show
//! what RGW knew, they know it.

mod support;

use std::collections::BTreeMap;

use rgwlens::access_log::{ClassifierSettings, GatewayLog, InputFormat, LogFormat, Release};
use rgwlens::follow::Lines;
use rgwlens::pipeline::{Counter, InputReader, Unit};
use rgwlens::stats::{Admission, Settings, SlowSettings, Totals, Windows};
use support::corpus::{self, EXTENDED, lines, text};

/// What a log says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    time_ms: i64,
    status: u16,
    operation: &'static str,
    class: &'static str,
    bucket: String,
    object: String,
    bytes_in: u64,
    bytes_out: u64,
    took_ms: Option<u32>,
    remote_addr: String,
    user: String,
}

fn settings() -> ClassifierSettings {
    ClassifierSettings {
        dns_names: vec!["s3.test.local".into()],
        website_dns_names: vec!["web.test.local".into()],
        release: Release::Pacific,
        ..ClassifierSettings::default()
    }
}

/// What stands on each of these lines, with its bytes; `None` for a reject.
fn read<'a>(
    format: impl Into<InputFormat>,
    lines: impl Iterator<Item = &'a [u8]>,
) -> Vec<(Vec<u8>, Option<Said>)> {
    let mut reader = InputReader::new(format.into(), settings());
    let mut all = Vec::new();
    for line in lines {
        reader.read(line, &SlowSettings::default(), |bytes, unit| match unit {
            Unit::Request(request, told) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let said = Said {
                    time_ms: request.record.time_ms,
                    status: request.record.status,
                    operation: request.operation.name(),
                    class: request.class.name(),
                    bucket: text(request.bucket),
                    object: text(request.object),
                    bytes_in: request.bytes_in,
                    bytes_out: request.bytes_out,
                    took_ms: request.record.request_time_ms,
                    remote_addr: text(request.record.remote_addr.unwrap_or_default()),
                    user: text(told.user),
                };
                all.push((bytes.to_vec(), Some(said)));
            }
            Unit::Rejected(_) => all.push((bytes.to_vec(), None)),
            Unit::Skipped => {}
        });
    }
    all
}

/// By the id that nginx sent along: the row of truth.tsv, and what nginx's line says.
fn by_request_id() -> BTreeMap<String, (Vec<String>, Said)> {
    let (log, truth) = (corpus::read("extended.log"), corpus::read("truth.tsv"));
    let nginx = read(LogFormat::compile(EXTENDED).unwrap(), lines(&log));
    assert_eq!(nginx.len() + 1, lines(&truth).count());
    let rows =
        lines(&truth).skip(1).map(|row| row.split(|byte| *byte == b'\t').map(text).collect::<Vec<_>>());
    rows.zip(nginx).map(|(row, (_, said))| (row[8].clone(), (row, said.expect("a request")))).collect()
}

fn request_id(entry: &[u8]) -> String {
    let mark = b"{\"HTTP_X_REQUEST_ID\":\"";
    let at = memchr::memmem::find(entry, mark).expect("an id") + mark.len();
    String::from_utf8_lossy(&entry[at..at + 32]).into_owned()
}

#[test]
fn the_ops_log_agrees_with_nginx_and_knows_what_nginx_cannot() {
    let ops = corpus::read_zst("ops.log.zst");
    let others = by_request_id();
    let unseen = corpus::unseen();
    let entries = read(GatewayLog::Ops, lines(&ops));
    assert_eq!(entries.len(), 908);
    let mut surprises = Vec::new();
    let mut learned = 0;
    for (entry, said) in &entries {
        let (row, nginx) = &others[&request_id(entry)];
        let said = said.as_ref().expect("a request");
        let line: usize = row[0].parse().unwrap();
        let mut compare = |what: &'static str, nginx: &str, said: &str, truth: &str| {
            let hidden = unseen.contains_key(&(line, what));
            learned += usize::from(hidden);
            if said != truth || !hidden && said != nginx {
                surprises
                    .push(format!("line {line}: {what}: truth {truth:?}, ops log {said:?}, nginx {nginx:?}"));
            }
        };
        compare("operation", nginx.operation, said.operation, &row[4]);
        compare("bucket", &nginx.bucket, &said.bucket, &row[5]);
        // This release has no object in its ops log: it comes from the target.
        if !unseen.contains_key(&(line, "object")) && said.object != nginx.object {
            surprises.push(format!("line {line}: object {:?}, nginx {:?}", said.object, nginx.object));
        }
        // RGW's own account, whatever nginx answered in the end.
        assert_eq!(said.status.to_string(), row[11], "line {line}");
        assert_eq!(
            (said.bytes_out.to_string(), said.bytes_in.to_string()),
            (row[12].clone(), row[13].clone())
        );
        // The ends lie together, though the one log has a beginning: RGW's clock has steps of 4 ms, nginx has to send.
        let apart = nginx.time_ms - said.time_ms;
        assert!((-8..=1000).contains(&apart), "line {line}: {apart} ms apart");
        assert!(!said.user.is_empty(), "line {line}");
    }
    assert_eq!(surprises, Vec::<String>::new());
    assert!(learned > 10, "{learned}");
}

/// Lines counted as `replay` does, in blocks of this many bytes or so.
fn counted(format: GatewayLog, log: &[u8], block: usize) -> Totals {
    let windows = Windows::replay(Settings::default(), Admission::default());
    let mut counter = Counter::new(format, settings(), SlowSettings::default(), windows);
    let mut rest = log;
    while !rest.is_empty() {
        let from = block.min(rest.len() - 1);
        let end = memchr::memchr(b'\n', &rest[from..]).expect("whole lines") + from + 1;
        counter.count(Lines { bytes: &rest[..end], now_ms: None });
        rest = &rest[end..];
    }
    counter.windows.totals()
}

#[test]
fn access_lines_agree_with_nginx() {
    let log = corpus::read_zst("radosgw.log.zst");
    let lines_in_all = lines(&log).count() as u64;
    let entries = read(GatewayLog::Civetweb, lines(&log));
    // The one that civetweb cut, because it is longer than 4 KiB.
    let rejected = entries.iter().filter(|(_, said)| said.is_none()).count() as u64;
    assert_eq!((entries.len(), rejected), (1108, 1));
    let totals = counted(GatewayLog::Civetweb, &log, 10_000);
    assert!(totals.conserved());
    assert_eq!((totals.counted, totals.rejected), (1107, 1));
    assert_eq!(totals.lines + totals.skipped, lines_in_all, "{totals:?}");

    // Path style requests of which there is one with this target: what both say.
    let log = corpus::read("extended.log");
    let nginx = read(LogFormat::compile(EXTENDED).unwrap(), lines(&log));
    let target = |line: &[u8]| {
        let request = line.split(|byte| *byte == b'"').nth(1)?;
        (!request.contains(&b'\\')).then(|| request.to_vec())
    };
    let mut by_target: BTreeMap<Vec<u8>, Vec<&Said>> = BTreeMap::new();
    for (line, said) in &nginx {
        if let (Some(target), Some(said)) = (target(line), said) {
            by_target.entry(target).or_default().push(said);
        }
    }
    let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    entries
        .iter()
        .filter_map(|(line, _)| target(line))
        .for_each(|target| *seen.entry(target).or_default() += 1);
    let mut compared = 0;
    for (line, said) in &entries {
        let (Some(target), Some(said)) = (target(line), said) else { continue };
        let Some([nginx]) = by_target.get(&target).map(Vec::as_slice) else { continue };
        let copied = nginx.operation == "copy_obj";
        // What only the host shows: the bucket of a virtual host, a website.
        let host = nginx.bucket != said.bucket || nginx.class == "website";
        if seen[&target] != 1 || copied || host {
            continue;
        }
        compared += 1;
        assert_eq!((said.operation, said.class, &said.object), (nginx.operation, nginx.class, &nginx.object));
        assert!((nginx.time_ms - said.time_ms).abs() <= 1000, "{}", line.escape_ascii());
        assert_eq!(said.took_ms, None);
    }
    assert!(compared > 400, "{compared}");
}

#[test]
fn an_ops_log_counts_the_same_however_it_was_flushed() {
    let ops = corpus::read_zst("ops.log.zst");
    let apart = counted(GatewayLog::Ops, &ops, 5_000);
    assert_eq!((apart.counted, apart.rejected, apart.skipped), (908, 0, 0));
    // Many on a line and an empty one after it, as RGW writes when it is busy; and as it writes to its socket.
    let mut glued = Vec::new();
    let mut sent = b"[".to_vec();
    for (n, entry) in lines(&ops).enumerate() {
        glued.extend_from_slice(entry);
        if n % 7 == 6 {
            glued.extend_from_slice(b"\n\n");
        }
        sent.extend_from_slice(entry);
        sent.extend_from_slice(b",\n");
    }
    glued.push(b'\n');
    for block in [1, 10_000, 1 << 20] {
        let glued = counted(GatewayLog::Ops, &glued, block);
        assert_eq!(Totals { skipped: 0, ..glued }, apart);
        assert_eq!(glued.skipped, 908 / 7, "the empty lines");
        assert_eq!(counted(GatewayLog::Ops, &sent, block), apart);
    }
}

/// One of each of these from the recorded ops log, three on a line, with what may go wrong between them.
#[cfg(feature = "cli")]
fn a_little_of_everything() -> Vec<u8> {
    let ops = corpus::read_zst("ops.log.zst");
    let first = |mark: &str| {
        let found = lines(&ops).find(|entry| memchr::memmem::find(entry, mark.as_bytes()).is_some());
        found.unwrap_or_else(|| panic!("no {mark}"))
    };
    let marks = [
        "\"create_bucket\"",
        "\"put_obj\"",
        "\"uri\":\"HEAD /3-dev-num/",
        "\"uri\":\"GET /swift/v1/",
        "\"copy_obj\"",
        "\"multi_object_delete\"",
        "\"put_obj_metadata\"",
        "\"user\":\"acme$",
        "\"error_code\":\"NoSuchKey\"",
        "\"init_multipart\"",
        "\"post_obj\"",
    ];
    let mut log = Vec::new();
    for (n, entry) in marks.iter().map(|mark| first(mark)).enumerate() {
        log.extend_from_slice(entry);
        if n % 3 == 2 {
            log.extend_from_slice(b"\n\n");
        }
    }
    let put = first(marks[1]);
    log.extend_from_slice(&put[..200]);
    log.extend_from_slice(put);
    log.extend_from_slice(b"\n{\"bucket\":\"b\",\"http_status\":\"200\"}\nnothing of RGW's\n");
    log
}

#[cfg(feature = "cli")]
#[test]
fn explain_says_what_it_said_before() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ops.log");
    std::fs::write(&log, a_little_of_everything()).unwrap();
    let mut command = support::site::program();
    command.args(["--config", "/dev/null", "explain", "--rgw-release", "pacific", "--log-format", "rgw-ops"]);
    let output = command.arg(&log).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/explain-rgw-ops.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &said).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    assert!(said == golden, "differs from {path} (UPDATE_GOLDEN=1 writes it anew):\n{said}");
}
