//! What a line costs, stage by stage, on one processor: `cargo bench --bench hot_path`. Each stage does what the one before
//! does, and more. Divide the time by the lines, or read the rates.

#[path = "../examples/generate/traffic.rs"]
mod traffic;

use std::sync::OnceLock;

use divan::{
    Bencher,
    counter::{BytesCount, ItemsCount},
};
use rgwlens::{
    access_log::{ClassifierSettings, LineParser, LogFormat, Record, Reject},
    follow::Lines,
    influx::line_protocol::{Dialect, Encoder},
    pipeline::{Counter, ReadOne, RequestReader, Take},
    point::Tags,
    stats::{Admission, Batch, EventSettings, Part, Settings, SlowSettings, Wanted, Windows, write_points},
};
use traffic::Traffic;

fn main() {
    divan::main();
}

/// Two minutes of traffic.
const LINES: usize = 240_000;

/// How much the pipeline gets at once.
const BLOCK: usize = 128 << 10;

/// Buckets in use: an ordinary gateway, and a large one.
const BUCKETS: [u64; 2] = [1_000, 20_000];

fn log(buckets: u64) -> &'static [u8] {
    static LOGS: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    let number = BUCKETS.iter().position(|known| *known == buckets).unwrap_or_default();
    LOGS[number].get_or_init(|| {
        let mut traffic = Traffic::new(buckets, 1);
        let mut log = Vec::new();
        (0..LINES).for_each(|_| log.extend_from_slice(traffic.line()));
        log
    })
}

/// Whole lines, a block at a time.
fn blocks(mut log: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let end = log.get(..BLOCK).unwrap_or(log).iter().rposition(|byte| *byte == b'\n')? + 1;
        let (block, rest) = log.split_at(end);
        log = rest;
        Some(block)
    })
}

fn rates<'a, 'b>(bencher: Bencher<'a, 'b>, log: &[u8]) -> Bencher<'a, 'b> {
    bencher.counter(ItemsCount::new(LINES)).counter(BytesCount::new(log.len()))
}

fn format() -> LogFormat {
    LogFormat::named("main").expect("a format that is shipped")
}

/// Lines to records.
#[divan::bench(args = BUCKETS)]
fn parse(bencher: Bencher<'_, '_>, buckets: u64) {
    let log = log(buckets);
    let mut parser = LineParser::new(format());
    rates(bencher, log).bench_local(|| {
        let mut bytes = 0;
        for block in blocks(log) {
            parser.parse_lines(block, &mut |_: &[u8], record: Result<&Record<'_>, Reject>| {
                bytes += record.map_or(0, |record| record.body_bytes_sent);
            });
        }
        bytes
    });
}

/// Lines to requests with RGW's names.
#[divan::bench(args = BUCKETS)]
fn classify(bencher: Bencher<'_, '_>, buckets: u64) {
    let log = log(buckets);
    let mut reader = RequestReader::new(format(), ClassifierSettings::default());
    let (slow, wanted) = (SlowSettings::default(), Wanted::new(&EventSettings::default()));
    rates(bencher, log).bench_local(|| {
        let mut requests = Requests(0);
        for block in blocks(log) {
            reader.read_lines(block, &slow, wanted, &mut requests);
        }
        requests.0
    });
}

/// How many there were.
struct Requests(usize);

impl<'a> Take<'a> for Requests {
    fn requests(&mut self, batch: &mut Box<Batch>, _lines: &[&'a [u8]], _read: &mut ReadOne<'_>) {
        self.0 += divan::black_box(&*batch).len();
    }

    fn reject(&mut self, _line: &'a [u8], _reject: Reject) {}
}

/// Lines to parts.
fn parts(log: &[u8]) -> Vec<Part> {
    let settings = Settings::default();
    let windows = Windows::replay(settings.clone(), Admission::new(settings.admission.clone(), 1));
    let mut counter = Counter::new(format(), ClassifierSettings::default(), settings.slow, windows);
    let mut parts = Vec::new();
    for block in blocks(log) {
        counter.count(Lines { bytes: block, now_ms: None });
        parts.extend(counter.windows.close_due());
    }
    parts.extend(counter.windows.close_all());
    parts
}

#[divan::bench(args = BUCKETS)]
fn count(bencher: Bencher<'_, '_>, buckets: u64) {
    let log = log(buckets);
    rates(bencher, log).bench_local(|| parts(log));
}

/// Lines to line protocol: all of a replay but reading and writing.
#[divan::bench(args = BUCKETS)]
fn encode(bencher: Bencher<'_, '_>, buckets: u64) {
    let log = log(buckets);
    rates(bencher, log).bench_local(|| {
        let mut encoder = Encoder::new(Dialect::INFLUXDB);
        encoder.set_tags(&Tags::new([("cluster", "ceph"), ("node", "gw1"), ("log", "access")]));
        parts(log).iter().for_each(|part| write_points(part, &Tags::default(), Some(&[]), &mut encoder));
        encoder.lines().len()
    });
}
