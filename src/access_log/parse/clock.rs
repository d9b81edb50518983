//! Times of lines. Neighbouring lines end in the same second, so what was converted last is remembered.

use super::TIME;
use super::value::{Fault, Parsed, three_digits};
use crate::access_log::{TimeError, parse_msec, parse_time_iso8601, parse_time_local};
use crate::point::TimestampMs;

/// Length of `21/Nov/2026:18:59:54 +0000`.
pub(super) const TIME_LOCAL: usize = 26;

/// What was converted last, for each way nginx writes times.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    /// The whole seconds of `$msec` with the dot: eleven bytes since 2001, until 2286.
    msec: Memo<11>,
    time_iso8601: Memo<25>,
    time_local: Memo<TIME_LOCAL>,
}

impl Clock {
    #[inline(always)]
    pub(super) fn msec<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, TimestampMs> {
        if let Some((seconds, rest)) = input.split_first_chunk()
            && *seconds == self.msec.text
            && let Ok((rest, milliseconds)) = three_digits(rest)
        {
            return Ok((rest, self.msec.time + TimestampMs::from(milliseconds)));
        }
        self.another_msec(input)
    }

    #[cold]
    fn another_msec<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, TimestampMs> {
        if let Ok((rest, seconds)) = self.msec.read(input, whole_seconds)
            && let Ok((rest, milliseconds)) = three_digits(rest)
        {
            return Ok((rest, seconds + TimestampMs::from(milliseconds)));
        }
        let length = input.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let (text, rest) = input.split_at(length);
        parse_msec(text).map(|time| (rest, time)).map_err(|TimeError| Fault::new(TIME, input))
    }

    #[inline]
    pub(super) fn time_iso8601<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, TimestampMs> {
        self.time_iso8601.read(input, parse_time_iso8601)
    }

    #[cold]
    pub(super) fn time_local<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, TimestampMs> {
        self.time_local.read(input, parse_time_local)
    }

    /// The same where it does not matter why it is none.
    #[inline(always)]
    pub(super) fn known_time_local(&mut self, text: &[u8; TIME_LOCAL]) -> Option<TimestampMs> {
        if self.time_local.text == *text {
            return Some(self.time_local.time);
        }
        self.time_local(text).ok().map(|(_, time_ms)| time_ms)
    }
}

/// `1795287594.` without its decimals.
fn whole_seconds(text: &[u8]) -> Result<TimestampMs, TimeError> {
    let mut whole = [b'0'; 14];
    whole[..11].copy_from_slice(text);
    parse_msec(&whole)
}

/// A text of fixed length and the time it is.
#[derive(Clone, Debug)]
struct Memo<const N: usize> {
    /// Bytes 0 before the first: no line has them.
    text: [u8; N],
    time: TimestampMs,
}

impl<const N: usize> Default for Memo<N> {
    fn default() -> Self {
        Self { text: [0; N], time: 0 }
    }
}

impl<const N: usize> Memo<N> {
    #[inline]
    fn read<'a>(
        &mut self,
        input: &'a [u8],
        convert: impl FnOnce(&[u8]) -> Result<TimestampMs, TimeError>,
    ) -> Parsed<'a, TimestampMs> {
        let Some((text, rest)) = input.split_first_chunk::<N>() else { return Err(Fault::new(TIME, input)) };
        if *text != self.text {
            self.time = convert(text).map_err(|TimeError| Fault::new(TIME, input))?;
            self.text = *text;
        }
        Ok((rest, self.time))
    }
}
