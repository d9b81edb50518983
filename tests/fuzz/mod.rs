//! What must hold of any bytes whatever, one function for each thing that reads what strangers, operators or disks write.
//! `fuzz/` runs them under libFuzzer, `tests/fuzz_smoke.rs` for a moment in every test run.

mod points;

use rgwlens::access_log::{
    Asked, Classifier, ClassifierSettings, GatewayLog, GatewayParser, HealthSettings, LineParser, LogFormat,
    MarkKey, Parsed, ProbeSettings, nginx_conf, parse_msec, parse_time_iso8601, parse_time_local,
    redacted_uri, unescape, valid_bucket,
};
use rgwlens::follow::Position;
use rgwlens::pipeline::InputReader;
use rgwlens::stats::{Contents, SlowSettings};

/// A body: panics if what it is about does not hold.
pub(crate) type Body = fn(&[u8]);

/// All of them, by the names of their targets in `fuzz/`.
pub(crate) const BODIES: &[(&str, Body)] = &[
    ("line", line),
    ("gateway_log", gateway_log),
    ("log_format", log_format),
    ("times", times),
    ("request", request),
    ("nginx_conf", nginx_conf),
    ("contents", contents),
    ("line_protocol", points::line_protocol),
    ("position", position),
    #[cfg(feature = "cli")]
    ("config", config),
    #[cfg(feature = "cli")]
    ("ceph", ceph),
];

/// Runs one by its name.
#[allow(dead_code, reason = "targets run one, the smoke test all")]
pub(crate) fn run(name: &str, data: &[u8]) {
    let (_, body) = BODIES.iter().find(|(known, _)| *known == name).expect("a body of this name");
    body(data);
}

/// Pieces of the input: fields of whatever is built from it.
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == 0xFF).chain(std::iter::repeat(&b""[..]))
}

fn is_part_of(part: &[u8], whole: &[u8]) -> bool {
    whole.as_ptr_range().start <= part.as_ptr() && part.as_ptr_range().end <= whole.as_ptr_range().end
}

/// A line means the same to a parser that has seen another one and to one that has not, in each format that has a name; what
/// it gives is part of the line; and any request in it can be classified.
fn line(data: &[u8]) {
    thread_local! {
        static USED: std::cell::RefCell<Vec<(LineParser, LineParser)>> = std::cell::RefCell::new(
            LogFormat::NAMES
                .iter()
                .map(|name| LineParser::new(LogFormat::named(name).expect("a format that we ship")))
                .map(|parser| (parser.clone(), parser))
                .collect()
        );
    }
    USED.with_borrow_mut(|parsers| {
        for (fresh, used) in parsers {
            for line in data.split(|byte| *byte == b'\n') {
                let first = fresh.clone().parse(line);
                assert_eq!(first, used.parse(line), "a parser remembers what it must not");
                match first {
                    Ok(record) => {
                        for part in [record.request, record.method, record.uri] {
                            assert!(part.is_empty() || is_part_of(part, line));
                        }
                        let mut scratch = Vec::new();
                        let uri = unescape(record.uri, record.escape, &mut scratch);
                        assert!(uri.len() <= record.uri.len());
                    }
                    Err(reject) => assert!((1..=line.len() + 1).contains(&reject.column), "{reject}"),
                }
            }
        }
    });
}

/// A line of RGW's own logs means the same to a parser that has seen another one; what stands on it does not overlap, and
/// all of an ops log's line that is not a separator belongs to something; and any of it can be classified.
fn gateway_log(data: &[u8]) {
    thread_local! {
        static USED: std::cell::RefCell<Vec<(GatewayLog, GatewayParser, InputReader)>> = std::cell::RefCell::new(
            GatewayLog::NAMES
                .iter()
                .map(|name| GatewayLog::named(name).expect("a name of its own list"))
                .map(|log| (log, GatewayParser::new(log), InputReader::new(log.into(), ClassifierSettings::default())))
                .collect()
        );
    }
    USED.with_borrow_mut(|used| {
        for (log, parser, reader) in used {
            for line in data.split(|byte| *byte == b'\n') {
                let (mut first, mut again) = (Vec::new(), Vec::new());
                GatewayParser::new(*log).parse(line, |bytes, parsed| first.push((bytes, parsed)));
                parser.parse(line, |bytes, parsed| again.push((bytes, parsed)));
                assert_eq!(first, again, "a parser remembers what it must not");
                assert!(!first.is_empty(), "every line is something");
                let mut rest = line;
                for (bytes, parsed) in &first {
                    assert!(is_part_of(bytes, line));
                    let before = bytes.as_ptr() as usize - rest.as_ptr() as usize;
                    assert!(
                        rest[..before].iter().all(|byte| b" \t\r,[]".contains(byte)),
                        "nothing is left out"
                    );
                    rest = &rest[before + bytes.len()..];
                    match parsed {
                        Parsed::Record(record, told) => {
                            for part in [record.method, record.uri, told.bucket, told.object, told.user] {
                                assert!(part.is_empty() || is_part_of(part, bytes));
                            }
                        }
                        Parsed::Rejected(reject) => assert!((1..=line.len() + 1).contains(&reject.column)),
                        Parsed::Skipped => assert_eq!(first.len(), 1),
                    }
                }
                assert!(rest.iter().all(|byte| b" \t\r,[]".contains(byte)), "nothing is left over");
                let mut units = 0;
                reader.read(line, &SlowSettings::default(), |_, _| units += 1);
                assert_eq!(units, first.len());
            }
        }
    });
}

/// A directive compiles or says why not; if it does, any line can be put to it.
fn log_format(data: &[u8]) {
    let mut pieces = pieces(data);
    let Ok(directive) = std::str::from_utf8(pieces.next().unwrap_or_default()) else { return };
    match LogFormat::compile(directive) {
        Ok(format) => {
            assert!(format.writes_the_same_as(&LogFormat::compile(directive).expect("as before")));
            let mut parser = LineParser::new(format);
            for line in pieces.take(3).chain([&data[..directive.len()]]) {
                let _ = parser.parse(line);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What is taken for a time is one to chrono too, and the same.
fn times(data: &[u8]) {
    use chrono::DateTime;
    let text = std::str::from_utf8(data).unwrap_or_default();
    if let Ok(ms) = parse_time_iso8601(data) {
        assert_eq!(DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis()), Ok(ms), "{text}");
    }
    if let Ok(ms) = parse_time_local(data) {
        let time = DateTime::parse_from_str(text, "%d/%b/%Y:%H:%M:%S %z");
        assert_eq!(time.map(|time| time.timestamp_millis()), Ok(ms), "{text}");
    }
    if let Ok(ms) = parse_msec(data) {
        assert_eq!(text.replace('.', "").parse(), Ok(ms), "{text}");
    }
}

/// Any request has a name, whatever it says, and the same one each time; no secret survives redaction.
fn request(data: &[u8]) {
    let (flags, data) = data.split_first_chunk::<4>().unwrap_or((&[0; 4], data));
    let mut pieces = pieces(data);
    let mut next = || pieces.next().unwrap_or_default();
    let optional = |bit: u8, piece| (flags[0] & bit != 0).then_some(piece);
    let asked = Asked {
        method: next(),
        uri: next(),
        host: optional(1, next()),
        host_as_sent: flags[0] & 128 != 0,
        status: u16::from_le_bytes([flags[1], flags[2]]),
        remote_addr: optional(2, next()),
        user_agent: optional(4, next()),
        time_ms: 0,
        has_copy_source: flags[0] & 8 != 0,
        has_copy_from: flags[0] & 16 != 0,
        destination: optional(32, next()),
        is_form: flags[0] & 64 != 0,
    };
    let names = || vec!["s3.example.com".to_owned()];
    let settings = ClassifierSettings {
        dns_names: names(),
        website_dns_names: vec!["web.example.com".to_owned()],
        health: HealthSettings::default(),
        probe: ProbeSettings { key: Some(MarkKey::new(b"key")), addresses: names() },
        ..ClassifierSettings::default()
    };
    for settings in [ClassifierSettings::default(), settings] {
        let classifier = Classifier::new(settings);
        let (mut scratch, mut again) = (Vec::new(), vec![7; 3]);
        let classified = classifier.classify(&asked, &mut scratch);
        assert_eq!(classified, classifier.classify(&asked, &mut again));
        let _ = valid_bucket(classified.tenant, classified.bucket);
        let said = asked.uri.len() + asked.host.map_or(0, <[u8]>::len);
        assert!(classified.bucket.len() + classified.object.len() + classified.tenant.len() <= said);
    }
    let (mut redacted, mut again) = (Vec::new(), Vec::new());
    redacted_uri(asked.uri, &mut redacted);
    assert!(redacted.len() <= asked.uri.len());
    let query = |uri: &[u8]| uri.split(|byte| *byte == b'?').nth(1).map(<[u8]>::to_vec).unwrap_or_default();
    assert!(!query(&redacted).contains(&b'='), "a value survives");
    redacted_uri(&redacted, &mut again);
    assert_eq!(redacted, again, "what is redacted has nothing left to redact");
}

/// A configuration of nginx can be read or it is said why not, and so can each format in it.
fn nginx_conf(data: &[u8]) {
    let mut pieces = pieces(data);
    let Ok(text) = std::str::from_utf8(pieces.next().unwrap_or_default()) else { return };
    let included = String::from_utf8_lossy(pieces.next().unwrap_or_default()).into_owned();
    let mut includes = 0;
    let read = nginx_conf::read("nginx.conf", text, |pattern| {
        includes += 1;
        if includes > 20 || pattern.contains('!') {
            return Err("no such file".to_owned());
        }
        Ok(vec![nginx_conf::Included { name: "included.conf".to_owned(), text: included.clone() }])
    });
    match read {
        Ok(conf) => {
            for format in &conf.formats {
                let _ = format.compile();
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Stored contents are refused, or are whole: they can be written, read, merged, and made points of.
fn contents(data: &[u8]) {
    let Ok(contents) = Contents::decode(data) else { return };
    let mut bytes = Vec::new();
    contents.encode(&mut bytes);
    assert!(bytes.len() <= data.len(), "written longer than it was read");
    assert_eq!(Contents::decode(&bytes).as_ref(), Ok(&contents));
    for series in contents.series() {
        let _ = contents.name(series.key);
    }
    let mut merged = Contents::default();
    merged.merge(contents.clone());
    merged.merge(contents);
    let _ = merged.node_requests();
    bytes.clear();
    merged.encode(&mut bytes);
    assert_eq!(Contents::decode(&bytes), Ok(merged));
}

/// A stored position is refused, or says the same once it is stored again.
fn position(data: &[u8]) {
    let Ok(position) = serde_json::from_slice::<Position>(data) else { return };
    let text = serde_json::to_string(&position).expect("JSON");
    assert_eq!(serde_json::from_str::<Position>(&text).expect("its own JSON"), position);
}

/// A configuration is good, or it is said what is wrong.
#[cfg(feature = "cli")]
fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match rgwlens::config::Config::from_toml(text) {
        Ok(config) => assert!(!config.logs.is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Whatever the `ceph` command says, and whatever it says to which question: no panic, no number that is none, and the
/// same points for the same words.
#[cfg(feature = "cli")]
fn ceph(data: &[u8]) {
    use rgwlens::ceph::{IopsSettings, Question, Snapshot, write_points};
    use rgwlens::point::Field;
    let points = || {
        let mut snapshot = Snapshot::default();
        // Several answers, one after the other, each with its question in front.
        for said in data.split(|byte| *byte == 0xFF) {
            let Some((question, said)) = said.split_first() else { continue };
            let question = Question::ALL[*question as usize % Question::ALL.len()];
            let before = snapshot.clone();
            if snapshot.take(question, said).is_err() {
                assert!(snapshot == before, "a bad answer changed something");
            }
        }
        write_points(&snapshot, &IopsSettings::default(), true, 0)
    };
    let once = points();
    assert_eq!(once, points());
    for point in once {
        assert!(!point.fields.is_empty(), "{point:?}");
        for (name, field) in &point.fields {
            assert!(!matches!(field, Field::Float(number) if !number.is_finite()), "{name}: {point:?}");
        }
    }
}
