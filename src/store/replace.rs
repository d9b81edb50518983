//! What `replay` needs beside appending: what is there already, and making room for what replaces it.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Range, Reader, Store, StoreError, Stream, commit::json, kind_name, prune::AT_ONCE};
use crate::{
    point::TimestampMs,
    stats::{Key, WindowKind, counter},
};

impl Store {
    /// Drops the parts of a stream's windows that begin in these ranges, with the tags of this stream: a few at a time,
    /// so that a daemon beside it gets to write too.
    pub fn delete(
        &mut self,
        stream: &Stream,
        kind: WindowKind,
        ranges: &[Range],
    ) -> Result<usize, StoreError> {
        let tags = json(&stream.tags);
        let (mut gone, mut ranges) = (0, ranges.iter().peekable());
        while let Some(Range { from_ms, until_ms }) = ranges.peek() {
            let dropped = self.transaction(|db| {
                db.prepare_cached(
                    "DELETE FROM parts WHERE seq IN (
                       SELECT seq FROM parts WHERE stream = ?1 AND kind = ?2 AND start >= ?3 AND start < ?4
                       AND tags = (SELECT id FROM tag_sets WHERE tags = ?5) LIMIT ?6)",
                )?
                .execute(params![
                    stream.name,
                    kind_name(kind),
                    from_ms,
                    until_ms,
                    tags,
                    AT_ONCE
                ])
            })?;
            gone += dropped;
            if dropped == 0 {
                ranges.next();
            }
        }
        Ok(gone)
    }
}

impl Reader {
    /// Lines stored of a stream, by the start of the window of `length_ms` they fall into: from `rgw_log`. A damaged part
    /// has none: nothing of it can be used, and to replace it is what mends it.
    pub fn lines_by_window(
        &self,
        stream: &Stream,
        range: Range,
        length_ms: i64,
    ) -> Result<BTreeMap<TimestampMs, u64>, StoreError> {
        let mut lines = BTreeMap::new();
        for window in self.lines_in(stream, range) {
            let (start_ms, count) = window?;
            *lines.entry(start_ms - start_ms.rem_euclid(length_ms)).or_default() += count;
        }
        Ok(lines)
    }

    /// The same of windows one by one, in the order that they were stored.
    pub fn lines_in(
        &self,
        stream: &Stream,
        range: Range,
    ) -> impl Iterator<Item = Result<(TimestampMs, u64), StoreError>> {
        self.node_windows_in(stream, range).filter_map(|stored| {
            let stored = match stored {
                Err(StoreError::DamagedPart { .. }) => return None,
                Err(error) => return Some(Err(error)),
                Ok(stored) => stored,
            };
            let super::Payload::Window(part) = &stored.payload else { return None };
            let log = part.contents.series().find(|series| series.key == Key::LOG)?;
            Some(Ok((part.id.start_ms, log.counters[counter::LINES])))
        })
    }
}
