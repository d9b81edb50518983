//! What a thread found out about the lines of a block, for another thread that counts them: as much of each request as is
//! counted, in a cache line or two, and where the rest stands.

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
    pub(super) units: Vec<Unit>,
    /// Names of buckets that do not stand in the block as they are.
    decoded: Vec<u8>,
}

/// What a line is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// A request that is counted, and never kept.
    Request(Brief),
    /// A request that may be kept, which takes all of it: to be read once more.
    Line(Span),
    /// None of the format.
    Rejected(&'static str),
}

/// What is counted of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brief {
    time_ms: TimestampMs,
    bytes_in: u64,
    bytes_out: u64,
    request_time_ms: Option<u32>,
    bucket: Name,
    /// `$upstream_addr`.
    upstream: Option<Span>,
    status: u16,
    upstream_tries: u8,
    class: Class,
    protocol: Protocol,
    operation: Operation,
    outcome: Outcome,
    size: Size,
}

/// A piece of the block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    begin: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
enum Name {
    Block(Span),
    Decoded(Span),
}

impl Span {
    /// Where a text stands that is a piece of the block, as most are; `None` for one that was put together elsewhere.
    #[inline]
    fn of(text: &[u8], block: &[u8]) -> Option<Self> {
        let begin = text.as_ptr().addr().checked_sub(block.as_ptr().addr())?;
        let end = begin + text.len();
        (end <= block.len()).then_some(Self { begin: begin as u32, end: end as u32 })
    }

    #[inline]
    fn from(self, text: &[u8]) -> &[u8] {
        text.get(self.begin as usize..self.end as usize).unwrap_or_default()
    }
}

impl Digest {
    /// Reads the block's lines.
    pub(super) fn read(&mut self, reader: &mut RequestReader, slow: &SlowSettings, events: &EventSettings) {
        let Self { block, units, decoded } = self;
        reader.read_lines(block, slow, |line, request| {
            units.push(match request {
                Ok(request) => {
                    let brief =
                        if request.may_be_event(events) { None } else { Brief::of(request, block, decoded) };
                    match brief {
                        Some(brief) => Unit::Request(brief),
                        // The line stands in the block: it is a piece of it.
                        None => Unit::Line(Span::of(line, block).unwrap_or(Span { begin: 0, end: 0 })),
                    }
                }
                Err(reject) => Unit::Rejected(reject.reason),
            });
        });
    }

    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.block.clear();
        self.units.clear();
        self.decoded.clear();
    }

    /// A piece of the block.
    #[inline]
    pub(super) fn text(&self, span: Span) -> &[u8] {
        span.from(&self.block)
    }

    /// Makes a request of what was found out about it.
    #[inline]
    pub(super) fn with_request(&self, brief: &Brief, then: impl FnOnce(&Request<'_>)) {
        let record = Record {
            time_ms: brief.time_ms,
            status: brief.status,
            request_time_ms: brief.request_time_ms,
            upstream_addr: brief.upstream.map(|span| self.text(span)),
            upstream_tries: brief.upstream_tries,
            ..Record::default()
        };
        then(&Request {
            record: &record,
            class: brief.class,
            protocol: brief.protocol,
            operation: brief.operation,
            bucket: match brief.bucket {
                Name::Block(span) => self.text(span),
                Name::Decoded(span) => span.from(&self.decoded),
            },
            object: b"",
            outcome: brief.outcome,
            size: brief.size,
            // What is slow may be kept, and is read once more.
            slow: false,
            bytes_in: brief.bytes_in,
            bytes_out: brief.bytes_out,
        });
    }
}

impl Brief {
    /// `None` where it says less than is counted.
    #[inline]
    fn of(request: &Request<'_>, block: &[u8], decoded: &mut Vec<u8>) -> Option<Self> {
        let record = request.record;
        let upstream = match record.upstream_addr {
            Some(list) => Some(Span::of(list, block)?),
            None => None,
        };
        if request.slow {
            return None;
        }
        let bucket = match Span::of(request.bucket, block) {
            Some(span) => Name::Block(span),
            None => {
                let begin = decoded.len() as u32;
                decoded.extend_from_slice(request.bucket);
                Name::Decoded(Span { begin, end: decoded.len() as u32 })
            }
        };
        Some(Self {
            time_ms: record.time_ms,
            bytes_in: request.bytes_in,
            bytes_out: request.bytes_out,
            request_time_ms: record.request_time_ms,
            bucket,
            upstream,
            status: record.status,
            upstream_tries: record.upstream_tries,
            class: request.class,
            protocol: request.protocol,
            operation: request.operation,
            outcome: request.outcome,
            size: request.size,
        })
    }
}

const _: () = assert!(size_of::<Unit>() <= 80);
