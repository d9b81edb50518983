//! The promises of the store: all or nothing, cursors that neither skip nor repeat, room that is made only where nobody
//! needs what is there.

use std::{path::PathBuf, time::Duration};

use super::*;
use crate::{
    access_log::{Class, Operation, Protocol, Record},
    follow::Position,
    point::{Field, Point, Tags, TimestampMs},
    stats::{
        Admission, AdmissionSettings, Outcome, Part, Request, Settings, Size, WindowKind, WindowSettings,
        Windows,
    },
};

struct Fixture {
    _dir: tempfile::TempDir,
    path: PathBuf,
    store: Store,
    stream: Stream,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rgwlens.db");
    let mut store = Store::open(&path).unwrap();
    let stream = Stream {
        name: "access".into(),
        tags: Tags::new([("node", "gw1"), ("cluster", "ceph"), ("log", "access")]),
    };
    store.bind(&stream, "/var/log/nginx/access.log").unwrap();
    Fixture { _dir: dir, path, store, stream }
}

impl Fixture {
    fn reader(&self) -> Reader {
        Reader::open(&self.path).unwrap()
    }

    fn commit(&mut self, windows: &mut Windows, parts: Vec<Part>) {
        let commit = staged(windows, parts);
        self.store.commit(&self.stream, &commit, &[]).unwrap();
    }

    /// Counts requests, one every so often, and commits after each.
    fn count(&mut self, windows: &mut Windows, requests: i64, every_ms: i64) {
        for number in 0..requests {
            record(windows, 1_000_000 + number * every_ms, "b");
            let parts = windows.close_due();
            self.commit(windows, parts);
        }
    }
}

fn staged(windows: &mut Windows, parts: Vec<Part>) -> Commit {
    Commit {
        parts,
        fragments: windows.fragments(),
        open: windows.open(),
        admitted: windows.admission().take_changes(),
        late_numbers: windows.take_changed_k(),
        position: Position::default(),
        windows: windows.state(),
    }
}

fn settings() -> Settings {
    let windows = WindowSettings { node_ms: 1000, bucket_ms: 2000, lateness_ms: 1000 };
    Settings { windows, ..Settings::default() }
}

fn windows() -> Windows {
    Windows::live(settings(), Admission::new(AdmissionSettings::default(), 1), 7)
}

fn record(windows: &mut Windows, time_ms: TimestampMs, bucket: &str) {
    let record = Record { time_ms, status: 200, request_time_ms: Some(12), ..Record::default() };
    let request = Request {
        record: &record,
        class: Class::Download,
        protocol: Protocol::S3,
        operation: Operation::GetObj,
        bucket: bucket.as_bytes(),
        object: b"o",
        outcome: Outcome::Ok,
        size: Size::Small,
        slow: false,
        bytes_in: 1,
        bytes_out: 2,
    };
    windows.record(&request, b"line", Some(time_ms));
}

/// Parts of `seconds` seconds of requests.
fn some_parts(seconds: i64) -> Vec<Part> {
    let mut windows = Windows::replay(settings(), Admission::new(AdmissionSettings::default(), 1));
    let mut parts = Vec::new();
    for second in 0..seconds {
        record(&mut windows, 1_000_000 + second * 1000, "b");
        parts.extend(windows.close_due());
    }
    parts.extend(windows.close_all());
    parts
}

#[test]
fn a_restart_goes_on_with_the_windows_that_were_open() {
    let mut fixture = fixture();
    let mut before = windows();
    fixture.count(&mut before, 10, 700);
    let stored = fixture.reader().stream("access").unwrap().unwrap();
    let mut after = windows();
    after.admission().restore(stored.admitted);
    after.restore(stored.windows.unwrap(), stored.fragments, stored.late_numbers, |_| "other");
    assert_eq!(after.totals(), before.totals());
    assert_eq!(after.open(), before.open());
    assert_eq!(after.close_all(), before.close_all());
}

#[test]
fn fragments_of_closed_windows_are_gone() {
    let mut fixture = fixture();
    let mut windows = windows();
    fixture.count(&mut windows, 30, 1000);
    let fragments = fixture.reader().stream("access").unwrap().unwrap().fragments;
    let open = windows.open();
    assert!(!fragments.is_empty() && fragments.iter().all(|f| open.contains(&f.window)));
}

/// Between two commits a window of late lines closes, and the next late line of that start opens another.
#[test]
fn fragments_of_a_closed_late_window_are_not_those_of_the_next() {
    let mut fixture = fixture();
    let mut windows = windows();
    record(&mut windows, 1_000, "b");
    windows.advance(50_000);
    record(&mut windows, 1_000, "b");
    let parts = windows.close_due();
    fixture.commit(&mut windows, parts);
    windows.advance(60_000);
    let parts = windows.close_due();
    assert_eq!(parts.len(), 2, "the late window has closed");
    record(&mut windows, 1_000, "b");
    fixture.commit(&mut windows, parts);
    let fragments = fixture.reader().stream("access").unwrap().unwrap().fragments;
    let requests: u64 = fragments.iter().map(|fragment| fragment.contents.node_requests()).sum();
    assert_eq!(requests, 1, "the line in the closed window would be counted again after a restart");
}

#[test]
fn a_commit_is_all_or_nothing() {
    let mut fixture = fixture();
    let mut windows = windows();
    record(&mut windows, 1_000_000, "b");
    let commit = staged(&mut windows, some_parts(3));
    fixture.store.db.execute("DROP TABLE admitted", []).unwrap();
    assert!(!commit.admitted.is_empty() || commit.parts.is_empty() || !commit.fragments.is_empty());
    let broken = Commit { admitted: vec![("b".into(), Some(1))], ..commit };
    assert!(fixture.store.commit(&fixture.stream, &broken, &[]).is_err());
    assert_eq!(fixture.reader().parts_after(0, 10).unwrap(), []);
}

#[test]
fn an_output_added_later_begins_with_the_oldest_part() {
    let mut fixture = fixture();
    fixture.store.append(&fixture.stream, &some_parts(5)).unwrap();
    fixture.store.add_output("late", true).unwrap();
    let output = fixture.reader().outputs().unwrap().remove(0);
    let parts = fixture.reader().parts_after(output.seq, 100).unwrap();
    assert_eq!(output.unsent_parts as usize, parts.len());
    assert_eq!(parts[0].seq, 1);
    assert!(parts.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
    assert_eq!(parts[0].tags, fixture.stream.tags);
}

#[test]
fn what_an_output_lacks_is_counted_whether_it_is_little_or_much() {
    let mut fixture = fixture();
    fixture.store.add_output("influx", true).unwrap();
    let unsent = |fixture: &Fixture| fixture.reader().outputs().unwrap()[0].unsent_parts as i64;
    assert_eq!(unsent(&fixture), 0, "without parts");
    fixture.store.append(&fixture.stream, &some_parts(300)).unwrap();
    let (_, newest) = fixture.reader().bounds().unwrap();
    for seq in [0, 1, newest - 150, newest - 100, newest - 99, newest - 1, newest] {
        let acknowledgement = Acknowledgement { seq, ..Default::default() };
        fixture.store.acknowledge(&[("influx".into(), acknowledgement)]).unwrap();
        assert_eq!(unsent(&fixture), newest - seq, "at {seq} of {newest}");
    }
}

#[test]
fn acknowledgements_move_a_cursor_forward_only() {
    let mut fixture = fixture();
    fixture.store.append(&fixture.stream, &some_parts(5)).unwrap();
    fixture.store.add_output("influx", true).unwrap();
    let ack = |seq, expired| Acknowledgement { seq, expired, ..Acknowledgement::default() };
    fixture.store.acknowledge(&[("influx".into(), ack(3, 2))]).unwrap();
    fixture.store.acknowledge(&[("influx".into(), ack(1, 5))]).unwrap();
    let output = fixture.reader().outputs().unwrap().remove(0);
    assert_eq!((output.seq, output.expired), (3, 7));
    assert_eq!(fixture.store.keep_outputs(&[]).unwrap(), ["influx"]);
}

#[test]
fn refused_points_are_all_counted_and_kept_up_to_a_bound() {
    let mut fixture = fixture();
    let refused = |points| Acknowledgement {
        rejected: vec![("m,t=1 f=1i 1".to_owned(), "no".to_owned()); points],
        ..Acknowledgement::default()
    };
    fixture.store.add_output("influx", true).unwrap();
    fixture.store.add_output("other", true).unwrap();
    for points in [9_998, 5, 5] {
        fixture
            .store
            .acknowledge(&[("influx".into(), refused(points)), ("other".into(), refused(1))])
            .unwrap();
    }
    let count = "SELECT count(*) FROM quarantine WHERE output = ?1";
    let kept =
        |output: &str| -> i64 { fixture.store.db.query_row(count, [output], |row| row.get(0)).unwrap() };
    assert_eq!((kept("influx"), kept("other")), (10_000, 3));
    let counted: Vec<u64> =
        fixture.reader().outputs().unwrap().iter().map(|output| output.rejected).collect();
    assert_eq!(counted, [10_008, 3]);
}

#[test]
fn only_what_every_required_output_has_is_pruned() {
    let mut fixture = fixture();
    let parts = some_parts(20);
    fixture.store.append(&fixture.stream, &parts).unwrap();
    fixture.store.add_output("influx", true).unwrap();
    fixture.store.add_output("spare", false).unwrap();
    let keep = Keep { age: Duration::ZERO, bytes: u64::MAX };
    let now = 10_000_000;
    assert_eq!(fixture.store.prune(keep, now).unwrap(), Pruned::default(), "nothing is sent");
    let half = fixture.reader().parts_after(0, 100).unwrap()[9].seq;
    fixture
        .store
        .acknowledge(&[("influx".into(), Acknowledgement { seq: half, ..Default::default() })])
        .unwrap();
    let pruned = fixture.store.prune(keep, now).unwrap();
    assert!(pruned.parts > 0 && pruned.parts <= 10, "{pruned:?}");
    let floor = fixture.store.floor_ms("access").unwrap();
    for part in fixture.reader().parts_after(0, 100).unwrap() {
        let Payload::Window(window) = &part.payload else { panic!("{part:?}") };
        assert!(part.seq > half || window.id.end_ms() > floor);
    }
    let unsent = fixture.reader().parts_after(half, 100).unwrap();
    assert_eq!(unsent.len(), parts.len() - half as usize, "nothing unsent is gone");
    let spare = fixture.reader().outputs().unwrap().remove(1);
    assert_eq!(spare.gaps as usize, pruned.parts, "an optional output is moved on, and it shows");
}

#[test]
fn what_one_log_waits_with_does_not_hold_up_another() {
    let mut fixture = fixture();
    let other = Stream { name: "other".into(), tags: Tags::default() };
    let mut parts = some_parts(10);
    for part in &mut parts {
        part.id.start_ms += 5_000_000;
    }
    fixture.store.append(&other, &parts).unwrap();
    let (_, sent) = fixture.reader().bounds().unwrap();
    fixture.store.add_output("influx", true).unwrap();
    fixture
        .store
        .acknowledge(&[("influx".into(), Acknowledgement { seq: sent, ..Default::default() })])
        .unwrap();
    // A replay of a long past: more than is dropped at once, older than all, and not sent.
    fixture.store.append(&fixture.stream, &some_parts(2_000)).unwrap();
    let pruned = fixture.store.prune(Keep { age: Duration::ZERO, bytes: u64::MAX }, 10_000_000).unwrap();
    assert_eq!(pruned, Pruned { parts: parts.len(), full: false });
}

/// Nothing else is written during a round, and the watchdog waits too.
#[test]
fn a_round_of_pruning_costs_what_it_drops_and_not_what_it_keeps() {
    let mut fixture = fixture();
    fixture.store.append(&fixture.stream, &some_parts(3_000)).unwrap();
    fixture.store.add_output("influx", true).unwrap();
    let (_, newest) = fixture.reader().bounds().unwrap();
    fixture
        .store
        .acknowledge(&[("influx".into(), Acknowledgement { seq: newest - 5, ..Default::default() })])
        .unwrap();
    let pruned =
        fixture.store.prune(Keep { age: Duration::ZERO, bytes: u64::MAX }, 1_020_000).unwrap().parts as i32;
    assert!((20..40).contains(&pruned), "{pruned} of {newest}");
    for sql in [super::prune::OLD, super::prune::DROP] {
        let steps =
            fixture.store.db.prepare_cached(sql).unwrap().get_status(rusqlite::StatementStatus::VmStep);
        assert!((1..pruned * 100).contains(&steps), "{steps} steps to drop {pruned} of {newest}: {sql}");
    }
}

#[test]
fn a_full_store_says_so_and_keeps_what_is_unsent() {
    let mut fixture = fixture();
    fixture.store.append(&fixture.stream, &some_parts(50)).unwrap();
    fixture.store.add_output("influx", true).unwrap();
    let keep = Keep { age: Duration::from_secs(1 << 40), bytes: 1 };
    let pruned = fixture.store.prune(keep, 10_000_000).unwrap();
    assert_eq!(pruned, Pruned { parts: 0, full: true });
    let (_, newest) = fixture.reader().bounds().unwrap();
    fixture
        .store
        .acknowledge(&[("influx".into(), Acknowledgement { seq: newest, ..Default::default() })])
        .unwrap();
    assert!(fixture.store.prune(keep, 10_000_000).unwrap().parts > 0);
}

#[test]
fn what_is_pruned_is_given_back_to_the_file_system() {
    let mut fixture = fixture();
    fixture.store.append(&fixture.stream, &some_parts(500)).unwrap();
    let pages = |fixture: &Fixture| -> i64 {
        fixture.store.db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap()
    };
    let before = pages(&fixture);
    let pruned = fixture.store.prune(Keep { age: Duration::ZERO, bytes: u64::MAX }, 10_000_000).unwrap();
    let after = pages(&fixture);
    assert!(pruned.parts > 500 && after < before / 2, "{pruned:?}: {before} pages, then {after}");
}

#[test]
fn a_flipped_bit_is_noticed() {
    let mut fixture = fixture();
    fixture.store.append(&fixture.stream, &some_parts(3)).unwrap();
    let reader = fixture.reader();
    for at in 0..20 {
        let blob: Vec<u8> =
            fixture.store.db.query_row("SELECT blob FROM parts WHERE seq = 2", [], |row| row.get(0)).unwrap();
        let mut flipped = blob.clone();
        flipped[at % blob.len()] ^= 1 << (at % 8);
        fixture.store.db.execute("UPDATE parts SET blob = ?1 WHERE seq = 2", [&flipped]).unwrap();
        let before: Vec<i64> = reader.parts_after(0, 10).unwrap().iter().map(|part| part.seq).collect();
        assert_eq!(before, [1], "what is before it is good");
        let error = reader.parts_after(1, 10).unwrap_err();
        assert!(matches!(error, StoreError::DamagedPart { seq: 2, .. }), "{error}");
        fixture.store.db.execute("UPDATE parts SET blob = ?1 WHERE seq = 2", [&blob]).unwrap();
    }
    assert_eq!(reader.parts_after(0, 100).unwrap().len(), some_parts(3).len());
}

/// Numbers have gaps, where parts were replaced or pruned: they do not say how many are before a damaged one.
#[test]
fn what_is_around_a_damaged_part_is_found_whatever_the_gaps() {
    let mut fixture = fixture();
    fixture.store.append(&fixture.stream, &some_parts(20)).unwrap();
    fixture.store.db.execute("DELETE FROM parts WHERE seq < 4 OR seq BETWEEN 6 AND 8", []).unwrap();
    let lines = |fixture: &Fixture| -> u64 {
        fixture.reader().lines_by_window(&fixture.stream, Range::ALL, 1000).unwrap().values().sum()
    };
    let all = lines(&fixture);
    fixture.store.db.execute("UPDATE parts SET blob = x'00' WHERE seq = 9", []).unwrap();
    let numbers = |after| -> Result<Vec<i64>, StoreError> {
        Ok(fixture.reader().parts_after(after, 3)?.iter().map(|part| part.seq).collect())
    };
    assert_eq!(numbers(0).unwrap(), [4, 5]);
    assert!(matches!(numbers(5), Err(StoreError::DamagedPart { seq: 9, .. })));
    assert_eq!(numbers(9).unwrap(), [10, 11, 12]);
    // `replay --replace`, which mends it, has to get past it.
    assert!((all - 1..=all).contains(&lines(&fixture)), "all but the damaged one, if that has lines");
}

#[test]
fn what_cannot_be_read_is_damaged_and_what_is_held_may_pass() {
    let mut fixture = fixture();
    let mut windows = windows();
    record(&mut windows, 1_000_000, "b");
    fixture.commit(&mut windows, Vec::new());
    let damage = |sql: &str| {
        fixture.store.db.execute(sql, []).unwrap();
        fixture.reader().stream("access").unwrap_err()
    };
    let error = damage("UPDATE streams SET windows = '{'");
    assert!(matches!(error, StoreError::Damaged { .. }) && !error.may_pass(), "{error}");
    let held = rusqlite::Connection::open(&fixture.path).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    fixture.store.db.busy_timeout(Duration::ZERO).unwrap();
    let error = fixture.store.add_output("influx", true).unwrap_err();
    assert!(error.may_pass() && error.to_string().contains("another process has it"), "{error}");
}

#[test]
fn points_of_their_own_are_parts_too() {
    let mut fixture = fixture();
    let point = Point {
        measurement: "rgwlens".into(),
        tags: Tags::new([("output", "influx")]),
        fields: vec![("unsent_parts".into(), Field::Integer(3)), ("lag_seconds".into(), Field::Float(0.5))],
        time: 5_000_000_000,
    };
    fixture.store.append_points(&fixture.stream, std::slice::from_ref(&point)).unwrap();
    let part = fixture.reader().parts_after(0, 1).unwrap().remove(0);
    assert_eq!(part.payload, Payload::Points(vec![point]));
}

#[test]
fn replacing_touches_only_the_range_and_the_stream() {
    let mut fixture = fixture();
    let other = Stream { name: "access".into(), tags: Tags::new([("node", "gw2")]) };
    let parts = some_parts(10);
    fixture.store.append(&fixture.stream, &parts).unwrap();
    fixture.store.append(&other, &parts).unwrap();
    let range = Range { from_ms: 1_002_000, until_ms: 1_005_000 };
    assert_eq!(fixture.store.delete(&fixture.stream, WindowKind::Node, &[range]).unwrap(), 3);
    let lines = |stream: &Stream| fixture.reader().lines_by_window(stream, Range::ALL, 1000).unwrap().len();
    assert_eq!((lines(&fixture.stream), lines(&other)), (7, 10));
}

#[test]
fn k8_two_daemons_one_store() {
    let fixture = fixture();
    let _first = fixture.store.lock().unwrap();
    let second = Store::open(&fixture.path).unwrap();
    assert!(matches!(second.lock(), Err(StoreError::InUse { .. })));
}

#[test]
fn d10_a_later_versions_store_is_left_alone() {
    let fixture = fixture();
    fixture.store.db.pragma_update(None, "user_version", 99).unwrap();
    let newer = |error| matches!(error, StoreError::Newer { found: 99, .. });
    assert!(newer(Store::open(&fixture.path).unwrap_err()));
    assert!(newer(Reader::open(&fixture.path).unwrap_err()));
}

#[test]
fn what_is_no_store_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text.db");
    std::fs::write(&path, "this is no database, but it is long enough to be looked at as one: ".repeat(20))
        .unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let error = Store::open(&dir.path().join("no/such/folder.db")).unwrap_err().to_string();
    assert!(error.contains("install -d"), "{error}");
}

#[test]
fn a_log_keeps_its_name_once_it_was_read() {
    let mut fixture = fixture();
    let mut windows = windows();
    fixture.store.bind(&fixture.stream, "/var/log/nginx/acces.log").unwrap();
    fixture.commit(&mut windows, Vec::new());
    fixture.store.bind(&fixture.stream, "/var/log/nginx/access.log").unwrap();
    let state = fixture.reader().stream("access").unwrap().unwrap();
    assert_eq!((state.path.as_str(), state.position), ("/var/log/nginx/access.log", None), "it was a typo");
    record(&mut windows, 1_000_000, "b");
    fixture.commit(&mut windows, Vec::new());
    let error = fixture.store.bind(&fixture.stream, "/other/access.log").unwrap_err();
    assert!(matches!(error, StoreError::Rebound { .. }), "{error}");
    fixture.store.bind(&fixture.stream, "/var/log/nginx/access.log").unwrap();
}

#[test]
fn s5_refused_points_are_listed_settled_and_dropped() {
    let mut fixture = fixture();
    for output in ["a", "b"] {
        fixture.store.add_output(output, true).unwrap();
        let rejected = (0..3).map(|n| (format!("m{n} x=1i 1"), "no".to_owned())).collect();
        let ack = Acknowledgement { seq: 1, rejected, ..Acknowledgement::default() };
        fixture.store.acknowledge(&[(output.into(), ack)]).unwrap();
    }
    let reader = fixture.reader();
    let of = |output: &str| Which { output: Some(output.into()), ids: Vec::new() };
    let with = |ids: &[i64]| Which { output: None, ids: ids.to_vec() };
    let ids = |which: &Which, after, limit| -> Vec<i64> {
        reader.quarantined(which, after, limit).unwrap().iter().map(|point| point.id).collect()
    };
    assert_eq!(ids(&Which::default(), 0, 100), [1, 2, 3, 4, 5, 6]);
    assert_eq!(ids(&Which::default(), 2, 2), [3, 4]);
    assert_eq!((ids(&of("b"), 0, 100), ids(&with(&[2, 6, 9]), 0, 100)), (vec![4, 5, 6], vec![2, 6]));
    fixture.store.settle(&[1, 2], &[(3, "still no".into())]).unwrap();
    let left = reader.quarantined(&of("a"), 0, 100).unwrap();
    assert_eq!((left.len(), left[0].id, left[0].reason.as_str()), (1, 3, "still no"));
    let state = &reader.outputs().unwrap()[0];
    assert_eq!((state.rejected, state.quarantined), (3, 1), "what was refused was refused");
    assert_eq!(fixture.store.release(&Which { output: Some("a".into()), ids: vec![4] }).unwrap(), 0);
    assert_eq!(fixture.store.release(&with(&[4])).unwrap(), 1);
    assert_eq!(fixture.store.release(&of("b")).unwrap(), 2);
    assert_eq!(reader.count_quarantined(&Which::default()).unwrap(), 1);
}

/// What of a store has checksums, as it is read.
#[derive(Debug, PartialEq)]
struct Seen {
    parts: Vec<super::StoredPart>,
    position: Option<Position>,
    fragments: Vec<crate::stats::Fragment>,
    windows: Option<crate::stats::WindowsState>,
}

/// `None` where damage was noticed.
fn look(path: &std::path::Path) -> Option<Seen> {
    let store = Store::open(path).ok()?;
    if store.was_lost() {
        return None;
    }
    let reader = Reader::open(path).ok()?;
    reader.check().ok()?;
    let stream = reader.stream("access").ok()??;
    reader.outputs().ok()?;
    let parts = reader.parts_in(Range::ALL).collect::<Result<_, _>>().ok()?;
    if !stream.damaged_ms.is_empty() {
        return None;
    }
    let super::StreamState { position, fragments, windows, .. } = stream;
    Some(Seen { parts, position, fragments, windows })
}

/// Cut, zeroed and flipped everywhere: it is either as it was, or it is said that it is not, and nothing panics.
#[test]
fn d4_damage_anywhere_is_noticed() {
    let mut fixture = fixture();
    fixture.store.add_output("influx", true).unwrap();
    drop(fixture.store.lock().unwrap());
    let mut windows = windows();
    fixture.count(&mut windows, 20, 700);
    let path = fixture.path.clone();
    drop(fixture.store);
    let whole = std::fs::read(&path).unwrap();
    let seen = look(&path).expect("nothing is wrong yet");
    assert!(!seen.parts.is_empty() && !seen.fragments.is_empty() && seen.position.is_some());
    let (mut damaged, mut noticed) = (0, 0);
    let mut check = |bytes: &[u8], what: String| {
        for beside in ["rgwlens.db-wal", "rgwlens.db-shm"] {
            let _ = std::fs::remove_file(path.with_file_name(beside));
        }
        std::fs::write(&path, bytes).unwrap();
        damaged += 1;
        match look(&path) {
            None => noticed += 1,
            Some(found) => assert_eq!(found, seen, "{what}"),
        }
    };
    for end in (0..whole.len()).step_by(4096 + 512) {
        check(&whole[..end], format!("cut at {end}"));
    }
    for sector in (0..whole.len()).step_by(512) {
        let mut zeroed = whole.clone();
        zeroed[sector..sector + 512].fill(0);
        check(&zeroed, format!("zeroed at {sector}"));
    }
    for at in (0..whole.len()).step_by(101) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        check(&flipped, format!("flipped at {at}"));
    }
    assert!(noticed * 10 > damaged, "only {noticed} of {damaged}");
}

#[test]
fn d4_a_position_that_is_not_as_written_is_not_gone_by() {
    let mut fixture = fixture();
    let mut windows = windows();
    record(&mut windows, 1_000_000, "b");
    fixture.commit(&mut windows, Vec::new());
    fixture
        .store
        .db
        .execute("UPDATE streams SET windows = replace(windows, '1000000', '1000001')", [])
        .unwrap();
    let error = fixture.reader().stream("access").unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { error, .. } if error.contains("\"access\"")), "{error}");
    assert!(!error.may_pass());
}

/// The index by time says where another part of that time is: this one is found twice, and one nowhere any more.
#[test]
fn d4_an_index_that_is_not_of_its_parts_is_noticed_where_it_is_used() {
    let mut fixture = fixture();
    let mut windows = windows();
    fixture.count(&mut windows, 20, 700);
    let all = |path: &std::path::Path| {
        Reader::open(path).unwrap().parts_in(Range::ALL).collect::<Result<Vec<_>, _>>()
    };
    // The bucket's window is the last that begins then, and the node's is one before.
    let (node, bucket, start_ms) = (16, 18, 1_010_000u32);
    let start_of = |seq: i64| {
        let start = "SELECT start FROM parts WHERE seq = ?1";
        fixture.store.db.query_row(start, [seq], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!([node, bucket].map(start_of), [start_ms; 2]);
    let root = "SELECT rootpage FROM sqlite_master WHERE name = 'parts_start'";
    let page: usize = fixture.store.db.query_row(root, [], |row| row.get::<_, i64>(0)).unwrap() as usize;
    let path = fixture.path.clone();
    drop(fixture.store);
    let mut bytes = std::fs::read(&path).unwrap();
    // An entry ends with the start, of three bytes here, and the part's number.
    let index = &mut bytes[(page - 1) * 4096..page * 4096];
    let entry = [&start_ms.to_be_bytes()[1..], &[node as u8]].concat();
    let at = index.windows(entry.len()).position(|bytes| bytes == entry).unwrap();
    index[at + 3] = bucket as u8;
    std::fs::write(&path, bytes).unwrap();
    let error = all(&path).unwrap_err().to_string();
    assert!(error.contains("part 18 is found twice"), "{error}");
    assert!(Reader::open(&path).unwrap().check().is_err());
}

/// Whose fragment it is, is part of it.
#[test]
fn d4_a_fragment_of_a_stream_that_there_is_not_is_damaged_until_it_is_dropped() {
    let mut fixture = fixture();
    let mut windows = windows();
    record(&mut windows, 1_000_000, "b");
    fixture.commit(&mut windows, Vec::new());
    let stored = |fixture: &Fixture| fixture.reader().stream("access").unwrap().unwrap();
    assert_eq!((stored(&fixture).fragments.len(), stored(&fixture).damaged_ms.len()), (2, 0));
    fixture.store.db.execute("UPDATE fragments SET stream = 'accecs' WHERE kind = 'bucket'", []).unwrap();
    let damaged = stored(&fixture);
    assert_eq!((damaged.fragments.len(), damaged.damaged_ms.as_slice()), (1, &[1_000_000][..]));
    let other = Stream { name: "other".into(), ..fixture.stream.clone() };
    fixture.store.bind(&other, "/var/log/nginx/other.log").unwrap();
    assert!(
        fixture.reader().stream("other").unwrap().unwrap().damaged_ms.is_empty(),
        "it is not of that one"
    );
    record(&mut windows, 1_010_000, "b");
    let parts = windows.close_due();
    assert!(!parts.is_empty());
    fixture.commit(&mut windows, parts);
    assert!(stored(&fixture).damaged_ms.is_empty());
}

#[test]
fn d6_a_damaged_fragment_does_not_take_the_others_with_it() {
    let mut fixture = fixture();
    let mut windows = windows();
    for second in 0..2 {
        record(&mut windows, 1_000_000 + second * 500, "b");
        fixture.commit(&mut windows, Vec::new());
    }
    let before = fixture.reader().stream("access").unwrap().unwrap();
    assert_eq!((before.fragments.len(), before.damaged_ms.len()), (4, 0));
    let flip = "UPDATE fragments SET start = start + 1000 WHERE id = (SELECT min(id) FROM fragments WHERE kind = 'node')";
    fixture.store.db.execute(flip, []).unwrap();
    let stored = fixture.reader().stream("access").unwrap().unwrap();
    assert_eq!((stored.fragments.len(), stored.damaged_ms.as_slice()), (3, &[1_001_000][..]));
    let mut after = self::windows();
    after.restore(stored.windows.unwrap(), stored.fragments, stored.late_numbers, |_| "other");
    assert_eq!(after.write_off(), 1);
    let totals = after.totals();
    assert!(totals.conserved());
    assert_eq!((totals.lines, totals.counted, totals.rejected), (2, 1, 1));
    assert_eq!(totals.counted, totals.closed + after.open_requests());
    assert_eq!(after.write_off(), 0, "once");
}

#[test]
fn d5_a_store_that_is_gone_is_not_a_first_one() {
    let fixture = fixture();
    assert!(!fixture.store.was_lost());
    drop(fixture.store.lock().unwrap());
    assert!(!Store::open(&fixture.path).unwrap().was_lost());
    std::fs::remove_file(&fixture.path).unwrap();
    assert!(Store::open(&fixture.path).unwrap().was_lost());
    assert!(!Store::open(&fixture.path).unwrap().was_lost());
}

/// Beside a daemon, whose parts are others.
#[test]
fn two_replays_into_one_store_are_one_too_many() {
    let fixture = fixture();
    let _run = fixture.store.lock().unwrap();
    let second = Store::open(&fixture.path).unwrap();
    let replay = fixture.store.lock_for_replay().unwrap();
    let error = second.lock_for_replay().unwrap_err();
    assert!(matches!(error, StoreError::InReplay { .. }), "{error}");
    drop(replay);
    second.lock_for_replay().unwrap();
}

/// A crash in between must not give a number of late parts twice.
#[test]
fn pruning_keeps_the_number_of_a_late_window_that_is_open() {
    let mut fixture = fixture();
    let mut windows = windows();
    for time_ms in [100_000, 1_000_000] {
        record(&mut windows, time_ms, "b");
    }
    for _ in 0..2 {
        // The first time it closes as a late part, the second time it stays open.
        let now_ms = windows.watermark_ms().unwrap() + 50_000;
        windows.advance(now_ms);
        record(&mut windows, 100_000, "b");
        let parts = windows.close_due();
        fixture.commit(&mut windows, parts);
    }
    let stored = || fixture.reader().stream("access").unwrap().unwrap();
    let of_window = |numbers: &[(WindowKind, i64, u32)]| numbers.iter().filter(|n| n.1 == 100_000).count();
    let before = stored();
    assert!(before.fragments.iter().any(|fragment| fragment.window.start_ms == 100_000), "it is open");
    assert_eq!(of_window(&before.late_numbers), 2, "{:?}", before.late_numbers);
    let pruned = {
        let path = fixture.path.clone();
        let keep = Keep { age: Duration::from_secs(10), bytes: u64::MAX };
        Store::open(&path).unwrap().prune(keep, 1_000_000).unwrap()
    };
    let after = stored();
    assert!(pruned.parts > 0 && after.floor_ms > 100_000, "{pruned:?}");
    assert_eq!(of_window(&after.late_numbers), 2, "{:?}", after.late_numbers);
}

#[test]
fn what_is_dated_in_the_future_sets_no_floor_for_the_present() {
    let mut fixture = fixture();
    fixture.store.append(&fixture.stream, &some_parts(50)).unwrap();
    let keep = Keep { age: Duration::from_secs(1 << 40), bytes: 1 };
    let now_ms = 1_010_000;
    let pruned = fixture.store.prune(keep, now_ms).unwrap();
    assert!(pruned.parts > 0 && !pruned.full, "{pruned:?}");
    assert!(fixture.store.floor_ms("access").unwrap() <= now_ms);
    let pruned = fixture.store.prune(keep, now_ms).unwrap();
    assert_eq!(pruned, Pruned { parts: 0, full: false }, "no output is waited for");
}

#[test]
fn an_output_that_is_gone_leaves_no_refused_points() {
    let mut fixture = fixture();
    for output in ["gone", "kept"] {
        fixture.store.add_output(output, true).unwrap();
        let rejected = vec![("m x=1i 1".to_owned(), "no".to_owned())];
        let ack = Acknowledgement { seq: 1, rejected, ..Acknowledgement::default() };
        fixture.store.acknowledge(&[(output.into(), ack)]).unwrap();
    }
    assert_eq!(fixture.store.keep_outputs(&["kept"]).unwrap(), ["gone"]);
    let left = fixture.reader().quarantined(&Which::default(), 0, 10).unwrap();
    assert_eq!(left.iter().map(|point| point.output.as_str()).collect::<Vec<_>>(), ["kept"]);
}

/// What was refused of a range that is counted anew would, sent later, count once more.
#[test]
fn replaced_windows_leave_no_refused_points() {
    let mut fixture = fixture();
    fixture.store.add_output("influx", true).unwrap();
    let line = |ms: i64| format!("rgw_node,cluster=ceph,log=access,node=gw1 requests=1i {ms}000000");
    let rejected = [1_000, 2_000, 3_000].map(|ms| (line(ms), "no".to_owned())).to_vec();
    let ack = Acknowledgement { seq: 1, rejected, ..Acknowledgement::default() };
    fixture.store.acknowledge(&[("influx".into(), ack)]).unwrap();
    let range = Range { from_ms: 1_500, until_ms: 3_000 };
    assert_eq!(fixture.store.release_windows(&fixture.stream, WindowKind::Bucket, &[range]).unwrap(), 0);
    assert_eq!(fixture.store.release_windows(&fixture.stream, WindowKind::Node, &[range]).unwrap(), 1);
    let left = fixture.reader().quarantined(&Which::default(), 0, 10).unwrap();
    assert_eq!(left.iter().map(|point| point.id).collect::<Vec<_>>(), [1, 3]);
}

/// Names are numbers of a sequence, never times, and none is given again: not even that of the newest part, once that is
/// gone.
#[test]
fn d9_a_number_is_never_given_twice() {
    let mut fixture = fixture();
    let mut last = 0;
    for _ in 0..3 {
        fixture.store.append(&fixture.stream, &some_parts(3)).unwrap();
        let numbers: Vec<i64> = fixture.reader().parts_after(0, 100).unwrap().iter().map(|p| p.seq).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b) && numbers[0] > last, "{numbers:?} after {last}");
        last = numbers[numbers.len() - 1];
        for kind in [WindowKind::Node, WindowKind::Bucket] {
            fixture.store.delete(&fixture.stream, kind, &[Range::ALL]).unwrap();
        }
        assert_eq!(fixture.reader().bounds().unwrap(), (0, 0));
    }
}

/// Parts of a minute in which so many buckets were asked for.
fn parts_of(buckets: usize) -> Vec<Part> {
    let mut windows = windows();
    for number in 0..buckets {
        record(&mut windows, 1_000_000, &format!("bucket-{number}"));
    }
    windows.advance(2_000_000);
    windows.close_due()
}

/// Somebody looks at the database with a transaction that does not end. What is written meanwhile stays in the write-ahead
/// log, once, and no longer than that; commits and pruning go on.
#[test]
fn a_reader_that_stays_holds_up_nobody_and_leaves_nothing() {
    let mut fixture = fixture();
    fixture.store.add_output("influx", true).unwrap();
    let parts = parts_of(2_000);
    fixture.store.append(&fixture.stream, &parts).unwrap();
    let bytes = |name: &str| fixture.path.with_file_name(name).metadata().map_or(0, |file| file.len());
    let one_commit = bytes("rgwlens.db-wal");
    let holder = rusqlite::Connection::open(&fixture.path).unwrap();
    holder.execute_batch("BEGIN").unwrap();
    let sees = || -> i64 { holder.query_row("SELECT count(*) FROM parts", [], |row| row.get(0)).unwrap() };
    let seen = sees();
    let keep = Keep { age: Duration::from_secs(1 << 40), bytes: 1 << 20 };
    let prune = |store: &mut Store| {
        let (_, newest) = Reader::open(store.path()).unwrap().bounds().unwrap();
        let ack = Acknowledgement { seq: newest, ..Acknowledgement::default() };
        store.acknowledge(&[("influx".into(), ack)]).unwrap();
        store.prune(keep, 2_000_000).unwrap()
    };
    let (mut pruned, rounds) = (0, 400);
    for _ in 0..rounds {
        fixture.store.append(&fixture.stream, &parts).unwrap();
        pruned += prune(&mut fixture.store).parts;
    }
    let held = bytes("rgwlens.db-wal");
    assert!(pruned > 0 && sees() == seen, "{pruned} pruned; it sees {} of {seen}", sees());
    assert!(held > 16 << 20, "only {held} bytes: this tests nothing");
    assert!(held < 4 * rounds * one_commit, "{held} bytes, {one_commit} a commit");
    drop(holder);
    for _ in 0..3 {
        fixture.store.append(&fixture.stream, &parts).unwrap();
        prune(&mut fixture.store);
    }
    let left = bytes("rgwlens.db-wal");
    assert!(left <= 17 << 20, "{left} bytes of {held} are left");
    assert!(bytes("rgwlens.db") < 4 << 20, "{} bytes of database", bytes("rgwlens.db"));
}
