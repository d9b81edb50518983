//! What `rgwlens check` finds: the configuration's surroundings, each thing that is looked at with what mends it.
//!
//! Nothing is changed by looking. One file a subject; [`check`] asks all of them.

mod accounts;
mod ceph;
mod configured;
mod format;
mod log;
mod nginx;
mod outputs;
mod probe;
mod reach;
mod sample;
mod shell;
mod store;

use std::path::Path;

use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use crate::config::Config;
pub use configured::unusable;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but says less than it could, or may not work for ever.
    Warn,
    /// It does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What: `configuration`, `log access`, `store`, `output influxdb`, …
    pub subject: String,
    /// How bad it is.
    pub level: Level,
    /// How it is, or what is wrong. May hold names of files and text of strangers, control characters and all.
    pub message: String,
    /// Commands or lines of configuration that mend it, as they are to be typed; several lines.
    pub mend: Option<String>,
}

impl Finding {
    fn ok(subject: &str, message: impl Into<String>) -> Self {
        Self { subject: subject.into(), level: Level::Ok, message: message.into(), mend: None }
    }

    fn warn(subject: &str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { subject: subject.into(), level: Level::Warn, message: message.into(), mend: Some(mend.into()) }
    }

    fn fail(subject: &str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { subject: subject.into(), level: Level::Fail, message: message.into(), mend: Some(mend.into()) }
    }
}

/// Looks at everything, in the order of the data: configuration, logs, nginx's side of them, store, Ceph, the
/// probe's endpoints, outputs. `nginx_conf` is nginx's configuration, or what `nginx -T` prints.
pub fn check(config: &Config, nginx_conf: Option<&Path>) -> Vec<Finding> {
    let accounts = accounts::Accounts::of_system();
    let mut findings = vec![configured::valid(config)];
    findings.extend(accounts.finding());
    for log in &config.logs {
        findings.extend(log::check(log, &accounts));
    }
    if let Some(path) = nginx_conf {
        findings.extend(nginx::check(path, &config.logs));
    }
    findings.extend(store::check(config, &accounts));
    findings.extend(ceph::check(config));
    findings.extend(probe::check(config));
    findings.extend(outputs::check(config));
    findings
}

/// What asks something over there; else what to say of this subject.
fn runtime(subject: &str) -> Result<Runtime, Finding> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Finding::fail(subject, error.to_string(), "see what this machine has run out of"))
}
