//! Requests that are kept one by one, and which they are.

use xxhash_rust::xxh3::xxh3_64;

use super::{EventSettings, Outcome, Request, Texts};
use crate::{
    access_log::{Class, Operation, redacted_uri, unescape},
    point::TimestampMs,
};

/// A request kept one by one: `rgw_event`. Text is printable and bounded; the URI is without its query's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// End of the request.
    pub time_ms: TimestampMs,
    /// From the line's content: gives the point its digits below the millisecond, so that two requests of one
    /// millisecond are two points, and a line that is read again is the same point again.
    pub hash: u64,
    /// Class.
    pub class: Class,
    /// Operation.
    pub operation: Operation,
    /// Status.
    pub status: u16,
    /// Slow.
    pub slow: bool,
    /// Where a slow one lost its time, if the log shows it.
    pub verdict: Option<Verdict>,
    /// Bytes in.
    pub bytes_in: u64,
    /// Body bytes out.
    pub bytes_out: u64,
    /// `$request_time`, ms, if the log has it.
    pub request_time_ms: Option<u32>,
    /// Sum of `$upstream_response_time`, ms.
    pub upstream_time_ms: Option<u32>,
    /// The texts.
    pub texts: Texts,
}

/// Where the time of a slow request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// The gateway took most of it.
    Gateway = 1,
    /// The gateway was done: the client was slow to send or to receive.
    Client = 2,
    /// nginx tried more than one gateway.
    Retried = 3,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Client, Self::Retried];

    /// What a client sends without waiting for anybody: ten TCP segments, head included (RFC 6928). Bytes.
    const SENT_AT_ONCE: u64 = 10_000;

    /// The value of the field `verdict`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Client => "client",
            Self::Retried => "retried",
        }
    }

    /// From the upstream times: `None` without them.
    ///
    /// The gateway is to blame for the time until its first byte; after that the slower of the two sets the pace, and
    /// nginx stops the upstream's clock when it has the last byte: what is left of `$request_time` was the client's.
    /// A request body is read while the upstream's clock runs (`proxy_request_buffering off`), so a client that is slow to
    /// send looks like a gateway that is slow to answer: `None` where more came than fits in with the head.
    pub fn of(request: &Request<'_>) -> Option<Self> {
        let record = request.record;
        let header = record.upstream_header_time_ms.or(record.upstream_response_time_ms)?;
        if record.upstream_tries > 1 {
            return Some(Self::Retried);
        }
        let whole = record.request_time_ms.unwrap_or(header);
        if u64::from(header) * 2 < u64::from(whole) {
            return Some(Self::Client);
        }
        (request.bytes_in <= Self::SENT_AT_ONCE).then_some(Self::Gateway)
    }
}

impl Event {
    /// One of its [texts](Texts::NAMES); empty if there is none of this name.
    pub fn text(&self, name: &str) -> &str {
        self.texts.get(name)
    }

    fn new(request: &Request<'_>, hash: u64, scratch: &mut Scratch) -> Self {
        let record = request.record;
        let [method, sent, uri, remote_addr, user_agent] = scratch;
        redacted_uri(unescape(record.uri, record.escape, sent), uri);
        let remote = record.remote_addr.unwrap_or_default();
        let agent = record.user_agent.unwrap_or_default();
        let texts = Texts::printable([
            request.bucket,
            request.object,
            unescape(record.method, record.escape, method),
            uri,
            unescape(remote, record.escape, remote_addr),
            unescape(agent, record.escape, user_agent),
        ]);
        Self {
            time_ms: record.time_ms,
            hash,
            class: request.class,
            operation: request.operation,
            status: record.status,
            slow: request.slow,
            verdict: request.slow.then(|| Verdict::of(request)).flatten(),
            bytes_in: request.bytes_in,
            bytes_out: request.bytes_out,
            request_time_ms: record.request_time_ms,
            upstream_time_ms: record.upstream_response_time_ms,
            texts,
        }
    }
}

/// Why a request is kept. Each kind has a cap of its own per window: a flood of one does not hide the others.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Kind {
    Slow = 1,
    Error5xx,
    Error4xx,
    Sampled,
    Probe,
}

/// Requests of our own probe that are kept, of every window: those of a dozen rounds, so that a flood with a stolen mark
/// stays bounded.
const PROBE_REQUESTS: usize = 1_000;

impl Kind {
    const ALL: [Self; 5] = [Self::Slow, Self::Error5xx, Self::Error4xx, Self::Sampled, Self::Probe];

    /// Why an event was kept.
    fn of(event: &Event) -> Self {
        match (event.slow, event.status) {
            _ if event.class == Class::Probe => Self::Probe,
            (true, _) => Self::Slow,
            (false, 500..) => Self::Error5xx,
            (false, 499) => Self::Sampled,
            (false, 400..) => Self::Error4xx,
            _ => Self::Sampled,
        }
    }

    fn cap(self, settings: &EventSettings) -> usize {
        match self {
            Self::Slow => settings.slow,
            Self::Error5xx => settings.errors_5xx,
            Self::Error4xx => settings.errors_4xx,
            Self::Sampled => settings.sampled,
            Self::Probe => PROBE_REQUESTS,
        }
    }
}

/// Which requests may be kept: the settings, as far as they can be decided for all requests.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    enabled: bool,
    not_found: bool,
    /// Of the numbers below 2^53, those below this are in the sample.
    sampled: u64,
}

impl Wanted {
    /// By these settings.
    pub fn new(settings: &EventSettings) -> Self {
        let EventSettings { enabled, not_found, sample, .. } = *settings;
        Self { enabled, not_found, sampled: (sample * (1u64 << 53) as f64).ceil() as u64 }
    }

    /// A number below 2^53 that decides whether a request is in the sample: the same whoever reads it, and however often. Made
    /// of its numbers, since nearly every request is asked about, and to hash its whole line costs more than to count it.
    #[inline(always)]
    pub(super) fn number(
        time_ms: TimestampMs,
        request_time_ms: u32,
        bytes_in: u64,
        bytes_out: u64,
        uri: u32,
    ) -> u64 {
        let time = time_ms as u64 ^ u64::from(request_time_ms) << 44;
        let size = bytes_out.rotate_left(17) ^ bytes_in.rotate_left(40) ^ u64::from(uri) << 20;
        let mut number = time ^ size;
        for factor in [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03] {
            number = (number ^ number >> 32).wrapping_mul(factor);
        }
        number >> 11
    }

    /// Why a request with this [number](Self::number) is kept where there is room for it, as the number of a [`Kind`]; 0 for one
    /// that is not. `class` and `outcome` are numbers. Without a branch, so that many are asked about at once.
    #[inline(always)]
    pub(super) fn reason(&self, class: u32, slow: bool, outcome: u8, status: u16, number: u64) -> u8 {
        let is = |other: Outcome| outcome == other as u8;
        let is_4xx = is(Outcome::Error4xx) & (self.not_found | (status != 404));
        let in_sample = (is(Outcome::Ok) | is(Outcome::Aborted)) & (number < self.sampled);
        let mut reason = if in_sample { Kind::Sampled as u8 } else { 0 };
        reason = if is_4xx { Kind::Error4xx as u8 } else { reason };
        reason = if is(Outcome::Error5xx) { Kind::Error5xx as u8 } else { reason };
        reason = if slow { Kind::Slow as u8 } else { reason };
        reason = if self.enabled { reason } else { 0 };
        if class == Class::Probe as u32 { Kind::Probe as u8 } else { reason }
    }

    /// The same of a request.
    pub(super) fn reason_of(&self, request: &Request<'_>) -> u8 {
        let Request { record, class, slow, outcome, bytes_in, bytes_out, .. } = *request;
        let time_ms = record.request_time_ms.unwrap_or(0);
        let number = Self::number(record.time_ms, time_ms, bytes_in, bytes_out, record.uri.len() as u32);
        self.reason(class as u32, slow, outcome as u8, record.status, number)
    }
}

/// Keeps the first requests of each kind in a window, in the order of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct EventTally {
    /// By the number of the kind.
    kept: [usize; 1 + Kind::ALL.len()],
    events: Vec<Event>,
    scratch: Scratch,
}

/// Memory to make texts in.
type Scratch = [Vec<u8>; 5];

impl EventTally {
    /// Keeps the request if it is wanted, and the cap of its kind is not reached. `line` is the whole line.
    pub(super) fn record(&mut self, request: &Request<'_>, line: &[u8], settings: &EventSettings) {
        let reason = Wanted::new(settings).reason_of(request);
        if self.has_room(reason, settings) {
            self.kept[usize::from(reason)] += 1;
            self.events.push(Event::new(request, xxh3_64(line), &mut self.scratch));
        }
    }

    /// Whether one more that is kept for this [reason](Wanted::reason) would be.
    pub(super) fn has_room(&self, reason: u8, settings: &EventSettings) -> bool {
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == reason);
        kind.is_some_and(|kind| self.kept[kind as usize] < kind.cap(settings))
    }

    /// What was kept since the last call. The caps go on counting: they are per window, not per piece of it.
    pub(super) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Goes on where a window left off that was restored from the store.
    pub(super) fn resume(&mut self, events: &[Event], settings: &EventSettings) {
        for event in events {
            let kind = Kind::of(event);
            self.kept[kind as usize] += usize::from(settings.enabled || matches!(kind, Kind::Probe));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::{Classified, Protocol, Record};

    #[test]
    fn a_sample_is_of_the_share_that_was_asked_for() {
        let what = Classified {
            protocol: Protocol::S3,
            operation: Operation::GetObj,
            class: Class::Download,
            tenant: b"",
            bucket: b"b",
            object: b"k",
        };
        let share_of = |share| {
            let kept = |i: &u32| {
                let time_ms = 1_700_000_000_000 + i64::from(*i / 7);
                let record = Record { time_ms, body_bytes_sent: u64::from(*i % 7), ..Record::default() };
                let mut label = Vec::new();
                let request =
                    Request::new(&record, &what, &super::super::SlowSettings::default(), &mut label);
                Wanted::new(&EventSettings { sample: share, ..EventSettings::default() }).reason_of(&request)
                    > 0
            };
            (0..100_000).filter(kept).count()
        };
        assert_eq!((share_of(0.0), share_of(1.0)), (0, 100_000));
        let tenth = share_of(0.1);
        assert!((9_500..10_500).contains(&tenth), "{tenth} of 100,000");
    }
}
