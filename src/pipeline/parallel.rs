//! The loop with many processors. Which window a line is counted in depends on the lines before it, so one thread counts;
//! but what a line says, and what kind of request that is, depends on nothing else and is more than half of the work. Other
//! threads find that out, block by block, and this one takes up what they found in the order of the log: the parts are those
//! of the plain loop, one by one.

use std::{
    collections::VecDeque,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use super::{
    Counter, InputReader, PipelineError, RequestReader, Sink,
    digest::{Digest, Unit},
};
use crate::{
    follow::{Lines, Next, Source},
    stats::{EventSettings, SlowSettings},
};

/// How much of the log goes to another thread at once, bytes: enough that handing it over costs nothing beside it, little
/// enough that it is still in a near cache when it gets there. (Less in unit tests, so that a small file is many of them.)
const STRETCH: usize = if cfg!(test) { 4 << 10 } else { 256 << 10 };

/// Stretches that each worker may have before it: one that it works on, and some to go on with.
const AHEAD: usize = 4;

/// Reads to the end of the source, or until the sink has had enough, with this many threads, this one included. Only for the
/// past: a source that is followed has nothing to work ahead on. `reader` makes one more reader of the counter's format.
///
/// # Errors
/// As [`run`](super::run).
pub fn run_parallel<S: Source, K: Sink<S>>(
    source: &mut S,
    counter: &mut Counter,
    sink: &mut K,
    events: &EventSettings,
    threads: usize,
    reader: impl Fn() -> InputReader,
) -> Result<(), PipelineError<K::Error>> {
    // RGW's own logs may have any number of requests on a line, and are small beside nginx's.
    let readers = (1..threads).map_while(|_| match reader() {
        InputReader::Nginx(reader) => Some(reader),
        InputReader::Gateway(_) => None,
    });
    let readers: Vec<Box<RequestReader>> = readers.collect();
    if readers.is_empty() {
        return super::run(source, counter, sink);
    }
    thread::scope(|scope| {
        let workers = readers.into_iter().map(|reader| {
            let (work, to_do) = sync_channel(AHEAD);
            let (done, results) = sync_channel(AHEAD);
            let (slow, events) = (counter.slow, events.clone());
            scope.spawn(move || worker(*reader, &slow, &events, &to_do, &done));
            Worker { work, results }
        });
        let mut team =
            Team { workers: workers.collect(), next: 0, waiting: VecDeque::new(), spare: Vec::new() };
        let mut stretch = Digest::default();
        loop {
            let (skipped, at_end) = match source.next()? {
                Next::Lines(lines) => {
                    stretch.block.extend_from_slice(lines.bytes);
                    (None, false)
                }
                Next::Skipped { reason } => (Some(reason), false),
                Next::Idle { .. } => (None, false),
                Next::End => (None, true),
            };
            if stretch.block.len() >= STRETCH || ((skipped.is_some() || at_end) && !stretch.block.is_empty())
            {
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

fn worker(
    mut reader: RequestReader,
    slow: &SlowSettings,
    events: &EventSettings,
    to_do: &Receiver<Digest>,
    done: &SyncSender<Digest>,
) {
    while let Ok(mut digest) = to_do.recv() {
        digest.read(&mut reader, slow, events);
        if done.send(digest).is_err() {
            return;
        }
    }
}

struct Worker {
    work: SyncSender<Digest>,
    results: Receiver<Digest>,
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
    spare: Vec<Digest>,
}

impl Team {
    /// Gives a stretch to the next worker, and an empty one back.
    ///
    /// # Panics
    /// If a worker did, which is a mistake of ours.
    fn hand_out(&mut self, stretch: Digest) -> Digest {
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
                let mut digest =
                    self.workers[worker].results.recv().expect("a worker ends after this thread");
                take_up(&digest, counter);
                digest.clear();
                self.spare.push(digest);
            }
            None => {}
        }
    }
}

/// Counts what somebody else has read.
fn take_up(digest: &Digest, counter: &mut Counter) {
    for unit in &digest.units {
        match unit {
            Unit::Request(brief) => {
                digest.with_request(brief, |request| counter.windows.record_uneventful(request));
            }
            Unit::Line(span) => counter.count(Lines { bytes: digest.text(*span), now_ms: None }),
            Unit::Rejected(reason) => counter.windows.reject(reason),
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
        stats::{Admission, Part, Settings, Windows},
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
                threads => {
                    run_parallel(&mut files, &mut counter, &mut parts, &settings.events, threads, reader)
                }
            };
            assert!(ran.is_ok());
            (parts.0, counter.windows.totals())
        };
        let (expected, totals) = run(0);
        assert!(totals.conserved() && totals.late > 0 && totals.rejected == 8, "{totals:?}");
        for threads in [1, 2, 3, 6] {
            let (parts, same) = run(threads);
            assert_eq!(same, totals, "{threads} threads");
            assert!(parts == expected, "{threads} threads");
        }
    }
}
