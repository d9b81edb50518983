//! What was written, as a tree of keys that still knows where each value came from: the file, or the environment.

use config::{ConfigError as SourceError, FileFormat, Map, Source, Value, ValueKind};

use super::problem::{Problem, suggest};
use super::written;

/// What an environment variable's name begins with; `__` then separates the levels of the key.
const PREFIX: &str = "RGWLENS_";

/// The tree of everything written.
pub(super) struct Tree(Value);

impl Tree {
    /// Reads TOML, then lays the environment over it. The error is the syntax error of the file.
    pub(super) fn read(text: &str, environment: &[(String, String)]) -> Result<Self, String> {
        let table = config::File::from_str(text, FileFormat::Toml)
            .collect()
            .map_err(|error| without_excerpt(&error))?;
        let mut tree = Value::new(None, table);
        let keys = written::every_key();
        for (name, text) in environment {
            let Some(key) = key_of(name) else { continue };
            let path = segments(&key);
            // Lists are written `a,b` here: there are no brackets in an environment file.
            let kind = match find_default(&keys, &path) {
                Some(serde_json::Value::Array(_)) => {
                    let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
                    ValueKind::Array(texts.map(|text| Value::new(Some(name), text)).collect())
                }
                _ => ValueKind::String(text.clone()),
            };
            set(&mut tree, &path, Value::new(Some(name), kind));
        }
        Ok(Self(tree))
    }

    /// Takes out every key that does not exist, and says which it may have been meant to be.
    pub(super) fn take_unknown(&mut self) -> Vec<Problem> {
        let mut problems = Vec::new();
        take_unknown(&mut self.0, &written::every_key(), "", &mut problems);
        problems
    }

    /// Reads the tree into the written structs. Each value of the wrong kind is reported, taken out, and the rest read
    /// again, so that the operator learns of all of them at once.
    pub(super) fn read_values(mut self) -> (written::File, Self, Vec<Problem>) {
        let whole = Self(self.0.clone());
        let mut problems = Vec::new();
        loop {
            match self.0.clone().try_deserialize::<written::File>() {
                Ok(file) => return (file, whole, problems),
                Err(error) => {
                    let (key, message) = explain(&error);
                    problems.push(whole.problem(&key, message));
                    if !remove(&mut self.0, &segments(&key)) {
                        return (written::File::default(), whole, problems);
                    }
                }
            }
        }
    }

    /// A problem with the value of this key, which is shown as it was written (unless it is a secret).
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        let value = find(&self.0, &segments(key));
        Problem {
            key: key.to_owned(),
            value: value.and_then(|value| show(key, value)),
            variable: value.and_then(Value::origin).map(str::to_owned),
            message: message.into(),
        }
    }

    /// Whether this key was written in the file (not in the environment, not left at its default).
    pub(super) fn in_file(&self, key: &str) -> bool {
        find(&self.0, &segments(key)).is_some_and(|value| value.origin().is_none())
    }

    /// Whether this key was written at all.
    pub(super) fn has(&self, key: &str) -> bool {
        find(&self.0, &segments(key)).is_some()
    }
}

/// The key that an environment variable sets: `RGWLENS_OUTPUT__0__URL` is `output[0].url`. `None` if it is none of ours.
fn key_of(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?;
    // Kubernetes sets these in every pod next to a service that is called rgwlens.
    if rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_") {
        return None;
    }
    let mut key = String::new();
    // One level more than there is, so that whatever is too deep is still an unknown key.
    for level in rest.splitn(5, "__") {
        if is_index(level) {
            key += &format!("[{level}]");
        } else {
            let dot = if key.is_empty() { "" } else { "." };
            key += &format!("{dot}{}", level.to_ascii_lowercase());
        }
    }
    Some(key)
}

/// Two digits at most: a list is filled up to its index.
fn is_index(level: &str) -> bool {
    matches!(level.len(), 1 | 2) && level.bytes().all(|b| b.is_ascii_digit())
}

/// The levels of a dotted key; an index of a list is a level.
fn segments(key: &str) -> Vec<&str> {
    key.split(['.', '[', ']']).filter(|level| !level.is_empty()).collect()
}

fn find<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let Some((level, rest)) = path.split_first() else { return Some(value) };
    let child = match &value.kind {
        ValueKind::Table(table) => table.get(*level)?,
        ValueKind::Array(list) => list.get(level.parse::<usize>().ok()?)?,
        _ => return None,
    };
    find(child, rest)
}

/// Sets a value; what is on the path to it and cannot hold it is replaced.
fn set(at: &mut Value, path: &[&str], value: Value) {
    let Some((level, rest)) = path.split_first() else {
        *at = value;
        return;
    };
    match level.parse::<usize>().ok().filter(|_| is_index(level)) {
        Some(index) => {
            if !matches!(at.kind, ValueKind::Array(_)) {
                at.kind = ValueKind::Array(Vec::new());
            }
            let ValueKind::Array(list) = &mut at.kind else { return };
            list.resize(list.len().max(index + 1), Value::default());
            set(&mut list[index], rest, value);
        }
        None => {
            if !matches!(at.kind, ValueKind::Table(_)) {
                at.kind = ValueKind::Table(Map::new());
            }
            let ValueKind::Table(table) = &mut at.kind else { return };
            set(table.entry((*level).to_owned()).or_default(), rest, value);
        }
    }
}

fn find_default<'a>(keys: &'a serde_json::Value, path: &[&str]) -> Option<&'a serde_json::Value> {
    let Some((level, rest)) = path.split_first() else { return Some(keys) };
    let child = match keys {
        serde_json::Value::Array(list) => list.first()?,
        keys => keys.get(level)?,
    };
    find_default(child, rest)
}

/// Takes out the deepest key of a table on this path. An element of a list stays: without it the indexes of those
/// behind it would be others than the operator sees.
fn remove(value: &mut Value, path: &[&str]) -> bool {
    let Some((level, rest)) = path.split_first() else { return false };
    match &mut value.kind {
        ValueKind::Table(table) => {
            table.get_mut(*level).is_some_and(|child| remove(child, rest)) || table.remove(*level).is_some()
        }
        ValueKind::Array(list) => level
            .parse::<usize>()
            .ok()
            .and_then(|at| list.get_mut(at))
            .is_some_and(|child| remove(child, rest)),
        _ => false,
    }
}

fn take_unknown(value: &mut Value, known: &serde_json::Value, path: &str, problems: &mut Vec<Problem>) {
    match (&mut value.kind, known) {
        (ValueKind::Table(table), serde_json::Value::Object(keys)) if !keys.is_empty() => {
            table.retain(|key, child| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if let Some(known) = keys.get(key) {
                    take_unknown(child, known, &path, problems);
                    return true;
                }
                problems.push(Problem {
                    key: path,
                    // What is written under an unknown name may be a secret.
                    value: None,
                    variable: child.origin().or_else(|| first_origin(child)).map(str::to_owned),
                    message: format!("unknown key{}", suggest(key, keys.keys().map(String::as_str))),
                });
                false
            })
        }
        (ValueKind::Array(list), serde_json::Value::Array(known)) => {
            for (index, child) in list.iter_mut().enumerate() {
                take_unknown(child, known.first().unwrap_or_default(), &format!("{path}[{index}]"), problems);
            }
        }
        _ => {}
    }
}

/// A table that an environment variable made has no origin of its own, but what is in it has.
fn first_origin(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::Table(table) => {
            table.values().find_map(|child| child.origin().or_else(|| first_origin(child)))
        }
        ValueKind::Array(list) => {
            list.iter().find_map(|child| child.origin().or_else(|| first_origin(child)))
        }
        _ => None,
    }
}

/// A value for an error message. Secrets, and what holds more than one value, are not shown.
fn show(key: &str, value: &Value) -> Option<String> {
    let last = segments(key).into_iter().rev().find(|level| !is_index(level)).unwrap_or_default();
    let is_secret = match (last, &value.kind) {
        // A whole output in one text may be a URL with a password in it.
        ("password" | "token" | "secret_key" | "mark_key" | "output", _) => true,
        // The secret itself instead of its file: an easy mistake.
        ("password_file" | "token_file" | "secret_key_file" | "mark_key_file", ValueKind::String(path)) => {
            !path.starts_with(['/', '$'])
        }
        _ => false,
    };
    if is_secret && !matches!(value.kind, ValueKind::Table(_) | ValueKind::Nil) {
        return Some("[redacted]".into());
    }
    match &value.kind {
        ValueKind::String(text) if last == "url" => Some(format!("{:?}", without_user_info(text))),
        ValueKind::String(text) => Some(format!("{text:?}")),
        ValueKind::Array(list) => {
            let texts: Option<Vec<_>> = list.iter().map(|child| show(key, child)).collect();
            texts.map(|texts| format!("[{}]", texts.join(", ")))
        }
        ValueKind::Table(_) | ValueKind::Nil => None,
        plain => Some(plain.to_string()),
    }
}

/// A URL without what may be a password in it.
fn without_user_info(url: &str) -> String {
    let Some(at) = url.rfind('@') else { return url.to_owned() };
    let start = url[..at].find("://").map_or(0, |scheme| scheme + 3);
    format!("{}[redacted]{}", &url[..start], &url[at..])
}

/// The key of an error of the `config` crate, and what to say about its value.
fn explain(error: &SourceError) -> (String, String) {
    let (key, said) = match error {
        SourceError::Type { key, expected, .. } => (key.clone(), format!("must be {expected}")),
        SourceError::At { error, key, .. } => (key.clone(), expected_only(&error.to_string())),
        other => (None, expected_only(&other.to_string())),
    };
    // The crate writes `output[0]url`.
    let key = key.unwrap_or_default().replace(']', "].").replace("].[", "][").replace("]..", "].");
    (key.trim_end_matches('.').to_owned(), said)
}

/// serde says "invalid type: string "hunter2", expected a sequence": the value is not ours to repeat.
fn expected_only(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if expected.starts_with("struct ") => "must be a section".into(),
        Some((_, "a sequence")) => {
            "must be a list; a section of which there can be several is written [[so]]".into()
        }
        Some((_, "a map")) => "must be a section".into(),
        Some((_, expected)) => format!("must be {expected}"),
        None => message.to_owned(),
    }
}

/// A syntax error without the line it quotes, which may hold a secret. Its number is enough.
fn without_excerpt(error: &SourceError) -> String {
    let text = match error {
        SourceError::FileParse { cause, .. } => cause.to_string(),
        other => other.to_string(),
    };
    let quoted =
        |line: &&str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|');
    text.lines().filter(|line| !quoted(line)).collect::<Vec<_>>().join(": ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_keys() {
        let check = |name, key: Option<&str>| assert_eq!(key_of(name).as_deref(), key, "{name}");
        check("RGWLENS_CLUSTER", Some("cluster"));
        check("RGWLENS_LOG_LEVEL", Some("log_level"));
        check("RGWLENS_STORE__MAX_BYTES", Some("store.max_bytes"));
        check("RGWLENS_OUTPUT__0__URL", Some("output[0].url"));
        check("RGWLENS_OUTPUT__123456789__URL", Some("output.123456789.url"));
        check("RGWLENS_PORT_80_TCP_ADDR", None);
        check("RGWLENS_SERVICE_HOST", None);
        check("PATH", None);
    }

    #[test]
    fn passwords_in_urls_are_not_shown() {
        let check = |url, shown: &str| assert_eq!(without_user_info(url), shown);
        check("http://me:secret@h:8086/x", "http://[redacted]@h:8086/x");
        check("me:secret@h", "[redacted]@h");
        check("secret@://x", "[redacted]@://x");
        check("https://h/x", "https://h/x");
    }
}
