//! Points that a server refused: to be looked at, sent again, or dropped.

use rusqlite::params;

use super::{Range, Reader, Store, StoreError, Stream};
use crate::stats::{MEASUREMENTS, WindowKind};

/// A point that a server refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Quarantined {
    /// Its number, never given twice.
    pub id: i64,
    /// The output whose server it was.
    pub output: String,
    /// What the server said.
    pub reason: String,
    /// The line as it was sent, without its newline.
    pub line: String,
}

/// Which of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Of this output; of all if absent.
    pub output: Option<String>,
    /// With these numbers; all if empty.
    pub ids: Vec<i64>,
}

/// What `Which` means in SQL, with its two parameters as `?1` and `?2`.
const IS_MEANT: &str =
    "(?1 IS NULL OR output = ?1) AND (?2 = '[]' OR id IN (SELECT value FROM json_each(?2)))";

impl Which {
    fn ids(&self) -> String {
        serde_json::to_string(&self.ids).unwrap_or_default()
    }
}

impl Reader {
    /// At most `limit` refused points after the one with the number `after`, in the order they were refused.
    pub fn quarantined(
        &self,
        which: &Which,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Quarantined>, StoreError> {
        let sql = format!(
            "SELECT id, output, reason, line FROM quarantine WHERE {IS_MEANT} AND id > ?3 ORDER BY id LIMIT ?4"
        );
        let read = || -> rusqlite::Result<Vec<Quarantined>> {
            self.db
                .prepare_cached(&sql)?
                .query_map(params![which.output, which.ids(), after, limit as i64], |row| {
                    Ok(Quarantined {
                        id: row.get(0)?,
                        output: row.get(1)?,
                        reason: row.get(2)?,
                        line: row.get(3)?,
                    })
                })?
                .collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// How many there are.
    pub fn count_quarantined(&self, which: &Which) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM quarantine WHERE {IS_MEANT}");
        let count = self.db.query_row(&sql, params![which.output, which.ids()], |row| row.get::<_, i64>(0));
        count.map(|count| count as u64).map_err(|error| self.failed(error))
    }
}

/// Tags that say whose points they are.
const WHOSE: [&str; 3] = ["cluster", "node", "log"];

/// Whether a line of line protocol, with its time in nanoseconds, is a point of this stream's windows of this kind that
/// begin in one of these ranges.
fn is_of(line: &str, stream: &Stream, kind: WindowKind, ranges: &[Range]) -> bool {
    let mut pieces = tags_of(line).into_iter();
    let measurement = pieces.next().unwrap_or_default();
    let tags: Vec<String> = pieces.collect();
    let time_ms = line.rsplit(' ').next().and_then(|time| time.parse::<i64>().ok());
    let time_ms = time_ms.map(|time| time.div_euclid(1_000_000));
    MEASUREMENTS.contains(&(measurement.as_str(), kind))
        && time_ms.is_some_and(|ms| ranges.iter().any(|range| (range.from_ms..range.until_ms).contains(&ms)))
        && WHOSE.iter().all(|key| {
            let own = stream.tags.get(key).map(|value| format!("{key}={value}"));
            own.is_none_or(|own| tags.contains(&own))
        })
}

/// What stands before the fields: measurement and tags, in plain text.
fn tags_of(line: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, pieces.last_mut()) {
            ('\\', Some(piece)) => piece.extend(letters.next()),
            (' ', _) => break,
            (',', _) => pieces.push(String::new()),
            (letter, Some(piece)) => piece.push(letter),
            (_, None) => break,
        }
    }
    pieces
}

impl Store {
    /// Takes out of the quarantine what stands for windows that are counted anew: to send it later would add to these.
    /// Gives how many points there were.
    pub fn release_windows(
        &mut self,
        stream: &Stream,
        kind: WindowKind,
        ranges: &[Range],
    ) -> Result<usize, StoreError> {
        self.transaction(|db| {
            let mut all = db.prepare("SELECT id, line FROM quarantine")?;
            let mut rows = all.query([])?;
            let mut released = 0;
            while let Some(row) = rows.next()? {
                if is_of(row.get_ref(1)?.as_str()?, stream, kind, ranges) {
                    released += db
                        .prepare_cached("DELETE FROM quarantine WHERE id = ?1")?
                        .execute([row.get::<_, i64>(0)?])?;
                }
            }
            Ok(released)
        })
    }

    /// Takes points out of the quarantine. Gives how many there were.
    pub fn release(&mut self, which: &Which) -> Result<usize, StoreError> {
        let sql = format!("DELETE FROM quarantine WHERE {IS_MEANT}");
        self.transaction(|db| db.execute(&sql, params![which.output, which.ids()]))
    }

    /// What became of points that were sent again: these are out, these were refused anew, for this reason.
    pub fn settle(&mut self, accepted: &[i64], refused: &[(i64, String)]) -> Result<(), StoreError> {
        self.transaction(|db| {
            for id in accepted {
                db.prepare_cached("DELETE FROM quarantine WHERE id = ?1")?.execute([id])?;
            }
            for (id, reason) in refused {
                db.prepare_cached("UPDATE quarantine SET reason = ?2 WHERE id = ?1")?
                    .execute(params![id, reason])?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::Tags;

    #[test]
    fn only_points_of_the_stream_the_kind_and_the_range_are_meant() {
        let tags = Tags::new([("cluster", "ceph"), ("node", "gw 1"), ("log", "access"), ("site", "x")]);
        let stream = Stream { name: "access".into(), tags };
        let ranges = [Range { from_ms: 1_000, until_ms: 2_000 }, Range { from_ms: 5_000, until_ms: 6_000 }];
        let check = |line: &str, expected| {
            assert_eq!(is_of(line, &stream, WindowKind::Node, &ranges), expected, "{line}");
        };
        let tags = "class=get,cluster=ceph,log=access,node=gw\\ 1,site=x";
        check(&format!("rgw_node,{tags} requests=1i 1000000000"), true);
        check(&format!("rgw_node,{tags} requests=1i 1999999999"), true);
        check(&format!("rgw_event,{tags} uri=\"/b/k, node=gw2 \" 5000000001"), true);
        check(&format!("rgw_node,{tags} requests=1i 2000000000"), false);
        check(&format!("rgw_node,{tags} requests=1i"), false);
        check(&format!("rgw_bucket,{tags} requests=1i 1000000000"), false);
        check(&format!("rgwlens,{tags} lines=1i 1000000000"), false);
        check("rgw_node,cluster=ceph,log=access,node=gw2 requests=1i 1000000000", false);
        check("rgw_node,cluster=ceph,log=access,node=gw\\ 1\\,x requests=1i 1000000000", false);
        check("", false);
    }
}
