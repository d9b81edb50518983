//! The text of nginx's configuration: files with what they include, or all of it at once as `nginx -T` prints it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use regex::Regex;

use crate::access_log::nginx_conf::Included;

/// Starts each file in what `nginx -T` prints.
const HEADER: &str = "# configuration file ";

/// A configuration, main file first.
pub(super) struct Source {
    pub(super) main: Included,
    /// Where relative includes start.
    directory: PathBuf,
    /// What `nginx -T` printed of the others; `None` where files are read.
    printed: Option<Vec<Included>>,
}

impl Source {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let text = lossy(fs::read(path)?);
        let mut printed = split(&text);
        if printed.is_empty() {
            let directory = path.parent().map(Path::to_owned).unwrap_or_default();
            return Ok(Self {
                main: Included { name: path.display().to_string(), text },
                directory,
                printed: None,
            });
        }
        let main = printed.remove(0);
        let directory = Path::new(&main.name).parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self { main, directory, printed: Some(printed) })
    }

    /// The files of an `include`, in nginx's order. Wildcards may match nothing; a file that is named has to be there.
    pub(super) fn include(&self, pattern: &str) -> Result<Vec<Included>, String> {
        let pattern = self.directory.join(pattern);
        let is_pattern = pattern.to_string_lossy().contains(['*', '?', '[']);
        if let Some(printed) = &self.printed {
            let matching = wildcard(&pattern.to_string_lossy());
            let found: Vec<_> =
                printed.iter().filter(|file| matching.is_match(&file.name)).cloned().collect();
            return match found.is_empty() && !is_pattern {
                true => Err("it is not in what nginx -T printed".to_owned()),
                false => Ok(found),
            };
        }
        let paths = if is_pattern { expand(&pattern) } else { vec![pattern] };
        let read = |path: PathBuf| match fs::read(&path) {
            Ok(bytes) => Ok(Included { name: path.display().to_string(), text: lossy(bytes) }),
            Err(error) => Err(format!("{}: {error}", path.display())),
        };
        paths.into_iter().map(read).collect()
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The files in what `nginx -T` printed; none in a file of its own.
fn split(text: &str) -> Vec<Included> {
    let mut files: Vec<Included> = Vec::new();
    for line in text.split_inclusive('\n') {
        let name = line.trim_end().strip_prefix(HEADER).and_then(|rest| rest.strip_suffix(':'));
        match (name, files.last_mut()) {
            (Some(name), _) => files.push(Included { name: name.to_owned(), text: String::new() }),
            (None, Some(file)) => file.text.push_str(line),
            (None, None) => {}
        }
    }
    files
}

/// The paths that a pattern matches, sorted as glob(3) sorts them. What cannot be listed matches nothing, as there.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let text = component.as_os_str().to_string_lossy();
        if !text.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        }
        let matching = wildcard(&text);
        let is_match = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // A wildcard at the start does not match a dot.
            matching.is_match(&name) && (text.starts_with('.') || !name.starts_with('.'))
        };
        let entries = |directory: &PathBuf| {
            let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
        };
        found = found.iter().flat_map(entries).filter(is_match).collect();
        found.sort();
    }
    found.retain(|path| path.exists());
    found
}

/// A pattern; one that cannot match anything (a range that goes backwards) is none.
struct Matching(Option<Regex>);

impl Matching {
    fn is_match(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

/// `*`, `?` and `[…]` of glob(3) as a regular expression.
fn wildcard(pattern: &str) -> Matching {
    let mut regex = String::from("^(?s)");
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' => match rest.as_str().char_indices().skip(1).find(|(_, c)| *c == ']') {
                Some((end, _)) => {
                    let set = &rest.as_str()[..end];
                    let (negated, set) = match set.strip_prefix(['!', '^']) {
                        Some(set) if !set.is_empty() => ("^/", set),
                        _ => ("", set),
                    };
                    // All but the range's `-` has another meaning in a regular expression, or could have.
                    let escaped: String = set
                        .chars()
                        .map(|c| if c == '-' { "-".into() } else { regex::escape(&c.to_string()) })
                        .collect();
                    regex.push_str(&format!("[{negated}{escaped}]"));
                    rest = rest.as_str()[end + 1..].chars();
                }
                None => regex.push_str(r"\["),
            },
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
    }
    regex.push('$');
    Matching(Regex::new(&regex).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        let check = |pattern: &str, text: &str, expected| {
            assert_eq!(wildcard(pattern).is_match(text), expected, "{pattern} {text}")
        };
        check("*.conf", "a.conf", true);
        check("*.conf", "a.conf~", false);
        check("/etc/*.conf", "/etc/a/b.conf", false);
        check("a?c", "abc", true);
        check("a?c", "a/c", false);
        check("[ab]x", "bx", true);
        check("[!ab]x", "bx", false);
        check("[!ab]x", "cx", true);
        check("[0-9]*", "10-x", true);
        check("[0-9]*", "x", false);
        check("[", "[", true);
        check("[z-a]", "b", false);
        check("a+b(c)", "a+b(c)", true);
        check("[]x]", "]", true);
    }

    #[test]
    fn includes_of_files() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("sites/a")).unwrap();
        for (name, text) in [
            ("nginx.conf", "main"),
            ("one.conf", "1"),
            ("sites/a/x.conf", "x"),
            ("sites/a/y.conf", "y"),
            ("sites/a/.z.conf", "z"),
        ] {
            fs::write(at(name), text).unwrap();
        }
        let source = Source::read(&at("nginx.conf")).unwrap();
        assert_eq!(source.main.text, "main");
        let texts = |pattern: &str| {
            let found = source.include(pattern).unwrap();
            found.into_iter().map(|file| file.text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(texts("one.conf"), "1");
        assert_eq!(texts("sites/*/*.conf"), "x y");
        assert_eq!(texts(&at("sites/a/[y]*").display().to_string()), "y");
        assert_eq!(texts("none/*.conf"), "");
        assert!(source.include("two.conf").unwrap_err().contains("two.conf"));
    }

    #[test]
    fn all_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dump");
        let text = "nginx: ok\n# configuration file /etc/nginx/nginx.conf:\nmain;\n\n# configuration file /etc/nginx/conf.d/a.conf:\na;\n# configuration file /etc/nginx/mime.types:\nm;\n";
        fs::write(&path, text).unwrap();
        let source = Source::read(&path).unwrap();
        assert_eq!(
            (source.main.name.as_str(), source.main.text.as_str()),
            ("/etc/nginx/nginx.conf", "main;\n\n")
        );
        assert_eq!(source.include("conf.d/*.conf").unwrap()[0].text, "a;\n");
        assert_eq!(source.include("/etc/nginx/mime.types").unwrap()[0].text, "m;\n");
        assert_eq!(source.include("other/*").unwrap(), []);
        assert!(source.include("other").is_err());
    }
}
