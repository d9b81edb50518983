//! Counting while a window is open: dense rows and flat samples, nothing allocated per request once warm.
//!
//! A histogram touched for every line costs more than parsing the line (its buckets are never in the cache), so
//! latencies are appended as one small integer each, (row, bucket), and sorted once when the window is packed.

use fearless_simd::{Level, dispatch, prelude::*, u32x16};
use foldhash::fast::FixedState;

use super::{
    Admission, Contents, Counters, Event, EventSettings, Key, Names, Outcome, Request, Series, Size,
    event::EventTally,
    histogram::{self, Bucket, Count, Latency, LatencySum},
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
    /// Takes from contents that were counted apart what there is no room for beside what was counted before.
    fn admit(&mut self, later: &mut Contents, events: &EventSettings);
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

/// The row of one series: one line of the processor's cache, since with thousands of buckets to fetch that is most of what
/// counting costs.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Row {
    /// Whose row this is, in a window of buckets, and which of its rows.
    bucket: u32,
    kind: Kind,
    /// In the order of [`counter`]: outcomes, slow.
    counts: [u32; 5],
    successes: u32,
    /// [`u32::MAX`] as long as there are no latencies.
    latency_min_ms: u32,
    latency_max_ms: u32,
    latency_sum_ms: u64,
    bytes_in: u64,
    bytes_out: u64,
}

const _: () = assert!(size_of::<Row>() == 64);

impl Row {
    const fn new(bucket: u32, kind: Kind) -> Self {
        Self {
            bucket,
            kind,
            counts: [0; 5],
            successes: 0,
            latency_min_ms: u32::MAX,
            latency_max_ms: 0,
            latency_sum_ms: 0,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    #[inline]
    fn record(&mut self, measured: &Measured) {
        self.counts[measured.outcome as usize] += 1;
        self.counts[counter::SLOW] += u32::from(measured.slow);
        self.successes += u32::from(measured.success);
        // What a client announces is its own word: it must not be able to wrap a sum.
        self.bytes_in = self.bytes_in.saturating_add(measured.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(measured.bytes_out);
    }

    #[inline]
    fn record_latency(&mut self, ms: u32) {
        self.latency_min_ms = self.latency_min_ms.min(ms);
        self.latency_max_ms = self.latency_max_ms.max(ms);
        self.latency_sum_ms += u64::from(ms);
    }

    fn latency(&self, counts: Vec<Count>) -> Latency {
        let count = counts.iter().map(|count| u64::from(count.count)).sum();
        let min_ms = if count == 0 { 0 } else { self.latency_min_ms };
        Latency { count, sum_ms: self.latency_sum_ms, min_ms, max_ms: self.latency_max_ms, counts }
    }

    fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for (counter, count) in counters.iter_mut().zip(self.counts) {
            *counter = u64::from(count);
        }
        counters[counter::BYTES_IN] = self.bytes_in;
        counters[counter::BYTES_OUT] = self.bytes_out;
        counters[counter::SUCCESSES] = u64::from(self.successes);
        counters
    }
}

/// What a row counts of a request.
#[derive(Clone, Copy, Debug)]
struct Measured {
    bytes_in: u64,
    bytes_out: u64,
    /// Of an ok request, if the log has it.
    latency_ms: Option<u32>,
    outcome: Outcome,
    slow: bool,
    success: bool,
}

impl Measured {
    #[inline]
    fn of(request: &Request<'_>) -> Self {
        Self {
            bytes_in: request.bytes_in,
            bytes_out: request.bytes_out,
            latency_ms: request.record.request_time_ms.filter(|_| request.outcome == Outcome::Ok),
            outcome: request.outcome,
            slow: request.slow,
            success: matches!(request.record.status, 200..=299 | 304),
        }
    }
}

/// Rows, and the latencies of their ok requests.
#[derive(Debug, Default)]
struct Rows {
    rows: Vec<Row>,
    /// Row number and histogram bucket, `row << 11 | bucket`, in the order of the lines.
    samples: Vec<u32>,
    /// Requests since the last time they were packed: what keeps the counts of rows within 32 bits.
    recorded: u32,
    /// The buckets of `samples`, row after row: made anew at each packing, the memory is warm.
    sorted: Vec<Bucket>,
}

const BUCKET_BITS: u32 = 11;
const ROWS: usize = 1 << (32 - BUCKET_BITS);
const _: () = assert!(histogram::HIGHEST_BUCKET < 1 << BUCKET_BITS);

/// Requests that wait to be booked: enough to fetch their rows side by side, few enough to stay in the nearest cache.
const WAITING: usize = 64;

/// From so many samples of one row on it is quicker to count them in an array than to sort them.
const MANY: usize = 256;

impl Rows {
    /// A new row. There are numbers for two million of them: the owner packs long before.
    fn add(&mut self, bucket: u32, kind: Kind) -> u32 {
        debug_assert!(self.rows.len() < ROWS);
        self.rows.push(Row::new(bucket, kind));
        self.rows.len() as u32 - 1
    }

    #[inline]
    fn record(&mut self, row: u32, measured: &Measured) {
        self.recorded += 1;
        let cell = &mut self.rows[row as usize];
        cell.record(measured);
        if let Some(ms) = measured.latency_ms {
            cell.record_latency(ms);
            self.samples.push(row << BUCKET_BITS | u32::from(histogram::bucket_of(ms)));
        }
    }

    fn is_full(&self) -> bool {
        self.samples.len() >= SAMPLES || self.recorded >= 1 << 31
    }

    /// The series of all rows that counted something, as `(its number, row, series without key)`, and nothing left behind.
    fn pack(&mut self, mut each: impl FnMut(usize, &Row, Counters, Latency)) {
        let ends = self.sort_samples();
        let mut counted = Vec::new();
        let mut begin = 0;
        for (number, (row, end)) in self.rows.iter_mut().zip(ends).enumerate() {
            let row = std::mem::replace(row, Row::new(row.bucket, row.kind));
            let samples = &mut self.sorted[begin..end as usize];
            begin = end as usize;
            let counters = row.counters();
            if counters.iter().any(|count| *count > 0) {
                let latency = row.latency(count(samples, &mut counted));
                each(number, &row, counters, latency);
            }
        }
        self.recorded = 0;
        self.samples.clear();
    }

    /// Puts the samples of each row beside each other, and says where those of each row end.
    fn sort_samples(&mut self) -> Vec<u32> {
        let mut next = vec![0; self.rows.len()];
        for sample in &self.samples {
            next[(sample >> BUCKET_BITS) as usize] += 1;
        }
        let mut total = 0;
        for next in &mut next {
            total += std::mem::replace(next, total);
        }
        self.sorted.resize(self.samples.len(), 0);
        for sample in &self.samples {
            let next = &mut next[(sample >> BUCKET_BITS) as usize];
            self.sorted[*next as usize] = (sample & ((1 << BUCKET_BITS) - 1)) as Bucket;
            *next += 1;
        }
        next
    }
}

/// How often each bucket is among the samples of a row. `counted` is memory to work with.
fn count(samples: &mut [Bucket], counted: &mut Vec<Count>) -> Vec<Count> {
    counted.clear();
    if samples.len() < MANY {
        samples.sort_unstable();
        let runs = samples.chunk_by(|a, b| a == b);
        counted.extend(runs.map(|run| Count { bucket: run[0], count: run.len() as u32 }));
    } else {
        let mut counts = [0u32; 1 << BUCKET_BITS];
        samples.iter().for_each(|bucket| counts[usize::from(*bucket)] += 1);
        let held = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.extend(held.map(|(bucket, count)| Count { bucket: bucket as Bucket, count: *count }));
    }
    // Exactly as long as it has to be: it is kept.
    counted.as_slice().into()
}

/// Counts a window of node totals: `rgw_node`, `rgw_status`, `rgw_upstream`, `rgw_log`, events.
#[derive(Debug)]
pub(super) struct NodeTally {
    /// The classes in both sizes, by number: of what had no upstream, then of each upstream in the order of arrival.
    rows: Rows,
    upstream_names: Names,
    /// By status.
    statuses: Vec<u32>,
    log: Counters,
    rejected: Vec<(&'static str, u64)>,
    events: EventTally,
}

impl Default for NodeTally {
    fn default() -> Self {
        let mut rows = Rows::default();
        rows.rows.resize(CLASS_ROWS, Row::new(0, Kind::NONE));
        Self {
            rows,
            upstream_names: Names::default(),
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
        add_lines(&mut self.rejected, reason, lines);
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

    /// The row of a request: each is counted once, and the node is the sum of its upstreams and of what had none.
    #[inline]
    fn row(&mut self, request: &Request<'_>) -> u32 {
        let class_row = request.class as u32 * 2 + request.size as u32;
        let Some(list) = request.record.upstream_addr else { return class_row };
        let name = if request.record.upstream_tries == 1 { list } else { last_upstream(list) };
        let id = self
            .upstream_names
            .find_or_insert(name, |known| known < UPSTREAMS && is_address(name))
            .unwrap_or_else(|| self.upstream_names.intern(OTHER.as_bytes()));
        let end = (id as usize + 2) * CLASS_ROWS;
        if self.rows.rows.len() < end {
            self.rows.rows.resize(end, Row::new(0, Kind::NONE));
        }
        (id + 1) * CLASS_ROWS as u32 + class_row
    }
}

/// Counts lines under their reason. There are few reasons.
pub(super) fn add_lines(reasons: &mut Vec<(&'static str, u64)>, reason: &'static str, lines: u64) {
    match reasons.iter_mut().find(|(known, _)| *known == reason) {
        Some((_, count)) => *count += lines,
        None => reasons.push((reason, lines)),
    }
}

/// Rows of all classes in both sizes.
const CLASS_ROWS: usize = Class::ALL.len() * 2;

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
        let row = self.row(request);
        self.rows.record(row, &Measured::of(request));
        self.events.record(request, line, context.events);
    }

    fn pack(&mut self) -> Contents {
        let mut names = std::mem::take(&mut self.upstream_names);
        let mut series = Vec::new();
        self.rows.pack(|row, _, counters, latency| {
            let (class, size) = (Class::ALL[row % CLASS_ROWS / 2], [Size::Small, Size::Large][row % 2]);
            if let Some(upstream) = (row / CLASS_ROWS).checked_sub(1) {
                let key = Key::upstream(upstream as u32, class, size);
                series.push(Series { key, counters, latency: latency.clone() });
            }
            series.push(Series { key: Key::node(class, size), counters, latency });
        });
        self.rows.rows.truncate(CLASS_ROWS);
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
        self.rows.is_full()
    }

    fn resume(&mut self, packed: &Contents, context: &Context<'_>) {
        let events: &[Event] = packed.events();
        self.events.resume(events, context.events);
    }

    fn admit(&mut self, later: &mut Contents, events: &EventSettings) {
        self.events.admit(&mut later.events, events);
    }

    fn reuse(&mut self) {
        self.events = EventTally::default();
    }
}

/// What tells the rows of a bucket apart: both `rgw_bucket` and `rgw_operation` are sums of such rows. One integer, since
/// every line looks one up: a byte each for protocol, operation, class and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind(u32);

impl Kind {
    /// Of rows that are not a bucket's.
    const NONE: Self = Self(0);

    #[inline]
    fn of(request: &Request<'_>) -> Self {
        Self(u32::from_be_bytes([
            request.protocol as u8,
            request.operation as u8,
            request.class as u8,
            request.size as u8,
        ]))
    }

    /// The series of this bucket, and that of the operation.
    fn keys(self, bucket: u32) -> (Key, Key) {
        let [protocol, operation, class, size] = self.0.to_be_bytes().map(usize::from);
        let bucket = Key::bucket(bucket, Class::ALL[class], [Size::Small, Size::Large][size]);
        (bucket, Key::operation(Protocol::ALL[protocol], Operation::ALL[operation]))
    }
}

/// The kinds that came first, and so are frequent, each with a slot.
#[derive(Clone, Copy, Debug)]
struct Kinds([u32; Self::SLOTS]);

impl Default for Kinds {
    fn default() -> Self {
        Self([Self::FREE; Self::SLOTS])
    }
}

impl Kinds {
    const SLOTS: usize = 16;
    /// No kind: there is no such protocol.
    const FREE: u32 = u32::MAX;

    /// The slot of a kind. All are compared at once: which one it is, nobody can predict.
    #[inline]
    fn slot(&self, kind: Kind) -> Option<usize> {
        let known = self.0;
        let bits =
            dispatch!(Level::baseline(), simd => u32x16::simd_from(simd, known).simd_eq(kind.0).to_bitmask());
        (bits != 0).then(|| bits.trailing_zeros() as usize)
    }

    /// The slot of a kind, which gets one if there are any left.
    fn slot_of_new(&mut self, kind: Kind) -> Option<usize> {
        let slot = self.0.iter().position(|known| [kind.0, Self::FREE].contains(known))?;
        self.0[slot] = kind.0;
        Some(slot)
    }
}

/// Counts a window of buckets: `rgw_bucket`, `rgw_operation`, `rgw_size`.
#[derive(Debug, Default)]
pub(super) struct BucketTally {
    names: Names,
    /// Requests to be booked. To fetch a row takes the processor longer than to parse a line: one after the other in one
    /// loop it fetches many at a time, line by line it would wait for each.
    waiting: Vec<(u32, Kind, Measured)>,
    rows: Rows,
    kinds: Kinds,
    /// The row of each bucket's frequent kinds, and 1; 0 for none.
    places: Vec<u32>,
    /// Rows of all other kinds.
    rare: HashMap<(u32, Kind), u32>,
    /// By class; the last is of bodies beyond all edges.
    sizes: Vec<[u64; SIZE_EDGES.len() + 1]>,
}

impl BucketTally {
    #[cfg(test)]
    pub(super) fn names_held(&self) -> usize {
        self.names.len()
    }

    /// Books the requests that wait in their rows.
    fn book(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        for (bucket, kind, measured) in waiting.drain(..) {
            let row = self.row(bucket, kind);
            self.rows.record(row, &measured);
        }
        self.waiting = waiting;
    }

    /// The row of this kind of a bucket.
    #[inline]
    fn row(&mut self, bucket: u32, kind: Kind) -> u32 {
        let row =
            self.kinds.slot(kind).and_then(|slot| self.places.get(bucket as usize * Kinds::SLOTS + slot));
        match row {
            Some(&row) if row > 0 => row - 1,
            _ => self.find_row(bucket, kind),
        }
    }

    /// The row of a kind that is not frequent, or that is new.
    #[cold]
    fn find_row(&mut self, bucket: u32, kind: Kind) -> u32 {
        let Some(slot) = self.kinds.slot_of_new(kind) else {
            return *self.rare.entry((bucket, kind)).or_insert_with(|| self.rows.add(bucket, kind));
        };
        let row = self.rows.add(bucket, kind);
        let place = bucket as usize * Kinds::SLOTS + slot;
        let places = self.places.len().max((bucket as usize + 1) * Kinds::SLOTS);
        self.places.resize(places, 0);
        self.places[place] = row + 1;
        row
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
        let bucket = self.bucket(request.bucket, context);
        self.waiting.push((bucket, Kind::of(request), Measured::of(request)));
        if self.waiting.len() >= WAITING {
            self.book();
        }
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
        self.book();
        let mut series = Vec::with_capacity(self.rows.rows.len());
        let mut operations: HashMap<Key, (Series, LatencySum)> = HashMap::default();
        self.rows.pack(|_, row, counters, latency| {
            let (bucket, key) = row.kind.keys(row.bucket);
            let bucket = Series { key: bucket, counters, latency };
            let (operation, sum) =
                operations.entry(key).or_insert_with(|| (Series::new(key), LatencySum::default()));
            operation.merge_counters(&bucket);
            sum.add(&bucket.latency);
            series.push(bucket);
        });
        for (mut operation, mut sum) in operations.into_values() {
            operation.counters[counter::SUCCESSES] = 0;
            operation.latency = sum.take();
            series.push(operation);
        }
        for (class, sizes) in Class::ALL.iter().zip(&mut self.sizes) {
            if sizes.iter().any(|count| *count > 0) {
                let mut counters = Counters::default();
                counters[..sizes.len()].copy_from_slice(&std::mem::take(sizes));
                series.push(Series { counters, ..Series::new(Key::size(*class)) });
            }
        }
        let contents = Contents::new(&self.names, series, Vec::new());
        self.rows.rows.clear();
        self.places.clear();
        self.rare.clear();
        self.names.clear();
        contents
    }

    fn is_empty(&self) -> bool {
        self.rows.rows.is_empty() && self.waiting.is_empty()
    }

    fn is_full(&self, names: usize) -> bool {
        self.rows.is_full() || self.rows.rows.len() >= CELLS || self.names.len() > names
    }

    fn resume(&mut self, _packed: &Contents, _context: &Context<'_>) {}

    fn admit(&mut self, _later: &mut Contents, _events: &EventSettings) {}

    fn reuse(&mut self) {}
}
