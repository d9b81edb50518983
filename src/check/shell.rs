//! Words of commands that an operator may paste, whatever a file is called.

use std::path::Path;

/// The path as one word of a POSIX shell. A control character, which a terminal would obey, is written as bash's `$'…'`.
pub(super) fn quote(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else if text.chars().any(char::is_control) {
        let escape = |c: char| match c {
            '\'' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        };
        format!("$'{}'", text.chars().map(escape).collect::<String>())
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn words() {
        let check = |path: &str, expected: &str| assert_eq!(quote(Path::new(path)), expected, "{path:?}");
        check("/var/log/nginx/access.log", "/var/log/nginx/access.log");
        check("/var/log/my log", "'/var/log/my log'");
        check("/it's", r"'/it'\''s'");
        check("/$(reboot)", "'/$(reboot)'");
        check("/a\nb'\u{1b}[2J", r"$'/a\u000ab\'\u001b[2J'");
    }

    #[test]
    fn the_shell_reads_back_what_was_quoted() {
        for path in ["/a b", "/it's", "/$(reboot) `x` \\ \" *", "/a\nb'\u{1b}\\", "/é"] {
            let script = format!("printf %s {}", quote(Path::new(path)));
            let output =
                Command::new("bash").env("LC_ALL", "C.UTF-8").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), path, "{script}");
        }
    }
}
