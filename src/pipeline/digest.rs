//! What a thread found out about some lines, for another thread that counts them: as much of each request as is counted,
//! small and one after the other, since what one processor wrote reaches another one slowly.

use super::{Counter, RequestReader, Take};
use crate::{
    access_log::Reject,
    follow::Lines,
    stats::{Batch, Request, SlowSettings, Times, Wanted},
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

/// Puts down what the lines say.
struct Digesting<'d> {
    digest: &'d mut Digest,
    wanted: Wanted,
}

impl<'a> Take<'a> for Digesting<'_> {
    #[inline(always)]
    fn request(&mut self, line: &'a [u8], request: &Request<'_>) {
        let Digest { batch, times, others, lines } = &mut *self.digest;
        times.add(request.record.time_ms);
        if self.wanted.wants(request) {
            others.push((batch.len(), Other::Line(line.len())));
            lines.extend_from_slice(line);
        } else {
            batch.push(request);
        }
    }

    fn reject(&mut self, _line: &'a [u8], reject: Reject) {
        self.digest.others.push((self.digest.batch.len(), Other::Rejected(reject.reason)));
    }
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
        wanted: Wanted,
    ) {
        reader.read_lines(block, slow, &mut Digesting { digest: self, wanted });
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
