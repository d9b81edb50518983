//! The operator's own `log_format` directive, compiled into a plan of steps.

/// A compiled log format.
#[derive(Clone, Debug)]
pub struct LogFormat {}

/// Why a directive cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("placeholder")]
pub struct FormatError {}
