//! Wrong clocks, new stores, changed lengths: what a part is called then, and that every line is in one.

use super::fixture::{INSTANCE, START_MS, Store, check_parts, identities, line, live, requests};
use crate::{
    point::TimestampMs,
    stats::{Part, Settings, Table, WindowKind, Windows},
};

use WindowKind::{Bucket, Node};

const YEAR_MS: i64 = 365 * 86_400_000;

fn record(windows: &mut Windows, time_ms: TimestampMs, now_ms: TimestampMs) {
    line(time_ms, "bucket").record(windows, Some(now_ms));
}

/// A stream whose first line was long enough ago that nothing is left of a store before this one.
fn settled() -> Windows {
    let mut windows = live(&Settings::default());
    record(&mut windows, START_MS - 3_600_000, START_MS - 3_600_000);
    record(&mut windows, START_MS - 60_000, START_MS - 60_000);
    windows.advance(START_MS);
    windows.advance(START_MS + 15_000);
    windows.close_due();
    windows
}

fn finish(mut windows: Windows, mut parts: Vec<Part>) -> Vec<Part> {
    parts.extend(windows.close_all());
    check_parts(&parts);
    parts
}

#[test]
fn a_window_closes_at_its_end_and_the_lateness() {
    let mut windows = settled();
    record(&mut windows, START_MS + 20_000, START_MS + 20_000);
    record(&mut windows, START_MS + 44_999, START_MS + 45_000);
    assert_eq!(identities(&windows.close_due()), []);
    record(&mut windows, START_MS + 45_000, START_MS + 45_000);
    assert_eq!(identities(&windows.close_due()), [(Node, 20, 10, 0)]);
    windows.advance(START_MS + 74_999);
    assert_eq!(identities(&windows.close_due()), [(Node, 40, 10, 0)]);
    windows.advance(START_MS + 75_000);
    assert_eq!(identities(&windows.close_due()), [(Bucket, 0, 60, 0)]);
}

#[test]
fn late_lines_are_parts_of_their_own_with_the_next_number() {
    let mut windows = settled();
    record(&mut windows, START_MS + 20_000, START_MS + 20_000);
    windows.advance(START_MS + 100_000);
    let mut parts = windows.close_due();
    for late in 1..=3i64 {
        let now_ms = START_MS + 100_000 * late;
        windows.advance(now_ms);
        record(&mut windows, START_MS + 21_000, now_ms);
        record(&mut windows, START_MS + 22_000, now_ms);
        windows.advance(now_ms + 14_999);
        assert_eq!(identities(&windows.close_due()), [], "late lines wait for others");
        windows.advance(now_ms + 15_000);
        let closed = windows.close_due();
        assert_eq!(identities(&closed), [(Node, 20, 10, late as u32), (Bucket, 0, 60, late as u32)]);
        parts.extend(closed);
    }
    assert_eq!(windows.totals().late, 6);
    assert_eq!(requests(&finish(windows, parts), Table::Node), 7);
}

/// A new store cannot know what one before it counted of the windows that are open now.
#[test]
fn a_fresh_store_has_numbers_of_its_own_until_the_first_line_and_the_lateness() {
    let mut windows = live(&Settings::default());
    record(&mut windows, START_MS + 25_000, START_MS + 25_000);
    record(&mut windows, START_MS + 31_000, START_MS + 31_000);
    record(&mut windows, START_MS + 40_000, START_MS + 40_000);
    record(&mut windows, START_MS + 61_000, START_MS + 61_000);
    windows.advance(START_MS + 200_000);
    let mut parts = windows.close_due();
    record(&mut windows, START_MS + 29_000, START_MS + 200_000);
    record(&mut windows, START_MS + 41_000, START_MS + 200_000);
    windows.advance(START_MS + 215_000);
    parts.extend(windows.close_due());
    // Window 20 begins before the first line, 30 before that and the lateness, 40 at it.
    let node = 5_000 + (INSTANCE % 2_500) as u32;
    let bucket = 30_000 + (INSTANCE % 15_000) as u32;
    let expected = [
        (Node, 20, 10, node),
        (Node, 20, 10, node + 1),
        (Node, 30, 10, node),
        (Node, 40, 10, 0),
        (Node, 40, 10, 1),
        (Node, 60, 10, 0),
        (Bucket, 0, 60, bucket),
        (Bucket, 0, 60, bucket + 1),
        (Bucket, 60, 60, 0),
    ];
    assert_eq!(identities(&finish(windows, parts)), expected);
}

#[test]
fn a_shorter_length_after_a_fresh_start_keeps_the_numbers_inside_the_window() {
    let mut settings = Settings::default();
    let mut store = Store::default();
    let mut windows = store.open(&settings);
    // A first line from far ahead makes everything fresh for a long time.
    record(&mut windows, START_MS + YEAR_MS, START_MS);
    record(&mut windows, START_MS, START_MS);
    store.commit(&mut Vec::new(), &mut windows);
    settings.windows.node_ms = 1_000;
    settings.windows.bucket_ms = 2_000;
    let mut windows = store.open(&settings);
    record(&mut windows, START_MS + 100_000, START_MS + 100_000);
    let parts = finish(windows, store.parts);
    assert!(identities(&parts).iter().any(|(kind, _, length, _)| *kind == Node && *length == 1));
}

#[test]
fn a_changed_length_counts_from_the_next_common_boundary_for_late_lines_too() {
    let mut settings = Settings::default();
    let mut store = Store::default();
    let mut windows = store.open(&settings);
    record(&mut windows, START_MS, START_MS);
    record(&mut windows, START_MS + 72_000, START_MS + 72_000);
    store.commit(&mut Vec::new(), &mut windows);
    settings.windows.node_ms = 15_000;
    let mut windows = store.open(&settings);
    for second in [80, 89, 90, 104, 105] {
        record(&mut windows, START_MS + second * 1000, START_MS + second * 1000);
    }
    windows.advance(START_MS + 200_000);
    let mut parts = std::mem::take(&mut store.parts);
    parts.extend(windows.close_due());
    record(&mut windows, START_MS + 71_000, START_MS + 200_000);
    record(&mut windows, START_MS + 104_000, START_MS + 200_000);
    let fresh = 5_000 + (INSTANCE % 2_500) as u32;
    let nodes: Vec<_> =
        identities(&finish(windows, parts)).into_iter().filter(|(kind, ..)| *kind == Node).collect();
    let expected = [
        (Node, 0, 10, fresh),
        (Node, 70, 10, 0),
        (Node, 70, 10, 1),
        (Node, 80, 10, 0),
        (Node, 90, 15, 0),
        (Node, 90, 15, 1),
        (Node, 105, 15, 0),
    ];
    assert_eq!(nodes, expected);
}

#[test]
fn a_line_up_to_300_s_ahead_moves_the_watermark_and_one_further_ahead_does_not() {
    for (ahead_ms, moves) in [(300_000, true), (300_001, false)] {
        let mut windows = settled();
        let now_ms = START_MS + 15_000;
        record(&mut windows, now_ms + ahead_ms, now_ms);
        assert_eq!(windows.watermark_ms(), Some(if moves { now_ms + ahead_ms } else { now_ms }));
    }
}

/// It is counted in its own window, but does not wait for the clock to get there.
#[test]
fn a_line_far_ahead_is_a_part_soon_and_leaves_its_window_alone() {
    let mut windows = settled();
    let now_ms = START_MS + 100_000;
    record(&mut windows, START_MS + YEAR_MS, now_ms);
    windows.advance(now_ms);
    windows.advance(now_ms + 15_000);
    let mut parts = windows.close_due();
    let year = YEAR_MS / 1000;
    assert_eq!(identities(&parts), [(Node, year, 10, 1), (Bucket, year, 60, 1)]);
    assert_eq!(windows.totals().late, 0, "it is not late");
    // A year later its window closes on time as every other.
    windows.advance(START_MS + YEAR_MS);
    record(&mut windows, START_MS + YEAR_MS, START_MS + YEAR_MS);
    windows.advance(START_MS + YEAR_MS + 75_000);
    parts.extend(windows.close_due());
    let expected = [(Node, year, 10, 0), (Node, year, 10, 1), (Bucket, year, 60, 0), (Bucket, year, 60, 1)];
    assert_eq!(identities(&finish(windows, parts)), expected);
}

/// It is booked with the line before it, and must not wait a year for that.
#[test]
fn a_line_rejected_after_one_far_ahead_is_in_its_part() {
    let mut windows = settled();
    let now_ms = START_MS + 100_000;
    record(&mut windows, START_MS + YEAR_MS, now_ms);
    let mut store = Store::default();
    store.commit(&mut Vec::new(), &mut windows);
    let mut windows = store.open(&Settings::default());
    windows.reject("syntax");
    windows.advance(now_ms);
    windows.advance(now_ms + 15_000);
    let parts = windows.close_due();
    let year = YEAR_MS / 1000;
    assert_eq!(identities(&parts), [(Node, year, 10, 1), (Bucket, year, 60, 1)]);
    assert!(windows.open().is_empty(), "{:?}", windows.open());
}

#[test]
fn a_first_line_far_ahead_does_not_hold_up_the_rest() {
    let mut windows = live(&Settings::default());
    record(&mut windows, START_MS + YEAR_MS, START_MS);
    for second in 0..100 {
        record(&mut windows, START_MS + second * 1000, START_MS + second * 1000);
    }
    let parts = windows.close_due();
    assert_eq!(requests(&parts, Table::Node), 1 + 80, "windows 0 to 70, and the one ahead");
    assert_eq!(requests(&parts, Table::Bucket), 1 + 60);
}

/// The clock of the host was a year ahead: all of it, lines and our own.
#[test]
fn a_clock_that_was_a_year_ahead_is_put_right_by_the_first_line_or_by_the_clock() {
    for by_line in [true, false] {
        let mut windows = settled();
        let wrong_ms = START_MS + YEAR_MS;
        for second in 0..100 {
            record(&mut windows, wrong_ms + second * 1000, wrong_ms + second * 1000);
        }
        let mut parts = windows.close_due();
        let right_ms = START_MS + 200_000;
        if !by_line {
            windows.advance(right_ms);
            assert_eq!(windows.watermark_ms(), Some(right_ms));
        }
        record(&mut windows, right_ms, right_ms);
        parts.extend(windows.close_due());
        assert_eq!(requests(&parts, Table::Node), 100, "nothing of the wrong time waits for a year");
        for second in 1..100 {
            record(&mut windows, right_ms + second * 1000, right_ms + second * 1000);
        }
        assert_eq!(windows.totals().late, 0);
        // The time comes again.
        record(&mut windows, wrong_ms + 50_000, wrong_ms + 50_000);
        assert_eq!(windows.totals().late, 1, "what closed in the wrong time stays closed");
        assert_eq!(requests(&finish(windows, parts), Table::Node), 201);
    }
}

/// Ten minutes that happen twice: the second time as late parts.
#[test]
fn a_clock_put_back_by_ten_minutes_overwrites_nothing() {
    let mut windows = settled();
    for second in (0..600).step_by(5) {
        record(&mut windows, START_MS + second * 1000, START_MS + second * 1000);
    }
    let mut parts = windows.close_due();
    for second in (0..600).step_by(5) {
        record(&mut windows, START_MS + 20_000 + second * 1000, START_MS + 20_000 + second * 1000);
    }
    parts.extend(windows.close_due());
    let parts = finish(windows, parts);
    assert_eq!((requests(&parts, Table::Node), requests(&parts, Table::Bucket)), (240, 240));
}

#[test]
fn a_log_read_long_after_its_time_keeps_few_windows_open() {
    let mut windows = settled();
    let now_ms = START_MS + YEAR_MS;
    windows.advance(now_ms);
    let mut parts = windows.close_due();
    for minute in 0..2_000 {
        for second in [0, 30] {
            record(&mut windows, START_MS + minute * 60_000 + second * 1_000, now_ms);
        }
        assert!(windows.open().len() <= 2 * 32);
    }
    parts.extend(windows.close_due());
    let parts = finish(windows, parts);
    assert_eq!((requests(&parts, Table::Node), requests(&parts, Table::Bucket)), (4_000, 4_000));
    assert!(parts.iter().all(|part| part.id.k <= 1), "read in order, each window is one part");
}

/// The watermark stands still while an old log is read, and a window that had to close early is opened again. The store
/// knows one from the other by the time at which they close.
#[test]
fn each_late_window_closes_at_a_time_of_its_own() {
    let mut windows = settled();
    windows.advance(START_MS + YEAR_MS);
    windows.close_due();
    let mut seen = std::collections::BTreeMap::new();
    for minute in (0..200).chain([0, 1, 2, 150, 151]) {
        record(&mut windows, START_MS + minute * 60_000, START_MS + YEAR_MS);
        for window in windows.open() {
            let start_ms = seen.insert((window.kind, window.late_until_ms), window.start_ms);
            assert!(start_ms.is_none_or(|start_ms| start_ms == window.start_ms), "{window:?}");
        }
    }
    assert!(seen.len() >= 2 * 200);
}

#[test]
fn clocks_at_the_edges_of_time_break_nothing() {
    let edges = [TimestampMs::MIN, TimestampMs::MIN + 1, -1, 0, TimestampMs::MAX - 1, TimestampMs::MAX];
    for time_ms in edges {
        for now_ms in edges {
            for mut windows in [settled(), live(&Settings::default())] {
                record(&mut windows, time_ms, now_ms);
                record(&mut windows, START_MS, START_MS);
                windows.advance(now_ms);
                record(&mut windows, time_ms, now_ms);
                windows.set_floor(time_ms);
                windows.reject("syntax");
                let totals = windows.totals();
                assert!(totals.conserved());
                let mut parts = windows.close_due();
                parts.extend(windows.close_all());
                assert!(parts.iter().all(|part| part.id.end_ms() > part.id.start_ms));
                assert_eq!(windows.totals().counted, windows.totals().closed);
            }
        }
    }
}
