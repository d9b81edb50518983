//! What the daemon says about itself: a point of `rgwlens`, and a line in its log, once a minute.

use tracing::{info, warn};

use super::shared::{Shared, now_ms};
use crate::{
    config::Config,
    point::{Field, Point, Tags},
    store::{OutputState, Reader, Store, StoreError, Stream, instance_name},
};

/// A write-ahead log is cut at 16 MiB. One of this size cannot be.
const LARGE_WAL: u64 = 128 << 20;

/// Clock-driven, and outside every promise about counting.
pub(super) struct Health {
    stream: Stream,
    logs: Vec<String>,
    instance: u64,
    store: std::path::PathBuf,
}

impl Health {
    pub(super) fn new(config: &Config, store: &Store) -> Self {
        Self {
            stream: Stream { name: "rgwlens".into(), tags: config.node_tags() },
            logs: config.logs.iter().map(|log| log.name.clone()).collect(),
            instance: store.instance(),
            store: store.path().to_owned(),
        }
    }

    /// Writes the point and the line; gives a short text for the service manager.
    pub(super) fn report(&self, shared: &Shared) -> String {
        match self.try_report(shared) {
            Ok(status) => status,
            Err(error) => {
                warn!("cannot say how we are: {error}");
                error.to_string()
            }
        }
    }

    fn try_report(&self, shared: &Shared) -> Result<String, StoreError> {
        let now_ms = now_ms();
        let reader = Reader::open(&self.store)?;
        let outputs = reader.outputs()?;
        let store_bytes = reader.used_bytes()?;
        if reader.wal_bytes() > LARGE_WAL {
            warn!(
                "the store's write-ahead log has {} MiB: another process looks at the store in a transaction that does not \
                 end; until it does, nothing that is written is given back to the disk (`fuser -v {}`)",
                reader.wal_bytes() >> 20,
                self.store.display()
            );
        }
        let mut points = Vec::new();
        let mut status = Vec::new();
        for (name, progress) in self.logs.iter().zip(shared.progress()) {
            // An idle log's watermark follows the clock: what is left is how far behind we are.
            let lag_ms = progress.watermark_ms.map_or(0, |watermark| (now_ms - watermark).max(0));
            let totals = progress.totals;
            info!(
                log = %name, lines = totals.lines, rejected = totals.rejected, late = totals.late,
                expired = totals.expired, lag_bytes = progress.lag_bytes, lag_seconds = lag_ms / 1000, "so far"
            );
            status.push(format!("{name}: {} lines, {} bytes behind", totals.lines, progress.lag_bytes));
            let fields = vec![
                ("instance".into(), Field::Text(instance_name(self.instance))),
                ("lines".into(), Field::Integer(totals.lines)),
                ("rejected".into(), Field::Integer(totals.rejected)),
                ("late".into(), Field::Integer(totals.late)),
                ("expired".into(), Field::Integer(totals.expired)),
                ("skipped".into(), Field::Integer(totals.skipped)),
                ("incidents".into(), Field::Integer(progress.incidents)),
                ("lag_bytes".into(), Field::Integer(progress.lag_bytes)),
                ("lag_seconds".into(), Field::Float(lag_ms as f64 / 1000.0)),
                ("store_bytes".into(), Field::Integer(store_bytes)),
                ("conserved".into(), Field::Boolean(!progress.leak)),
            ];
            points.push(self.point(now_ms, [("log", name.as_str())], fields));
        }
        for output in &outputs {
            self.output(output, now_ms, &mut points, &mut status);
        }
        shared.store().append_points(&self.stream, &points)?;
        shared.committed();
        Ok(status.join("; "))
    }

    fn output(&self, output: &OutputState, now_ms: i64, points: &mut Vec<Point>, status: &mut Vec<String>) {
        if output.trouble.is_empty() {
            info!(output = %output.name, unsent_parts = output.unsent_parts, "so far");
        } else {
            warn!(output = %output.name, unsent_parts = output.unsent_parts, "{}", output.trouble);
        }
        status.push(format!("{}: {} parts to send", output.name, output.unsent_parts));
        let fields = vec![
            ("unsent_parts".into(), Field::Integer(output.unsent_parts)),
            ("write_errors".into(), Field::Integer(output.rejected)),
            ("points_expired".into(), Field::Integer(output.expired)),
            ("gaps".into(), Field::Integer(output.gaps)),
        ];
        points.push(self.point(now_ms, [("output", output.name.as_str())], fields));
    }

    fn point<'a>(
        &self,
        now_ms: i64,
        tags: impl IntoIterator<Item = (&'a str, &'a str)>,
        fields: Vec<(String, Field)>,
    ) -> Point {
        Point { measurement: "rgwlens".into(), tags: Tags::new(tags), fields, time: now_ms * 1_000_000 }
    }
}
