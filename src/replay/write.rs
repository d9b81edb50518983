//! The pass that writes: parts to places.

use std::{collections::BTreeMap, ops::ControlFlow};

use super::{Coverage, LeftOut, Outcome, Parts, ReplayError, Why};
use crate::{
    follow::Files,
    pipeline::{PartSink, Sink},
    point::TimestampMs,
    stats::{Key, Part, WindowKind, Windows, counter},
};

/// Hands parts to places: all of them, or those that the input covers whole.
pub(super) struct Writer<'a, P> {
    places: &'a mut [P],
    coverage: Option<Coverage>,
    /// What is covered shows while it is read.
    as_read: bool,
    parts: u64,
    /// Windows left out, with their length, why, and how many lines they have.
    left_out: BTreeMap<(WindowKind, TimestampMs), (i64, Why, u64)>,
    incidents: Vec<String>,
}

impl<'a, P: Parts> Writer<'a, P> {
    pub(super) fn everything(places: &'a mut [P]) -> Self {
        Self {
            places,
            coverage: None,
            as_read: false,
            parts: 0,
            left_out: BTreeMap::new(),
            incidents: Vec::new(),
        }
    }

    pub(super) fn covered(places: &'a mut [P], coverage: Coverage) -> Self {
        Self { coverage: Some(coverage), ..Self::everything(places) }
    }

    /// What the input covers as far as it is read: a window that closes before its end is whole, since that is what closes
    /// it. `coverage` says what the input begins with, and what else bounds it.
    pub(super) fn as_read(places: &'a mut [P], coverage: Coverage) -> Self {
        Self { as_read: true, ..Self::covered(places, coverage) }
    }

    pub(super) fn has_written(&self) -> bool {
        self.parts > 0
    }

    pub(super) fn coverage(&self) -> Option<&Coverage> {
        self.coverage.as_ref()
    }

    pub(super) fn finish(self) -> Result<Outcome, ReplayError> {
        let mut outcome = Outcome {
            parts: self.parts,
            left_out: runs(&self.left_out),
            incidents: self.incidents,
            ..Outcome::default()
        };
        for place in self.places {
            place.finish(&mut outcome)?;
        }
        Ok(outcome)
    }

    fn write(&mut self, parts: Vec<Part>, windows: &mut Windows) -> Result<(), ReplayError> {
        if let Some(coverage) = self.coverage.as_mut().filter(|_| self.as_read) {
            coverage.read_to(windows.watermark_ms().unwrap_or(TimestampMs::MIN));
        }
        let mut whole = Vec::with_capacity(parts.len());
        for part in parts {
            match self.coverage.as_ref().and_then(|coverage| coverage.why_not(&part.id)) {
                Some(why) => {
                    let lines = lines(&part);
                    let place = (part.id.kind, part.id.start_ms);
                    self.left_out.entry(place).or_insert((part.id.length_ms, why, 0)).2 += lines;
                }
                None => whole.push(part),
            }
        }
        self.parts += whole.len() as u64;
        let Some((last, others)) = self.places.split_last_mut() else { return Ok(()) };
        others.iter_mut().try_for_each(|place| place.write(&mut whole.clone()))?;
        last.write(&mut whole)?;
        windows.reuse(whole);
        Ok(())
    }
}

/// Lines counted in a part.
fn lines(part: &Part) -> u64 {
    let mut series = part.contents.series();
    match part.id.kind {
        WindowKind::Node => series.find(|s| s.key == Key::LOG).map_or(0, |log| log.counters[counter::LINES]),
        WindowKind::Bucket => {
            series.filter(|s| s.key.protocol_operation().is_some()).map(|s| s.requests()).sum()
        }
    }
}

/// Windows that follow each other and are left out for one reason, as one.
fn runs(left_out: &BTreeMap<(WindowKind, TimestampMs), (i64, Why, u64)>) -> Vec<LeftOut> {
    let mut runs: Vec<LeftOut> = Vec::new();
    for ((kind, start), (length, why, lines)) in left_out {
        match runs.last_mut() {
            Some(run) if run.kind == *kind && run.why == *why => {
                run.until_ms = start + length;
                run.lines += lines;
            }
            _ => {
                let (kind, from_ms) = (*kind, *start);
                runs.push(LeftOut { kind, from_ms, until_ms: start + length, why: *why, lines: *lines });
            }
        }
    }
    runs
}

impl<P: Parts> Sink<Files> for Writer<'_, P> {
    type Error = ReplayError;

    fn turn(
        &mut self,
        parts: Vec<Part>,
        windows: &mut Windows,
        source: &mut Files,
    ) -> Result<ControlFlow<()>, ReplayError> {
        self.incidents.extend(source.incidents().map(|incident| incident.to_string()));
        if !parts.is_empty() {
            self.write(parts, windows)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn end(&mut self, parts: Vec<Part>, windows: &mut Windows) -> Result<(), ReplayError> {
        self.write(parts, windows)
    }
}

impl<P: Parts> PartSink for Writer<'_, P> {
    fn take(&mut self, parts: Vec<Part>, windows: &mut Windows) -> Result<(), ReplayError> {
        self.write(parts, windows)
    }
}
