//! What is counted of requests, many at a time: taken from them where they are read, on whatever thread that is, and
//! booked where their windows are.

use super::{Kind, NO_TAG, node};
use crate::{
    point::TimestampMs,
    stats::{
        Outcome, Request,
        calm::Times,
        histogram::{Bucket, bucket_of},
    },
};

/// What is counted of one request, but for its names. As small as it can be: what one processor wrote reaches another one
/// slowly.
#[derive(Clone, Copy, Debug)]
pub(in crate::stats) struct Booking {
    pub(in crate::stats) time_ms: TimestampMs,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) kind: Kind,
    /// Of an ok request, if the log has it.
    pub(super) latency_ms: Option<u32>,
    /// The histogram's bucket of that.
    pub(super) sample: Bucket,
    pub(super) status: u16,
    /// How long its names are; 0 for none.
    bucket: u16,
    upstream: u16,
    pub(super) outcome: Outcome,
    pub(super) slow: bool,
    pub(super) success: bool,
}

const _: () = assert!(size_of::<Booking>() <= 48);

/// What is counted of one request.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub(in crate::stats) booking: Booking,
    bucket: &'a [u8],
    upstream: &'a [u8],
}

impl<'a> Entry<'a> {
    #[inline(always)]
    pub(in crate::stats) fn of(request: &Request<'a>) -> Self {
        // A stranger's name of a mebibyte is unknown by its beginning too.
        let bucket = &request.bucket[..request.bucket.len().min(NO_TAG)];
        let upstream = request.record.upstream_addr.map_or(&b""[..], |list| node::upstream(list, request));
        let booking = Booking {
            time_ms: request.record.time_ms,
            bytes_in: request.bytes_in,
            bytes_out: request.bytes_out,
            kind: Kind::of(request),
            latency_ms: request.record.request_time_ms.filter(|_| request.outcome == Outcome::Ok),
            sample: bucket_of(request.record.request_time_ms.unwrap_or(0)),
            status: request.record.status,
            bucket: bucket.len() as u16,
            upstream: upstream.len() as u16,
            outcome: request.outcome,
            slow: request.slow,
            success: matches!(request.record.status, 200..=299 | 304),
        };
        Self { booking, bucket, upstream }
    }
}

/// What is counted of many requests, in the order of the log.
#[derive(Debug, Default)]
pub struct Batch {
    bookings: Vec<Booking>,
    /// The names of their buckets, one after the other, and those of their upstreams.
    buckets: Vec<u8>,
    upstreams: Vec<u8>,
}

impl Batch {
    /// Adds what is counted of a request.
    #[inline(always)]
    pub fn push(&mut self, request: &Request<'_>) {
        self.push_entry(&Entry::of(request));
    }

    /// Adds one from another batch.
    #[inline(always)]
    pub fn push_entry(&mut self, entry: &Entry<'_>) {
        self.buckets.extend_from_slice(entry.bucket);
        // Most formats have none, and to copy nothing takes a call, too.
        if !entry.upstream.is_empty() {
            self.upstreams.extend_from_slice(entry.upstream);
        }
        self.bookings.push(entry.booking);
    }

    /// How many requests.
    pub fn len(&self) -> usize {
        self.bookings.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.bookings.is_empty()
    }

    /// Their times; `None` if there are none.
    pub(in crate::stats) fn times(&self) -> Option<Times> {
        self.bookings.last()?;
        let mut times = Times::default();
        self.bookings.iter().for_each(|booking| times.add(booking.time_ms));
        Some(times)
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.bookings.clear();
        self.buckets.clear();
        self.upstreams.clear();
    }

    /// The requests with their names.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let (mut buckets, mut upstreams) = (self.buckets.as_slice(), self.upstreams.as_slice());
        self.bookings.iter().map(move |booking| Entry {
            booking: *booking,
            bucket: next(&mut buckets, booking.bucket),
            upstream: next(&mut upstreams, booking.upstream),
        })
    }

    /// The requests, each with the name of its upstream.
    #[inline]
    pub(super) fn with_upstreams(&self) -> impl Iterator<Item = (&Booking, &[u8])> {
        let mut names = self.upstreams.as_slice();
        self.bookings.iter().map(move |booking| (booking, next(&mut names, booking.upstream)))
    }

    /// The requests, at most `at_once` at a time, with the names of their buckets.
    #[inline]
    pub(super) fn chunks(&self, at_once: usize) -> impl Iterator<Item = (&[Booking], BucketNames<'_>)> {
        let mut names = self.buckets.as_slice();
        self.bookings.chunks(at_once).map(move |bookings| {
            let length = bookings.iter().map(|booking| usize::from(booking.bucket)).sum();
            let (of_these, rest) = names.split_at(length);
            names = rest;
            (bookings, BucketNames(of_these))
        })
    }
}

/// The names of the buckets of some requests.
pub(super) struct BucketNames<'a>(&'a [u8]);

impl<'a> BucketNames<'a> {
    /// That of the next request.
    #[inline]
    pub(super) fn next_of(&mut self, booking: &Booking) -> &'a [u8] {
        next(&mut self.0, booking.bucket)
    }
}

#[inline]
fn next<'a>(names: &mut &'a [u8], length: u16) -> &'a [u8] {
    let (name, rest) = names.split_at(usize::from(length));
    *names = rest;
    name
}
