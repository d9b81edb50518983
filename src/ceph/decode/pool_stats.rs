//! `ceph osd pool stats`.

use super::{Numbers, json::Json};

/// What clients do.
pub(super) const CLIENT: &[&str] =
    &["read_bytes_sec", "write_bytes_sec", "read_op_per_sec", "write_op_per_sec"];

/// How quickly it recovers.
pub(super) const RATE: &[&str] = &[
    "recovering_objects_per_sec",
    "recovering_bytes_per_sec",
    "recovering_keys_per_sec",
    "num_objects_recovered",
    "num_bytes_recovered",
    "num_keys_recovered",
];

/// What has to recover.
pub(super) const RECOVERY: &[&str] = &[
    "degraded_objects",
    "degraded_ratio",
    "misplaced_objects",
    "misplaced_ratio",
    "unfound_objects",
    "unfound_ratio",
];

/// What these are shares of. There only when there is something to share.
const TOTALS: &[&str] = &["degraded_total", "misplaced_total", "unfound_total"];

/// What a pool does.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolStats {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: Option<i64>,
    /// Rates and recovery, as Ceph names them. Those that it leaves out are zero.
    pub numbers: Numbers,
}

impl PoolStats {
    /// One of the numbers.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers.iter().find_map(|(known, number)| (*known == name).then_some(*number))
    }
}

pub(super) fn decode(json: Json<'_>) -> Option<Vec<PoolStats>> {
    let pool = |pool: Json<'_>| {
        let recovery = pool.get("recovery");
        let numbers = [
            pool.get("client_io_rate").numbers_or_zero(CLIENT),
            pool.get("recovery_rate").numbers_or_zero(RATE),
            recovery.numbers_or_zero(RECOVERY),
            recovery.numbers(TOTALS),
        ];
        Some(PoolStats {
            name: pool.get("pool_name").owned()?,
            id: pool.get("pool_id").id(),
            numbers: numbers.concat(),
        })
    };
    Some(json.list()?.filter_map(pool).collect())
}
