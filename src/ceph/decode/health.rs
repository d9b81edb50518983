//! `health` of `ceph status`.
//!
//! Luminous and Mimic have `overall_status` beside `status`, and it lies: it is HEALTH_WARN to tell old tools that they
//! should look at `status`. It is not read. Jewel and before had nothing else.

use super::json::Json;

/// What Ceph says about its health.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// `HEALTH_OK`, `HEALTH_WARN` or `HEALTH_ERR`.
    pub status: String,
    /// What it complains about, muted or not, by name.
    pub checks: Vec<Check>,
    /// Checks that an operator muted, those that have nothing to complain about now among them; from Octopus on.
    pub mutes: Option<f64>,
}

/// One complaint.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// As `OSD_DOWN`.
    pub name: String,
    /// `HEALTH_WARN` or `HEALTH_ERR`.
    pub severity: Option<String>,
    /// One line for people.
    pub message: Option<String>,
    /// How many of what it is about: `summary.count` from Octopus on, before that the number with which the message
    /// begins.
    pub count: Option<f64>,
    /// It does not count for `status`. Before Octopus none is.
    pub muted: bool,
}

impl Health {
    /// The complaint of this name.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// Operations that take too long: `SLOW_OPS`, and before Nautilus `REQUEST_SLOW` and `REQUEST_STUCK`. Its `count` is
    /// of daemons in some releases, so only the message says how many. `None` if that cannot be told.
    pub fn slow_ops(&self) -> Option<f64> {
        let slow =
            ["SLOW_OPS", "REQUEST_SLOW", "REQUEST_STUCK"].into_iter().filter_map(|name| self.check(name));
        slow.map(|check| leading_number(check.message.as_deref()?)).sum()
    }

    /// How long the oldest of them has taken, in seconds; 0 where there is none.
    pub fn slow_ops_oldest_seconds(&self) -> Option<f64> {
        let Some(check) = self.check("SLOW_OPS") else {
            let before_nautilus =
                ["REQUEST_SLOW", "REQUEST_STUCK"].into_iter().any(|name| self.check(name).is_some());
            return (!before_nautilus).then_some(0.0);
        };
        let (_, after) = check.message.as_deref()?.split_once("blocked for ")?;
        after.split(' ').next()?.parse().ok()
    }
}

pub(super) fn decode(json: Json<'_>) -> Option<Health> {
    let status = json.get("status").owned()?;
    let checks =
        json.get("checks").entries().into_iter().flatten().map(|(name, check)| check_of(name, check));
    let mutes = json.get("mutes").list().map(|mutes| mutes.len() as f64);
    Some(Health { status, checks: checks.collect(), mutes })
}

fn check_of(name: &str, json: Json<'_>) -> Check {
    let summary = json.get("summary");
    let message = summary.get("message").owned();
    Check {
        name: name.to_owned(),
        severity: json.get("severity").owned(),
        count: summary.get("count").number().or_else(|| leading_number(message.as_deref()?)),
        message,
        muted: json.get("muted").flag().unwrap_or(false),
    }
}

/// `12` of "12 slow ops, …" and `1` of "1/3 mons down, …".
fn leading_number(message: &str) -> Option<f64> {
    let end = message.find(|c: char| !c.is_ascii_digit())?;
    message[end..].starts_with([' ', '/']).then(|| message[..end].parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(checks: serde_json::Value) -> Health {
        decode(Json(&serde_json::json!({ "status": "HEALTH_WARN", "checks": checks }))).unwrap()
    }

    #[test]
    fn messages_begin_with_a_number_or_not() {
        let check = |message, expected| assert_eq!(leading_number(message), expected, "{message}");
        check("1 osds down", Some(1.0));
        check("1/3 mons down, quorum a,b", Some(1.0));
        check("Degraded data redundancy: 3/9", None);
        check("12", None);
        check("3rd", None);
        check("", None);
    }

    #[test]
    fn slow_operations_are_told_in_three_ways() {
        let check = |checks, ops, seconds| {
            let health = health(checks);
            assert_eq!((health.slow_ops(), health.slow_ops_oldest_seconds()), (ops, seconds));
        };
        let said = |message: &str| serde_json::json!({ "severity": "HEALTH_WARN", "summary": { "message": message } });
        check(serde_json::json!({}), Some(0.0), Some(0.0));
        let message = "31 slow ops, oldest one blocked for 37 sec, daemons [osd.0,osd.2] have slow ops.";
        check(serde_json::json!({ "SLOW_OPS": said(message) }), Some(31.0), Some(37.0));
        let both = serde_json::json!({
            "REQUEST_SLOW": said("4 slow requests are blocked > 32 sec. Implicated osds 1"),
            "REQUEST_STUCK": said("2 stuck requests are blocked > 4096 sec."),
        });
        check(both, Some(6.0), None);
        check(serde_json::json!({ "SLOW_OPS": said("some slow ops") }), None, None);
    }
}
