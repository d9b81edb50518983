//! `ceph status`.

use super::{
    Health, Numbers, health,
    json::Json,
    pool_stats::{CLIENT, RATE, RECOVERY},
};

/// Numbers of `pgmap` that are always there.
const PGMAP: &[&str] =
    &["num_pgs", "num_pools", "num_objects", "data_bytes", "bytes_used", "bytes_avail", "bytes_total"];

/// Numbers of `pgmap` that are there only when they are not zero: those that pools have too, and these.
const PGMAP_NOT_ZERO: [&[&str]; 4] = [CLIENT, RATE, RECOVERY, &["inactive_pgs_ratio", "unknown_pgs_ratio"]];

/// What these are shares of. There only when there is something to share: a zero would be a lie.
const PGMAP_TOTALS: &[&str] = &["degraded_total", "misplaced_total", "unfound_total"];

/// What `ceph status` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Health.
    pub health: Health,
    /// OSDs.
    pub osdmap: OsdMap,
    /// Numbers of the PGs; empty where no manager reported any yet.
    pub pgmap: Numbers,
    /// How many PGs are in each state.
    pub pg_states: Vec<(String, f64)>,
    /// Monitors.
    pub num_mons: Option<f64>,
    /// Monitors that have a say.
    pub num_in_quorum: Option<f64>,
    /// A manager is active.
    pub mgr_available: Option<bool>,
    /// Managers that wait.
    pub num_standbys: Option<f64>,
}

/// Of `osdmap`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OsdMap {
    /// Goes up with every change of the map: OSDs, pools, rules.
    pub epoch: Option<f64>,
    /// All numbers, the epoch among them.
    pub numbers: Numbers,
    /// Some OSD is full: nothing can be written.
    pub full: Option<bool>,
    /// Some OSD is nearly full.
    pub nearfull: Option<bool>,
}

impl Status {
    /// What it says about PGs and rates comes from the manager. Without one, it is what the last one said.
    pub fn is_fresh(&self) -> bool {
        self.mgr_available != Some(false)
    }
}

pub(super) fn decode(json: Json<'_>) -> Option<Status> {
    let health = health::decode(json.get("health"))?;
    let osdmap = osdmap(json.get("osdmap"), &health);
    let (monmap, mgrmap, pgmap) = (json.get("monmap"), json.get("mgrmap"), json.get("pgmap"));
    let count = |json: Json<'_>| json.list().map(|list| list.len() as f64);
    let states = pgmap.get("pgs_by_state").list().into_iter().flatten();
    let states =
        states.filter_map(|state| Some((state.get("state_name").owned()?, state.get("count").number()?)));
    Some(Status {
        osdmap,
        pgmap: pgmap_numbers(pgmap),
        pg_states: states.collect(),
        num_mons: monmap.get("num_mons").number().or_else(|| count(monmap.get("mons"))),
        num_in_quorum: count(json.get("quorum")),
        mgr_available: mgrmap.get("available").flag(),
        num_standbys: mgrmap.get("num_standbys").number().or_else(|| count(mgrmap.get("standbys"))),
        health,
    })
}

/// Up to Nautilus it is within another of the same name. `full` and `nearfull` are there only until then; health says
/// both in every release.
fn osdmap(json: Json<'_>, health: &Health) -> OsdMap {
    let json = if json.get("osdmap").is_object() { json.get("osdmap") } else { json };
    let has = |name| Some(health.check(name).is_some());
    OsdMap {
        epoch: json.get("epoch").number(),
        numbers: json.numbers(&["epoch", "num_osds", "num_up_osds", "num_in_osds", "num_remapped_pgs"]),
        full: json.get("full").flag().or_else(|| has("OSD_FULL")),
        nearfull: json.get("nearfull").flag().or_else(|| has("OSD_NEARFULL")),
    }
}

/// Rates and the like are zero where Ceph leaves them out; but not where it says nothing at all.
fn pgmap_numbers(json: Json<'_>) -> Numbers {
    let mut numbers = json.numbers(PGMAP);
    if !numbers.is_empty() {
        for names in PGMAP_NOT_ZERO {
            numbers.extend(json.numbers_or_zero(names));
        }
        numbers.extend(json.numbers(PGMAP_TOTALS));
    }
    numbers
}
