//! The store: that it can be made or opened and written, that it is this version's, and that there is room for it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{Finding, accounts::Accounts, reach::Owner, shell::quote};
use crate::{
    config::{Config, StoreConfig, show_size},
    store::{Reader, StoreError, is_in_use},
};

const SUBJECT: &str = "store";

/// The unit's `StateDirectory=`.
const STATE: &str = "/var/lib/rgwlens";

/// With less than this it stops at once, bytes.
const LEAST: u64 = 64 << 20;

/// File systems of other machines, by the number that statfs gives: SQLite's write-ahead log needs shared memory.
const REMOTE: [(u32, &str); 5] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x00c3_6400, "CephFS"),
    (0x0102_1997, "9P"),
];

pub(super) fn check(config: &Config, accounts: &Accounts) -> Vec<Finding> {
    let store = &config.store;
    let Some(directory) = store.path.parent() else { return Vec::new() };
    if !directory.is_dir() {
        return vec![no_directory(directory)];
    }
    let exists = store.path.exists();
    let mut findings = Vec::new();
    match writable(directory, &store.path) {
        Err((path, error)) => {
            findings.push(not_writable(&path, &error, accounts));
            return findings;
        }
        Ok(()) if !exists => {
            let message = format!("{} will be made by the first run", store.path.display());
            findings.push(Finding::ok(SUBJECT, message));
        }
        Ok(()) => match look(config) {
            Ok(finding) => findings.push(finding),
            Err(error) => findings.push(broken(&store.path, &error)),
        },
    }
    findings.extend(place(directory));
    findings.extend(space(store, directory));
    findings
}

fn no_directory(directory: &Path) -> Finding {
    let message = format!("there is no {}", directory.display());
    let mend = format!("install -d -m 0750 -o rgwlens -g rgwlens {}", quote(directory));
    if directory == Path::new(STATE) {
        return Finding::warn(SUBJECT, format!("{message} yet: systemd makes it when the unit starts"), mend);
    }
    Finding::fail(SUBJECT, message, mend)
}

/// Tries what SQLite does: a file beside the database, and the database itself for writing.
fn writable(directory: &Path, store: &Path) -> Result<(), (PathBuf, io::Error)> {
    let beside = directory.join(format!(".rgwlens-check-{}", std::process::id()));
    File::options()
        .write(true)
        .create_new(true)
        .open(&beside)
        .and_then(|_| fs::remove_file(&beside))
        .map_err(|error| (directory.to_owned(), error))?;
    match File::options().write(true).open(store) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err((store.to_owned(), error)),
        _ => Ok(()),
    }
}

fn not_writable(path: &Path, error: &io::Error, accounts: &Accounts) -> Finding {
    let owner = Owner::of(path).map(|owner| format!(" ({})", owner.show(accounts))).unwrap_or_default();
    let me = accounts.user(accounts.uid);
    let message = format!("{me} cannot write to {}{owner}: {error}", path.display());
    let (path, user) = (quote(path), accounts.reader());
    let mend = match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("findmnt -T {path}   # is mounted read-only: remount it, or set store.path")
        }
        io::ErrorKind::StorageFull => format!("df -h {path}   # is full"),
        _ => format!("chown -R {user}: {path}"),
    };
    Finding::fail(SUBJECT, message, mend)
}

/// Opens it as `status` does, and compares the logs that it knows with those of the configuration.
fn look(config: &Config) -> Result<Finding, StoreError> {
    let path = &config.store.path;
    let reader = Reader::open(path)?;
    for log in &config.logs {
        let wanted = log.path.display().to_string();
        let known = reader.stream(&log.name)?.filter(|stream| !stream.is_untouched());
        if let Some(bound) = known.map(|stream| stream.path).filter(|bound| *bound != wanted) {
            return Err(StoreError::Rebound { path: path.clone(), name: log.name.clone(), bound, wanted });
        }
    }
    reader.check()?;
    let used = show_bytes(reader.used_bytes()?);
    let user = match is_in_use(path) {
        Ok(true) => ", in use by a running daemon".to_owned(),
        Ok(false) => ", not in use".to_owned(),
        Err(error) => format!(", and whether it is in use cannot be seen: {error}"),
    };
    Ok(Finding::ok(SUBJECT, format!("{} holds {used}{user}", path.display())))
}

fn broken(path: &Path, error: &StoreError) -> Finding {
    let aside = PathBuf::from(format!("{}.old", path.display()));
    let mend = match error {
        StoreError::Rebound { .. } => "[[log]]\nname = \"…\"   # another one for the new file".to_owned(),
        StoreError::Newer { .. } => "install the later version again".to_owned(),
        _ => format!("systemctl stop rgwlens\nmv {} {}", quote(path), quote(&aside)),
    };
    Finding::fail(SUBJECT, error.to_string(), mend)
}

/// A database on another machine's file system is damaged sooner or later.
fn place(directory: &Path) -> Option<Finding> {
    let found = rustix::fs::statfs(directory).ok()?;
    // A number of 32 bits, whatever type the system has for it.
    let kind = found.f_type as u32;
    let (_, name) = REMOTE.iter().find(|(number, _)| *number == kind)?;
    let message = format!("{} is on {name}: SQLite needs a local disk", directory.display());
    Some(Finding::fail(
        SUBJECT,
        message,
        "[store]\npath = \"/var/lib/rgwlens/rgwlens.db\"   # on a local disk",
    ))
}

fn space(store: &StoreConfig, directory: &Path) -> Option<Finding> {
    let found = rustix::fs::statvfs(directory).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let used = fs::metadata(&store.path).map_or(0, |metadata| metadata.len());
    Some(room(store, directory, free, used))
}

fn room(store: &StoreConfig, directory: &Path, free: u64, used: u64) -> Finding {
    let grows = store.max_bytes.saturating_sub(used);
    let message = format!(
        "{} has {} left; the store may grow to {}",
        directory.display(),
        show_bytes(free),
        show_size(store.max_bytes)
    );
    // Half of what there is: others write there too. The least that may be configured is 16 MiB.
    let mend = format!("[store]\nmax_bytes = \"{}MiB\"", ((used + free / 2) >> 20).max(16));
    match free {
        free if free < LEAST => {
            Finding::fail(SUBJECT, message, format!("df -h {}   # free some space", quote(directory)))
        }
        free if free < grows => Finding::warn(SUBJECT, message, mend),
        _ => Finding::ok(SUBJECT, message),
    }
}

/// Rounded, for people.
fn show_bytes(bytes: u64) -> String {
    let units = [(1u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::Level,
        point::Tags,
        stats::{Totals, WindowsState},
        store::{Commit, Store, Stream},
    };

    fn config(path: &Path) -> Config {
        Config::from_toml(&format!("node = \"n\"\n[store]\npath = {path:?}\nmax_bytes = \"16MiB\"")).unwrap()
    }

    fn accounts() -> Accounts {
        Accounts::new("rgwlens:x:998:997::/:/x", "", 998)
    }

    #[test]
    fn a_store_that_is_still_to_be_made_is_not_made_by_looking() {
        let directory = tempfile::tempdir().unwrap();
        let findings = check(&config(&directory.path().join("s.db")), &accounts());
        assert!(findings[0].message.contains("will be made"), "{findings:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_is_not_there() {
        let findings = check(&config(Path::new("/nowhere/at all/s.db")), &accounts());
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].mend.as_deref(),
            Some("install -d -m 0750 -o rgwlens -g rgwlens '/nowhere/at all'")
        );
    }

    #[test]
    fn a_store_and_whether_a_daemon_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.db");
        let store = Store::open(&path).unwrap();
        let lock = store.lock().unwrap();
        let findings = check(&config(&path), &accounts());
        assert_eq!(findings[0].level, Level::Ok);
        assert!(findings[0].message.ends_with("in use by a running daemon"), "{findings:?}");
        drop(lock);
        let findings = check(&config(&path), &accounts());
        assert!(findings[0].message.ends_with("not in use"), "{findings:?}");
        // Looking holds nothing: a daemon can start.
        drop(store.lock().unwrap());
    }

    #[test]
    fn a_log_by_a_name_that_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.db");
        let stream = Stream { name: "access".into(), tags: Tags::default() };
        let mut store = Store::open(&path).unwrap();
        store.bind(&stream, "/other/access.log").unwrap();
        let findings = check(&config(&path), &accounts());
        assert_eq!(findings[0].level, Level::Ok, "nothing was read of it yet: {findings:?}");
        let mut windows = WindowsState::default();
        windows.totals = Totals { lines: 1, rejected: 1, ..Totals::default() };
        store.commit(&stream, &Commit { windows, ..Commit::default() }, &[]).unwrap();
        let findings = check(&config(&path), &accounts());
        assert_eq!(findings[0].level, Level::Fail);
        assert!(findings[0].message.contains("/other/access.log"), "{findings:?}");
    }

    #[test]
    fn what_is_no_store() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.db");
        fs::write(
            &path,
            "junk, and enough of it to be no header of a database at all, by any reading of it".repeat(9),
        )
        .unwrap();
        let findings = check(&config(&path), &accounts());
        assert_eq!(findings[0].level, Level::Fail, "{findings:?}");
        assert!(findings[0].mend.as_ref().unwrap().contains("mv "), "{findings:?}");
    }

    #[test]
    fn a_store_that_may_not_be_written() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let finding = not_writable(Path::new("/nowhere"), &denied, &accounts());
        assert_eq!(finding.mend.as_deref(), Some("chown -R rgwlens: /nowhere"));
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(not_writable(Path::new("/nowhere"), &full, &accounts()).mend.unwrap().starts_with("df "));
        // A directory instead of the database: nobody can write it, not even root.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.db");
        fs::create_dir(&path).unwrap();
        assert_eq!(check(&config(&path), &accounts())[0].level, Level::Fail);
    }

    #[test]
    fn room_to_grow() {
        let store = config(Path::new("/x/s.db")).store;
        let check = |free, used, level, mend: Option<&str>| {
            let finding = room(&store, Path::new("/x"), free, used);
            assert_eq!((finding.level, finding.mend.as_deref()), (level, mend), "{finding:?}");
        };
        let mib = 1 << 20;
        check(100 * mib, 0, Level::Ok, None);
        check(63 * mib, 0, Level::Fail, Some("df -h /x   # free some space"));
        let large = StoreConfig { max_bytes: 1 << 30, ..store.clone() };
        let finding = room(&large, Path::new("/x"), 200 * mib, 50 * mib);
        assert_eq!(
            (finding.level, finding.mend.as_deref()),
            (Level::Warn, Some("[store]\nmax_bytes = \"150MiB\""))
        );
        assert_eq!(finding.message, "/x has 200.0 MiB left; the store may grow to 1GiB");
    }
}
