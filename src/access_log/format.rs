//! The operator's own `log_format` directive, compiled into a plan of steps.

mod directive;
mod plan;
mod variables;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::Escape;
use super::conf_lexer::{Position, SyntaxError};
use directive::Directive;

pub(super) use plan::{Back, Extent, Guard, Literal, Plan, Step};
pub(super) use variables::Field;

/// The formats we ship, as the file that nginx includes: one source for both.
const SHIPPED: &str = include_str!("../../nginx/log_format.conf");

/// What nginx uses when `access_log` names no format.
const COMBINED: &str = r#"log_format combined '$remote_addr - $remote_user [$time_local] '
    '"$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';"#;

/// A compiled log format. Made by [`named`](Self::named), [`compile`](Self::compile), or from either by parsing
/// (`FromStr`): a name that is known, else a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    name: Option<String>,
    variables: Vec<String>,
    lacks: Vec<Lack>,
    pub(super) plan: Plan,
}

/// A variable that a format lacks, and what that costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The variable, without `$`.
    pub variable: Cow<'static, str>,
    /// What is lost, as a clause.
    pub lost: Cow<'static, str>,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}: {}", self.variable, self.lost)
    }
}

/// Why a directive cannot be used. Positions are in the text that was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// nginx could not read it either.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// No text at all.
    #[error("the log format is empty: expected log_format NAME 'text with $variables';")]
    Empty,
    /// `escape=none`.
    #[error(
        "{at}: escape=none cannot be read: a client could write quotes and line ends into the log and so forge lines; use escape=json or leave it out"
    )]
    EscapeNone {
        /// Where.
        at: Position,
    },
    /// An `escape=` that nginx does not know.
    #[error("{at}: unknown escape={value}: nginx knows default and json")]
    UnknownEscape {
        /// Where.
        at: Position,
        /// What was given.
        value: String,
    },
    /// Nothing between two variables.
    #[error(
        "{at}: nothing stands between ${first} and ${second}, so where one ends cannot be told: put a blank or quotes between them"
    )]
    Adjacent {
        /// Where the second starts.
        at: Position,
        /// The first of them.
        first: String,
        /// The second.
        second: String,
    },
    /// More than one value whose end cannot be told, with nothing between them that they cannot hold.
    #[error(
        "{at}: ${first} stands without quotes, so where it ends before ${last} cannot be told, and ${needed} is among them: put quotes around ${first}"
    )]
    Ambiguous {
        /// Where the first of them starts.
        at: Position,
        /// The first of them.
        first: String,
        /// The last.
        last: String,
        /// What is needed and stands among them.
        needed: String,
    },
    /// Needed variables are not there.
    #[error("the log format lacks what is needed; add {}", .0.iter().map(Lack::to_string).collect::<Vec<_>>().join("; "))]
    Lacks(Vec<Lack>),
}

impl LogFormat {
    /// The names that [`named`](Self::named) knows.
    pub const NAMES: &[&str] = &["main", "rgwlens", "combined"];

    /// A format by name: `main` (the widespread one with `$request_time`), `rgwlens` (ours, all that is useful), or
    /// `combined` (nginx's predefined one, which has no times: see [`warnings`](Self::warnings)).
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "combined" => Self::compile(COMBINED).ok(),
            "main" | "rgwlens" => {
                let conf = super::nginx_conf::read("log_format.conf", SHIPPED, |_| Ok(Vec::new())).ok()?;
                conf.formats.iter().find(|format| format.name == name)?.compile().ok()
            }
            _ => None,
        }
    }

    /// Compiles what an operator pastes: the `log_format` directive as it stands in nginx.conf; only its quoted pieces
    /// (text that starts with `'` or `escape=`); or only the format's text, taken to the letter.
    ///
    /// Refuses `escape=none`, variables that stand next to each other, and formats without a time, the request, the
    /// status, the bytes sent, or `$request_time`, except nginx's predefined `combined`, which nobody can change.
    pub fn compile(source: &str) -> Result<Self, FormatError> {
        let directive = Directive::parse(source)?;
        let combined = Directive::parse(COMBINED)?;
        let tolerated: &[Field] = if directive.same_text(&combined) { &[Field::RequestTime] } else { &[] };
        plan::compile(&directive, tolerated)
    }

    /// The name in the directive, if it had one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// How nginx escapes values in this format.
    pub fn escape(&self) -> Escape {
        self.plan.escape
    }

    /// Whether the format carries this variable (without `$`).
    pub fn has(&self, variable: &str) -> bool {
        self.variables.iter().any(|name| name == variable)
    }

    /// Whether every line of the one format is a line of the other and says the same there, whatever they are called.
    pub fn writes_the_same_as(&self, other: &Self) -> bool {
        self.plan == other.plan && self.variables == other.variables
    }

    /// What would be useful but is not there, and what stands so that a stranger can shift it.
    pub fn warnings(&self) -> &[Lack] {
        &self.lacks
    }
}

impl FromStr for LogFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Self::named(text.trim()).map_or_else(|| Self::compile(text), Ok)
    }
}
