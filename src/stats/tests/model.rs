//! Any input, any clock, any commits and crashes: the books are right, and nothing depends on when commits were.

use proptest::prelude::*;

use super::fixture::{Line, START_MS, Store, check_parts, line, requests, sorted, sum};
use crate::{
    access_log::Class,
    point::TimestampMs,
    stats::{Part, Settings, Table, Totals, Windows, counter},
};

#[derive(Clone, Debug)]
enum Input {
    Line(Line, TimestampMs),
    Reject(&'static str),
    Idle(TimestampMs),
}

/// What happens after an input.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Nothing,
    Turn,
    Commit,
    Crash,
}

/// How the time of a line comes about.
#[derive(Clone, Copy, Debug)]
enum Tick {
    /// The clock goes on, ms.
    On(i64),
    /// A line from the past, ms.
    Late(i64),
    /// A line from the future, ms.
    Ahead(i64),
    /// The clock is put forward or back, ms.
    Jump(i64),
}

fn tick() -> impl Strategy<Value = Tick> {
    prop_oneof![
        8 => (0i64..9_000).prop_map(Tick::On),
        3 => (0i64..90_000).prop_map(Tick::Late),
        1 => (0i64..2_000_000).prop_map(Tick::Ahead),
        1 => (-1_000_000i64..1_000_000).prop_map(Tick::Jump),
        1 => (-40_000_000_000i64..40_000_000_000).prop_map(Tick::Jump),
    ]
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let status = prop::sample::select(vec![200, 200, 200, 304, 301, 404, 499, 503, 0]);
    let shape = (tick(), 0u8..14, 0usize..6, status, prop::option::of(0u32..70_000), 0u64..4 << 20);
    prop::collection::vec(shape, 1..60).prop_map(|shapes| {
        let mut now_ms = START_MS;
        let mut inputs = Vec::new();
        for (tick, what, bucket, status, request_time_ms, bytes_in) in shapes {
            let time_ms = match tick {
                Tick::On(by) => {
                    now_ms += by;
                    now_ms
                }
                Tick::Jump(by) => {
                    now_ms += by;
                    now_ms
                }
                Tick::Late(by) => now_ms - by,
                Tick::Ahead(by) => now_ms + by,
            };
            inputs.push(match what {
                0 => Input::Reject("syntax"),
                1 => Input::Reject("too_long"),
                2 => Input::Idle(now_ms),
                _ => {
                    let name = ["", "alpha", "beta", "gamma", "delta", "nobody"][bucket];
                    let status = if name == "nobody" { 404 } else { status };
                    let class = [Class::Upload, Class::Download, Class::List][bucket % 3];
                    let upstream =
                        [None, Some("10.0.0.1:7480"), Some("10.0.0.1:7480, 10.0.0.2:7480")][bucket % 3];
                    let line = line(time_ms, name).status(status);
                    Input::Line(Line { class, request_time_ms, bytes_in, upstream, ..line }, now_ms)
                }
            });
        }
        inputs
    })
}

fn feed(windows: &mut Windows, input: &Input) {
    match input {
        Input::Line(line, now_ms) => line.record(windows, Some(*now_ms)),
        Input::Reject(reason) => windows.reject(reason),
        Input::Idle(now_ms) => windows.advance(*now_ms),
    }
}

/// Runs the inputs with what happens after each, and closes everything at the end. A crash forgets what was not
/// committed, and reads it again.
fn run(inputs: &[Input], then: &[Then], settings: &Settings) -> (Vec<Part>, Totals) {
    let mut store = Store::default();
    let (mut windows, mut staged) = (store.open(settings), Vec::new());
    let (mut position, mut committed) = (0, 0);
    let mut then: Vec<Then> = inputs.iter().enumerate().map(|(i, _)| then[i % then.len()]).collect();
    while position < inputs.len() {
        feed(&mut windows, &inputs[position]);
        match std::mem::replace(&mut then[position], Then::Nothing) {
            Then::Nothing => {}
            Then::Turn => staged.extend(windows.close_due()),
            Then::Commit => {
                store.commit(&mut staged, &mut windows);
                committed = position + 1;
            }
            Then::Crash => {
                staged.clear();
                windows = store.open(settings);
                position = committed;
                continue;
            }
        }
        position += 1;
    }
    staged.extend(windows.close_all());
    store.commit(&mut staged, &mut windows);
    assert!(store.fragments.is_empty(), "nothing is open at the end");
    (store.parts, windows.totals())
}

fn check_books(inputs: &[Input], parts: &[Part], totals: Totals) {
    check_parts(parts);
    let lines = inputs.iter().filter(|input| !matches!(input, Input::Idle(_))).count() as u64;
    let rejected = inputs.iter().filter(|input| matches!(input, Input::Reject(_))).count() as u64;
    assert_eq!((totals.lines, totals.rejected, totals.expired), (lines, rejected, 0));
    assert_eq!((totals.counted, totals.closed), (lines - rejected, lines - rejected));
    for table in [Table::Node, Table::Status, Table::Bucket, Table::Operation] {
        assert_eq!(requests(parts, table), totals.counted, "{table:?}");
    }
    let ok = |table| sum(parts, table, counter::OK);
    assert_eq!(ok(Table::Node), ok(Table::Bucket));
    let sizes: u64 = (0..6).map(|edge| sum(parts, Table::Size, edge)).sum();
    assert_eq!(sizes, ok(Table::Node));
    for bytes in [counter::BYTES_IN, counter::BYTES_OUT, counter::SLOW] {
        assert_eq!(sum(parts, Table::Node, bytes), sum(parts, Table::Bucket, bytes));
        assert_eq!(sum(parts, Table::Node, bytes), sum(parts, Table::Operation, bytes));
    }
    let samples = |table| -> u64 {
        let of_table = |s: &crate::stats::SeriesRef<'_>| s.key.table() == Some(table);
        parts.iter().flat_map(|part| part.contents.series()).filter(of_table).map(|s| s.latency.count).sum()
    };
    assert_eq!(samples(Table::Node), samples(Table::Operation));
    if totals.counted > 0 {
        // Lines of rejected ones stand in two series: that of all lines, and that of their reason.
        assert_eq!(sum(parts, Table::Log, counter::LINES), lines + rejected);
        assert_eq!(sum(parts, Table::Log, counter::LATE), totals.late);
    }
}

proptest! {
    #[test]
    fn the_books_are_right_whatever_comes(
        inputs in inputs(),
        then in prop::collection::vec(then(), 1..40),
    ) {
        let settings = Settings::default();
        let (parts, totals) = run(&inputs, &then, &settings);
        check_books(&inputs, &parts, totals);
        let (uninterrupted, same) = run(&inputs, &[Then::Nothing], &settings);
        prop_assert_eq!(totals, same);
        prop_assert_eq!(sorted(parts), sorted(uninterrupted));
    }

    #[test]
    fn other_lengths_after_a_restart_never_meet_the_old_ones(
        inputs in inputs(),
        lengths in prop::collection::vec(prop::sample::select(vec![
            (10_000i64, 60_000i64), (5_000, 60_000), (15_000, 30_000), (7_000, 21_000), (60_000, 300_000),
        ]), 2..6),
        each in 5usize..30,
    ) {
        let mut store = Store::default();
        let mut staged = Vec::new();
        let mut settings = Settings::default();
        let mut totals = Totals::default();
        // The numbers of a new store lie in the middle of a window: with a first line from the future and a clock put
        // back they could meet those of another length. Here the first line is before everything.
        let first_ms = -8_000_000_000_000;
        let first = Input::Line(line(first_ms, ""), first_ms);
        let inputs: Vec<Input> = std::iter::once(first).chain(inputs).collect();
        for (inputs, (node_ms, bucket_ms)) in inputs.chunks(each).zip(lengths.iter().cycle()) {
            settings.windows.node_ms = *node_ms;
            settings.windows.bucket_ms = *bucket_ms;
            let mut windows = store.open(&settings);
            inputs.iter().for_each(|input| feed(&mut windows, input));
            store.commit(&mut staged, &mut windows);
            totals = windows.totals();
        }
        let mut windows = store.open(&settings);
        staged.extend(windows.close_all());
        store.commit(&mut staged, &mut windows);
        check_books(&inputs, &store.parts, Totals { closed: windows.totals().closed, ..totals });
    }
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![
        6 => Just(Then::Nothing),
        2 => Just(Then::Turn),
        2 => Just(Then::Commit),
        1 => Just(Then::Crash),
    ]
}

/// A stream that commits after every line and one that never does say the same, however long they run.
#[test]
fn a_commit_after_every_line_changes_nothing() {
    let settings = Settings::default();
    let inputs: Vec<Input> = (0..3_000)
        .map(|i: i64| {
            let time_ms = START_MS + i * 97 - (i * 7_919 % 40_000) * i64::from(i % 11 == 0);
            Input::Line(line(time_ms, ["alpha", "beta", ""][i as usize % 3]), START_MS + i * 97)
        })
        .collect();
    let (always, totals) = run(&inputs, &[Then::Commit], &settings);
    let (never, _) = run(&inputs, &[Then::Nothing], &settings);
    assert!(totals.late > 0);
    assert_eq!(sorted(always), sorted(never));
}
