//! What a thread found out about the lines of a block, for another thread that counts them: as much of each request as is
//! counted, small and one after the other, since what one processor wrote reaches another one slowly.

use super::RequestReader;
use crate::{
    access_log::{Class, Operation, Protocol, Record},
    point::TimestampMs,
    stats::{EventSettings, Outcome, Request, Size, SlowSettings},
};

/// A block of whole lines, and what they say.
#[derive(Debug, Default)]
pub(super) struct Digest {
    pub(super) block: Vec<u8>,
    /// In the order of the lines, one for each.
    units: Vec<Unit>,
    /// Names of buckets and upstreams, in the order of the requests.
    names: Vec<u8>,
}

/// What a line is.
#[derive(Clone, Copy, Debug)]
enum Unit {
    /// A request that is counted, and never kept.
    Request(Brief),
    /// A request that may be kept, which takes all of it: to be read once more. Where its line stands.
    Line { begin: u32, end: u32 },
    /// None of the format.
    Rejected(&'static str),
}

/// What is counted of a request.
#[derive(Clone, Copy, Debug)]
struct Brief {
    time_ms: TimestampMs,
    bytes_in: u64,
    bytes_out: u64,
    request_time_ms: Option<u32>,
    /// Lengths of its names; the second is of `$upstream_addr`.
    bucket: u32,
    upstream: u32,
    status: u16,
    upstream_tries: u8,
    class: Class,
    protocol: Protocol,
    operation: Operation,
    outcome: Outcome,
    size: Size,
}

const _: () = assert!(size_of::<Unit>() <= 64, "more than a line of the processor's cache");

/// What somebody does with what was found out.
pub(super) trait Take {
    /// A request that is counted, and never kept.
    fn request(&mut self, request: &Request<'_>);
    /// A line that has to be read once more.
    fn line(&mut self, line: &[u8]);
    /// A line that is none of the format.
    fn rejected(&mut self, reason: &'static str);
}

impl Digest {
    /// Reads the block's lines.
    pub(super) fn read(&mut self, reader: &mut RequestReader, slow: &SlowSettings, events: &EventSettings) {
        let Self { block, units, names } = self;
        let mut begin = 0;
        reader.read_lines(block, slow, |line, request| {
            let end = begin + line.len();
            units.push(match request {
                Ok(request) if request.slow || request.may_be_event(events) => {
                    Unit::Line { begin: begin as u32, end: end as u32 }
                }
                Ok(request) => Unit::Request(Brief::of(request, names)),
                Err(reject) => Unit::Rejected(reject.reason),
            });
            begin = end + 1;
        });
    }

    /// Hands out what the lines say, in their order.
    pub(super) fn take_up(&self, to: &mut impl Take) {
        let mut names = self.names.as_slice();
        for unit in &self.units {
            match unit {
                Unit::Request(brief) => brief.with_request(&mut names, |request| to.request(request)),
                Unit::Line { begin, end } => to.line(&self.block[*begin as usize..*end as usize]),
                Unit::Rejected(reason) => to.rejected(reason),
            }
        }
    }

    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.block.clear();
        self.units.clear();
        self.names.clear();
    }
}

impl Brief {
    #[inline(always)]
    fn of(request: &Request<'_>, names: &mut Vec<u8>) -> Self {
        let record = request.record;
        let upstream = record.upstream_addr.unwrap_or_default();
        names.extend_from_slice(request.bucket);
        names.extend_from_slice(upstream);
        Self {
            time_ms: record.time_ms,
            bytes_in: request.bytes_in,
            bytes_out: request.bytes_out,
            request_time_ms: record.request_time_ms,
            bucket: request.bucket.len() as u32,
            upstream: upstream.len() as u32,
            status: record.status,
            upstream_tries: record.upstream_tries,
            class: request.class,
            protocol: request.protocol,
            operation: request.operation,
            outcome: request.outcome,
            size: request.size,
        }
    }

    /// Makes a request of it again; its names are the next ones.
    #[inline(always)]
    fn with_request(&self, names: &mut &[u8], then: impl FnOnce(&Request<'_>)) {
        let mut next = |length: u32| {
            let (name, rest) = names.split_at(length as usize);
            *names = rest;
            name
        };
        let (bucket, upstream) = (next(self.bucket), next(self.upstream));
        let record = Record {
            time_ms: self.time_ms,
            status: self.status,
            request_time_ms: self.request_time_ms,
            upstream_addr: (!upstream.is_empty()).then_some(upstream),
            upstream_tries: self.upstream_tries,
            ..Record::default()
        };
        then(&Request {
            record: &record,
            class: self.class,
            protocol: self.protocol,
            operation: self.operation,
            bucket,
            object: b"",
            outcome: self.outcome,
            size: self.size,
            // What is slow is read once more.
            slow: false,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        });
    }
}
