//! Points that a server refused: to be looked at, sent again, or dropped.

use rusqlite::params;

use super::{Reader, Store, StoreError};

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

impl Store {
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
