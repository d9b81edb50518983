//! A line of an access log becomes a [`Record`], and a record becomes RGW's name for what was asked. No I/O, no clock.
//!
//! [`LogFormat`] is compiled once from the operator's own `log_format` directive; [`LineParser`] then takes lines apart
//! with it; [`Classifier`] says which operation of which API on which bucket a record is.

mod classify;
mod conf_lexer;
mod escape;
mod format;
mod gateway;
mod input;
mod method;
pub mod nginx_conf;
mod operation;
mod parse;
mod probe_mark;
mod record;
mod scan;
mod time;

pub use classify::{
    Asked, Classified, Classifier, ClassifierSettings, HealthSettings, ProbeSettings, Release, Told,
    redacted_uri, valid_bucket,
};
pub use conf_lexer::{Position, SyntaxError};
pub use escape::{Escape, unescape};
pub use format::{FormatError, Lack, LogFormat};
pub use gateway::{GatewayLog, GatewayParser, Parsed};
pub use input::{InputFormat, InputParser};
pub use method::Method;
pub use operation::{Class, Operation, Protocol};
pub use parse::{EachLine, LineParser, Reject};
pub use probe_mark::{MarkKey, ProbeMark};
pub use record::{PlainTarget, Record};
pub use time::{TimeError, parse_msec, parse_time_iso8601, parse_time_local};
