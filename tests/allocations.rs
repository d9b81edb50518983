//! Counting a line allocates nothing once warm: what was allocated for a window is used again for the next. A window that
//! closes may allocate for each of its series, and so may a name that is new and a request that is kept as an event for
//! themselves; a line may not.

#[path = "support/shapes.rs"]
mod shapes;
#[path = "../examples/generate/traffic.rs"]
mod traffic;

use allocation_counter::measure;
use rgwlens::{
    access_log::{ClassifierSettings, LogFormat},
    follow::Lines,
    pipeline::Counter,
    stats::{Admission, EventSettings, Settings, WindowSettings, Windows},
};
use shapes::{Change, Line, START_MS, Write, damaged, escaped, invented};
use traffic::Traffic;

/// Lines in a second.
const RATE: u64 = 2_000;

/// How much is counted at once.
const BLOCK: u64 = 500;

/// Seconds. Both kinds of windows are as long, so that there is a while in which none opens or closes.
const WINDOW: u64 = 16;

/// Seconds a window waits for late lines. A window of late lines is open for as long: half a window's.
const LATENESS: u64 = WINDOW / 2;

/// Windows before the one that is looked at.
const WARM: u64 = 2;

/// One in ten is of two windows ago.
fn late(line: &mut Line) {
    line.ms =
        if line.number.is_multiple_of(10) { line.ms.saturating_sub(2 * WINDOW * 1000) } else { line.ms };
}

/// A log of one kind, and how it is counted.
#[derive(Clone, Copy)]
struct Log {
    format: &'static str,
    write: Write,
    change: Change,
    followed: bool,
    events: bool,
}

const MAIN: Log = Log { format: "main", write: Line::main, change: |_| (), followed: false, events: false };
const COMBINED: Log = Log { format: "combined", write: Line::combined, ..MAIN };
const RGWLENS: Log = Log { format: "rgwlens", write: Line::rgwlens, ..MAIN };

/// What was allocated, and by how many lines.
#[derive(Clone, Copy, Debug, Default)]
struct Allocated {
    times: u64,
    lines: u64,
}

impl Log {
    fn settings(self) -> Settings {
        let (window_ms, lateness_ms) = (WINDOW as i64 * 1000, LATENESS as i64 * 1000);
        Settings {
            windows: WindowSettings { node_ms: window_ms, bucket_ms: window_ms, lateness_ms },
            events: EventSettings { enabled: self.events, ..EventSettings::default() },
            ..Settings::default()
        }
    }

    fn counter(self) -> Counter {
        let settings = self.settings();
        let admission = Admission::new(settings.admission.clone(), 1);
        let windows = match self.followed {
            true => Windows::live(settings.clone(), admission, 1),
            false => Windows::replay(settings.clone(), admission),
        };
        let format = LogFormat::named(self.format).expect("a format that is shipped");
        Counter::new(format, ClassifierSettings::default(), settings.slow, windows)
    }

    /// What a stretch of lines allocates in which no window opens or closes. `planted` happens for each block of them.
    fn allocated(self, planted: impl Fn()) -> Allocated {
        let (mut counter, mut traffic) = (self.counter(), Traffic::new(200, 1));
        let (mut block, mut number, mut all) = (String::new(), 0, Allocated::default());
        // The window before has closed, as has that of its late lines; the next ones are a second away.
        let stretch = WARM * WINDOW + LATENESS + 1..(WARM + 1) * WINDOW - 1;
        while number < stretch.end * RATE {
            block.clear();
            let second = number / RATE;
            for number in number..number + BLOCK {
                let mut line = Line::next(&mut traffic, number, number * 1000 / RATE);
                (self.change)(&mut line);
                block.push_str(&(self.write)(&line));
            }
            number += BLOCK;
            let now_ms = self.followed.then_some(START_MS + second as i64 * 1000);
            let (bytes, mut closed) = (block.as_bytes(), Vec::new());
            let allocated = measure(|| {
                counter.count(Lines { bytes, now_ms });
                closed = counter.windows.close_due();
                planted();
            });
            if stretch.contains(&second) {
                assert!(closed.is_empty(), "nothing closes now");
                all.times += allocated.count_total;
                all.lines += BLOCK;
            }
        }
        let totals = counter.windows.totals();
        assert_eq!((totals.lines, totals.conserved()), (number, true));
        all
    }

    fn check(self, what: &str, most: u64) {
        let all = self.allocated(|| ());
        assert!(all.times <= most, "{}, {what}: {all:?}", self.format);
    }
}

#[test]
fn an_allocation_is_noticed() {
    let all = MAIN.allocated(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(all.times, all.lines / BLOCK);
}

#[test]
fn nothing_for_a_line_of_the_format_main() {
    MAIN.check("as they come", 0);
    Log { followed: true, ..MAIN }.check("followed", 0);
}

#[test]
fn nothing_for_a_line_of_the_format_combined() {
    COMBINED.check("as they come", 0);
}

#[test]
fn nothing_for_a_line_of_the_format_rgwlens() {
    RGWLENS.check("as they come", 0);
    Log { followed: true, ..RGWLENS }.check("followed", 0);
}

#[test]
fn nothing_for_a_line_with_escapes() {
    for log in [MAIN, COMBINED, RGWLENS] {
        Log { change: escaped, ..log }.check("escaped", 0);
    }
}

#[test]
fn nothing_for_a_line_that_is_rejected() {
    for log in [MAIN, COMBINED, RGWLENS] {
        Log { change: damaged, ..log }.check("damaged", 0);
    }
}

#[test]
fn nothing_for_a_line_that_is_late() {
    for followed in [false, true] {
        // A window of late lines may be the largest of its kind so far: memory that doubles.
        Log { change: late, followed, ..RGWLENS }.check("late", 4);
    }
}

/// There is room for some of them, made once. When it is full, those that stay candidates are packed.
#[test]
fn a_name_that_is_new_allocates_for_itself_only() {
    let all = Log { change: invented, ..MAIN }.allocated(|| ());
    assert!(all.times <= all.lines * 3, "{all:?}");
}

#[test]
fn events_allocate_and_there_are_only_so_many() {
    let EventSettings { slow, errors_5xx, errors_4xx, sampled, .. } = EventSettings::default();
    let most = (slow + errors_5xx + errors_4xx + sampled) as u64;
    let all = Log { events: true, ..RGWLENS }.allocated(|| ());
    // Six texts, twice, and what they are made in.
    assert!((1..=most * 20).contains(&all.times), "{all:?}");
}
