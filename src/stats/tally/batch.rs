//! What is counted of requests, many at a time and by column: taken from them where they are read, on whatever thread that
//! is, and booked where their windows are.

use std::ops::Range;

use fearless_simd::{Level, dispatch};

use super::{Kind, NO_TAG, node};
use crate::{
    access_log::{Classified, Record},
    point::TimestampMs,
    stats::{
        Names, Outcome, Request, SlowSettings, Wanted,
        histogram::{Bucket, bucket_of},
        names::Short,
        request::{bytes_in, is_large, is_slow, is_success},
        series::SIZE_EDGES,
    },
};

/// How many requests a batch holds: enough to fetch their rows side by side, few enough to stay in the nearest cache.
pub const LANES: usize = 64;

/// A value of each request. Behind the last one there is anything.
type Column<T> = [T; LANES];

/// Some requests, in the order of the log.
///
/// What they mean in numbers is found out for all of them at once, each column in one loop, in which a processor looks at
/// eight or more side by side: asked one by one, that took as long as a third of reading the lines.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What this processor can do.
    level: Level,
    len: usize,
    time_ms: Column<TimestampMs>,
    bytes_in: Column<u64>,
    bytes_out: Column<u64>,
    request_time_ms: Column<u32>,
    /// Whether the log has that.
    timed: Column<bool>,
    /// How long their URIs are.
    uri: Column<u32>,
    kind: Column<Kind>,
    status: Column<u16>,
    /// The names of their buckets and upstreams; empty for none.
    pub(super) buckets: NameColumn,
    pub(super) upstreams: NameColumn,
    // From here on what `measure` finds out.
    outcome: Column<u8>,
    slow: Column<bool>,
    success: Column<bool>,
    sample: Column<Bucket>,
    /// How many of the edges of sizes its body is beyond.
    size: Column<u8>,
    /// As [`Wanted::reason`] says.
    reason: Column<u8>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            level: Level::new(),
            len: 0,
            time_ms: [0; LANES],
            bytes_in: [0; LANES],
            bytes_out: [0; LANES],
            request_time_ms: [0; LANES],
            timed: [false; LANES],
            uri: [0; LANES],
            kind: [Kind::NONE; LANES],
            status: [0; LANES],
            buckets: NameColumn::default(),
            upstreams: NameColumn::default(),
            outcome: [0; LANES],
            slow: [false; LANES],
            success: [false; LANES],
            sample: [0; LANES],
            size: [0; LANES],
            reason: [0; LANES],
        }
    }
}

/// What is counted of one request, but for its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booking {
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) kind: Kind,
    /// Of an ok request, if the log has it.
    pub(super) latency_ms: Option<u32>,
    /// The histogram's bucket of that.
    pub(super) sample: Bucket,
    pub(super) status: u16,
    /// As [`Outcome`] has it.
    pub(super) outcome: u8,
    pub(super) slow: bool,
    pub(super) success: bool,
}

impl Batch {
    /// Adds a request.
    ///
    /// # Panics
    /// If there is [no room](Self::is_full).
    pub fn push(&mut self, request: &Request<'_>) {
        let kind = Kind::new(request.protocol, request.operation, request.class);
        self.put(request.record, kind, (request.bytes_in, request.bytes_out), request.bucket, b"");
    }

    /// The same of one that is known so far, and has no tenant: what else a request is, is found out for all of a batch. The
    /// bucket's name stands at the start of `text`: with more behind it, the quicker.
    ///
    /// # Panics
    /// If there is [no room](Self::is_full).
    #[inline(always)]
    pub fn push_plain(&mut self, record: &Record<'_>, what: &Classified<'_>, text: &[u8]) {
        debug_assert!(what.tenant.is_empty() && text.starts_with(what.bucket));
        let kind = Kind::new(what.protocol, what.operation, what.class);
        self.put(record, kind, (bytes_in(record), record.body_bytes_sent), what.bucket, text);
    }

    #[inline(always)]
    fn put(&mut self, record: &Record<'_>, kind: Kind, bytes: (u64, u64), bucket: &[u8], text: &[u8]) {
        assert!(self.len < LANES, "a full batch is handed over");
        let lane = self.len;
        match text.first_chunk() {
            Some(text) if bucket.len() <= SHORT => self.buckets.set_short(lane, text, bucket.len()),
            // A stranger's name of a mebibyte is unknown by its beginning too.
            _ => self.buckets.set(lane, &bucket[..bucket.len().min(NO_TAG)]),
        }
        self.time_ms[lane] = record.time_ms;
        (self.bytes_in[lane], self.bytes_out[lane]) = bytes;
        self.request_time_ms[lane] = record.request_time_ms.unwrap_or(0);
        self.timed[lane] = record.request_time_ms.is_some();
        self.uri[lane] = record.uri.len() as u32;
        self.kind[lane] = kind;
        self.status[lane] = record.status;
        match record.upstream_addr {
            Some(list) => self.upstreams.set(lane, node::upstream(list, record)),
            None => self.upstreams.unset(lane),
        }
        self.len = lane + 1;
    }

    /// Finds out what the numbers mean. To be called before any of what follows.
    pub fn measure(&mut self, slow: &SlowSettings, wanted: Wanted) {
        dispatch!(self.level, simd => {
            // Only for what it lets the compiler assume of the processor.
            let _ = simd;
            self.measure_all(slow, wanted);
        });
    }

    #[inline(always)]
    fn measure_all(&mut self, settings: &SlowSettings, wanted: Wanted) {
        // Each loop is one that can be compiled into instructions for many: no branch, and all lanes.
        for lane in 0..LANES {
            let status = self.status[lane];
            self.outcome[lane] = Outcome::number(status);
            self.success[lane] = is_success(status);
        }
        for lane in 0..LANES {
            let body = self.bytes_in[lane].max(self.bytes_out[lane]);
            let (class, time_ms) = (self.kind[lane].class(), self.request_time_ms[lane]);
            let is_large = is_large(body, settings);
            self.slow[lane] = is_slow(class, is_large, body, time_ms, settings);
            self.kind[lane] = self.kind[lane].with_size(is_large);
            self.size[lane] = SIZE_EDGES.iter().map(|(edge, _)| u8::from(body > *edge)).sum();
        }
        for lane in 0..LANES {
            self.sample[lane] = bucket_of(self.request_time_ms[lane]);
        }
        for lane in 0..LANES {
            let number = Wanted::number(
                self.time_ms[lane],
                self.request_time_ms[lane],
                self.bytes_in[lane],
                self.bytes_out[lane],
                self.uri[lane],
            );
            let (class, status) = (self.kind[lane].class(), self.status[lane]);
            self.reason[lane] = wanted.reason(class, self.slow[lane], self.outcome[lane], status, number);
        }
    }

    /// What this processor can do.
    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// How many requests.
    pub fn len(&self) -> usize {
        self.len
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// There is no room for another one.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == LANES
    }

    /// Forgets all, keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
        self.buckets.clear();
        self.upstreams.clear();
    }

    /// Whether it may be kept as an [event](Wanted).
    #[inline]
    pub fn is_wanted(&self, lane: usize) -> bool {
        self.reason[lane] > 0
    }

    /// Why, as [`Wanted::reason`] says.
    pub(in crate::stats) fn reason(&self, lane: usize) -> u8 {
        self.reason[lane]
    }

    /// The times of some of them.
    #[inline]
    pub(in crate::stats) fn times_ms(&self, lanes: Range<usize>) -> &[TimestampMs] {
        &self.time_ms[lanes]
    }

    #[inline(always)]
    pub(super) fn booking(&self, lane: usize) -> Booking {
        let lane = lane % LANES;
        let is_ok = self.outcome[lane] == Outcome::Ok as u8;
        Booking {
            bytes_in: self.bytes_in[lane],
            bytes_out: self.bytes_out[lane],
            kind: self.kind[lane],
            latency_ms: (is_ok & self.timed[lane]).then_some(self.request_time_ms[lane]),
            sample: self.sample[lane],
            status: self.status[lane],
            outcome: self.outcome[lane],
            slow: self.slow[lane],
            success: self.success[lane],
        }
    }

    #[inline(always)]
    pub(super) fn kind(&self, lane: usize) -> Kind {
        self.kind[lane % LANES]
    }

    /// How many of the [edges](SIZE_EDGES) its body is beyond.
    #[inline(always)]
    pub(super) fn size(&self, lane: usize) -> usize {
        usize::from(self.size[lane % LANES]).min(SIZE_EDGES.len())
    }
}

/// A name of each request.
#[derive(Clone, Debug)]
pub(super) struct NameColumn {
    lengths: Column<u16>,
    /// Those that are no longer than that.
    short: Column<[u8; SHORT]>,
    /// Where the others begin in `long`.
    begins: Column<u32>,
    long: Vec<u8>,
}

const SHORT: usize = Short::LONGEST;

impl Default for NameColumn {
    fn default() -> Self {
        let short = [[0; SHORT]; LANES];
        Self { lengths: [0; LANES], short, begins: [0; LANES], long: Vec::new() }
    }
}

impl NameColumn {
    #[inline(always)]
    fn unset(&mut self, lane: usize) {
        self.lengths[lane] = 0;
    }

    #[inline(always)]
    fn set_short(&mut self, lane: usize, text: &[u8; SHORT], length: usize) {
        self.lengths[lane] = length as u16;
        self.short[lane] = Short::within(text, length).padded;
    }

    #[inline(always)]
    fn set(&mut self, lane: usize, name: &[u8]) {
        self.lengths[lane] = name.len() as u16;
        if let Some(short) = Short::new(name) {
            self.short[lane] = short.padded;
        } else {
            self.begins[lane] = self.long.len() as u32;
            self.long.extend_from_slice(name);
        }
    }

    /// The number of the name, if it is known.
    #[inline(always)]
    pub(super) fn find(&self, lane: usize, names: &Names) -> Option<u32> {
        self.find_by(names.hash_short(&self.short(lane)), lane, names)
    }

    /// The numbers of the names of these lanes; those that are not known get one by `insert`.
    #[inline(always)]
    pub(super) fn find_all(
        &self,
        lanes: Range<usize>,
        names: &mut Names,
        numbers: &mut Column<u32>,
        mut insert: impl FnMut(&mut Names, &[u8]) -> u32,
    ) {
        let (mut hashes, mut begins) = ([0; LANES], [0; LANES]);
        for ((hash, begin), lane) in hashes.iter_mut().zip(&mut begins).zip(lanes.clone()) {
            *hash = names.hash_short(&self.short(lane));
            *begin = names.fetch_slot(*hash);
        }
        names.fetch(&begins[..lanes.len()]);
        for ((number, hash), lane) in numbers.iter_mut().zip(hashes).zip(lanes) {
            *number = match self.find_by(hash, lane, names) {
                Some(number) => number,
                None => insert(names, self.get(lane)),
            };
        }
    }

    /// The number of the name, whose hash is this if it is short.
    #[inline(always)]
    fn find_by(&self, hash: u64, lane: usize, names: &Names) -> Option<u32> {
        let short = self.short(lane);
        if short.length <= SHORT { names.find_short(hash, &short) } else { names.find(self.get(lane)) }
    }

    /// The name as a short one. Of one that is not, only its length.
    #[inline(always)]
    fn short(&self, lane: usize) -> Short {
        let lane = lane % LANES;
        Short { padded: self.short[lane], length: usize::from(self.lengths[lane]) }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self, lane: usize) -> bool {
        self.lengths[lane % LANES] == 0
    }

    #[inline(always)]
    pub(super) fn get(&self, lane: usize) -> &[u8] {
        let lane = lane % LANES;
        let length = usize::from(self.lengths[lane]);
        match self.short[lane].get(..length) {
            Some(short) => short,
            None => &self.long[self.begins[lane] as usize..][..length],
        }
    }

    #[inline]
    fn clear(&mut self) {
        self.long.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        access_log::{Class, Classified, Operation, Protocol, Record},
        stats::{EventSettings, Size},
    };

    /// A number of any length.
    fn any_length() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64u32).prop_map(|(number, shift)| number >> shift)
    }

    proptest! {
        /// All at once, for what every processor can do and for what this one can, or one by one.
        #[test]
        fn requests_mean_in_a_batch_what_they_mean_alone(
            requests in prop::collection::vec(
                (
                    prop::sample::select([0u16, 101, 199, 200, 204, 299, 300, 304, 399, 400, 404, 498, 499, 500, 503, 999].as_slice()),
                    prop::sample::select(Class::ALL.to_vec()),
                    prop::option::of(any_length().prop_map(|ms| ms as u32)),
                    (any_length(), any_length(), any::<i64>()),
                    prop::collection::vec(any::<u8>(), 0..70),
                    prop::option::of("[a-z0-9:, ]{0,40}"),
                ),
                1..=LANES,
            ),
            (sample, enabled, not_found) in (prop::sample::select([0.0, 0.001, 0.5, 1.0].as_slice()), any::<bool>(), any::<bool>()),
            small_bytes in any_length(),
        ) {
            let slow = SlowSettings { small_bytes, ..SlowSettings::default() };
            let wanted = Wanted::new(&EventSettings { enabled, not_found, sample, ..EventSettings::default() });
            for level in [Level::baseline(), Level::new()] {
                let mut batch = Batch { level, ..Batch::default() };
                for _ in 0..2 {
                    batch.clear();
                    let mut expected = Vec::new();
                    for (status, class, request_time_ms, (bytes_in, bytes_out, time_ms), bucket, upstream) in &requests {
                        let record = Record {
                            time_ms: *time_ms,
                            status: *status,
                            uri: bucket,
                            request_time_ms: *request_time_ms,
                            request_length: Some(*bytes_in),
                            body_bytes_sent: *bytes_out,
                            upstream_addr: upstream.as_ref().map(String::as_bytes),
                            ..Record::default()
                        };
                        let (protocol, operation) = (Protocol::S3, Operation::GetObj);
                        let what = Classified { protocol, operation, class: *class, tenant: b"", bucket, object: b"k" };
                        let mut label = Vec::new();
                        let request = Request::new(&record, &what, &slow, &mut label);
                        let is_ok = request.outcome == Outcome::Ok;
                        expected.push((
                            (request.outcome as u8, request.slow, Kind::new(protocol, operation, *class).with_size(request.size == Size::Large), *status, request.bytes_in, *bytes_out),
                            (request_time_ms.filter(|_| is_ok), matches!(status, 200..=299 | 304), wanted.reason_of(&request)),
                            request.size == Size::Large,
                        ));
                        match Short::new(bucket) {
                            Some(short) if expected.len() % 2 == 0 => batch.push_plain(&record, &what, &short.padded),
                            Some(_) if expected.len() % 3 == 0 => batch.push_plain(&record, &what, bucket),
                            _ => batch.push(&request),
                        }
                    }
                    batch.measure(&slow, wanted);
                    prop_assert_eq!(batch.len(), requests.len());
                    prop_assert_eq!(batch.is_full(), requests.len() == LANES);
                    for (lane, (numbers, (latency_ms, success, reason), is_large)) in expected.into_iter().enumerate() {
                        let booking = batch.booking(lane);
                        let Booking { outcome, slow, kind, status, bytes_in, bytes_out, .. } = booking;
                        prop_assert_eq!((outcome, slow, kind, status, bytes_in, bytes_out), numbers);
                        prop_assert_eq!((booking.latency_ms, booking.success, batch.reason(lane)), (latency_ms, success, reason));
                        prop_assert_eq!(kind, kind.with_size(is_large));
                        if let Some(ms) = latency_ms {
                            prop_assert_eq!(booking.sample, bucket_of(ms));
                        }
                        let (.., bucket, upstream) = &requests[lane];
                        prop_assert_eq!(batch.buckets.get(lane), bucket);
                        prop_assert_eq!(batch.buckets.is_empty(lane), bucket.is_empty());
                        let mut names = Names::default();
                        prop_assert_eq!(batch.buckets.find(lane, &names), None);
                        let number = names.intern(bucket);
                        prop_assert_eq!(batch.buckets.find(lane, &names), Some(number));
                        let upstream = upstream.as_deref().unwrap_or_default();
                        prop_assert!(upstream.as_bytes().ends_with(batch.upstreams.get(lane)));
                    }
                }
            }
        }
    }

    #[test]
    fn sizes_are_told_apart_by_their_edges() {
        let around = |edge: u64| [edge - 1, edge, edge + 1];
        let bodies = SIZE_EDGES.iter().flat_map(|(edge, _)| around(*edge)).chain([0, 1, u64::MAX]);
        let mut batch = Batch::default();
        for (lane, body) in bodies.clone().enumerate() {
            batch.bytes_out[lane] = body;
        }
        batch.measure(&SlowSettings::default(), Wanted::new(&EventSettings::default()));
        for (lane, body) in bodies.enumerate() {
            let expected = SIZE_EDGES.iter().filter(|(edge, _)| body > *edge).count();
            assert_eq!(batch.size(lane), expected, "{body}");
        }
    }
}
