//! Looking at the store, beside whoever writes it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    CODEC_CONTENTS, CODEC_POINTS, StoreError, Stream, commit::json, fragment_checksum, kind_name, kind_of,
    open, part_checksum, progress_checksum,
};
use crate::{
    follow::Position,
    point::{Point, Tags, TimestampMs},
    stats::{Contents, Fragment, OpenWindow, Part, PartId, WindowKind, WindowsState},
};

/// Parts read at a time where all are wanted.
const PAGE: i64 = 64;

/// A connection that only reads. Each call is one short transaction, so that the write-ahead log can be cut.
#[derive(Debug)]
pub struct Reader {
    pub(super) db: Connection,
    path: PathBuf,
}

/// A part as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPart {
    /// Its number in the log of parts.
    pub seq: i64,
    /// Name of its stream.
    pub stream: String,
    /// Constant tags at its close.
    pub tags: Tags,
    /// What it holds.
    pub payload: Payload,
}

/// What a part holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// A window of a log, or late lines of one.
    Window(Part),
    /// Points of their own.
    Points(Vec<Point>),
}

/// Part of time, `[from, until)`, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First moment.
    pub from_ms: TimestampMs,
    /// First moment after.
    pub until_ms: TimestampMs,
}

impl Range {
    /// All of it.
    pub const ALL: Self = Self { from_ms: TimestampMs::MIN, until_ms: TimestampMs::MAX };
}

/// A stream's progress.
#[derive(Clone, Debug, Default)]
pub struct StreamState {
    /// Name.
    pub name: String,
    /// Path of the log.
    pub path: String,
    /// Where reading stands; `None` before the first commit.
    pub position: Option<Position>,
    /// What of the windows is not in fragments.
    pub windows: Option<WindowsState>,
    /// Windows before this are pruned.
    pub floor_ms: TimestampMs,
    /// What open windows counted.
    pub fragments: Vec<Fragment>,
    /// Starts of windows of which a fragment is damaged: what it counted is lost.
    pub damaged_ms: Vec<TimestampMs>,
    /// Admitted buckets.
    pub admitted: Vec<(String, TimestampMs)>,
    /// Numbers of late parts.
    pub late_numbers: Vec<(WindowKind, TimestampMs, u32)>,
}

/// An output's progress.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OutputState {
    /// Name.
    pub name: String,
    /// Last part it has.
    pub seq: i64,
    /// Parts stay until it has them.
    pub required: bool,
    /// Parts it does not have yet.
    pub unsent_parts: u64,
    /// Parts it never got.
    pub gaps: u64,
    /// Points refused one by one, ever.
    pub rejected: u64,
    /// Of these, points that are kept to be looked at, and sent again or dropped.
    pub quarantined: u64,
    /// Points older than its retention.
    pub expired: u64,
    /// What it complains about.
    pub trouble: String,
    /// Who else writes to it as this node; empty for nobody.
    pub other: String,
}

impl StreamState {
    /// No line of it was read yet: a path that was wrong can be put right.
    pub fn is_untouched(&self) -> bool {
        self.windows.as_ref().is_none_or(|windows| windows.totals.lines == 0)
    }
}

impl Reader {
    /// Opens a store that exists.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { db: open::open_reader(path)?, path: path.into() })
    }

    /// At most `limit` parts after `seq`, in order, up to the first damaged one. That is an error which names it once it
    /// is the next.
    pub fn parts_after(&self, seq: i64, limit: usize) -> Result<Vec<StoredPart>, StoreError> {
        self.parts("true", params![seq, limit as i64])
    }

    /// All parts that begin in a range of time, in order. A damaged one is an error in its place, and not the end.
    pub fn parts_in(&self, range: Range) -> impl Iterator<Item = Result<StoredPart, StoreError>> {
        self.pages(move |seq| {
            self.parts("start >= ?3 AND start < ?4", params![seq, PAGE, range.from_ms, range.until_ms])
        })
    }

    /// Of these, the windows of the node of one stream, with its tags.
    pub(super) fn node_windows_in(
        &self,
        stream: &Stream,
        range: Range,
    ) -> impl Iterator<Item = Result<StoredPart, StoreError>> {
        let tags = json(&stream.tags);
        self.pages(move |seq| {
            let (kind, Range { from_ms, until_ms }) = (kind_name(WindowKind::Node), range);
            self.parts(
                "start >= ?3 AND start < ?4 AND stream = ?5 AND t.tags = ?6 AND kind = ?7",
                params![seq, PAGE, from_ms, until_ms, stream.name, tags, kind],
            )
        })
    }

    /// Parts page by page; `next` gives those after a number.
    fn pages(
        &self,
        next: impl Fn(i64) -> Result<Vec<StoredPart>, StoreError>,
    ) -> impl Iterator<Item = Result<StoredPart, StoreError>> {
        let (mut seq, mut page) = (0, Vec::new().into_iter());
        std::iter::from_fn(move || {
            loop {
                if let Some(part) = page.next() {
                    return Some(Ok(part));
                }
                match next(seq) {
                    Ok(parts) => {
                        seq = parts.last()?.seq;
                        page = parts.into_iter();
                    }
                    Err(error) => {
                        seq = match error {
                            StoreError::DamagedPart { seq, .. } => seq,
                            _ => i64::MAX,
                        };
                        return Some(Err(error));
                    }
                }
            }
        })
    }

    /// Of the parts after number `?1` those that meet a condition, in order, at most `?2`.
    fn parts(&self, condition: &str, params: impl rusqlite::Params) -> Result<Vec<StoredPart>, StoreError> {
        let sql = format!(
            "SELECT seq, stream, t.tags, kind, start, length, k, codec, crc, blob
             FROM parts LEFT JOIN tag_sets t ON t.id = parts.tags
             WHERE seq > ?1 AND {condition} ORDER BY seq LIMIT ?2"
        );
        let mut statement = self.db.prepare_cached(&sql).map_err(|error| self.failed(error))?;
        let mut rows = statement.query(params).map_err(|error| self.failed(error))?;
        let mut parts: Vec<StoredPart> = Vec::new();
        while let Some(row) = rows.next().map_err(|error| self.failed(error))? {
            match self.part(row) {
                Err(StoreError::DamagedPart { .. }) if !parts.is_empty() => break,
                // A part in the place of another one in the index by time.
                Ok(part) if parts.last().is_some_and(|before| before.seq >= part.seq) => {
                    let error =
                        format!("part {} is found twice: the index of the parts is not theirs", part.seq);
                    return Err(StoreError::Damaged { path: self.path.clone(), error });
                }
                part => parts.push(part?),
            }
        }
        Ok(parts)
    }

    fn part(&self, row: &rusqlite::Row<'_>) -> Result<StoredPart, StoreError> {
        let seq = row.get(0).map_err(|error| self.failed(error))?;
        let damaged = || StoreError::DamagedPart { path: self.path.clone(), seq };
        let read = || -> rusqlite::Result<_> {
            let stream: String = row.get(1)?;
            let tags: String = row.get(2)?;
            let kind: String = row.get(3)?;
            let blob: Vec<u8> = row.get(9)?;
            Ok((stream, tags, kind, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?, blob))
        };
        let (stream, tags, kind, start_ms, length_ms, k, codec, crc, blob): (_, _, _, _, _, _, i64, i64, _) =
            read().map_err(|_| damaged())?;
        if part_checksum(&kind, &stream, &tags, [start_ms, length_ms, i64::from(k), codec], &blob) != crc {
            return Err(damaged());
        }
        let payload = match (codec, kind_of(&kind)) {
            (CODEC_CONTENTS, Some(kind)) => Payload::Window(Part {
                id: PartId { kind, start_ms, length_ms, k },
                contents: Contents::decode(&blob).map_err(|_| damaged())?,
            }),
            (CODEC_POINTS, None) => Payload::Points(serde_json::from_slice(&blob).map_err(|_| damaged())?),
            _ => return Err(damaged()),
        };
        let tags = serde_json::from_str(&tags).map_err(|_| damaged())?;
        Ok(StoredPart { seq, stream, tags, payload })
    }

    /// Number of the part before the oldest one kept, where a new output begins; and of the newest.
    pub fn bounds(&self) -> Result<(i64, i64), StoreError> {
        self.db
            .query_row("SELECT coalesce(min(seq) - 1, 0), coalesce(max(seq), 0) FROM parts", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .map_err(|error| self.failed(error))
    }

    /// A stream's progress; `None` for one that the store does not know.
    pub fn stream(&self, name: &str) -> Result<Option<StreamState>, StoreError> {
        let damaged = |what: &str| StoreError::Damaged {
            path: self.path.clone(),
            error: format!("{what} of the log {name:?} is not as it was written"),
        };
        let mut whole = true;
        let read = |whole: &mut bool| -> rusqlite::Result<Option<StreamState>> {
            // One transaction: the pieces belong together.
            let db = self.db.unchecked_transaction()?;
            let Some(mut stream) = db
                .query_row(
                    "SELECT path, position, windows, floor, crc FROM streams WHERE name = ?1",
                    [name],
                    |row| {
                        let (position, windows): (Option<String>, Option<String>) =
                            (row.get(1)?, row.get(2)?);
                        *whole = match (&position, &windows) {
                            (None, None) => true,
                            (position, windows) => {
                                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                                row.get::<_, Option<i64>>(4)?
                                    == Some(progress_checksum(&text(position), &text(windows)))
                            }
                        };
                        Ok(StreamState {
                            name: name.to_owned(),
                            path: row.get(0)?,
                            position: parsed(position, 1)?,
                            windows: parsed(windows, 2)?,
                            floor_ms: row.get(3)?,
                            ..StreamState::default()
                        })
                    },
                )
                .optional()?
            else {
                return Ok(None);
            };
            (stream.fragments, stream.damaged_ms) = fragments(&db, name)?;
            stream.admitted = db
                .prepare("SELECT bucket, last FROM admitted WHERE stream = ?1")?
                .query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            stream.late_numbers = db
                .prepare("SELECT kind, start, next_k FROM late_numbers WHERE stream = ?1")?
                .query_map([name], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?
                .filter_map(|row| match row {
                    Ok((kind, start, k)) => kind_of(&kind).map(|kind| Ok((kind, start, k))),
                    Err(error) => Some(Err(error)),
                })
                .collect::<Result<_, _>>()?;
            Ok(Some(stream))
        };
        match read(&mut whole) {
            // What does not fit its type is damage, too.
            _ if !whole => Err(damaged("the position or the state of the windows")),
            read => read.map_err(|error| self.failed(error)),
        }
    }

    /// Tells this store from others.
    pub fn instance(&self) -> Result<u64, StoreError> {
        let read = self
            .db
            .query_row("SELECT value FROM meta WHERE key = 'instance'", [], |row| row.get::<_, i64>(0));
        read.map(|instance| instance as u64).map_err(|error| self.failed(error))
    }

    /// Whether the database is as SQLite makes one: reads all of it, so it takes its time.
    pub fn check(&self) -> Result<(), StoreError> {
        let said = self.db.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
        match said.map_err(|error| self.failed(error))? {
            fine if fine == "ok" => Ok(()),
            error => Err(StoreError::Damaged { path: self.path.clone(), error }),
        }
    }

    /// Names of all streams that were followed.
    pub fn streams(&self) -> Result<Vec<String>, StoreError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            self.db
                .prepare("SELECT name FROM streams ORDER BY name")?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// Progress of all outputs.
    pub fn outputs(&self) -> Result<Vec<OutputState>, StoreError> {
        let read = || -> rusqlite::Result<Vec<OutputState>> {
            self.db
                .prepare(
                    // Many are counted in the index: beside each number in the table is a part's contents, which would
                    // be read from the disk.
                    "SELECT name, seq, required,
                            CASE WHEN (SELECT max(seq) FROM parts) - outputs.seq < 100
                              THEN (SELECT count(*) FROM parts WHERE parts.seq > outputs.seq)
                              ELSE (SELECT count(*) FROM parts INDEXED BY parts_start WHERE +parts.seq > outputs.seq)
                            END,
                            gaps, rejected, expired, trouble,
                            (SELECT count(*) FROM quarantine WHERE output = outputs.name), other
                     FROM outputs ORDER BY name",
                )?
                .query_map([], |row| {
                    Ok(OutputState {
                        name: row.get(0)?,
                        seq: row.get(1)?,
                        required: row.get(2)?,
                        unsent_parts: row.get::<_, i64>(3)? as u64,
                        gaps: row.get::<_, i64>(4)? as u64,
                        rejected: row.get::<_, i64>(5)? as u64,
                        expired: row.get::<_, i64>(6)? as u64,
                        trouble: row.get(7)?,
                        quarantined: row.get::<_, i64>(8)? as u64,
                        other: row.get(9)?,
                    })
                })?
                .collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// Bytes of the write-ahead log. Far more than its usual 16 MiB: somebody looks at the database in a transaction that
    /// does not end.
    pub fn wal_bytes(&self) -> u64 {
        let mut name = self.path.as_os_str().to_owned();
        name.push("-wal");
        std::fs::metadata(name).map_or(0, |file| file.len())
    }

    /// Bytes the parts, fragments and everything else take in the database file, without free pages.
    pub fn used_bytes(&self) -> Result<u64, StoreError> {
        super::prune::used_bytes(&self.db).map_err(|error| self.failed(error))
    }

    pub(super) fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::of(&self.path, error)
    }
}

/// The fragments of a stream, and the starts of windows that lack some, since they are damaged: the others are good. One of a
/// stream that there is not is damaged where its stream's name stands, and of this one unless its checksum says which it is of.
fn fragments(db: &Connection, stream: &str) -> rusqlite::Result<(Vec<Fragment>, Vec<TimestampMs>)> {
    let others: Vec<String> = db
        .prepare("SELECT name FROM streams WHERE name <> ?1")?
        .query_map([stream], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut statement = db.prepare(
        "SELECT kind, start, length, late_until, crc, blob, stream FROM fragments
         WHERE stream = ?1 OR stream NOT IN (SELECT name FROM streams) ORDER BY id",
    )?;
    let mut rows = statement.query([stream])?;
    let (mut fragments, mut damaged) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let is_named = row.get::<_, String>(6).is_ok_and(|name| name == stream);
        match fragment(row, stream) {
            Some(fragment) if is_named => fragments.push(fragment),
            None if !is_named && others.iter().any(|other| fragment(row, other).is_some()) => {}
            _ => damaged.push(row.get(1).unwrap_or_default()),
        }
    }
    damaged.sort_unstable();
    damaged.dedup();
    Ok((fragments, damaged))
}

/// `None` for a damaged one.
fn fragment(row: &rusqlite::Row<'_>, stream: &str) -> Option<Fragment> {
    let kind: String = row.get(0).ok()?;
    let (start_ms, length_ms, late_until_ms) = (row.get(1).ok()?, row.get(2).ok()?, row.get(3).ok()?);
    let blob: Vec<u8> = row.get(5).ok()?;
    let crc = fragment_checksum(&kind, stream, start_ms, length_ms, late_until_ms, &blob);
    if row.get::<_, i64>(4).ok()? != crc {
        return None;
    }
    let window = OpenWindow { kind: kind_of(&kind)?, start_ms, length_ms, late_until_ms };
    Some(Fragment { window, contents: Contents::decode(&blob).ok()? })
}

fn parsed<T: serde::de::DeserializeOwned>(
    text: Option<String>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    let Some(text) = text else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}
