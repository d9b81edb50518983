//! Checks of single values. Each notes what is wrong and goes on with something harmless: the value is not used then.

use std::{
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    choice::Choice,
    leaf::{Count, Size, Span, Texts},
    problem::{Problem, suggest},
    tree::Tree,
    units::{show_duration, show_size},
};

/// Milliseconds of a duration that was checked to be one of years at most.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Everything that was found wrong so far.
pub(super) struct Checks<'a> {
    pub(super) tree: &'a Tree,
    problems: &'a mut Vec<Problem>,
    /// How many of the problems are values that could not be read: their defaults stand in for them here.
    unread: usize,
}

impl<'a> Checks<'a> {
    /// Goes on from what was found wrong when the values were read.
    pub(super) fn new(tree: &'a Tree, problems: &'a mut Vec<Problem>) -> Self {
        Self { tree, unread: problems.len(), problems }
    }

    /// Notes a problem with the value of a key.
    pub(super) fn wrong(&mut self, key: &str, message: impl Into<String>) {
        // What was said about a value that could not be read is enough.
        if !self.problems[..self.unread].iter().any(|problem| problem.key == key) {
            self.problems.push(self.tree.problem(key, message));
        }
    }

    fn within<T: PartialOrd + Copy>(
        &mut self,
        key: &str,
        value: T,
        range: &RangeInclusive<T>,
        show: impl Fn(T) -> String,
    ) -> T {
        if !range.contains(&value) {
            self.wrong(key, format!("must be from {} to {}", show(*range.start()), show(*range.end())));
        }
        value
    }

    pub(super) fn span(&mut self, key: &str, span: &Span, range: &RangeInclusive<Duration>) -> Duration {
        self.within(key, span.0, range, show_duration)
    }

    pub(super) fn size(&mut self, key: &str, size: &Size, range: &RangeInclusive<u64>) -> u64 {
        self.within(key, size.0, range, show_size)
    }

    pub(super) fn count(&mut self, key: &str, count: &Count, range: &RangeInclusive<u64>) -> usize {
        usize::try_from(self.within(key, count.0, range, |count| count.to_string())).unwrap_or(usize::MAX)
    }

    pub(super) fn share(&mut self, key: &str, share: f64) -> f64 {
        self.within(key, share, &(0.0..=1.0), |share| format!("{share:.1}"))
    }

    /// One of a few words; the first of them if it is none.
    pub(super) fn choice<T: Choice>(&mut self, key: &str, word: &str) -> T {
        T::named(word).unwrap_or_else(|| {
            let names: Vec<_> = T::names().collect();
            let near = suggest(word, T::names());
            let near = if near.starts_with("; did") { near } else { String::new() };
            self.wrong(key, format!("must be one of {}{near}", names.join(", ")));
            T::ALL[0].1
        })
    }

    /// A name that becomes a tag value and a key of the store.
    pub(super) fn name(&mut self, key: &str, name: &str) -> String {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
        if !(1..=32).contains(&name.len()) || !name.bytes().all(allowed) {
            self.wrong(key, "must be 1 to 32 characters of a-z, 0-9, _ and -");
        }
        name.to_owned()
    }

    /// A text that becomes a tag value: line protocol cannot say a control character, and a `\` at the end would escape
    /// what follows it.
    pub(super) fn tag_value(&mut self, key: &str, text: &str) -> String {
        if text.is_empty() || text.len() > 128 || text.chars().any(char::is_control) || text.ends_with('\\') {
            self.wrong(key, "must be 1 to 128 bytes, without control characters and without \\ at the end");
        }
        text.to_owned()
    }

    /// An absolute path: a daemon has no directory that it is in.
    pub(super) fn path(&mut self, key: &str, path: &str) -> PathBuf {
        if !path.starts_with('/') || path.contains('\0') {
            self.wrong(key, "must be an absolute path");
        }
        Path::new(path).to_owned()
    }

    /// Texts that each satisfy something, as they are to be used.
    pub(super) fn each(
        &mut self,
        key: &str,
        texts: &Texts,
        read: impl Fn(&str) -> Option<String>,
        expected: &str,
    ) -> Vec<String> {
        let read_or_note = |text: &String| {
            read(text).or_else(|| {
                self.wrong(key, format!("{text:?} must be {expected}"));
                None
            })
        };
        texts.0.iter().filter_map(read_or_note).collect()
    }

    /// Names that may be there only once; `section` is that of the list.
    pub(super) fn unique<T: PartialEq + Display>(
        &mut self,
        section: &str,
        field: &str,
        values: impl Iterator<Item = T>,
        why: &str,
    ) {
        let mut seen: Vec<T> = Vec::new();
        for (index, value) in values.enumerate() {
            match seen.iter().position(|earlier| *earlier == value) {
                Some(first) => self.wrong(
                    &format!("{section}[{index}].{field}"),
                    format!("{value} is already that of {section}[{first}]: {why}"),
                ),
                None => seen.push(value),
            }
        }
    }
}
