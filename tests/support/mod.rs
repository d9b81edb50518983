//! What integration tests share: real programs, started in a folder of their own and gone when the test is.

#![allow(dead_code, unreachable_pub, reason = "each test is a crate of its own and uses a part of this")]

pub mod account;
pub mod ceph;
pub mod corpus;
pub mod durable;
pub mod gateway;
#[cfg(feature = "cli")]
pub mod influx;
pub mod logrotate;
pub mod nginx;
pub mod points;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod sink;
#[cfg(feature = "cli")]
pub mod site;
pub mod traffic;

use std::thread;
use std::time::{Duration, Instant};

/// Far longer than anything takes, also on a machine that is busy with all tests: only a test that fails waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until there is an answer. Panics, naming what did not happen, when there is none in time.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "after {PATIENCE:?} still not: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
