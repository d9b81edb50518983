//! The follower as an interpreter of file system actions, against the smallest model there is: the list of lines written.

use proptest::prelude::*;

use super::world::{Naming, Packer, World};

#[derive(Clone, Copy, Debug)]
enum Action {
    Write(usize),
    Partial,
    Rename,
    Usr1,
    Rotate,
    CopyTruncate,
    Compress(u64, Packer),
    ReadOnce,
    Read,
    Commit,
    Kill,
    Restart,
    Sleep(u64),
}

fn action() -> impl Strategy<Value = Action> {
    use Action::*;
    prop_oneof![
        8 => (0_usize..12).prop_map(Write),
        3 => Just(Partial),
        2 => Just(Rename),
        2 => Just(Usr1),
        3 => Just(Rotate),
        1 => Just(CopyTruncate),
        2 => (1_u64..5).prop_map(|n| Compress(n, Packer::Gzip)),
        1 => (1_u64..5).prop_map(|n| Compress(n, Packer::Zstd)),
        4 => Just(ReadOnce),
        4 => Just(Read),
        4 => Just(Commit),
        1 => Just(Kill),
        2 => Just(Restart),
        1 => (1_u64..90).prop_map(Sleep),
    ]
}

fn run(naming: Naming, actions: &[Action]) {
    let mut world = World::running(naming);
    // Lines that were truncated away before any of them was committed.
    let mut may_be_lost: Vec<String> = Vec::new();
    // How many lines had been written when the present content of the log began.
    let mut content_from = 0;
    for action in actions {
        match *action {
            Action::Write(lines) => world.write(lines),
            Action::Partial => world.write_partial(),
            Action::Rename => world.rename(),
            Action::Usr1 => {
                if !world.nginx_is_on_the_log() {
                    world.usr1();
                    content_from = world.written.len();
                }
            }
            Action::Rotate => {
                world.rotate();
                content_from = world.written.len();
            }
            Action::CopyTruncate => {
                world.end_partial();
                if world.nginx_is_on_the_log() {
                    let content = &world.written[content_from..];
                    let begun = content.first().is_some_and(|line| world.delivered.contains(line));
                    if !begun {
                        may_be_lost.extend_from_slice(content);
                    }
                    world.copytruncate();
                    content_from = world.written.len();
                }
            }
            Action::Compress(n, packer) => _ = world.compress(n, packer),
            Action::ReadOnce => _ = world.follower.is_some() && world.read_once(),
            Action::Read => {
                if world.follower.is_some() {
                    world.read();
                }
            }
            Action::Commit => world.commit(),
            Action::Kill => world.kill(),
            Action::Restart => world.restart(),
            Action::Sleep(seconds) => world.sleep(seconds),
        }
    }
    world.end_partial();
    if !world.nginx_is_on_the_log() {
        world.usr1();
    }
    if world.follower.is_none() {
        world.restart();
    }
    check(&mut world, &may_be_lost);
    // And nothing of it again.
    world.commit();
    world.restart();
    check(&mut world, &may_be_lost);
}

fn check(world: &mut World, may_be_lost: &[String]) {
    world.settle();
    let got = |line: &&String| !may_be_lost.contains(line) || world.delivered.contains(line);
    let expected: Vec<String> = world.written.iter().filter(got).cloned().collect();
    world.assert_delivered(&expected);
    if may_be_lost.is_empty() {
        assert_eq!(world.skipped, [""; 0], "every line was ended");
        assert!(!world.kinds().contains(&"gap"), "every file is still there: {:?}", world.incidents);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_exactly_once_numbered(actions in prop::collection::vec(action(), 1..50)) {
        run(Naming::Number, &actions);
    }

    #[test]
    fn every_line_exactly_once_dated(actions in prop::collection::vec(action(), 1..50)) {
        run(Naming::Date, &actions);
    }

    #[test]
    fn every_line_exactly_once_olddir(actions in prop::collection::vec(action(), 1..50)) {
        run(Naming::Olddir, &actions);
    }
}
