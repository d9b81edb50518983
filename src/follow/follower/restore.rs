//! How to begin: where a position says, in whatever files that is now.

use std::{io, time::Duration};

use super::{
    super::{
        identity::FileId,
        incident::Incident,
        position::{FilePosition, Position},
        reader::{Match, Reader},
        siblings::{Scan, Sibling},
    },
    Follower, Start, Starting, Tail,
    rotation::is_begun,
};

impl Follower {
    /// Begins, if that is possible yet; otherwise gives back how, to be tried again.
    pub(super) fn begin(&mut self, starting: Starting, now: Duration) -> Option<Starting> {
        let since = starting.since.unwrap_or(now);
        let Start::At(position) = starting.at else {
            let reader = Sibling::live(&self.options.path).and_then(|live| match starting.at {
                Start::End => Reader::at_end(&live, self.options.max_line),
                _ => Ok(Reader::new(&live)),
            });
            return match reader {
                Ok(reader) => {
                    self.trouble = None;
                    self.files.push_back(Tail::new(reader, now));
                    None
                }
                // A file that appears from now on is new as a whole.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Some(Starting { at: Start::Beginning, since: Some(since) })
                }
                Err(error) => {
                    self.trouble(now, &error);
                    Some(Starting { at: starting.at, since: Some(since) })
                }
            };
        };
        let scan = self.siblings.scan();
        let waited = now.saturating_sub(since) >= self.options.rotated_grace;
        if self.restore(&scan, &position, waited, now) {
            self.trouble = None;
            return None;
        }
        match scan.unreadable.iter().find(|(path, _)| *path == self.options.path) {
            Some((_, error)) => self.trouble(now, error),
            None => self.trouble = None,
        }
        Some(Starting { at: Start::At(position), since: Some(since) })
    }

    /// Goes on where a position says. `false` if that cannot be decided yet.
    fn restore(&mut self, scan: &Scan, position: &Position, waited: bool, now: Duration) -> bool {
        let live = scan.files.last().is_some_and(|sibling| sibling.live);
        let live_denied = scan.unreadable.iter().any(|(path, _)| *path == self.options.path);
        let (mut found, mut lost, mut shrunk) = (Vec::new(), false, Vec::new());
        for file in &position.files {
            if let Some(there) = Self::find(scan, file) {
                found.push((there, file.done));
            } else if let Some((there, incident)) = find_shrunk(scan, file) {
                found.push((there, file.done));
                shrunk.push(incident);
            } else {
                lost |= !file.done && file.offset > 0;
            }
        }
        lost |= found.is_empty() && !position.files.is_empty();
        // What is sought may be the log itself, or come to be it, or be a file that is still being compressed.
        let waits = lost && (live_denied || !waited && position.files.iter().any(|file| unknown(scan, file)));
        if waits || (found.is_empty() && !live) {
            return false;
        }
        let by_time = || {
            let modified = position.files.iter().map(|file| file.modified_ns).max();
            let looked = (position.read_at_ms != 0).then(|| position.read_at_ms.saturating_mul(1_000_000));
            modified.or(looked).map_or(scan.files.len() - 1, |seen| scan.first_newer(seen))
        };
        // An inode alone does not say that nothing came between: the file may have been copied and truncated meanwhile.
        let by_content = found.len() == position.files.len()
            || found.iter().any(|(there, _)| there.reader.position().offset > 0);
        let from = match found.iter().map(|(there, _)| there.place.div_ceil(2)).min() {
            Some(place) if by_content => place,
            Some(place) => place.min(by_time()),
            None => by_time(),
        };
        let taken: Vec<FileId> = found.iter().map(|(there, _)| there.reader.id()).collect();
        let (mut readers, mut done) = (Vec::new(), Vec::new());
        for (there, is_done) in found {
            // A file done with only tells the place; but if it is the log itself again, it is read on.
            if is_done && !(live && there.place == 2 * scan.files.len() - 1) {
                done.push(there.reader.position());
            } else {
                readers.push((there.place, there.reader, false));
            }
        }
        let newer =
            scan.files.iter().enumerate().skip(from).filter(|(_, sibling)| !taken.contains(&sibling.id));
        readers.extend(newer.map(|(at, sibling)| (2 * at + 1, Reader::new(sibling), is_begun(sibling))));
        if readers.is_empty() {
            return false;
        }
        readers.sort_by_key(|(place, ..)| *place);
        let tails = readers.into_iter().map(|(_, reader, begun)| Tail { begun, ..Tail::new(reader, now) });
        self.files = tails.collect();
        for position in done {
            self.remember(position);
        }
        for incident in shrunk {
            self.incidents.push(incident);
        }
        if lost {
            let since_ms = Some(position.read_at_ms).filter(|&ms| ms != 0);
            self.incidents.push(Incident::Gap { path: self.options.path.clone(), since_ms });
        }
        true
    }

    /// The file of a scan that holds a place: the likeliest first, then the newest.
    fn locate(scan: &Scan, position: &FilePosition) -> Option<Found> {
        let hinted = |sibling: &&Sibling| sibling.id == position.id;
        let files =
            scan.files.iter().filter(hinted).chain(scan.files.iter().rev()).chain(scan.others.iter().rev());
        for sibling in files {
            if let Ok(Match::Yes(reader)) = Reader::resume(sibling, position) {
                return Some(Found { place: scan.place(sibling), reader: *reader });
            }
        }
        None
    }

    /// The file of a scan that one of a position's files is now.
    fn find(scan: &Scan, file: &FilePosition) -> Option<Found> {
        if file.offset > 0 {
            return Self::locate(scan, file);
        }
        // Nothing was read of it, so there is nothing to recognise it by but its inode, if it was not used again.
        let same = |sibling: &&Sibling| {
            sibling.id == file.id && (file.born_ns.is_none() || file.born_ns == sibling.born_ns)
        };
        let sibling = scan.files.iter().find(same)?;
        Some(Found { place: scan.place(sibling), reader: Reader::new(sibling) })
    }
}

/// A file that holds a sought place.
struct Found {
    /// Where it stands in its scan, see [`Scan::place`].
    place: usize,
    reader: Reader,
}

/// Whether a file may hold the place, but cannot be decoded that far.
fn unknown(scan: &Scan, file: &FilePosition) -> bool {
    let files = scan.files.iter().chain(&scan.others);
    files.into_iter().any(|sibling| matches!(Reader::resume(sibling, file), Ok(Match::Unknown)))
}

/// The file itself, or a copy of it, that ends before the place. (`renamecopy`, and `compress` without `delaycompress`: nginx
/// wrote on after the copy was made.)
fn find_shrunk(scan: &Scan, file: &FilePosition) -> Option<(Found, Incident)> {
    let hinted = |sibling: &&Sibling| sibling.id == file.id;
    let siblings = scan.files.iter().filter(hinted).chain(scan.files.iter().rev());
    siblings.into_iter().find_map(|sibling| {
        let reader = Reader::resume_shrunk(sibling, file).ok()??;
        let bytes = file.offset - reader.position().offset;
        let incident = Incident::Shrunk { path: sibling.path.clone(), bytes };
        Some((Found { place: scan.place(sibling), reader }, incident))
    })
}
