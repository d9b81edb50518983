//! A whole batch by the meanings of its answers: all of it ends up stored, expired, or rejected line by line; or the
//! server is not able now, and the caller keeps it.
//!
//! A server that refuses a batch for one bad point says too little to tell which: InfluxDB 1 stores the good ones and
//! counts the bad ones wrong (a malformed line is `dropped=0`), InfluxDB 2 stores none or the good ones, depending on
//! version and reason. So the batch is halved and sent again until the bad points stand alone: at most
//! 2·k·log2(n) + 1 requests for k of n. To send a point twice is harmless, since it is the same point.

mod backoff;

use super::{Client, Outcome, Target};
use std::{future::Future, ops::Range, time::Duration};

pub use super::answer::MAX_RETRY_AFTER;
pub use backoff::{Backoff, random};

/// Sends one request. [`Client`], or a model of a server.
pub trait Transport {
    /// What became of these whole lines.
    fn write(&self, lines: &[u8]) -> impl Future<Output = Outcome> + Send;
}

impl Transport for Client {
    async fn write(&self, lines: &[u8]) -> Outcome {
        Self::write(self, lines).await
    }
}

/// What became of a batch that is dealt with: every line is in exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines that are stored.
    pub written: u64,
    /// Lines older than the database keeps.
    pub expired: u64,
    /// Lines that cannot be stored, in the order they came.
    pub rejected: Vec<RejectedLine>,
}

/// A line that the server will never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedLine {
    /// The line, without its newline.
    pub line: Vec<u8>,
    /// What the server said about it.
    pub reason: String,
}

/// The batch is not dealt with, and has to be sent again, whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}{}", mend.as_ref().map(|mend| format!("; {mend}")).unwrap_or_default())]
pub struct NotNow {
    /// No earlier than in this time, if the server said so.
    pub after: Option<Duration>,
    /// What happened.
    pub why: String,
    /// What mends it, if it is somebody's turn.
    pub mend: Option<String>,
    /// Whether waiting helps.
    pub kind: NotNowKind,
}

/// Whether waiting helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNowKind {
    /// It does: the server or the way to it is disturbed.
    Retry,
    /// Somebody has to mend something: credentials, a database.
    Refused,
}

/// How long a command that was started by hand waits for a target that does not take points.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Sends batches to one target, and remembers how much it takes at once.
#[derive(Debug)]
pub struct Sender<T> {
    transport: T,
    max_lines: usize,
    max_bytes: usize,
}

impl Sender<Client> {
    /// Sends by this client, in requests as large as its target allows.
    pub fn new(client: Client) -> Self {
        let Target { batch_points, batch_bytes, .. } = *client.target();
        Self::with_limits(client, batch_points, batch_bytes)
    }
}

impl<T: Transport> Sender<T> {
    /// Sends requests of at most so many lines and bytes (a longer line goes alone).
    pub fn with_limits(transport: T, max_lines: usize, max_bytes: usize) -> Self {
        Self { transport, max_lines: max_lines.max(1), max_bytes: max_bytes.max(1) }
    }

    /// The way to the target.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// Sends whole lines (each ends in `\n`), all of them.
    pub async fn send(&mut self, lines: &[u8]) -> Result<Report, NotNow> {
        let batch = Batch::new(lines);
        let mut report = Report::default();
        let mut next = 0;
        while next < batch.len() {
            let request = next..batch.fill(next, self.max_lines, self.max_bytes);
            next = request.end;
            self.settle(&batch, request, &mut report).await?;
        }
        Ok(report)
    }

    /// The same, and again while the target is disturbed, until so much time was waited. What somebody has to mend is
    /// not waited for.
    pub async fn send_patiently(&mut self, lines: &[u8], patience: Duration) -> Result<Report, NotNow> {
        let (mut backoff, mut waited) = (Backoff::default(), Duration::ZERO);
        loop {
            match self.send(lines).await {
                Ok(report) => return Ok(report),
                Err(not_now) => {
                    let wait = backoff.next(&not_now, random());
                    waited += wait;
                    if waited > patience || not_now.mend.is_some() {
                        return Err(not_now);
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Sends these lines, and their halves for as long as it takes.
    async fn settle(
        &mut self,
        batch: &Batch<'_>,
        request: Range<usize>,
        report: &mut Report,
    ) -> Result<(), NotNow> {
        let mut waiting = vec![request];
        while let Some(lines) = waiting.pop() {
            let count = lines.len();
            let bytes = batch.bytes(&lines);
            let mut reject = |reason: String| {
                for line in lines.clone() {
                    report
                        .rejected
                        .push(RejectedLine { line: batch.line(line).to_vec(), reason: reason.clone() });
                }
            };
            match self.transport.write(bytes).await {
                Outcome::Written => {
                    report.written += count as u64;
                    continue;
                }
                Outcome::Retry { after, why } => {
                    return Err(NotNow { after, why, mend: None, kind: NotNowKind::Retry });
                }
                Outcome::Refused { why, mend } => {
                    return Err(NotNow { after: None, why, mend: Some(mend), kind: NotNowKind::Refused });
                }
                // Nothing is given up for an answer that nobody understood.
                Outcome::Unclear { why } if count == 1 => {
                    return Err(NotNow { after: None, why, mend: None, kind: NotNowKind::Retry });
                }
                Outcome::TooLarge if count == 1 => {
                    reject(format!("the server takes no {} bytes, not even alone", bytes.len()));
                    continue;
                }
                Outcome::TooLarge => self.max_bytes = self.max_bytes.min(bytes.len() / 2).max(1),
                Outcome::Rejected { message } if count == 1 || dropped(&message) == Some(count) => {
                    reject(message);
                    continue;
                }
                Outcome::Expired { message } if count == 1 || dropped(&message) == Some(count) => {
                    report.expired += count as u64;
                    continue;
                }
                Outcome::Unclear { .. } | Outcome::Rejected { .. } | Outcome::Expired { .. } => {}
            }
            let middle = lines.start + count / 2;
            waiting.push(middle..lines.end);
            waiting.push(lines.start..middle);
        }
        Ok(())
    }
}

/// The number in `… dropped=3`, at the very end: elsewhere it may be part of a line that is quoted. It may be too small
/// (a malformed line is not counted), and then says nothing; but when it is the number of lines sent, it was every one.
fn dropped(message: &str) -> Option<usize> {
    message.rsplit_once(" dropped=")?.1.parse().ok()
}

/// Lines, and where each ends.
struct Batch<'a> {
    bytes: &'a [u8],
    ends: Vec<usize>,
}

impl<'a> Batch<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        debug_assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "not whole lines");
        Self { bytes, ends: memchr::memchr_iter(b'\n', bytes).map(|at| at + 1).collect() }
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn start(&self, line: usize) -> usize {
        if line == 0 { 0 } else { self.ends[line - 1] }
    }

    /// These lines; not empty.
    fn bytes(&self, lines: &Range<usize>) -> &'a [u8] {
        &self.bytes[self.start(lines.start)..self.ends[lines.end - 1]]
    }

    /// A line without its newline.
    fn line(&self, line: usize) -> &'a [u8] {
        &self.bytes[self.start(line)..self.ends[line] - 1]
    }

    /// The end of a request that begins at this line: at least one line, and else within the limits.
    fn fill(&self, first: usize, max_lines: usize, max_bytes: usize) -> usize {
        let most = first.saturating_add(max_lines).min(self.len());
        let fit = self.ends[first..most].partition_point(|end| end - self.start(first) <= max_bytes);
        first + fit.max(1)
    }
}

#[cfg(test)]
mod tests;
