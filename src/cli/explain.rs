//! `rgwlens explain`: how a line parses, and what it is.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use anyhow::Context as _;
use serde::Serialize;

use super::{
    OK,
    args::{ExplainArgs, GlobalArgs},
    context, json,
};
use crate::{
    access_log::{Reject, Told, redacted_uri, unescape},
    pipeline::{InputReader, Unit},
    stats::{Request, SlowSettings},
};

pub(super) fn run(global: &GlobalArgs, args: &ExplainArgs) -> anyhow::Result<u8> {
    let config = context::load(global)?;
    let format = context::format(&args.format, context::log_of(&config, None))?;
    let mut reader = InputReader::new(format, context::classifier_for_a_look(&args.format, &config));
    let input: Box<dyn BufRead> = if args.file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let path = args.file.display();
        Box::new(BufReader::new(File::open(&args.file).with_context(|| format!("cannot open {path}"))?))
    };
    let mut out = BufWriter::new(anstream::stdout().lock());
    explain(input, &mut reader, &config.settings.slow, args.json, &mut out)?;
    out.flush()?;
    Ok(OK)
}

/// One answer for every line, in order, or for everything that an ops log has on it. A last line without newline is
/// explained too.
fn explain(
    mut input: impl BufRead,
    reader: &mut InputReader,
    slow: &SlowSettings,
    as_json: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let mut answers = Vec::new();
        reader.read(line, slow, |_, unit| {
            answers.push(match unit {
                Unit::Request(request, told) => {
                    Answer::Explained(Box::new(Explained::new(number, request, told)))
                }
                Unit::Rejected(reject) => Answer::Rejected(Rejected::new(number, reject)),
                Unit::Skipped => Answer::Skipped(Skipped::new(number)),
            });
        });
        for answer in answers {
            if as_json {
                writeln!(out, "{}", json::line(&answer)?)?;
            } else {
                answer.print(out)?;
            }
        }
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Explained(Box<Explained>),
    Rejected(Rejected),
    Skipped(Skipped),
}

/// A line that fits the format.
#[derive(Serialize)]
struct Explained {
    line: u64,
    ok: bool,
    /// RFC 3339, UTC.
    time: String,
    method: String,
    status: u16,
    protocol: &'static str,
    operation: &'static str,
    class: &'static str,
    tenant: String,
    bucket: String,
    object: String,
    /// Without the values of the query.
    uri: String,
    bytes_in: u64,
    bytes_out: u64,
    request_time_ms: Option<u32>,
    upstream_time_ms: Option<u32>,
    size: &'static str,
    slow: bool,
    /// Only RGW's own logs have these.
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    error_code: String,
}

/// A line that does not.
#[derive(Serialize)]
struct Rejected {
    line: u64,
    ok: bool,
    reason: &'static str,
    error: String,
    column: usize,
}

/// A line that is about no request.
#[derive(Serialize)]
struct Skipped {
    line: u64,
    ok: bool,
    skipped: bool,
    error: &'static str,
}

impl Skipped {
    fn new(line: u64) -> Self {
        Self { line, ok: false, skipped: true, error: "about no request" }
    }
}

impl Explained {
    fn new(line: u64, request: &Request<'_>, told: &Told<'_>) -> Self {
        let record = request.record;
        let mut scratch = Vec::new();
        let mut uri = Vec::new();
        redacted_uri(unescape(record.uri, record.escape, &mut scratch), &mut uri);
        let (tenant, bucket) = match memchr::memchr(b'/', request.bucket) {
            Some(at) => (&request.bucket[..at], &request.bucket[at + 1..]),
            None => (&[][..], request.bucket),
        };
        Self {
            line,
            ok: true,
            time: chrono::DateTime::from_timestamp_millis(record.time_ms)
                .map_or_else(String::new, |time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
            method: text(unescape(record.method, record.escape, &mut Vec::new())),
            status: record.status,
            protocol: request.protocol.name(),
            operation: request.operation.name(),
            class: request.class.name(),
            tenant: text(tenant),
            bucket: text(bucket),
            object: text(request.object),
            uri: text(&uri),
            bytes_in: request.bytes_in,
            bytes_out: request.bytes_out,
            request_time_ms: record.request_time_ms,
            upstream_time_ms: record.upstream_response_time_ms,
            size: request.size.name(),
            slow: request.slow,
            user: text(told.user),
            error_code: text(told.error_code),
        }
    }
}

impl Rejected {
    fn new(line: u64, reject: Reject) -> Self {
        Self { line, ok: false, reason: reject.reason, error: reject.to_string(), column: reject.column }
    }
}

impl Answer {
    /// For people: nothing that a terminal would obey.
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Rejected(rejected) => {
                writeln!(out, "{}: does not parse: {}", rejected.line, rejected.error)
            }
            Self::Skipped(skipped) => writeln!(out, "{}: {}: skipped", skipped.line, skipped.error),
            Self::Explained(e) => {
                let time = e.request_time_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
                writeln!(
                    out,
                    "{}: {} {} {} -> {} {} {}{}, {} in, {} out, {time}{}{}{}",
                    e.line,
                    e.time,
                    visible(&e.method),
                    e.status,
                    e.class,
                    e.protocol,
                    e.operation,
                    place(e),
                    e.bytes_in,
                    e.bytes_out,
                    if e.slow { ", slow" } else { "" },
                    named(", user ", &e.user),
                    named(", ", &e.error_code),
                )
            }
        }
    }
}

/// A text that is not always there.
fn named(before: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{before}{}", visible(text)) }
}

fn place(e: &Explained) -> String {
    match (e.tenant.is_empty(), e.bucket.is_empty(), e.object.is_empty()) {
        (_, true, _) => String::new(),
        (true, false, true) => format!(" {}", visible(&e.bucket)),
        (true, false, false) => format!(" {} {}", visible(&e.bucket), visible(&e.object)),
        (false, false, true) => format!(" {}:{}", visible(&e.tenant), visible(&e.bucket)),
        (false, false, false) => {
            format!(" {}:{} {}", visible(&e.tenant), visible(&e.bucket), visible(&e.object))
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Control characters as what they are, not as what they do.
pub(super) fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let shown: Box<dyn Iterator<Item = char>> =
                if c.is_control() { Box::new(c.escape_default()) } else { Box::new(std::iter::once(c)) };
            shown
        })
        .collect()
}
