//! The loop that `run` and `replay` share: the same lines give the same parts, wherever they come from and go to.

mod digest;
mod input;
mod parallel;

use std::ops::ControlFlow;

pub use input::{GatewayReader, InputReader, Unit};
pub use parallel::{PartSink, run_parallel};

use crate::{
    access_log::{
        Asked, Classified, Classifier, ClassifierSettings, EachLine, InputFormat, LineParser, LogFormat,
        Record, Reject, unescape,
    },
    follow::{Lines, Next, Source, SourceError},
    point::TimestampMs,
    stats::{Batch, LANES, Look, Part, Request, SlowSettings, Wanted, Windows},
};

/// Where parts go. It decides when to commit, and has the last word on going on.
pub trait Sink<S> {
    /// Why it cannot go on.
    type Error;

    /// After every step: takes the parts that closed, if any, and commits when it is time.
    fn turn(
        &mut self,
        parts: Vec<Part>,
        windows: &mut Windows,
        source: &mut S,
    ) -> Result<ControlFlow<()>, Self::Error>;

    /// There is no more input: takes what was still open, final or not.
    fn end(&mut self, parts: Vec<Part>, windows: &mut Windows) -> Result<(), Self::Error>;
}

/// What stopped the loop.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError<E> {
    /// The input.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The output.
    #[error("{0}")]
    Sink(E),
}

/// Reads to the end of the source, or until the sink has had enough.
pub fn run<S: Source, K: Sink<S>>(
    source: &mut S,
    counter: &mut Counter,
    sink: &mut K,
) -> Result<(), PipelineError<K::Error>> {
    loop {
        match source.next()? {
            Next::Lines(lines) => counter.count(lines),
            Next::Skipped { reason } => counter.windows.reject(reason),
            Next::Idle { now_ms } => counter.windows.advance(now_ms),
            Next::End => return counter.end(sink),
        }
        if counter.turn(source, sink)?.is_break() {
            return Ok(());
        }
    }
}

/// From lines to counts: the whole hot path, one thread, nothing allocated per line once warm.
#[derive(Debug)]
pub struct Counter {
    reader: InputReader,
    slow: SlowSettings,
    /// What the lines add up to.
    pub windows: Windows,
}

impl Counter {
    /// For one log.
    pub fn new(
        format: impl Into<InputFormat>,
        classifier: ClassifierSettings,
        slow: SlowSettings,
        windows: Windows,
    ) -> Self {
        Self { reader: InputReader::new(format.into(), classifier), slow, windows }
    }

    /// Counts lines, each as a request or as a reject; those of RGW's own logs as however many they hold.
    pub fn count(&mut self, lines: Lines<'_>) {
        let (windows, slow) = (&mut self.windows, &self.slow);
        // Asked once for many lines: nginx's pay nothing for the others.
        match &mut self.reader {
            InputReader::Nginx(reader) => {
                let wanted = windows.wanted();
                reader.read_lines(lines.bytes, slow, wanted, &mut Counting { windows, now_ms: lines.now_ms });
            }
            InputReader::Gateway(reader) => {
                for line in lines.iter() {
                    // All of a line, before anybody can ask for the position: it is counted whole or not at all.
                    reader.read(line, slow, |bytes, unit| match unit {
                        Unit::Request(request, _) => windows.record(request, bytes, lines.now_ms),
                        Unit::Rejected(reject) => windows.reject(reject.reason),
                        Unit::Skipped => windows.skip(),
                    });
                }
            }
        }
    }

    /// Hands over what closed.
    fn turn<S, K: Sink<S>>(
        &mut self,
        source: &mut S,
        sink: &mut K,
    ) -> Result<ControlFlow<()>, PipelineError<K::Error>> {
        let parts = self.windows.close_due();
        sink.turn(parts, &mut self.windows, source).map_err(PipelineError::Sink)
    }

    /// Hands over what was still open.
    fn end<S, K: Sink<S>>(&mut self, sink: &mut K) -> Result<(), PipelineError<K::Error>> {
        let parts = self.windows.close_all();
        sink.end(parts, &mut self.windows).map_err(PipelineError::Sink)
    }
}

/// What is done with the lines of a block.
pub trait Take<'a> {
    /// Takes requests, in their order, and the lines that they stand on. `read` reads one of these once more. Another batch
    /// may be left for theirs: it is emptied.
    fn requests(&mut self, batch: &mut Box<Batch>, lines: &[&'a [u8]], read: &mut ReadOne<'_>);
    /// Takes a line that has none.
    fn reject(&mut self, line: &'a [u8], reject: Reject);
}

/// Reads a line, and hands its request over if it has one.
pub type ReadOne<'r> = dyn FnMut(&[u8], &mut Look<'_>) + 'r;

/// Counts them, as they were read at this time.
struct Counting<'w> {
    windows: &'w mut Windows,
    now_ms: Option<TimestampMs>,
}

impl<'a> Take<'a> for Counting<'_> {
    #[inline]
    fn requests(&mut self, batch: &mut Box<Batch>, lines: &[&'a [u8]], read: &mut ReadOne<'_>) {
        self.windows.record_all(batch, self.now_ms, |lane, each| read(lines[lane], each));
    }

    // Bad input is data: counted, never fatal.
    fn reject(&mut self, _line: &'a [u8], reject: Reject) {
        self.windows.reject(reject.reason);
    }
}

/// From a line to a measured request: parse, unescape, classify, measure. Owns the buffers that decoding needs.
#[derive(Debug)]
pub struct RequestReader {
    parser: LineParser,
    one: OneReader,
    batch: Box<Batch>,
}

impl RequestReader {
    /// Lines of this format, from a gateway with these settings.
    pub fn new(format: LogFormat, classifier: ClassifierSettings) -> Self {
        let one = OneReader { parser: LineParser::new(format.clone()), measurer: Measurer::new(classifier) };
        Self { parser: LineParser::new(format), one, batch: Box::default() }
    }

    /// Hands the lines of a block of whole lines over: with their requests, or each with why it has none.
    pub fn read_lines<'a>(
        &mut self,
        block: &'a [u8],
        slow: &SlowSettings,
        wanted: Wanted,
        take: &mut impl Take<'a>,
    ) {
        let Self { parser, one, batch } = self;
        let mut batches = Batches { one, batch, lines: [b""; LANES], slow, wanted, take };
        parser.parse_lines(block, &mut batches);
        batches.hand_over();
    }

    /// Hands the line's request to `each`, or says why it has none.
    pub fn read<T>(
        &mut self,
        line: &[u8],
        slow: &SlowSettings,
        each: impl FnOnce(&Request<'_>) -> T,
    ) -> Result<T, Reject> {
        self.one.read(line, slow, each)
    }
}

/// Makes batches of the requests of lines, and hands these over.
struct Batches<'r, 'a, T> {
    one: &'r mut OneReader,
    batch: &'r mut Box<Batch>,
    /// On which they stand.
    lines: [&'a [u8]; LANES],
    slow: &'r SlowSettings,
    wanted: Wanted,
    take: &'r mut T,
}

impl<'a, T: Take<'a>> EachLine<'a> for Batches<'_, 'a, T> {
    #[inline(always)]
    fn take(&mut self, line: &'a [u8], said: Result<&Record<'a>, Reject>) {
        match said {
            Ok(record) => {
                self.lines[self.batch.len() % LANES] = line;
                self.one.measurer.push(record, self.slow, self.batch);
                if self.batch.is_full() {
                    self.hand_over();
                }
            }
            Err(reject) => {
                self.hand_over();
                self.take.reject(line, reject);
            }
        }
    }
}

impl<'a, T: Take<'a>> Batches<'_, 'a, T> {
    /// Hands over what the batch holds.
    #[inline(never)]
    fn hand_over(&mut self) {
        let Self { one, batch, lines, slow, wanted, take } = self;
        if batch.is_empty() {
            return;
        }
        batch.measure(slow, *wanted);
        take.requests(batch, &lines[..batch.len()], &mut |line, each| {
            // It was read before.
            let _ = one.read(line, slow, |request| each(request, line));
        });
        batch.clear();
    }
}

/// Reads one line at a time.
#[derive(Debug)]
struct OneReader {
    parser: LineParser,
    measurer: Measurer,
}

impl OneReader {
    fn read<T>(
        &mut self,
        line: &[u8],
        slow: &SlowSettings,
        each: impl FnOnce(&Request<'_>) -> T,
    ) -> Result<T, Reject> {
        let record = self.parser.parse(line)?;
        Ok(self.measurer.measure(&record, slow, each))
    }
}

/// From a record to a measured request.
#[derive(Debug)]
struct Measurer {
    classifier: Classifier,
    buffers: Buffers,
    label: Vec<u8>,
}

/// What decoding needs.
#[derive(Debug, Default)]
struct Buffers {
    method: Vec<u8>,
    uri: Vec<u8>,
    host: Vec<u8>,
    destination: Vec<u8>,
    names: Vec<u8>,
}

impl Buffers {
    /// What a request is.
    fn classify<'a>(&'a mut self, classifier: &Classifier, record: &Record<'a>) -> Classified<'a> {
        let (escape, destination) = (record.escape, &mut self.destination);
        let asked = Asked {
            method: unescape(record.method, escape, &mut self.method),
            uri: unescape(record.uri, escape, &mut self.uri),
            host: record.host.map(|host| unescape(host, escape, &mut self.host)),
            host_as_sent: record.host_as_sent,
            status: record.status,
            remote_addr: record.remote_addr,
            user_agent: record.user_agent,
            time_ms: record.time_ms,
            has_copy_source: record.has_copy_source,
            has_copy_from: record.has_copy_from,
            destination: record.destination.map(|to| unescape(to, escape, destination)),
            is_form: record.content_type.is_some_and(is_form),
        };
        classifier.classify(&asked, &mut self.names)
    }
}

impl Measurer {
    fn new(classifier: ClassifierSettings) -> Self {
        Self { classifier: Classifier::new(classifier), buffers: Buffers::default(), label: Vec::new() }
    }

    /// Adds the request of a record to a batch.
    #[inline(always)]
    fn push(&mut self, record: &Record<'_>, slow: &SlowSettings, batch: &mut Batch) {
        if record.escape.is_none()
            && let Some(what) = self.classifier.classify_plainly(record)
        {
            batch.push_plain(record, &what, record.plain.map_or(b"", |target| target.segment_on()));
        } else {
            self.measure(record, slow, |request| batch.push(request));
        }
    }

    /// Any record.
    #[inline(never)]
    fn measure<T>(
        &mut self,
        record: &Record<'_>,
        slow: &SlowSettings,
        each: impl FnOnce(&Request<'_>) -> T,
    ) -> T {
        let what = self.buffers.classify(&self.classifier, record);
        each(&Request::new(record, &what, slow, &mut self.label))
    }
}

/// Whether a content type is that of a form with files, as RGW wants it. A quote in it may still be escaped.
fn is_form(content_type: &[u8]) -> bool {
    content_type.starts_with(b"multipart/form-data")
        && memchr::memmem::find(content_type, b"boundary=").is_some()
}
