//! The one transaction.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::{
    CODEC_CONTENTS, CODEC_POINTS, KIND_POINTS, Reader, Store, StoreError, fragment_checksum, kind_name,
    part_checksum, progress_checksum,
};
use crate::{
    follow::Position,
    point::{Point, Tags, TimestampMs},
    stats::{Fragment, OpenWindow, Part, WindowKind, WindowsState},
};

/// What a stream's progress adds up to since the last commit. Kept until the commit succeeds, then forgotten.
#[derive(Debug, Default)]
pub struct Commit {
    /// Where reading stands after this.
    pub position: Position,
    /// What of the windows is not in fragments.
    pub windows: WindowsState,
    /// Windows that closed.
    pub parts: Vec<Part>,
    /// What open windows counted.
    pub fragments: Vec<Fragment>,
    /// All windows that are open after this: fragments of others are merged into parts.
    pub open: Vec<OpenWindow>,
    /// Admitted buckets that changed; `None` for dropped ones.
    pub admitted: Vec<(String, Option<TimestampMs>)>,
    /// Numbers of late parts that changed.
    pub late_numbers: Vec<(WindowKind, TimestampMs, u32)>,
}

/// A stream as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Name: the tag `log`.
    pub name: String,
    /// Constant tags of its parts.
    pub tags: Tags,
}

impl Stream {
    /// Keys the hashes that decide which names stay candidates: the same for `run` and `replay`, another for another
    /// log.
    pub fn seed(&self) -> u64 {
        let cluster = self.tags.get("cluster").unwrap_or_default();
        xxhash_rust::xxh3::xxh3_64(format!("{cluster}/{}", self.name).as_bytes())
    }
}

/// What an output reports back: it has every part up to `seq`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Last part it has.
    pub seq: i64,
    /// Points refused one by one, with the reason: they go into quarantine.
    pub rejected: Vec<(String, String)>,
    /// Points older than its retention.
    pub expired: u64,
    /// Parts that cannot be sent, since they are damaged.
    pub damaged: u64,
    /// What it complains about now; empty when all is well.
    pub trouble: String,
}

impl Store {
    /// Makes the stream known, bound to its path for good once a line of it was read.
    pub fn bind(&mut self, stream: &Stream, path: &str) -> Result<(), StoreError> {
        let known = Reader::open(&self.path)?.stream(&stream.name)?;
        if known.as_ref().is_some_and(|known| known.path == path) {
            return Ok(());
        }
        if let Some(known) = known.filter(|known| !known.is_untouched()) {
            return Err(StoreError::Rebound {
                path: self.path.clone(),
                name: stream.name.clone(),
                bound: known.path,
                wanted: path.into(),
            });
        }
        let bind = "INSERT INTO streams (name, path) VALUES (?1, ?2)
                    ON CONFLICT DO UPDATE SET path = excluded.path, position = NULL, windows = NULL, crc = NULL";
        self.db.execute(bind, [stream.name.as_str(), path]).map_err(|error| self.failed(error))?;
        Ok(())
    }

    /// Moves everything of a stream at once, and the outputs' acknowledgements with it.
    pub fn commit(
        &mut self,
        stream: &Stream,
        commit: &Commit,
        acknowledgements: &[(String, Acknowledgement)],
    ) -> Result<(), StoreError> {
        self.transaction(|db| {
            acknowledge(db, acknowledgements)?;
            for part in &commit.parts {
                insert_part(db, stream, part)?;
            }
            for fragment in &commit.fragments {
                insert_fragment(db, &stream.name, fragment)?;
            }
            if !commit.parts.is_empty() {
                drop_closed(db, &stream.name, &commit.open)?;
            }
            for (bucket, last) in &commit.admitted {
                admit(db, &stream.name, bucket, *last)?;
            }
            for (kind, start, next_k) in &commit.late_numbers {
                db.prepare_cached(
                    "INSERT INTO late_numbers (stream, kind, start, next_k) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET next_k = excluded.next_k",
                )?
                .execute(params![stream.name, kind_name(*kind), start, next_k])?;
            }
            let (position, windows) = (json(&commit.position), json(&commit.windows));
            db.prepare_cached("UPDATE streams SET position = ?2, windows = ?3, crc = ?4 WHERE name = ?1")?
                .execute(params![stream.name, position, windows, progress_checksum(&position, &windows)])?;
            Ok(())
        })
    }

    /// Adds parts without moving anything else: what `replay --to store` does.
    pub fn append(&mut self, stream: &Stream, parts: &[Part]) -> Result<(), StoreError> {
        self.transaction(|db| {
            parts.iter().try_for_each(|part| {
                if part.id.k > 0 {
                    // Late lines that `run` may still see of this window take the next number.
                    db.prepare_cached(
                        "INSERT INTO late_numbers (stream, kind, start, next_k) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT DO UPDATE SET next_k = max(next_k, excluded.next_k)",
                    )?
                    .execute(params![
                        stream.name,
                        kind_name(part.id.kind),
                        part.id.start_ms,
                        part.id.k + 1
                    ])?;
                }
                insert_part(db, stream, part)
            })
        })
    }

    /// Adds points that come from no window (our own health, Ceph's, the probe's) as one part.
    pub fn append_points(&mut self, stream: &Stream, points: &[Point]) -> Result<(), StoreError> {
        let Some(first) = points.iter().map(|point| point.time).min() else { return Ok(()) };
        self.transaction(|db| {
            let blob = json(&points).into_bytes();
            let row = Row {
                kind: KIND_POINTS,
                start: first.div_euclid(1_000_000),
                length: 0,
                k: 0,
                codec: CODEC_POINTS,
                blob: &blob,
            };
            insert_row(db, stream, &row)
        })
    }

    /// Only the acknowledgements: when nothing is read for a while.
    pub fn acknowledge(&mut self, acknowledgements: &[(String, Acknowledgement)]) -> Result<(), StoreError> {
        self.transaction(|db| acknowledge(db, acknowledgements))
    }

    /// Makes an output known: a cursor that starts at the oldest part kept.
    pub fn add_output(&mut self, name: &str, required: bool) -> Result<(), StoreError> {
        self.transaction(|db| {
            let insert = "INSERT INTO outputs (name, seq, required) VALUES (?1, 0, ?2)
                          ON CONFLICT DO UPDATE SET required = excluded.required";
            db.execute(insert, params![name, required])?;
            Ok(())
        })
    }

    /// Who else writes as this node to an output; empty for nobody.
    pub fn set_other(&mut self, output: &str, other: &str) -> Result<(), StoreError> {
        self.transaction(|db| {
            let update = "UPDATE outputs SET other = ?2 WHERE name = ?1 AND other <> ?2";
            db.execute(update, params![output, other]).map(drop)
        })
    }

    /// Forgets outputs that the configuration has no more, so that they do not hold up pruning, and the points they refused.
    pub fn keep_outputs(&mut self, names: &[&str]) -> Result<Vec<String>, StoreError> {
        let mut gone = Vec::new();
        self.transaction(|db| {
            let mut all = db.prepare("SELECT name FROM outputs")?;
            for name in all.query_map([], |row| row.get::<_, String>(0))? {
                let name = name?;
                if !names.contains(&name.as_str()) {
                    db.execute("DELETE FROM outputs WHERE name = ?1", [&name])?;
                    db.execute("DELETE FROM quarantine WHERE output = ?1", [&name])?;
                    gone.push(name);
                }
            }
            Ok(())
        })?;
        Ok(gone)
    }

    pub(super) fn transaction<T>(
        &mut self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let run = || {
            let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
            let value = body(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|error| self.failed(error))
    }
}

struct Row<'a> {
    kind: &'static str,
    start: i64,
    length: i64,
    k: u32,
    codec: i64,
    blob: &'a [u8],
}

fn insert_part(db: &Connection, stream: &Stream, part: &Part) -> rusqlite::Result<()> {
    let mut blob = Vec::new();
    part.contents.encode(&mut blob);
    let id = &part.id;
    let row = Row {
        kind: kind_name(id.kind),
        start: id.start_ms,
        length: id.length_ms,
        k: id.k,
        codec: CODEC_CONTENTS,
        blob: &blob,
    };
    insert_row(db, stream, &row)
}

fn insert_row(db: &Connection, stream: &Stream, row: &Row<'_>) -> rusqlite::Result<()> {
    let tags = json(&stream.tags);
    let numbers = [row.start, row.length, i64::from(row.k), row.codec];
    let crc = part_checksum(row.kind, &stream.name, &tags, numbers, row.blob);
    let tags = tag_set(db, &tags)?;
    db.prepare_cached(
        "INSERT INTO parts (kind, stream, start, length, k, tags, codec, crc, blob)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        row.kind,
        stream.name,
        row.start,
        row.length,
        row.k,
        tags,
        row.codec,
        crc,
        row.blob
    ])?;
    Ok(())
}

fn tag_set(db: &Connection, tags: &str) -> rusqlite::Result<i64> {
    let known = db
        .prepare_cached("SELECT id FROM tag_sets WHERE tags = ?1")?
        .query_row([tags], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    db.execute("INSERT INTO tag_sets (tags) VALUES (?1)", [tags])?;
    Ok(db.last_insert_rowid())
}

fn insert_fragment(db: &Connection, stream: &str, fragment: &Fragment) -> rusqlite::Result<()> {
    let mut blob = Vec::new();
    fragment.contents.encode(&mut blob);
    let OpenWindow { kind, start_ms, length_ms, late_until_ms } = fragment.window;
    db.prepare_cached(
        "INSERT INTO fragments (stream, kind, start, length, late_until, crc, blob)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        stream,
        kind_name(kind),
        start_ms,
        length_ms,
        late_until_ms,
        fragment_checksum(kind_name(kind), stream, start_ms, length_ms, late_until_ms, &blob),
        blob
    ])?;
    Ok(())
}

/// Drops fragments of windows that are not open any more, and of streams that there are not, which are damaged. The table is
/// as small as what is open. Of one start there can be a window of late lines that closed and the next one, open since: when
/// they close tells them apart.
fn drop_closed(db: &Connection, stream: &str, open: &[OpenWindow]) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM fragments WHERE stream NOT IN (SELECT name FROM streams)")?.execute([])?;
    let mut windows =
        db.prepare_cached("SELECT DISTINCT kind, start, late_until FROM fragments WHERE stream = ?1")?;
    let windows: Vec<(String, i64, Option<i64>)> = windows
        .query_map([stream], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (kind, start, late_until) in windows {
        let is_it =
            |o: &OpenWindow| (kind_name(o.kind), o.start_ms, o.late_until_ms) == (&kind, start, late_until);
        if !open.iter().any(is_it) {
            db.prepare_cached(
                "DELETE FROM fragments WHERE stream = ?1 AND kind = ?2 AND start = ?3 AND late_until IS ?4",
            )?
            .execute(params![stream, kind, start, late_until])?;
        }
    }
    Ok(())
}

fn admit(db: &Connection, stream: &str, bucket: &str, last: Option<i64>) -> rusqlite::Result<()> {
    match last {
        Some(last) => db
            .prepare_cached(
                "INSERT INTO admitted (stream, bucket, last) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET last = excluded.last",
            )?
            .execute(params![stream, bucket, last])?,
        None => db
            .prepare_cached("DELETE FROM admitted WHERE stream = ?1 AND bucket = ?2")?
            .execute(params![stream, bucket])?,
    };
    Ok(())
}

/// How many refused points are kept for an operator to look at, per output. Beyond that they are only counted.
const QUARANTINED: i64 = 10_000;

fn acknowledge(db: &Connection, acknowledgements: &[(String, Acknowledgement)]) -> rusqlite::Result<()> {
    for (output, ack) in acknowledgements {
        db.prepare_cached(
            "UPDATE outputs SET seq = max(seq, ?2), rejected = rejected + ?3, expired = expired + ?4, trouble = ?5,
               gaps = gaps + ?6
             WHERE name = ?1",
        )?
        .execute(params![
            output,
            ack.seq,
            ack.rejected.len() as i64,
            ack.expired as i64,
            ack.trouble,
            ack.damaged as i64
        ])?;
        quarantine(db, output, ack)?;
    }
    Ok(())
}

fn quarantine(db: &Connection, output: &str, ack: &Acknowledgement) -> rusqlite::Result<()> {
    if ack.rejected.is_empty() {
        return Ok(());
    }
    // Counted once: a target that refuses everything must not make each of its points cost a look at all of them.
    let kept: i64 = db
        .prepare_cached("SELECT count(*) FROM quarantine WHERE output = ?1")?
        .query_row([output], |row| row.get(0))?;
    let room = usize::try_from(QUARANTINED - kept).unwrap_or(0);
    for (line, reason) in ack.rejected.iter().take(room) {
        db.prepare_cached("INSERT INTO quarantine (output, seq, line, reason) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![output, ack.seq, line, reason])?;
    }
    Ok(())
}

/// Our own types always serialise: an error here is a mistake that any test finds.
pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
