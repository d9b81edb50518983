//! What a thread found out about some lines, for another thread that counts them: as much of each request as is counted,
//! small and one after the other, since what one processor wrote reaches another one slowly.

use super::{Counter, ReadOne, Take, Unit};
use crate::{access_log::Reject, stats::Batch};

/// What some lines say.
#[derive(Debug, Default)]
pub(super) struct Digest {
    /// The requests, as many as `used` says; the others are memory for more.
    batches: Vec<Box<Batch>>,
    used: usize,
    /// The other lines, in their order, each with how many batches come before it, and why it is none of the format.
    rejected: Vec<(usize, &'static str)>,
    /// Those that may be kept, in their order.
    events: Vec<Place>,
    /// Their lines, one after the other.
    lines: Vec<u8>,
}

/// Where a request is.
#[derive(Clone, Copy, Debug)]
struct Place {
    batch: usize,
    lane: usize,
    /// Where its line ends in [`Digest::lines`].
    line_end: usize,
}

impl<'a> Take<'a> for Digest {
    fn requests(&mut self, batch: &mut Box<Batch>, lines: &[&'a [u8]], _: &mut ReadOne<'_>) {
        for (lane, line) in lines.iter().enumerate().filter(|(lane, _)| batch.is_wanted(*lane)) {
            self.lines.extend_from_slice(line);
            self.events.push(Place { batch: self.used, lane, line_end: self.lines.len() });
        }
        if self.used == self.batches.len() {
            self.batches.push(Box::default());
        }
        std::mem::swap(&mut self.batches[self.used], batch);
        self.used += 1;
    }

    fn reject(&mut self, _line: &'a [u8], reject: Reject) {
        self.rejected.push((self.used, reject.reason));
    }
}

impl Digest {
    /// Counts what the lines say: the same as if each was counted in its turn.
    pub(super) fn count(&self, counter: &mut Counter) {
        let mut rejected = self.rejected.iter().peekable();
        let (mut events, mut line_start) = (self.events.iter(), 0);
        let (windows, reader, slow) = (&mut counter.windows, &mut counter.reader, &counter.slow);
        for (number, batch) in self.batches[..self.used].iter().enumerate() {
            while let Some((_, reason)) = rejected.next_if(|(before, _)| *before <= number) {
                windows.reject(reason);
            }
            windows.record_all(batch, None, |lane, each| {
                // Not every one is asked for.
                for place in events.by_ref() {
                    let line = &self.lines[line_start..place.line_end];
                    line_start = place.line_end;
                    if (place.batch, place.lane) == (number, lane) {
                        return reader.read(line, slow, |line, unit| {
                            if let Unit::Request(request, _) = unit {
                                each(request, line);
                            }
                        });
                    }
                }
            });
        }
        rejected.for_each(|(_, reason)| windows.reject(reason));
    }

    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.rejected.clear();
        self.events.clear();
        self.lines.clear();
    }
}
