//! Requests by hand, and a store in memory that keeps what the real one keeps.

use std::collections::BTreeMap;

use crate::{
    access_log::{Class, Classified, Operation, Protocol, Record},
    point::TimestampMs,
    stats::{
        Admission, Contents, Fragment, Part, Request, Settings, SlowSettings, Table, WindowKind, Windows,
        WindowsState, counter,
    },
};

/// A moment at which windows of every length in these tests begin.
pub(super) const START_MS: TimestampMs = 1_700_000_000_000 - 1_700_000_000_000 % 3_600_000;

/// What a probe calls itself.
const PROBE_AGENT: &[u8] = b"rgwlens-probe/6553f100-00000000000000ff put -";

/// What a line of a log says.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) time_ms: TimestampMs,
    pub(super) bucket: String,
    pub(super) class: Class,
    pub(super) operation: Operation,
    pub(super) status: u16,
    pub(super) request_time_ms: Option<u32>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) upstream: Option<&'static str>,
}

/// A download of a bucket that went well.
pub(super) fn line(time_ms: TimestampMs, bucket: &str) -> Line {
    Line {
        time_ms,
        bucket: bucket.into(),
        class: Class::Download,
        operation: Operation::GetObj,
        status: 200,
        request_time_ms: Some(7),
        bytes_in: 0,
        bytes_out: 1000,
        upstream: None,
    }
}

impl Line {
    pub(super) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(super) fn record(&self, windows: &mut Windows, now_ms: Option<TimestampMs>) {
        self.measure(|request, line| windows.record(request, line, now_ms));
    }

    /// Hands the request over, with its line.
    pub(super) fn measure(&self, each: impl FnOnce(&Request<'_>, &[u8])) {
        let record = Record {
            time_ms: self.time_ms,
            method: b"GET",
            uri: b"/b/k?X-Amz-Signature=secret",
            status: self.status,
            content_length: Some(self.bytes_in),
            body_bytes_sent: self.bytes_out,
            request_time_ms: self.request_time_ms,
            upstream_addr: self.upstream.map(str::as_bytes),
            user_agent: (self.class == Class::Probe).then_some(PROBE_AGENT),
            ..Record::default()
        };
        let what = Classified {
            protocol: Protocol::S3,
            operation: self.operation,
            class: self.class,
            tenant: b"",
            bucket: self.bucket.as_bytes(),
            object: b"k",
        };
        let mut label = Vec::new();
        let request = Request::new(&record, &what, &SlowSettings::default(), &mut label);
        each(&request, format!("{} {}", self.time_ms, self.bucket).as_bytes());
    }
}

pub(super) fn live(settings: &Settings) -> Windows {
    Windows::live(settings.clone(), Admission::new(settings.admission.clone(), SEED), INSTANCE)
}

pub(super) fn replay(settings: &Settings) -> Windows {
    Windows::replay(settings.clone(), Admission::new(settings.admission.clone(), SEED))
}

pub(super) const INSTANCE: u64 = 1_234_567;
const SEED: u64 = 42;

/// Everything that one transaction moves.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) parts: Vec<Part>,
    pub(super) fragments: Vec<Fragment>,
    windows: Option<String>,
    late_numbers: BTreeMap<(WindowKind, TimestampMs), u32>,
    admitted: BTreeMap<String, TimestampMs>,
}

impl Store {
    /// Commits: what closed since the last time goes from fragments to parts.
    pub(super) fn commit(&mut self, staged: &mut Vec<Part>, windows: &mut Windows) {
        staged.extend(windows.close_due());
        self.parts.append(staged);
        self.fragments.extend(windows.fragments());
        let open = windows.open();
        self.fragments.retain(|fragment| open.contains(&fragment.window));
        for (kind, start_ms, next_k) in windows.take_changed_k() {
            self.late_numbers.insert((kind, start_ms), next_k);
        }
        for (bucket, last_ms) in windows.admission().take_changes() {
            match last_ms {
                Some(last_ms) => self.admitted.insert(bucket, last_ms),
                None => self.admitted.remove(&bucket),
            };
        }
        self.windows = Some(serde_json::to_string(&windows.state()).unwrap());
        let totals = windows.totals();
        assert!(totals.conserved(), "{totals:?}");
        assert_eq!(
            totals.counted,
            totals.closed + windows.open_requests(),
            "counted is what is closed or open"
        );
    }

    /// Windows as a new process finds them.
    pub(super) fn open(&self, settings: &Settings) -> Windows {
        let mut windows = live(settings);
        windows.admission().restore(self.admitted.clone());
        if let Some(state) = &self.windows {
            let state: WindowsState = serde_json::from_str(state).unwrap();
            let late_numbers = self.late_numbers.iter().map(|((kind, start), k)| (*kind, *start, *k));
            windows.restore(state, self.fragments.clone(), late_numbers, |known| match known {
                "too_long" => "too_long",
                _ => "syntax",
            });
        }
        windows
    }
}

/// Requests in all series of a family.
pub(super) fn requests(parts: &[Part], table: Table) -> u64 {
    series(parts, table).map(|series| series.requests()).sum()
}

/// A sum over all series of a family.
pub(super) fn sum(parts: &[Part], table: Table, counter: usize) -> u64 {
    series(parts, table).map(|series| series.counters[counter]).sum()
}

fn series(parts: &[Part], table: Table) -> impl Iterator<Item = crate::stats::SeriesRef<'_>> {
    parts.iter().flat_map(|part| part.contents.series()).filter(move |s| s.key.table() == Some(table))
}

/// The buckets of contents, with their requests.
pub(super) fn buckets(contents: &Contents) -> BTreeMap<String, u64> {
    let mut buckets = BTreeMap::new();
    for series in contents.series().filter(|s| s.key.table() == Some(Table::Bucket)) {
        *buckets.entry(contents.name(series.key).to_owned()).or_default() += series.requests();
    }
    buckets
}

/// `(kind, seconds after START_MS, length in seconds, k)` of each part, sorted.
pub(super) fn identities(parts: &[Part]) -> Vec<(WindowKind, i64, i64, u32)> {
    let mut ids: Vec<_> = parts
        .iter()
        .map(|part| {
            let id = part.id;
            (id.kind, (id.start_ms - START_MS).div_euclid(1000), id.length_ms / 1000, id.k)
        })
        .collect();
    ids.sort_unstable();
    ids
}

/// The same set of parts in one order, to compare.
pub(super) fn sorted(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by_key(|part| part.id);
    parts
}

/// What has to be true of all parts that ever left a stream.
pub(super) fn check_parts(parts: &[Part]) {
    let mut times = BTreeMap::new();
    for Part { id, contents } in parts {
        assert!(i64::from(id.k) < id.length_ms, "{id:?} has points outside its window");
        let before = times.insert((id.kind, id.time_ms()), id);
        assert!(before.is_none(), "{id:?} and {before:?} are at one time: one would overwrite the other");
        let of_kind = |table| match table {
            Table::Log | Table::Node | Table::Status | Table::Upstream => WindowKind::Node,
            Table::Bucket | Table::Operation | Table::Size => WindowKind::Bucket,
        };
        assert!(contents.series().all(|s| s.key.table().map(of_kind) == Some(id.kind)));
        assert!(contents.series().all(|s| !s.key.counts_requests() || s.counters[counter::SUCCESSES] == 0));
        for event in contents.events() {
            assert!((id.start_ms..id.end_ms()).contains(&event.time_ms), "{event:?} is outside {id:?}");
        }
    }
}
