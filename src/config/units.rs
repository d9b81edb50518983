//! Durations and sizes as people write them: `10s`, `1h30m`, `30d`; `64KiB`, `10GiB`.

use std::time::Duration;

/// Suffixes of durations, longest unit first, in milliseconds.
const DURATIONS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Suffixes of sizes, largest first, in bytes. `k` alone is refused: nginx means 1024 by it, others 1000.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads a duration: whole numbers with `ms`, `s`, `m`, `h`, `d` or `w`, one after the other (`1h30m`); a number
/// alone is seconds. `None` if it is none, or longer than 2^64 ms.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if let Some(seconds) = digits(rest) {
        return Some(Duration::from_secs(seconds));
    }
    let mut total_ms = 0u64;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let (_, unit_ms) = DURATIONS.iter().find(|(suffix, _)| *suffix == unit)?;
        total_ms = total_ms.checked_add(digits(number)?.checked_mul(*unit_ms)?)?;
        rest = after;
    }
    (!text.trim().is_empty()).then(|| Duration::from_millis(total_ms))
}

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that is exact.
pub fn show_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // Weeks are read but not written: "30d" is what an operator says.
    let exact = DURATIONS[1..].iter().find(|(_, unit)| ms != 0 && ms.is_multiple_of(*unit));
    exact.map_or_else(|| format!("{}s", ms / 1000), |(suffix, unit)| format!("{}{suffix}", ms / unit))
}

/// Reads a size in bytes: a whole number with `B`, `KB` … `TB` (powers of 1000) or `KiB` … `TiB` (powers of 1024), in
/// any case; a number alone is bytes. `None` if it is none, or 2^64 bytes or more.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = unit.trim_start();
    let factor = if unit.is_empty() {
        1
    } else {
        SIZES.iter().find(|(suffix, _)| suffix.eq_ignore_ascii_case(unit))?.1
    };
    digits(number)?.checked_mul(factor)
}

/// Writes a size as [`parse_size`] reads it, in the largest power of 1024 that is exact.
pub fn show_size(bytes: u64) -> String {
    let exact = SIZES
        .iter()
        .find(|(suffix, unit)| suffix.ends_with("iB") && bytes != 0 && bytes.is_multiple_of(*unit));
    exact.map_or_else(|| format!("{bytes}B"), |(suffix, unit)| format!("{}{suffix}", bytes / unit))
}

/// `str::parse` alone would take a sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let check =
            |text, ms: Option<u64>| assert_eq!(parse_duration(text), ms.map(Duration::from_millis), "{text}");
        check("10s", Some(10_000));
        check("500ms", Some(500));
        check("1h30m", Some(5_400_000));
        check("30d", Some(30 * 86_400_000));
        check("2w", Some(14 * 86_400_000));
        check(" 5m ", Some(300_000));
        check("15", Some(15_000));
        check("0", Some(0));
        for bad in [
            "",
            " ",
            "s",
            "-1s",
            "+1s",
            "1.5h",
            "10 s",
            "10x",
            "1h30",
            "10S",
            "99999999999999999999s",
            "999999999999w",
            "٣s",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn sizes() {
        let check = |text, bytes: Option<u64>| assert_eq!(parse_size(text), bytes, "{text}");
        check("1MiB", Some(1 << 20));
        check("64 KiB", Some(65_536));
        check("1mb", Some(1_000_000));
        check("10GiB", Some(10 << 30));
        check("512", Some(512));
        check("7B", Some(7));
        for bad in ["", "MiB", "1m", "1k", "-1", "1.5GiB", "20000000TiB", "99999999999999999999", "1MiB/s"] {
            check(bad, None);
        }
    }

    #[test]
    fn shown_in_the_largest_exact_unit() {
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(show_duration(Duration::from_secs(0)), "0s");
        assert_eq!(show_duration(Duration::from_secs(30 * 86_400)), "30d");
        assert_eq!(show_size(1 << 20), "1MiB");
        assert_eq!(show_size(1_000_000), "1000000B");
        assert_eq!(show_size(0), "0B");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(n in any::<u64>()) {
            prop_assert_eq!(parse_duration(&show_duration(Duration::from_millis(n))), Some(Duration::from_millis(n)));
            prop_assert_eq!(parse_size(&show_size(n)), Some(n));
        }

        #[test]
        fn never_panics(text in ".{0,24}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
