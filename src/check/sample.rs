//! The last lines of a log.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// The most that is read from the end of a file, bytes.
const BYTES: u64 = 4 << 20;

/// At most the last `limit` whole lines, oldest first, without their newlines.
pub(super) fn last_lines(path: &Path, limit: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    // The log grows while it is read.
    file.take(BYTES).read_to_end(&mut bytes)?;
    let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
    let mut lines: Vec<&[u8]> = bytes[..whole].split_inclusive(|byte| *byte == b'\n').collect();
    if start > 0 && !lines.is_empty() {
        // It most likely began before what was read.
        lines.remove(0);
    }
    let first = lines.len().saturating_sub(limit);
    Ok(lines[first..].iter().map(|line| line.strip_suffix(b"\n").unwrap_or(line).to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_from_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        let check = |content: &[u8], limit, expected: &[&[u8]]| {
            std::fs::write(&path, content).unwrap();
            assert_eq!(last_lines(&path, limit).unwrap(), expected);
        };
        check(b"", 10, &[]);
        check(b"cut", 10, &[]);
        check(b"a\n\nb\ncut", 10, &[b"a", b"", b"b"]);
        check(b"a\nb\nc\n", 2, &[b"b", b"c"]);
        let mut long = vec![b'x'; BYTES as usize];
        long.extend(b"\nlast\n");
        check(&long, 10, &[b"last"]);
    }
}
