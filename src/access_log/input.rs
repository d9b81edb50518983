//! How the lines of a log are written, whoever writes it: nginx, by its directive, or RGW itself.

use std::str::FromStr;

use super::{FormatError, GatewayLog, GatewayParser, LineParser, LogFormat, Parsed, Told};
use crate::point::TimestampMs;

/// The format of a log that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// nginx's access log.
    Nginx(LogFormat),
    /// One of RGW's own logs.
    Gateway(GatewayLog),
}

impl InputFormat {
    /// All names that [`FromStr`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        LogFormat::NAMES.iter().chain(GatewayLog::NAMES).copied()
    }

    /// As long as a line may well be, bytes, whatever the limit: RGW writes all that it has on one line of its ops log, up
    /// to `rgw_ops_log_data_backlog` (5 MiB, if nobody has changed it). To skip such a line would lose thousands.
    pub fn longest_line(&self) -> usize {
        match self {
            Self::Gateway(log) if log.is_ops() => 8 << 20,
            _ => 0,
        }
    }
}

impl From<LogFormat> for InputFormat {
    fn from(format: LogFormat) -> Self {
        Self::Nginx(format)
    }
}

impl From<GatewayLog> for InputFormat {
    fn from(log: GatewayLog) -> Self {
        Self::Gateway(log)
    }
}

/// A name of one of RGW's logs, else what [`LogFormat`] takes.
impl FromStr for InputFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        GatewayLog::named(text.trim()).map_or_else(|| text.parse().map(Self::Nginx), |log| Ok(log.into()))
    }
}

/// A parser of any format.
#[derive(Clone, Debug)]
pub enum InputParser {
    /// Of nginx's lines.
    Nginx(Box<LineParser>),
    /// Of RGW's own.
    Gateway(GatewayParser),
}

impl InputParser {
    /// A parser of this format.
    pub fn new(format: InputFormat) -> Self {
        match format {
            InputFormat::Nginx(format) => Self::Nginx(Box::new(LineParser::new(format))),
            InputFormat::Gateway(log) => Self::Gateway(GatewayParser::new(log)),
        }
    }

    /// Hands what stands on a line to `each`: for nginx's one record or reject, for others see [`GatewayParser::parse`].
    pub fn parse<'a>(&mut self, line: &'a [u8], mut each: impl FnMut(Parsed<'a>)) {
        match self {
            Self::Nginx(parser) => each(match parser.parse(line) {
                Ok(record) => Parsed::Record(record, Told::default()),
                Err(reject) => Parsed::Rejected(reject),
            }),
            Self::Gateway(parser) => parser.parse(line, |_, parsed| each(parsed)),
        }
    }

    /// The time of the first record on a line that has one.
    pub fn first_time(&mut self, line: &[u8]) -> Option<TimestampMs> {
        let mut first = None;
        self.parse(line, |parsed| {
            if let Parsed::Record(record, _) = parsed {
                first = first.or(Some(record.time_ms));
            }
        });
        first
    }
}
