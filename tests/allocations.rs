//! Counting a line allocates nothing once warm: what was allocated for a window is used again for the next. A window that
//! closes may allocate for each of its series, and so may a name that is new and a request that is kept as an event for
//! themselves; a line may not.

#[path = "../examples/generate/traffic.rs"]
mod traffic;

use allocation_counter::measure;
use rgwlens::{
    access_log::{ClassifierSettings, LogFormat},
    follow::Lines,
    pipeline::Counter,
    point::TimestampMs,
    stats::{Admission, EventSettings, Settings, WindowSettings, Windows},
};
use traffic::Traffic;

/// Lines in a second.
const RATE: usize = 2_000;

/// How much is counted at once.
const BLOCK: usize = 500;

/// Seconds. Both kinds of windows are as long, so that there is a while in which none opens or closes.
const WINDOW: usize = 16;

/// Seconds a window waits for late lines. A window of late lines is open for as long: half a window's.
const LATENESS: usize = WINDOW / 2;

/// Windows before the one that is looked at.
const WARM: usize = 2;

/// The beginning of the log: 12 August 2025.
const START_MS: TimestampMs = 1_754_956_800_000;

/// A request as [`Traffic`] has it.
struct Line {
    second: usize,
    number: usize,
    remote_addr: String,
    request: String,
    status: String,
    request_length: String,
    body_bytes_sent: String,
    user_agent: String,
    request_time: String,
}

/// How a request is written.
type Write = fn(&Line) -> String;

/// One in ten is of two windows ago.
fn late(write: Write, mut line: Line) -> String {
    line.second =
        if line.number.is_multiple_of(10) { line.second.saturating_sub(2 * WINDOW) } else { line.second };
    write(&line)
}

/// What nginx escapes, in every place where a client can have it.
fn escaped(write: Write, mut line: Line) -> String {
    line.request = line.request.replacen(" HTTP", "%2Fdoc\\x22s\\xC3\\xA9 HTTP", 1);
    line.user_agent.push_str(" (\\x22quoted\\x22)");
    write(&line)
}

/// Two in three are not of the format: cut short, or something else.
fn damaged(write: Write, line: Line) -> String {
    match line.number % 3 {
        0 => write(&line),
        1 => write(&line)[..60].to_owned() + "\n",
        _ => "GET / HTTP/1.1\n".to_owned(),
    }
}

/// Every line is about a bucket that nobody has.
fn invented(write: Write, mut line: Line) -> String {
    (line.status, line.body_bytes_sent) = ("404".into(), "250".into());
    line.request = format!("GET /invented-{:09}/key HTTP/1.1", line.number);
    write(&line)
}

impl Line {
    fn next(traffic: &mut Traffic, number: usize) -> Self {
        let line = std::str::from_utf8(traffic.line()).expect("ASCII");
        let quoted: Vec<&str> = line.split('"').collect();
        let numbers: Vec<&str> = quoted[2].split_whitespace().collect();
        Self {
            second: number / RATE,
            number,
            remote_addr: quoted[0].split(' ').next().expect("an address").to_owned(),
            request: quoted[1].to_owned(),
            status: numbers[0].to_owned(),
            request_length: numbers[1].to_owned(),
            body_bytes_sent: numbers[2].to_owned(),
            user_agent: quoted[5].to_owned(),
            request_time: quoted[9].to_owned(),
        }
    }

    fn time_local(&self) -> String {
        format!("12/Aug/2025:00:{:02}:{:02} +0000", self.second / 60, self.second % 60)
    }

    fn main(&self) -> String {
        let Self {
            remote_addr,
            request,
            status,
            request_length,
            body_bytes_sent,
            user_agent,
            request_time,
            ..
        } = self;
        let time = self.time_local();
        format!(
            "{remote_addr} - - [{time}] \"{request}\" {status} {request_length} {body_bytes_sent} \"-\" \
             \"{user_agent}\" \"-\" \"{request_time}\"\n"
        )
    }

    fn combined(&self) -> String {
        let Self { remote_addr, request, status, body_bytes_sent, user_agent, .. } = self;
        let time = self.time_local();
        format!(
            "{remote_addr} - - [{time}] \"{request}\" {status} {body_bytes_sent} \"-\" \"{user_agent}\"\n"
        )
    }

    fn rgwlens(&self) -> String {
        let Self {
            remote_addr,
            request,
            status,
            request_length,
            body_bytes_sent,
            user_agent,
            request_time,
            ..
        } = self;
        let seconds = START_MS as usize / 1000 + self.second;
        let (minute, second) = (self.second / 60, self.second % 60);
        let upstream = 8080 + self.number % 3;
        format!(
            "{seconds}.{:03} 2025-08-12T00:{minute:02}:{second:02}+00:00 {remote_addr} {status} {request_time} \
             {request_length} {body_bytes_sent} {body_bytes_sent} \"127.0.0.1:{upstream}\" \"{status}\" \"0.001\" \
             \"{request_time}\" \"tx0\" \"-\" \"{request_length}\" \"s3.example.com\" \"{request}\" \"-\" \"-\" \
             \"{user_agent}\" \"-\"\n",
            self.number % RATE / 2,
        )
    }
}

/// A log of one kind, and how it is counted.
#[derive(Clone, Copy)]
struct Log {
    format: &'static str,
    write: Write,
    change: fn(Write, Line) -> String,
    followed: bool,
    events: bool,
}

const MAIN: Log = Log {
    format: "main",
    write: Line::main,
    change: |write, line| write(&line),
    followed: false,
    events: false,
};
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
                block.push_str(&(self.change)(self.write, Line::next(&mut traffic, number)));
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
                all.lines += BLOCK as u64;
            }
        }
        let totals = counter.windows.totals();
        assert_eq!((totals.lines, totals.conserved()), (number as u64, true));
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
    assert_eq!(all.times, all.lines / BLOCK as u64);
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
