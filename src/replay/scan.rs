//! The pass before something is written: how many lines each window has, and how far the input reaches.

use std::{collections::BTreeMap, convert::Infallible, ops::ControlFlow};

use super::ReplayError;
use crate::{
    follow::Files,
    pipeline::{PartSink, Sink},
    point::TimestampMs,
    stats::{Key, Part, WindowKind, Windows, counter},
};

/// What the first pass found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Lines by the start of their window of the node.
    pub(super) lines: BTreeMap<TimestampMs, u64>,
    pub(super) first_ms: Option<TimestampMs>,
    pub(super) watermark_ms: Option<TimestampMs>,
}

impl Scan {
    fn add(&mut self, parts: &[Part]) {
        for part in parts.iter().filter(|part| part.id.kind == WindowKind::Node) {
            if let Some(log) = part.contents.series().find(|series| series.key == Key::LOG) {
                *self.lines.entry(part.id.start_ms).or_default() += log.counters[counter::LINES];
            }
        }
    }
}

impl Sink<Files> for Scan {
    type Error = ReplayError;

    fn turn(
        &mut self,
        parts: Vec<Part>,
        windows: &mut Windows,
        _source: &mut Files,
    ) -> Result<ControlFlow<()>, ReplayError> {
        self.add(&parts);
        windows.reuse(parts);
        Ok(ControlFlow::Continue(()))
    }

    fn end(&mut self, parts: Vec<Part>, windows: &mut Windows) -> Result<(), ReplayError> {
        self.add(&parts);
        self.first_ms = windows.first_ms();
        self.watermark_ms = windows.watermark_ms();
        Ok(())
    }
}

impl PartSink for Scan {
    fn take(&mut self, parts: Vec<Part>, windows: &mut Windows) -> Result<(), ReplayError> {
        self.add(&parts);
        windows.reuse(parts);
        Ok(())
    }
}

/// Goes on until a line was counted.
pub(super) struct First;

impl Sink<Files> for First {
    type Error = Infallible;

    fn turn(
        &mut self,
        _: Vec<Part>,
        windows: &mut Windows,
        _: &mut Files,
    ) -> Result<ControlFlow<()>, Infallible> {
        Ok(if windows.first_ms().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn end(&mut self, _: Vec<Part>, _: &mut Windows) -> Result<(), Infallible> {
        Ok(())
    }
}
