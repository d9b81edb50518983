//! What is left of files after power loss: from a record of the system calls that wrote them (`strace -f -y -xx`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::traffic::Random;

/// One call that changed a file, or had it put on the disk.
#[derive(Clone, Debug)]
pub enum Call {
    Write {
        file: PathBuf,
        at: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        file: PathBuf,
        size: u64,
    },
    Sync {
        file: PathBuf,
    },
    Unlink {
        file: PathBuf,
    },
    /// Bytes of a file up to here were read.
    Read {
        file: PathBuf,
        end: u64,
    },
}

/// Calls in the order in which they ended. Those that failed are left out.
pub fn parse(trace: &str) -> Vec<Call> {
    let mut unfinished: BTreeMap<&str, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(char::is_whitespace) else { continue };
        let rest = rest.trim_start();
        let text = if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, begun.to_owned());
            continue;
        } else if let Some(at) = rest.find(" resumed>") {
            unfinished.remove(thread).unwrap_or_default() + &rest[at + " resumed>".len()..]
        } else {
            rest.to_owned()
        };
        calls.extend(call(&text));
    }
    calls
}

fn call(text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") = ").or_else(|| {
        let (arguments, result) = rest.rsplit_once('=')?;
        Some((arguments.trim_end().strip_suffix(')')?, result.trim_start()))
    })?;
    let result: i64 = result.split_whitespace().next()?.parse().ok()?;
    if result < 0 {
        return None;
    }
    let file = || {
        let (_, rest) = arguments.split_once('<')?;
        Some(PathBuf::from(unescaped(rest.split_once('>')?.0)))
    };
    let last = |n: usize| arguments.rsplit(", ").nth(n)?.parse::<u64>().ok();
    match name {
        "pwrite64" => {
            let bytes = hex(arguments)?;
            assert_eq!(bytes.len() as i64, result, "a short write, or strace cut it");
            Some(Call::Write { file: file()?, at: last(0)?, bytes })
        }
        "ftruncate" => Some(Call::Truncate { file: file()?, size: last(0)? }),
        "fsync" | "fdatasync" => Some(Call::Sync { file: file()? }),
        "unlink" => Some(Call::Unlink { file: PathBuf::from(String::from_utf8(hex(arguments)?).ok()?) }),
        "pread64" => Some(Call::Read { file: file()?, end: last(0)? + result as u64 }),
        _ => None,
    }
}

/// `"\x41\x42"`.
fn hex(arguments: &str) -> Option<Vec<u8>> {
    let text = arguments.split('"').nth(1)?;
    text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

/// The name of a file as `-y -xx` has it: plain, or in hex.
fn unescaped(name: &str) -> String {
    if !name.contains("\\x") {
        return name.to_owned();
    }
    let bytes: Option<Vec<u8>> =
        name.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// What a disk may have after power loss at one moment.
pub struct Disk {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

/// The fate of what was written and not synced: each write may be there, or not, or in part, in any combination.
#[derive(Clone, Copy, Debug)]
pub enum Unsynced {
    Gone,
    Kept,
    AnyOfIt,
}

impl Disk {
    /// After these calls and no more. A file exists once it was synced; when it was deleted, it may still be there until its folder is synced.
    pub fn after(calls: &[Call], unsynced: Unsynced, random: &mut Random) -> Self {
        let mut synced_at: BTreeMap<&Path, usize> = BTreeMap::new();
        for (n, call) in calls.iter().enumerate() {
            if let Call::Sync { file } = call {
                synced_at.insert(file, n);
            }
        }
        let mut files: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
        for (n, call) in calls.iter().enumerate() {
            let safe = |file: &PathBuf| synced_at.get(file.as_path()).is_some_and(|at| n < *at);
            let mut fate = |file: &PathBuf| match unsynced {
                _ if safe(file) => 2,
                Unsynced::Gone => 0,
                Unsynced::Kept => 2,
                Unsynced::AnyOfIt => random.below(3),
            };
            match call {
                Call::Write { file, at, bytes } => {
                    let kept = match fate(file) {
                        0 => continue,
                        // Disks write sectors whole.
                        1 => bytes.len() / 1024 * 512,
                        _ => bytes.len(),
                    };
                    let content = files.entry(file.clone()).or_default();
                    let end = *at as usize + kept;
                    content.resize(content.len().max(end), 0);
                    content[*at as usize..end].copy_from_slice(&bytes[..kept]);
                }
                Call::Truncate { file, size } if fate(file) > 0 => {
                    files.entry(file.clone()).or_default().resize(*size as usize, 0);
                }
                // What its folder was synced after is gone for good: a journal that came back would undo the database.
                Call::Unlink { file }
                    if file.parent().is_some_and(|p| safe(&p.to_owned())) || fate(file) > 0 =>
                {
                    files.remove(file);
                }
                _ => {}
            }
        }
        Self { files }
    }
}

/// How much of a file is on the disk for sure: what was read of it before it was synced.
pub fn synced_length(calls: &[Call], path: &Path) -> u64 {
    let (mut read, mut synced) = (0, 0);
    for call in calls {
        match call {
            Call::Read { file, end } if file == path => read = read.max(*end),
            Call::Sync { file } if file == path => synced = read,
            _ => {}
        }
    }
    synced
}
