//! The loop with many processors. Which window a line is counted in depends on the lines before it, so one thread counts;
//! but what a line says, and what kind of request that is, depends on nothing else and is more than half of the work. Other
//! threads read and find that out, stretch by stretch, and this one takes up what they found in the order of the log: the
//! parts are those of the plain loop, one by one.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel},
    },
    thread,
};

use super::{Counter, InputReader, PipelineError, RequestReader, Sink, digest::Digest};
use crate::{
    follow::{Files, SourceError, Taken},
    stats::{Part, SlowSettings, Wanted, Windows},
};

/// How much of the log a thread takes at once, bytes: enough that taking it costs nothing beside it, little enough that it
/// stays in that processor's cache. (Less in unit tests, so that a small file is many of them.)
const STRETCH: usize = if cfg!(test) { 4 << 10 } else { 256 << 10 };

/// Stretches that all threads may be ahead with: the workers go on while a window of many series is closed and written, which
/// takes as long as to read forty of them. With 16, two threads took 7 % longer; with 64, they were no faster.
const AHEAD: usize = 48;

/// A [`Sink`] that can take parts while others have the files.
pub trait PartSink: Sink<Files> {
    /// Takes the parts that closed.
    ///
    /// # Errors
    /// Why it cannot go on.
    fn take(&mut self, parts: Vec<Part>, windows: &mut Windows) -> Result<(), Self::Error>;
}

/// Reads to the end of the files with this many threads, this one included. `reader` makes one more reader of the
/// counter's format.
///
/// # Errors
/// As [`run`](super::run).
pub fn run_parallel<K: PartSink>(
    files: &mut Files,
    counter: &mut Counter,
    sink: &mut K,
    threads: usize,
    reader: impl Fn() -> InputReader,
) -> Result<(), PipelineError<K::Error>> {
    // RGW's own logs may have any number of requests on a line, and are small beside nginx's.
    let readers = (0..threads.max(1)).map_while(|_| match reader() {
        InputReader::Nginx(reader) => Some(*reader),
        InputReader::Gateway(_) => None,
    });
    let (slow, wanted) = (counter.slow, counter.windows.wanted());
    let mut readers =
        readers.map(|reader| Reader { worker: None, reader, slow, wanted, memory: vec![0; STRETCH] });
    let Some(own) = readers.next().filter(|_| threads > 1) else {
        return super::run(files, counter, sink);
    };
    let others: Vec<Reader> = readers.collect();
    let shared = Mutex::new(Shared { files, next: 0, is_over: false });
    thread::scope(|scope| {
        let (done, results) = channel();
        let ahead = (AHEAD / others.len().max(1)).max(2);
        let back = others.into_iter().enumerate().map(|(number, reader)| {
            let (back, empty) = sync_channel(ahead);
            for _ in 0..ahead {
                // There is room for as many.
                drop(back.send(Digest::default()));
            }
            let (shared, done) = (&shared, done.clone());
            let reader = Reader { worker: Some(number), ..reader };
            scope.spawn(move || Worker { reader, empty, done }.work(shared));
            back
        });
        let back: Vec<SyncSender<Digest>> = back.collect();
        drop(done);
        InOrder { counter, sink, back, next: 0, early: BTreeMap::new(), spare: Vec::new() }
            .count(&shared, &results, own)
    })?;
    let Shared { files, .. } = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    if counter.turn(files, sink)?.is_break() {
        return Ok(());
    }
    counter.end(sink)
}

/// The thread that counts: it takes up what all found, in the order of the log.
struct InOrder<'a, K> {
    counter: &'a mut Counter,
    sink: &'a mut K,
    /// Where the workers' digests go back to.
    back: Vec<SyncSender<Digest>>,
    /// Number of the stretch that is counted next.
    next: u64,
    /// Those that were found before their turn.
    early: BTreeMap<u64, Found>,
    /// Digests of this thread itself.
    spare: Vec<Digest>,
}

impl<K: PartSink> InOrder<'_, K> {
    fn count(
        mut self,
        shared: &Mutex<Shared<'_>>,
        results: &Receiver<Found>,
        mut reader: Reader,
    ) -> Result<(), PipelineError<K::Error>> {
        loop {
            // Whoever has nothing to count reads, too; but not without end while it waits for one of the others.
            let found = match results.try_recv() {
                Err(TryRecvError::Empty) if self.early.len() < AHEAD => {
                    reader.read(shared, self.spare.pop().unwrap_or_default())
                }
                result => result.ok(),
            };
            let Some(found) = found.or_else(|| results.recv().ok()) else { return Ok(()) };
            if matches!(found.after, After::Panicked) {
                // The scope of the threads goes on with the panic.
                return Ok(());
            }
            self.early.insert(found.number, found);
            while let Some(found) = self.early.remove(&self.next) {
                self.next += 1;
                self.take_up(found)?;
            }
        }
    }

    fn take_up(&mut self, found: Found) -> Result<(), PipelineError<K::Error>> {
        let Found { worker, mut digest, after, .. } = found;
        digest.count(self.counter);
        match after {
            After::More | After::Panicked => {}
            After::Skipped(reason) => self.counter.windows.reject(reason),
            After::Failed(error) => return Err(error.into()),
        }
        let parts = self.counter.windows.close_due();
        if !parts.is_empty() {
            self.sink.take(parts, &mut self.counter.windows).map_err(PipelineError::Sink)?;
        }
        digest.clear();
        match worker {
            // A worker that has come to the end does not want it any more.
            Some(worker) => drop(self.back[worker].send(digest)),
            None => self.spare.push(digest),
        }
        Ok(())
    }
}

/// What all threads read from, in turn.
struct Shared<'a> {
    files: &'a mut Files,
    /// Number of the next stretch.
    next: u64,
    is_over: bool,
}

impl Shared<'_> {
    /// Reads a stretch: gives its number, where in the memory its lines are, and what comes after them; `None` at the end.
    fn read(&mut self, memory: &mut Vec<u8>) -> Option<(u64, Range<usize>, After)> {
        if self.is_over {
            return None;
        }
        let (lines, after) = match self.files.take(memory) {
            Ok(Taken::Lines(range)) => (range, After::More),
            Ok(Taken::Skipped { reason }) => (0..0, After::Skipped(reason)),
            Ok(Taken::End) => {
                self.is_over = true;
                return None;
            }
            Err(error) => {
                self.is_over = true;
                (0..0, After::Failed(error))
            }
        };
        self.next += 1;
        Some((self.next - 1, lines, after))
    }
}

/// What comes after a stretch.
enum After {
    /// The next one.
    More,
    /// Bytes that are no line.
    Skipped(&'static str),
    /// Nothing.
    Failed(SourceError),
    /// Nothing from this worker: a mistake of ours, and not to be waited for.
    Panicked,
}

/// A stretch, and what it says.
struct Found {
    number: u64,
    /// Who found it; `None` for the thread that counts.
    worker: Option<usize>,
    digest: Digest,
    after: After,
}

/// Reads stretches.
struct Reader {
    /// As [`Found::worker`].
    worker: Option<usize>,
    reader: RequestReader,
    slow: SlowSettings,
    wanted: Wanted,
    /// What is read into. It never leaves this thread, nor its processor's cache.
    memory: Vec<u8>,
}

impl Reader {
    /// Reads the next stretch; `None` at the end.
    fn read(&mut self, shared: &Mutex<Shared<'_>>, mut digest: Digest) -> Option<Found> {
        let read = shared.lock().unwrap_or_else(PoisonError::into_inner).read(&mut self.memory);
        let (number, lines, after) = read?;
        self.reader.read_lines(&self.memory[lines], &self.slow, self.wanted, &mut digest);
        Some(Found { number, worker: self.worker, digest, after })
    }
}

struct Worker {
    reader: Reader,
    /// Where digests come back from.
    empty: Receiver<Digest>,
    done: Sender<Found>,
}

impl Worker {
    /// Reads stretches until there are no more, or nobody wants them.
    fn work(&mut self, shared: &Mutex<Shared<'_>>) {
        // A number is only drawn by who has a digest already: whoever waits for it does not wait in vain.
        while let Ok(digest) = self.empty.recv() {
            let Some(found) = self.reader.read(shared, digest) else { return };
            if self.done.send(found).is_err() {
                return;
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if thread::panicking() {
            let digest = Digest::default();
            drop(self.done.send(Found { number: u64::MAX, worker: None, digest, after: After::Panicked }));
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
        stats::{Admission, Part, Settings},
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

    impl PartSink for Parts {
        fn take(&mut self, parts: Vec<Part>, _: &mut Windows) -> Result<(), Infallible> {
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
        let (mut settings, format) = (Settings::default(), LogFormat::named("main").unwrap());
        // Some windows have more.
        settings.events.errors_5xx = 20;
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
                threads => run_parallel(&mut files, &mut counter, &mut parts, threads, reader),
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
