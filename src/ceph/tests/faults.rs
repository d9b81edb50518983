//! Commands that hang, flood, fail, and leave children behind.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant as Moment},
};

use rustix::process::{Pid, test_kill_process};
use tokio::time::Instant;

use super::scripts::Script;
use crate::ceph::{CommandError, Runner};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

const LIMIT: usize = 1 << 16;

fn run(runner: &mut Runner, script: &Script, timeout_ms: u64) -> Result<Vec<u8>, CommandError> {
    let words = script.settings(timeout_ms).arguments(&["status"]);
    runtime().block_on(async {
        let deadline = Instant::now() + Duration::from_millis(timeout_ms);
        runner.run(&words, LIMIT, deadline).await
    })
}

fn pid(file: &Path) -> Option<Pid> {
    Pid::from_raw(fs::read_to_string(file).ok()?.trim().parse().ok()?)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Moment::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Moment::now() < deadline, "{what} never happened");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Not there any more, or nobody's to wait for but init's.
fn is_dead(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    test_kill_process(pid).is_err() || stat.contains(") Z ")
}

/// A command that ends waits for its child, which does not, and both ignore a polite request.
const HANGS: &str = r#"
trap '' TERM
sh -c 'trap "" TERM; echo $$ > "$0/child.new"; mv "$0/child.new" "$0/child"; while :; do sleep 1; done' "$here" &
echo '{"health":'
echo "$(printf 'no\033[31mt well\a')" >&2
wait
"#;

#[test]
fn one_that_hangs_is_killed_with_its_children() {
    let script = Script::new(HANGS);
    let error = run(&mut Runner::default(), &script, 1500).unwrap_err();
    let CommandError::Timeout { said, .. } = &error else { panic!("{error:?}") };
    assert_eq!(said, "no [31mt well");
    let child = pid(&script.folder().join("child")).expect("the child was started");
    until("the child's end", || is_dead(child));
}

#[test]
fn nobody_waits_any_more_so_it_is_killed() {
    let script = Script::new(HANGS);
    let words = script.settings(60_000).arguments(&["status"]);
    let file = script.folder().join("child");
    runtime().block_on(async {
        let mut runner = Runner::default();
        let deadline = Instant::now() + Duration::from_secs(60);
        let started = async {
            while pid(&file).is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = runner.run(&words, LIMIT, deadline) => panic!("{ended:?}"),
            () = started => {}
        }
    });
    let child = pid(&file).unwrap();
    until("the child's end", || is_dead(child));
}

#[test]
fn one_that_ends_and_leaves_a_child_with_its_output_is_not_waited_for() {
    let script = Script::new(r#"sleep 1000 & echo $! > "$here/child"; echo '{}'"#);
    let error = run(&mut Runner::default(), &script, 700).unwrap_err();
    assert!(matches!(error, CommandError::Timeout { .. }), "{error:?}");
    let child = pid(&script.folder().join("child")).unwrap();
    until("the child's end", || is_dead(child));
}

#[test]
fn a_flood_is_cut_off() {
    let script = Script::new("while :; do echo 0123456789012345678901234567890123456789; done");
    let error = run(&mut Runner::default(), &script, 60_000).unwrap_err();
    assert!(matches!(error, CommandError::TooLarge { limit: LIMIT }), "{error:?}");
    // Exactly as much as there may be.
    let script = Script::new(&format!("head -c {LIMIT} /dev/zero"));
    assert_eq!(run(&mut Runner::default(), &script, 60_000).unwrap().len(), LIMIT);
}

#[test]
fn what_it_says_beside_its_answer_is_tolerated_however_much() {
    let script = Script::new("head -c 1000000 /dev/zero >&2; echo '{}'");
    assert_eq!(run(&mut Runner::default(), &script, 60_000).unwrap(), b"{}\n");
}

#[test]
fn a_failure_is_told_in_its_own_words() {
    let said = |body: &str| run(&mut Runner::default(), &Script::new(body), 60_000).unwrap_err().to_string();
    let denied = said("echo 'Error EACCES: access denied' >&2; exit 13");
    assert_eq!(denied, "failed with exit status: 13: Error EACCES: access denied");
    assert_eq!(said("exit 1"), "failed with exit status: 1");
    assert!(said("kill -9 $$").contains("signal: 9"), "{}", said("kill -9 $$"));
    let long = said("head -c 10000 /dev/zero | tr '\\0' x >&2; exit 1");
    assert!(long.chars().count() < 400 && long.ends_with('…'), "{long}");
}

#[test]
fn it_reads_nothing_from_us() {
    let script = Script::new("cat; echo '{}'");
    assert_eq!(run(&mut Runner::default(), &script, 60_000).unwrap(), b"{}\n");
}

#[test]
fn what_cannot_be_started_is_named() {
    runtime().block_on(async {
        let deadline = Instant::now() + Duration::from_secs(60);
        let words = ["/nowhere/ceph".to_owned(), "status".to_owned()];
        let error = Runner::default().run(&words, LIMIT, deadline).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot start \"/nowhere/ceph\": No such file"), "{error}");
    });
}

#[test]
fn a_runner_goes_on_after_all_that() {
    let mut runner = Runner::default();
    for body in [HANGS, "exit 1", "yes", "echo '{}'"] {
        let script = Script::new(body);
        let answer = run(&mut runner, &script, if body == HANGS { 700 } else { 60_000 });
        assert_eq!(answer.is_ok(), body == "echo '{}'", "{body}: {answer:?}");
    }
}
