//! What integration tests share: real programs, started in a folder of their own and gone when the test is.

#![allow(dead_code, unreachable_pub, reason = "each test is a crate of its own and uses a part of this")]

pub mod influx;
pub mod nginx;
pub mod ports;
