//! Parts as a request's worth of lines, in the way one target wants them.

use super::{Kind, Target, line_protocol::Encoder};
use crate::{
    point::{Tags, TimestampMs},
    stats::{Part, write_points},
    store::{Payload, StoredPart},
};

/// Lines for one target. The same parts give the same bytes, whoever sends them and whenever.
#[derive(Debug)]
pub struct Batch {
    encoder: Encoder,
    /// Fields of events, empty for all; `None` where the target cannot take events.
    events: Option<Vec<String>>,
    /// Parts that end before this are beyond the target's retention.
    oldest_ms: TimestampMs,
    points: usize,
    bytes: usize,
    expired: u64,
}

impl Batch {
    /// An empty one. `event_fields` is what the configuration wants of events, empty for all.
    pub fn new(target: &Target, event_fields: &[String], now_ms: TimestampMs) -> Self {
        let victoria = matches!(target.kind, Kind::VictoriaMetrics { .. });
        let retention = target.retention.map(|keep| i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        Self {
            encoder: Encoder::new(target.dialect()),
            events: (!victoria).then(|| event_fields.to_vec()),
            oldest_ms: retention.map_or(TimestampMs::MIN, |keep| now_ms.saturating_sub(keep)),
            points: target.batch_points,
            bytes: target.batch_bytes,
            expired: 0,
        }
    }

    /// Adds a part of the store.
    pub fn add(&mut self, stored: &StoredPart) {
        match &stored.payload {
            Payload::Window(part) => self.add_window(part, &stored.tags),
            Payload::Points(points) => {
                self.encoder.set_tags(&stored.tags);
                for point in points {
                    point.write(&Tags::default(), &mut self.encoder);
                }
            }
        }
    }

    /// Adds a window with these constant tags. What is beyond the target's retention is counted, not added.
    pub fn add_window(&mut self, part: &Part, tags: &Tags) {
        if part.id.end_ms() <= self.oldest_ms {
            self.expired += (part.contents.series().len() + part.contents.events().len()) as u64;
            return;
        }
        self.encoder.set_tags(tags);
        write_points(part, &Tags::default(), self.events.as_deref(), &mut self.encoder);
    }

    /// As much as one request should carry, or more.
    pub fn is_full(&self) -> bool {
        self.encoder.points() >= self.points || self.encoder.lines().len() >= self.bytes
    }

    /// The lines, each with its newline.
    pub fn lines(&self) -> &[u8] {
        self.encoder.lines()
    }

    /// Points in it.
    pub fn points(&self) -> usize {
        self.encoder.points()
    }

    /// Points left out since the target does not keep them so long.
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// Empties it, for the next request.
    pub fn clear(&mut self) {
        self.encoder.clear();
        self.expired = 0;
    }
}
