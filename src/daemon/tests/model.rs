//! Follower, windows, store and outputs as one, against the smallest model there is: the lines that were written.
//!
//! Whatever happens to the log, the daemon, the clocks and the outputs: once all is drained, each output's points add up
//! to the lines, and no point was ever written with other fields than before. `TORTURE_CASES=100000` for a long run.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use proptest::prelude::*;

use super::{
    super::{delivery::Output, ingest::Job, ingest::StoreSink, prepare, shared::Shared},
    machine::{Line, MAX_LINE, Machine, Naming, Packer, Writer},
    server::{Fault, Server},
};
use crate::{
    config::Config,
    follow::{Clock, FollowOptions, Source},
    influx::{Batch, sender::Sender},
    pipeline::{self, Sink},
    stats::{Part, Windows},
    store::{Keep, Range, Reader, Store, StoreError, StreamState},
};

#[derive(Clone, Copy, Debug)]
enum Action {
    /// So many requests, so far from what the wall clock says, ms.
    Requests(usize, i64),
    Garbage(bool),
    Partial,
    Rename,
    Usr1,
    Rotate,
    CopyTruncate,
    Compress(u64, Packer),
    DeleteWhatWasRead,
    /// So many turns of the daemon's loop.
    Turns(usize),
    Kill,
    Stop,
    Start,
    /// One request to an output.
    Deliver(usize, Fault),
    /// A request that had timed out takes effect.
    Land(usize),
    /// A server loses what it had.
    Lose(usize),
    AnotherOutput,
    Prune(Duration),
    /// Time passes, ms.
    Pass(i64),
    /// The wall clock is put forward or back, ms.
    Step(i64),
}

const OUTPUTS: usize = 2;

fn fault() -> impl Strategy<Value = Fault> {
    use Fault::*;
    prop_oneof![
        6 => Just(None),
        1 => prop::sample::select(vec![Lost, NoAnswer, Cut, Zombie, Twice, Refused, TooLarge]),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    use Action::*;
    let off_ms = prop_oneof![
        6 => Just(0i64),
        2 => -3_000i64..3_000,
        2 => -200_000i64..0,
        1 => -90_000_000i64..0,
        1 => 0i64..400_000,
        1 => 0i64..40_000_000_000,
    ];
    prop_oneof![
        10 => (1usize..9, off_ms).prop_map(|(lines, off)| Requests(lines, off)),
        1 => any::<bool>().prop_map(Garbage),
        2 => Just(Partial),
        1 => Just(Rename),
        1 => Just(Usr1),
        2 => Just(Rotate),
        1 => Just(CopyTruncate),
        1 => (1u64..4, prop::sample::select(vec![Packer::Gzip, Packer::Zstd])).prop_map(|(n, p)| Compress(n, p)),
        1 => Just(DeleteWhatWasRead),
        10 => (1usize..8).prop_map(Turns),
        2 => Just(Kill),
        1 => Just(Stop),
        4 => Just(Start),
        5 => (0..OUTPUTS, fault()).prop_map(|(output, fault)| Deliver(output, fault)),
        1 => (0..OUTPUTS).prop_map(Land),
        1 => (0..OUTPUTS).prop_map(Lose),
        1 => Just(AnotherOutput),
        1 => prop::sample::select(vec![3600, 86_400, 30 * 86_400]).prop_map(|s| Prune(Duration::from_secs(s))),
        6 => (100i64..20_000).prop_map(Pass),
        1 => (20_000i64..200_000).prop_map(Pass),
        1 => Just(Pass(3_600_000)),
        1 => (-1_000i64..1_000).prop_map(Step),
        1 => (-4_000_000i64..4_000_000).prop_map(Step),
        1 => (-40_000_000_000i64..40_000_000_000).prop_map(Step),
    ]
}

/// The daemon between a start and its end.
struct Running {
    job: Job,
    shared: Arc<Shared>,
    outputs: Vec<Output<Server>>,
}

/// Everything there is.
struct World {
    machine: Machine,
    servers: [Server; OUTPUTS],
    /// Outputs in the configuration.
    outputs: usize,
    running: Option<Running>,
    runtime: tokio::runtime::Runtime,
    /// Parts were dropped: what comes to an output after that is not all.
    pruned: bool,
    /// Whether an output was there when the first part was dropped.
    has_all: [bool; OUTPUTS],
    /// A server lost something, so that it has to be sent again.
    lost: bool,
}

/// The daemon's own sink, for so many turns.
struct Turns<'a> {
    sink: &'a mut StoreSink,
    left: usize,
}

impl<S: Source> Sink<S> for Turns<'_> {
    type Error = StoreError;

    fn turn(
        &mut self,
        parts: Vec<Part>,
        windows: &mut Windows,
        source: &mut S,
    ) -> Result<ControlFlow<()>, StoreError> {
        self.left -= 1;
        let flow = self.sink.turn(parts, windows, source)?;
        Ok(if self.left == 0 { ControlFlow::Break(()) } else { flow })
    }

    fn end(&mut self, parts: Vec<Part>, windows: &mut Windows) -> Result<(), StoreError> {
        Sink::<S>::end(self.sink, parts, windows)
    }
}

fn without_waiting(options: &mut FollowOptions) {
    options.poll = Duration::ZERO;
    options.watch = false;
}

impl World {
    fn new(naming: Naming, writer: Writer) -> Self {
        Self {
            machine: Machine::new(naming, writer),
            servers: Default::default(),
            outputs: 1,
            running: None,
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            pruned: false,
            has_all: [true; OUTPUTS],
            lost: false,
        }
    }

    fn config(&self) -> Config {
        let (store, log) = (self.machine.path("rgwlens.db"), self.machine.log());
        let mut text = format!(
            "cluster = 'test'\nnode = 'gw1'\n[store]\npath = '{}'\n[[log]]\npath = '{}'\nformat = '''{}'''\n\
             start_at = 'beginning'\nmax_line = '{MAX_LINE}'\n",
            store.display(),
            log.display(),
            self.machine.writer.format()
        );
        for output in 0..self.outputs {
            text += &format!(
                "[[output]]\nname = 'output{output}'\nkind = 'influxdb1'\nurl = 'http://127.0.0.1:1'\ndatabase = 'd'\n"
            );
        }
        Config::from_toml(&text).unwrap()
    }

    fn start(&mut self) {
        if self.running.is_some() {
            return;
        }
        let config = self.config();
        let store = Store::open(&config.store.path).unwrap();
        let clock = Arc::clone(&self.machine.clock) as Arc<dyn Clock>;
        let (shared, mut jobs) = prepare(&config, store, &clock, without_waiting).unwrap();
        let outputs = config.outputs.iter().zip(&self.servers).map(|(target, server)| {
            let sender = Sender::with_limits(server.clone(), 20, 100_000);
            Output::new(target, sender, &config, &shared).unwrap()
        });
        let outputs = outputs.collect();
        self.running = Some(Running { job: jobs.remove(0), shared, outputs });
    }

    /// `kill -9`: what was not committed has not happened.
    fn kill(&mut self) {
        self.running = None;
    }

    fn stop(&mut self) {
        if let Some(running) = &mut self.running {
            running.shared.stop();
            self.turns(1);
            self.running = None;
        }
    }

    fn turns(&mut self, left: usize) {
        if let Some(Running { job, shared, .. }) = &mut self.running {
            let mut sink = Turns { sink: &mut job.sink, left };
            pipeline::run(&mut job.source, &mut job.counter, &mut sink).unwrap();
            assert!(!shared.progress()[0].leak, "the daemon's own books are wrong");
        }
    }

    /// Turns until there is nothing to read.
    fn read(&mut self) {
        loop {
            let lines = |world: &Self| world.running.as_ref().map(|it| it.job.counter.windows.totals().lines);
            let before = lines(self);
            self.turns(20);
            if lines(self) == before {
                return;
            }
        }
    }

    fn stored(&self) -> StreamState {
        let reader = Reader::open(&self.machine.path("rgwlens.db")).unwrap();
        reader.stream("access").unwrap().unwrap_or_default()
    }

    fn committed(&self) -> u64 {
        self.stored().windows.map_or(0, |windows| windows.totals.lines)
    }

    fn copytruncate(&mut self) {
        // Bytes that come between the copy and the end of the file are lost to everyone, and a file of which nothing is
        // committed is not recognised after a crash: not here.
        self.machine.end_partial();
        if self.running.is_some() && self.machine.nginx_is_on_the_log() {
            self.read();
            if self.committed() > self.machine.content_from as u64 {
                self.machine.copytruncate();
            }
        }
    }

    fn delete_what_was_read(&mut self) {
        if self.running.is_some() {
            self.machine.end_partial();
            self.read();
            self.machine.clock.pass(10_000);
            self.read();
            // Without a file of the log's name, a restart may wait for one before it reads those that are renamed.
            if self.committed() == self.machine.written.len() as u64 {
                self.machine.delete_oldest();
            }
        }
    }

    fn deliver(&mut self, output: usize, fault: Fault) {
        if let Some(output_of) = self.running.as_mut().and_then(|running| running.outputs.get_mut(output)) {
            self.servers[output].meet(fault);
            _ = self.runtime.block_on(output_of.deliver());
            self.servers[output].meet(Fault::None);
        }
    }

    fn prune(&mut self, age: Duration) {
        if let Some(running) = self.running.as_ref().filter(|_| !self.lost) {
            let keep = Keep { age, bytes: u64::MAX };
            let now_ms = self.machine.clock.wall_ms();
            let pruned = running.shared.store().prune(keep, now_ms).unwrap();
            if pruned.parts > 0 && !self.pruned {
                self.pruned = true;
                let known = running.outputs.len();
                self.has_all = std::array::from_fn(|output| output < known);
            }
        }
    }

    fn act(&mut self, action: Action) {
        let machine = &mut self.machine;
        match action {
            Action::Requests(lines, off_ms) => (0..lines).for_each(|_| machine.request(off_ms)),
            Action::Garbage(too_long) => machine.garbage(too_long),
            Action::Partial => machine.partial(),
            Action::Rename => machine.rename(),
            Action::Usr1 => machine.usr1(),
            Action::Rotate => {
                machine.end_partial();
                machine.rename();
                machine.usr1();
            }
            Action::CopyTruncate => self.copytruncate(),
            Action::Compress(n, packer) => machine.compress(n, packer),
            Action::DeleteWhatWasRead => self.delete_what_was_read(),
            Action::Turns(turns) => self.turns(turns),
            Action::Kill => self.kill(),
            Action::Stop => self.stop(),
            Action::Start => self.start(),
            Action::Deliver(output, fault) => self.deliver(output, fault),
            Action::Land(output) => self.servers[output].land(),
            Action::Lose(output) => {
                if !self.pruned {
                    self.servers[output].lose();
                    self.lost = true;
                }
            }
            Action::AnotherOutput => {
                self.kill();
                self.outputs = OUTPUTS;
                self.start();
            }
            Action::Prune(age) => self.prune(age),
            Action::Pass(ms) => machine.clock.pass(ms),
            Action::Step(ms) => machine.clock.step(ms),
        }
    }

    /// Until every line is in a closed window, and every output has all parts.
    fn drain(&mut self) {
        self.machine.end_partial();
        self.machine.usr1();
        // Lines that are rejected before the first request wait for it.
        self.machine.request(0);
        self.start();
        for _ in 0..20 {
            self.read();
            self.machine.clock.pass(61_000);
            for output in 0..self.outputs {
                self.deliver(output, Fault::None);
            }
            let reader = Reader::open(&self.machine.path("rgwlens.db")).unwrap();
            let sent = reader.outputs().unwrap().iter().all(|output| output.unsent_parts == 0);
            let read = self.committed() == self.machine.written.len() as u64;
            if read && sent && self.stored().fragments.is_empty() {
                return;
            }
        }
        let (committed, written) = (self.committed(), self.machine.written.len());
        panic!("after twenty minutes {committed} of {written} lines are counted, and not all is sent");
    }

    fn resend(&self) {
        let config = self.config();
        let reader = Reader::open(&config.store.path).unwrap();
        for (target, server) in config.outputs.iter().zip(&self.servers) {
            let mut batch = Batch::new(target, &config.settings.events.fields, 0);
            for part in reader.parts_in(Range::ALL) {
                batch.add(&part.unwrap());
            }
            server.take(batch.lines());
        }
    }

    fn check(&self) {
        let totals = self.stored().windows.unwrap().totals;
        let written = &self.machine.written;
        let requests: Vec<u64> = written
            .iter()
            .filter_map(|line| match line {
                Line::Request { bytes } => Some(*bytes),
                Line::Garbage => None,
            })
            .collect();
        let counted = requests.len() as u64 - totals.expired;
        let rejected = (written.len() - requests.len()) as u64;
        assert_eq!((totals.lines, totals.rejected), (written.len() as u64, rejected));
        assert_eq!((totals.counted, totals.closed), (counted, counted));
        assert!(self.pruned || totals.expired == 0, "nothing was pruned");
        let all = self.servers.iter().take(self.outputs).zip(self.has_all);
        for server in all.filter(|(_, has_all)| *has_all).map(|(server, _)| server) {
            let sum = |measurement, field| server.sum(measurement, field);
            for measurement in ["rgw_node", "rgw_bucket", "rgw_operation", "rgw_status"] {
                assert_eq!(sum(measurement, "requests"), counted, "{measurement}");
            }
            assert_eq!(sum("rgw_log", "lines"), written.len() as u64);
            assert_eq!(sum("rgw_log", "rejected"), rejected);
            assert_eq!(sum("rgw_log", "expired"), totals.expired);
            if totals.expired == 0 {
                let bytes: u64 = requests.iter().sum();
                for measurement in ["rgw_node", "rgw_bucket", "rgw_operation"] {
                    assert_eq!(sum(measurement, "bytes_out"), bytes, "{measurement}");
                }
            }
        }
    }
}

fn run(naming: Naming, writer: Writer, actions: &[Action]) {
    let mut world = World::new(naming, writer);
    // Before its first commit the daemon knows nothing of a log, and a new one begins at its present file.
    world.machine.request(0);
    world.start();
    world.read();
    world.machine.clock.pass(10_000);
    world.turns(1);
    assert_eq!(world.committed(), world.machine.written.len() as u64);
    for action in actions {
        world.act(*action);
    }
    world.drain();
    if !world.pruned {
        world.resend();
    }
    world.check();
    // And nothing of it again, after another crash, or from what was still on its way.
    world.kill();
    for server in &world.servers {
        (0..actions.len()).for_each(|_| server.land());
    }
    world.drain();
    world.check();
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("TORTURE_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(200), max_shrink_iters: 3_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_line_is_counted_once_whatever_happens(
        naming in prop::sample::select(vec![Naming::Number, Naming::Date]),
        actions in prop::collection::vec(action(), 1..70),
    ) {
        run(naming, Writer::Nginx, &actions);
    }

    /// Wherever on a line with many entries the daemon was when it was killed.
    #[test]
    fn every_entry_of_an_ops_log_is_counted_once_whatever_happens(
        naming in prop::sample::select(vec![Naming::Number, Naming::Date]),
        actions in prop::collection::vec(action(), 1..70),
    ) {
        run(naming, Writer::Gateway, &actions);
    }
}
