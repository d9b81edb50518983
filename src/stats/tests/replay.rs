//! A replay's parts depend on the lines, not on how they were cut into chunks, nor on their order within a window.

use proptest::prelude::*;

use super::fixture::{START_MS, check_parts, identities, line, replay, requests, sorted};
use crate::stats::{
    AdmissionSettings, EventSettings, Part, Settings, Table, WindowKind, Windows, family::HELD_WINDOWS,
};

/// Time, bucket, status.
type Shape = (i64, usize, u16);

fn record(windows: &mut Windows, (time_ms, bucket, status): Shape) {
    line(time_ms, &format!("bucket-{bucket}")).status(status).record(windows, None);
}

/// Replays, asking for parts and for fragments wherever `chunks` says so.
fn run(shapes: &[Shape], chunks: &[usize], settings: &Settings) -> Vec<Part> {
    let mut windows = replay(settings);
    let mut parts = Vec::new();
    let mut chunks = chunks.iter().cycle();
    let mut left = chunks.next().copied().unwrap_or(usize::MAX);
    for shape in shapes {
        record(&mut windows, *shape);
        left -= 1;
        if left == 0 {
            parts.extend(windows.close_due());
            windows.fragments();
            left = chunks.next().copied().unwrap_or(usize::MAX);
        }
    }
    parts.extend(windows.close_all());
    let totals = windows.totals();
    assert!(totals.conserved());
    assert_eq!((totals.counted, totals.closed), (shapes.len() as u64, shapes.len() as u64));
    for table in [Table::Node, Table::Bucket, Table::Operation] {
        assert_eq!(requests(&parts, table), totals.counted, "{table:?}");
    }
    check_parts(&parts);
    sorted(parts)
}

fn status() -> impl Strategy<Value = u16> {
    prop::sample::select(vec![200u16, 404, 404, 404])
}

/// Too few places for the buckets there are.
fn tight() -> Settings {
    let admission =
        AdmissionSettings { per_window: 4, admitted: 9, candidates: 6, ..AdmissionSettings::default() };
    Settings { admission, ..Settings::default() }
}

proptest! {
    #[test]
    fn chunks_do_not_matter(
        steps in prop::collection::vec((0i64..20_000, 0i64..120_000, 0usize..40, status()), 1..100),
        chunks in prop::collection::vec(1usize..50, 1..10),
    ) {
        let mut now_ms = START_MS;
        let shapes: Vec<Shape> = steps.into_iter().map(|(on, back, bucket, status)| {
            now_ms += on;
            (if back < 30_000 { now_ms - back } else { now_ms }, bucket, status)
        }).collect();
        prop_assert_eq!(run(&shapes, &chunks, &tight()), run(&shapes, &[], &tight()));
    }

    #[test]
    fn the_order_within_a_window_does_not_matter(
        windows in prop::collection::vec(
            prop::collection::vec((0i64..10_000, 0usize..40, status()), 0..30).prop_flat_map(|lines| {
                (Just(lines.clone()), Just(lines).prop_shuffle())
            }),
            1..12,
        ),
        chunks in prop::collection::vec(1usize..50, 1..10),
    ) {
        // Events are those that came first.
        let settings = Settings { events: EventSettings { enabled: false, ..EventSettings::default() }, ..tight() };
        let place = |(number, lines): (usize, Vec<(i64, usize, u16)>)| {
            let start_ms = START_MS + number as i64 * 10_000;
            lines.into_iter().map(move |(time, bucket, status)| (start_ms + time, bucket, status))
        };
        let (one, other): (Vec<_>, Vec<_>) = windows.into_iter().unzip();
        let one: Vec<Shape> = one.into_iter().enumerate().flat_map(place).collect();
        let other: Vec<Shape> = other.into_iter().enumerate().flat_map(place).collect();
        prop_assert_eq!(run(&one, &[], &settings), run(&other, &chunks, &settings));
    }
}

#[test]
fn what_is_late_is_one_part_a_window_at_the_end() {
    let mut shapes = vec![(START_MS, 0, 200)];
    for minute in 1..200 {
        shapes.push((START_MS + minute * 60_000, 0, 200));
        shapes.push((START_MS + minute * 60_000 - 40_000, 0, 200));
    }
    // Twice for each window, far apart, and more windows than a live stream would hold.
    shapes.extend((1..200).map(|minute| (START_MS + minute * 60_000 - 40_000, 0, 200)));
    let parts = run(&shapes, &[1], &Settings::default());
    let late: Vec<_> = identities(&parts).into_iter().filter(|(.., k)| *k > 0).collect();
    assert_eq!(late.iter().filter(|(kind, ..)| *kind == WindowKind::Node).count(), 199);
    assert!(late.iter().all(|(.., k)| *k == 1), "{late:?}");
}

/// `cat newer older`: all of the older lines are late, and more windows than may be held.
#[test]
fn files_in_the_wrong_order_take_bounded_memory_and_are_one_part_a_window() {
    let windows_each = 3 * HELD_WINDOWS as i64;
    let newer = START_MS + 2 * windows_each * 60_000;
    let older = (0..windows_each).flat_map(|minute| {
        [0, 5_000, 2_000].map(|offset_ms| (START_MS + minute * 60_000 + offset_ms, 0, 200))
    });
    let mut windows = replay(&Settings::default());
    let mut parts = Vec::new();
    for shape in [(newer, 0, 200)].into_iter().chain(older) {
        record(&mut windows, shape);
        parts.extend(windows.close_due());
        assert!(windows.open().len() <= 2 * (HELD_WINDOWS + 1));
    }
    assert!(parts.len() > 2 * HELD_WINDOWS, "nothing closed early: this tests nothing");
    parts.extend(windows.close_all());
    check_parts(&parts);
    let late = identities(&parts).into_iter().filter(|(.., k)| *k > 0).collect::<Vec<_>>();
    assert_eq!(late.len() as i64, 2 * windows_each);
    assert!(late.iter().all(|(.., k)| *k == 1), "{late:?}");
    assert_eq!(requests(&parts, Table::Bucket), 3 * windows_each as u64 + 1);
}

#[test]
fn a_jump_counts_once_a_hundred_lines_agree() {
    let far_ms = START_MS + 86_400_000;
    for (lines, closed) in [(99, 0), (100, 1)] {
        let mut windows = replay(&Settings::default());
        record(&mut windows, (START_MS, 0, 200));
        for i in 0..lines {
            record(&mut windows, (far_ms + i, 0, 200));
        }
        let parts = windows.close_due();
        let on_time = parts.iter().filter(|part| part.id.kind == WindowKind::Node).count();
        assert_eq!(on_time, closed, "after {lines} lines");
        assert_eq!(windows.watermark_ms(), Some(if closed == 1 { far_ms } else { START_MS }));
    }
}

#[test]
fn one_line_of_the_time_before_breaks_the_agreement() {
    let mut windows = replay(&Settings::default());
    record(&mut windows, (START_MS, 0, 200));
    for i in 0..300 {
        let far = i % 100 != 50;
        record(&mut windows, (START_MS + i * 10 + if far { 86_400_000 } else { 0 }, 0, 200));
    }
    assert_eq!(windows.watermark_ms(), Some(START_MS + 2_500));
}
