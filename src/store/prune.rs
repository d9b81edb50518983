//! Forgetting: by age and by size, whole windows at a time, once every required output has them.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use rusqlite::{Connection, params};

use super::{Store, StoreError};
use crate::point::TimestampMs;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// How long.
    pub age: Duration,
    /// How many bytes at most.
    pub bytes: u64,
}

/// What pruning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Parts dropped.
    pub parts: usize,
    /// The store is over its size, and nothing may be dropped: a required output is behind.
    pub full: bool,
}

/// Parts dropped in one transaction: a few milliseconds.
pub(super) const AT_ONCE: i64 = 2_000;

/// Free pages given back to the file system at a time.
const VACUUM_PAGES: i64 = 2_000;

impl Store {
    /// Drops what is too old, and the oldest of what is too much. Optional outputs are moved on over what is dropped,
    /// and their gap counted.
    pub fn prune(&mut self, keep: Keep, now_ms: TimestampMs) -> Result<Pruned, StoreError> {
        let oldest_kept = now_ms.saturating_sub(i64::try_from(keep.age.as_millis()).unwrap_or(i64::MAX));
        let pruned = self.transaction(|db| {
            let sent: i64 = db.query_row(
                "SELECT coalesce(min(seq), 9223372036854775807) FROM outputs WHERE required",
                [],
                |row| row.get(0),
            )?;
            let over = used_bytes(db)?.saturating_sub(keep.bytes);
            let mut until = oldest_kept;
            if over > 0 {
                // What has a time of the future stays: lines of now would be older than its end.
                until = until.max(oldest_of(db, over)?.min(now_ms));
            }
            let floors = droppable(db, until, sent)?;
            let mut pruned = Pruned::default();
            for (stream, floor) in &floors {
                db.execute(
                    "UPDATE outputs SET gaps = gaps + (SELECT count(*) FROM parts
                       WHERE stream = ?1 AND start < ?2 AND start + length <= ?2
                         AND +seq <= ?3 AND +seq > outputs.seq)
                     WHERE NOT required",
                    params![stream, floor, sent],
                )?;
                pruned.parts += db.prepare_cached(DROP)?.execute(params![stream, floor, sent])?;
                db.execute("UPDATE streams SET floor = max(floor, ?2) WHERE name = ?1", params![stream, floor])?;
                // But for a window of late lines that is open still: its part takes the next number.
                db.execute(
                    "DELETE FROM late_numbers WHERE stream = ?1 AND start < ?2 AND NOT EXISTS
                       (SELECT 1 FROM fragments f WHERE f.stream = ?1 AND f.kind = late_numbers.kind
                          AND f.start = late_numbers.start)",
                    params![stream, floor],
                )?;
            }
            if pruned.parts > 0 {
                // A moved-on output goes on with the oldest part that is left.
                db.execute(
                    "UPDATE outputs SET seq = max(seq, (SELECT coalesce(min(seq) - 1, outputs.seq) FROM parts))
                     WHERE NOT required",
                    [],
                )?;
            }
            pruned.full = pruned.parts == 0 && over > 0 && lacks_some(db, sent)?;
            Ok(pruned)
        })?;
        if pruned.parts > 0 {
            vacuum(&self.db).map_err(|error| self.failed(error))?;
        }
        Ok(pruned)
    }

    /// Windows of a stream before this are pruned.
    pub fn floor_ms(&self, stream: &str) -> Result<TimestampMs, StoreError> {
        self.db
            .query_row("SELECT floor FROM streams WHERE name = ?1", [stream], |row| row.get(0))
            .map_err(|error| self.failed(error))
    }
}

/// Up to which end the oldest windows have to go to make `over` bytes of room.
fn oldest_of(db: &Connection, over: u64) -> rusqlite::Result<TimestampMs> {
    let mut statement =
        db.prepare_cached("SELECT start + length, length(blob) FROM parts ORDER BY start LIMIT ?1")?;
    let mut rows = statement.query([AT_ONCE])?;
    let (mut until, mut freed) = (TimestampMs::MIN, 0);
    while let Some(row) = rows.next()? {
        until = until.max(row.get(0)?);
        freed += row.get::<_, i64>(1)? as u64;
        if freed >= over {
            break;
        }
    }
    Ok(until)
}

/// Whether a required output lacks a part.
fn lacks_some(db: &Connection, sent: i64) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM parts WHERE seq > ?1)", [sent], |row| row.get(0))
}

/// By stream, up to which end its windows may be dropped: none that a required output lacks a part of, and so many at
/// once at most.
fn droppable(db: &Connection, until: TimestampMs, sent: i64) -> rusqlite::Result<Vec<(String, TimestampMs)>> {
    let old: Vec<(String, TimestampMs)> = db
        .prepare_cached(OLD)?
        .query_map(params![until, sent, AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    if old.is_empty() {
        return Ok(Vec::new());
    }
    let unsent: HashMap<String, TimestampMs> = db
        .prepare_cached("SELECT stream, min(start) FROM parts WHERE seq > ?1 GROUP BY stream")?
        .query_map([sent], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut floors = BTreeMap::new();
    for (stream, end) in old {
        if unsent.get(&stream).is_none_or(|start| end <= *start) {
            let floor = floors.entry(stream).or_insert(end);
            *floor = end.max(*floor);
        }
    }
    Ok(floors.into_iter().collect())
}

/// The oldest parts that every required output has.
///
/// Here and in [`DROP`], a round must cost what it drops and not what it keeps, since nothing else is written meanwhile:
/// `start` is bounded for the index, which a window's end is not in, and the `+` keeps SQLite from taking the numbers'.
pub(super) const OLD: &str = "SELECT stream, start + length FROM parts
     WHERE start < ?1 AND start + length <= ?1 AND +seq <= ?2 ORDER BY start LIMIT ?3";

/// Those of a stream up to its floor.
pub(super) const DROP: &str =
    "DELETE FROM parts WHERE stream = ?1 AND start < ?2 AND start + length <= ?2 AND +seq <= ?3";

/// Each step of this pragma gives back one page, so it has to be stepped to its end.
fn vacuum(db: &Connection) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
    let mut pages = statement.query([])?;
    while pages.next()?.is_some() {}
    Ok(())
}

/// Bytes in use in the database file.
pub(super) fn used_bytes(db: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    Ok(((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?) as u64)
}
