//! A summary of any number of parts: what the gateways did, how fast, and what went wrong.
//!
//! [`Builder`] adds up parts in any order, from several gateways and logs; the [`Report`] is the same whatever the
//! order. Percentiles come from merged histograms, never from other percentiles. Integers are exact.

mod builder;
mod ceph;
mod distribution;
mod figures;
mod probes;
#[cfg(test)]
pub(crate) mod sample;
mod seen;
mod slowest;
#[cfg(test)]
mod tests;

pub use builder::{Builder, Options};
pub use ceph::{
    CephBuilder, CephCheck, CephIops, CephOsds, CephPgs, CephPool, CephReport, CephUsage, Reading,
};
pub use figures::{
    BucketReport, Buckets, ClassReport, Figures, Flow, LatencyStats, Lines, NodeReport, OperationReport,
    Parts, Peak, Rejected, Report, Service, SizeReport, SizeStep, Slow, SlowEvent, SlowOfClass, SlowOfNode,
    StatusReport, UpstreamReport,
};
pub use probes::{Joined, ProbeReport};
