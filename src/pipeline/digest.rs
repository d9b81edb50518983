//! What a thread found out about some lines, for another thread that counts them: as much of each request as is counted,
//! small and one after the other, since what one processor wrote reaches another one slowly.

use super::{Counter, RequestReader};
use crate::{
    follow::Lines,
    stats::{Batch, EventSettings, SlowSettings, Times},
};

/// What some lines say.
#[derive(Debug, Default)]
pub(super) struct Digest {
    /// What is counted of nearly all requests.
    batch: Batch,
    /// Of all requests.
    times: Times,
    /// The other lines, in their order, each with how many requests of the batch come before it.
    others: Vec<(usize, Other)>,
    /// Lines that have to be read once more, one after the other.
    lines: Vec<u8>,
}

/// What is not just counted.
#[derive(Clone, Copy, Debug)]
enum Other {
    /// A request that may be kept, which takes all of its line: how long that is.
    Line(usize),
    /// A line that is none of the format.
    Rejected(&'static str),
}

impl Digest {
    /// Reads whole lines.
    pub(super) fn read(
        &mut self,
        block: &[u8],
        reader: &mut RequestReader,
        slow: &SlowSettings,
        events: &EventSettings,
    ) {
        let Self { batch, times, others, lines } = self;
        reader.read_lines(block, slow, |line, request| match request {
            Ok(request) => {
                let time_ms = request.record.time_ms;
                times.add(time_ms);
                if request.slow || request.may_be_event(events) {
                    others.push((batch.len(), Other::Line(line.len())));
                    lines.extend_from_slice(line);
                } else {
                    batch.push(request);
                }
            }
            Err(reject) => others.push((batch.len(), Other::Rejected(reject.reason))),
        });
    }

    /// Counts what the lines say: the same as if each was counted in its turn.
    pub(super) fn count(&self, counter: &mut Counter) {
        let mut lines = self.lines.as_slice();
        let mut count = |other: Other, counter: &mut Counter| match other {
            Other::Line(length) => {
                let (line, rest) = lines.split_at(length);
                lines = rest;
                counter.count(Lines { bytes: line, now_ms: None });
            }
            Other::Rejected(reason) => counter.windows.reject(reason),
        };
        if counter.windows.is_calm(&self.times) {
            // All go to the same windows, where nothing depends on their order.
            self.others.iter().for_each(|(_, other)| count(*other, counter));
            counter.windows.record_all(&self.batch, &self.times);
            return;
        }
        let mut others = self.others.iter().peekable();
        for (number, entry) in self.batch.iter().enumerate() {
            while let Some((_, other)) = others.next_if(|(before, _)| *before <= number) {
                count(*other, counter);
            }
            counter.windows.record_entry(&entry);
        }
        others.for_each(|(_, other)| count(*other, counter));
    }

    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.batch.clear();
        self.times = Times::default();
        self.others.clear();
        self.lines.clear();
    }
}
