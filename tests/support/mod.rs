//! What several tests need.
#![allow(unreachable_pub, reason = "there is no outside of a test binary")]

pub mod influx;
