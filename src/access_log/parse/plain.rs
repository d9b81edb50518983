//! The quick way through a line that is just as nginx writes nearly all of them: nothing escaped, every quote one of the
//! format's own. The marks of the block say where values end. Any doubt, and the line takes the thorough way instead,
//! which alone decides what is wrong with it: so this one may only be quick, never of another opinion.

mod known;

use super::clock::{Clock, TIME_LOCAL};
use super::{assign, present, request, value};
use crate::access_log::format::{Back, Extent, Field, Guard, Literal, Plan, Step};
use crate::access_log::{Record, scan};

/// A plan of steps by marks. `None` of it for formats whose text has marks other than quotes, or where values have to be
/// searched for.
#[derive(Clone, Debug)]
pub(super) struct PlainPlan {
    prefix: Text,
    steps: Box<[PlainStep]>,
    /// How many marks a line has: the format's quotes, and the newline.
    marks: usize,
    has_body_bytes: bool,
    /// The same, compiled with the program.
    known: Option<known::Read>,
}

#[derive(Clone, Debug)]
struct PlainStep {
    way: Way,
    /// Which of the line's marks is the next one after its value.
    mark: usize,
    after: Text,
}

/// How a value is read. Those that nearly every line has are read where they stand, eight bytes at a time; the others as
/// on the thorough way, once it is known where they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Not at all: it ends so many bytes before the next mark.
    Skip(usize),
    /// `$request`, up to the next mark.
    Request,
    /// `$remote_addr`, up to the first blank.
    RemoteAddr,
    /// `$http_user_agent`, up to the next mark.
    UserAgent,
    /// `$time_local`.
    TimeLocal,
    /// `$msec`.
    Msec,
    /// `$status`.
    Status,
    /// `$request_length`.
    RequestLength,
    /// `$body_bytes_sent`.
    BodyBytesSent,
    /// `$bytes_sent`.
    BytesSent,
    /// `$request_time`.
    RequestTime,
    /// Any other.
    Other(Field, End),
}

/// Where a value ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Where its own grammar does.
    Own,
    /// After so many bytes.
    Fixed(usize),
    /// So many bytes before the next mark.
    BeforeMark(usize),
    /// Before this byte, which stands before the next mark.
    Byte(u8),
}

impl Way {
    fn of(step: &Step) -> Option<Self> {
        let end = match &step.extent {
            Extent::Own => End::Own,
            Extent::Fixed(length) => End::Fixed(*length),
            Extent::Byte(b'"') | Extent::JsonQuote => End::BeforeMark(0),
            Extent::Byte(byte) => End::Byte(*byte),
            Extent::Tail { guard: Guard::Byte(b'"') | Guard::JsonQuote | Guard::LineEnd, back } => {
                match **back {
                    [Back::Over(length)] => End::BeforeMark(length),
                    _ => return None,
                }
            }
            Extent::Tail { .. } | Extent::List | Extent::Leftmost => return None,
        };
        Some(match (step.field, end) {
            (Field::Skip, End::BeforeMark(bytes)) => Self::Skip(bytes),
            (Field::Request, End::BeforeMark(0)) => Self::Request,
            (Field::RemoteAddr, End::Byte(b' ')) => Self::RemoteAddr,
            (Field::UserAgent, End::BeforeMark(0)) => Self::UserAgent,
            (Field::TimeLocal, End::Own) => Self::TimeLocal,
            (Field::Msec, End::Own) => Self::Msec,
            (Field::Status, End::Own) => Self::Status,
            (Field::RequestLength, End::Own) => Self::RequestLength,
            (Field::BodyBytesSent, End::Own) => Self::BodyBytesSent,
            (Field::BytesSent, End::Own) => Self::BytesSent,
            (Field::RequestTime, End::Own) => Self::RequestTime,
            (field, end) => Self::Other(field, end),
        })
    }
}

/// The format's text, at most eight bytes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Text {
    bytes: u64,
    mask: u64,
    len: usize,
    quotes: usize,
}

impl Text {
    fn new(literal: &Literal) -> Option<Self> {
        let is_plain = |byte: &u8| matches!(byte, b' '..0x7f) && *byte != b'\\';
        (literal.text.len() <= 8 && literal.text.iter().all(is_plain)).then(|| Self::of(&literal.text))
    }

    const fn of(text: &[u8]) -> Self {
        let (bytes, mask) = scan::head_and_mask(text);
        let (mut quotes, mut at) = (0, 0);
        while at < text.len() {
            quotes += (text[at] == b'"') as usize;
            at += 1;
        }
        Self { bytes, mask, len: text.len(), quotes }
    }

    /// The place after it, if it stands at `at`.
    #[inline(always)]
    fn pass(&self, block: &[u8], at: usize) -> Option<usize> {
        (eight(block, at)? & self.mask == self.bytes).then_some(at + self.len)
    }
}

/// Eight bytes as a number, the first in its lowest byte. Near the end of the block there are none left: a line in many
/// thousands.
#[inline]
fn eight(block: &[u8], at: usize) -> Option<u64> {
    block.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

impl PlainPlan {
    pub(super) fn new(plan: &Plan) -> Option<Self> {
        let prefix = Text::new(&plan.prefix)?;
        let mut marks = prefix.quotes;
        let step = |step: &Step| {
            let (way, after, mark) = (Way::of(step)?, Text::new(&step.literal)?, marks);
            marks += after.quotes;
            Some(PlainStep { way, mark, after })
        };
        let steps: Box<[PlainStep]> = plan.steps.iter().map(step).collect::<Option<_>>()?;
        let known = if plan.has_body_bytes { known::find(prefix, &steps) } else { None };
        Some(Self { prefix, steps, marks: marks + 1, has_body_bytes: plan.has_body_bytes, known })
    }

    /// How many marks a line has that can be read so.
    pub(super) fn marks(&self) -> usize {
        self.marks
    }

    /// Reads the line that begins at `start` of the block; `marks` are those from there on. Gives the place of its newline;
    /// it has as many marks as every such line ([`marks`](Self::marks)).
    #[inline]
    pub(super) fn read<'a>(
        &self,
        block: &'a [u8],
        start: usize,
        marks: &[u32],
        record: &mut Record<'a>,
        clock: &mut Clock,
    ) -> Option<usize> {
        match self.known {
            Some(read) => read(block, start, marks, record, clock),
            None => self.read_by_steps(block, start, marks, record, clock),
        }
    }

    /// A function of its own: beside everything else that is done with a line, what it works with would not find room in
    /// the processor's registers.
    #[inline(never)]
    fn read_by_steps<'a>(
        &self,
        block: &'a [u8],
        start: usize,
        marks: &[u32],
        record: &mut Record<'a>,
        clock: &mut Clock,
    ) -> Option<usize> {
        let marks = marks.get(..self.marks)?;
        let mut at = self.prefix.pass(block, start)?;
        for step in &self.steps {
            let mark = *marks.get(step.mark)? as usize;
            let end = read_value(step.way, block, at, mark, record, clock)?;
            at = step.after.pass(block, end)?;
        }
        if !self.has_body_bytes {
            record.body_bytes_sent = record.bytes_sent.unwrap_or_default();
        }
        line_end(block, at, *marks.last()?)
    }
}

/// The place of the newline, if the values end there: that is all that the line has, and not one mark in it that is not the
/// format's.
#[inline(always)]
fn line_end(block: &[u8], at: usize, last_mark: u32) -> Option<usize> {
    (last_mark as usize == at && block.get(at) == Some(&b'\n')).then_some(at)
}

/// Reads the value that stands at `at`, and gives its end.
#[inline(always)]
fn read_value<'a>(
    way: Way,
    block: &'a [u8],
    at: usize,
    mark: usize,
    record: &mut Record<'a>,
    clock: &mut Clock,
) -> Option<usize> {
    Some(match way {
        Way::Skip(bytes) => mark.checked_sub(bytes).filter(|end| *end >= at)?,
        Way::Request => {
            request::split(present(block.get(at..mark)?).unwrap_or_default(), record);
            mark
        }
        Way::RemoteAddr => {
            let input = block.get(at..mark)?;
            let length = scan::find_near(b' ', input)?;
            record.remote_addr = present(input.get(..length)?);
            at + length
        }
        Way::UserAgent => {
            record.user_agent = present(block.get(at..mark)?);
            mark
        }
        Way::TimeLocal => {
            record.time_ms = clock.known_time_local(block.get(at..)?)?;
            at + TIME_LOCAL
        }
        Way::Msec => {
            let (rest, time_ms) = clock.msec(block.get(at..)?).ok()?;
            record.time_ms = time_ms;
            block.len() - rest.len()
        }
        Way::Status => {
            record.status = value::three(eight(block, at)?)?;
            at + 3
        }
        Way::RequestLength => {
            let (length, bytes) = number(block, at)?;
            record.request_length = Some(bytes);
            at + length
        }
        Way::BodyBytesSent => {
            let (length, bytes) = number(block, at)?;
            record.body_bytes_sent = bytes;
            at + length
        }
        Way::BytesSent => {
            let (length, bytes) = number(block, at)?;
            record.bytes_sent = Some(bytes);
            at + length
        }
        Way::RequestTime => {
            let (length, time_ms) = value::below_ten_seconds(eight(block, at)?)
                .or_else(|| value::any_seconds(block.get(at..)?))?;
            record.request_time_ms = Some(time_ms);
            at + length
        }
        Way::Other(field, end) => other(field, end, block, at, mark, record, clock)?,
    })
}

/// A number of bytes, and how many digits it has.
#[inline(always)]
fn number(block: &[u8], at: usize) -> Option<(usize, u64)> {
    value::up_to_seven_digits(eight(block, at)?).or_else(|| value::all_digits(block.get(at..)?))
}

/// Reads a value as on the thorough way, and gives its end.
#[inline(always)]
fn other<'a>(
    field: Field,
    end: End,
    block: &'a [u8],
    at: usize,
    mark: usize,
    record: &mut Record<'a>,
    clock: &mut Clock,
) -> Option<usize> {
    let end = match end {
        End::Own => {
            let (rest, ()) = assign(field, block.get(at..)?, record, clock).ok()?;
            return Some(block.len() - rest.len());
        }
        End::Fixed(length) => at + length,
        End::BeforeMark(bytes) => mark.checked_sub(bytes)?,
        End::Byte(byte) => at + scan::find_near(byte, block.get(at..mark)?)?,
    };
    match assign(field, block.get(at..end)?, record, clock) {
        Ok((b"", ())) => Some(end),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::{LineParser, LogFormat};
    use proptest::prelude::*;

    /// A line of each format that allows the quick way, and one more with what is rare.
    const LINES: [(&str, &str); 6] = [
        (
            "main",
            r#"10.1.2.3 - - [21/Nov/2026:18:59:54 +0000] "GET /b/k?x=1 HTTP/1.1" 200 852 434634 "-" "a gent" "-" "0.013""#,
        ),
        (
            "main",
            r#"::1 - some user [21/Nov/2026:18:59:54 +0000] "PUT /b/k HTTP/1.1" 499 1 0 "http://r/" "" "1.2.3.4, 5.6.7.8" "12.000""#,
        ),
        ("combined", r#"10.1.2.3 - - [21/Nov/2026:18:59:54 +0000] "DELETE /b/k HTTP/1.1" 204 0 "-" "agent""#),
        (
            "rgwlens",
            r#"1795287594.607 2026-11-21T18:59:54+00:00 10.1.2.3 200 0.031 700 434634 434900 "127.0.0.1:8080" "200" "0.020" "0.030" "tx0-1" "-" "-" "s3.example.com" "GET /b/k HTTP/1.1" "-" "-" "agent" "-""#,
        ),
        (
            "rgwlens",
            r#"1795287594.607 2026-11-21T18:59:54+00:00 ::1 502 8.005 700 0 9 "127.0.0.1:8080, [::1]:80" "504, 502" "8.005, 0.000" "-, -" "-" "tx1" "17" "b.s3.example.com" "PUT /k HTTP/1.1" "/b/x" "-" "agent" "1.2.3.4""#,
        ),
        (
            r#"escape=json '{"t":"$msec","r":"$request","s":$status,"b":$body_bytes_sent,"d":"$request_time","u":"$http_user_agent"}'"#,
            r#"{"t":"1795287594.607","r":"GET /b/k HTTP/1.1","s":200,"b":12,"d":"0.031","u":"agent"}"#,
        ),
    ];

    /// Both ways say the same about every line of a block. Gives how many lines took the quick one.
    fn check(format: &LogFormat, block: &[u8]) -> usize {
        let (mut quick, mut thorough) = (LineParser::new(format.clone()), LineParser::new(format.clone()));
        let mut lines = block.strip_suffix(b"\n").unwrap_or(block).split(|byte| *byte == b'\n');
        let mut plain = 0;
        quick.parse_lines(block, |line, said| {
            assert_eq!(line, lines.next().unwrap());
            let expected = thorough.parse(line);
            let said = said.map(|record| {
                plain += usize::from(record.escape.is_none());
                assert!(record.escape.is_some() || !line.contains(&b'\\'));
                Record { escape: Some(format.escape()), ..*record }
            });
            assert_eq!(said, expected, "{}", line.escape_ascii());
        });
        assert!(block.is_empty() || lines.next().is_none(), "every line is handed over");
        plain
    }

    #[test]
    fn lines_as_nginx_writes_them_take_the_quick_way() {
        for (format, line) in LINES {
            let format: LogFormat = format.parse().unwrap();
            let block = format!("{line}\n").repeat(3);
            // There are not enough bytes after the last one to be quick.
            assert_eq!(check(&format, block.as_bytes()), 2, "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn the_quick_way_is_never_of_another_opinion(
            (format, other) in (prop::sample::select(LINES.as_slice()), prop::sample::select(LINES.as_slice())),
            edits in prop::collection::vec(
                (any::<prop::sample::Index>(), prop::option::of(prop::sample::select(b"\"\\\n\0 -,:x1\xff[?".as_slice())), any::<bool>()),
                0..6,
            ),
        ) {
            let (format, line) = format;
            let mut block = format!("{line}\n{line}\n{}\n{line}\n{line}\n", other.1).into_bytes();
            for (at, byte, insert) in edits {
                let at = at.index(block.len());
                match byte {
                    Some(byte) if insert => block.insert(at, byte),
                    Some(byte) => block[at] = byte,
                    None => drop(block.remove(at)),
                }
            }
            block.push(b'\n');
            check(&format.parse().unwrap(), &block);
        }
    }
}
