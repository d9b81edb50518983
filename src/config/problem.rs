//! What is wrong with a configuration, in words that say how to mend it.

use std::{fmt, path::PathBuf};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is not TOML. The line that is wrong is named but not shown, since it may hold a secret.
    #[error("{origin} is not valid TOML: {message}")]
    Syntax {
        /// The file, or "the configuration".
        origin: String,
        /// Line, column and what was expected there.
        message: String,
    },
    /// Keys or values that cannot be used: all of them, sorted by key.
    #[error("{origin} has {}", Listed(problems))]
    Invalid {
        /// The file, or "the configuration".
        origin: String,
        /// At least one.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// What is wrong with keys and values; empty if the file could not be read at all.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid { problems, .. } => problems,
            Self::Read { .. } | Self::Syntax { .. } => &[],
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Full dotted key, as `output[0].url`: the first `[[output]]` of the file is number 0.
    pub key: String,
    /// The value as it was written; absent if none was, or if it could be a secret.
    pub value: Option<String>,
    /// The environment variable that it came from, if it did not come from the file.
    pub variable: Option<String>,
    /// What is allowed, or what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(variable) = &self.variable {
            write!(f, " (from the environment variable {variable})")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The problems, one a line.
struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} problem{}:", self.0.len(), if self.0.len() == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Ends a sentence about an unknown word: with the known one that is nearest, else with all of them.
pub(super) fn suggest<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let distance = |known: &str| strsim::damerau_levenshtein(&word.to_lowercase(), known);
    // A third of the letters may be wrong; `databse` is `database`, `path` is not `port`.
    let near = known.clone().map(|known| (distance(known), known)).min();
    match near {
        Some((distance, near)) if distance * 3 <= near.len() => format!("; did you mean {near}?"),
        _ => format!("; known are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses() {
        let check = |word, expected: &str| {
            assert_eq!(suggest(word, ["database", "path", "url"].into_iter()), expected, "{word}")
        };
        check("databse", "; did you mean database?");
        check("Database", "; did you mean database?");
        check("ulr", "; did you mean url?");
        check("port", "; known are database, path, url");
    }
}
