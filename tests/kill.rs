//! Every line is counted once, whatever ends the daemon, the log or the database, and whenever. The names begin with
//! the fault: K process, S sink.
#![cfg(feature = "cli")]

mod support;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

use support::influx::{InfluxDb, VictoriaMetrics};
use support::site::{Site, count_lines, program};
use support::traffic::{Random, Traffic};
use support::wait_for;

/// Every line is a request, and counted as one.
fn assert_counted_once(influx: &InfluxDb, database: &str, lines: u64) {
    influx.assert_counted_once(database, lines);
    assert_eq!(influx.sum(database, "rgw_log", "rejected"), 0);
}

/// As logrotate's `compress` does.
fn compress(file: &Path) {
    let mut gz = flate2::write::GzEncoder::new(
        File::create(format!("{}.gz", file.display())).expect("create"),
        flate2::Compression::fast(),
    );
    io::copy(&mut File::open(file).expect("open"), &mut gz).expect("copy");
    gz.finish().expect("finish");
    fs::remove_file(file).expect("remove");
}

#[test]
fn k1_kill_9_at_any_time() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "k1");
    let traffic = Traffic::start(&site.log(), 1);
    let mut random = Random(2);
    for round in 0..12 {
        let daemon = site.run();
        // Every other time it has at least counted something new.
        if round % 2 == 0 {
            let before = site.committed();
            wait_for("something new is counted", || (site.committed() > before).then_some(()));
        }
        traffic.wait_for_more(random.below(3_000));
        assert_eq!(daemon.end("KILL"), None, "it ended of itself: {}", site.said());
    }
    let daemon = site.start();
    let lines = traffic.stop();
    assert_eq!(lines, count_lines(&[&site.log()]));
    site.drain(daemon, lines);
    assert_counted_once(&influx, "k1", lines);
}

#[test]
fn k1_r5_kill_9_and_rotations_while_down() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "k1_r5");
    let traffic = Traffic::start(&site.log(), 3);
    let rotated = |n: u32| site.path(&format!("access.log.{n}"));
    for round in 0..3 {
        let daemon = site.run();
        let before = site.committed();
        wait_for("something new is counted", || (site.committed() > before).then_some(()));
        traffic.wait_for_more(500);
        assert_eq!(daemon.end("KILL"), None, "it ended of itself: {}", site.said());
        traffic.wait_for_more(500);
        // As logrotate does with `delaycompress`: once, or twice, so that what it read last is compressed.
        for _ in 0..=round % 2 {
            for n in (2..9).rev() {
                let (from, to) = (
                    site.path(&format!("access.log.{n}.gz")),
                    site.path(&format!("access.log.{}.gz", n + 1)),
                );
                if from.exists() {
                    fs::rename(from, to).expect("rename");
                }
            }
            if rotated(1).exists() {
                fs::rename(rotated(1), rotated(2)).expect("rename");
                compress(&rotated(2));
            }
            traffic.rotate(&rotated(1));
            traffic.wait_for_more(500);
        }
    }
    let daemon = site.start();
    let lines = traffic.stop();
    site.drain(daemon, lines);
    assert_counted_once(&influx, "k1_r5", lines);
}

#[test]
fn k5_sigterm_ends_with_0_and_keeps_what_is_open() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "k5");
    let traffic = Traffic::start(&site.log(), 4);
    for _ in 0..4 {
        let daemon = site.run();
        let before = site.committed();
        wait_for("something new is counted", || (site.committed() > before).then_some(()));
        assert_eq!(daemon.end("TERM"), Some(0), "{}", site.said());
        assert!(!site.stream().fragments.is_empty(), "no window was left open: this tests nothing");
    }
    let daemon = site.start();
    let lines = traffic.stop();
    site.drain(daemon, lines);
    assert_counted_once(&influx, "k5", lines);
}

#[test]
fn k6_sighup_under_traffic() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "k6");
    let traffic = Traffic::start(&site.log(), 5);
    let daemon = site.run();
    let said = |what: &str| site.said().matches(what).count();
    wait_for("it follows", || (said("following") == 1).then_some(()));
    for reload in 1..=10 {
        daemon.signal("HUP");
        wait_for("it follows again", || (said("following") > reload).then_some(()));
        traffic.wait_for_more(100);
    }
    // A configuration that is wrong changes nothing, and says so.
    let good = fs::read_to_string(site.config()).expect("read");
    fs::write(site.config(), good.replace("lateness", "latteness")).expect("write");
    daemon.signal("HUP");
    wait_for("it says what is wrong", || {
        let said = site.said();
        (said.contains("not reloaded") && said.contains("latteness")).then_some(())
    });
    let before = site.committed();
    wait_for("it goes on", || (site.committed() > before).then_some(()));
    assert_eq!(said("committed"), 0, "that is for those who look for mistakes");
    fs::write(site.config(), format!("log_level = \"debug\"\n{good}")).expect("write");
    daemon.signal("HUP");
    wait_for("it says more", || (said("committed") > 0 && said("closed") > 0).then_some(()));
    fs::write(site.config(), good).expect("write");
    for _ in 0..100 {
        daemon.signal("HUP");
    }
    let lines = traffic.stop();
    site.drain(daemon, lines);
    assert_counted_once(&influx, "k6", lines);
}

/// Wherever there is no memory left, it ends, and that is as if it had been killed.
#[test]
fn k7_out_of_memory_is_a_kill() {
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "k7");
    let traffic = Traffic::start(&site.log(), 7);
    let mut died = 0;
    for limit_kib in (20_000..1_000_000).step_by(15_000) {
        let mut limited = Command::new("sh");
        limited
            .args(["-c", &format!("ulimit -v {limit_kib}; exec \"$0\" \"$@\"")])
            .arg(program().get_program());
        let mut daemon = site.run_by(limited);
        let before = site.committed();
        let counts = wait_for("it ends, or counts", || {
            (daemon.ended().is_some() || site.committed() > before + 500).then(|| daemon.ended().is_none())
        });
        if counts {
            daemon.end("KILL");
            break;
        }
        died += 1;
    }
    assert!(died > 1, "there was always enough memory");
    let daemon = site.start();
    let lines = traffic.stop();
    site.drain(daemon, lines);
    assert_counted_once(&influx, "k7", lines);
}

#[test]
fn k8_two_daemons_on_one_store() {
    let site = Site::new("rgwlens");
    fs::write(site.log(), "").expect("write");
    let daemon = site.run();
    wait_for("the first follows", || site.said().contains("following").then_some(()));
    let second = site.rgwlens(&["run"]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(
        said.contains("in use by another rgwlens") && said.contains("systemctl status rgwlens"),
        "{said}"
    );
    assert_eq!(daemon.end("TERM"), Some(0));
}

#[test]
fn s1_influxdb_is_away_for_a_while_and_another_output_comes_later() {
    let mut influx = InfluxDb::start();
    let mut site = Site::new("rgwlens");
    site.output_influx("influx", &influx, "s1");
    let traffic = Traffic::start(&site.log(), 6);
    let daemon = site.run();
    wait_for("points arrive", || (influx.sum("s1", "rgw_node", "requests") > 0).then_some(()));
    influx.stop();
    wait_for("the daemon notices", || site.said().contains("next try").then_some(()));
    let before = site.committed();
    traffic.wait_for_more(2_000);
    wait_for("it counts on meanwhile", || (site.committed() > before + 2_000).then_some(()));
    influx.start_again();
    wait_for("points arrive again", || site.said().contains("takes points again").then_some(()));
    let lines = traffic.stop();
    site.drain(daemon, lines);
    assert_counted_once(&influx, "s1", lines);

    let victoria = VictoriaMetrics::start();
    site.output_victoria("later", &victoria);
    let daemon = site.start();
    site.drain(daemon, lines);
    for measurement in ["rgw_node", "rgw_bucket", "rgw_operation"] {
        assert_eq!(victoria.sum(&format!("{measurement}_requests")), lines, "{measurement}");
    }
    assert_eq!(victoria.sum("rgw_log_lines"), lines);
    assert_counted_once(&influx, "s1", lines);
}
