//! Lines into records, by the plan of a format.

mod clock;
mod marks;
mod plain;
mod request;
mod value;

use memchr::{memchr, memmem, memrchr};

use super::format::{Back, Extent, Field, Guard, Literal, Plan, Step};
use super::{Escape, LogFormat, Record, scan};
use clock::Clock;
use marks::Marks;
use plain::PlainPlan;
use value::{Fault, Parsed};

/// The text around the values is not the format's, or something follows its end.
const FORMAT: &str = "format";
/// What has to be a number is none, or none that fits.
const NUMBER: &str = "number";
/// What has to be a time is none.
const TIME: &str = "time";
/// A byte 0, which nginx never writes: a hole that a crash or a copy left in the file.
const NUL: &str = "nul";
/// Nothing on the line.
const EMPTY: &str = "empty";

/// Why a line is not a line of this format. Counted by [`reason`](Self::reason), never fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} at column {column}", self.meaning())]
pub struct Reject {
    /// A short stable word: a tag value of `rgw_log`. One of [`REASONS`](Self::REASONS).
    pub reason: &'static str,
    /// Where in the line, in bytes from 1.
    pub column: usize,
}

impl Reject {
    /// All reasons there are.
    pub const REASONS: &[&str] = &[EMPTY, FORMAT, NUL, NUMBER, TIME];

    fn meaning(&self) -> &'static str {
        match self.reason {
            EMPTY => "empty line",
            NUL => "byte 0, which such a log never has,",
            NUMBER => "not a number that such a log has",
            TIME => "not a time that such a log has",
            _ => "not a line of this log format: it differs",
        }
    }
}

/// What lines are handed to, one after the other. No closure, which cannot be told to become part of the loop that reads: that
/// took 3 ns a line.
pub trait EachLine<'a> {
    /// Takes a line, and what it says.
    fn take(&mut self, line: &'a [u8], said: Result<&Record<'a>, Reject>);
}

impl<'a, F: FnMut(&'a [u8], Result<&Record<'a>, Reject>)> EachLine<'a> for F {
    #[inline(always)]
    fn take(&mut self, line: &'a [u8], said: Result<&Record<'a>, Reject>) {
        self(line, said);
    }
}

/// Takes lines apart. Holds the format and what it remembers from line to line (the second it last converted).
#[derive(Clone, Debug)]
pub struct LineParser {
    format: LogFormat,
    clock: Clock,
    /// For lines without escapes, in formats that allow it.
    plain: Option<PlainPlan>,
    marks: Marks,
    /// Of a line with escapes, those that are not of these: memory to work with.
    without_escapes: Vec<u32>,
}

impl LineParser {
    /// A parser of this format.
    pub fn new(format: LogFormat) -> Self {
        let plain = PlainPlan::new(&format.plan);
        Self { format, clock: Clock::default(), plain, marks: Marks::default(), without_escapes: Vec::new() }
    }

    /// The format.
    pub fn format(&self) -> &LogFormat {
        &self.format
    }

    /// Parses a block of whole lines, each ended by a newline, and hands `each` of them over with what it says. Says the
    /// same as [`parse`](Self::parse) of every single one, much quicker.
    #[inline]
    pub fn parse_lines<'a>(&mut self, block: &'a [u8], each: &mut impl EachLine<'a>) {
        let Self { format, clock, plain, marks, without_escapes } = self;
        let mut lines = Lines { block, start: 0, marks: &[], escape: None };
        if plain.is_some() && block.len() <= MOST {
            lines.marks = marks.find(block);
        }
        loop {
            if let Some(plain) = plain {
                lines = plain.read_lines(lines, clock, each);
                if let Some(rest) = plain.read_escaped(lines, without_escapes, clock, each) {
                    lines = rest;
                    continue;
                }
            }
            let Some(line) = lines.next() else { break };
            each.take(line, thoroughly(&format.plan, clock, line).as_ref().map_err(|reject| *reject));
        }
    }

    /// Parses one line, without its newline. The line has to match the format from its first byte to its last; what its
    /// request says can be anything.
    pub fn parse<'a>(&mut self, line: &'a [u8]) -> Result<Record<'a>, Reject> {
        thoroughly(&self.format.plan, &mut self.clock, line)
    }
}

/// Places in a block are small numbers, and adding to them needs no care. Nobody hands over as much at once.
const MOST: usize = 1 << 31;

/// What is left of a block of whole lines.
#[derive(Clone, Copy)]
struct Lines<'a, 'm> {
    block: &'a [u8],
    /// Where the next line begins.
    start: usize,
    /// The marks from there on.
    marks: &'m [u32],
    /// How they are escaped, if they are.
    escape: Option<Escape>,
}

/// Takes the next line off, whatever its marks are.
impl<'a> Iterator for Lines<'a, '_> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.block.get(self.start..).filter(|rest| !rest.is_empty())?;
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        self.start += length + 1;
        let marks = self.marks.iter().take_while(|mark| (**mark as usize) < self.start).count();
        self.marks = &self.marks[marks..];
        Some(&rest[..length])
    }
}

/// Reads a line by the plan of its format.
#[inline(never)]
fn thoroughly<'a>(plan: &Plan, clock: &mut Clock, line: &'a [u8]) -> Result<Record<'a>, Reject> {
    if line.is_empty() {
        return Err(Reject { reason: EMPTY, column: 1 });
    }
    if scan::contains(0, line) {
        let column = memchr(0, line).map_or(1, |at| at + 1);
        return Err(Reject { reason: NUL, column });
    }
    // Filled where the caller gets it: a record is large, and moving it costs as much as finding a field.
    let mut result = Ok(Record { escape: Some(plan.escape), ..Record::default() });
    if let Ok(record) = &mut result
        && let Err(fault) = run(plan, clock, line, record)
    {
        result = Err(match fault {
            nom::Err::Error(fault) | nom::Err::Failure(fault) => {
                Reject { reason: fault.reason, column: line.len() - fault.left + 1 }
            }
            nom::Err::Incomplete(_) => Reject { reason: FORMAT, column: line.len() + 1 },
        });
    }
    result
}

fn run<'a>(
    plan: &Plan,
    clock: &mut Clock,
    line: &'a [u8],
    record: &mut Record<'a>,
) -> Result<(), nom::Err<Fault>> {
    let (mut rest, ()) = tag(&plan.prefix, line)?;
    for step in &plan.steps {
        // One call of `assign`, so that it is compiled in place.
        let (text, after) = match extent(step, rest) {
            Some(Length::Own) => (rest, None),
            Some(Length::Bytes(length)) => {
                let (after, text) = value::split(rest, length)?;
                (text, Some(after))
            }
            None => return Err(Fault::new(FORMAT, rest)),
        };
        let assigned = assign(step.field, text, record, clock);
        rest = match (assigned, after) {
            (Ok((unread, ())), None) => unread,
            (Ok((b"", ())), Some(after)) => after,
            (Ok(_), Some(_)) => return Err(Fault::new(NUMBER, rest)),
            (Err(fault), after) => return Err(beyond(fault, after.map_or(0, <[u8]>::len))),
        };
        rest = tag(&step.literal, rest)?.0;
    }
    if !rest.is_empty() {
        return Err(Fault::new(FORMAT, rest));
    }
    if !plan.has_body_bytes {
        record.body_bytes_sent = record.bytes_sent.unwrap_or_default();
    }
    Ok(())
}

/// A fault inside a value that `after` more bytes of the line follow.
fn beyond(fault: nom::Err<Fault>, after: usize) -> nom::Err<Fault> {
    fault.map(|fault| Fault { left: fault.left + after, ..fault })
}

/// The format's own text.
#[inline]
fn tag<'a>(literal: &Literal, input: &'a [u8]) -> Parsed<'a, ()> {
    let length = literal.text.len();
    let same = match input.first_chunk::<8>() {
        Some(chunk) => {
            u64::from_le_bytes(*chunk) & literal.mask == literal.head
                && (length <= 8 || input[8..].starts_with(&literal.text[8..]))
        }
        None => input.starts_with(&literal.text),
    };
    match input.get(length..) {
        Some(rest) if same => Ok((rest, ())),
        _ => Err(Fault::new(FORMAT, input)),
    }
}

enum Length {
    Own,
    Bytes(usize),
}

/// How long the value at the start of `input` is; `None` when the line does not fit.
#[inline]
fn extent(step: &Step, input: &[u8]) -> Option<Length> {
    let length = match &step.extent {
        Extent::Own => return Some(Length::Own),
        Extent::Byte(b' ') => scan::find_near(b' ', input)?,
        Extent::Byte(byte) => scan::find(*byte, input)?,
        Extent::Fixed(length) => *length,
        Extent::JsonQuote => scan::json_quote(input)?,
        Extent::List => scan::list_end(input)?,
        Extent::Leftmost => memmem::find(input, &step.literal.text)?,
        Extent::Tail { guard: Guard::Byte(guard), back } if is_dash(input, *guard, back) => 1,
        Extent::Tail { guard, back } => {
            let mut end = match guard {
                Guard::Byte(byte) => scan::find(*byte, input)?,
                Guard::JsonQuote => scan::json_quote(input)?,
                Guard::LineEnd => input.len(),
            };
            for step in back {
                end = match step {
                    Back::Over(length) => end.checked_sub(*length)?,
                    Back::After(byte) => memrchr(*byte, &input[..end])? + 1,
                };
            }
            end
        }
    };
    Some(Length::Bytes(length))
}

/// Whether the value is the `-` that it nearly always is (no user): then what is known to stand between it and the guard
/// brings us just there.
#[inline]
fn is_dash(input: &[u8], guard: u8, back: &[Back]) -> bool {
    matches!(back, [Back::Over(length)] if input.first() == Some(&b'-') && input.get(1 + length) == Some(&guard))
}

/// Reads a value into the record and gives what follows it: nothing for a text, which is all of its input.
#[inline(always)]
fn assign<'a>(field: Field, input: &'a [u8], record: &mut Record<'a>, clock: &mut Clock) -> Parsed<'a, ()> {
    match field {
        Field::Skip => {}
        Field::Msec => return set(&mut record.time_ms, clock.msec(input)),
        Field::TimeIso8601 => return set(&mut record.time_ms, clock.time_iso8601(input)),
        Field::TimeLocal => return set(&mut record.time_ms, clock.time_local(input)),
        Field::Request => {
            request::split(present(input).unwrap_or_default(), record);
        }
        Field::Method => record.method = present(input).unwrap_or_default(),
        Field::Uri => record.uri = present(input).unwrap_or_default(),
        Field::Status => return set(&mut record.status, value::three_digits(input)),
        Field::RequestLength => return set_some(&mut record.request_length, value::digits(input)),
        Field::ContentLength => {
            record.logs_content_length = true;
            record.content_length = present(input)
                .and_then(|input| value::digits(input).ok())
                .and_then(|(rest, length)| rest.is_empty().then_some(length));
        }
        Field::BodyBytesSent => return set(&mut record.body_bytes_sent, value::digits(input)),
        Field::BytesSent => return set_some(&mut record.bytes_sent, value::digits(input)),
        Field::RequestTime => return set_some(&mut record.request_time_ms, value::milliseconds(input)),
        Field::Host => record.host = present(input),
        Field::HttpHost => {
            record.host = present(input);
            record.host_as_sent = true;
        }
        Field::RemoteAddr => record.remote_addr = present(input),
        Field::UserAgent => record.user_agent = present(input),
        Field::UpstreamAddr => {
            record.upstream_addr = present(input);
            tried(record, record.upstream_addr.map_or(0, value::words));
        }
        Field::UpstreamStatus => {
            let mut last = None;
            let (rest, entries) = value::list(value::three_digits, |entry| last = entry, input)?;
            record.upstream_status = last;
            tried(record, entries);
            return Ok((rest, ()));
        }
        Field::UpstreamResponseTime => {
            return sum(record, |record, sum| record.upstream_response_time_ms = sum, input);
        }
        Field::UpstreamHeaderTime => {
            return sum(record, |record, sum| record.upstream_header_time_ms = sum, input);
        }
        Field::CopySource => record.has_copy_source = present(input).is_some(),
        Field::CopyFrom => record.has_copy_from = present(input).is_some(),
        Field::Destination => record.destination = present(input),
        Field::ContentType => record.content_type = present(input),
        Field::GatewayRequestId => record.gateway_request_id = present(input).or(record.gateway_request_id),
    }
    Ok((&[], ()))
}

/// The text, unless it is what nginx writes for nothing.
fn present(text: &[u8]) -> Option<&[u8]> {
    // Longer than that it nearly always is.
    (text.len() > 1 || !matches!(text, b"" | b"-")).then_some(text)
}

fn set<'a, T>(target: &mut T, parsed: Parsed<'a, T>) -> Parsed<'a, ()> {
    parsed.map(|(rest, value)| {
        *target = value;
        (rest, ())
    })
}

fn set_some<'a, T>(target: &mut Option<T>, parsed: Parsed<'a, T>) -> Parsed<'a, ()> {
    set(target, parsed.map(|(rest, value)| (rest, Some(value))))
}

/// A list of times into one of the record's fields.
fn sum<'a>(
    record: &mut Record<'a>,
    target: impl FnOnce(&mut Record<'a>, Option<u32>),
    input: &'a [u8],
) -> Parsed<'a, ()> {
    let mut sum: Option<u32> = None;
    let add = |entry: Option<u32>| {
        if let Some(time) = entry {
            sum = Some(sum.unwrap_or_default().saturating_add(time));
        }
    };
    let (rest, entries) = value::list(value::milliseconds, add, input)?;
    target(record, sum);
    tried(record, entries);
    Ok((rest, ()))
}

/// All lists about upstream servers have an entry for each that nginx tried.
fn tried(record: &mut Record<'_>, entries: usize) {
    record.upstream_tries = record.upstream_tries.max(u8::try_from(entries).unwrap_or(u8::MAX));
}
