//! What can happen to the store and its disk, to points that a server refuses, and to a node that is there twice. The names
//! begin with the fault: D disk, K host, S sink.
#![cfg(feature = "cli")]

mod support;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rgwlens::influx::Client;
use rgwlens::store::Reader;
use rusqlite::Connection;
use support::influx::InfluxDb;
use support::process::Process;
use support::sink::Sink;
use support::site::{Site, program};
use support::traffic::{self, Random, Traffic, now_ms};
use support::wait_for;

/// Appends lines whose times lie in these milliseconds, in order and evenly: none is late.
fn append(log: &Path, random: &mut Random, lines: i64, from_ms: i64, to_ms: i64) {
    let text: String =
        (0..lines).map(|n| traffic::line(random, from_ms + (to_ms - from_ms) * n / lines)).collect();
    let mut file = File::options().create(true).append(true).open(log).expect("open");
    file.write_all(text.as_bytes()).expect("write");
}

fn store(site: &Site) -> PathBuf {
    site.path("rgwlens.db")
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Writes to a database as somebody else would.
fn write(influx: &InfluxDb, database: &str, line: &str) {
    let client = Client::new(influx.target(database)).expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let outcome = runtime.block_on(client.write(format!("{line}\n").as_bytes()));
    assert_eq!(outcome, rgwlens::influx::Outcome::Written);
}

/// It ends of itself, with this code, having said all this.
#[track_caller]
fn assert_refuses(site: &Site, mut daemon: Process, code: i32, parts: &[&str]) {
    let status = wait_for("the daemon gives up", || daemon.ended());
    let said = site.said();
    assert_eq!(status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "it does not say {part:?}: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

/// The daemon with its store in a file system of its own, which the shell commands `prepare` have made of `$1`.
fn on_a_disk(site: &mut Site, prepare: &str) -> Command {
    let folder = site.path("disk");
    if !folder.exists() {
        fs::create_dir(&folder).expect("a folder");
        site.replace("/rgwlens.db", "/disk/rgwlens.db");
    }
    let like = program();
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-ec"]);
    command.arg(format!("{prepare}\nshift; exec \"$@\""));
    command.arg("sh").arg(folder).arg(like.get_program()).arg("--config").arg(site.config()).arg("run");
    command.env_remove("NO_COLOR").env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET");
    command
}

/// A service manager that wants to hear from the daemon every second. It always listens, as a real one does: whoever writes to
/// a socket that ten messages wait in waits, too.
struct Manager {
    path: PathBuf,
    heard: Arc<Mutex<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Manager {
    fn new(site: &Site) -> Self {
        let path = site.path("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let heard = Arc::new(Mutex::new(String::new()));
        let all = Arc::clone(&heard);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = socket.recv(&mut buffer) {
                *all.lock().expect("no panic") += &String::from_utf8_lossy(&buffer[..length]);
            }
        });
        Self { path, heard, thread: Some(thread) }
    }

    /// What the daemon sent since the last time.
    fn heard(&self) -> String {
        std::mem::take(&mut self.heard.lock().expect("no panic"))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // Nothing at all ends the thread.
        let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to(b"", &self.path));
        if let (Ok(_), Some(thread)) = (sent, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// Writes zeros until there is no room.
fn fill(ballast: &Path) {
    let mut file = File::create(ballast).expect("a file on the small disk");
    for size in [1 << 16, 1 << 12, 1 << 9, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn d1_disk_full_while_running() {
    let mut influx = InfluxDb::start();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "d1");
    let manager = Manager::new(&site);
    let mut command = on_a_disk(&mut site, "mount -t tmpfs -o size=8m none \"$1\"");
    command.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "1000000");
    let traffic = Traffic::start(&site.log(), 21);
    let daemon = site.spawn(&mut command);
    let arrived = |influx: &InfluxDb| influx.sum("d1", "rgw_log", "lines");
    wait_for("points arrive", || (arrived(&influx) > 0).then_some(()));
    // Before it is away: once it is back, all that is unsent may arrive before anybody looks.
    let before = arrived(&influx);
    influx.stop();
    wait_for("the daemon notices", || site.said().contains("next try").then_some(()));
    traffic.wait_for_more(2_000);

    // Seen through the daemon, whose disk it is.
    let ballast = PathBuf::from(format!("/proc/{}/root{}", daemon.id(), site.path("disk/ballast").display()));
    fill(&ballast);
    wait_for("reading waits", || {
        let said = site.said();
        (said.contains("disk is full") && said.contains("reading waits")).then_some(())
    });
    manager.heard();
    wait_for("the watchdog is fed all the same", || manager.heard().contains("WATCHDOG=1").then_some(()));
    influx.start_again();
    wait_for("sending goes on", || (arrived(&influx) > before).then_some(()));
    let lines = traffic.stop();
    assert!(arrived(&influx) < lines, "the disk was not full");

    fs::remove_file(&ballast).expect("remove");
    for (measurement, field) in [("rgw_log", "lines"), ("rgw_bucket", "requests")] {
        wait_for("everything arrives", || (influx.sum("d1", measurement, field) >= lines).then_some(()));
    }
    assert_eq!(daemon.end("TERM"), Some(0), "{}", site.said());
    influx.assert_counted_once("d1", lines);
}

#[test]
fn d1_disk_full_at_start() {
    let mut site = Site::new("rgwlens");
    fs::write(site.log(), "").expect("write");
    let full =
        "mount -t tmpfs -o size=64k none \"$1\"\nhead -c 1m /dev/zero >\"$1/ballast\" 2>/dev/null || true";
    let mut command = on_a_disk(&mut site, full);
    let daemon = site.spawn(&mut command);
    assert_refuses(&site, daemon, 1, &["/disk/rgwlens.db", "full", "free some space"]);
}

#[test]
fn d2_read_only_at_start() {
    let mut site = Site::new("rgwlens");
    fs::write(site.log(), "").expect("write");
    let read_only = "mount --bind \"$1\" \"$1\"\nmount -o remount,bind,ro \"$1\"";
    // Without a store, and with one.
    let mut command = on_a_disk(&mut site, read_only);
    let daemon = site.spawn(&mut command);
    assert_refuses(&site, daemon, 1, &["/disk/rgwlens.db", "is mounted read-only", "findmnt"]);
    let daemon = site.start();
    wait_for("the log is looked at", || {
        let reader = Reader::open(&site.path("disk/rgwlens.db")).ok()?;
        reader.stream("access").ok()??.position
    });
    assert_eq!(daemon.end("TERM"), Some(0));
    let mut command = on_a_disk(&mut site, read_only);
    let daemon = site.spawn(&mut command);
    assert_refuses(&site, daemon, 1, &["is mounted read-only"]);
}

/// From now on these system calls of the daemon fail: waits until it has noticed. Ends with what is given.
fn failing_until_reading_waits(site: &Site, daemon: &Process, calls: &str, error: &str) -> Process {
    let before = site.said().matches("reading waits").count();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e"]);
    strace.arg(format!("inject={calls}:error={error}")).args(["-p", &daemon.id().to_string()]);
    let mut strace = Process::start(&mut strace).expect("this test needs strace: apt-get install strace");
    wait_for("reading waits", || {
        assert!(strace.ended().is_none(), "strace cannot look at our own process");
        (site.said().matches("reading waits").count() > before).then_some(())
    });
    strace
}

/// What a kernel does that finds a file system damaged. It cannot be asked to while files are open for writing, so the
/// system calls are made to fail as they do then.
#[test]
fn d2_read_only_while_running() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "d2");
    let traffic = Traffic::start(&site.log(), 22);
    let daemon = site.start();
    wait_for("points arrive", || (influx.sum("d2", "rgw_log", "lines") > 0).then_some(()));
    for error in ["EROFS", "EIO", "EDQUOT"] {
        let strace = failing_until_reading_waits(&site, &daemon, "pwrite64", error);
        strace.end("INT");
        let committed = site.committed();
        wait_for("reading goes on", || (site.committed() > committed).then_some(()));
    }
    let lines = traffic.stop();
    site.drain(daemon, lines);
    influx.assert_counted_once("d2", lines);
}

/// The log of parts and the log itself: neither is gone by until it is durable. Then it goes on, or it is killed first.
#[test]
fn d3_a_sync_that_fails_is_tried_again_also_after_a_crash() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "d3");
    let traffic = Traffic::start(&site.log(), 33);
    let mut daemon = site.start();
    for crash in [false, true, false, true] {
        let committed = site.committed();
        wait_for("something is counted", || (site.committed() > committed).then_some(()));
        let strace = failing_until_reading_waits(&site, &daemon, "fsync,fdatasync", "EIO");
        traffic.wait_for_more(200);
        if crash {
            assert_eq!(daemon.end("KILL"), None);
            daemon = site.start();
        } else {
            strace.end("INT");
        }
    }
    let said = site.said();
    assert!(said.contains("disk I/O error") && said.contains("dmesg"), "{said}");
    let lines = traffic.stop();
    site.drain(daemon, lines);
    influx.assert_counted_once("d3", lines);
}

#[test]
fn d3_a_sync_that_fails_at_start() {
    let site = Site::new("rgwlens");
    fs::write(site.log(), "").expect("write");
    // Without a store, and with one.
    for _ in 0..2 {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e"]);
        strace.arg("inject=fsync,fdatasync:error=EIO").arg(program().get_program());
        assert_refuses(&site, site.run_by(strace), 1, &["/rgwlens.db", "disk I/O error", "dmesg"]);
        let daemon = site.start();
        assert_eq!(daemon.end("TERM"), Some(0));
    }
}

#[test]
fn d4_a_damaged_store_is_refused_and_says_what_to_do() {
    let site = Site::new("rgwlens");
    append(&site.log(), &mut Random(23), 500, now_ms() - 600_000, now_ms() - 500_000);
    let daemon = site.start();
    site.drain(daemon, 500);
    let whole = fs::read(store(&site)).expect("read");
    let mut zeroed = whole.clone();
    zeroed[..4096].fill(0);
    let mut torn = whole.clone();
    let half = torn.len() / 2;
    torn[half..].fill(0xA5);
    for damaged in [zeroed, torn[..torn.len() / 3].to_vec()] {
        fs::write(store(&site), damaged).expect("write");
        assert_refuses(&site, site.run(), 1, &["is damaged", "move it", "rgwlens replay"]);
        let check = site.rgwlens(&["check"]);
        let found = String::from_utf8_lossy(&check.stdout).into_owned();
        assert_eq!(check.status.code(), Some(1), "{found}");
        assert!(found.contains("is damaged") && found.contains("mv "), "{found}");
    }
    // Torn in a place that a start does not read.
    fs::write(store(&site), torn).expect("write");
    let check = site.rgwlens(&["check"]);
    let found = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.code() == Some(1) && found.contains("is damaged"), "{found}");
}

/// SQLite falls back to what it knows is whole: the last commit in the database itself.
#[test]
fn d4_a_lost_or_torn_wal_is_an_earlier_commit() {
    std::thread::scope(|scope| {
        scope.spawn(|| a_lost_wal("d4_gone", |wal, _| fs::remove_file(wal)));
        scope.spawn(|| a_lost_wal("d4_zero", |wal, length| fs::write(wal, vec![0; length as usize])));
        scope.spawn(|| {
            a_lost_wal("d4_torn", |wal, length| File::options().write(true).open(wal)?.set_len(length / 2));
        });
    });
}

fn a_lost_wal(database: &str, lose: impl Fn(&Path, u64) -> std::io::Result<()>) {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, database);
    let mut random = Random(24);
    append(&site.log(), &mut random, 300, now_ms() - 100_000, now_ms() - 90_000);
    let daemon = site.start();
    wait_for("the first are counted", || (site.committed() == 300).then_some(()));
    append(&site.log(), &mut random, 300, now_ms() + 8_000, now_ms() + 10_000);
    wait_for("the others are counted", || (site.committed() == 600).then_some(()));
    assert_eq!(daemon.end("KILL"), None);
    let wal = site.path("rgwlens.db-wal");
    let length = fs::metadata(&wal).expect("there is a WAL: it was killed").len();
    assert!(length > 0);
    lose(&wal, length).expect("lost");
    let daemon = site.start();
    site.drain(daemon, 600);
    influx.assert_counted_once(database, 600);
}

#[test]
fn d5_a_store_that_is_gone_or_empty_is_not_passed_over() {
    let site = Site::new("rgwlens");
    append(&site.log(), &mut Random(25), 100, now_ms() - 600_000, now_ms() - 500_000);
    let daemon = site.start();
    site.drain(daemon, 100);
    assert!(!site.said().contains("a new one begins"), "the first store is no loss");
    for lose in [|path: &Path| fs::remove_file(path), |path: &Path| fs::write(path, "")] {
        let before = site.said().matches("is gone or empty").count();
        lose(&store(&site)).expect("lost");
        let daemon = site.start();
        assert_eq!(site.said().matches("is gone or empty").count(), before + 1);
        assert_eq!(daemon.end("TERM"), Some(0));
    }
    assert!(site.said().contains("`rgwlens replay`"));
}

/// Flips a bit in a blob, as a disk may.
fn flip(store: &Path, table: &str, id: &str) {
    let db = Connection::open(store).expect("the store");
    db.busy_timeout(support::PATIENCE).expect("patience");
    let select = format!("SELECT {id}, blob FROM {table} ORDER BY length(blob) DESC LIMIT 1");
    let (row, mut blob): (i64, Vec<u8>) =
        db.query_row(&select, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a row");
    let middle = blob.len() / 2;
    blob[middle] ^= 4;
    let update = format!("UPDATE {table} SET blob = ?2 WHERE {id} = ?1");
    db.execute(&update, rusqlite::params![row, blob]).expect("updated");
}

#[test]
fn d6_a_damaged_part_costs_itself_only() {
    let mut influx = InfluxDb::start();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "d6");
    influx.stop();
    append(&site.log(), &mut Random(26), 2_000, now_ms() - 600_000, now_ms() - 590_000);
    let daemon = site.start();
    site.wait_until_closed(2_000);
    flip(&store(&site), "parts", "seq");
    let parts = Reader::open(&store(&site)).and_then(|reader| reader.bounds()).expect("the store").1;
    influx.start_again();
    site.drain(daemon, 2_000);
    let said = site.said();
    assert!(said.contains("is damaged: its checksum is wrong"), "{said}");
    assert!(said.contains("rgwlens replay --replace"), "{said}");
    let status = json(&site.succeed(&["status", "--json"]));
    assert_eq!(status["outputs"][0]["gaps"], 1, "{status}");
    assert!(parts > 10, "{parts}");
    // One part of one kind is missing, the other kind is whole.
    let sums = ["rgw_node", "rgw_bucket"].map(|measurement| influx.sum("d6", measurement, "requests"));
    assert!(sums.contains(&2_000) && sums.iter().any(|sum| (1..2_000).contains(sum)), "{sums:?}");
}

#[test]
fn d6_a_damaged_fragment_is_written_off_and_the_rest_goes_on() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "d6_fragment");
    let mut random = Random(27);
    // Ahead of the clock, so that windows stay open for a while.
    append(&site.log(), &mut random, 400, now_ms() + 5_000, now_ms() + 6_000);
    let daemon = site.start();
    wait_for("they are counted", || (site.committed() == 400).then_some(()));
    assert_eq!(daemon.end("KILL"), None);
    let db = Connection::open(store(&site)).expect("the store");
    let nodes: i64 = db
        .query_row("SELECT count(*) FROM fragments WHERE kind = 'node'", [], |row| row.get(0))
        .expect("rows");
    assert!(nodes > 0, "no window is open: this tests nothing");
    db.execute("UPDATE fragments SET blob = zeroblob(length(blob)) WHERE kind = 'node' AND id = (SELECT min(id) FROM fragments WHERE kind = 'node')", []).expect("updated");
    drop(db);
    let daemon = site.start();
    let said = site.said();
    assert!(said.contains("are lost") && said.contains("rgwlens replay --replace"), "{said}");
    append(&site.log(), &mut random, 100, now_ms() + 6_000, now_ms() + 7_000);
    site.drain(daemon, 500);
    assert!(!site.said().contains("disagree"), "{}", site.said());
    let totals = site.stream().windows.expect("windows").totals;
    assert!(totals.conserved() && totals.rejected > 0, "{totals:?}");
    assert_eq!(influx.sum("d6_fragment", "rgw_log", "lines"), 500);
    assert_eq!(influx.sum("d6_fragment", "rgw_node", "requests"), 500 - totals.rejected);
    let damaged = "SELECT sum(\"rejected\") FROM \"rgw_log\" WHERE \"reason\" = 'damaged'";
    assert_eq!(influx.rows("d6_fragment", damaged)[0][1], totals.rejected);
    // The bucket's windows were not damaged.
    assert_eq!(influx.sum("d6_fragment", "rgw_bucket", "requests"), 500);
}

#[test]
fn d7_a_store_from_an_old_backup_writes_the_same_points_again() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "d7");
    let mut random = Random(28);
    append(&site.log(), &mut random, 300, now_ms() - 100_000, now_ms() - 90_000);
    let daemon = site.start();
    site.drain(daemon, 300);
    let backup = fs::read(store(&site)).expect("read");

    // Ahead of the clock: whenever it is read, none of it is late.
    append(&site.log(), &mut random, 1_000, now_ms() + 8_000, now_ms() + 10_000);
    let daemon = site.start();
    site.drain(daemon, 1_300);
    influx.assert_counted_once("d7", 1_300);

    for beside in ["rgwlens.db-wal", "rgwlens.db-shm"] {
        let _ = fs::remove_file(site.path(beside));
    }
    fs::write(store(&site), backup).expect("write");
    assert_eq!(site.committed(), 300);
    let daemon = site.start();
    site.drain(daemon, 1_300);
    influx.assert_counted_once("d7", 1_300);
}

#[test]
fn d10_a_later_versions_store_is_refused_untouched() {
    let site = Site::new("rgwlens");
    fs::write(site.log(), "").expect("write");
    let daemon = site.start();
    assert_eq!(daemon.end("TERM"), Some(0));
    let db = Connection::open(store(&site)).expect("the store");
    db.pragma_update(None, "user_version", 99).expect("a later version");
    drop(db);
    let before = fs::read(store(&site)).expect("read");
    assert_refuses(&site, site.run(), 1, &["later version of rgwlens", "99", "install that version"]);
    for command in [&["status"][..], &["report"], &["quarantine", "list"]] {
        let output = site.rgwlens(command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("later version"), "{command:?}");
    }
    assert_eq!(fs::read(store(&site)).expect("read"), before);
}

/// A point of another rgwlens on this node, a moment ago.
fn write_as_another(influx: &InfluxDb, database: &str) {
    let now = now_ms() - 5_000;
    let tags = "cluster=test,node=gw1,log=access";
    write(influx, database, &format!("rgwlens,{tags} instance=\"00000000deadbeef\",lines=1i {now}000000"));
}

#[test]
fn k9_another_host_with_our_name_is_noticed() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "k9");
    append(&site.log(), &mut Random(29), 200, now_ms() - 100_000, now_ms() - 90_000);
    // Others that are none of ours: another node, another cluster, long ago.
    let (recent, old) = (now_ms() - 5_000, now_ms() - 1_000_000);
    for (cluster, node, time) in [("test", "gw2", recent), ("other", "gw1", recent), ("test", "gw1", old)] {
        let line =
            format!("rgwlens,cluster={cluster},node={node} instance=\"00000000deadbeef\" {time}000000");
        write(&influx, "k9", &line);
    }
    let daemon = site.start();
    site.drain(daemon, 200);
    assert!(!site.said().contains("another rgwlens"), "{}", site.said());
    assert!(!site.succeed(&["check"]).contains("another rgwlens"));

    write_as_another(&influx, "k9");
    let daemon = site.start();
    wait_for("it is said", || {
        site.said().contains("another rgwlens (instance 00000000deadbeef").then_some(())
    });
    wait_for("status says it", || site.succeed(&["status"]).contains("00000000deadbeef").then_some(()));
    let found = site.succeed(&["check"]);
    assert!(found.contains("00000000deadbeef") && found.contains("node = "), "{found}");
    site.drain(daemon, 200);
    influx.assert_counted_once("k9", 200);
}

#[test]
fn k9_a_server_that_answers_no_questions_is_written_to_all_the_same() {
    let sink = Sink::start();
    let mut site = Site::new("rgwlens");
    site.output(&format!("name = \"sink\"\nkind = \"influxdb1\"\nurl = \"{}\"\ngzip = false\n", sink.url));
    append(&site.log(), &mut Random(30), 200, now_ms() - 100_000, now_ms() - 90_000);
    let daemon = site.start();
    site.drain(daemon, 200);
    assert!(sink.lines().iter().any(|line| line.starts_with("rgw_node,")));
    let said = site.said();
    assert!(!said.contains(" WARN ") && !said.contains(" ERROR "), "{said}");
}

/// Somebody else wrote texts where we write numbers. Once that is gone, what was refused is sent again.
#[test]
fn s5_s16_refused_points_are_sent_again_once_it_is_mended() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "s16");
    write(&influx, "s16", &format!("rgw_status,by=another requests=\"text\" {}000000", now_ms() - 600_000));
    append(&site.log(), &mut Random(31), 500, now_ms() - 600_000, now_ms() - 590_000);
    let daemon = site.start();
    site.drain(daemon, 500);
    assert_eq!(influx.sum("s16", "rgw_node", "requests"), 500, "what is good is written");

    let daemon = site.start();
    let listed = || json(&site.succeed(&["quarantine", "list", "--json", "--limit", "3"]));
    let total = listed()["total"].as_u64().expect("a number");
    assert!(total > 3 && listed()["points"].as_array().expect("points").len() == 3, "{}", listed());
    assert!(listed()["points"][0]["line"].as_str().expect("a line").starts_with("rgw_status,"));
    let page = site.succeed(&["quarantine", "list"]);
    assert!(page.contains("field type conflict") && page.contains("rgwlens quarantine resend"), "{page}");
    let status = json(&site.succeed(&["status", "--json"]));
    assert_eq!(status["outputs"][0]["quarantined"], total);

    // Not mended yet.
    let refused = site.rgwlens(&["quarantine", "resend", "--json"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(json(&String::from_utf8_lossy(&refused.stdout))[0]["refused"], total);
    assert_eq!(listed()["total"], total);

    influx.query("s16", "DROP MEASUREMENT \"rgw_status\"");
    let first = listed()["points"][0]["id"].to_string();
    let one = json(&site.succeed(&["quarantine", "resend", "--output", "influx", "--id", &first, "--json"]));
    assert_eq!((&one[0]["accepted"], &one[0]["refused"]), (&1.into(), &0.into()), "{one}");
    assert!(site.succeed(&["quarantine", "resend"]).contains("0 refused again"));
    assert_eq!(listed()["total"], 0);
    assert_eq!(influx.sum("s16", "rgw_status", "requests"), 500);
    assert!(site.succeed(&["quarantine", "resend"]).contains("no such point"));
    assert!(site.succeed(&["quarantine", "drop", "--all"]).starts_with("0 points"));
    site.drain(daemon, 500);
}
