//! The files a log may have become: a scan of its directory, in the order in which they were written.

use std::{
    cmp::Ordering,
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    codec::{Codec, content},
    identity::{self, FileId, HEAD, Relation, Stamp, born_ns, is_telling, read_full},
};
use crate::point::TimestampNs;

/// Where the siblings of a log are, and what they are called.
#[derive(Clone, Debug)]
pub(crate) struct Siblings {
    path: PathBuf,
    olddir: Option<PathBuf>,
}

impl Scan {
    /// Where a file stands: `2 * index + 1`, or the even number between two, if it has no place of its own.
    pub(crate) fn place(&self, sibling: &Sibling) -> usize {
        match self.files.iter().position(|other| other.id == sibling.id) {
            Some(at) => 2 * at + 1,
            None => 2 * self.first_newer(sibling.stamp.modified_ns),
        }
    }

    /// The first file that was modified later than this; at the latest the log itself.
    pub(crate) fn first_newer(&self, modified_ns: TimestampNs) -> usize {
        let newer = |sibling: &Sibling| sibling.live || sibling.stamp.modified_ns > modified_ns;
        self.files.iter().position(newer).unwrap_or(self.files.len())
    }
}

/// One file that may hold a part of the log.
#[derive(Clone, Debug)]
pub(crate) struct Sibling {
    /// What it was called when it was opened.
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    pub(crate) id: FileId,
    pub(crate) born_ns: Option<TimestampNs>,
    pub(crate) stamp: Stamp,
    pub(crate) codec: Codec,
    /// The log itself, by its own name.
    pub(crate) live: bool,
    /// Its decoded first bytes, [`HEAD`] of them or all.
    pub(crate) head: Vec<u8>,
    name: Name,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The log and what rotation made of it, oldest first, the log itself last; no content twice.
    pub(crate) files: Vec<Sibling>,
    /// Files that only begin like the log (`access.log.bak`). Reading may go on in one of them if it holds the place where
    /// it stopped; but they are never read for being there, since they may as well be another log (`access.log.json`).
    pub(crate) others: Vec<Sibling>,
    /// Files that exist and could not be opened or looked into.
    pub(crate) unreadable: Vec<(PathBuf, io::Error)>,
}

/// What a name says. `access.log.3.gz` → `Number(3)`, `access.log-20260101` and `access-20260101.log` → `Dated`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Live,
    /// logrotate's default: the higher, the older.
    Number(u32),
    /// `dateext` in any `dateformat`: says that it is a rotated log, but not which is older (day may come before month).
    Dated,
    Other,
}

impl Siblings {
    pub(crate) fn new(path: &Path, olddir: Option<&Path>) -> Self {
        Self { path: path.to_path_buf(), olddir: olddir.map(Path::to_path_buf) }
    }

    /// Opens and orders what there is.
    ///
    /// Order: by rotation number if all have one, since a number cannot be wrong (a write that comes late, to the file
    /// just rotated, makes its modification time the later one); else by modification time, which compression keeps, and
    /// then by name. Files are opened before they are looked at, so what is said of them is true of the file held,
    /// whatever it is called by then; a renaming under way is waited out by scanning until two scans agree.
    pub(crate) fn scan(&self) -> Scan {
        let mut scan = self.scan_once();
        for _ in 0..4 {
            let again = self.scan_once();
            let names = |scan: &Scan| -> Vec<_> {
                scan.files.iter().chain(&scan.others).map(|file| (file.path.clone(), file.id)).collect()
            };
            let settled = names(&scan) == names(&again);
            scan = again;
            if settled {
                break;
            }
        }
        scan.files = distinct(scan.files);
        scan
    }

    fn scan_once(&self) -> Scan {
        let mut scan = Scan::default();
        let mut found: HashMap<FileId, Sibling> = HashMap::new();
        for Place { dir, base, olddir } in self.places() {
            let Ok(entries) = fs::read_dir(&dir) else { continue };
            let mut names: Vec<OsString> = entries
                .filter_map(|entry| Some(entry.ok()?.file_name()))
                .filter(|name| begins_like(name, &base))
                .collect();
            names.sort();
            for file_name in &names {
                let path = dir.join(file_name);
                let Some(name) = Name::of(file_name, &base) else { continue };
                // While it is being compressed, a file is there twice: the plain one is whole.
                if packed(file_name)
                    .is_some_and(|plain| plain != base && names.iter().any(|other| other == plain))
                {
                    continue;
                }
                let name = if olddir && name == Name::Live { Name::Dated } else { name };
                match Sibling::open(path.clone(), name) {
                    Ok(Some(sibling)) => match found.get(&sibling.id) {
                        // Hard links, and a symbolic link beside its target: the name that says most wins.
                        Some(known) if known.name <= sibling.name => {}
                        _ => _ = found.insert(sibling.id, sibling),
                    },
                    Ok(None) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => scan.unreadable.push((path, error)),
                }
            }
        }
        // A directory may be closed to listing, and its files open to reading.
        if !found.values().any(|sibling| sibling.live)
            && let Ok(live) = Sibling::live(&self.path)
        {
            found.insert(live.id, live);
        }
        let (others, mut files): (Vec<_>, Vec<_>) =
            found.into_values().partition(|file| file.name == Name::Other);
        scan.others = others;
        scan.others.sort_by(by_time);
        let numbered = files.iter().all(|file| matches!(file.name, Name::Live | Name::Number(_)));
        files.sort_by(|a, b| {
            let order = if numbered { b.name.cmp(&a.name) } else { Ordering::Equal };
            a.live.cmp(&b.live).then(order).then_with(|| by_time(a, b))
        });
        scan.files = files;
        scan
    }

    /// The directory of the log and `olddir`; and the same for the target, if the log is a symbolic link.
    fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        let target = fs::canonicalize(&self.path).ok();
        for path in std::iter::once(&self.path).chain(&target) {
            let (Some(dir), Some(base)) = (path.parent(), path.file_name()) else { continue };
            let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
            places.push(Place { dir: dir.to_path_buf(), base: base.to_os_string(), olddir: false });
            if let Some(olddir) = &self.olddir {
                places.push(Place { dir: dir.join(olddir), base: base.to_os_string(), olddir: true });
            }
        }
        places
    }
}

/// A directory to look in, for names that begin with `base`.
struct Place {
    dir: PathBuf,
    base: OsString,
    olddir: bool,
}

impl Sibling {
    /// Opens a file and looks at its beginning. `None` if it is not a regular file.
    fn open(path: PathBuf, name: Name) -> io::Result<Option<Self>> {
        // Asked before it is opened: to open a pipe would wait for a writer.
        if !fs::metadata(&path)?.is_file() {
            return Ok(None);
        }
        let file = Arc::new(open(&path)?);
        let meta = file.metadata()?;
        let codec = match name {
            Name::Live => Codec::Plain,
            _ => Codec::of(&identity::read_at(&file, 0, Codec::MAGIC)?),
        };
        let mut head = vec![0; HEAD];
        let (len, _) = read_full(&mut *content(&file, codec)?, &mut head);
        head.truncate(len);
        Ok(Some(Self {
            id: FileId::of(&meta),
            born_ns: born_ns(&meta),
            stamp: Stamp::of(&meta),
            codec,
            live: name == Name::Live,
            head,
            path,
            file,
            name,
        }))
    }

    /// The log itself. An error says why not; `NotFound` is one of them.
    pub(crate) fn live(path: &Path) -> io::Result<Self> {
        Self::open(path.to_path_buf(), Name::Live)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// Opens for reading. One place, so that tests can take a file's permission away even from root.
fn open(path: &Path) -> io::Result<File> {
    #[cfg(test)]
    if tests::DENIED.with_borrow(|denied| denied.iter().any(|other| other == path)) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    File::open(path)
}

impl Name {
    /// `None` for what cannot be a sibling.
    fn of(name: &OsStr, base: &OsStr) -> Option<Self> {
        if name == base {
            return Some(Self::Live);
        }
        let name = packed(name).unwrap_or(name).as_bytes();
        let base = base.as_bytes();
        if let Some(suffix) = name.strip_prefix(base) {
            return Some(match suffix {
                [] => Self::Number(0), // `access.log.gz`: compressed by hand, or `rotate 0`-like schemes
                [b'.', number @ ..]
                    if (1..=5).contains(&number.len()) && number.iter().all(u8::is_ascii_digit) =>
                {
                    number.iter().fold(Self::Number(0), |sum, digit| match sum {
                        Self::Number(sum) => Self::Number(sum * 10 + u32::from(digit - b'0')),
                        other => other,
                    })
                }
                [b'-' | b'.' | b'_', date @ ..] if dated(date) => Self::Dated,
                _ => Self::Other,
            });
        }
        // logrotate's `extension .log`: `access-20260101.log`.
        let dot = base.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0)?;
        let middle = name.strip_prefix(&base[..dot])?.strip_suffix(&base[dot..])?;
        match middle {
            [b'-' | b'.' | b'_', date @ ..] if dated(date) => Some(Self::Dated),
            _ => None,
        }
    }
}

/// Digits and what may stand between them in a date or a time, no words.
fn dated(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit)
        && text.iter().all(|byte| byte.is_ascii_digit() || b"-_.:TZ+".contains(byte))
}

/// The name without the ending of a compressor that we can undo.
fn packed(name: &OsStr) -> Option<&OsStr> {
    [&b".gz"[..], b".zst"].iter().find_map(|end| name.as_bytes().strip_suffix(*end)).map(OsStr::from_bytes)
}

/// Cheap filter before files are opened: the base, or the base up to its extension.
fn begins_like(name: &OsStr, base: &OsStr) -> bool {
    let base = base.as_bytes();
    let stem =
        base.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0).map_or(base, |dot| &base[..dot]);
    name.as_bytes().starts_with(stem)
}

fn by_time(a: &Sibling, b: &Sibling) -> Ordering {
    a.stamp.modified_ns.cmp(&b.stamp.modified_ns).then_with(|| natural(&a.path, &b.path))
}

/// Older first, by nothing but names: rotation numbers fall, everything else rises.
pub(crate) fn age(a: &Path, b: &Path) -> Ordering {
    let number = |path: &Path| {
        let name = path.file_name()?.as_bytes();
        let name = packed(OsStr::from_bytes(name)).map_or(name, OsStrExt::as_bytes);
        let digits = &name[name.iter().rposition(|&byte| byte == b'.')? + 1..];
        let number = (1..=5).contains(&digits.len()).then(|| std::str::from_utf8(digits).ok())??;
        number.parse::<u32>().ok()
    };
    // Without a number it is the log itself, and newest.
    let number = |path: &Path| number(path).map_or(-1, i64::from);
    number(b).cmp(&number(a)).then_with(|| natural(a, b))
}

/// By name, with runs of digits compared as numbers: `-9` before `-10`.
fn natural(a: &Path, b: &Path) -> Ordering {
    let (mut a, mut b) = (a.as_os_str().as_bytes(), b.as_os_str().as_bytes());
    while let (Some(x), Some(y)) = (a.first(), b.first()) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (n, m) = (digits(a), digits(b));
            let value =
                |run: &[u8]| run.iter().skip_while(|&&byte| byte == b'0').copied().collect::<Vec<u8>>();
            let (left, right) = (value(&a[..n]), value(&b[..m]));
            let order = left.len().cmp(&right.len()).then_with(|| left.cmp(&right));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[n..], &b[m..]);
        } else if x == y {
            (a, b) = (&a[1..], &b[1..]);
        } else {
            return x.cmp(y);
        }
    }
    a.len().cmp(&b.len())
}

/// Of files that hold the same content, or one the beginning of the other (a copy made while it grew), the longer.
///
/// Only files with the same beginning are read to compare them, which are copies and nothing else: the first line of an
/// access log carries a time.
fn distinct(files: Vec<Sibling>) -> Vec<Sibling> {
    let mut kept: Vec<Sibling> = Vec::with_capacity(files.len());
    'next: for file in files {
        for at in 0..kept.len() {
            match relation(&kept[at], &file) {
                // The log itself is never dropped for a copy; otherwise the older place stands, where it was rotated to.
                Relation::FirstIsPrefix => {
                    kept.remove(at);
                    break;
                }
                Relation::Same if file.live => {
                    kept.remove(at);
                    break;
                }
                Relation::Same | Relation::SecondIsPrefix if !file.live => continue 'next,
                _ => {}
            }
        }
        kept.push(file);
    }
    kept
}

fn relation(a: &Sibling, b: &Sibling) -> Relation {
    let common = a.head.len().min(b.head.len());
    let whole = |file: &Sibling| file.head.len() < HEAD;
    if !is_telling(&a.head[..common]) || a.head[..common] != b.head[..common] {
        return Relation::Different;
    }
    if a.head.len() != b.head.len() && !whole(if common == a.head.len() { a } else { b }) {
        return Relation::Different;
    }
    match (content(&a.file, a.codec), content(&b.file, b.codec)) {
        (Ok(mut first), Ok(mut second)) => identity::compare(&mut first, &mut second),
        _ => Relation::Different,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    thread_local! {
        /// Files that cannot be opened by this thread's test, even by root.
        pub(crate) static DENIED: std::cell::RefCell<Vec<PathBuf>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    #[test]
    fn r4_names() {
        let check = |name: &str, expected: Option<Name>| {
            assert_eq!(Name::of(OsStr::new(name), OsStr::new("access.log")), expected, "{name}");
        };
        check("access.log", Some(Name::Live));
        check("access.log.1", Some(Name::Number(1)));
        check("access.log.14.gz", Some(Name::Number(14)));
        check("access.log.2.zst", Some(Name::Number(2)));
        check("access.log-20260101", Some(Name::Dated));
        check("access.log-20260101.gz", Some(Name::Dated));
        check("access.log.1767225600", Some(Name::Dated));
        check("access.log-2026-01-01T00:00", Some(Name::Dated));
        check("access-20260101.log", Some(Name::Dated));
        check("access.1.log.gz", Some(Name::Dated));
        check("access.log.bak", Some(Name::Other));
        check("access.log.json", Some(Name::Other));
        check("access-ssl.log", None);
        check("access2.log", None);
        check("access", None);
    }

    #[test]
    fn natural_order_compares_numbers() {
        let mut names = ["a-10", "a-9", "a-009b", "b", "a"].map(PathBuf::from);
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a", "a-9", "a-009b", "a-10", "b"].map(PathBuf::from));
    }

    fn names(scan: &Scan) -> Vec<String> {
        scan.files.iter().map(|file| file.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn numbers_order_whatever_the_times_say() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["access.log", "access.log.1", "access.log.2", "access.log.10", "access.log.bak"] {
            fs::write(path(name), format!("{name}\n")).unwrap();
        }
        let scan = Siblings::new(&path("access.log"), None).scan();
        assert_eq!(names(&scan), ["access.log.10", "access.log.2", "access.log.1", "access.log"]);
        assert_eq!(scan.others.len(), 1);
    }

    #[test]
    fn r12_copies_and_links_are_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("access.log"), "b\n").unwrap();
        fs::hard_link(path("access.log"), path("access.log.1")).unwrap();
        fs::write(path("access.log.2"), "a\n").unwrap();
        fs::write(path("access.log.3"), "a\nand more\n").unwrap();
        fs::write(path("access.log.4"), "").unwrap();
        let scan = Siblings::new(&path("access.log"), None).scan();
        assert_eq!(names(&scan), ["access.log.4", "access.log.3", "access.log"]);
    }
}
