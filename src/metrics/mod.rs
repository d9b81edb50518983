//! `/metrics`: the text that Prometheus reads, and the server that it reads it from.

mod histogram;
mod requests;
mod server;
mod text;

pub use histogram::Histogram;
pub use requests::RequestMetrics;
pub use server::{Server, ServerError};
pub use text::{CONTENT_TYPE, Exposition, Kind};
