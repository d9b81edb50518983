//! The slowest requests of those kept as events.

use std::cmp::Reverse;

use super::SlowEvent;
use crate::stats::{Event, Verdict};

/// Keeps the requests that took longest. Which they are does not depend on the order they come in.
#[derive(Debug)]
pub(super) struct Slowest {
    limit: usize,
    kept: u64,
    events: Vec<(u64, SlowEvent)>,
}

impl Slowest {
    /// The `limit` slowest.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: 0, events: Vec::new() }
    }

    /// Looks at an event.
    pub(super) fn add(&mut self, event: &Event, node: &str, log: &str) {
        if !event.slow {
            return;
        }
        self.kept += 1;
        self.events.push((event.hash, slow_event(event, node, log)));
        if self.events.len() > self.limit.saturating_mul(2) + 64 {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.events.sort_by(|(a_hash, a), (b_hash, b)| {
            let rank = |event: &SlowEvent| (Reverse(event.request_time_ms), event.time_ms);
            rank(a)
                .cmp(&rank(b))
                .then_with(|| a.node.cmp(&b.node))
                .then_with(|| a.log.cmp(&b.log))
                .then(a_hash.cmp(b_hash))
        });
        self.events.truncate(self.limit);
    }

    /// How many slow requests there were to choose from, and the slowest, slowest first.
    pub(super) fn finish(mut self) -> (u64, Vec<SlowEvent>) {
        self.cut();
        (self.kept, self.events.into_iter().map(|(_, event)| event).collect())
    }
}

fn slow_event(event: &Event, node: &str, log: &str) -> SlowEvent {
    let text = |name| event.text(name).to_owned();
    SlowEvent {
        time_ms: event.time_ms,
        node: node.into(),
        log: log.into(),
        class: event.class.name(),
        operation: event.operation.name(),
        status: event.status,
        // Without a time there is nothing to be slow.
        request_time_ms: event.request_time_ms.unwrap_or_default(),
        upstream_time_ms: event.upstream_time_ms,
        verdict: event.verdict.map(Verdict::name),
        bytes_in: event.bytes_in,
        bytes_out: event.bytes_out,
        bucket: text("bucket"),
        object: text("object"),
        method: text("method"),
        uri: text("uri"),
        remote_addr: text("remote_addr"),
        user_agent: text("user_agent"),
    }
}
