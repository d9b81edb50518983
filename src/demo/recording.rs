//! The bundled requests: lines of our own log format, in the order and at the distances in which they were recorded.

use std::{io, ops::Range};

use chrono::{DateTime, SecondsFormat};

use crate::{access_log::parse_msec, point::TimestampMs};

/// All requests of tests/corpus in the format `rgwlens`. What their log did not have (`$content_length`, the gateway's
/// ids, `X-Copy-From`) is `-`. tests/demo.rs makes it, and checks it.
const BUNDLED: &[u8] = include_bytes!("../../examples/demo.log.zst");

/// Requests, recorded.
pub(super) struct Recording {
    text: Vec<u8>,
    /// When each was logged, ms since the first, and what of its line follows the two times that it starts with.
    lines: Vec<(i64, Range<usize>)>,
}

/// A line that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// When, ms after the first.
    pub(super) after_ms: i64,
    rest: &'a [u8],
}

impl Recording {
    pub(super) fn bundled() -> io::Result<Self> {
        Self::read(zstd::decode_all(BUNDLED)?)
    }

    /// Lines of the format `rgwlens`, oldest first.
    fn read(text: Vec<u8>) -> io::Result<Self> {
        let mut lines = Vec::new();
        let mut first = None;
        let mut at = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let rest = rest_of(line).ok_or(io::ErrorKind::InvalidData)?;
            let time = parse_msec(&line[..rest.msec]).map_err(|error| io::Error::other(error.to_string()))?;
            let first = *first.get_or_insert(time);
            lines.push((time - first, at + rest.start..at + line.len()));
            at += line.len();
        }
        Ok(Self { text, lines })
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The lines, stretched over this much time.
    pub(super) fn over(&self, span_ms: i64) -> impl Iterator<Item = Line<'_>> {
        let length = self.lines.last().map_or(1, |(after_ms, _)| after_ms + 1);
        self.lines.iter().map(move |(after_ms, rest)| Line {
            after_ms: after_ms * span_ms / length,
            rest: &self.text[rest.clone()],
        })
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}

/// Where the first time of a line ends, and where what follows the second starts.
struct Rest {
    msec: usize,
    start: usize,
}

fn rest_of(line: &[u8]) -> Option<Rest> {
    let msec = memchr::memchr(b' ', line)?;
    let start = msec + 1 + memchr::memchr(b' ', &line[msec + 1..])?;
    Some(Rest { msec, start })
}

impl Line<'_> {
    /// Appends the line as nginx would have logged it at this time.
    pub(super) fn write(&self, time_ms: TimestampMs, out: &mut Vec<u8>) {
        let iso = DateTime::from_timestamp_millis(time_ms)
            .unwrap_or_default()
            .to_rfc3339_opts(SecondsFormat::Secs, false);
        out.extend(format!("{}.{:03} {iso}", time_ms / 1000, time_ms % 1000).into_bytes());
        out.extend_from_slice(self.rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::{LineParser, LogFormat};

    #[test]
    fn every_line_is_of_the_format_wherever_it_is_moved() {
        let recording = Recording::bundled().unwrap();
        let mut parser = LineParser::new(LogFormat::named("rgwlens").unwrap());
        let begin = 1_800_000_000_000;
        let mut last = 0;
        for line in recording.over(120_000) {
            let mut text = Vec::new();
            line.write(begin + line.after_ms, &mut text);
            let record = parser.parse(text.strip_suffix(b"\n").unwrap()).unwrap();
            assert_eq!(record.time_ms, begin + line.after_ms);
            assert!((last..120_000).contains(&line.after_ms), "{line:?}");
            last = line.after_ms;
        }
        assert!(recording.len() > 1000 && last > 119_000);
    }

    #[test]
    fn what_is_no_recording() {
        assert!(Recording::read(b"x\n".to_vec()).is_err());
        assert!(Recording::read(b"x y z\n".to_vec()).is_err());
        assert_eq!(Recording::read(Vec::new()).unwrap().over(10).count(), 0);
    }
}
