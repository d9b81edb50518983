//! nginx's times.

use crate::point::TimestampMs;

/// Not a time that nginx writes, or one that nanoseconds since 1970 cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time")]
pub struct TimeError;

/// The last second (in 2262) that a point's nanoseconds can say.
const LAST_SECOND: i64 = i64::MAX / 1_000_000_000 - 1;

/// `$msec`: seconds with three decimals, `1795287594.607`.
pub fn parse_msec(text: &[u8]) -> Result<TimestampMs, TimeError> {
    let (seconds, decimals) = text.split_last_chunk::<4>().ok_or(TimeError)?;
    let [b'.', decimals @ ..] = decimals else { return Err(TimeError) };
    if seconds.is_empty() || seconds.len() > 10 {
        return Err(TimeError);
    }
    timestamp(number(seconds)?, number(decimals)?)
}

/// `$time_local`: `21/Nov/2026:18:59:54 +0000`. Whole seconds.
pub fn parse_time_local(text: &[u8]) -> Result<TimestampMs, TimeError> {
    let text: &[u8; 26] = text.try_into().map_err(|_| TimeError)?;
    let month = match &text[3..6] {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return Err(TimeError),
    };
    separators(text, &[(2, b'/'), (6, b'/'), (11, b':'), (20, b' ')])?;
    let days = days_since_1970(number(&text[7..11])?, month, number(&text[..2])?)?;
    timestamp(
        days * 86_400 + time_of_day(&text[12..20])? - parse_offset(text[21], &text[22..24], &text[24..])?,
        0,
    )
}

/// `$time_iso8601`: `2026-11-21T18:59:54+00:00`. Whole seconds.
pub fn parse_time_iso8601(text: &[u8]) -> Result<TimestampMs, TimeError> {
    let text: &[u8; 25] = text.try_into().map_err(|_| TimeError)?;
    separators(text, &[(4, b'-'), (7, b'-'), (10, b'T'), (22, b':')])?;
    let days = days_since_1970(number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?)?;
    timestamp(
        days * 86_400 + time_of_day(&text[11..19])? - parse_offset(text[19], &text[20..22], &text[23..])?,
        0,
    )
}

/// Seconds since 1970 of `2026-11-21T18:59:54` or `2026-11-21 18:59:54`, as if it were UTC.
pub(super) fn day_and_second(text: &[u8; 19]) -> Result<i64, TimeError> {
    separators(text, &[(4, b'-'), (7, b'-')])?;
    if !matches!(text[10], b'T' | b' ') {
        return Err(TimeError);
    }
    let days = days_since_1970(number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?)?;
    let seconds = days * 86_400 + time_of_day(&text[11..])?;
    if (0..=LAST_SECOND).contains(&seconds) { Ok(seconds) } else { Err(TimeError) }
}

fn timestamp(seconds: i64, milliseconds: i64) -> Result<TimestampMs, TimeError> {
    if (0..=LAST_SECOND).contains(&seconds) { Ok(seconds * 1000 + milliseconds) } else { Err(TimeError) }
}

fn separators(text: &[u8], expected: &[(usize, u8)]) -> Result<(), TimeError> {
    let all = expected.iter().all(|(index, byte)| text[*index] == *byte);
    if all { Ok(()) } else { Err(TimeError) }
}

/// Digits only; the callers bound their number.
fn number(digits: &[u8]) -> Result<i64, TimeError> {
    digits.iter().try_fold(0, |value, digit| match digit {
        b'0'..=b'9' => Ok(value * 10 + i64::from(digit - b'0')),
        _ => Err(TimeError),
    })
}

/// Seconds of `18:59:54`.
fn time_of_day(text: &[u8]) -> Result<i64, TimeError> {
    separators(text, &[(2, b':'), (5, b':')])?;
    let (hour, minute, second) = (number(&text[..2])?, number(&text[3..5])?, number(&text[6..])?);
    if hour > 23 || minute > 59 || second > 59 {
        return Err(TimeError);
    }
    Ok(hour * 3600 + minute * 60 + second)
}

/// Seconds east of Greenwich.
pub(super) fn parse_offset(sign: u8, hours: &[u8], minutes: &[u8]) -> Result<i64, TimeError> {
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 23 || minutes > 59 {
        return Err(TimeError);
    }
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        b'+' => Ok(seconds),
        b'-' => Ok(-seconds),
        _ => Err(TimeError),
    }
}

/// Days from 1970-01-01 in the Gregorian calendar. Counts years from March, so that the leap day is a year's last.
fn days_since_1970(year: i64, month: i64, day: i64) -> Result<i64, TimeError> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(TimeError),
    };
    if !(1..=length).contains(&day) {
        return Err(TimeError);
    }
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    Ok(year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, FixedOffset, TimeZone};
    use proptest::prelude::*;

    #[test]
    fn reads_what_nginx_writes() {
        assert_eq!(parse_msec(b"1795287594.607"), Ok(1_795_287_594_607));
        assert_eq!(parse_time_local(b"21/Nov/2026:18:59:54 +0000"), Ok(1_795_287_594_000));
        assert_eq!(parse_time_local(b"21/Nov/2026:20:29:54 +0130"), Ok(1_795_287_594_000));
        assert_eq!(parse_time_local(b"21/Nov/2026:13:59:54 -0500"), Ok(1_795_287_594_000));
        assert_eq!(parse_time_iso8601(b"2026-11-21T18:59:54+00:00"), Ok(1_795_287_594_000));
        assert_eq!(parse_time_iso8601(b"2026-11-22T00:44:54+05:45"), Ok(1_795_287_594_000));
        assert_eq!(parse_time_local(b"29/Feb/2028:00:00:00 +0000"), Ok(1_835_395_200_000));
        assert_eq!(parse_time_local(b"01/Jan/1970:00:00:00 +0000"), Ok(0));
    }

    #[test]
    fn takes_no_other_text_for_a_time() {
        for text in
            ["", ".", ".607", "1795287594", "1795287594.6", "1795287594,607", "-1.000", "99999999999.000"]
        {
            assert_eq!(parse_msec(text.as_bytes()), Err(TimeError), "{text}");
        }
        for text in [
            "29/Feb/2026:00:00:00 +0000",
            "00/Jan/2026:00:00:00 +0000",
            "21/nov/2026:18:59:54 +0000",
            "21/Nov/2026:24:00:00 +0000",
            "21/Nov/2026:18:60:54 +0000",
            "21/Nov/2026:18:59:54 00000",
            "21/Nov/2026:18:59:54 +0060",
            "21/Nov/2026:18:59:54",
            "31/Dec/1969:23:59:59 +0000",
            "01/Jan/1970:00:00:00 +0100",
            "21/Nov/9999:18:59:54 +0000",
        ] {
            assert_eq!(parse_time_local(text.as_bytes()), Err(TimeError), "{text}");
        }
        assert_eq!(parse_time_iso8601(b"2026-11-21 18:59:54+00:00"), Err(TimeError));
        assert_eq!(parse_time_iso8601(b"2026-13-21T18:59:54+00:00"), Err(TimeError));
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar(seconds in 100_000i64..LAST_SECOND, minutes_east in -23 * 60i32..=23 * 60) {
            let zone = FixedOffset::east_opt(minutes_east * 60).unwrap();
            let time: DateTime<FixedOffset> = zone.timestamp_opt(seconds, 0).unwrap();
            let local = time.format("%d/%b/%Y:%H:%M:%S %z").to_string();
            prop_assert_eq!(parse_time_local(local.as_bytes()), Ok(seconds * 1000));
            let iso = time.format("%Y-%m-%dT%H:%M:%S%:z").to_string();
            prop_assert_eq!(parse_time_iso8601(iso.as_bytes()), Ok(seconds * 1000));
        }
    }
}
