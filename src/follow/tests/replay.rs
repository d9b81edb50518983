//! Files of the past: order, duplicates, damage.

use std::{fs, path::PathBuf, sync::atomic::Ordering};

use super::{
    super::*,
    world::{Packer, pack, stdin},
};

/// A directory with these files; a `.gz` or `.zst` in a name does not compress anything.
struct Past {
    dir: tempfile::TempDir,
    names: Vec<String>,
}

impl Past {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        Self { dir, names: files.iter().map(|(name, _)| (*name).to_string()).collect() }
    }

    fn open(&self) -> Files {
        let paths: Vec<PathBuf> = self.names.iter().map(|name| self.dir.path().join(name)).collect();
        Files::open(&paths, FilesOptions { max_line: 100 }, &mut time).unwrap()
    }

    /// Lines (without newline), joined by spaces, and what was skipped. Whoever reads them, and into whatever memory.
    fn read(&self) -> (String, Vec<&'static str>, Vec<&'static str>) {
        let read = drain(self.open(), take(&mut [Vec::new()]));
        assert_eq!(drain(self.open(), take(&mut [vec![b'?'; 20_000], Vec::new(), vec![b'\n'; 70]])), read);
        assert_eq!(drain(self.open(), next), read);
        read
    }
}

/// A line begins with its time.
fn time(line: &[u8]) -> Option<TimestampMs> {
    std::str::from_utf8(line.split(|&byte| byte == b':').next()?).ok()?.parse().ok()
}

/// What there is next: lines, or why some bytes are none; `None` at the end.
type Found = Option<Result<Vec<String>, &'static str>>;

fn next(files: &mut Files) -> Found {
    match files.next().unwrap() {
        Next::Lines(found) => {
            assert_eq!(found.now_ms, None);
            Some(Ok(texts(found)))
        }
        Next::Skipped { reason } => Some(Err(reason)),
        Next::Idle { .. } => panic!("the past does not wait"),
        Next::End => None,
    }
}

/// The same by several who take turns.
fn take(memories: &mut [Vec<u8>]) -> impl FnMut(&mut Files) -> Found {
    move |files| {
        memories.rotate_left(1);
        match files.take(&mut memories[0]).unwrap() {
            Taken::Lines(range) => Some(Ok(texts(Lines { bytes: &memories[0][range], now_ms: None }))),
            Taken::Skipped { reason } => Some(Err(reason)),
            Taken::End => None,
        }
    }
}

fn texts(lines: Lines<'_>) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
}

fn drain(
    mut files: Files,
    mut read: impl FnMut(&mut Files) -> Found,
) -> (String, Vec<&'static str>, Vec<&'static str>) {
    let (mut lines, mut skipped) = (Vec::new(), Vec::new());
    while let Some(found) = read(&mut files) {
        match found {
            Ok(found) => lines.extend(found),
            Err(reason) => skipped.push(reason),
        }
    }
    assert!(matches!(files.next().unwrap(), Next::End), "the end stays the end");
    assert_eq!(files.position(), Position::default());
    assert_eq!(files.lag(), 0);
    assert_eq!(files.bytes_read().load(Ordering::Relaxed), files.bytes_total());
    let incidents = files.incidents().map(|incident| incident.kind()).collect();
    (lines.join(" "), skipped, incidents)
}

#[track_caller]
fn check(files: &[(&str, &[u8])], lines: &str) {
    assert_eq!(Past::new(files).read(), (lines.to_string(), vec![], vec![]));
}

#[test]
fn order_is_by_content_and_not_by_name() {
    check(
        &[("a", b"3:x\n4:x\n"), ("b", b"1:x\n2:x\n"), ("c", b"garbage\n2:y\n")],
        "1:x 2:x garbage 2:y 3:x 4:x",
    );
    // At the same time the older rotation first, and numbers are numbers; without any time, last.
    check(
        &[("l", b"1:0\n"), ("l.2", b"1:2\n"), ("l.10.gz", b"1:10\n"), ("l.1", b"1:1\n"), ("k", b"none\n")],
        "1:10 1:2 1:1 1:0 none",
    );
}

#[test]
fn compressed_is_known_by_content() {
    let gz = pack(b"1:a\n", Packer::Gzip);
    let zst = [pack(b"2:b\n", Packer::Zstd), pack(b"3:c\n", Packer::Zstd)].concat();
    let members = [pack(b"4:d\n5", Packer::Gzip), pack(b":e\n", Packer::Gzip)].concat();
    check(&[("x", &zst), ("y.gz", b"6:f\n"), ("z", &gz), ("w", &members)], "1:a 2:b 3:c 4:d 5:e 6:f");
}

#[test]
fn same_content_is_read_once() {
    let (one, grown) = (b"1:a\n2:b\n", b"1:a\n2:b\n3:c\n");
    let (gz, zst) = (pack(one, Packer::Gzip), pack(grown, Packer::Zstd));
    check(&[("l.1", one), ("l.1.gz", &gz)], "1:a 2:b");
    check(&[("l.1.gz", &gz), ("l.1", one)], "1:a 2:b");
    check(&[("copy", one), ("l", grown), ("l.gz", &gz)], "1:a 2:b 3:c");
    check(&[("l.zst", &zst), ("copy", one)], "1:a 2:b 3:c");
    // The same beginning is not the same content.
    let head = "1:".to_string() + &"x".repeat(97) + "\n";
    let (a, b) = (head.repeat(20) + "2:a\n", head.repeat(20) + "2:b\n");
    let past = Past::new(&[("a", a.as_bytes()), ("b", b.as_bytes())]);
    assert_eq!(past.read().0.matches("2:").count(), 2);
    assert_eq!(past.read().0.len(), a.len() + b.len() - 1);
    // One path twice, and one file by two names.
    let mut past = Past::new(&[("a", b"1:a\n")]);
    fs::hard_link(past.dir.path().join("a"), past.dir.path().join("b")).unwrap();
    past.names.extend(["a".into(), "b".into()]);
    assert_eq!(past.read().0, "1:a");
}

#[test]
fn unterminated_and_too_long() {
    let long = [b"1:a\n".as_slice(), &[b'x'; 500], b"\n2:b\n3:unfinished"].concat();
    let past = Past::new(&[("a", &long), ("b", b"4:c\n"), ("empty", b"")]);
    assert_eq!(past.read(), ("1:a 2:b 4:c".into(), vec!["too_long", "unterminated"], vec![]));
}

#[test]
fn damaged_file_gives_its_good_part_and_the_next_goes_on() {
    let content: String = (0..20_000_u32).map(|n| format!("1:{}\n", n.wrapping_mul(2_654_435_761))).collect();
    let packed = pack(content.as_bytes(), Packer::Gzip);
    let mut flipped = packed.clone();
    let at = flipped.len() - 6; // Within the checksum.
    flipped[at] ^= 1;
    for (damaged, all) in [(&packed[..packed.len() / 2], false), (&flipped[..], true)] {
        let (lines, _, incidents) = Past::new(&[("a.gz", damaged), ("b", b"2:b\n")]).read();
        assert_eq!(incidents, ["corrupt"]);
        let good = lines.strip_suffix(" 2:b").unwrap().replace(' ', "\n");
        assert!(content.starts_with(&good));
        assert!(good.len() > content.len() / 4);
        assert_eq!(good.len() + 1 == content.len(), all, "a wrong checksum takes nothing away");
    }
    // Its half-written twin is no content of its own, and its damage nobody's concern.
    let past = Past::new(&[("a.gz", &packed[..packed.len() / 2]), ("a", content.as_bytes())]);
    assert_eq!(past.read(), (content.trim_end().replace('\n', " "), vec![], vec![]));
}

#[test]
fn standard_input() {
    for (input, name) in
        [(b"2:in\n".to_vec(), "plain"), (pack(b"2:in\n", Packer::Gzip), "gzip"), (Vec::new(), "empty")]
    {
        let past = Past::new(&[("a", b"3:a\n"), ("b", b"1:b\n")]);
        let paths = [past.dir.path().join("a"), "-".into(), past.dir.path().join("b"), "-".into()];
        let mut files = Files::open_with(&paths, FilesOptions::default(), &mut time, stdin(&input)).unwrap();
        let mut lines = Vec::new();
        while let Next::Lines(found) = files.next().unwrap() {
            lines.extend(found.iter().map(<[u8]>::to_vec));
        }
        let expected: &[&[u8]] =
            if input.is_empty() { &[b"1:b", b"3:a"] } else { &[b"1:b", b"2:in", b"3:a"] };
        assert_eq!(lines, expected, "{name}");
    }
}

#[test]
fn what_is_no_file_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_path_buf(), dir.path().join("missing")] {
        let error = Files::open(&[&path], FilesOptions::default(), &mut time).err().unwrap();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}
