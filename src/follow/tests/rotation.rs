//! Faults R1 to R20, C1, C15 and K4: rotation and file identity, each by name.

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    super::{siblings::tests::DENIED, *},
    world::{Naming, Packer, World, pack, packed_name, touch},
};

#[test]
fn r1_rename_create() {
    let mut world = World::running(Naming::Number);
    world.rename();
    world.write(3);
    world.read();
    assert_eq!(world.delivered.len(), 4, "what goes to the renamed file before USR1 is read at once");
    world.write_partial();
    world.usr1();
    world.write(2);
    world.assert_conserved();
}

#[test]
fn r1_late_write_to_the_old_file_within_the_grace() {
    let mut world = World::running(Naming::Number);
    world.rename();
    world.usr1();
    world.write(2);
    world.read();
    world.sleep(59);
    // A worker's buffer, flushed last.
    fs::OpenOptions::new().append(true).open(world.rotated(1)).unwrap().write_all(b"late\n").unwrap();
    world.written.push("late".into());
    world.read();
    assert_eq!(world.committed().files.len(), 1);
    world.commit();
    assert_eq!(world.committed().files.len(), 2, "the position speaks of both");
    world.restart();
    world.assert_conserved();
    world.commit();
    assert_eq!(world.committed().files.len(), 1, "the old one was let go");
}

#[test]
fn r2_many_rotations_between_two_looks() {
    let mut world = World::running(Naming::Number);
    for _ in 0..20 {
        world.rotate();
        world.write(2);
    }
    world.assert_conserved();
}

#[test]
fn r2_rotations_are_seen_amid_a_backlog() {
    let mut world = World::running(Naming::Number);
    world.write(100);
    assert!(world.read_once());
    assert!(world.delivered.len() < 100, "there is more to read");
    for _ in 0..3 {
        world.rotate();
        world.write(1);
        assert!(world.read_once());
        // Held open by now, so this costs nothing.
        fs::remove_file(world.rotated(1)).unwrap();
    }
    world.settle();
    world.assert_delivered(&world.written.clone());
}

#[test]
fn r3_compressed_at_once() {
    for packer in [Packer::Gzip, Packer::Zstd] {
        let mut world = World::running(Naming::Number);
        world.write(50);
        world.rotate();
        assert!(world.compress(1, packer));
        world.write(1);
        world.rotate();
        assert!(world.compress(1, packer), "this one was never seen uncompressed");
        world.write(1);
        world.assert_conserved();
    }
}

#[test]
fn r4_dateext_and_olddir() {
    for naming in [Naming::Date, Naming::Olddir] {
        let mut world = World::running(naming);
        for _ in 0..3 {
            world.write(2);
            world.rotate();
        }
        world.kill();
        for _ in 0..3 {
            world.write(2);
            world.rotate();
            world.compress(2, Packer::Gzip);
        }
        world.restart();
        world.assert_conserved();
    }
}

#[test]
fn r5_down_over_k_rotations() {
    for k in [1, 2, 5, 14] {
        for packer in [None, Some(Packer::Gzip), Some(Packer::Zstd)] {
            let mut world = World::running(Naming::Number);
            world.write(7);
            world.read_once();
            world.commit();
            world.kill();
            for n in 0..k {
                world.write(n % 5);
                world.rotate();
                if let Some(packer) = packer {
                    // `delaycompress`
                    world.compress(2, packer);
                }
            }
            world.write(3);
            world.restart();
            world.assert_conserved();
        }
    }
}

#[test]
fn r6_file_gone() {
    // Whether the file before it is still part of the position, or done with.
    for settled in [false, true] {
        let mut world = World::running(Naming::Number);
        world.rotate();
        world.write(2);
        world.read();
        if settled {
            world.settle();
        }
        world.commit();
        assert_eq!(world.committed().files.len(), if settled { 1 } else { 2 });
        world.kill();
        let lost = world.written.len()..world.written.len() + 3;
        world.write(3);
        world.rotate();
        world.write(2);
        world.rotate();
        world.write(1);
        fs::remove_file(world.rotated(2)).unwrap();
        world.written.drain(lost);
        world.restart();
        world.settle();
        world.assert_delivered(&world.written.clone());
        assert_eq!(world.kinds(), ["gap"]);
        assert!(matches!(world.incidents[0], Incident::Gap { since_ms: Some(_), .. }));
    }
}

#[test]
fn r7_gz_half_written_beside_the_plain_file() {
    let mut world = World::running(Naming::Number);
    world.write(20);
    world.rotate();
    let packed = pack(&fs::read(world.rotated(1)).unwrap(), Packer::Gzip);
    fs::write(packed_name(&world.rotated(1), Packer::Gzip), &packed[..packed.len() / 2]).unwrap();
    world.restart();
    world.assert_conserved();
}

#[test]
fn r7_gz_that_grows_is_waited_for() {
    let mut world = World::running(Naming::Number);
    world.write(20);
    world.rotate();
    let packed = pack(&fs::read(world.rotated(1)).unwrap(), Packer::Gzip);
    fs::remove_file(world.rotated(1)).unwrap();
    let target = packed_name(&world.rotated(1), Packer::Gzip);
    fs::write(&target, &packed[..packed.len() / 2]).unwrap();
    world.restart();
    world.read();
    world.sleep(30);
    world.read();
    fs::write(&target, &packed).unwrap();
    world.assert_conserved();
}

#[test]
fn r7_damaged_gz_gives_its_good_part() {
    let mut world = World::running(Naming::Number);
    world.rotate();
    world.write(200);
    world.rotate();
    let mut content = Vec::new();
    for n in 0..20_000_u32 {
        writeln!(content, "{}", n.wrapping_mul(2_654_435_761)).unwrap();
    }
    fs::write(world.rotated(1), &content).unwrap();
    let packed = pack(&content, Packer::Gzip);
    fs::remove_file(world.rotated(1)).unwrap();
    fs::write(packed_name(&world.rotated(1), Packer::Gzip), &packed[..packed.len() / 2]).unwrap();
    world.restart();
    world.settle();
    assert_eq!(world.kinds(), ["corrupt"]);
    let got = world.delivered[1..].join("\n");
    assert!(got.len() > content.len() / 4, "{} of {}", got.len(), content.len());
    assert!(String::from_utf8(content).unwrap().starts_with(&got));
}

#[test]
fn r8_copytruncate() {
    let mut world = World::running(Naming::Number);
    world.write(2);
    world.read();
    world.write(3);
    world.copytruncate();
    world.write(2);
    world.settle();
    world.assert_delivered(&world.written.clone());
    assert_eq!(world.incidents, [Incident::Truncated { path: world.log(), recovered: true }]);
    assert_eq!(world.skipped, [""; 0]);
}

#[test]
fn r8_copytruncate_twice_between_two_looks() {
    let mut world = World::running(Naming::Number);
    for _ in 0..2 {
        world.write(3);
        world.copytruncate();
    }
    world.write(2);
    world.settle();
    world.assert_delivered(&world.written.clone());
}

/// The next rotation has begun when the one before is noticed: what it copies is read where it was written, or in the copy
/// if it is truncated before that.
#[test]
fn r8_copytruncate_noticed_while_the_next_copy_is_being_made() {
    for lines in [1, 200] {
        for begun in [0, 5, 40] {
            // How far it has read when the copy is whole: noticed, or a little of the log, or all; and whether it looks then.
            for reads in [1, 3, 1_000] {
                for looks in [true, false] {
                    // Seen to be a copy, and then the log is truncated before anything of it was read: a documented limit.
                    if (begun, reads, looks) == (40, 1, false) {
                        continue;
                    }
                    let mut world = World::running(Naming::Number);
                    world.write(3);
                    world.copytruncate();
                    world.write(lines);
                    fs::rename(world.rotated(1), world.rotated(2)).unwrap();
                    let content = fs::read(world.log()).unwrap();
                    let begun = begun.min(content.len());
                    let mut copy = fs::File::create(world.rotated(1)).unwrap();
                    copy.write_all(&content[..begun]).unwrap();
                    (0..reads).for_each(|_| _ = world.read_once());
                    copy.write_all(&content[begun..]).unwrap();
                    if looks {
                        world.read();
                    }
                    world.truncate();
                    world.write(2);
                    world.settle();
                    world.assert_delivered(&world.written.clone());
                }
            }
        }
    }
}

/// The same at a start, after a rotation that was missed.
#[test]
fn r8_started_while_the_next_copy_is_being_made() {
    for begun in [0, 5] {
        let mut world = World::running(Naming::Number);
        world.kill();
        world.write(3);
        world.copytruncate();
        world.write(100);
        fs::rename(world.rotated(1), world.rotated(2)).unwrap();
        let content = fs::read(world.log()).unwrap();
        let mut copy = fs::File::create(world.rotated(1)).unwrap();
        copy.write_all(&content[..begun]).unwrap();
        world.restart();
        world.read();
        copy.write_all(&content[begun..]).unwrap();
        world.read();
        world.truncate();
        world.write(2);
        world.settle();
        world.assert_delivered(&world.written.clone());
    }
}

#[test]
fn r8_copytruncate_while_down() {
    let mut world = World::running(Naming::Number);
    world.kill();
    for packer in [Packer::Gzip, Packer::Zstd] {
        world.write(3);
        world.copytruncate();
        world.compress(1, packer);
    }
    world.write(2);
    world.restart();
    world.assert_conserved();
}

/// What was read last is deleted, and what came after it was never committed: nothing but its time says that the copy
/// is new.
#[test]
fn r8_copytruncate_of_what_was_not_committed() {
    let mut world = World::running(Naming::Number);
    world.copytruncate();
    world.read();
    world.commit();
    fs::remove_file(world.rotated(1)).unwrap();
    world.write(2);
    world.read();
    world.copytruncate();
    world.restart();
    world.write(1);
    world.settle();
    world.assert_delivered(&world.written.clone());
}

/// What was read between the copy and the truncation is in no file; the copy after it is read all the same, and once.
#[test]
fn r8_copy_shorter_than_what_was_read_and_another_rotation_before_a_look() {
    let mut world = World::running(Naming::Number);
    world.write(200);
    world.read();
    let copy = world.dir.path().join("copy");
    fs::copy(world.log(), &copy).unwrap();
    world.write(3);
    world.read();
    world.copytruncate();
    fs::rename(copy, world.rotated(1)).unwrap();
    world.write(200);
    world.copytruncate();
    world.write(200);
    world.settle();
    world.assert_delivered(&world.written.clone());
    assert_eq!(world.incidents, [Incident::Truncated { path: world.log(), recovered: false }]);
    world.commit();
    world.copytruncate();
    world.write(1);
    world.restart();
    world.settle();
    world.assert_delivered(&world.written.clone());
}

#[test]
fn r8_truncated_without_a_copy() {
    let mut world = World::running(Naming::Number);
    world.write_partial();
    world.read();
    world.truncate();
    world.end_partial();
    world.written.pop();
    world.write(2);
    world.settle();
    assert_eq!(world.skipped, ["unterminated"]);
    assert_eq!(world.incidents, [Incident::Truncated { path: world.log(), recovered: false }]);
    assert_eq!(world.delivered.len(), 4, "the first line, the end of the one that was begun, and two");
}

/// `renamecopy`, and `compress` without `delaycompress`: nginx's last lines are in the original only, and that is deleted.
#[test]
fn r1_copy_made_before_the_last_lines() {
    for packer in [None, Some(Packer::Gzip), Some(Packer::Zstd)] {
        for restarts in [true, false] {
            let mut world = World::running(Naming::Number);
            for n in 0..4 {
                world.write(40);
                world.read();
                world.rename();
                let copy = world.dir.path().join("copy");
                fs::copy(world.rotated(1), &copy).unwrap();
                // The second copy is whole: what is newer than it must not be taken for unread.
                world.write(usize::from(n != 1));
                world.usr1();
                world.write(40);
                world.read();
                fs::rename(copy, world.rotated(1)).unwrap();
                if let Some(packer) = packer {
                    assert!(world.compress(1, packer));
                }
                world.read();
                world.commit();
            }
            if restarts {
                world.restart();
            }
            world.write(1);
            world.settle();
            world.assert_delivered(&world.written.clone());
            let shrunk = world.kinds().into_iter().filter(|kind| *kind == "shrunk").count();
            assert_eq!(shrunk, if restarts { 3 } else { 0 }, "{:?}", world.incidents);
        }
    }
}

/// `renamecopy`: the copy is there, and still empty, when the new log is found.
#[test]
fn r1_copy_that_is_being_made() {
    for lines in [1, 200] {
        let mut world = World::running(Naming::Number);
        world.write(lines);
        world.read();
        let tmp = world.dir.path().join("access.log.tmp");
        fs::rename(world.log(), &tmp).unwrap();
        fs::write(world.rotated(1), "").unwrap();
        world.usr1();
        world.write(1);
        world.read();
        let content = fs::read(&tmp).unwrap();
        let (mut copy, half) = (fs::File::create(world.rotated(1)).unwrap(), content.len() / 2);
        for piece in [&content[..half], &content[half..]] {
            copy.write_all(piece).unwrap();
            world.read();
        }
        fs::remove_file(tmp).unwrap();
        world.settle();
        world.rotate();
        world.assert_conserved();
    }
}

#[test]
fn r9_rewritten_to_the_same_or_a_larger_size() {
    for extra in ["", "and one more\n"] {
        let mut world = World::running(Naming::Number);
        let size = fs::metadata(world.log()).unwrap().len() as usize;
        let new = format!("{:y<1$}\n", "", size - 1);
        let modified = fs::metadata(world.log()).unwrap().modified().unwrap();
        fs::write(world.log(), format!("{new}{extra}")).unwrap();
        touch(&world.log(), modified + Duration::from_millis(1));
        world.settle();
        world.written.extend(format!("{new}{extra}").lines().map(str::to_string));
        world.assert_delivered(&world.written.clone());
        assert_eq!(world.kinds(), ["truncated"]);
    }
}

/// Lines so long that all that is kept of them to know a place by is the same.
#[test]
fn r9_rewritten_to_the_same_size_with_the_same_end() {
    let line = |first: char| format!("{first}{}", "y".repeat(3_900));
    let mut world = World::running(Naming::Number);
    let write = |world: &mut World, first: char| {
        for line in [line(first), line('z'), line('z')] {
            world.append(format!("{line}\n").as_bytes());
            world.written.push(line);
        }
    };
    world.truncate();
    write(&mut world, 'a');
    world.read();
    world.copytruncate();
    write(&mut world, 'b');
    world.settle();
    world.assert_delivered(&world.written.clone());
}

#[test]
fn r10_inode_used_again() {
    let mut world = World::running(Naming::Number);
    for n in 0..50 {
        world.kill();
        fs::remove_file(world.log()).unwrap();
        world.usr1();
        world.write(1 + n % 3);
        world.restart();
        world.read();
        world.commit();
    }
    world.settle();
    world.assert_delivered(&world.written.clone());
    assert!(world.kinds().iter().all(|kind| *kind == "gap"), "each time the file read before was gone");
    assert_eq!(world.incidents.len(), 50);
}

#[test]
fn r11_symlink_switched_and_back() {
    let mut world = World::new();
    let target = |n| world.dir.path().join(format!("day{n}"));
    fs::write(target(1), "a\nb\n").unwrap();
    fs::write(target(2), "c\n").unwrap();
    let (one, two) = (target(1), target(2));
    symlink(&one, world.log()).unwrap();
    world.open();
    world.read();
    let switch = |world: &World, to: &std::path::Path| {
        fs::remove_file(world.log()).unwrap();
        symlink(to, world.log()).unwrap();
    };
    let append = |path: &std::path::Path, line: &str| {
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(line.as_bytes()).unwrap();
    };
    append(&one, "late\n");
    switch(&world, &two);
    world.read();
    append(&one, "later\n");
    world.read();
    switch(&world, &one);
    append(&one, "back\n");
    world.settle();
    // Let go by now, and found again by content.
    switch(&world, &two);
    append(&two, "again\n");
    world.settle();
    assert_eq!(world.delivered, ["a", "b", "late", "c", "later", "back", "again"]);
    assert_eq!(world.incidents, []);
}

#[test]
fn r12_hard_link_is_not_another_file() {
    let mut world = World::running(Naming::Number);
    world.write(2);
    fs::hard_link(world.log(), world.rotated(1)).unwrap();
    world.restart();
    world.write(1);
    world.assert_conserved();
}

#[test]
fn r13_same_head() {
    let mut world = World::running(Naming::Number);
    let head = "h".repeat(2000);
    let put = |world: &mut World, line: &str| {
        let file = fs::OpenOptions::new().append(true).create(true).open(world.log()).unwrap();
        (&file).write_all(format!("{line}\n").as_bytes()).unwrap();
        world.written.push(line.into());
    };
    for n in 0..3 {
        world.rename();
        put(&mut world, &head);
        put(&mut world, &format!("file {n}"));
        if n == 1 {
            world.restart();
        }
        world.read();
        world.commit();
    }
    world.restart();
    world.assert_conserved();
}

#[test]
fn r14_empty_and_tiny_files() {
    let mut world = World::running(Naming::Number);
    for _ in 0..3 {
        world.rotate();
        world.read();
        world.commit();
        world.restart();
    }
    world.write_partial();
    world.read();
    world.rotate();
    world.assert_conserved();
}

#[test]
fn r14_nothing_read_yet_then_rotated_while_down() {
    let mut world = World::new();
    world.usr1();
    world.open();
    world.read();
    world.commit();
    world.kill();
    world.write(3);
    world.rotate();
    world.write(1);
    world.restart();
    world.assert_conserved();
}

#[test]
fn r14_empty_at_the_commit_and_compressed_while_down() {
    let mut world = World::running(Naming::Number);
    world.rotate();
    world.settle();
    world.commit();
    assert!(world.committed().files[0].done, "the file let go says where reading has come to");
    world.kill();
    world.write(2);
    world.rotate();
    assert!(world.compress(1, Packer::Gzip), "neither name nor inode is left");
    world.write(1);
    world.restart();
    world.assert_conserved();
}

#[test]
fn r15_partial_line_waits_and_is_given_up_once() {
    let mut world = World::running(Naming::Number);
    world.write_partial();
    world.read();
    assert_eq!(world.delivered.len(), 1);
    world.commit();
    world.restart();
    world.rename();
    // Another program makes the new file: nginx never ends its line.
    fs::write(world.log(), "new\n").unwrap();
    world.settle();
    assert_eq!(world.skipped, ["unterminated"]);
    assert_eq!(world.delivered.last().unwrap(), "new");
    world.commit();
    // Ended after all, a day later: not counted again, not even after a restart.
    world.end_partial();
    world.restart();
    world.settle();
    assert_eq!(world.skipped, ["unterminated"]);
    assert_eq!(world.delivered.len(), 2);
}

#[test]
fn r16_permission_taken_and_given_back() {
    let mut world = World::running(Naming::Number);
    DENIED.set(vec![world.log()]);
    world.rotate();
    world.write(2);
    world.read();
    assert_eq!(world.kinds(), ["unreadable"]);
    for _ in 0..10 {
        world.sleep(40);
        world.read();
    }
    assert_eq!(world.kinds(), ["unreadable"], "told once");
    assert_eq!(world.delivered.len(), 1);
    DENIED.take();
    world.settle();
    world.assert_delivered(&world.written.clone());

    // Down, and denied at the start: the position is kept until it can be looked for.
    world.write(1);
    world.commit();
    DENIED.set(vec![world.log()]);
    world.restart();
    world.sleep(100);
    world.read();
    world.commit();
    world.restart();
    world.read();
    DENIED.take();
    world.settle();
    world.assert_delivered(&world.written.clone());
    assert!(!world.kinds().contains(&"gap"));
}

#[test]
fn r16_denied_at_a_restart_while_the_rotated_file_is_not() {
    let mut world = World::running(Naming::Number);
    world.rotate();
    world.write(2);
    world.read();
    world.commit();
    assert_eq!(world.committed().files.len(), 2);
    DENIED.set(vec![world.log()]);
    world.restart();
    world.sleep(100);
    world.read();
    DENIED.take();
    world.settle();
    world.assert_delivered(&world.written.clone());
    assert_eq!(world.kinds(), ["unreadable"], "no gap: what could not be looked for is not missing");
}

#[test]
fn r17_directory_deleted_and_made_again_and_missing_at_start() {
    let mut world = World::new();
    let dir = world.dir.path().to_path_buf();
    fs::remove_dir(&dir).unwrap();
    world.start = Start::End;
    world.open();
    world.read();
    world.commit();
    fs::create_dir(&dir).unwrap();
    world.usr1();
    world.write(2);
    world.read();
    assert_eq!(world.delivered.len(), 2, "a file that appears is new as a whole");
    fs::remove_dir_all(&dir).unwrap();
    world.write(1);
    world.read();
    assert_eq!(world.delivered.len(), 3, "nginx still writes to the file it has open, and we still read it");
    fs::create_dir(&dir).unwrap();
    world.usr1();
    world.write(1);
    world.assert_conserved();
}

#[test]
fn r17_missing_at_a_restart() {
    let mut world = World::running(Naming::Number);
    world.rename();
    world.write(1);
    world.restart();
    world.read();
    world.usr1();
    world.write(1);
    world.assert_conserved();
}

#[test]
fn r18_kernel_wakes_the_follower_and_polling_does_without() {
    let mut world = World::new();
    world.usr1();
    let clock = Arc::new(SystemClock::default());
    let mut follower = Follower::open(FollowOptions {
        poll: Duration::from_secs(30),
        watch: true,
        clock,
        start: Start::Beginning,
        ..FollowOptions::new(world.log())
    })
    .unwrap();
    assert!(matches!(follower.next().unwrap(), Next::Idle { .. }));
    let (kinds, dir) =
        (follower.incidents().map(|incident| incident.kind()).collect::<Vec<_>>(), world.dir.path());
    if kinds == ["unwatched"] {
        return; // The system under the test has no inotify left: polling it is.
    }
    let (log, rotated, new) = (world.log(), dir.join("access.log.1"), dir.join("new"));
    let writer = std::thread::spawn(move || {
        fs::write(&log, "one\n").unwrap();
        fs::write(&new, "two\n").unwrap();
        fs::rename(&log, rotated).unwrap();
        // With its content: what is appended later does not wake anybody.
        fs::rename(&new, &log).unwrap();
    });
    let (begun, mut lines) = (Instant::now(), Vec::new());
    while lines.len() < 2 {
        if let Next::Lines(found) = follower.next().unwrap() {
            lines.extend(found.iter().map(<[u8]>::to_vec));
        }
        assert!(
            begun.elapsed() < Duration::from_secs(25),
            "found by polling, the wake-up did not come: {lines:?}"
        );
    }
    writer.join().unwrap();
    assert_eq!(lines, [b"one", b"two"]);
}

#[test]
fn r19_open_file_forgotten_by_its_server() {
    let mut world = World::running(Naming::Number);
    world.write(40);
    world.read_once();
    world.rotate();
    world.write(2);
    world.read_once();
    // What `ESTALE` leads to.
    world.follower.as_mut().unwrap().begin_anew();
    world.write(2);
    world.assert_conserved();
}

#[test]
fn r20_nul_run_is_bytes_like_any_other() {
    let mut world = World::running(Naming::Number);
    let file = fs::OpenOptions::new().write(true).open(world.log()).unwrap();
    let size = file.metadata().unwrap().len();
    file.set_len(size + 100_000).unwrap();
    drop(file);
    world.write(2);
    world.settle();
    assert_eq!(world.skipped, ["too_long"], "the NULs and the line behind them");
    world.written.remove(1);
    world.assert_delivered(&world.written.clone());
}

#[test]
fn c1_too_long_line_counts_once_over_restarts() {
    let mut world = World::running(Naming::Number);
    let mut file = fs::OpenOptions::new().append(true).open(world.log()).unwrap();
    for _ in 0..10 {
        file.write_all(&[b'x'; 10_000]).unwrap();
        world.read();
        world.commit();
        world.restart();
    }
    file.write_all(b"\n").unwrap();
    world.write(1);
    world.settle();
    world.commit();
    world.restart();
    world.settle();
    assert_eq!(world.skipped, ["too_long"]);
    world.assert_delivered(&world.written.clone());
}

#[test]
fn k4_log_shorter_than_the_position() {
    for running in [true, false] {
        let mut world = World::running(Naming::Number);
        world.write(12);
        world.read();
        world.commit();
        if !running {
            world.kill();
        }
        let size = fs::metadata(world.log()).unwrap().len();
        let file = fs::OpenOptions::new().write(true).open(world.log()).unwrap();
        file.set_len(size - 100).unwrap();
        if !running {
            world.restart();
        }
        world.read();
        world.write(3);
        world.settle();
        world.assert_delivered(&world.written.clone());
        assert_eq!(world.incidents, [Incident::Shrunk { path: world.log(), bytes: 100 }]);
    }
}

#[test]
fn start_at_end_takes_the_unfinished_line_whole() {
    let mut world = World::new();
    world.usr1();
    world.write(5);
    world.write_partial();
    world.start = Start::End;
    world.open();
    world.written.clear();
    world.end_partial();
    world.write(1);
    world.assert_conserved();
}

#[test]
fn start_at_end_of_an_endless_line_skips_it() {
    let mut world = World::new();
    world.usr1();
    fs::write(world.log(), "x".repeat(100_000)).unwrap();
    world.start = Start::End;
    world.open();
    assert_eq!(world.follower.as_ref().unwrap().lag(), 4001);
    world.write(2);
    world.settle();
    assert_eq!(world.skipped, ["too_long"]);
    assert_eq!(world.delivered, world.written[1..]);
}

#[test]
fn position_of_nothing_means_the_beginning() {
    let mut world = World::new();
    world.usr1();
    world.write(2);
    world.rotate();
    world.write(2);
    world.start = Start::At(Position::default());
    world.open();
    world.settle();
    assert_eq!(world.delivered, world.written[2..], "rotated files are for replay");
}

#[test]
fn another_log_that_begins_alike_is_never_read() {
    let mut world = World::running(Naming::Date);
    for name in ["access.log.json", "access.log_errors", "access-ssl.log", "access.log.bak"] {
        fs::write(world.dir.path().join(name), format!("{name} is not ours\n")).unwrap();
    }
    world.rotate();
    world.write(1);
    world.read();
    world.commit();
    world.rotate();
    world.restart();
    world.write(1);
    world.assert_conserved();
}

#[test]
fn position_in_a_file_of_any_name_is_found() {
    let mut world = World::running(Naming::Number);
    world.write(2);
    world.kill();
    fs::rename(world.log(), world.dir.path().join("access.log.old")).unwrap();
    world.usr1();
    world.write(1);
    world.restart();
    world.assert_conserved();
}

#[test]
fn damaged_position_is_a_gap_and_no_panic() {
    let mut world = World::running(Naming::Number);
    world.write(2);
    world.read();
    let good = world.follower.as_ref().unwrap().position().files[0];
    let far = Fingerprint { len: u32::MAX, hash: 1 };
    for bad in [
        FilePosition { offset: u64::MAX, ..good },
        FilePosition { offset: 1, ..good },
        FilePosition { head: far, ..good },
        FilePosition { anchor: far, ..good },
        FilePosition { offset: u64::MAX, head: far, anchor: far, ..good },
    ] {
        world.kill();
        world.incidents.clear();
        world.start = Start::At(Position { files: vec![bad], read_at_ms: i64::MAX });
        world.open();
        world.settle();
        assert_eq!(world.kinds(), ["gap"], "{bad:?}");
    }
}

#[test]
fn lag_is_what_was_not_handed_out() {
    let mut world = World::running(Naming::Number);
    let follower = |world: &World| world.follower.as_ref().unwrap().lag();
    assert_eq!(follower(&world), 0);
    world.write(40);
    let size = fs::metadata(world.log()).unwrap().len();
    world.read_once();
    let handed_out: usize = world.delivered.iter().map(|line| line.len() + 1).sum();
    assert_eq!(follower(&world), size - handed_out as u64);
    world.read();
    assert_eq!(follower(&world), 0);
    world.follower.as_mut().unwrap().sync().unwrap();
}

#[test]
fn a_directory_is_no_log() {
    let world = World::new();
    assert!(Follower::open(FollowOptions::new(world.dir.path())).is_err());
    assert!(Follower::open(FollowOptions::new("/")).is_err());
}

#[test]
fn sources_can_move_to_a_thread() {
    fn is_send<T: Send>() {}
    is_send::<Follower>();
    is_send::<Files>();
}
