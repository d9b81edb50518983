//! Ceph's own numbers, asked of the `ceph` command every interval: settings in, points out.
//!
//! [`Collector`] is the edge: it runs commands ([`Runner`]), each with a deadline and a bound. What they say is taken
//! apart by [`decode`], for every release from Luminous on; [`write_points`] makes points of it, under the names of
//! Telegraf's `inputs.ceph` where that has them. Both are pure, as is the bound on IOPS.

mod collector;
mod command;
pub mod decode;
mod iops;
mod points;
mod settings;
#[cfg(test)]
mod tests;
mod topology;

pub use collector::{Asked, Collector, Failure, Outcome};
pub use command::{CommandError, Runner};
pub use decode::{DecodeError, Question, Snapshot};
pub use points::{FIELDS, MEASUREMENTS, TAGS, write_points};
pub use settings::{Identity, IopsSettings, Settings};
