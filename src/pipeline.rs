//! The loop that `run` and `replay` share: the same lines give the same parts, wherever they come from and go to.

use std::ops::ControlFlow;

use crate::{
    access_log::{Asked, Classifier, ClassifierSettings, LineParser, LogFormat, Reject, unescape},
    follow::{Lines, Next, Source, SourceError},
    point::TimestampMs,
    stats::{Part, Request, SlowSettings, Windows},
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
            Next::End => {
                let parts = counter.windows.close_all();
                return sink.end(parts, &mut counter.windows).map_err(PipelineError::Sink);
            }
        }
        let parts = counter.windows.close_due();
        let turn = sink.turn(parts, &mut counter.windows, source).map_err(PipelineError::Sink)?;
        if turn.is_break() {
            return Ok(());
        }
    }
}

/// From lines to counts: the whole hot path, one thread, nothing allocated per line once warm.
#[derive(Debug)]
pub struct Counter {
    reader: RequestReader,
    slow: SlowSettings,
    /// What the lines add up to.
    pub windows: Windows,
}

impl Counter {
    /// For one log.
    pub fn new(
        format: LogFormat,
        classifier: ClassifierSettings,
        slow: SlowSettings,
        windows: Windows,
    ) -> Self {
        Self { reader: RequestReader::new(format, classifier), slow, windows }
    }

    /// Counts lines, each as a request or as a reject.
    pub fn count(&mut self, lines: Lines<'_>) {
        for line in lines.iter() {
            self.count_line(line, lines.now_ms);
        }
    }

    #[inline]
    fn count_line(&mut self, line: &[u8], now_ms: Option<TimestampMs>) {
        let windows = &mut self.windows;
        let counted = self.reader.read(line, &self.slow, |request| windows.record(request, line, now_ms));
        if let Err(reject) = counted {
            // Bad input is data: counted, never fatal.
            windows.reject(reject.reason);
        }
    }
}

/// From a line to a measured request: parse, unescape, classify, measure. Owns the buffers that decoding needs.
#[derive(Debug)]
pub struct RequestReader {
    parser: LineParser,
    classifier: Classifier,
    method: Vec<u8>,
    uri: Vec<u8>,
    host: Vec<u8>,
    names: Vec<u8>,
    label: Vec<u8>,
}

impl RequestReader {
    /// Lines of this format, from a gateway with these settings.
    pub fn new(format: LogFormat, classifier: ClassifierSettings) -> Self {
        Self {
            parser: LineParser::new(format),
            classifier: Classifier::new(classifier),
            method: Vec::new(),
            uri: Vec::new(),
            host: Vec::new(),
            names: Vec::new(),
            label: Vec::new(),
        }
    }

    /// Hands the line's request to `each`, or says why it has none.
    #[inline]
    pub fn read<T>(
        &mut self,
        line: &[u8],
        slow: &SlowSettings,
        each: impl FnOnce(&Request<'_>) -> T,
    ) -> Result<T, Reject> {
        let record = self.parser.parse(line)?;
        let asked = Asked {
            method: unescape(record.method, record.escape, &mut self.method),
            uri: unescape(record.uri, record.escape, &mut self.uri),
            host: record.host.map(|host| unescape(host, record.escape, &mut self.host)),
            status: record.status,
            remote_addr: record.remote_addr,
            user_agent: record.user_agent,
            time_ms: record.time_ms,
            has_copy_source: record.has_copy_source,
            has_copy_from: record.has_copy_from,
        };
        let what = self.classifier.classify(&asked, &mut self.names);
        Ok(each(&Request::new(&record, &what, slow, &mut self.label)))
    }
}
