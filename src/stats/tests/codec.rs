//! Contents as bytes: what is stored reads back as it was, and bytes that are not contents are an error, never a panic.

use proptest::prelude::*;

use super::{
    fixture::{START_MS, line, replay},
    measurements::Dump,
};
use crate::{
    access_log::{Class, Operation, Protocol},
    point::Tags,
    stats::{
        Contents, DecodeError, Event, Key, Names, Part, PartId, Series, Settings, Size, Texts, Verdict,
        WindowKind,
        histogram::{Count, HIGHEST_BUCKET},
        write_points,
    },
};

fn encoded(contents: &Contents) -> Vec<u8> {
    let mut bytes = Vec::new();
    contents.encode(&mut bytes);
    bytes
}

/// What two minutes of many buckets add up to, events among it.
fn counted(lines: i64) -> Vec<Part> {
    let mut windows = replay(&Settings::default());
    for i in 0..lines {
        let mut line = line(START_MS + i * 60, &format!("bucket-{}", i * i % 97));
        line.request_time_ms = Some((i * i * i % 90_000) as u32);
        line.status = [200, 200, 200, 503, 404, 403][i as usize % 6];
        line.bytes_out = (i as u64) << (i % 40);
        line.upstream = [None, Some("10.0.0.1:7480"), Some("unix:/run/rgw.sock")][i as usize % 3];
        line.class = Class::ALL[i as usize % Class::ALL.len()];
        line.record(&mut windows, None);
        if i % 50 == 0 {
            windows.reject("syntax");
        }
    }
    windows.close_all()
}

fn latency_counts() -> impl Strategy<Value = Vec<Count>> {
    let counts = prop::collection::btree_map(0..=HIGHEST_BUCKET, 1u32.., 0..20);
    counts.prop_map(|counts| counts.into_iter().map(|(bucket, count)| Count { bucket, count }).collect())
}

fn key() -> impl Strategy<Value = (Key, bool)> {
    let class = || prop::sample::select(Class::ALL);
    let size = || prop::sample::select(vec![Size::Small, Size::Large]);
    prop_oneof![
        Just((Key::LOG, false)),
        Just((Key::rejected(0), true)),
        (class(), size()).prop_map(|(class, size)| (Key::node(class, size), false)),
        (0u16..1000).prop_map(|status| (Key::status(status), false)),
        (class(), size()).prop_map(|(class, size)| (Key::upstream(0, class, size), true)),
        (class(), size()).prop_map(|(class, size)| (Key::bucket(0, class, size), true)),
        (prop::sample::select(Protocol::ALL), prop::sample::select(Operation::ALL))
            .prop_map(|(protocol, operation)| (Key::operation(protocol, operation), false)),
        class().prop_map(|class| (Key::size(class), false)),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let numbers = (any::<i64>(), any::<u64>(), any::<u16>(), any::<bool>(), any::<u64>(), any::<u64>());
    let names = (prop::sample::select(Class::ALL), prop::sample::select(Operation::ALL));
    let verdict = prop::option::of(prop::sample::select(Verdict::ALL.to_vec()));
    let times = (any::<Option<u32>>(), any::<Option<u32>>());
    let text = prop::sample::select(vec!["", "GET", "a key \u{1F5C3} of \u{fffd}"]).prop_map(str::to_owned);
    (numbers, names, verdict, times, prop::array::uniform6(text)).prop_map(
        |(numbers, (class, operation), verdict, (request_time_ms, upstream_time_ms), texts)| {
            let (time_ms, hash, status, slow, bytes_in, bytes_out) = numbers;
            Event {
                time_ms,
                hash,
                class,
                operation,
                status,
                slow,
                verdict,
                bytes_in,
                bytes_out,
                request_time_ms,
                upstream_time_ms,
                texts: Texts::new(texts.each_ref().map(String::as_str)),
            }
        },
    )
}

fn series() -> impl Strategy<Value = (Series, bool, String)> {
    let counters = prop::array::uniform9(prop_oneof![Just(0), 0u64..300, any::<u64>()]);
    let times = (any::<u64>(), any::<u32>(), any::<u32>());
    let name = (0u32..30).prop_map(|number| format!("bucket-{number}"));
    (key(), name, counters, latency_counts(), times).prop_map(
        |((key, named), name, counters, counts, times)| {
            let mut series = Series { counters, ..Series::new(key) };
            if !counts.is_empty() {
                let (sum_ms, one, other) = times;
                series.latency.count = counts.iter().map(|count| u64::from(count.count)).sum();
                (series.latency.sum_ms, series.latency.min_ms, series.latency.max_ms) =
                    (sum_ms, one.min(other), one.max(other));
                series.latency.counts = counts;
            }
            (series, named, name)
        },
    )
}

fn contents() -> impl Strategy<Value = Contents> {
    (prop::collection::vec(series(), 0..30), prop::collection::vec(event(), 0..4)).prop_map(
        |(series, events)| {
            let mut names = Names::default();
            let mut keys = std::collections::HashSet::new();
            let series = series
                .into_iter()
                .map(|(series, named, name)| match named {
                    true => Series { key: series.key.with_name(names.intern(name.as_bytes())), ..series },
                    false => series,
                })
                .filter(|series| keys.insert(series.key))
                .collect();
            Contents::new(&names, &series, events)
        },
    )
}

/// Decoded contents can be used for anything, whatever bytes they came from.
fn use_all(contents: Contents) {
    assert_eq!(Contents::decode(&encoded(&contents)).as_ref(), Ok(&contents));
    let mut merged = contents.clone();
    merged.merge(contents);
    let id = PartId { kind: WindowKind::Node, start_ms: i64::MAX, length_ms: i64::MAX, k: u32::MAX };
    write_points(&Part { id, contents: merged }, &Tags::default(), Some(&[]), &mut Dump::default());
}

proptest! {
    #[test]
    fn any_contents_read_back(contents in contents()) {
        prop_assert_eq!(Contents::decode(&encoded(&contents)), Ok(contents));
    }

    #[test]
    fn any_bytes_are_contents_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..300), layout in any::<bool>()) {
        if layout && !bytes.is_empty() {
            bytes[0] = 1;
        }
        if let Ok(contents) = Contents::decode(&bytes) {
            use_all(contents);
        }
    }

    #[test]
    fn damage_is_an_error_or_other_contents(contents in contents(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = encoded(&contents);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Contents::decode(&bytes) {
            prop_assert_ne!(&other, &contents);
            use_all(other);
        }
        prop_assert!(Contents::decode(&bytes[..at]).is_err(), "cut contents are damaged");
        let more = [encoded(&contents), vec![0]].concat();
        prop_assert!(Contents::decode(&more).is_err(), "more than contents is damaged");
    }
}

#[test]
fn what_windows_count_reads_back_and_is_small() {
    let parts = counted(2_000);
    for part in &parts {
        assert_eq!(Contents::decode(&encoded(&part.contents)).as_ref(), Ok(&part.contents), "{:?}", part.id);
    }
    let series: usize = parts.iter().map(|part| part.contents.series().len()).sum();
    let without_events = |part: &Part| {
        let contents = Contents { events: Vec::new(), ..part.contents.clone() };
        encoded(&contents).len()
    };
    let bytes: usize = parts.iter().map(without_events).sum();
    assert!(bytes <= 30 * series, "{bytes} bytes for {series} series");
}

#[test]
fn every_cut_and_every_flipped_bit_of_a_real_part_is_survived() {
    let part = &counted(30)[0];
    let bytes = encoded(&part.contents);
    for at in 0..bytes.len() {
        assert!(Contents::decode(&bytes[..at]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            assert_ne!(Contents::decode(&bytes).as_ref(), Ok(&part.contents), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_promise_that_is_broken_is_damage() {
    let name = |bytes: &[&[u8]]| {
        let mut all = vec![1, bytes.len() as u8];
        bytes.iter().for_each(|name| {
            all.push(name.len() as u8);
            all.extend_from_slice(name);
        });
        all.extend([0, 0]);
        all
    };
    let one_series = |series: &[u8]| [&[1, 0, 1], series, &[0]].concat();
    // Key 0 with latencies: which counters, how many buckets, sum, shortest, longest, the buckets.
    let latency = |min: u8, max: u8, buckets: &[u8]| one_series(&[&[0, 0, 1, 9, min, max], buckets].concat());
    assert!(Contents::decode(&name(&[b"a", b"b"])).is_ok());
    assert!(Contents::decode(&latency(1, 2, &[2])).is_ok());
    let highest = u32::from(HIGHEST_BUCKET) << 1;
    let bucket = |double: u32| [double as u8 | 0x80, (double >> 7) as u8];
    assert!(Contents::decode(&latency(1, 2, &bucket(highest))).is_ok());
    for (what, bytes) in [
        ("names out of order", name(&[b"b", b"a"])),
        ("a name twice", name(&[b"a", b"a"])),
        ("a key twice", vec![1, 0, 2, 0, 0, 0, 0, 0, 0, 0]),
        (
            "a name that is not there",
            one_series(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x04, 0, 0]),
        ),
        ("a counter of nothing", one_series(&[0, 1, 0, 0])),
        ("a counter too many", one_series(&[0, 0x80, 0x04, 1, 0])),
        ("shortest above longest", latency(3, 2, &[2])),
        ("a bucket beyond an hour", latency(1, 2, &bucket(highest + 2))),
        ("a bucket of nothing", latency(1, 2, &[3, 0])),
        ("a million names in a few bytes", vec![1, 0xc0, 0x84, 0x3d, 0, 0]),
        ("a number of more than 64 bits", [&[1][..], &[0xff; 9], &[0x7f, 0, 0]].concat()),
    ] {
        assert!(matches!(Contents::decode(&bytes), Err(DecodeError::Damaged(_))), "{what}: {bytes:?}");
    }
    assert_eq!(Contents::decode(&[]), Err(DecodeError::Damaged(0)));
    assert_eq!(Contents::decode(&[2, 0, 0, 0]), Err(DecodeError::Layout(2)));
}
