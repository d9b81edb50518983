//! Lines that are no requests: rejected ones, and those older than what is kept.

use super::fixture::{START_MS, Store, check_parts, identities, line, live, requests, sum};
use crate::stats::{Part, Settings, Table, WindowKind, Windows, counter};

/// `(start in seconds, reason or none, lines)` of `rgw_log`, in order.
fn log(parts: &[Part]) -> Vec<(i64, String, u64)> {
    let mut log = Vec::new();
    for part in parts {
        for series in part.contents.series().filter(|s| s.key.table() == Some(Table::Log)) {
            let start = (part.id.start_ms - START_MS) / 1000;
            log.push((start, part.contents.name(series.key).to_owned(), series.counters[counter::LINES]));
        }
    }
    log.sort();
    log
}

fn finish(mut windows: Windows) -> Vec<Part> {
    let mut parts = windows.close_due();
    parts.extend(windows.close_all());
    check_parts(&parts);
    assert!(windows.totals().conserved());
    parts
}

#[test]
fn rejects_are_booked_with_the_line_before_and_the_first_with_the_line_after() {
    let mut windows = live(&Settings::default());
    windows.reject("syntax");
    windows.reject("syntax");
    line(START_MS, "b").record(&mut windows, Some(START_MS));
    windows.reject("too_long");
    line(START_MS + 10_000, "b").record(&mut windows, Some(START_MS + 10_000));
    windows.reject("syntax");
    let named = |start, reason: &str, lines| (start, reason.to_owned(), lines);
    let expected = [
        named(0, "", 4),
        named(0, "syntax", 2),
        named(0, "too_long", 1),
        named(10, "", 2),
        named(10, "syntax", 1),
    ];
    assert_eq!(log(&finish(windows)), expected);
}

#[test]
fn only_rejects_are_counted_and_wait_through_a_restart_for_a_line() {
    let settings = Settings::default();
    let mut store = Store::default();
    let mut windows = store.open(&settings);
    for _ in 0..3 {
        windows.reject("too_long");
    }
    windows.advance(START_MS);
    store.commit(&mut Vec::new(), &mut windows);
    assert!(store.parts.is_empty() && store.fragments.is_empty());
    let mut windows = store.open(&settings);
    assert_eq!((windows.totals().lines, windows.totals().rejected), (3, 3));
    line(START_MS, "b").record(&mut windows, Some(START_MS));
    assert_eq!(log(&finish(windows)), [(0, String::new(), 4), (0, "too_long".into(), 3)]);
}

#[test]
fn a_reject_after_its_window_closed_is_a_late_part_of_it() {
    let mut windows = live(&Settings::default());
    line(START_MS - 3_600_000, "b").record(&mut windows, Some(START_MS));
    line(START_MS, "b").record(&mut windows, Some(START_MS));
    windows.advance(START_MS + 600_000);
    windows.close_due();
    windows.reject("syntax");
    assert_eq!(identities(&finish(windows)), [(WindowKind::Node, 0, 10, 1)]);
}

#[test]
fn lines_older_than_what_is_kept_are_expired_and_say_so() {
    let mut windows = live(&Settings::default());
    line(START_MS, "b").record(&mut windows, Some(START_MS));
    line(START_MS + 600_000, "b").record(&mut windows, Some(START_MS + 600_000));
    windows.set_floor(START_MS + 300_000);
    for second in [0, 299, 300, 301] {
        line(START_MS + second * 1000, "b").record(&mut windows, Some(START_MS + 600_000));
    }
    let totals = windows.totals();
    assert_eq!((totals.lines, totals.counted, totals.expired), (6, 4, 2));
    let parts = finish(windows);
    assert_eq!(sum(&parts, Table::Log, counter::EXPIRED), 2);
    assert_eq!(sum(&parts, Table::Log, counter::LINES), 6);
    assert_eq!(requests(&parts, Table::Node), 4);
}

#[test]
fn the_floor_is_never_above_an_open_window() {
    let mut windows = live(&Settings::default());
    line(START_MS, "b").record(&mut windows, Some(START_MS));
    windows.set_floor(START_MS + 3_600_000);
    line(START_MS + 1, "b").record(&mut windows, Some(START_MS));
    assert_eq!((windows.totals().counted, windows.totals().expired), (2, 0));
}

/// Their window is pruned, and so are the numbers of its late parts: one more could overwrite one that was sent.
#[test]
fn a_reject_long_after_the_last_line_opens_no_window_below_the_floor() {
    let mut windows = live(&Settings::default());
    line(START_MS - 3_600_000, "b").record(&mut windows, Some(START_MS));
    line(START_MS, "b").record(&mut windows, Some(START_MS));
    windows.advance(START_MS + 10_000_000);
    windows.close_due();
    windows.set_floor(START_MS + 9_000_000);
    windows.reject("syntax");
    assert_eq!(log(&finish(windows)), [(10_000, String::new(), 1), (10_000, "syntax".into(), 1)]);
}

/// A first line that is expired has no window; the book keeps it until there is one.
#[test]
fn expired_lines_before_the_first_that_is_kept_survive_a_restart_as_what_they_are() {
    let settings = Settings::default();
    let mut store = Store::default();
    let mut windows = store.open(&settings);
    windows.set_floor(START_MS);
    line(START_MS - 3_600_000, "b").record(&mut windows, Some(START_MS));
    store.commit(&mut Vec::new(), &mut windows);
    let mut windows = store.open(&settings);
    line(START_MS, "b").record(&mut windows, Some(START_MS));
    let parts = finish(windows);
    assert_eq!(sum(&parts, Table::Log, counter::EXPIRED), 1);
    assert_eq!(log(&parts), [(0, String::new(), 2)]);
}

/// What any client can announce as the length of a body.
#[test]
fn sums_of_absurd_lengths_saturate() {
    let mut windows = live(&Settings::default());
    for _ in 0..3 {
        let mut huge = line(START_MS, "b");
        (huge.bytes_in, huge.bytes_out) = (u64::MAX / 2, u64::MAX);
        huge.record(&mut windows, Some(START_MS));
    }
    windows.fragments();
    let parts = finish(windows);
    let node: Vec<u64> = parts[0].contents.series().map(|s| s.counters[counter::BYTES_IN]).collect();
    assert!(node.contains(&u64::MAX), "{node:?}");
}

/// The cap is one of the window, however often it is interrupted.
#[test]
fn a_restart_does_not_raise_the_cap_of_events() {
    let settings = Settings::default();
    let mut store = Store::default();
    let (mut windows, mut staged) = (store.open(&settings), Vec::new());
    for i in 0..200 {
        line(START_MS + i, "b").status([503, 403][i as usize % 2]).record(&mut windows, Some(START_MS));
        if i % 40 == 39 {
            store.commit(&mut staged, &mut windows);
            windows = store.open(&settings);
        }
    }
    let parts = finish(windows);
    let of = |status| parts.iter().flat_map(|p| p.contents.events()).filter(|e| e.status == status).count();
    assert_eq!((of(503), of(403)), (settings.events.errors_5xx, settings.events.errors_4xx));
}
