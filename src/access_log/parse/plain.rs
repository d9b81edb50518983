//! The quick way through a line that is just as nginx writes nearly all of them: every quote one of the format's own. The
//! marks of the block say where values end. Any doubt, and the line takes the thorough way instead, which alone decides what
//! is wrong with it: so this one may only be quick, never of another opinion.

mod known;

use fearless_simd::{Level, Simd, dispatch};

use super::clock::{Clock, TIME_LOCAL};
use super::{EachLine, Lines, assign, present, request, tried, value};
use crate::access_log::format::{Back, Extent, Field, Guard, Literal, Plan, Step};
use crate::access_log::{Escape, Record, scan};

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
    known: Option<Known>,
    /// How the format escapes, if that needs no quote of its own: a backslash then ends no value.
    escape: Option<Escape>,
    /// What this processor can do.
    level: Level,
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

    /// Whether it stands at the start of these bytes, or as much of it as eight bytes hold.
    #[inline(always)]
    fn begins(&self, bytes: u64) -> bool {
        bytes & self.mask == self.bytes
    }
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
        let known = if plan.has_body_bytes { Known::find(prefix, &steps) } else { None };
        Some(Self {
            prefix,
            steps,
            marks: marks + 1,
            has_body_bytes: plan.has_body_bytes,
            known,
            escape: Some(plan.escape).filter(|escape| *escape == Escape::Default),
            level: Level::new(),
        })
    }

    /// Hands the next lines to `each`, and what they say, up to one that cannot be read so: gives that and all after it.
    pub(super) fn read_lines<'a, 'm>(
        &self,
        lines: Lines<'a, 'm>,
        clock: &mut Clock,
        each: &mut impl EachLine<'a>,
    ) -> Lines<'a, 'm> {
        // The steps become part of the loop, and both are compiled for what the processor can do: with a call a line, for what
        // every processor can, reading took a fifth more instructions.
        let level = self.level;
        match self.known {
            Some(Known::Main) => dispatch!(level, simd => read_lines(simd, &known::Main, lines, clock, each)),
            Some(Known::Rgwlens) => {
                dispatch!(level, simd => read_lines(simd, &known::Rgwlens, lines, clock, each))
            }
            None => dispatch!(level, simd => read_lines(simd, self, lines, clock, each)),
        }
    }

    /// Hands the next line over if there are escapes in it, and else it can be read so; gives all after it. On the thorough
    /// way, a replay of nothing but such lines took 2.5 times as long as the usual one, and so 2.2 times. `marks` is memory
    /// to work with.
    pub(super) fn read_escaped<'a, 'm>(
        &self,
        lines: Lines<'a, 'm>,
        marks: &mut Vec<u32>,
        clock: &mut Clock,
        each: &mut impl EachLine<'a>,
    ) -> Option<Lines<'a, 'm>> {
        let is = |byte: u8| move |mark: &u32| lines.block.get(*mark as usize) == Some(&byte);
        let newline = self.escape.and_then(|_| lines.marks.iter().position(is(b'\n')))?;
        let (of_line, rest) = lines.marks.split_at_checked(newline + 1)?;
        marks.clear();
        marks.extend(of_line.iter().filter(|mark| !is(b'\\')(mark)));
        if marks.len() == of_line.len() {
            return None;
        }
        let line = Lines { marks, escape: self.escape, ..lines };
        let after = self.read_lines(line, clock, each).start;
        (after > lines.start).then_some(Lines { start: after, marks: rest, ..lines })
    }
}

/// Reads lines by the steps of one format.
#[inline(always)]
fn read_lines<'a, 'm, S: Simd>(
    simd: S,
    steps: &impl Steps,
    mut lines: Lines<'a, 'm>,
    clock: &mut Clock,
    each: &mut impl EachLine<'a>,
) -> Lines<'a, 'm> {
    // One for all lines: each has the same values, and writes all of them.
    let mut record = Record { escape: lines.escape, ..Record::default() };
    let mut spare = None;
    while let Some((marks, rest)) = lines.marks.split_at_checked(steps.marks()) {
        let Some((line, window)) = look_at(lines, marks, &mut spare) else { break };
        // But for these, which are put together from several.
        record.upstream_tries = 0;
        record.gateway_request_id = None;
        let mut reading =
            Reading { simd, window, line, start: lines.start as u32, record: &mut record, clock };
        if steps.read(&mut reading, marks).is_none() {
            break;
        }
        each.take(line, Ok(&record));
        lines = Lines { start: lines.start + line.len() + 1, marks: rest, ..lines };
    }
    lines
}

/// The longest line that is read here, in bytes.
const LONGEST: usize = (1 << 12) - 1;
/// A line, its newline, and what may be looked at behind it, so that eight or more bytes can be looked at wherever something
/// of the line stands.
pub(super) const WINDOW: usize = LONGEST + 1 + 192;

/// The line that ends at the last of these marks, if it is not too long, and what to look at it through. That is where it
/// stands, or a copy where too little follows it.
///
/// That a window has a length known when compiling, and places in it a bound, is what leaves no question to be asked before
/// looking at a place: there were twenty such questions a line, each of three instructions.
#[inline(always)]
fn look_at<'a, 'w>(
    lines: Lines<'a, '_>,
    marks: &[u32],
    spare: &'w mut Option<[u8; WINDOW]>,
) -> Option<(&'a [u8], &'w [u8; WINDOW])>
where
    'a: 'w,
{
    let rest = lines.block.get(lines.start..)?;
    let length = (*marks.last()? as usize).wrapping_sub(lines.start);
    if length > LONGEST {
        return None;
    }
    if let Some(window) = rest.first_chunk::<WINDOW>() {
        return Some((&window[..length], window));
    }
    let line = rest.get(..=length)?;
    // Made only here: lines with escapes come one by one, and to make it for each would take longer than to read them.
    let spare = spare.get_or_insert([0; WINDOW]);
    spare[..=length].copy_from_slice(line);
    Some((&line[..length], spare))
}

/// The steps of a format.
trait Steps {
    /// How many marks a line has.
    fn marks(&self) -> usize;

    /// Reads the line; `marks` are its own, if it can be read so.
    fn read<S: Simd>(&self, reading: &mut Reading<'_, '_, S>, marks: &[u32]) -> Option<()>;
}

impl Steps for PlainPlan {
    #[inline(always)]
    fn marks(&self) -> usize {
        self.marks
    }

    #[inline(always)]
    fn read<S: Simd>(&self, reading: &mut Reading<'_, '_, S>, marks: &[u32]) -> Option<()> {
        let mut at = reading.pass(self.prefix, 0)?;
        for step in &self.steps {
            at = reading.value(step.way, at, *marks.get(step.mark)?, step.after)?;
        }
        if !self.has_body_bytes {
            reading.record.body_bytes_sent = reading.record.bytes_sent.unwrap_or_default();
        }
        reading.line_end(at)
    }
}

/// Formats whose steps are compiled with the program.
#[derive(Clone, Copy, Debug)]
enum Known {
    Main,
    Rgwlens,
}

/// A line while it is read. Places are those of the line.
struct Reading<'r, 'a, S> {
    simd: S,
    window: &'r [u8; WINDOW],
    line: &'a [u8],
    /// Where it begins in its block.
    start: u32,
    record: &'r mut Record<'a>,
    clock: &'r mut Clock,
}

impl<'a, S: Simd> Reading<'_, 'a, S> {
    /// Reads the value that stands at `at` and passes the text after it; gives the place after both. `mark` is the next one
    /// after the value, in the block.
    #[inline(always)]
    fn value(&mut self, way: Way, at: usize, mark: u32, after: Text) -> Option<usize> {
        let mark = self.place(mark);
        let end = match way {
            Way::Skip(bytes) if at + bytes <= mark => mark - bytes,
            Way::Skip(_) => return None,
            Way::Request => {
                request::split_in(self.simd, self.window, self.line, at, mark, self.record)?;
                mark
            }
            Way::RemoteAddr => {
                let end = self.first_blank(at)?;
                self.record.remote_addr = present(self.text(at, end)?);
                end
            }
            Way::UserAgent => {
                self.record.user_agent = present(self.text(at, mark)?);
                mark
            }
            Way::TimeLocal => {
                self.record.time_ms = self.clock.known_time_local(chunk(self.window, at)?)?;
                at + TIME_LOCAL
            }
            Way::Msec => {
                let (rest, time_ms) = self.clock.msec(self.from(at)?).ok()?;
                self.record.time_ms = time_ms;
                self.line.len() - rest.len()
            }
            Way::Status => {
                self.record.status = value::three(eight(self.window, at)?)?;
                at + 3
            }
            Way::RequestLength => {
                let (end, bytes) = self.number(at)?;
                self.record.request_length = Some(bytes);
                end
            }
            Way::BodyBytesSent => {
                let (end, bytes) = self.number(at)?;
                self.record.body_bytes_sent = bytes;
                end
            }
            Way::BytesSent => {
                let (end, bytes) = self.number(at)?;
                self.record.bytes_sent = Some(bytes);
                end
            }
            Way::RequestTime => {
                let (length, time_ms) = match value::below_ten_seconds(eight(self.window, at)?) {
                    Some(time_ms) => (value::SECONDS, time_ms),
                    None => value::any_seconds(self.from(at)?)?,
                };
                self.record.request_time_ms = Some(time_ms);
                at + length
            }
            Way::Other(field, end) => self.other(field, end, at, mark)?,
        };
        self.pass(after, end)
    }

    /// A mark's place in the line. One of another line would give any place that the window has.
    #[inline(always)]
    fn place(&self, mark: u32) -> usize {
        mark.wrapping_sub(self.start) as usize & LONGEST
    }

    /// The first blank from there on.
    #[inline(always)]
    fn first_blank(&self, at: usize) -> Option<usize> {
        // Here and elsewhere: a closure for what is rare would be called for what is frequent.
        match scan::near(self.simd, b' ', chunk(self.window, at)?) {
            Some(length) => Some(at + length),
            None => Some(at + far_blank(self.from(at)?)?),
        }
    }

    /// The end of a number, and the number.
    #[inline(always)]
    fn number(&self, at: usize) -> Option<(usize, u64)> {
        let (length, number) = match value::up_to_eight_digits(self.simd, chunk(self.window, at)?) {
            Some(number) => number,
            None => value::all_digits(self.from(at)?)?,
        };
        Some((at + length, number))
    }

    /// Reads a value as on the thorough way, unless it is as nearly all are, and gives its end.
    #[inline(always)]
    fn other(&mut self, field: Field, end: End, at: usize, mark: usize) -> Option<usize> {
        if self.simple(field, end, at, mark).is_some() {
            return Some(mark);
        }
        let end = match end {
            End::Own => {
                let (rest, ()) = assign(field, self.from(at)?, self.record, self.clock).ok()?;
                return Some(self.line.len() - rest.len());
            }
            End::Fixed(length) => at + length,
            End::BeforeMark(bytes) => mark.checked_sub(bytes)?,
            End::Byte(byte) => at + scan::find_near(byte, self.text(at, mark)?)?,
        };
        match assign(field, self.text(at, end)?, self.record, self.clock) {
            Ok((b"", ())) => Some(end),
            _ => None,
        }
    }

    /// Reads a value that ends at the mark, if it is what it is nearly always: of one server, a length. `None` says that it
    /// may be anything.
    #[inline(always)]
    fn simple(&mut self, field: Field, end: End, at: usize, mark: usize) -> Option<()> {
        let is_all = |length: usize| (at + length == mark).then_some(());
        let bytes = eight(self.window, at)?;
        match (field, end) {
            (Field::UpstreamAddr, End::BeforeMark(0)) if mark < self.first_blank(at)? => {
                self.record.upstream_addr = Some(present(self.text(at, mark)?)?);
            }
            (Field::UpstreamStatus, End::Own) => {
                is_all(3)?;
                self.record.upstream_status = Some(value::three(bytes)?);
            }
            (Field::UpstreamHeaderTime, End::Own) => {
                is_all(value::SECONDS)?;
                self.record.upstream_header_time_ms = Some(value::below_ten_seconds(bytes)?);
            }
            (Field::UpstreamResponseTime, End::Own) => {
                is_all(value::SECONDS)?;
                self.record.upstream_response_time_ms = Some(value::below_ten_seconds(bytes)?);
            }
            (Field::ContentLength, End::BeforeMark(0)) => {
                let (length, number) = value::up_to_eight_digits(self.simd, chunk(self.window, at)?)?;
                is_all(length)?;
                self.record.logs_content_length = true;
                self.record.content_length = Some(number);
                return Some(());
            }
            _ => return None,
        }
        tried(self.record, 1);
        Some(())
    }

    /// The place after the text, if it stands at `at`.
    #[inline(always)]
    fn pass(&self, text: Text, at: usize) -> Option<usize> {
        text.begins(eight(self.window, at)?).then_some(at + text.len)
    }

    /// Whether the values end at the newline: then they are all that the line has, and there is not one mark in it that is
    /// not the format's.
    #[inline(always)]
    fn line_end(&self, at: usize) -> Option<()> {
        (at == self.line.len() && self.window.get(at) == Some(&b'\n')).then_some(())
    }

    #[inline(always)]
    fn text(&self, from: usize, to: usize) -> Option<&'a [u8]> {
        self.line.get(from..to)
    }

    #[inline(always)]
    fn from(&self, at: usize) -> Option<&'a [u8]> {
        self.line.get(at..)
    }
}

/// The first blank, of a long address.
#[cold]
fn far_blank(text: &[u8]) -> Option<usize> {
    memchr::memchr(b' ', text)
}

/// Eight bytes as a number, the first in its lowest byte.
#[inline(always)]
pub(super) fn eight(window: &[u8; WINDOW], at: usize) -> Option<u64> {
    chunk(window, at).map(|bytes| u64::from_le_bytes(*bytes))
}

/// So many bytes. There always are, but for places that no line can have.
#[inline(always)]
pub(super) fn chunk<const N: usize>(window: &[u8; WINDOW], at: usize) -> Option<&[u8; N]> {
    window.get(at..at + N)?.first_chunk()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::{LineParser, LogFormat, PlainTarget, Reject};
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
        quick.parse_lines(block, &mut |line: &[u8], said: Result<&Record<'_>, Reject>| {
            assert_eq!(line, lines.next().unwrap());
            let expected = thorough.parse(line);
            let said = said.map(|record| {
                plain += usize::from(record.escape.is_none());
                assert!(record.escape.is_some() || !line.contains(&b'\\'));
                if let Some(plain) = record.plain {
                    assert!(plain.text.starts_with(record.uri));
                    let plain = PlainTarget { text: record.uri, ..plain };
                    assert_eq!(Some(plain), PlainTarget::of(record.method, record.uri));
                }
                Record { escape: Some(format.escape()), plain: None, ..*record }
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
            assert_eq!(check(&format, block.as_bytes()), 3, "{line}");
        }
    }

    #[test]
    fn lines_may_be_as_long_as_a_window() {
        for (name, line) in LINES {
            let format: LogFormat = name.parse().unwrap();
            for length in (LONGEST - 20..LONGEST + 20).chain([WINDOW - 1, WINDOW, 2 * WINDOW]) {
                for place in ["gent", "/k"] {
                    let long = line.replace(place, &format!("{place}{}", "x".repeat(length - line.len())));
                    let block = format!("{long}\n{line}\n").repeat(12);
                    let plain = check(&format, block.as_bytes());
                    let expected = if long.len() <= LONGEST { 24 } else { 12 };
                    assert_eq!(plain, expected, "{name}: {length} bytes, {place}");
                }
            }
        }
    }

    /// Only the quick way notes what it has seen of a target.
    #[test]
    fn escapes_end_no_value() {
        for (format, line) in LINES.into_iter().filter(|(_, line)| line.contains("\"GET ")) {
            let format: LogFormat = format.parse().unwrap();
            let block = format!("{line}\n").repeat(3).replace("gent", r"\x22g\\ent\xE4");
            check(&format, block.as_bytes());
            let (mut quick, mut escaped) = (0, 0);
            let mut count = |_: &[u8], said: Result<&Record<'_>, Reject>| {
                let record = said.unwrap();
                quick += usize::from(record.plain.is_some());
                escaped += usize::from(record.escape == Some(format.escape()));
            };
            LineParser::new(format.clone()).parse_lines(block.as_bytes(), &mut count);
            let expected = if format.escape() == Escape::Default { 3 } else { 0 };
            assert!(quick >= expected && escaped == 3, "{line}: {quick} of {escaped}");
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
