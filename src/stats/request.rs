//! A request, measured: what a record and its classification mean in numbers.

use super::{Size, SlowSettings};
use crate::access_log::{Class, Classified, Operation, Protocol, Record};

/// How a request ended. Disjoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// Below 400, and nginx's `000`.
    Ok = 0,
    /// 400 to 499, without 499.
    Error4xx = 1,
    /// From 500 on.
    Error5xx = 2,
    /// 499: the client went away before the answer.
    Aborted = 3,
}

impl Outcome {
    /// Of an answered status.
    #[inline]
    pub const fn of(status: u16) -> Self {
        [Self::Ok, Self::Error4xx, Self::Error5xx, Self::Aborted][Self::number(status) as usize]
    }

    /// Its number, without a branch.
    #[inline(always)]
    pub(super) const fn number(status: u16) -> u8 {
        (status >= 400) as u8 + (status >= 500) as u8 + 2 * (status == 499) as u8
    }
}

/// One request, ready to be counted.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What the log said.
    pub record: &'a Record<'a>,
    /// Our class.
    pub class: Class,
    /// The API.
    pub protocol: Protocol,
    /// RGW's operation.
    pub operation: Operation,
    /// `bucket` or `tenant/bucket`, decoded; empty for none.
    pub bucket: &'a [u8],
    /// Object key, decoded; of a request that is only counted, as it was sent.
    pub object: &'a [u8],
    /// How it ended.
    pub outcome: Outcome,
    /// Small or large body.
    pub size: Size,
    /// Slow, as the settings mean it.
    pub slow: bool,
    /// What came of the body: `$content_length` if the format has it and the request said it, but never more than
    /// `$request_length`, since what a client announces it need not send. Without it `$request_length`, headers included;
    /// but nothing for a request that could have announced a body and did not, unless it may be one in chunks.
    pub bytes_in: u64,
    /// `$body_bytes_sent`.
    pub bytes_out: u64,
}

impl<'a> Request<'a> {
    /// Measures a record. `label` holds `tenant/bucket` where there is a tenant.
    pub fn new(
        record: &'a Record<'a>,
        what: &Classified<'a>,
        settings: &SlowSettings,
        label: &'a mut Vec<u8>,
    ) -> Self {
        let bytes_in = bytes_in(record);
        let bytes_out = record.body_bytes_sent;
        let body = bytes_in.max(bytes_out);
        let is_large = is_large(body, settings);
        let size = if is_large { Size::Large } else { Size::Small };
        let slow = is_slow(what.class as u32, is_large, body, record.request_time_ms.unwrap_or(0), settings);
        let bucket = if what.tenant.is_empty() || what.bucket.is_empty() {
            what.bucket
        } else {
            label.clear();
            label.extend_from_slice(what.tenant);
            label.push(b'/');
            label.extend_from_slice(what.bucket);
            label
        };
        Self {
            record,
            class: what.class,
            protocol: what.protocol,
            operation: what.operation,
            bucket,
            object: what.object,
            outcome: Outcome::of(record.status),
            size,
            slow,
            bytes_in,
            bytes_out,
        }
    }
}

/// As [`Request::bytes_in`] has it.
#[inline(always)]
pub(super) fn bytes_in(record: &Record<'_>) -> u64 {
    let came = record.request_length;
    match record.content_length {
        Some(announced) => announced.min(came.unwrap_or(announced)),
        None if record.logs_content_length && !matches!(record.method, b"PUT" | b"POST") => 0,
        None => came.unwrap_or(0),
    }
}

/// Whether the larger of its bodies is a large one.
#[inline(always)]
pub(super) const fn is_large(body: u64, settings: &SlowSettings) -> bool {
    body > settings.small_bytes
}

/// Whether an answer says that there is a bucket.
#[inline(always)]
pub(super) const fn is_success(status: u16) -> bool {
    (status >= 200) & (status <= 299) | (status == 304)
}

/// A small request is slow by its time, a large one by its rate: a 5 GB upload of a minute is not slow. `class` is the number
/// of a class.
#[inline(always)]
pub(super) fn is_slow(class: u32, is_large: bool, body: u64, time_ms: u32, settings: &SlowSettings) -> bool {
    const MAY_BE: u32 = 1 << Class::Upload as u32
        | 1 << Class::Download as u32
        | 1 << Class::List as u32
        | 1 << Class::Delete as u32;
    // So that no product is more than 64 bits hold: 9 PB, and 2 GiB a second.
    let (body, rate) = (body.min(1 << 53), settings.large_bytes_per_second.min(1 << 31));
    let by_time = time_ms > settings.small_ms;
    let by_rate = body * 1000 < rate * u64::from(time_ms);
    // Without a branch: half of all requests are large, and nobody can predict which.
    (MAY_BE >> (class % 32) & 1 == 1) & (is_large & by_rate | !is_large & by_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_disjoint_and_whole() {
        for (status, outcome) in [
            (0, Outcome::Ok),
            (200, Outcome::Ok),
            (304, Outcome::Ok),
            (399, Outcome::Ok),
            (400, Outcome::Error4xx),
            (404, Outcome::Error4xx),
            (499, Outcome::Aborted),
            (500, Outcome::Error5xx),
            (999, Outcome::Error5xx),
        ] {
            assert_eq!(Outcome::of(status), outcome, "{status}");
        }
    }

    #[test]
    fn bytes_in_are_bytes_that_came() {
        for (content_length, request_length, bytes_in) in [
            (Some(1000), Some(1400), 1000),
            (Some(1 << 60), Some(700), 700),
            (None, Some(700), 700),
            (Some(1000), None, 1000),
            (None, None, 0),
        ] {
            let record = Record { content_length, request_length, ..Record::default() };
            let what = Classified {
                protocol: Protocol::S3,
                operation: Operation::PutObj,
                class: Class::Upload,
                tenant: b"",
                bucket: b"b",
                object: b"k",
            };
            let settings = SlowSettings::default();
            assert_eq!(Request::new(&record, &what, &settings, &mut Vec::new()).bytes_in, bytes_in);
        }
    }

    #[test]
    fn large_is_slow_by_rate_small_by_time() {
        let settings = SlowSettings::default();
        let slow = |size, body, ms| is_slow(Class::Upload as u32, size == Size::Large, body, ms, &settings);
        assert!(!slow(Size::Small, 10, 1000) && slow(Size::Small, 10, 1001));
        assert!(!slow(Size::Large, 5 << 30, 60_000), "5 GiB in a minute is not slow");
        assert!(slow(Size::Large, 2 << 20, 2001));
        assert!(!is_slow(Class::Multipart as u32, false, 10, 60_000, &settings), "completing takes its time");
    }
}
