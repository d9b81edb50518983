//! What Ceph's commands say with `--format json`, release by release.
//!
//! Nothing here relies on more than it uses: fields that are not known are ignored, fields that are missing or of another
//! kind are `None`. Only an answer that is something else altogether is an error.

mod crush_rules;
mod df;
mod health;
mod json;
mod mend;
mod osd_df;
mod osd_dump;
mod osd_metadata;
mod osd_perf;
mod osd_tree;
mod pool_stats;
mod status;

pub use crush_rules::{CrushRule, Take};
pub use df::{Df, PoolUsage};
pub use health::{Check, Health};
pub use mend::mend;
pub use osd_df::OsdUsage;
pub use osd_dump::{OsdDump, OsdState, Pool};
pub use osd_metadata::ObjectStore;
pub use osd_perf::OsdLatency;
pub use osd_tree::{Node, OsdTree};
pub use pool_stats::PoolStats;
pub use status::{OsdMap, Status};

use json::Json;

/// Numbers of one object, by their names.
pub type Numbers = Vec<(&'static str, f64)>;

/// One question to Ceph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// `status`: health, maps, PGs, rates.
    Status,
    /// `df detail`: usage, also by class and pool.
    Df,
    /// `osd perf`: latency of each OSD.
    OsdPerf,
    /// `osd pool stats`: rates of each pool.
    PoolStats,
    /// `osd df`: usage of each OSD.
    OsdDf,
    /// `osd tree`: hierarchy and classes.
    OsdTree,
    /// `osd dump`: pools, profiles, ratios, and which OSDs are up and in.
    OsdDump,
    /// `osd crush rule dump`: which OSDs a pool uses.
    CrushRules,
    /// `osd metadata`: the object store of each OSD.
    OsdMetadata,
}

impl Question {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Status,
        Self::Df,
        Self::OsdPerf,
        Self::PoolStats,
        Self::OsdDf,
        Self::OsdTree,
        Self::OsdDump,
        Self::CrushRules,
        Self::OsdMetadata,
    ];

    /// As it is asked.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Status => &["status"],
            Self::Df => &["df", "detail"],
            Self::OsdPerf => &["osd", "perf"],
            Self::PoolStats => &["osd", "pool", "stats"],
            Self::OsdDf => &["osd", "df"],
            Self::OsdTree => &["osd", "tree"],
            Self::OsdDump => &["osd", "dump"],
            Self::CrushRules => &["osd", "crush", "rule", "dump"],
            Self::OsdMetadata => &["osd", "metadata"],
        }
    }

    /// As it is told: the words with a blank between.
    pub fn name(self) -> String {
        self.words().join(" ")
    }
}

/// An answer that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, even after mending.
    #[error("what it said is not JSON: {0}")]
    NotJson(String),
    /// JSON, of something else.
    #[error("what it said is not what `ceph {question}` says: {expected} is missing")]
    NotIt {
        /// What was asked.
        question: String,
        /// What every release answers.
        expected: &'static str,
    },
}

/// What is known of a cluster at one time; `None` of what was not asked, or not answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Of `status`.
    pub status: Option<Status>,
    /// Of `df detail`.
    pub df: Option<Df>,
    /// Of `osd perf`.
    pub osd_perf: Option<Vec<OsdLatency>>,
    /// Of `osd pool stats`.
    pub pool_stats: Option<Vec<PoolStats>>,
    /// Of `osd df`.
    pub osd_df: Option<Vec<OsdUsage>>,
    /// Of `osd tree`.
    pub osd_tree: Option<OsdTree>,
    /// Of `osd dump`.
    pub osd_dump: Option<OsdDump>,
    /// Of `osd crush rule dump`.
    pub crush_rules: Option<Vec<CrushRule>>,
    /// Of `osd metadata`.
    pub osd_metadata: Option<Vec<ObjectStore>>,
}

impl Snapshot {
    /// Takes in what Ceph answered to a question.
    ///
    /// # Errors
    /// What it said is not JSON, or of something else. The snapshot is as it was.
    pub fn take(&mut self, question: Question, said: &[u8]) -> Result<(), DecodeError> {
        let said = mend(said);
        let value: serde_json::Value =
            serde_json::from_slice(&said).map_err(|error| DecodeError::NotJson(error.to_string()))?;
        let json = Json(&value);
        let not_it = |expected| DecodeError::NotIt { question: question.name(), expected };
        match question {
            Question::Status => self.status = Some(status::decode(json).ok_or_else(|| not_it("`health`"))?),
            Question::Df => self.df = Some(df::decode(json).ok_or_else(|| not_it("`stats`"))?),
            Question::OsdPerf => {
                self.osd_perf = Some(osd_perf::decode(json).ok_or_else(|| not_it("`osd_perf_infos`"))?);
            }
            Question::PoolStats => {
                self.pool_stats = Some(pool_stats::decode(json).ok_or_else(|| not_it("a list"))?);
            }
            Question::OsdDf => self.osd_df = Some(osd_df::decode(json).ok_or_else(|| not_it("`nodes`"))?),
            Question::OsdTree => {
                self.osd_tree = Some(osd_tree::decode(json).ok_or_else(|| not_it("`nodes`"))?)
            }
            Question::OsdDump => {
                self.osd_dump = Some(osd_dump::decode(json).ok_or_else(|| not_it("`pools` or `osds`"))?)
            }
            Question::CrushRules => {
                self.crush_rules = Some(crush_rules::decode(json).ok_or_else(|| not_it("a list"))?);
            }
            Question::OsdMetadata => {
                self.osd_metadata = Some(osd_metadata::decode(json).ok_or_else(|| not_it("a list"))?);
            }
        }
        Ok(())
    }
}
