//! The most memory that a replay takes.

use crate::replay::{Bench, Log};
use crate::{say, setting};

/// All buckets are series of their own.
const ALL: &str = "[buckets]\nper_window = 20000\nadmitted = 20000\n";

const HOURS: &str = "[windows]\nnode = \"1h\"\nbucket = \"1h\"\n";

#[test]
#[ignore = "takes minutes: scripts/measure memory"]
fn memory() {
    let lines = setting("MEASURE_LINES", 5_000_000);
    let bench = Bench::new(1);
    say(&format!("{lines} lines, peak memory in MiB:\n"));
    say("| buckets | windows | series in a window | `-j 1` | `-j 2` |\n|--:|--|--|--:|--:|");
    for buckets in [1_000, 20_000] {
        let log = bench.log(&Log::new(lines, buckets));
        for (windows, length) in [("10 s and 60 s", ""), ("1 h", HOURS)] {
            for (series, admitted) in [("at most 2,000", ""), ("all", ALL)] {
                let settings = format!("{length}{admitted}");
                let [one, two] =
                    ["1", "2"].map(|jobs| bench.replay(&settings, "main", &[&log], jobs).peak_mib);
                say(&format!("| {buckets} | {windows} | {series} | {one:.0} | {two:.0} |"));
            }
        }
        std::fs::remove_file(log).expect("remove");
    }
}
