//! `ceph osd crush rule dump`.

use super::json::Json;

/// A rule: where the pieces of an object go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrushRule {
    /// Its number.
    pub id: i64,
    /// Where it takes OSDs from; more than one place for rules that mix classes.
    pub takes: Vec<Take>,
}

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Name of the bucket.
    pub bucket: String,
    /// Only OSDs of this device class, of all below it.
    pub class: Option<String>,
}

pub(super) fn decode(json: Json<'_>) -> Option<Vec<CrushRule>> {
    let take = |step: Json<'_>| {
        if step.get("op").text()? != "take" {
            return None;
        }
        // `default~hdd` is the shadow of `default` that has its disks only.
        let name = step.get("item_name").text()?;
        let (bucket, class) = name.split_once('~').map_or((name, None), |(name, class)| (name, Some(class)));
        Some(Take { bucket: bucket.to_owned(), class: class.map(str::to_owned) })
    };
    let rule = |rule: Json<'_>| {
        let takes = rule.get("steps").list().into_iter().flatten().filter_map(take).collect();
        Some(CrushRule { id: rule.get("rule_id").id()?, takes })
    };
    Some(json.list()?.filter_map(rule).collect())
}
