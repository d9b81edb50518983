//! InfluxDB: line protocol, and the writers that send it.
//!
//! * [`line_protocol`]: points as lines. Pure.
//! * [`Target`]: where points go, as the operator configured it.
//! * [`Batch`] (feature `cli`): parts of the store as a request's worth of lines for one target.
//! * [`Client`] (feature `cli`): one request, and what its answer means ([`Outcome`]).
//! * [`sender`] (feature `cli`): a whole batch by these meanings: what was stored, what never will be, what to try later.
//! * [`history`] (feature `cli`): what a target already has, for replay.
//! * [`check`] (feature `cli`): what is wrong with a target, and what mends it.

#[cfg(feature = "cli")]
mod answer;
#[cfg(feature = "cli")]
mod batch;
#[cfg(feature = "cli")]
pub mod check;
#[cfg(feature = "cli")]
mod client;
#[cfg(feature = "cli")]
pub mod history;
pub mod line_protocol;
#[cfg(feature = "cli")]
mod mend;
#[cfg(feature = "cli")]
mod quote;
#[cfg(feature = "cli")]
pub mod sender;
mod target;

#[cfg(feature = "cli")]
pub use answer::Outcome;
#[cfg(feature = "cli")]
pub use batch::Batch;
#[cfg(feature = "cli")]
pub use client::{Client, ClientError};
pub use target::{Kind, Secret, Target};
