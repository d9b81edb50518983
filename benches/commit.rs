//! What a commit costs: the transaction in which a second of traffic becomes durable, fsync included.
//! `cargo bench --bench commit`, with TMPDIR on a real disk.

use std::cell::RefCell;

use divan::Bencher;
use rgwlens::{
    access_log::{Class, Operation, Protocol, Record},
    point::Tags,
    stats::{Admission, AdmissionSettings, Outcome, Request, Settings, Size, Windows},
    store::{Commit, Store, Stream},
};
use tempfile::TempDir;

fn main() {
    divan::main();
}

/// When a window of each length begins.
const START_MS: i64 = 1_700_000_040_000;

/// Series of buckets in a window: the documented limit, and ten times as many.
const SERIES: [usize; 2] = [2_000, 20_000];

/// A store on a disk, and the windows of a log that commits to it.
struct Site {
    store: Store,
    stream: Stream,
    windows: Windows,
    now_ms: i64,
    _folder: TempDir,
}

impl Site {
    /// All buckets have been seen, and their names admitted.
    fn new(series: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut store = Store::open(&folder.path().join("rgwlens.db")).expect("a store");
        let tags = Tags::new([("cluster", "ceph"), ("node", "gw1"), ("log", "access")]);
        let stream = Stream { name: "access".into(), tags };
        store.bind(&stream, "/var/log/nginx/access.log").expect("a log");
        let admission =
            AdmissionSettings { per_window: series, admitted: 10 * series, ..AdmissionSettings::default() };
        let settings = Settings { admission: admission.clone(), ..Settings::default() };
        let windows = Windows::live(settings, Admission::new(admission, 1), store.instance());
        let mut site = Self { store, stream, windows, now_ms: START_MS, _folder: folder };
        for _ in 0..3 {
            site.second(series);
            site.now_ms += 60_000;
            let commit = site.stage();
            site.commit(&commit);
        }
        site
    }

    /// A second in which each bucket is asked for, with a latency of its own.
    fn second(&mut self, series: usize) {
        for number in 0..series {
            let time_ms = self.now_ms + (number * 1000 / series) as i64;
            let bucket = format!("bucket-{number:05}");
            let record = Record {
                time_ms,
                status: 200,
                request_time_ms: Some((number * 7919 % 3_000) as u32),
                ..Record::default()
            };
            let request = Request {
                record: &record,
                class: Class::Download,
                protocol: Protocol::S3,
                operation: Operation::GetObj,
                bucket: bucket.as_bytes(),
                object: b"key",
                outcome: Outcome::Ok,
                size: Size::Small,
                slow: false,
                bytes_in: 300,
                bytes_out: 70_000,
            };
            self.windows.record(&request, b"a line", Some(time_ms));
        }
        self.now_ms += 1000;
    }

    /// As the daemon does.
    fn stage(&mut self) -> Commit {
        let parts = self.windows.close_due();
        Commit {
            parts,
            fragments: self.windows.fragments(),
            open: self.windows.open(),
            admitted: self.windows.admission().take_changes(),
            late_numbers: self.windows.take_changed_k(),
            windows: self.windows.state(),
            ..Commit::default()
        }
    }

    fn commit(&mut self, commit: &Commit) {
        self.store.commit(&self.stream, commit, &[]).expect("a commit");
    }
}

/// A second of traffic in windows that stay open: what happens most of the time.
#[divan::bench(args = SERIES, sample_count = 100, sample_size = 1)]
fn windows_open(bencher: Bencher<'_, '_>, series: usize) {
    let site = RefCell::new(Site::new(series));
    let staged = || {
        let mut site = site.borrow_mut();
        site.second(series);
        site.stage()
    };
    bencher.with_inputs(staged).bench_local_values(|commit| site.borrow_mut().commit(&commit));
}

/// The second in which a window of a minute closes, with all its series.
#[divan::bench(args = SERIES, sample_count = 50, sample_size = 1)]
fn windows_close(bencher: Bencher<'_, '_>, series: usize) {
    let site = RefCell::new(Site::new(series));
    let staged = || {
        let mut site = site.borrow_mut();
        for _ in 0..4 {
            site.second(series);
            let open = site.stage();
            site.commit(&open);
        }
        site.now_ms += 76_000;
        let now_ms = site.now_ms;
        site.windows.advance(now_ms);
        let closed = site.stage();
        let largest = closed.parts.iter().map(|part| part.contents.series().len()).max();
        assert!(largest >= Some(series), "the largest part has {largest:?} series");
        closed
    };
    bencher.with_inputs(staged).bench_local_values(|commit| site.borrow_mut().commit(&commit));
}
