//! A log: that it is there, that it and its rotations can be read, and that its lines are of the configured format.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use super::{
    Finding,
    accounts::Accounts,
    format,
    reach::{self, Owner},
    shell::quote,
};
use crate::config::LogConfig;

/// Out of reach of the unit (`ProtectHome=yes`).
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

pub(super) fn check(log: &LogConfig, accounts: &Accounts) -> Vec<Finding> {
    let subject = format!("log {}", log.name);
    if log.socket {
        return vec![socket(&subject, log, accounts)];
    }
    let mut findings = Vec::new();
    let readable = readable(&subject, log, accounts);
    let can_read = readable.level == super::Level::Ok;
    findings.push(readable);
    if HOMES.iter().any(|home| log.path.starts_with(home)) {
        let message =
            format!("{} is out of reach of the daemon: its unit has ProtectHome=yes", log.path.display());
        findings.push(Finding::warn(&subject, message, "let nginx write it below /var/log"));
    }
    if can_read {
        findings.extend(rotations(&subject, log, accounts));
    }
    let (compiled, described) = format::compiles(&subject, log);
    let fits = compiled.filter(|_| can_read).map(|compiled| format::fits(&subject, log, compiled));
    // What the wrong format goes without is of no interest.
    if fits.as_ref().is_none_or(|fits| fits.level != super::Level::Fail) {
        findings.extend(described);
    }
    findings.extend(fits);
    findings
}

/// The socket is there and is one. Nobody connects: RGW serves one at a time, and would send what it has to the wrong one.
fn socket(subject: &str, log: &LogConfig, accounts: &Accounts) -> Finding {
    let path = log.path.display();
    let setting = format!(
        "# in ceph.conf, in the section of the gateway, and then restart it:\nrgw_enable_ops_log = true\n\
         rgw_ops_log_socket_path = {path}"
    );
    match fs::metadata(&log.path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Finding::fail(subject, format!("{path} is no socket"), setting)
        }
        Ok(metadata) => {
            let user = accounts.reader();
            let mend =
                format!("setfacl -m u:{user}:rw {}   # after every start of the gateway", quote(&log.path));
            let writable =
                metadata.mode() & 0o002 != 0 || accounts.uid == 0 || metadata.uid() == accounts.uid;
            if writable {
                Finding::ok(
                    subject,
                    format!("{path} is a socket; who connects to it gets all the gateway has"),
                )
            } else {
                let owner = Owner::of(&log.path).map_or_else(String::new, |owner| owner.show(accounts));
                Finding::warn(subject, format!("{path} ({owner}): to connect takes the right to write"), mend)
            }
        }
        Err(error) => Finding::fail(subject, format!("{path} cannot be found: {error}"), setting),
    }
}

/// The file is there, is a file, and opens.
fn readable(subject: &str, log: &LogConfig, accounts: &Accounts) -> Finding {
    let path = log.path.display();
    match fs::metadata(&log.path) {
        Ok(metadata) if !metadata.is_file() => Finding::fail(
            subject,
            format!("{path} is no file: it cannot be followed"),
            format!(
                "let nginx write a file (access_log /var/log/nginx/access.log …), and set\n{}",
                key(log, "path = \"…\"")
            ),
        ),
        Ok(metadata) => match File::open(&log.path) {
            Ok(_) => Finding::ok(subject, format!("{path} can be read, {}", size(metadata.len()))),
            Err(error) => unreadable(subject, log, &error, accounts),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::fail(
            subject,
            format!("there is no {path}"),
            format!(
                "grep -rn access_log /etc/nginx        # where does nginx write?\n{}",
                key(log, "path = \"…\"")
            ),
        ),
        Err(error) => unreadable(subject, log, &error, accounts),
    }
}

fn unreadable(subject: &str, log: &LogConfig, error: &io::Error, accounts: &Accounts) -> Finding {
    let directory = log.path.parent().unwrap_or(&log.path);
    let path = log.path.display();
    let me = accounts.user(accounts.uid);
    if error.kind() != ErrorKind::PermissionDenied {
        let mend = format!("ls -l {}", quote(&log.path));
        return Finding::fail(subject, format!("{path} cannot be read: {error}"), mend);
    }
    let file = Owner::of(&log.path);
    let whose = match (reach::closed_directory(&log.path), file) {
        (Some(closed), _) => {
            let owner =
                Owner::of(&closed).map(|owner| format!(" ({})", owner.show(accounts))).unwrap_or_default();
            format!("may not look into {}{owner}", closed.display())
        }
        (None, Some(owner)) => format!("may not read {path} ({})", owner.show(accounts)),
        (None, None) => format!("may not read {path}"),
    };
    let mend = reach::mend(&log.path, file, Owner::of(directory), accounts);
    Finding::fail(subject, format!("{me} {whose}"), mend)
}

/// Rotations are found by content: their directory has to be listed, and they have to be read.
fn rotations(subject: &str, log: &LogConfig, accounts: &Accounts) -> Vec<Finding> {
    let own = log.path.parent().unwrap_or(&log.path);
    let mut findings = Vec::new();
    for directory in std::iter::once(own).chain(log.olddir.as_deref()) {
        match rotated(&log.path, directory) {
            Ok(rotated) => findings.extend(closed_rotations(subject, directory, &rotated, accounts)),
            Err(error) => {
                let message = format!(
                    "{} cannot be listed ({error}): after a rotation the rest of the old file would not be found",
                    directory.display()
                );
                let user = accounts.reader();
                let mend = format!("setfacl -m u:{user}:rx {}", quote(directory));
                findings.push(Finding::fail(subject, message, mend));
            }
        }
    }
    findings
}

fn closed_rotations(
    subject: &str,
    directory: &Path,
    rotated: &[PathBuf],
    accounts: &Accounts,
) -> Option<Finding> {
    let closed: Vec<&PathBuf> = rotated.iter().filter(|path| File::open(path).is_err()).collect();
    let Some(first) = closed.first() else {
        let found = match rotated.len() {
            0 => "no rotated files yet".to_owned(),
            1 => "1 rotated file, which can be read".to_owned(),
            count => format!("{count} rotated files, which can be read"),
        };
        return Some(Finding::ok(subject, format!("{} can be listed: {found}", directory.display())));
    };
    let message = format!(
        "{} of {} rotated files cannot be read, {} for one: what was not counted before the rotation is lost",
        closed.len(),
        rotated.len(),
        first.display()
    );
    let user = accounts.reader();
    let files: Vec<String> = closed.iter().map(|path| quote(path)).collect();
    let mend = format!(
        "setfacl -m u:{user}:r {}\nsetfacl -d -m u:{user}:r {directory}\ngetfacl {directory}   # and look again \
         after the next rotation: `create 0640 …` of logrotate keeps the ACL, `create 0600 …` does not",
        files.join(" "),
        directory = quote(directory)
    );
    Some(Finding::warn(subject, message, mend))
}

/// Files that are called like the log with something after its name, or before its extension.
fn rotated(log: &Path, directory: &Path) -> io::Result<Vec<PathBuf>> {
    let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = format!("{}-", log.file_stem().unwrap_or_default().to_string_lossy());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let other = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_rotation = other.strip_prefix(&name).is_some_and(|rest| rest.starts_with(['.', '-']))
            || other.starts_with(&stem)
            || directory != log.parent().unwrap_or(log) && other == name;
        if is_rotation && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Lines of configuration for this log.
pub(super) fn key(log: &LogConfig, line: &str) -> String {
    let name = if log.name == "access" { String::new() } else { format!("name = \"{}\"\n", log.name) };
    format!("[[log]]\n{name}{line}")
}

fn size(bytes: u64) -> String {
    if bytes == 0 { "empty".to_owned() } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::Level, config::Config};

    fn configured(path: &Path) -> LogConfig {
        Config::from_toml(&format!("node = \"n\"\n[[log]]\npath = {path:?}")).unwrap().logs.remove(0)
    }

    fn accounts() -> Accounts {
        Accounts::new("rgwlens:x:998:997::/:/x", "adm:x:4:", 998)
    }

    #[test]
    fn a_log_that_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let findings = check(&configured(&directory.path().join("access.log")), &accounts());
        assert_eq!(findings[0].level, Level::Fail);
        assert!(findings[0].message.starts_with("there is no /"), "{findings:?}");
        // Nothing can be said about its lines, but its format is looked at.
        assert!(findings.iter().skip(1).all(|finding| finding.message.contains("format")), "{findings:?}");
    }

    #[test]
    fn a_log_that_is_no_file() {
        let finding = readable("log access", &configured(Path::new("/dev/null")), &accounts());
        assert_eq!(finding.level, Level::Fail);
        assert!(finding.message.contains("is no file"), "{finding:?}");
    }

    #[test]
    fn a_socket_is_looked_at_and_not_connected_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ops.sock");
        let toml = format!("node = \"n\"\n[[log]]\npath = \"unix:{}\"\nformat = \"rgw-ops\"", path.display());
        let log = Config::from_toml(&toml).unwrap().logs.remove(0);
        assert_eq!(log.path, path);
        let level = || {
            let findings = check(&log, &accounts());
            assert_eq!(findings.len(), 1, "{findings:?}");
            (findings[0].level, findings[0].mend.is_some())
        };
        assert_eq!(level(), (Level::Fail, true));
        fs::write(&path, "").unwrap();
        assert_eq!(level(), (Level::Fail, true));
        fs::remove_file(&path).unwrap();
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        // Whoever made it may write to it; others need the right.
        assert_ne!(level().0, Level::Fail);
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody came");
    }

    #[test]
    fn a_log_that_may_not_be_read_names_owner_and_mend() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        fs::write(&path, "").unwrap();
        let denied = io::Error::from(ErrorKind::PermissionDenied);
        let finding = unreadable("log access", &configured(&path), &denied, &accounts());
        assert_eq!(finding.level, Level::Fail);
        assert!(finding.message.starts_with("rgwlens may not read /"), "{finding:?}");
        let mode = Owner::of(&path).unwrap().show(&accounts());
        assert!(finding.message.ends_with(&format!("({mode})")), "{finding:?}");
        let mend = finding.mend.unwrap();
        assert!(mend.ends_with(&format!("setfacl -m u:rgwlens:r {}*", quote(&path))), "{mend}");
    }

    #[test]
    fn rotations_are_found_beside_the_log_and_in_olddir() {
        let directory = tempfile::tempdir().unwrap();
        let old = directory.path().join("old");
        fs::create_dir(&old).unwrap();
        let log = directory.path().join("access.log");
        for name in [
            "access.log",
            "access.log.1",
            "access.log-20261120.gz",
            "access-20261119.log",
            "error.log",
            "access.logs",
        ] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        fs::write(old.join("access.log.2.gz"), "").unwrap();
        assert_eq!(rotated(&log, directory.path()).unwrap().len(), 3);
        assert_eq!(rotated(&log, &old).unwrap().len(), 1);
        let mut config = configured(&log);
        config.olddir = Some(old);
        let findings = rotations("log access", &config, &accounts());
        let levels: Vec<Level> = findings.iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Ok, Level::Ok], "{findings:?}");
        config.olddir = Some(directory.path().join("nowhere"));
        let findings = rotations("log access", &config, &accounts());
        assert_eq!(findings[1].level, Level::Fail, "{findings:?}");
    }

    #[test]
    fn rotations_that_cannot_be_read() {
        let directory = tempfile::tempdir().unwrap();
        // Nothing to open, whoever asks: root may read everything that is there.
        let closed = [directory.path().join("access.log.1")];
        let finding = closed_rotations("log access", directory.path(), &closed, &accounts()).unwrap();
        assert_eq!(finding.level, Level::Warn);
        assert!(finding.message.starts_with("1 of 1 rotated files cannot be read"), "{finding:?}");
        assert!(finding.mend.unwrap().starts_with("setfacl -m u:rgwlens:r /"));
    }

    #[test]
    fn a_log_in_a_home_is_out_of_reach() {
        let findings = check(&configured(Path::new("/root/no/access.log")), &accounts());
        assert!(findings.iter().any(|finding| finding.message.contains("ProtectHome")), "{findings:?}");
    }
}
