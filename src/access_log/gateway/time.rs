//! Ceph's times: `2026-11-21T18:59:54.573606Z`, in older releases with a blank in the middle, with an offset or without.

use super::super::time::{TimeError, day_and_second, parse_offset};
use crate::point::TimestampMs;

/// What was converted last: neighbouring records are of the same second.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    text: [u8; 19],
    seconds: i64,
}

/// A time as Ceph writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CephTime {
    /// As if it were UTC, if it has no zone.
    pub(super) ms: TimestampMs,
    /// It says how far from UTC it is.
    pub(super) has_zone: bool,
    /// Bytes of it.
    pub(super) length: usize,
}

impl Clock {
    /// The time at the start of `text`.
    pub(super) fn ceph(&mut self, text: &[u8]) -> Result<CephTime, TimeError> {
        let (whole, mut rest) = text.split_first_chunk::<19>().ok_or(TimeError)?;
        if *whole != self.text {
            self.seconds = day_and_second(whole)?;
            self.text = *whole;
        }
        let mut fraction = 0;
        if let Some(decimals) = rest.strip_prefix(b".") {
            let count = decimals.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if count == 0 || count > 9 {
                return Err(TimeError);
            }
            let digit = |at: usize| decimals[..count].get(at).map_or(0, |digit| i64::from(digit - b'0'));
            fraction = digit(0) * 100 + digit(1) * 10 + digit(2);
            rest = &decimals[count..];
        }
        let (offset, after) = match rest {
            [b'Z', after @ ..] => (Some(0), after),
            [sign @ (b'+' | b'-'), a, b, b':', c, d, after @ ..]
            | [sign @ (b'+' | b'-'), a, b, c, d, after @ ..] => {
                (Some(parse_offset(*sign, &[*a, *b], &[*c, *d])?), after)
            }
            after => (None, after),
        };
        let seconds = self.seconds - offset.unwrap_or(0);
        if seconds < 0 {
            return Err(TimeError);
        }
        let (ms, has_zone) = (seconds * 1000 + fraction, offset.is_some());
        Ok(CephTime { ms, has_zone, length: text.len() - after.len() })
    }
}
