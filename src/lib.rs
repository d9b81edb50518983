//! What a Ceph object gateway (RADOS Gateway, RGW) is doing, from the access log of the nginx in front of it.
//!
//! # Layout
//!
//! The folders are the data path, in this order; imports point up this list only.
//!
//! * [`point`]: the vocabulary of what leaves us: measurement, tags, fields, timestamp.
//! * [`access_log`]: a line of a log becomes a [`Record`](access_log::Record), and RGW's name for the request. Pure.
//! * [`stats`]: requests become windows, windows become immutable parts, parts become points. Pure; time is data.
//! * [`report`]: parts as a summary. Pure.
//! * [`influx`]: points as line protocol (pure), and with the feature `cli` the writers that send it.
//! * [`follow`]: log files, their rotations and their compressed past, as one stream of lines. Blocking I/O.
//! * `store` (feature `store`): the SQLite database whose one transaction moves everything that has to move together.
//! * `metrics` (feature `cli`): the text that Prometheus reads, and its server.
//! * `probe` (feature `cli`): rounds of S3 requests from outside, as a user makes them.
//! * [`pipeline`]: the loop that `run` and `replay` share.
//! * `daemon`, `replay`, `check`, `demo`, `config`, `cli` (feature `cli`): the wiring and the edges.
//!
//! Without default features this is a library that parses, classifies and aggregates, with neither tokio nor SQLite.

pub mod access_log;
#[cfg(feature = "cli")]
pub mod ceph;
#[cfg(feature = "cli")]
pub mod check;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod config;
#[cfg(feature = "cli")]
pub mod daemon;
#[cfg(feature = "cli")]
pub mod demo;
pub mod follow;
pub mod influx;
#[cfg(feature = "cli")]
pub mod metrics;
pub mod pipeline;
pub mod point;
#[cfg(feature = "cli")]
pub mod probe;
#[cfg(feature = "cli")]
pub mod replay;
pub mod report;
pub mod stats;
#[cfg(feature = "store")]
pub mod store;
