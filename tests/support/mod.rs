//! What several tests need.

pub mod influx;
