//! InfluxDB: line protocol, and the writers that send it.

pub mod line_protocol;
mod target;

pub use target::{Kind, Secret, Target};
