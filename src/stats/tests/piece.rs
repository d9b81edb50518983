//! Stretches that are counted apart add up to what they do line by line, part by part and in the same order.

use proptest::prelude::*;

use super::fixture::{Line, START_MS, line, replay};
use crate::stats::{AdmissionSettings, EventSettings, Part, PieceCounter, Settings, Totals, Windows};

#[derive(Clone, Debug)]
enum Input {
    Line(Line),
    Reject(&'static str),
    Skip,
}

fn count(windows: &mut Windows, input: &Input) {
    match input {
        Input::Line(line) => line.record(windows, None),
        Input::Reject(reason) => windows.reject(reason),
        Input::Skip => windows.skip(),
    }
}

/// All parts, the totals, and how many stretches fitted.
fn in_pieces(inputs: &[Input], lengths: &[usize], settings: &Settings) -> (Vec<Part>, Totals, usize) {
    let mut windows = replay(settings);
    let mut pieces = PieceCounter::new(settings.clone());
    let (mut parts, mut fitted, mut rest) = (Vec::new(), 0, inputs);
    for length in lengths.iter().cycle() {
        let (stretch, after) = rest.split_at((*length).min(rest.len()));
        rest = after;
        for input in stretch {
            match input {
                Input::Line(line) => line.measure(|request, line| pieces.record(request, line)),
                Input::Reject(reason) => pieces.reject(reason),
                Input::Skip => pieces.skip(),
            }
        }
        match pieces.take().map(|piece| windows.absorb(piece)) {
            Some(true) => fitted += 1,
            Some(false) | None => stretch.iter().for_each(|input| count(&mut windows, input)),
        }
        parts.extend(windows.close_due());
        if rest.is_empty() {
            break;
        }
    }
    parts.extend(windows.close_all());
    (parts, windows.totals(), fitted)
}

fn line_by_line(inputs: &[Input], settings: &Settings) -> (Vec<Part>, Totals) {
    let mut windows = replay(settings);
    inputs.iter().for_each(|input| count(&mut windows, input));
    (windows.close_all(), windows.totals())
}

/// Few places for names and events.
fn tight() -> Settings {
    Settings {
        admission: AdmissionSettings {
            per_window: 4,
            admitted: 9,
            candidates: 6,
            ..AdmissionSettings::default()
        },
        events: EventSettings {
            sample: 0.3,
            sampled: 2,
            errors_4xx: 2,
            not_found: true,
            ..EventSettings::default()
        },
        ..Settings::default()
    }
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let step =
        (0i64..4_000, 0i64..1_000, 0usize..12, prop::sample::select(vec![200u16, 200, 404, 503]), 0u8..40);
    prop::collection::vec(step, 1..300).prop_map(|steps| {
        let mut now_ms = START_MS;
        let of = |(on, chance, bucket, status, what): (i64, i64, usize, u16, u8)| {
            now_ms += match chance {
                0 => 400_000,
                1 => 100_000,
                _ => on,
            };
            // Mostly within the lateness, sometimes beyond it.
            let back = if chance > 990 { 40_000 } else { chance % 7 * 1_500 };
            match what {
                0 => Input::Reject("nul"),
                1 => Input::Reject("number"),
                2 => Input::Skip,
                _ => Input::Line(line(now_ms - back, &format!("bucket-{bucket}")).status(status)),
            }
        };
        steps.into_iter().map(of).collect()
    })
}

proptest! {
    #[test]
    fn pieces_add_up_to_what_lines_do(inputs in inputs(), lengths in prop::collection::vec(1usize..80, 1..6)) {
        let settings = tight();
        let (parts, totals, _) = in_pieces(&inputs, &lengths, &settings);
        let (expected, expected_totals) = line_by_line(&inputs, &settings);
        prop_assert_eq!(totals, expected_totals);
        let ids = |parts: &[Part]| parts.iter().map(|part| part.id).collect::<Vec<_>>();
        prop_assert_eq!(ids(&parts), ids(&expected));
        for (part, expected) in parts.iter().zip(&expected) {
            prop_assert_eq!(part, expected);
        }
    }
}

#[test]
fn a_log_in_order_is_counted_in_pieces_and_what_is_late_is_not() {
    let settings = Settings::default();
    let inputs: Vec<Input> = (0..5_000).map(|i| Input::Line(line(START_MS + i * 50, "bucket"))).collect();
    let (parts, _, fitted) = in_pieces(&inputs, &[1_000], &settings);
    assert_eq!(fitted, 5);
    assert_eq!(parts, line_by_line(&inputs, &settings).0);

    let mut late = inputs;
    late[2_500] = Input::Line(line(START_MS, "bucket"));
    let (parts, totals, fitted) = in_pieces(&late, &[1_000], &settings);
    assert_eq!((fitted, totals.late), (4, 1));
    assert_eq!(parts, line_by_line(&late, &settings).0);
}
