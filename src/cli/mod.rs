//! The command line.

pub mod args;
mod time_arg;

pub use time_arg::{TimeArg, TimeArgError};
