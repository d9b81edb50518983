//! The daemon without its threads, its sockets and its clocks: the same code, one step at a time.

mod machine;
mod model;
mod reload;
mod server;
