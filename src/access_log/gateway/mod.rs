//! RGW's own logs, for nodes without an nginx: its ops log, and the access lines of its frontends civetweb and beast.
//!
//! A line of these is not always one request: the ops log has several objects on a line, and radosgw's log has lines
//! about other things between the access lines. So what [`GatewayParser::parse`] gives are *records*, any number a line.

mod entry;
mod frontend;
mod json;
mod time;

#[cfg(test)]
mod tests;

use super::{Record, Reject, Told};
use time::Clock;

/// The text around the values is not the format's.
const FORMAT: &str = "format";
/// What has to be a number is none, or is missing.
const NUMBER: &str = "number";
/// What has to be a time is none, or is missing.
const TIME: &str = "time";
/// A byte 0, which RGW never writes: a hole that a crash or a copy left in the file.
const NUL: &str = "nul";

/// One of RGW's own logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayLog {
    /// The ops log: JSON objects, in a file (`rgw_ops_log_file_path`) or from a socket (`rgw_ops_log_socket_path`).
    Ops,
    /// The ops log in the time of Jewel (10), where `total_time` is in microseconds.
    OpsJewel,
    /// The access lines of the frontend civetweb: in radosgw's log (at level 1 of `debug_rgw`), or in its
    /// `access_log_file`. They have no latency.
    Civetweb,
    /// The access lines of the frontend beast, in radosgw's log.
    Beast,
}

impl GatewayLog {
    /// The names that [`named`](Self::named) knows.
    pub const NAMES: &[&str] = &["rgw-ops", "rgw-ops-jewel", "civetweb", "beast"];

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Ops, Self::OpsJewel, Self::Civetweb, Self::Beast].into_iter().find(|log| log.name() == name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ops => "rgw-ops",
            Self::OpsJewel => "rgw-ops-jewel",
            Self::Civetweb => "civetweb",
            Self::Beast => "beast",
        }
    }

    /// Whether it is an ops log.
    pub const fn is_ops(self) -> bool {
        matches!(self, Self::Ops | Self::OpsJewel)
    }
}

/// What stands on a line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is nearly always the large one, and never kept: a box would be a waste"
)]
pub enum Parsed<'a> {
    /// A request, and what RGW says about it beside. The text of both is escaped as the record's `escape` says.
    Record(Record<'a>, Told<'a>),
    /// What should be a request, and cannot be read.
    Rejected(Reject),
    /// A line that is about no request.
    Skipped,
}

/// Takes lines of RGW's own logs apart.
#[derive(Clone, Debug)]
pub struct GatewayParser {
    log: GatewayLog,
    clock: Clock,
}

impl GatewayParser {
    /// A parser of this log.
    pub fn new(log: GatewayLog) -> Self {
        Self { log, clock: Clock::default() }
    }

    /// Hands each record of a line (without its newline) to `each`, with the bytes that it is, in order: records, rejects,
    /// or one [`Parsed::Skipped`] for a line that holds neither.
    pub fn parse<'a>(&mut self, line: &'a [u8], mut each: impl FnMut(&'a [u8], Parsed<'a>)) {
        match self.log {
            GatewayLog::Ops => self.objects(line, 1, &mut each),
            GatewayLog::OpsJewel => self.objects(line, 1000, &mut each),
            GatewayLog::Civetweb => each(line, frontend::civetweb(line, &mut self.clock)),
            GatewayLog::Beast => each(line, frontend::beast(line, &mut self.clock)),
        }
    }

    /// The objects of a line of an ops log. RGW writes them one after the other and ends the line when it has no more for
    /// now, so that some lines hold many and some none; through the socket they come in the dress of one long list.
    fn objects<'a>(
        &mut self,
        line: &'a [u8],
        units_per_ms: u64,
        each: &mut impl FnMut(&'a [u8], Parsed<'a>),
    ) {
        let mut at = 0;
        let mut none = true;
        loop {
            at += line[at..]
                .iter()
                .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b',' | b'[' | b']'))
                .count();
            if at == line.len() {
                break;
            }
            none = false;
            let (end, parsed) = match entry::parse(line, at, units_per_ms, &mut self.clock) {
                Ok((end, record, told)) => (end, Parsed::Record(record, told)),
                Err(fault) => {
                    let end = fault.end.unwrap_or_else(|| next_start(line, at + 1));
                    (end, Parsed::Rejected(Reject { reason: fault.reason, column: fault.at + 1 }))
                }
            };
            each(&line[at..end], parsed);
            at = end;
        }
        if none {
            each(line, Parsed::Skipped);
        }
    }
}

/// How every object of an ops log begins, in every release. Within an object these bytes cannot stand: a quote in a text
/// is escaped, and no object inside has this key first. So a torn object (a full disk: RGW writes the whole one again)
/// costs itself only.
const START: &[u8] = b"{\"bucket\":";

/// Where the next object begins, or the end of the line.
#[cold]
fn next_start(line: &[u8], from: usize) -> usize {
    memchr::memmem::find(&line[from..], START).map_or(line.len(), |at| from + at)
}
