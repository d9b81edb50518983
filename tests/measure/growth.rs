//! What a line costs as there are more of them, as there are more buckets, and where all of them are hard work.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::Whole;
use crate::replay::{Bench, Log, RATE};
use crate::shapes::{Line, damaged, escaped, invented};
use crate::{say, setting};

/// Buckets of an ordinary gateway.
const BUCKETS: u64 = 1_000;

/// Nanoseconds on a processor, by line, beyond what the program takes for no line at all.
fn ns(used: Whole, nothing: Whole, lines: u64) -> f64 {
    (used.processor - nothing.processor).max(0.0) * 1e9 / lines as f64
}

#[test]
#[ignore = "takes minutes: scripts/measure growth"]
fn growth() {
    let bench = Bench::new(setting("MEASURE_RUNS", 3));
    let nothing = bench.replay_once("", &Log::new(1, 1));
    by_lines(&bench, nothing);
    by_buckets(&bench, nothing);
    by_kind(&bench, nothing);
    compressed(&bench, nothing);
}

fn by_lines(bench: &Bench, nothing: Whole) {
    say(&format!("A run without lines takes {:.0} ms, which is left out.\n", nothing.processor * 1e3));
    say("| lines | ns a line | peak memory, MiB |\n|--:|--:|--:|");
    let most = setting("MEASURE_MOST", 10_000_000);
    for lines in [100_000, 1_000_000, 10_000_000, 50_000_000].into_iter().filter(|lines| *lines <= most) {
        let used = bench.replay_once("", &Log::new(lines, BUCKETS));
        say(&format!("| {lines} | {:.0} | {:.0} |", ns(used, nothing, lines), used.peak_mib));
    }
}

fn by_buckets(bench: &Bench, nothing: Whole) {
    let lines = setting("MEASURE_LINES", 1_000_000);
    say("\n| buckets | ns a line | peak memory, MiB |\n|--:|--:|--:|");
    for buckets in [10, 100, 1_000, 10_000, 100_000] {
        let used = bench.replay_once("", &Log::new(lines, buckets));
        say(&format!("| {buckets} | {:.0} | {:.0} |", ns(used, nothing, lines), used.peak_mib));
    }
}

/// Every request answers 503.
fn failing(line: &mut Line) {
    line.status = "503".to_owned();
}

/// Every request takes ten seconds.
fn slow(line: &mut Line) {
    line.request_time = "10.000".to_owned();
}

/// A bucket that nobody has had, and that is there.
fn made(line: &mut Line) {
    invented(line);
    line.status = "200".to_owned();
}

/// All lines of the second half come first: the others are late, all of them.
fn halves_swapped(line: &mut Line) {
    let half = setting("MEASURE_LINES", 1_000_000) / 2 * 1000 / RATE;
    line.ms = if line.ms < half { line.ms + half } else { line.ms - half };
}

fn by_kind(bench: &Bench, nothing: Whole) {
    let usual = Log::new(setting("MEASURE_LINES", 1_000_000), BUCKETS);
    let ours = Log { format: "rgwlens", write: Line::rgwlens, ..usual };
    let (usual_log, ours_log) = (bench.log(&usual), bench.log(&ours));
    say("\n| what | ns a line | the usual | ratio |\n|--|--:|--:|--:|");
    // Just before each, so that what else the machine does is the same for both.
    let beside = |base: &Log, base_log: &Path, what: &str, settings: &str, log: &Log| {
        let base = ns(bench.replay("", base.format, &[base_log], "1"), nothing, base.lines);
        let ns = ns(bench.replay_once(settings, log), nothing, log.lines);
        say(&format!("| {what} | {ns:.0} | {base:.0} | {:.2} |", ns / base));
    };
    let row = |what: &str, settings: &str, log: &Log| beside(&usual, &usual_log, what, settings, log);
    row("itself: `main`, 1,000 buckets", "", &usual);
    for (what, length) in [("1 s", "1s"), ("10 s", "10s"), ("1 h", "1h")] {
        let settings = format!("[windows]\nnode = \"{length}\"\nbucket = \"{length}\"\n");
        row(&format!("both windows {what}"), &settings, &usual);
    }
    for (what, log) in [
        ("out of order by 10 s", Log { turned: 10 * RATE as usize, ..usual }),
        ("the second half of the log before the first", Log { change: halves_swapped, ..usual }),
        ("all 503", Log { change: failing, ..usual }),
        ("all slow", Log { change: slow, ..usual }),
        ("escapes in every line", Log { change: escaped, ..usual }),
        ("two lines in three rejected", Log { change: damaged, ..usual }),
        ("a name nobody has in every line", Log { change: invented, ..usual }),
        ("a new bucket in every line", Log { change: made, ..usual }),
    ] {
        row(what, "", &log);
    }
    row("`events.sample = 1.0`", "[events]\nsample = 1.0\n", &usual);
    let all = "[events]\nsample = 1.0\nsampled = 1000000\n";
    row("and all of them kept (`sampled = 1000000`)", all, &usual);
    row("no events", "[events]\nenabled = false\n", &usual);
    row("`combined`", "", &Log { format: "combined", write: Line::combined, ..usual });
    row("`rgwlens`", "", &ours);
    let escaped = Log { change: escaped, ..ours };
    beside(&ours, &ours_log, "`rgwlens`, escapes in every line, to that", "", &escaped);
}

fn compressed(bench: &Bench, nothing: Whole) {
    let lines = setting("MEASURE_LINES", 1_000_000);
    let log = bench.log(&Log::new(lines, BUCKETS));
    let time = |path: &Path| bench.replay("", "main", &[path], "1");
    let plain = ns(time(&log), nothing, lines);
    say("\n| log | ns a line | decoder alone | plain and decoder |\n|--|--:|--:|--:|");
    say(&format!("| plain | {plain:.0} | | |"));
    for (decoder, ending) in [("gzip", ".gz"), ("zstd", ".zst")] {
        let path = PathBuf::from(format!("{}{ending}", log.display()));
        let file = File::create(&path).expect("create");
        let status = Command::new(decoder).arg("-c").arg(&log).stdout(file).status();
        assert!(status.is_ok_and(|status| status.success()), "this needs {decoder}");
        let used = ns(time(&path), nothing, lines);
        let name = path.to_string_lossy();
        let alone = Whole::of_command(setting("MEASURE_RUNS", 3), &[decoder, "-dc", &name]).processor * 1e9
            / lines as f64;
        say(&format!("| `{ending}` | {used:.0} | {alone:.0} | {:.0} |", plain + alone));
        fs::remove_file(path).expect("remove");
    }
}
