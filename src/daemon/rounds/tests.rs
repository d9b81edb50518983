use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::{
    follow::SystemClock,
    point::{Field, Tags},
    store::{Keep, Payload, Range, Reader, Store, StoredPart},
};

const PACE: Pace = Pace {
    interval: Duration::from_millis(50),
    jitter: Duration::from_millis(10),
    deadline: Duration::from_millis(30),
};

fn stream() -> Stream {
    Stream { name: ":test".into(), tags: Tags::new([("cluster", "ceph")]) }
}

fn point(time: TimestampNs) -> Point {
    Point {
        measurement: "m".into(),
        tags: Tags::default(),
        fields: vec![("f".into(), Field::Integer(1))],
        time,
    }
}

/// A store in a temporary folder, and what threads share.
struct World {
    _folder: tempfile::TempDir,
    store: std::path::PathBuf,
    shared: Arc<Shared>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store.db");
        let shared = Arc::new(Shared::new(Store::open(&store).unwrap(), 0));
        Self { _folder: folder, store, shared }
    }

    fn start(&self, work: impl Work) -> JoinHandle<anyhow::Result<()>> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        start(stream(), PACE, work, &self.shared, &clock).unwrap()
    }

    fn parts(&self) -> Vec<StoredPart> {
        let reader = Reader::open(&self.store).unwrap();
        reader.parts_in(Range::ALL).collect::<Result<_, _>>().unwrap()
    }

    fn outbox(&self) -> Outbox {
        let shared = Arc::clone(&self.shared);
        Outbox { stream: stream(), shared, waiting: VecDeque::new(), dropped: 0, troubled: false }
    }

    /// A store over its bound, with a part that a required output lacks.
    fn fill(&self) {
        self.shared.store().add_output("away", true).unwrap();
        self.shared.store().append_points(&stream(), &[point(1)]).unwrap();
        self.shared.prune(Keep { age: Duration::from_secs(3600), bytes: 1 });
        assert!(self.shared.is_full());
    }

    fn make_room(&self) {
        self.shared.store().keep_outputs(&[]).unwrap();
        self.shared.prune(Keep { age: Duration::from_secs(3600), bytes: 1 << 30 });
        assert!(!self.shared.is_full());
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what} never happened");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Says what it was asked; every third round hangs, with something in its hands.
#[derive(Clone, Default)]
struct Worker {
    asked: Arc<Mutex<Vec<(TimestampMs, u64)>>>,
    let_go: Arc<AtomicUsize>,
}

struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Work for Worker {
    async fn round(&mut self, round: Round) -> Vec<Point> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push((round.time_ms, round.missed));
            asked.len()
        };
        if number.is_multiple_of(3) {
            let _held = Held(Arc::clone(&self.let_go));
            std::future::pending::<()>().await;
        }
        vec![point(round.time_ns())]
    }
}

#[test]
fn rounds_become_parts_and_one_that_hangs_is_broken_off_and_counted() {
    let world = World::new();
    let worker = Worker::default();
    let thread = world.start(worker.clone());
    until("seven rounds", || worker.asked.lock().unwrap().len() >= 7);
    world.shared.stop();
    thread.join().unwrap().unwrap();
    let asked = worker.asked.lock().unwrap().clone();
    assert!(asked.windows(2).all(|two| two[0].0 < two[1].0), "{asked:?}");
    assert!(asked.iter().all(|(time, _)| time % 50 == 0), "{asked:?}");
    assert!(asked[3].1 >= 1 && asked[6].1 >= 1, "a round that hung is missed: {asked:?}");
    assert!(worker.let_go.load(Ordering::SeqCst) >= 2);
    let ended = asked.iter().enumerate().filter(|(at, _)| !(at + 1).is_multiple_of(3));
    let expected: Vec<_> =
        ended.map(|(_, (time, _))| Payload::Points(vec![point(time * 1_000_000)])).collect();
    let parts = world.parts();
    let kept: Vec<_> = parts.iter().map(|part| part.payload.clone()).collect();
    // The last may have been asked and not answered when the daemon stopped.
    assert!(kept == expected || kept == expected[..expected.len() - 1], "{kept:?}, expected {expected:?}");
    assert!(parts.iter().all(|part| part.stream == ":test" && part.tags.get("cluster") == Some("ceph")));
}

#[test]
fn a_round_that_hangs_does_not_hold_up_a_stop() {
    struct Hangs(Arc<AtomicUsize>);
    impl Work for Hangs {
        async fn round(&mut self, _: Round) -> Vec<Point> {
            self.0.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        }
    }
    let world = World::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let pace = Pace { deadline: Duration::from_secs(3600), ..PACE };
    let thread = start(stream(), pace, Hangs(Arc::clone(&asked)), &world.shared, &clock).unwrap();
    until("a round", || asked.load(Ordering::SeqCst) > 0);
    world.shared.stop();
    until("the end", || thread.is_finished());
    assert_eq!((asked.load(Ordering::SeqCst), world.parts().len()), (1, 0));
}

#[test]
fn what_a_full_store_does_not_take_waits_and_the_oldest_of_too_much_is_dropped() {
    let world = World::new();
    let mut outbox = world.outbox();
    world.fill();
    let mut dropped = 0;
    for time in 2..=(WAITING as i64 + 4) {
        outbox.waiting.push_back(vec![point(time)]);
        dropped += outbox.flush().unwrap();
    }
    assert_eq!((dropped, world.parts().len()), (3, 1), "only what filled it is in it");
    world.make_room();
    assert_eq!(outbox.flush().unwrap(), 0);
    assert!(outbox.waiting.is_empty());
    let time = |part: StoredPart| match part.payload {
        Payload::Points(points) => points[0].time,
        Payload::Window(_) => unreachable!(),
    };
    let times: Vec<_> = world.parts().into_iter().map(time).collect();
    assert_eq!(times, [1].into_iter().chain(5..=(WAITING as i64 + 4)).collect::<Vec<_>>());
}

#[test]
fn a_store_that_is_busy_is_tried_again_with_the_next_round() {
    let world = World::new();
    let mut outbox = world.outbox();
    outbox.waiting.push_back(vec![point(1)]);
    {
        // Another process in the middle of a long transaction.
        let other = rusqlite::Connection::open(&world.store).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(outbox.flush().unwrap(), 0);
        assert_eq!((outbox.waiting.len(), outbox.troubled), (1, true));
    }
    assert_eq!(outbox.flush().unwrap(), 0);
    assert_eq!((outbox.waiting.len(), outbox.troubled, world.parts().len()), (0, false, 1));
}
