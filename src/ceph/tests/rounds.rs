//! Rounds against a `ceph` that does not always answer.

use std::time::Duration;

use tokio::time::Instant;

use super::scripts::Script;
use crate::{
    ceph::{Collector, CommandError, Failure, Identity, Outcome, Question, Settings},
    point::{Field, Point},
};

const TIME: i64 = 1_795_287_360_000_000_000;

fn round(collector: &mut Collector, seconds: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        collector.round(TIME, deadline, 3).await
    })
}

fn measurements(outcome: &Outcome) -> Vec<&str> {
    let mut names: Vec<&str> = outcome.points.iter().map(|point| point.measurement.as_str()).collect();
    names.dedup();
    names
}

fn failed(outcome: &Outcome) -> Vec<Question> {
    outcome.asked.iter().filter(|asked| asked.answer.is_err()).map(|asked| asked.question).collect()
}

fn field<'a>(point: &'a Point, name: &str) -> Option<&'a Field> {
    point.fields.iter().find_map(|(known, field)| (known == name).then_some(field))
}

fn about<'a>(outcome: &'a Outcome, command: &str) -> &'a Point {
    let of =
        |point: &&Point| point.measurement == "ceph_collector" && point.tags.get("command") == Some(command);
    outcome.points.iter().find(of).unwrap()
}

#[test]
fn the_map_of_osds_is_asked_for_when_it_changes() {
    let script = Script::new("answer");
    let mut collector = Collector::new(script.settings(60_000), "gw1");
    let first = round(&mut collector, 60);
    assert_eq!(failed(&first), []);
    assert_eq!(script.asked().len(), 9);
    let again = round(&mut collector, 60);
    let every_time = ["status", "df detail", "osd perf", "osd pool stats", "osd df"];
    assert_eq!(script.asked(), every_time);
    let of_cluster = |outcome: &Outcome| -> Vec<Point> {
        outcome.points.iter().filter(|point| point.measurement != "ceph_collector").cloned().collect()
    };
    assert_eq!(of_cluster(&first), of_cluster(&again), "and nothing is missing meanwhile");
    assert!(measurements(&again).contains(&"ceph_iops_bound"));
    assert!(first.points.iter().all(|point| point.time == TIME));
    // Another epoch, with no OSD that is new.
    script.write(r#"answer | sed 's/"epoch":23,/"epoch":24,/'"#);
    round(&mut collector, 60);
    let of_the_map = ["osd tree", "osd dump", "osd crush rule dump"];
    assert_eq!(script.asked(), [&every_time[..], &of_the_map[..]].concat());
    // A piece that could not be had is asked for again, alone, and is not taken from before.
    script.write(r#"[ "$question" = "osd tree" ] && exit 1; answer | sed 's/"epoch":23,/"epoch":25,/'"#);
    let without = round(&mut collector, 60);
    assert_eq!(failed(&without), [Question::OsdTree]);
    assert!(!measurements(&without).contains(&"ceph_iops_bound"));
    script.asked();
    script.write(r#"answer | sed 's/"epoch":23,/"epoch":25,/'"#);
    assert!(measurements(&round(&mut collector, 60)).contains(&"ceph_iops_bound"));
    assert_eq!(script.asked(), [&every_time[..], &["osd tree"]].concat());
}

#[test]
fn a_round_that_is_too_short_for_everything_has_each_now_and_then() {
    let script = Script::new("sleep 0.1; answer");
    let mut collector = Collector::new(script.settings(60_000), "gw1");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    // However slow the machine is: a few commands a round, and within some rounds all.
    for patience in 0..40 {
        let outcome = runtime.block_on(async {
            let deadline = Instant::now() + Duration::from_millis(1000 + 100 * patience);
            collector.round(TIME, deadline, 0).await
        });
        seen.extend(outcome.asked.iter().filter(|asked| asked.answer.is_ok()).map(|asked| asked.question));
        if seen.len() == Question::ALL.len() {
            return;
        }
    }
    panic!("never asked, or never in time: only {seen:?}");
}

#[test]
fn one_that_fails_does_not_stop_the_others() {
    for question in Question::ALL {
        let script = Script::new(&format!(r#"[ "$question" = {:?} ] && exit 1; answer"#, question.name()));
        let outcome = round(&mut Collector::new(script.settings(60_000), "gw1"), 60);
        assert_eq!(failed(&outcome), [question]);
        assert!(outcome.is_answered());
        let point = about(&outcome, &question.name());
        assert_eq!(field(point, "ok"), Some(&Field::Boolean(false)));
        assert_eq!(field(point, "error"), Some(&Field::Text("failed with exit status: 1".into())));
        assert_eq!(point.tags.get("node"), Some("gw1"));
        assert!(
            outcome.points.iter().any(|point| point.measurement == "ceph_usage") || question == Question::Df
        );
    }
}

#[test]
fn nothing_is_said_twice() {
    let script = Script::new("answer");
    let mut collector = Collector::new(script.settings(60_000), "gw1");
    round(&mut collector, 60);
    script.write("exit 1");
    let outcome = round(&mut collector, 60);
    assert_eq!(measurements(&outcome), ["ceph_collector"], "the last good answers are not of this round");
    assert!(!outcome.is_answered());
    let all = about(&outcome, "_round_");
    assert_eq!(
        (field(all, "ok"), field(all, "missed")),
        (Some(&Field::Boolean(false)), Some(&Field::Integer(3)))
    );
    script.write("answer");
    assert_eq!(failed(&round(&mut collector, 60)), []);
}

#[test]
fn a_cluster_that_hangs_ends_the_round_in_time() {
    let script = Script::new("sleep 1000");
    let began = std::time::Instant::now();
    let outcome = round(&mut Collector::new(script.settings(700), "gw1"), 2);
    // A bound on waiting, far from both the script's time and what a busy machine takes.
    assert!(began.elapsed() < Duration::from_secs(60));
    let failures: Vec<&Failure> =
        outcome.asked.iter().filter_map(|asked| asked.answer.as_ref().err()).collect();
    assert_eq!(failures.len(), 5);
    assert!(matches!(failures[0], Failure::Command(CommandError::Timeout { .. })), "{failures:?}");
    assert!(matches!(failures[4], Failure::Command(CommandError::NoTime)), "{failures:?}");
}

#[test]
fn without_a_manager_nobody_is_asked_who_would_not_answer() {
    let script = Script::new(r#"answer | sed 's/"available":true/"available":false/'"#);
    let outcome = round(&mut Collector::new(script.settings(60_000), "gw1"), 60);
    assert_eq!(failed(&outcome), [Question::OsdPerf, Question::PoolStats, Question::OsdDf]);
    assert!(!script.asked().contains(&"osd perf".to_owned()));
    assert!(!measurements(&outcome).contains(&"ceph_pgmap"));
}

#[test]
fn garbage_is_an_error_and_infinities_are_not() {
    let script = Script::new(
        r#"[ "$question" = "osd perf" ] && { echo 'Inferring fsid'; exit; }; answer | sed 's/:19590172672/:inf/g'"#,
    );
    let outcome = round(&mut Collector::new(script.settings(60_000), "gw1"), 60);
    assert_eq!(failed(&outcome), [Question::OsdPerf]);
    let pool = outcome.points.iter().find(|point| point.measurement == "ceph_pool_usage").unwrap();
    assert_eq!(field(pool, "max_avail"), None);
    assert!(field(pool, "objects").is_some());
}

#[test]
fn words_are_never_put_together_for_a_shell() {
    let settings = Settings {
        command: ["cephadm", "shell", "--", "ceph"].map(str::to_owned).to_vec(),
        conf: Some("/etc/ceph/my cluster.conf".into()),
        keyring: Some("/etc/ceph/$(id).keyring".into()),
        identity: Some(Identity::Name("client.rgwlens".into())),
        cluster: Some("prod".into()),
        timeout: Duration::from_millis(2500),
        ..Settings::default()
    };
    let expected = [
        "cephadm",
        "shell",
        "--",
        "ceph",
        "--connect-timeout",
        "2",
        "--cluster",
        "prod",
        "--conf",
        "/etc/ceph/my cluster.conf",
        "--keyring",
        "/etc/ceph/$(id).keyring",
        "--name",
        "client.rgwlens",
        "--format",
        "json",
        "osd",
        "pool",
        "stats",
    ];
    assert_eq!(settings.arguments(Question::PoolStats.words()), expected);
    let settings = Settings { identity: Some(Identity::Id("rgwlens".into())), ..Settings::default() };
    assert_eq!(
        settings.arguments(&["status"]),
        ["ceph", "--connect-timeout", "10", "--id", "rgwlens", "--format", "json", "status"]
    );
}
