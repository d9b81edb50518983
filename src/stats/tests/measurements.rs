//! Every measurement, every field, once: the contract that databases and dashboards hold us to.

use std::fmt::Write as _;

use super::fixture::{Line, START_MS, check_parts, line, replay};
use crate::{
    access_log::{Class, Operation},
    point::{PointWriter, Tags, TimestampNs},
    stats::{EventSettings, MEASUREMENTS, Part, Settings, write_points},
};

/// Points as text: a line for the point, a line for its time, a line for each field.
#[derive(Debug, Default)]
pub(super) struct Dump {
    text: String,
    fields: String,
    /// Measurement, tags, fields.
    points: Vec<(String, Texts, Texts)>,
}

/// Keys, and values as text.
type Texts = Vec<(String, String)>;

impl Dump {
    fn field(&mut self, key: &str, value: String) {
        writeln!(self.fields, "    {key} = {value}").unwrap();
        self.points.last_mut().unwrap().2.push((key.into(), value));
    }

    /// The field of the one point that has these tags.
    fn value(&self, measurement: &str, tags: &[(&str, &str)], field: &str) -> &str {
        let has = |(key, value): &(&str, &str), point: &[(String, String)]| {
            point.iter().any(|(k, v)| k == key && v == value)
        };
        let mut found =
            self.points.iter().filter(|(m, t, _)| m == measurement && tags.iter().all(|tag| has(tag, t)));
        let (_, _, fields) = found.next().unwrap_or_else(|| panic!("no {measurement} with {tags:?}"));
        assert!(found.next().is_none(), "more than one {measurement} with {tags:?}");
        let (_, value) =
            fields.iter().find(|(key, _)| key == field).unwrap_or_else(|| panic!("no field {field}"));
        value
    }
}

impl PointWriter for Dump {
    fn begin(&mut self, measurement: &str) {
        write!(self.text, "{measurement}").unwrap();
        self.points.push((measurement.into(), Vec::new(), Vec::new()));
    }
    fn tag(&mut self, key: &str, value: &str) {
        write!(self.text, " {key}={value}").unwrap();
        self.points.last_mut().unwrap().1.push((key.into(), value.into()));
    }
    fn integer(&mut self, key: &str, value: u64) {
        self.field(key, format!("{value}i"));
    }
    fn float(&mut self, key: &str, value: f64) {
        self.field(key, format!("{value:?}"));
    }
    fn boolean(&mut self, key: &str, value: bool) {
        self.field(key, value.to_string());
    }
    fn text(&mut self, key: &str, value: &str) {
        self.field(key, format!("{value:?}"));
    }
    fn end(&mut self, time: TimestampNs) {
        assert!(!self.fields.is_empty(), "a point without fields is none");
        writeln!(self.text, " @{time}").unwrap();
        self.text.push_str(&std::mem::take(&mut self.fields));
    }
}

/// Downloads of 10, 20, 30 and 40 ms, a large one, a slow upload behind a retry, and each way to fail.
fn requests() -> Vec<Line> {
    let download = |time, ms, bytes_out| Line {
        request_time_ms: Some(ms),
        bytes_out,
        upstream: Some("10.0.0.1:7480"),
        ..line(START_MS + time, "photos")
    };
    let mut requests = vec![
        download(0, 10, 1_000),
        download(1_000, 20, 5_000),
        download(2_000, 30, 100_000),
        download(3_000, 40, 2 << 20),
        Line { status: 404, ..download(4_000, 3, 200) },
        Line { status: 503, ..download(5_000, 3, 300) },
        Line { status: 499, ..download(6_000, 3, 0) },
        Line { status: 304, request_time_ms: None, ..download(7_000, 0, 0) },
    ];
    requests.push(Line {
        class: Class::Upload,
        operation: Operation::PutObj,
        request_time_ms: Some(2_500),
        bytes_in: 700,
        bytes_out: 0,
        upstream: Some("10.0.0.1:7480, 10.0.0.2:7480"),
        ..line(START_MS + 8_000, "photos")
    });
    requests.push(Line { class: Class::List, ..line(START_MS + 9_000, "") });
    requests
}

fn dump() -> Dump {
    let events = EventSettings { sample: 0.0, ..EventSettings::default() };
    let mut windows = replay(&Settings { events, ..Settings::default() });
    requests().iter().for_each(|line| line.record(&mut windows, None));
    windows.reject("syntax");
    // Closes the windows; the line after that is late for both.
    line(START_MS + 75_000, "photos").record(&mut windows, None);
    line(START_MS + 100, "photos").record(&mut windows, None);
    let mut parts: Vec<Part> = windows.close_due();
    parts.extend(windows.close_all());
    parts.sort_by_key(|part| part.id);
    check_parts(&parts);
    let tags = Tags::new([("cluster", "ceph"), ("node", "gw1"), ("log", "access")]);
    let mut dump = Dump::default();
    parts.iter().for_each(|part| write_points(part, &tags, Some(&[]), &mut dump));
    dump
}

/// `UPDATE_GOLDEN=1 cargo test` writes the file anew; `git diff` then shows what dashboards will see.
#[test]
fn points_are_those_of_the_golden_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/points.txt");
    let text = dump().text;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    for (number, (got, golden)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(got, golden, "line {} of {path}", number + 1);
    }
    assert_eq!(text.lines().count(), golden.lines().count(), "{path} is of other points");
}

/// Many requests of the probe, slow and failed ones too, without any other event.
fn probed(count: i64) -> Dump {
    let events = EventSettings { enabled: false, ..EventSettings::default() };
    let mut windows = replay(&Settings { events, ..Settings::default() });
    for number in 0..count {
        let (status, request_time_ms) = if number % 2 == 0 { (200, Some(7)) } else { (503, Some(70_000)) };
        let probe = Line { class: Class::Probe, status, request_time_ms, ..line(START_MS + number % 5, "") };
        probe.record(&mut windows, None);
        // As after a restart: what was kept before it counts towards the cap.
        drop(windows.fragments());
    }
    let mut dump = Dump::default();
    windows
        .close_all()
        .iter()
        .for_each(|part| write_points(part, &Tags::default(), Some(&["uri".into()]), &mut dump));
    dump
}

#[test]
fn requests_of_the_probe_are_points_of_their_own_and_bounded() {
    let dump = probed(4);
    let kept = |dump: &Dump, name: &str| dump.points.iter().filter(|(known, ..)| known == name).count();
    assert_eq!((kept(&dump, "rgw_probe"), kept(&dump, "rgw_event")), (4, 0), "{}", dump.text);
    let expected = "task=put";
    assert!(dump.text.contains(expected) && dump.text.contains("6553f100-00000000000000ff"), "{}", dump.text);
    assert_eq!(kept(&probed(1_500), "rgw_probe"), 1_000);
}

#[test]
fn every_measurement_is_there() {
    let mut dump = dump();
    dump.points.extend(probed(1).points);
    for (measurement, _) in MEASUREMENTS {
        assert!(dump.points.iter().any(|(name, ..)| name == measurement), "no {measurement}");
    }
    assert!(dump.points.iter().all(|(name, ..)| MEASUREMENTS.iter().any(|(known, _)| known == name)));
    assert!(!dump.text.contains("secret"), "the value of a query is a secret");
}

/// By hand, from the ten requests above.
#[test]
fn the_numbers_are_those_of_the_requests() {
    let mut dump = dump();
    // The first window, as it closed on time.
    let begin = START_MS * 1_000_000;
    let mut points = std::mem::take(&mut dump.points);
    let ends: Vec<&str> =
        dump.text.lines().filter_map(|line| line.rsplit_once(" @").map(|(_, time)| time)).collect();
    let mut ends = ends.iter();
    points.retain(|(name, ..)| {
        let time = *ends.next().unwrap();
        name == "rgw_event" || time == begin.to_string()
    });
    dump.points = points;

    let small = [("class", "download"), ("size", "small")];
    for (field, value) in [
        ("requests", "7i"),
        ("ok", "4i"),
        ("errors_4xx", "1i"),
        ("errors_5xx", "1i"),
        ("aborted", "1i"),
        ("slow", "0i"),
        ("bytes_in", "0i"),
        ("bytes_out", "106500i"),
        ("latency_count", "3i"),
        ("latency_sum_ms", "60i"),
        ("latency_min_ms", "10.0"),
        ("latency_mean_ms", "20.0"),
        ("latency_max_ms", "30.0"),
        ("latency_p50_ms", "20.0"),
        ("latency_p90_ms", "30.0"),
        ("latency_p99_ms", "30.0"),
    ] {
        assert_eq!(dump.value("rgw_node", &small, field), value, "{field} of the node");
        let bucket = [("bucket", "photos"), ("class", "download"), ("size", "small")];
        assert_eq!(dump.value("rgw_bucket", &bucket, field), value, "{field} of the bucket");
    }
    for (field, value) in
        [("latency_le_5", "0i"), ("latency_le_10", "1i"), ("latency_le_20", "2i"), ("latency_le_60000", "3i")]
    {
        assert_eq!(dump.value("rgw_node", &small, field), value);
    }
    // Sizes of its ok requests: 0, 1,000, 5,000, 100,000 bytes and 2 MiB.
    let sizes =
        [("le_4KiB", "2i"), ("le_64KiB", "3i"), ("le_1MiB", "4i"), ("le_16MiB", "5i"), ("le_inf", "5i")];
    for (field, value) in sizes {
        assert_eq!(dump.value("rgw_size", &[("class", "download")], field), value);
    }
    let large = [("class", "download"), ("size", "large")];
    assert_eq!(dump.value("rgw_node", &large, "bytes_out"), "2097152i");
    let operation = [("protocol", "s3"), ("operation", "get_obj")];
    assert_eq!(dump.value("rgw_operation", &operation, "requests"), "9i");
    assert_eq!(dump.value("rgw_status", &[("status", "200")], "requests"), "6i");
    assert_eq!(dump.value("rgw_upstream", &[("upstream", "10.0.0.2:7480")], "slow"), "1i");
    assert_eq!(
        dump.value("rgw_upstream", &[("upstream", "10.0.0.1:7480"), ("size", "small")], "errors_5xx"),
        "1i"
    );
    assert_eq!(dump.value("rgw_bucket", &[("bucket", "_none_")], "requests"), "1i");
    assert_eq!(dump.value("rgw_log", &[("reason", "syntax")], "rejected"), "1i");
    let events: Vec<_> = dump.points.iter().filter(|(name, ..)| name == "rgw_event").collect();
    assert_eq!(events.len(), 2, "the slow one and the 503");
}

#[test]
fn caps_of_events_are_per_window() {
    let settings = Settings {
        events: EventSettings { errors_4xx: 2, sample: 0.0, ..EventSettings::default() },
        ..Settings::default()
    };
    let mut windows = replay(&settings);
    let mut parts = Vec::new();
    for window in 0..20 {
        for n in 0..3 {
            line(START_MS + window * 10_000 + n, "b").status(403).record(&mut windows, None);
        }
        parts.extend(windows.close_due());
    }
    parts.extend(windows.close_all());
    let events = parts.iter().map(|part| part.contents.events().len());
    assert_eq!(events.sum::<usize>(), 2 * 20, "two of three in each of twenty windows");
}
