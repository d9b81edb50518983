//! A point in time on the command line: `--since 2h`, `--until 2026-11-20`.

use chrono::{DateTime, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use std::{str::FromStr, time::Duration};

use crate::{config::parse_duration, point::TimestampMs};

/// A point in time as it was written. What it means is known once there is a clock: [`TimeArg::resolve`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeArg {
    /// So long before now.
    Ago(Duration),
    /// With its offset from UTC: the same everywhere.
    Exact(TimestampMs),
    /// A wall clock of this machine's time zone.
    Local(NaiveDateTime),
}

/// A text that is no point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write how long ago (2h, 30m, 7d), a date (2026-11-20) or a time (2026-11-20T18:00:00Z; without Z or +01:00 it is local)"
)]
pub struct TimeArgError;

impl FromStr for TimeArg {
    type Err = TimeArgError;

    fn from_str(text: &str) -> Result<Self, TimeArgError> {
        let text = text.trim();
        if text == "now" {
            return Ok(Self::Ago(Duration::ZERO));
        }
        let ago = text.strip_suffix("ago").unwrap_or(text);
        // A number alone would be seconds elsewhere, but here `2026` would be half an hour ago.
        if ago.ends_with(|c: char| c.is_ascii_alphabetic() || c == ' ')
            && let Some(ago) = parse_duration(ago)
        {
            return Ok(Self::Ago(ago));
        }
        if let Ok(exact) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Exact(exact.timestamp_millis()));
        }
        if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Ok(Self::Local(date.and_time(NaiveTime::MIN)));
        }
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
            .map(Self::Local)
            .ok_or(TimeArgError)
    }
}

impl TimeArg {
    /// Milliseconds since the epoch, seen from `now` and its time zone. Of an hour that a clock shows twice the first
    /// is meant; one that it never shows is taken to be an hour later, as the clock did.
    pub fn resolve<Tz: TimeZone>(self, now: &DateTime<Tz>) -> TimestampMs {
        match self {
            Self::Ago(ago) => {
                now.timestamp_millis().saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Exact(ms) => ms,
            Self::Local(wall) => match now.timezone().from_local_datetime(&wall) {
                MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => {
                    time.timestamp_millis()
                }
                MappedLocalTime::None => wall
                    .checked_add_signed(TimeDelta::hours(1))
                    .and_then(|later| now.timezone().from_local_datetime(&later).earliest())
                    .map_or_else(|| wall.and_utc().timestamp_millis(), |time| time.timestamp_millis()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;
    use proptest::prelude::*;

    /// 2026-11-21T20:30:00+02:00.
    fn now() -> DateTime<FixedOffset> {
        DateTime::parse_from_rfc3339("2026-11-21T20:30:00+02:00").unwrap()
    }

    #[test]
    fn points_in_time() {
        let check = |text: &str, expected: &str| {
            let expected = DateTime::parse_from_rfc3339(expected).unwrap().timestamp_millis();
            assert_eq!(text.parse::<TimeArg>().unwrap().resolve(&now()), expected, "{text}");
        };
        check("now", "2026-11-21T20:30:00+02:00");
        check("2h", "2026-11-21T18:30:00+02:00");
        check("1h30m ago", "2026-11-21T19:00:00+02:00");
        check("7d", "2026-11-14T20:30:00+02:00");
        check("2026-11-20", "2026-11-20T00:00:00+02:00");
        check("2026-11-20 18:05", "2026-11-20T18:05:00+02:00");
        check("2026-11-20T18:05:06.250", "2026-11-20T18:05:06.250+02:00");
        check("2026-11-20T18:00:00Z", "2026-11-20T18:00:00Z");
        check("2026-11-20T18:00:00+05:30", "2026-11-20T12:30:00Z");
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "2026",
            "15",
            "ago",
            " ago",
            "yesterday",
            "-2h",
            "2026-13-01",
            "2026-02-30",
            "20.11.2026",
            "18:00",
        ] {
            assert_eq!(text.parse::<TimeArg>(), Err(TimeArgError), "{text:?}");
        }
    }

    #[test]
    fn longer_ago_than_time_goes_back() {
        let ago = TimeArg::Ago(Duration::from_secs(u64::MAX));
        assert!(ago.resolve(&now()) < 0);
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_an_error(text in ".{0,32}") {
            if let Ok(time) = text.parse::<TimeArg>() {
                time.resolve(&now());
            }
        }
    }
}
