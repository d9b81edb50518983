//! `ceph df detail`.

use super::{Numbers, json::Json};

/// Of the whole cluster, and of each device class.
const TOTALS: &[&str] =
    &["total_bytes", "total_used_bytes", "total_avail_bytes", "total_used_raw_bytes", "total_used_raw_ratio"];

/// Of the whole cluster alone.
const OSDS: &[&str] = &["num_osds", "num_per_pool_osds", "num_per_pool_omap_osds"];

/// Of a pool.
const POOL: &[&str] = &[
    "stored",
    "objects",
    "kb_used",
    "bytes_used",
    "max_avail",
    "quota_objects",
    "quota_bytes",
    "rd",
    "rd_bytes",
    "wr",
    "wr_bytes",
];

/// What `ceph df detail` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Df {
    /// Of the cluster.
    pub stats: Numbers,
    /// Of each device class; from Nautilus on.
    pub classes: Vec<(String, Numbers)>,
    /// Of each pool.
    pub pools: Vec<PoolUsage>,
}

/// Usage of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolUsage {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: Option<i64>,
    /// As Ceph names them; `percent_used` is a share from 0 to 1.
    pub numbers: Numbers,
}

impl PoolUsage {
    /// One of the numbers.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers.iter().find_map(|(known, number)| (*known == name).then_some(*number))
    }
}

pub(super) fn decode(json: Json<'_>) -> Option<Df> {
    let stats = json.get("stats");
    if !stats.is_object() {
        return None;
    }
    let classes = json.get("stats_by_class").entries().into_iter().flatten();
    let pools = json.get("pools").list().into_iter().flatten();
    Some(Df {
        stats: [stats.numbers(TOTALS), stats.numbers(OSDS)].concat(),
        classes: classes.map(|(class, stats)| (class.to_owned(), stats.numbers(TOTALS))).collect(),
        pools: pools.filter_map(pool).collect(),
    })
}

fn pool(json: Json<'_>) -> Option<PoolUsage> {
    let stats = json.get("stats");
    let mut numbers = stats.numbers(POOL);
    if let Some(used) = stats.get("percent_used").number() {
        // Before Nautilus, which brought `stored`, it was of 100. The value itself does not tell: 0.9 may be either.
        let whole = if stats.get("stored").number().is_some() { 1.0 } else { 100.0 };
        numbers.push(("percent_used", used / whole));
    }
    Some(PoolUsage { name: json.get("name").owned()?, id: json.get("id").id(), numbers })
}
