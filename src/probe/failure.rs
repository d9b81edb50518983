//! How a request can fail, in kinds that an alert can tell apart.

use std::fmt;

/// Kind of a failure. The names are values of a tag: never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureKind {
    /// The probe itself is not set up as it should be: a secret that cannot be read, say.
    Setup,
    /// The name has no address.
    Dns,
    /// Nobody listens there.
    Refused,
    /// There is no way to that address, or the connection could not be made for another reason.
    Unreachable,
    /// Not in time.
    Timeout,
    /// No trust: the certificate, or TLS as such.
    Tls,
    /// The connection broke off, or what came was not HTTP.
    Broken,
    /// An answer, but not the one that was asked for.
    Http,
    /// What came back is not what was put there.
    Content,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Setup,
        Self::Dns,
        Self::Refused,
        Self::Unreachable,
        Self::Timeout,
        Self::Tls,
        Self::Broken,
        Self::Http,
        Self::Content,
    ];

    /// Value of the tag `outcome`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Broken => "broken",
            Self::Http => "http",
            Self::Content => "content",
        }
    }
}

/// One failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// S3's error code, as `NoSuchBucket`, where the answer had one.
    pub code: Option<String>,
    /// What happened, for people; printable and bounded.
    pub detail: String,
}

impl Failure {
    /// Longest detail, bytes.
    const LONGEST: usize = 300;

    /// With what happened.
    pub(super) fn new(kind: FailureKind, detail: impl fmt::Display) -> Self {
        Self { kind, code: None, detail: printable(&detail.to_string(), Self::LONGEST) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.detail)
    }
}

/// What a server said, for people and points: without control characters, cut at a character.
pub(super) fn printable(text: &str, longest: usize) -> String {
    let mut kept: String = text.chars().take(longest).filter(|c| !c.is_control()).collect();
    while kept.len() > longest {
        kept.pop();
    }
    kept
}
