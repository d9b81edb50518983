//! `replay`: the past, with the same numbers as live, and without damage to what is there.
//!
//! What is there already is asked for before anything is written. Nearly always that is nothing from the time of the
//! first line on: then one pass over the files is enough, since wherever they end there is nothing to damage. Else there
//! are two. The first one counts, and writes nothing: it says which windows the input covers whole, and how many lines
//! each has. Then the places are asked about just these, and only then the second pass writes.

mod coverage;
mod error;
mod place;
mod scan;
mod write;

use std::{collections::BTreeSet, path::PathBuf};

use crate::{
    access_log::{ClassifierSettings, InputFormat, InputParser},
    follow::{Files, FilesOptions},
    pipeline::{self, Counter, InputReader, PipelineError},
    point::TimestampMs,
    stats::{Admission, Settings, Totals, Windows},
    store::{Range, Stream},
};

pub use coverage::{Coverage, LeftOut, Why};
pub use error::ReplayError;
pub use place::{InfluxPlace, LinesPlace, Parts, Place, StorePlace};

/// What is replayed, and how it is counted.
#[derive(Clone, Debug)]
pub struct Input {
    /// The files of one stream, in any order; `-` for standard input.
    pub files: Vec<PathBuf>,
    /// Their format.
    pub format: InputFormat,
    /// The gateway they are from.
    pub classifier: ClassifierSettings,
    /// Windows, slowness, buckets, events.
    pub settings: Settings,
    /// Name and constant tags of the stream.
    pub stream: Stream,
    /// Longest line, bytes.
    pub max_line: usize,
    /// How many threads parse and count. What comes out does not depend on it.
    pub jobs: usize,
}

/// What to do about points that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Stop and say so.
    Careful,
    /// Delete them first.
    Replace,
    /// Write in place: right only where the same files were replayed before, and not to the end.
    Overwrite,
}

impl Mode {
    /// What to say where it was interrupted while it wrote.
    fn to_go_on(self) -> &'static str {
        match self {
            // The rest is not there, and what is there must not be counted twice.
            Self::Careful | Self::Overwrite => ", go on with --overwrite",
            // The range is deleted already: only all of it, anew, is whole.
            Self::Replace => ", the rest of the range is deleted: do it again with --replace",
        }
    }
}

/// What bounds the windows that may be written, beside the input itself.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What the operator asked for.
    pub period: Range,
    /// First moment that `run` of this host counted, or that it has not finished counting: from its window on, the
    /// store has it.
    pub counted_from_ms: Option<TimestampMs>,
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What became of the lines.
    pub totals: Totals,
    /// Parts written.
    pub parts: u64,
    /// Windows left out, and why.
    pub left_out: Vec<LeftOut>,
    /// Points refused one by one, with the reason.
    pub rejected: Vec<(String, String)>,
    /// Points older than a place keeps.
    pub expired: u64,
    /// What was wrong with the files.
    pub incidents: Vec<String>,
}

/// Tells how far a pass is.
pub trait Progress {
    /// A pass over so many (compressed) bytes begins; the counter moves while it goes on.
    fn begin(&mut self, what: &'static str, bytes: u64, read: std::sync::Arc<std::sync::atomic::AtomicU64>);
    /// It is over.
    fn end(&mut self);
}

/// Reads everything, final or not, and hands all parts to `place`: for looking at, not for keeping.
pub fn read_all(
    input: &Input,
    place: &mut impl Parts,
    progress: &mut impl Progress,
) -> Result<Outcome, ReplayError> {
    let mut sink = write::Writer::everything(std::slice::from_mut(place));
    let totals = pass(input, "reading", &mut sink, progress)?;
    Ok(Outcome { totals, ..sink.finish()? })
}

/// Writes the windows that the input covers whole to all places.
pub fn replay<P: Place>(
    input: &Input,
    places: &mut [P],
    mode: Mode,
    limits: Limits,
    progress: &mut impl Progress,
) -> Result<Outcome, ReplayError> {
    if mode == Mode::Careful {
        let coverage = Coverage::from(first_ms(input)?, &input.settings.windows, limits);
        if is_free(places, &coverage)? {
            let sink = write::Writer::as_read(places, coverage);
            return write_to(input, sink, mode, progress);
        }
    }
    let mut scan = scan::Scan::default();
    let totals = pass(input, "checking", &mut scan, progress)?;
    if totals.counted == 0 {
        return Err(ReplayError::NothingFits { lines: totals.lines + totals.skipped });
    }
    let coverage = Coverage::new(&scan, &input.settings.windows, limits);
    let range = coverage.range().ok_or_else(|| nothing_to_write(&coverage))?;
    let mut keep = BTreeSet::new();
    for place in places.iter_mut() {
        match mode {
            Mode::Careful => {
                if let Some(found) = place.find(range)? {
                    return Err(ReplayError::AlreadyThere { place: place.name(), found });
                }
            }
            Mode::Replace => keep.extend(richer(&scan, place, range, input)?),
            Mode::Overwrite => {}
        }
    }
    let coverage = coverage.without(keep);
    if mode == Mode::Replace {
        places.iter().try_for_each(Place::can_delete)?;
    }
    for place in places.iter_mut() {
        match mode {
            Mode::Careful => {}
            Mode::Replace => {
                coverage.deletions().try_for_each(|(kind, ranges)| place.delete(kind, &ranges))?
            }
            Mode::Overwrite => {
                coverage.deletions().try_for_each(|(kind, ranges)| place.make_room(kind, &ranges))?
            }
        }
    }
    write_to(input, write::Writer::covered(places, coverage), mode, progress)
}

/// The pass that writes.
fn write_to<P: Place>(
    input: &Input,
    mut sink: write::Writer<'_, P>,
    mode: Mode,
    progress: &mut impl Progress,
) -> Result<Outcome, ReplayError> {
    let read = pass(input, "writing", &mut sink, progress).map_err(|error| match error {
        ReplayError::Source(error) if sink.has_written() => {
            ReplayError::Unreadable { error, go_on: mode.to_go_on() }
        }
        error => error,
    });
    let written = read.and_then(|totals| {
        if let Some(coverage) = sink.coverage().filter(|coverage| coverage.range().is_none()) {
            return Err(nothing_to_write(coverage));
        }
        Ok(Outcome { totals, ..sink.finish()? })
    });
    written.map_err(|error| match error {
        ReplayError::NotTaken { place, why, .. } => {
            ReplayError::NotTaken { place, why, go_on: mode.to_go_on() }
        }
        error => error,
    })
}

/// Why nothing may be written of an input.
fn nothing_to_write(coverage: &Coverage) -> ReplayError {
    match coverage.why_nothing() {
        Why::CountedByRun => ReplayError::CountedByRun,
        Why::OutsidePeriod => ReplayError::OutsidePeriod,
        _ => ReplayError::NothingWhole,
    }
}

/// Time of the first line that is counted.
fn first_ms(input: &Input) -> Result<TimestampMs, ReplayError> {
    let (mut files, mut counter) = open(input)?;
    match pipeline::run(&mut files, &mut counter, &mut scan::First) {
        Ok(()) => {}
        Err(PipelineError::Source(error)) => return Err(error.into()),
        Err(PipelineError::Sink(never)) => match never {},
    }
    let totals = counter.windows.totals();
    counter.windows.first_ms().ok_or(ReplayError::NothingFits { lines: totals.lines + totals.skipped })
}

/// Whether no place has anything of the time in which something may be written, as far as that is known.
fn is_free<P: Place>(places: &mut [P], coverage: &Coverage) -> Result<bool, ReplayError> {
    let Some(range) = coverage.range() else { return Ok(true) };
    for place in places {
        if place.find(range)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Windows of which a place holds more lines than the input has: others counted lines of them that are not here (late
/// ones in a later file), and to replace them would lose these.
fn richer(
    scan: &scan::Scan,
    place: &mut impl Place,
    range: Range,
    input: &Input,
) -> Result<Vec<TimestampMs>, ReplayError> {
    let there = place.lines_by_window(range, input.settings.windows.node_ms)?;
    let more = |(start, lines): &(TimestampMs, u64)| *lines > scan.lines.get(start).copied().unwrap_or(0);
    Ok(there.into_iter().filter(more).map(|(start, _)| start).collect())
}

/// One pass over the input.
fn pass<K: pipeline::PartSink<Error = ReplayError>>(
    input: &Input,
    what: &'static str,
    sink: &mut K,
    progress: &mut impl Progress,
) -> Result<Totals, ReplayError> {
    let (mut files, mut counter) = open(input)?;
    progress.begin(what, files.bytes_total(), files.bytes_read());
    let result = match input.jobs {
        ..=1 => pipeline::run(&mut files, &mut counter, sink),
        jobs => {
            let reader = || InputReader::new(input.format.clone(), input.classifier.clone());
            pipeline::run_parallel(&mut files, &mut counter, sink, jobs, reader)
        }
    };
    progress.end();
    match result {
        Ok(()) => Ok(counter.windows.totals()),
        Err(PipelineError::Source(error)) => Err(error.into()),
        Err(PipelineError::Sink(error)) => Err(error),
    }
}

/// The files from their beginning, and nothing counted yet.
fn open(input: &Input) -> Result<(Files, Counter), ReplayError> {
    let mut parser = InputParser::new(input.format.clone());
    let mut first_time = |line: &[u8]| parser.first_time(line);
    let options = FilesOptions { max_line: input.max_line.max(input.format.longest_line()) };
    let files = Files::open(&input.files, options, &mut first_time)?;
    let seed = input.stream.seed();
    let admission = Admission::new(input.settings.admission.clone(), seed);
    let windows = Windows::replay(input.settings.clone(), admission);
    let slow = input.settings.slow;
    Ok((files, Counter::new(input.format.clone(), input.classifier.clone(), slow, windows)))
}
