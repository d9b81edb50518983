//! The access lines of RGW's frontends: civetweb's, and beast's.
//!
//! They stand in radosgw's log among lines about anything else, so a line counts as one only if its message is the
//! frontend's own: the words of a client, which other lines may quote, cannot make it one. Nothing in them is escaped.

use memchr::{memchr, memmem};

use super::{
    FORMAT, NUL, NUMBER, Parsed, TIME,
    time::{CephTime, Clock},
};
use crate::{
    access_log::{Record, Reject, Told, parse_time_local},
    point::TimestampMs,
};

/// A line of civetweb: `civetweb: 0x…: ADDRESS - - [TIME] "REQUEST" STATUS BYTES REFERER USER-AGENT` in radosgw's log, the
/// same from the address on in its `access_log_file`.
pub(super) fn civetweb<'a>(line: &'a [u8], clock: &mut Clock) -> Parsed<'a> {
    parse(line, b"civetweb: 0x", clock, |access, record| {
        // All that was sent, headers included.
        record.bytes_sent = Some(access.bytes);
        record.body_bytes_sent = access.bytes;
        record.user_agent = civetweb_user_agent(access.rest);
    })
}

/// A line of beast:
/// `beast: 0x…: ADDRESS - USER [TIME] "REQUEST" STATUS BYTES "REFERER" "USER-AGENT" RANGE latency=SECONDSs`.
pub(super) fn beast<'a>(line: &'a [u8], clock: &mut Clock) -> Parsed<'a> {
    parse(line, b"beast: 0x", clock, |access, record| {
        // What came and what went, in one number.
        if matches!(record.method, b"PUT" | b"POST") {
            record.content_length = Some(access.bytes);
        } else {
            record.body_bytes_sent = access.bytes;
        }
        record.user_agent = quoted(after_quoted(access.rest));
        // A release that writes another time there has no latency yet, and ends in a header of the client.
        let has_latency = access.time.get(2) == Some(&b'/');
        record.request_time_ms = if has_latency { latency(access.rest) } else { None };
    })
}

/// What the frontends write differently.
struct Access<'a> {
    /// Between the brackets.
    time: &'a [u8],
    bytes: u64,
    /// Referer, user agent and so on.
    rest: &'a [u8],
}

fn parse<'a>(
    line: &'a [u8],
    frontend: &[u8],
    clock: &mut Clock,
    fill: impl FnOnce(&Access<'a>, &mut Record<'a>),
) -> Parsed<'a> {
    let Some((logged, at)) = message(line, frontend, clock) else { return Parsed::Skipped };
    let mut cursor = Cursor { line, at };
    match cursor.record(logged, fill) {
        Ok((record, told)) => Parsed::Record(record, told),
        Err(reason) => Parsed::Rejected(Reject { reason, column: cursor.at + 1 }),
    }
}

/// When radosgw wrote the line, just after the request, and where in it the access line begins; `None` for a line about
/// something else.
fn message(line: &[u8], frontend: &[u8], clock: &mut Clock) -> Option<(Option<CephTime>, usize)> {
    // On the standard error of a container.
    let text = line.strip_prefix(b"debug ").unwrap_or(line);
    let (logged, text) = match clock.ceph(text) {
        // TIME THREAD LEVEL MESSAGE
        Ok(time) => (Some(time), after_word(after_word(&text[time.length..])?)?),
        // The journal has taken the time away.
        Err(_) if text.starts_with(frontend) => (None, text),
        // An access_log_file has nothing before the address.
        Err(_) => return begins_with_address(text).then(|| (None, line.len() - text.len())),
    };
    let text = text.strip_prefix(frontend)?;
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    Some((logged, line.len() - text[digits..].strip_prefix(b": ")?.len()))
}

/// What follows blanks, a word, and blanks.
fn after_word(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii_start();
    Some(text[memchr(b' ', text)?..].trim_ascii_start())
}

fn begins_with_address(text: &[u8]) -> bool {
    let of_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let length = text.iter().take_while(|byte| of_address(byte)).count();
    text[..length].iter().any(|byte| matches!(byte, b'.' | b':')) && text[length..].starts_with(b" - ")
}

/// A place in an access line.
struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn record(
        &mut self,
        logged: Option<CephTime>,
        fill: impl FnOnce(&Access<'a>, &mut Record<'a>),
    ) -> Result<(Record<'a>, Told<'a>), &'static str> {
        if let Some(nul) = memchr(0, self.rest()) {
            self.at += nul;
            return Err(NUL);
        }
        let (mut record, mut told) = (Record::default(), Told::default());
        record.remote_addr = present(self.until(b" - ")?);
        told.user = present(self.until(b" [")?).filter(|user| *user != b"anonymous").unwrap_or_default();
        let time_at = self.at;
        let time = self.until(b"] \"")?;
        self.request(&mut record)?;
        record.status = self.number().filter(|status| *status <= 999).ok_or(NUMBER)? as u16;
        self.take(b" ")?;
        let bytes = self.number().ok_or(NUMBER)?;
        let rest = self.rest();
        fill(&Access { time, bytes, rest: rest.strip_prefix(b" ").unwrap_or(rest) }, &mut record);
        record.time_ms = match logged {
            Some(logged) if logged.has_zone => logged.ms,
            // When it began.
            _ => match bracketed(time) {
                Some(began) => began + TimestampMs::from(record.request_time_ms.unwrap_or(0)),
                None => {
                    self.at = time_at;
                    return Err(TIME);
                }
            },
        };
        Ok((record, told))
    }

    fn rest(&self) -> &'a [u8] {
        &self.line[self.at..]
    }

    fn take(&mut self, text: &[u8]) -> Result<(), &'static str> {
        self.rest().strip_prefix(text).ok_or(FORMAT)?;
        self.at += text.len();
        Ok(())
    }

    /// What stands before this, which is taken too.
    fn until(&mut self, end: &[u8]) -> Result<&'a [u8], &'static str> {
        let rest = self.rest();
        let length = memmem::find(rest, end).ok_or(FORMAT)?;
        self.at += length + end.len();
        Ok(&rest[..length])
    }

    /// The request, its closing quote and the blank after it. A target can hold quotes, but no blanks.
    fn request(&mut self, record: &mut Record<'a>) -> Result<(), &'static str> {
        let rest = self.rest();
        let (method, target, length) = whole_request(rest).unwrap_or((b"", b"", 0));
        let length = if length > 0 { length } else { memmem::find(rest, b"\" ").ok_or(FORMAT)? };
        (record.method, record.uri, record.request) = (method, target, &rest[..length]);
        self.at += length;
        self.take(b"\" ")
    }

    /// A whole number; the frontends write -1 where they know none.
    fn number(&mut self) -> Option<u64> {
        let rest = self.rest();
        let digits = rest.strip_prefix(b"-").unwrap_or(rest);
        let length = digits.iter().take(19).take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        self.at += rest.len() - digits.len() + length;
        let value = digits[..length].iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
        Some(if digits.len() == rest.len() { value } else { 0 })
    }
}

/// Method, target, and length of `GET /b/k HTTP/1.1` before a quote.
fn whole_request(text: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let first = memchr(b' ', text)?;
    let (method, rest) = (&text[..first], &text[first + 1..]);
    let second = memchr(b' ', rest)?;
    let version = rest[second + 1..].strip_prefix(b"HTTP/")?;
    let length = version.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let is_request =
        first > 0 && second > 0 && method.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-');
    (is_request && version.get(length) == Some(&b'"'))
        .then(|| (method, &rest[..second], text.len() - version.len() + length))
}

/// The time between the brackets: `21/Nov/2026:18:59:54 +0000`, with or without milliseconds, or as Ceph writes it.
fn bracketed(text: &[u8]) -> Option<TimestampMs> {
    if let Ok(time) = Clock::default().ceph(text) {
        return (time.has_zone && time.length == text.len()).then_some(time.ms);
    }
    let (whole, rest) = text.split_at_checked(20)?;
    let (milliseconds, zone) = match rest {
        [b'.', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', zone @ ..] => {
            let digit = |byte: &u8| TimestampMs::from(byte - b'0');
            (digit(a) * 100 + digit(b) * 10 + digit(c), zone)
        }
        zone => (0, zone),
    };
    let mut local = [0; 26];
    local[..20].copy_from_slice(whole);
    local[20..].copy_from_slice(zone.try_into().ok().filter(|zone: &&[u8; 6]| zone[0] == b' ')?);
    Some(parse_time_local(&local).ok()? + milliseconds)
}

fn present(text: &[u8]) -> Option<&[u8]> {
    (!matches!(text, b"" | b"-")).then_some(text)
}

/// `REFERER USER-AGENT`, each `-` for none; with quotes in an `access_log_file` of some releases. Without, where one ends
/// is known only if there is no referer.
fn civetweb_user_agent(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'-', b' ', b'"', ..] | [b'"', ..] => quoted(after_quoted(text)),
        [b'-', b' ', agent @ ..] => present(agent),
        _ => None,
    }
}

/// What follows `-` or a quoted text, and a blank.
fn after_quoted(text: &[u8]) -> &[u8] {
    match text {
        [b'-', b' ', rest @ ..] => rest,
        [b'"', rest @ ..] => memmem::find(rest, b"\" ").map_or(&[], |at| &rest[at + 2..]),
        _ => &[],
    }
}

/// The quoted text at the start.
fn quoted(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"\"")?;
    let end = memmem::find(text, b"\" ").or_else(|| text.ends_with(b"\"").then(|| text.len() - 1))?;
    present(&text[..end])
}

/// `latency=0.012345678s` at the end, ms.
fn latency(text: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b" latency=";
    let value = text[memmem::rfind(text, NAME)? + NAME.len()..].strip_suffix(b"s")?;
    let dot = memchr(b'.', value)?;
    let (seconds, decimals) = (&value[..dot], &value[dot + 1..]);
    let digits = |text: &[u8]| -> Option<u32> {
        text.iter().try_fold(0_u32, |value, digit| {
            let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
            value.checked_mul(10)?.checked_add(digit)
        })
    };
    digits(decimals)?;
    let milliseconds = digits(decimals.get(..3)?)?;
    Some(digits(seconds)?.saturating_mul(1000).saturating_add(milliseconds))
}
