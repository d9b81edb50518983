//! Which names become series: not what a stranger invents, and never at the price of a sum.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fixture::{START_MS, Store, buckets, line, live, replay, requests};
use crate::stats::{AdmissionSettings, EventSettings, Part, Settings, Table, WindowKind, Windows};

const HOUR_MS: i64 = 3_600_000;

fn settings(admission: AdmissionSettings) -> Settings {
    Settings {
        admission,
        events: EventSettings { enabled: false, ..EventSettings::default() },
        ..Settings::default()
    }
}

/// Requests by bucket in each window of buckets, of these `(minute, bucket, status)`.
fn windows_of(settings: &Settings, lines: &[(i64, &str, u16)]) -> Vec<BTreeMap<String, u64>> {
    let mut windows = replay(settings);
    for (minute, bucket, status) in lines {
        line(START_MS + minute * 60_000, bucket).status(*status).record(&mut windows, None);
    }
    let mut parts = windows.close_due();
    parts.extend(windows.close_all());
    by_window(&parts)
}

fn by_window(parts: &[Part]) -> Vec<BTreeMap<String, u64>> {
    let of_buckets = parts.iter().filter(|part| part.id.kind == WindowKind::Bucket);
    of_buckets.map(|part| buckets(&part.contents)).collect()
}

fn check(settings: &Settings, lines: &[(i64, &str, u16)], expected: &[&[(&str, u64)]]) {
    let expected: Vec<BTreeMap<String, u64>> = expected
        .iter()
        .map(|window| window.iter().map(|(bucket, requests)| ((*bucket).to_owned(), *requests)).collect())
        .collect();
    assert_eq!(windows_of(settings, lines), expected);
}

#[test]
fn a_name_that_never_answered_with_success_is_no_series() {
    for status in [404, 403, 400, 301, 307, 499, 500, 503, 0] {
        check(
            &Settings::default(),
            &[(0, "invented", status), (1, "invented", status)],
            &[&[("_unknown_", 1)], &[("_unknown_", 1)]],
        );
    }
}

#[test]
fn a_bucket_is_a_series_from_the_window_of_its_first_success_on() {
    for status in [200, 204, 206, 304] {
        check(
            &Settings::default(),
            &[(0, "b", 404), (1, "b", 404), (1, "b", status), (2, "b", 404)],
            &[&[("_unknown_", 1)], &[("b", 2)], &[("b", 1)]],
        );
    }
}

#[test]
fn no_bucket_and_impossible_ones_have_names_of_their_own() {
    check(
        &Settings::default(),
        &[(0, "", 200), (0, "a\"b", 200), (0, "_other_", 200), (0, "b", 200)],
        &[&[("_none_", 1), ("_unknown_", 2), ("b", 1)]],
    );
}

#[test]
fn beyond_the_places_of_a_window_are_the_smallest_then_the_last_by_name() {
    let settings = settings(AdmissionSettings { per_window: 3, ..AdmissionSettings::default() });
    let lines = [
        (0, "d", 200),
        (0, "c", 200),
        (0, "b", 200),
        (0, "a", 200),
        (0, "z", 200),
        (0, "z", 404),
        (0, "no", 404),
    ];
    check(&settings, &lines, &[&[("_other_", 2), ("_unknown_", 1), ("a", 1), ("b", 1), ("z", 2)]]);
}

#[test]
fn a_listed_bucket_is_a_series_whatever_it_answers_and_takes_a_place_first() {
    let listed =
        AdmissionSettings { always: vec!["quiet".into()], per_window: 2, ..AdmissionSettings::default() };
    let lines = [
        (0, "quiet", 404),
        (0, "a", 200),
        (0, "a", 200),
        (0, "b", 200),
        (0, "b", 200),
        (0, "b", 200),
        (1, "a", 200),
    ];
    check(&settings(listed), &lines, &[&[("_other_", 2), ("b", 3), ("quiet", 1)], &[("a", 1)]]);
}

#[test]
fn beyond_what_may_be_admitted_nothing_is() {
    let settings = settings(AdmissionSettings { admitted: 1, ..AdmissionSettings::default() });
    check(
        &settings,
        &[(0, "b", 200), (0, "a", 200), (0, "c", 404), (1, "b", 200), (1, "b", 200), (1, "a", 404)],
        &[&[("_other_", 1), ("_unknown_", 1), ("a", 1)], &[("_other_", 2), ("a", 1)]],
    );
}

#[test]
fn a_bucket_stays_for_a_day_after_the_hour_of_its_last_success() {
    let mut windows = live(&Settings::default());
    let mut at = |minutes: i64, status| {
        let time_ms = START_MS + minutes * 60_000;
        line(time_ms, "b").status(status).record(&mut windows, Some(time_ms));
        windows.advance(time_ms + 75_000);
        let closed = by_window(&windows.close_due());
        let changes = windows.admission().take_changes();
        (closed[0].keys().next().cloned().unwrap(), changes)
    };
    let end = |hours: i64| Some(START_MS + hours * HOUR_MS);
    assert_eq!(at(10, 200), ("b".into(), vec![("b".into(), end(1))]));
    assert_eq!(at(50, 200), ("b".into(), vec![]), "the hour is remembered, not the minute");
    assert_eq!(at(70, 200), ("b".into(), vec![("b".into(), end(2))]));
    assert_eq!(at(26 * 60, 404), ("b".into(), vec![]));
    assert_eq!(at(26 * 60 + 1, 404), ("_unknown_".into(), vec![("b".into(), None)]));
    assert_eq!(at(26 * 60 + 2, 200), ("b".into(), vec![("b".into(), end(27))]));
}

#[test]
fn what_is_admitted_survives_a_restart() {
    let settings = Settings::default();
    let mut store = Store::default();
    let mut windows = store.open(&settings);
    line(START_MS, "b").record(&mut windows, Some(START_MS));
    windows.advance(START_MS + 600_000);
    store.commit(&mut Vec::new(), &mut windows);
    let mut windows = store.open(&settings);
    assert_eq!(windows.admission().len(), 1);
    line(START_MS + 600_000, "b").status(404).record(&mut windows, Some(START_MS + 600_000));
    assert_eq!(by_window(&windows.close_all()), [[("b".to_owned(), 1)].into()]);
}

/// Without it nothing would expire until the wrong time comes, and nothing else be admitted for long.
#[test]
fn a_clock_put_back_takes_the_times_of_buckets_with_it() {
    let mut windows = live(&Settings::default());
    let wrong_ms = START_MS + 365 * 24 * HOUR_MS;
    line(wrong_ms, "b").record(&mut windows, Some(wrong_ms));
    windows.advance(wrong_ms + 600_000);
    windows.admission().take_changes();
    windows.advance(START_MS);
    assert_eq!(windows.admission().take_changes(), [("b".to_owned(), Some(START_MS + HOUR_MS))]);
}

/// Feeds a window with invented names, real buckets among them, in an order made of `step`.
fn attacked(settings: &Settings, names: usize, step: usize, commit_each: usize) -> (Windows, Vec<Part>) {
    let (mut windows, mut parts) = (replay(settings), Vec::new());
    line(START_MS - 240_000, "real").record(&mut windows, None);
    for i in 0..names {
        let number = i * step % names;
        let bucket = format!("invented-{number}");
        line(START_MS + (number as i64 * 59) % 60_000, &bucket)
            .status(if number % 1_000 == 7 { 200 } else { 404 })
            .record(&mut windows, None);
        line(START_MS, "real").record(&mut windows, None);
        if i % commit_each == commit_each - 1 {
            parts.extend(windows.close_due());
            windows.fragments();
        }
    }
    parts.extend(windows.close_due());
    (windows, parts)
}

#[test]
fn a_hundred_thousand_invented_names_take_little_and_change_no_sum_in_any_order() {
    let settings = settings(AdmissionSettings { candidates: 2_000, ..AdmissionSettings::default() });
    let names = 100_000;
    let mut seen = Vec::new();
    for (step, commit_each) in [(1, usize::MAX), (7_919, usize::MAX), (99_999, 9_973)] {
        let (mut windows, mut parts) = attacked(&settings, names, step, commit_each);
        let held: usize = windows.names_held();
        assert!(held <= 3 * 2_000 + 2_000 + 10, "{held} names held");
        parts.extend(windows.close_all());
        assert_eq!(requests(&parts, Table::Bucket), 2 * names as u64 + 1);
        assert_eq!(requests(&parts, Table::Operation), 2 * names as u64 + 1);
        parts.retain(|part| part.id.kind == WindowKind::Bucket);
        let window = &by_window(&parts)[1];
        assert_eq!(window["real"], names as u64, "a real bucket among them loses nothing");
        let successful = window.keys().filter(|name| name.starts_with("invented")).count();
        assert!(successful < 10, "of 100 with a success, one in fifty is a candidate: {successful}");
        assert_eq!(window.values().sum::<u64>(), 2 * names as u64);
        seen.push(parts);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[test]
fn a_restart_holds_no_more_names_than_before() {
    let settings = settings(AdmissionSettings { candidates: 50, ..AdmissionSettings::default() });
    let mut store = Store::default();
    let mut windows = store.open(&settings);
    for i in 0..400 {
        line(START_MS, &format!("invented-{i}")).status(404).record(&mut windows, Some(START_MS));
        if i % 20 == 19 {
            store.commit(&mut Vec::new(), &mut windows);
        }
    }
    let held = store.open(&settings).names_held();
    assert!(held <= 51, "{held} names held: the candidates, and what is not told apart");
}

proptest! {
    #[test]
    fn a_restart_in_the_middle_of_an_attack_changes_nothing(
        lines in prop::collection::vec((0usize..40, prop::sample::select(vec![200u16, 404, 404])), 1..50),
        commits in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        let settings = settings(AdmissionSettings { candidates: 5, per_window: 4, admitted: 8, ..AdmissionSettings::default() });
        let run = |commits: &[bool]| {
            let mut store = Store::default();
            let mut windows = store.open(&settings);
            let mut staged = Vec::new();
            for (number, (bucket, status)) in lines.iter().enumerate() {
                let time_ms = START_MS + number as i64 * 100;
                line(time_ms, &format!("bucket-{bucket}")).status(*status).record(&mut windows, Some(time_ms));
                if commits[number % commits.len()] {
                    store.commit(&mut staged, &mut windows);
                    windows = store.open(&settings);
                }
            }
            staged.extend(windows.close_all());
            store.commit(&mut staged, &mut windows);
            store.parts
        };
        prop_assert_eq!(run(&commits), run(&[false]));
    }
}
