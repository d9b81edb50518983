//! nginx's times.

use crate::point::TimestampMs;

/// Not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time")]
pub struct TimeError;

/// `$msec`: seconds with three decimals.
pub fn parse_msec(text: &[u8]) -> Result<TimestampMs, TimeError> {
    let _ = text;
    Err(TimeError)
}

/// `$time_local`: `21/Nov/2026:18:59:54 +0000`.
pub fn parse_time_local(text: &[u8]) -> Result<TimestampMs, TimeError> {
    let _ = text;
    Err(TimeError)
}
