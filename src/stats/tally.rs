//! Counting while a window is open: dense rows and flat samples, nothing allocated per request once warm.
//!
//! A histogram touched for every line costs more than parsing the line (its buckets are never in the cache), so
//! latencies are appended as one small integer each, (row, bucket), and sorted once when the window is packed.

use foldhash::fast::FixedState;

use super::{
    Admission, Contents, Counters, Event, EventSettings, Key, Names, Outcome, Request, Series, Size,
    event::EventTally,
    histogram::{self, Bucket, Count, Latency},
    series::{SIZE_EDGES, counter},
};
use crate::{
    access_log::{Class, Operation, Protocol, valid_bucket},
    point::TimestampMs,
};

type HashMap<K, V> = hashbrown::HashMap<K, V, FixedState>;

/// Requests without a bucket.
pub const NO_BUCKET: &str = "_none_";
/// Buckets that never answered with success here, so that a stranger's inventions make no series.
pub const UNKNOWN_BUCKET: &str = "_unknown_";
/// Buckets over the caps, and upstreams over theirs.
pub const OTHER: &str = "_other_";

/// Upstreams told apart in a window. They come from nginx's configuration: more of them is a mistake in it.
const UPSTREAMS: usize = 256;

/// Rows a tally of buckets holds before it wants to be packed: 12 MiB, and far from running out of numbers.
const CELLS: usize = 1 << 17;

/// Samples a tally holds before it wants to be packed: 16 MiB.
const SAMPLES: usize = 4 << 20;

/// What a window counts with while it is open.
pub(super) trait Tally: Default {
    /// Counts one request.
    fn record(&mut self, request: &Request<'_>, line: &[u8], context: &Context<'_>);
    /// Hands out what was counted since the last time, and starts again from nothing.
    fn pack(&mut self) -> Contents;
    /// Nothing counted since the last time.
    fn is_empty(&self) -> bool;
    /// It holds so much that it should be packed now; `names` is how many names are enough.
    fn is_full(&self, names: usize) -> bool;
    /// Goes on with a window of which this much was packed before a restart.
    fn resume(&mut self, packed: &Contents, context: &Context<'_>);
    /// What it counts from here on is another window's. Only after [`pack`](Self::pack).
    fn reuse(&mut self);
}

/// What recording depends on beside the request.
pub(super) struct Context<'a> {
    pub(super) events: &'a EventSettings,
    pub(super) admission: &'a Admission,
    /// Names not admitted whose keyed hash is above this are not candidates in this window any more.
    pub(super) highest_candidate: u64,
    /// Admissions by windows up to this one are settled before this one opens.
    pub(super) settled_ms: TimestampMs,
}

/// The row of one series.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    counters: Counters,
    latency_count: u64,
    latency_sum_ms: u64,
    latency_min_ms: u32,
    latency_max_ms: u32,
}

/// Rows, and the latencies of their ok requests.
#[derive(Debug, Default)]
struct Rows {
    rows: Vec<Row>,
    /// Row number and histogram bucket, `row << 11 | bucket`: sorts into runs.
    samples: Vec<u32>,
}

const BUCKET_BITS: u32 = 11;
const ROWS: usize = 1 << (32 - BUCKET_BITS);
const _: () = assert!(histogram::HIGHEST_BUCKET < 1 << BUCKET_BITS);

impl Rows {
    /// A new row; the last one again when there are no numbers left (2 million: the owner packs long before).
    fn add(&mut self) -> u32 {
        if self.rows.len() < ROWS {
            self.rows.push(Row::default());
        }
        self.rows.len() as u32 - 1
    }

    #[inline]
    fn record(&mut self, row: u32, request: &Request<'_>) {
        let status = request.record.status;
        let cell = &mut self.rows[row as usize];
        cell.counters[request.outcome as usize] += 1;
        cell.counters[counter::SLOW] += u64::from(request.slow);
        // What a client announces is its own word: it must not be able to wrap a sum.
        cell.counters[counter::BYTES_IN] = cell.counters[counter::BYTES_IN].saturating_add(request.bytes_in);
        cell.counters[counter::BYTES_OUT] =
            cell.counters[counter::BYTES_OUT].saturating_add(request.bytes_out);
        cell.counters[counter::SUCCESSES] += u64::from(matches!(status, 200..=299 | 304));
        if request.outcome == Outcome::Ok
            && let Some(ms) = request.record.request_time_ms
        {
            cell.latency_min_ms = if cell.latency_count == 0 { ms } else { cell.latency_min_ms.min(ms) };
            cell.latency_max_ms = cell.latency_max_ms.max(ms);
            cell.latency_count += 1;
            cell.latency_sum_ms += u64::from(ms);
            self.samples.push(row << BUCKET_BITS | u32::from(histogram::bucket_of(ms)));
        }
    }

    /// The series of all rows that counted something, as `(row, series without key)`, and nothing left behind.
    fn pack(&mut self, mut each: impl FnMut(usize, Counters, Latency)) {
        self.samples.sort_unstable();
        let mut samples = self.samples.as_slice();
        for (number, row) in self.rows.iter_mut().enumerate() {
            let row = std::mem::take(row);
            let run = samples.partition_point(|s| (s >> BUCKET_BITS) as usize <= number);
            let (mine, rest) = samples.split_at(run);
            samples = rest;
            if row.counters.iter().any(|c| *c > 0) {
                let latency = Latency {
                    count: row.latency_count,
                    sum_ms: row.latency_sum_ms,
                    min_ms: row.latency_min_ms,
                    max_ms: row.latency_max_ms,
                    counts: run_lengths(mine),
                };
                each(number, row.counters, latency);
            }
        }
        self.samples.clear();
    }
}

/// Counts equal neighbours.
fn run_lengths(samples: &[u32]) -> Vec<Count> {
    samples
        .chunk_by(|a, b| a == b)
        .map(|run| Count { bucket: (run[0] & ((1 << BUCKET_BITS) - 1)) as Bucket, count: run.len() as u32 })
        .collect()
}

/// Counts a window of node totals: `rgw_node`, `rgw_status`, `rgw_upstream`, `rgw_log`, events.
#[derive(Debug)]
pub(super) struct NodeTally {
    /// First the classes in both sizes, by number; then upstreams in the order of arrival.
    rows: Rows,
    upstream_names: Names,
    upstream_rows: HashMap<Key, u32>,
    /// By status.
    statuses: Vec<u32>,
    log: Counters,
    rejected: Vec<(&'static str, u64)>,
    events: EventTally,
}

impl Default for NodeTally {
    fn default() -> Self {
        let mut rows = Rows::default();
        rows.rows.resize(Class::ALL.len() * 2, Row::default());
        Self {
            rows,
            upstream_names: Names::default(),
            upstream_rows: HashMap::default(),
            statuses: vec![0; 1000],
            log: Counters::default(),
            rejected: Vec::new(),
            events: EventTally::default(),
        }
    }
}

impl NodeTally {
    /// Counts lines that were rejected, with their reason.
    pub(super) fn reject(&mut self, reason: &'static str, lines: u64) {
        self.log[counter::LINES] += lines;
        match self.rejected.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += lines,
            None => self.rejected.push((reason, lines)),
        }
    }

    /// Counts lines that are older than what is kept.
    pub(super) fn expire(&mut self, lines: u64) {
        self.log[counter::LINES] += lines;
        self.log[counter::EXPIRED] += lines;
    }

    /// Of the lines counted, one more was late.
    pub(super) fn late(&mut self) {
        self.log[counter::LATE] += 1;
    }

    fn upstream_row(&mut self, request: &Request<'_>) -> Option<u32> {
        let name = last_upstream(request.record.upstream_addr?);
        let id = self
            .upstream_names
            .find_or_insert(name, |known| known < UPSTREAMS && is_address(name))
            .unwrap_or_else(|| self.upstream_names.intern(OTHER.as_bytes()));
        let key = Key::upstream(id, request.class, request.size);
        Some(*self.upstream_rows.entry(key).or_insert_with(|| self.rows.add()))
    }
}

/// Whether a name can be an address that nginx knows a server by: one that cannot is a log format that does not fit.
fn is_address(name: &[u8]) -> bool {
    (1..=256).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
}

/// The server that answered: the last one nginx tried. `a, b` after a retry, `a : b` after an internal redirect.
fn last_upstream(list: &[u8]) -> &[u8] {
    let begin = memchr::memrchr2(b',', b' ', list).map_or(0, |at| at + 1);
    &list[begin..]
}

impl Tally for NodeTally {
    #[inline]
    fn record(&mut self, request: &Request<'_>, line: &[u8], context: &Context<'_>) {
        self.log[counter::LINES] += 1;
        self.statuses[usize::from(request.record.status.min(999))] += 1;
        self.rows.record(request.class as u32 * 2 + request.size as u32, request);
        if let Some(row) = self.upstream_row(request) {
            self.rows.record(row, request);
        }
        self.events.record(request, line, context.events);
    }

    fn pack(&mut self) -> Contents {
        let mut names = std::mem::take(&mut self.upstream_names);
        let mut upstream_key = vec![Key::LOG; self.rows.rows.len()];
        for (key, row) in self.upstream_rows.drain() {
            upstream_key[row as usize] = key;
        }
        let mut series = Vec::new();
        let nodes = Class::ALL.len() * 2;
        self.rows.pack(|row, counters, latency| {
            let key = match row.checked_sub(nodes) {
                None => Key::node(Class::ALL[row / 2], if row % 2 == 0 { Size::Small } else { Size::Large }),
                Some(_) => upstream_key[row],
            };
            series.push(Series { key, counters, latency });
        });
        self.rows.rows.truncate(nodes);
        for (status, count) in self.statuses.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            let mut counters = Counters::default();
            counters[counter::OK] = u64::from(std::mem::take(count));
            series.push(Series { counters, ..Series::new(Key::status(status as u16)) });
        }
        if self.log.iter().any(|count| *count > 0) {
            series.push(Series { counters: std::mem::take(&mut self.log), ..Series::new(Key::LOG) });
        }
        for (reason, count) in self.rejected.drain(..) {
            let mut counters = Counters::default();
            counters[counter::LINES] = count;
            let key = Key::rejected(names.intern(reason.as_bytes()));
            series.push(Series { counters, ..Series::new(key) });
        }
        Contents::new(&names, series, self.events.take())
    }

    fn is_empty(&self) -> bool {
        self.log == Counters::default() && self.events.is_empty()
    }

    fn is_full(&self, _names: usize) -> bool {
        self.rows.samples.len() >= SAMPLES
    }

    fn resume(&mut self, packed: &Contents, context: &Context<'_>) {
        let events: &[Event] = packed.events();
        self.events.resume(events, context.events);
    }

    fn reuse(&mut self) {
        self.events = EventTally::default();
    }
}

/// What tells rows of a window of buckets apart: both `rgw_bucket` and `rgw_operation` are sums of such rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Cell {
    bucket: u32,
    protocol: Protocol,
    operation: Operation,
    class: Class,
    size: Size,
}

/// Counts a window of buckets: `rgw_bucket`, `rgw_operation`, `rgw_size`.
#[derive(Debug, Default)]
pub(super) struct BucketTally {
    names: Names,
    rows: Rows,
    cells: Vec<Cell>,
    row_of: HashMap<Cell, u32>,
    /// By class; the last is of bodies beyond all edges.
    sizes: Vec<[u64; SIZE_EDGES.len() + 1]>,
}

impl BucketTally {
    #[cfg(test)]
    pub(super) fn names_held(&self) -> usize {
        self.names.len()
    }

    /// The number of a bucket's name; of `_unknown_` for names that no bucket can have, and for those that are no
    /// candidates any more.
    #[inline]
    fn bucket(&mut self, name: &[u8], context: &Context<'_>) -> u32 {
        if name.is_empty() {
            return self.names.intern(NO_BUCKET.as_bytes());
        }
        let admission = context.admission;
        self.names
            .find_or_insert(name, |_| {
                is_tag(name)
                    && (context.highest_candidate == u64::MAX
                        || admission.is_candidate(name, context.highest_candidate, context.settled_ms))
            })
            .unwrap_or_else(|| self.names.intern(UNKNOWN_BUCKET.as_bytes()))
    }
}

/// Whether `bucket` or `tenant/bucket` may be a tag.
fn is_tag(name: &[u8]) -> bool {
    match memchr::memchr(b'/', name) {
        Some(at) => valid_bucket(&name[..at], &name[at + 1..]),
        None => valid_bucket(b"", name),
    }
}

impl Tally for BucketTally {
    #[inline]
    fn record(&mut self, request: &Request<'_>, _line: &[u8], context: &Context<'_>) {
        let cell = Cell {
            bucket: self.bucket(request.bucket, context),
            protocol: request.protocol,
            operation: request.operation,
            class: request.class,
            size: request.size,
        };
        let row = *self.row_of.entry(cell).or_insert_with(|| {
            self.cells.push(cell);
            self.rows.add()
        });
        self.rows.record(row, request);
        if request.outcome == Outcome::Ok {
            let body = request.bytes_in.max(request.bytes_out);
            let edge = SIZE_EDGES.iter().position(|(edge, _)| body <= *edge).unwrap_or(SIZE_EDGES.len());
            if self.sizes.is_empty() {
                self.sizes.resize(Class::ALL.len(), Default::default());
            }
            self.sizes[request.class as usize][edge] += 1;
        }
    }

    fn pack(&mut self) -> Contents {
        let mut series = Vec::with_capacity(self.cells.len() * 2);
        let cells = &self.cells;
        self.rows.pack(|row, counters, latency| {
            let cell = cells[row];
            let operation = Key::operation(cell.protocol, cell.operation);
            let mut of_operation = counters;
            of_operation[counter::SUCCESSES] = 0;
            series.push(Series { key: operation, counters: of_operation, latency: latency.clone() });
            series.push(Series { key: Key::bucket(cell.bucket, cell.class, cell.size), counters, latency });
        });
        for (class, sizes) in Class::ALL.iter().zip(&mut self.sizes) {
            if sizes.iter().any(|count| *count > 0) {
                let mut counters = Counters::default();
                counters[..sizes.len()].copy_from_slice(&std::mem::take(sizes));
                series.push(Series { counters, ..Series::new(Key::size(*class)) });
            }
        }
        let contents = Contents::new(&self.names, series, Vec::new());
        self.rows.rows.clear();
        self.cells.clear();
        self.row_of.clear();
        self.names.clear();
        contents
    }

    fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    fn is_full(&self, names: usize) -> bool {
        self.rows.samples.len() >= SAMPLES || self.cells.len() >= CELLS || self.names.len() > names
    }

    fn resume(&mut self, _packed: &Contents, _context: &Context<'_>) {}

    fn reuse(&mut self) {}
}
