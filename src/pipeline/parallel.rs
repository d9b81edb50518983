//! The loop with many processors: stretches of the log are parsed and counted apart, and taken up in its order, so that the
//! parts are those of the plain loop, one by one.

use std::{
    collections::VecDeque,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use super::{Count, Counter, InputReader, PipelineError, Sink, count};
use crate::{
    follow::{Lines, Next, Source},
    point::TimestampMs,
    stats::{Piece, PieceCounter, Request, Settings, SlowSettings},
};

/// How much of the log is counted apart, bytes: enough that taking up what it adds up to costs little beside it, little
/// enough to be held several times. (Less in unit tests, so that a small file is many of them.)
const STRETCH: usize = if cfg!(test) { 16 << 10 } else { 8 << 20 };

/// Stretches that each worker may have before it: one that it works on, and one to go on with.
const AHEAD: usize = 2;

impl Count for PieceCounter {
    #[inline]
    fn record(&mut self, request: &Request<'_>, line: &[u8], _now_ms: Option<TimestampMs>) {
        Self::record(self, request, line);
    }

    fn reject(&mut self, reason: &'static str) {
        Self::reject(self, reason);
    }

    fn skip(&mut self) {
        Self::skip(self);
    }
}

/// Reads to the end of the source, or until the sink has had enough, with this many threads beside this one. Only for the
/// past: a source that is followed has nothing to work ahead on. `reader` makes one more reader of the counter's format.
///
/// # Errors
/// As [`run`](super::run).
pub fn run_parallel<S: Source, K: Sink<S>>(
    source: &mut S,
    counter: &mut Counter,
    sink: &mut K,
    settings: &Settings,
    threads: usize,
    reader: impl Fn() -> InputReader,
) -> Result<(), PipelineError<K::Error>> {
    thread::scope(|scope| {
        let workers = (0..threads.max(1)).map(|_| {
            let (work, to_do) = sync_channel(AHEAD);
            let (done, results) = sync_channel(AHEAD);
            let (reader, settings) = (reader(), settings.clone());
            scope.spawn(move || worker(reader, settings, &to_do, &done));
            Worker { work, results }
        });
        let mut team =
            Team { workers: workers.collect(), next: 0, waiting: VecDeque::new(), spare: Vec::new() };
        let mut stretch = Vec::new();
        loop {
            let (skipped, at_end) = match source.next()? {
                Next::Lines(lines) => {
                    stretch.extend_from_slice(lines.bytes);
                    (None, false)
                }
                Next::Skipped { reason } => (Some(reason), false),
                Next::Idle { .. } => (None, false),
                Next::End => (None, true),
            };
            if stretch.len() >= STRETCH || ((skipped.is_some() || at_end) && !stretch.is_empty()) {
                stretch = team.hand_out(stretch);
            }
            if let Some(reason) = skipped {
                team.waiting.push_back(Waiting::Skipped(reason));
            }
            while team.is_busy() || (at_end && !team.waiting.is_empty()) {
                team.take_up(counter);
                if counter.turn(source, sink)?.is_break() {
                    return Ok(());
                }
            }
            if at_end {
                return counter.end(sink);
            }
        }
    })
}

/// Whole lines, and what they add up to if that could be told apart.
type Counted = (Vec<u8>, Option<Piece>);

fn worker(
    mut reader: InputReader,
    settings: Settings,
    to_do: &Receiver<Vec<u8>>,
    done: &SyncSender<Counted>,
) {
    let slow: SlowSettings = settings.slow;
    let mut pieces = PieceCounter::new(settings);
    while let Ok(bytes) = to_do.recv() {
        count(&mut reader, Lines { bytes: &bytes, now_ms: None }, &slow, &mut pieces);
        if done.send((bytes, pieces.take())).is_err() {
            return;
        }
    }
}

struct Worker {
    work: SyncSender<Vec<u8>>,
    results: Receiver<Counted>,
}

/// What comes next in the order of the log.
enum Waiting {
    /// A stretch that this worker has.
    Stretch(usize),
    /// Bytes that are no line.
    Skipped(&'static str),
}

struct Team {
    workers: Vec<Worker>,
    /// Who gets the next stretch: all in turn.
    next: usize,
    waiting: VecDeque<Waiting>,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
}

impl Team {
    /// Gives a stretch to the next worker, and an empty buffer back.
    ///
    /// # Panics
    /// If a worker did, which is a mistake of ours.
    fn hand_out(&mut self, stretch: Vec<u8>) -> Vec<u8> {
        let worker = self.next;
        self.next = (worker + 1) % self.workers.len();
        self.workers[worker].work.send(stretch).expect("a worker ends after this thread");
        self.waiting.push_back(Waiting::Stretch(worker));
        self.spare.pop().unwrap_or_default()
    }

    /// Everybody has enough to do.
    fn is_busy(&self) -> bool {
        self.waiting.len() >= AHEAD * self.workers.len()
    }

    /// Takes up what comes next in the log.
    ///
    /// # Panics
    /// As [`hand_out`](Self::hand_out).
    fn take_up(&mut self, counter: &mut Counter) {
        match self.waiting.pop_front() {
            Some(Waiting::Skipped(reason)) => counter.windows.reject(reason),
            Some(Waiting::Stretch(worker)) => {
                let (mut bytes, piece) =
                    self.workers[worker].results.recv().expect("a worker ends after this thread");
                let absorbed = piece.is_some_and(|piece| counter.windows.absorb(piece));
                if !absorbed {
                    counter.count(Lines { bytes: &bytes, now_ms: None });
                }
                bytes.clear();
                self.spare.push(bytes);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, io::Write as _, ops::ControlFlow};

    use super::*;
    use crate::{
        access_log::{ClassifierSettings, LogFormat},
        follow::{Files, FilesOptions},
        stats::{Admission, Part, Windows},
    };

    #[derive(Default)]
    struct Parts(Vec<Part>);

    impl Sink<Files> for Parts {
        type Error = Infallible;

        fn turn(
            &mut self,
            parts: Vec<Part>,
            _: &mut Windows,
            _: &mut Files,
        ) -> Result<ControlFlow<()>, Infallible> {
            self.0.extend(parts);
            Ok(ControlFlow::Continue(()))
        }

        fn end(&mut self, parts: Vec<Part>, _: &mut Windows) -> Result<(), Infallible> {
            self.0.extend(parts);
            Ok(())
        }
    }

    /// Half an hour of traffic with what spoils it: garbage, late lines, a line too long, a quarter of an hour of silence.
    fn log() -> Vec<u8> {
        let mut log = Vec::new();
        for i in 0..20_000u32 {
            let late = if i % 4_001 == 4_000 { 120 } else { i % 3 };
            let second = i / 20 + if i > 15_000 { 900 } else { 0 } + 130 - late;
            let (minute, second, status) =
                (second / 60, second % 60, [200, 204, 404, 503][(i % 7 % 4) as usize]);
            writeln!(
                log,
                "10.0.0.{} - - [21/Nov/2026:18:{minute:02}:{second:02} +0000] \"PUT /bucket-{}/key HTTP/1.1\" {status} \
                 {} 0 \"-\" \"agent\" \"-\" \"0.{:03}\"",
                i % 250,
                i % 97 * i % 31,
                i % 5_000 + 200,
                i % 1_000,
            )
            .unwrap();
            match i % 5_000 {
                2_500 => log.extend(b"garbage\n"),
                2_501 => log.extend([b'x'; 3_000].iter().chain(b"\n")),
                _ => {}
            }
        }
        log
    }

    #[test]
    fn any_number_of_threads_gives_the_same_parts_in_the_same_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        std::fs::write(&path, log()).unwrap();
        let (settings, format) = (Settings::default(), LogFormat::named("main").unwrap());
        let run = |threads: usize| {
            let mut files =
                Files::open(&[&path], FilesOptions { max_line: 1_000 }, &mut |_: &[u8]| Some(0)).unwrap();
            let windows = Windows::replay(settings.clone(), Admission::new(settings.admission.clone(), 1));
            let classifier = ClassifierSettings::default();
            let mut counter = Counter::new(format.clone(), classifier.clone(), settings.slow, windows);
            let mut parts = Parts::default();
            let reader = || InputReader::new(format.clone().into(), classifier.clone());
            let ran = match threads {
                0 => super::super::run(&mut files, &mut counter, &mut parts),
                threads => run_parallel(&mut files, &mut counter, &mut parts, &settings, threads, reader),
            };
            assert!(ran.is_ok());
            (parts.0, counter.windows.totals())
        };
        let (expected, totals) = run(0);
        assert!(totals.conserved() && totals.late > 0 && totals.rejected == 8, "{totals:?}");
        for threads in [1, 2, 5] {
            let (parts, same) = run(threads);
            assert_eq!(same, totals, "{threads} threads");
            assert!(parts == expected, "{threads} threads");
        }
    }
}
