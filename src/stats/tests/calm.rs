//! To decide once where many lines go is to decide it for each.

use proptest::prelude::*;

use super::fixture::{Line, START_MS, line, live, replay};
use crate::{
    point::TimestampMs,
    stats::{Batch, Fragment, Part, Settings, SlowSettings, Totals, Windows, WindowsState},
};

#[derive(Clone, Debug)]
enum Input {
    /// By how much its time is after that of the usual line, ms; bucket; status.
    Line(i64, usize, u16),
    Reject,
    Idle,
    Turn,
    Commit,
    Floor(i64),
}

/// Blocks of lines, as they are read: with how much time passed before each, ms.
fn blocks() -> impl Strategy<Value = Vec<(i64, Vec<Input>)>> {
    let shift = prop_oneof![
        20 => -1_500i64..300,
        2 => -90_000i64..0,
        1 => 0i64..20_000,
        1 => 200_000i64..1_000_000,
    ];
    let status = prop::sample::select(vec![200u16, 200, 200, 404, 503, 499]);
    let input = prop_oneof![
        30 => (shift, 0usize..4, status).prop_map(|(shift, bucket, status)| Input::Line(shift, bucket, status)),
        2 => Just(Input::Reject),
        1 => Just(Input::Idle),
        1 => Just(Input::Turn),
        1 => Just(Input::Commit),
        1 => (-200_000i64..20_000).prop_map(Input::Floor),
    ];
    let passed = prop_oneof![10 => 0i64..4_000, 1 => 0i64..400_000, 1 => -400_000i64..0];
    prop::collection::vec((passed, prop::collection::vec(input, 1..90)), 1..8)
}

/// All that comes out, and what a store would keep.
type Outcome = (Vec<Part>, Vec<Vec<Fragment>>, Vec<WindowsState>, Totals);

/// How lines are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It is decided for each where it goes.
    Each,
    /// It is decided once for many.
    Once,
    /// The same, and those between two other inputs are recorded together.
    Together,
}

/// Requests that are recorded together, each with what it was made of.
#[derive(Default)]
struct Together {
    batch: Batch,
    lines: Vec<Line>,
}

impl Together {
    fn push(&mut self, line: Line) {
        line.measure(|request, _| self.batch.push(request));
        self.lines.push(line);
    }

    fn record(&mut self, windows: &mut Windows, now_ms: Option<TimestampMs>) {
        self.batch.measure(&SlowSettings::default(), windows.wanted());
        windows.record_all(&self.batch, now_ms, |lane, each| {
            self.lines[lane].measure(|request, text| each(request, text))
        });
        self.batch.clear();
        self.lines.clear();
    }
}

fn run(mut windows: Windows, blocks: &[(i64, Vec<Input>)], has_clock: bool, way: Way) -> Outcome {
    let (mut parts, mut fragments, mut states) = (Vec::new(), Vec::new(), Vec::new());
    let mut now_ms: TimestampMs = START_MS;
    let mut together = Together::default();
    for (passed, inputs) in blocks {
        now_ms += passed;
        for (at, input) in inputs.iter().enumerate() {
            if way == Way::Each {
                windows.settle();
            }
            let clock = has_clock.then_some(now_ms);
            if !matches!(input, Input::Line(..)) || together.batch.is_full() {
                together.record(&mut windows, clock);
            }
            match input {
                Input::Line(shift, bucket, status) => {
                    let name = ["alpha", "beta", "", "a bucket with no name"][*bucket];
                    let time_ms = now_ms + at as i64 * 40 + shift;
                    let line = line(time_ms, name).status(*status);
                    if way == Way::Together {
                        together.push(line);
                    } else {
                        line.measure(|request, text| windows.record(request, text, clock));
                    }
                }
                Input::Reject => windows.reject("format"),
                Input::Idle => windows.advance(now_ms),
                Input::Turn => parts.extend(windows.close_due()),
                Input::Commit => {
                    parts.extend(windows.close_due());
                    fragments.push(windows.fragments());
                    states.push(windows.state());
                }
                Input::Floor(before) => windows.set_floor(now_ms + before),
            }
        }
        together.record(&mut windows, has_clock.then_some(now_ms));
    }
    parts.extend(windows.close_all());
    (parts, fragments, states, windows.totals())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn deciding_once_is_deciding_for_each(blocks in blocks(), has_clock: bool, windows in 0usize..3) {
        let mut settings = Settings::default();
        // In long ones a line may be ahead of the clock, or a jump, and of the same window.
        let lengths = [(10_000, 60_000), (1_000, 2_000), (3_600_000, 3_600_000)];
        (settings.windows.node_ms, settings.windows.bucket_ms) = lengths[windows];
        if windows == 1 {
            settings.admission.candidates = 1;
        }
        let windows = || if has_clock { live(&settings) } else { replay(&settings) };
        let each = run(windows(), &blocks, has_clock, Way::Each);
        for way in [Way::Once, Way::Together] {
            let other = run(windows(), &blocks, has_clock, way);
            prop_assert_eq!(&other.0, &each.0, "parts, {:?}", way);
            prop_assert_eq!(&other.1, &each.1, "fragments, {:?}", way);
            prop_assert_eq!(&other.2, &each.2, "states, {:?}", way);
            prop_assert_eq!(other.3, each.3, "totals, {:?}", way);
            prop_assert!(other.3.conserved());
        }
    }
}
