//! An object of the ops log.

use super::{
    FORMAT, NUL, NUMBER, TIME,
    json::{Json, Value},
    time::Clock,
};
use crate::{
    access_log::{Escape, Record, Told},
    point::TimestampMs,
};

/// Why something is no entry of an ops log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: &'static str,
    /// Where in the line.
    pub(super) at: usize,
    /// Where it ends, if it is an object all the same.
    pub(super) end: Option<usize>,
}

/// The longest time a request is believed to take, ms: a month.
const LONGEST_MS: u64 = 31 * 24 * 3600 * 1000;

/// The object that begins at `at`: where it ends, and what it says. Keys that we have no use for are skipped, and those
/// that a release does not have yet are missing.
pub(super) fn parse<'a>(
    line: &'a [u8],
    at: usize,
    units_per_ms: u64,
    clock: &mut Clock,
) -> Result<(usize, Record<'a>, Told<'a>), Fault> {
    let mut json = Json::new(line, at);
    let mut record = Record { escape: Some(Escape::Json), ..Record::default() };
    let mut told = Told::default();
    let mut said = Said::default();
    if members(&mut json, |key, value| field(key, value, &mut record, &mut told, &mut said)).is_none() {
        return Err(Fault { reason: FORMAT, at: json.at.min(line.len()), end: None });
    }
    let fault = |reason| Fault { reason, at, end: Some(json.at) };
    if memchr::memchr(0, &line[at..json.at]).is_some() {
        return Err(fault(NUL));
    }
    record.status =
        said.status.and_then(number).filter(|status| *status <= 999).ok_or_else(|| fault(NUMBER))? as u16;
    let taken = said.total_time.and_then(number).map(|time| time / units_per_ms);
    record.request_time_ms = taken.map(|ms| u32::try_from(ms).unwrap_or(u32::MAX));
    // RGW logs when a request began; a request is counted when it ends, and that is also when it is written.
    let began = began(&said, clock).ok_or_else(|| fault(TIME))?;
    record.time_ms = began + TimestampMs::try_from(taken.unwrap_or(0).min(LONGEST_MS)).unwrap_or(0);
    (record.method, record.uri) = request(record.request, told.operation);
    Ok((json.at, record, told))
}

/// Calls `each` with every member of an object. `None` where it stops being one.
#[inline]
fn members<'a>(json: &mut Json<'a>, mut each: impl FnMut(&'a [u8], Value<'a>)) -> Option<()> {
    json.take(b'{')?;
    if json.peek()? == b'}' {
        return json.take(b'}');
    }
    loop {
        let key = json.text()?;
        json.take(b':')?;
        each(key, json.value()?);
        if json.peek()? == b'}' {
            return json.take(b'}');
        }
        json.take(b',')?;
    }
}

/// What has to be looked at once all is read.
#[derive(Default)]
struct Said<'a> {
    status: Option<&'a [u8]>,
    total_time: Option<&'a [u8]>,
    time: Option<&'a [u8]>,
    time_local: Option<&'a [u8]>,
}

#[inline]
fn field<'a>(
    key: &[u8],
    value: Value<'a>,
    record: &mut Record<'a>,
    told: &mut Told<'a>,
    said: &mut Said<'a>,
) {
    let text = value.bytes();
    let present = (!matches!(text, b"" | b"-")).then_some(text);
    match key {
        b"bucket" => told.bucket = present.unwrap_or_default(),
        b"object" => told.object = present.unwrap_or_default(),
        b"time" => said.time = Some(text),
        b"time_local" => said.time_local = Some(text),
        b"remote_addr" => record.remote_addr = present,
        b"user" => told.user = present.unwrap_or_default(),
        b"operation" => told.operation = present.unwrap_or_default(),
        b"uri" => record.request = text,
        b"http_status" => said.status = Some(text),
        b"error_code" => told.error_code = present.unwrap_or_default(),
        b"bytes_sent" => record.body_bytes_sent = number(text).unwrap_or(0),
        b"bytes_received" => record.content_length = number(text),
        b"total_time" => said.total_time = Some(text),
        b"user_agent" => record.user_agent = present,
        b"trans_id" => record.gateway_request_id = present,
        _ => {}
    }
}

/// A whole number. RGW's clock may be set back within a request: a negative one is 0.
#[inline]
fn number(text: &[u8]) -> Option<u64> {
    let (text, negative) = text.strip_prefix(b"-").map_or((text, false), |text| (text, true));
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let value = text.iter().try_fold(0_u64, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0'))
    })?;
    Some(if negative { 0 } else { value })
}

/// When the request began: `time` is in UTC; releases before there was one have `time_local`, some of them with its zone.
fn began(said: &Said<'_>, clock: &mut Clock) -> Option<TimestampMs> {
    let mut read = |text: Option<&[u8]>, needs_zone: bool| {
        let text = text?;
        let time = clock.ceph(text).ok()?;
        (time.length == text.len() && (time.has_zone || !needs_zone)).then_some(time.ms)
    };
    read(said.time, false).or_else(|| read(said.time_local, true))
}

/// Method and target of `uri`: `PUT /b/k HTTP/1.1`; in old releases only the target, and the method is the operation.
fn request<'a>(uri: &'a [u8], operation: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let is_method = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_uppercase);
    if uri.first() == Some(&b'/') {
        let method = if is_method(operation) { operation } else { b"" };
        return (method, undoubled(uri));
    }
    let Some(blank) = memchr::memchr(b' ', uri) else { return (b"", b"") };
    let (method, target) = (&uri[..blank], &uri[blank + 1..]);
    let target = match memchr::memmem::rfind(target, b" HTTP/") {
        Some(at) => &target[..at],
        None => target,
    };
    if is_method(method) { (method, undoubled(target)) } else { (b"", b"") }
}

/// Some releases append the query to a target that has it already.
fn undoubled(target: &[u8]) -> &[u8] {
    let Some(mark) = memchr::memchr(b'?', target) else { return target };
    let query = &target[mark + 1..];
    let (first, second) = query.split_at(query.len() / 2);
    match second.split_first() {
        Some((b'?', second)) if first == second && !first.is_empty() => &target[..mark + 1 + first.len()],
        _ => target,
    }
}
