//! Where replayed parts go.

use std::{collections::BTreeMap, io::Write};

use tokio::runtime::Runtime;

use super::{Outcome, ReplayError};
use crate::{
    influx::{
        Batch, Client, Target,
        history::{self, History},
        line_protocol::{Dialect, Encoder},
        sender::{PATIENCE, Sender},
    },
    point::{Tags, TimestampMs},
    stats::{MEASUREMENTS, Part, WindowKind, write_points},
    store::{Range, Reader, ReplayLock, Store, StoreError, Stream},
};

/// Takes parts.
pub trait Parts {
    /// Takes these. Those that it does not take out are written.
    fn write(&mut self, parts: &mut Vec<Part>) -> Result<(), ReplayError>;

    /// There are no more: everything has to be safe after this. Adds what went wrong with single points.
    fn finish(&mut self, outcome: &mut Outcome) -> Result<(), ReplayError>;
}

/// A place that keeps parts, and can be asked what it has.
pub trait Place: Parts {
    /// What to call it.
    fn name(&self) -> String;

    /// What it has of the stream in this range, in words; `None` for nothing.
    fn find(&mut self, range: Range) -> Result<Option<String>, ReplayError>;

    /// Lines it has of the stream, by the start of windows of this length.
    fn lines_by_window(
        &mut self,
        range: Range,
        length_ms: i64,
    ) -> Result<BTreeMap<TimestampMs, u64>, ReplayError>;

    /// Whether it can delete at all: asked of all places before the first of them does.
    fn can_delete(&self) -> Result<(), ReplayError> {
        Ok(())
    }

    /// Deletes windows of the stream that begin in these ranges.
    fn delete(&mut self, kind: WindowKind, ranges: &[Range]) -> Result<(), ReplayError>;

    /// Before windows are written in place: most places need nothing, since a point of one identity replaces itself.
    fn make_room(&mut self, _kind: WindowKind, _ranges: &[Range]) -> Result<(), ReplayError> {
        Ok(())
    }
}

impl Parts for Box<dyn Place> {
    fn write(&mut self, parts: &mut Vec<Part>) -> Result<(), ReplayError> {
        (**self).write(parts)
    }

    fn finish(&mut self, outcome: &mut Outcome) -> Result<(), ReplayError> {
        (**self).finish(outcome)
    }
}

impl Place for Box<dyn Place> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn find(&mut self, range: Range) -> Result<Option<String>, ReplayError> {
        (**self).find(range)
    }

    fn lines_by_window(
        &mut self,
        range: Range,
        length_ms: i64,
    ) -> Result<BTreeMap<TimestampMs, u64>, ReplayError> {
        (**self).lines_by_window(range, length_ms)
    }

    fn can_delete(&self) -> Result<(), ReplayError> {
        (**self).can_delete()
    }

    fn delete(&mut self, kind: WindowKind, ranges: &[Range]) -> Result<(), ReplayError> {
        (**self).delete(kind, ranges)
    }

    fn make_room(&mut self, kind: WindowKind, ranges: &[Range]) -> Result<(), ReplayError> {
        (**self).make_room(kind, ranges)
    }
}

/// Lines of line protocol to a writer: all windows, nothing asked.
pub struct LinesPlace<W> {
    out: W,
    encoder: Encoder,
    event_fields: Vec<String>,
}

impl<W: Write> LinesPlace<W> {
    /// To this writer, with the constant tags of the stream.
    pub fn new(out: W, tags: &Tags, event_fields: &[String]) -> Self {
        let mut encoder = Encoder::new(Dialect::INFLUXDB);
        encoder.set_tags(tags);
        Self { out, encoder, event_fields: event_fields.to_vec() }
    }
}

impl<W: Write> Parts for LinesPlace<W> {
    fn write(&mut self, parts: &mut Vec<Part>) -> Result<(), ReplayError> {
        for part in &*parts {
            write_points(part, &Tags::default(), Some(&self.event_fields), &mut self.encoder);
        }
        self.out.write_all(self.encoder.lines())?;
        self.encoder.clear();
        Ok(())
    }

    fn finish(&mut self, _outcome: &mut Outcome) -> Result<(), ReplayError> {
        Ok(self.out.flush()?)
    }
}

/// The embedded store.
pub struct StorePlace {
    store: Store,
    stream: Stream,
    waiting: Vec<Part>,
    /// In them.
    series: usize,
    _lock: ReplayLock,
}

/// Parts of one transaction, and series in them: few enough to be small, enough not to wait for the disk each time.
const PARTS: usize = 512;
const SERIES: usize = 1 << 16;

impl StorePlace {
    /// The parts of this stream; nobody else's at the same time.
    pub fn new(store: Store, stream: Stream) -> Result<Self, StoreError> {
        let lock = store.lock_for_replay()?;
        Ok(Self { store, stream, waiting: Vec::new(), series: 0, _lock: lock })
    }

    fn flush(&mut self) -> Result<(), ReplayError> {
        self.store.append(&self.stream, &self.waiting)?;
        self.waiting.clear();
        self.series = 0;
        Ok(())
    }
}

impl Place for StorePlace {
    fn name(&self) -> String {
        format!("the store {}", self.store.path().display())
    }

    fn find(&mut self, range: Range) -> Result<Option<String>, ReplayError> {
        let reader = Reader::open(self.store.path())?;
        let first = reader.lines_in(&self.stream, range).next().transpose()?;
        Ok(first.map(|(start_ms, lines)| format!("{lines} lines at {}", show(start_ms))))
    }

    fn lines_by_window(
        &mut self,
        range: Range,
        length_ms: i64,
    ) -> Result<BTreeMap<TimestampMs, u64>, ReplayError> {
        Ok(Reader::open(self.store.path())?.lines_by_window(&self.stream, range, length_ms)?)
    }

    fn delete(&mut self, kind: WindowKind, ranges: &[Range]) -> Result<(), ReplayError> {
        self.store.delete(&self.stream, kind, ranges)?;
        self.store.release_windows(&self.stream, kind, ranges)?;
        Ok(())
    }

    /// The log of parts only grows: what is written anew has to go first.
    fn make_room(&mut self, kind: WindowKind, ranges: &[Range]) -> Result<(), ReplayError> {
        self.delete(kind, ranges)
    }
}

impl Parts for StorePlace {
    fn write(&mut self, parts: &mut Vec<Part>) -> Result<(), ReplayError> {
        self.series += parts.iter().map(|part| part.contents.series().len()).sum::<usize>();
        self.waiting.append(parts);
        if self.waiting.len() >= PARTS || self.series >= SERIES { self.flush() } else { Ok(()) }
    }

    fn finish(&mut self, _outcome: &mut Outcome) -> Result<(), ReplayError> {
        self.flush()
    }
}

/// An InfluxDB, or what speaks its protocol.
pub struct InfluxPlace {
    runtime: Runtime,
    sender: Sender<Client>,
    target: Target,
    stream: Stream,
    batch: Batch,
    rejected: Vec<(String, String)>,
    expired: u64,
}

impl InfluxPlace {
    /// Points of this stream to this target.
    pub fn new(
        target: &Target,
        client: Client,
        stream: Stream,
        event_fields: &[String],
        now_ms: TimestampMs,
    ) -> std::io::Result<Self> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            sender: Sender::new(client),
            target: target.clone(),
            stream,
            batch: Batch::new(target, event_fields, now_ms),
            rejected: Vec::new(),
            expired: 0,
        })
    }

    fn range(&self, range: Range) -> history::Range {
        let tag = |key| self.stream.tags.get(key).unwrap_or_default().to_owned();
        let (cluster, node, log) = (tag("cluster"), tag("node"), tag("log"));
        history::Range { cluster, node, log, from_ms: range.from_ms, to_ms: range.until_ms }
    }

    fn history<T>(&self, result: Result<T, history::HistoryError>) -> Result<T, ReplayError> {
        result.map_err(|error| ReplayError::History { place: self.name(), error })
    }

    fn flush(&mut self) -> Result<(), ReplayError> {
        let sent = self.runtime.block_on(self.sender.send_patiently(self.batch.lines(), PATIENCE));
        let report = sent.map_err(|not_now| ReplayError::NotTaken {
            place: self.name(),
            why: not_now.to_string(),
            go_on: "",
        })?;
        self.expired += report.expired + self.batch.expired();
        for rejected in report.rejected {
            self.rejected.push((String::from_utf8_lossy(&rejected.line).into_owned(), rejected.reason));
        }
        self.batch.clear();
        Ok(())
    }
}

impl Place for InfluxPlace {
    fn name(&self) -> String {
        format!("output {:?} ({})", self.target.name, self.target.url)
    }

    fn find(&mut self, range: Range) -> Result<Option<String>, ReplayError> {
        let range = self.range(range);
        let found = self.runtime.block_on(History::new(self.sender.transport()).has_points(&range));
        Ok(self.history(found)?.map(|found| format!("{} at {}", found.name, show(found.time_ms))))
    }

    fn lines_by_window(
        &mut self,
        range: Range,
        length_ms: i64,
    ) -> Result<BTreeMap<TimestampMs, u64>, ReplayError> {
        let range = self.range(range);
        let history = History::new(self.sender.transport());
        let lines = self.runtime.block_on(history.lines_by_window(&range, length_ms));
        self.history(lines)
    }

    fn can_delete(&self) -> Result<(), ReplayError> {
        self.history(History::new(self.sender.transport()).can_delete())
    }

    fn delete(&mut self, kind: WindowKind, ranges: &[Range]) -> Result<(), ReplayError> {
        let measurements: Vec<&str> =
            MEASUREMENTS.iter().filter(|(_, of)| *of == kind).map(|(name, _)| *name).collect();
        for range in ranges {
            let range = self.range(*range);
            let history = History::new(self.sender.transport());
            let deleted = self.runtime.block_on(history.delete(&range, &measurements));
            self.history(deleted)?;
        }
        Ok(())
    }
}

impl Parts for InfluxPlace {
    fn write(&mut self, parts: &mut Vec<Part>) -> Result<(), ReplayError> {
        for part in &*parts {
            self.batch.add_window(part, &self.stream.tags);
            if self.batch.is_full() {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, outcome: &mut Outcome) -> Result<(), ReplayError> {
        self.flush()?;
        outcome.rejected.append(&mut self.rejected);
        outcome.expired += self.expired;
        Ok(())
    }
}

/// A time for people.
fn show(time_ms: TimestampMs) -> String {
    chrono::DateTime::from_timestamp_millis(time_ms)
        .map_or_else(|| time_ms.to_string(), |time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}
