//! What one line of an access log says, numbers already numbers, text still as nginx escaped it.

use super::{Escape, Method};
use crate::point::TimestampMs;

/// One request as the log has it. Text fields are slices of the line, still escaped as [`escape`](Self::escape) says;
/// `None` where the format does not carry the variable, or where the value is empty or `-`: what nginx writes for
/// nothing depends on `escape=`, and a header with the value `-` cannot be told from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// How nginx escaped the text fields: undo it with [`unescape`](super::unescape) before looking inside. `None` where
    /// nothing on the line is escaped.
    pub escape: Option<Escape>,
    /// End of the request: `$msec`, else `$time_iso8601`, else `$time_local` with its offset (whole seconds).
    pub time_ms: TimestampMs,
    /// The request line as the client sent it, or as much of it as nginx could read: `$request`. Empty when the format
    /// has `$request_method` and `$request_uri` in its place.
    pub request: &'a [u8],
    /// The method: first word of `$request`, or `$request_method`. Empty for garbage: when `$request` is not
    /// `METHOD target` or `METHOD target HTTP/x.y`, as nginx understands these.
    pub method: &'a [u8],
    /// The request target, query included: second word of `$request`, or `$request_uri`. Its query is a secret.
    pub uri: &'a [u8],
    /// What was seen of a plain target while it was looked for; `None` says nothing.
    pub plain: Option<PlainTarget<'a>>,
    /// `$status`; 0 where nginx wrote `000` (it closed the connection without an answer), 9 for HTTP/0.9 (`009`).
    pub status: u16,
    /// `$request_length`, bytes: request line, headers and body.
    pub request_length: Option<u64>,
    /// `$content_length`, bytes: what the client announced. `None` also for a header that is no number.
    pub content_length: Option<u64>,
    /// The format has `$content_length`: a request without one sent no body, or sent it in chunks.
    pub logs_content_length: bool,
    /// `$body_bytes_sent`, bytes; `$bytes_sent`, headers included, in a format without it.
    pub body_bytes_sent: u64,
    /// `$bytes_sent`, bytes: headers included.
    pub bytes_sent: Option<u64>,
    /// `$request_time`, milliseconds, until the last byte went to the client. Only the predefined format `combined` has
    /// none.
    pub request_time_ms: Option<u32>,
    /// `$http_host`, the header as the client sent it, or else `$host`: that of an absolute target if there is one.
    pub host: Option<&'a [u8]>,
    /// It is `$http_host`.
    pub host_as_sent: bool,
    /// `$remote_addr`.
    pub remote_addr: Option<&'a [u8]>,
    /// `$http_user_agent`.
    pub user_agent: Option<&'a [u8]>,
    /// `$upstream_addr`: a list when nginx retried.
    pub upstream_addr: Option<&'a [u8]>,
    /// How many upstream servers nginx tried (entries of `$upstream_addr`, `$upstream_status` or the times); 0 for none.
    /// A group of which none is left, which nginx logs by its name, counts as one.
    pub upstream_tries: u8,
    /// Sum of `$upstream_response_time`, milliseconds; entries `-` (no answer came) count nothing.
    pub upstream_response_time_ms: Option<u32>,
    /// Sum of `$upstream_header_time`, milliseconds: until the gateway's first byte.
    pub upstream_header_time_ms: Option<u32>,
    /// Last entry of `$upstream_status`; `None` when that is `-`.
    pub upstream_status: Option<u16>,
    /// `$http_x_amz_copy_source` is there and not empty: with PUT of an object, a copy.
    pub has_copy_source: bool,
    /// `$http_x_copy_from` is there and not empty: with a Swift PUT of an object, a copy.
    pub has_copy_from: bool,
    /// `$http_destination`: where Swift's COPY copies to.
    pub destination: Option<&'a [u8]>,
    /// `$content_type`, the request's.
    pub content_type: Option<&'a [u8]>,
    /// The gateway's id of the request (`$upstream_http_x_amz_request_id`, `$upstream_http_x_trans_id`).
    pub gateway_request_id: Option<&'a [u8]>,
}

/// A target as nearly all are: `/segment` or `/segment/and/more`, a query or none, nothing encoded in the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainTarget<'a> {
    /// The method.
    pub method: Method,
    /// How many bytes the path's first segment has: at least one, and neither colon nor `%`.
    pub segment: usize,
    /// How many bytes the path has, which is all before a `?`.
    pub path: usize,
    /// The target, and what follows it on the line: in a longer text, more is looked at at once.
    pub text: &'a [u8],
}

impl<'a> PlainTarget<'a> {
    /// The first segment, and all that follows it on the line.
    #[inline(always)]
    pub fn segment_on(&self) -> &'a [u8] {
        self.text.get(1..).unwrap_or_default()
    }
}

#[cfg(test)]
impl<'a> PlainTarget<'a> {
    /// What a target is, by its definition.
    pub(super) fn of(method: &[u8], uri: &'a [u8]) -> Option<Self> {
        let path = uri.split(|byte| *byte == b'?').next()?;
        let segment = path.strip_prefix(b"/")?.split(|byte| *byte == b'/').next()?;
        let is_plain = !segment.is_empty() && !segment.iter().any(|byte| b":%".contains(byte));
        Method::parse(method).filter(|_| is_plain).map(|method| Self {
            method,
            segment: segment.len(),
            path: path.len(),
            text: uri,
        })
    }
}
