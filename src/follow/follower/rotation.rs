//! What a look makes of the files when the log is another one than before, or no longer says what it said.

use std::time::Duration;

use super::{
    super::{
        identity::is_telling,
        incident::Incident,
        position::FilePosition,
        reader::{Match, Reader},
        siblings::{Scan, Sibling},
    },
    Follower, Tail,
};

impl Follower {
    /// The log is another file now: opens it, and every file that came and went since the last look.
    pub(super) fn rotated(&mut self, now: Duration) {
        // First those that were written anew in place: compared with what they held before, files would be mistaken.
        while let Some(at) = self.files.iter_mut().position(|tail| tail.reader.is_replaced()) {
            self.replaced(at);
        }
        let scan = self.siblings.scan();
        let from = self.after_held(&scan);
        for (at, sibling) in scan.files.iter().enumerate().skip(from) {
            if self.files.iter().any(|tail| tail.reader.id() == sibling.id) {
                continue;
            }
            let reader = match self.known(sibling) {
                None => Reader::new(sibling),
                // An editor, or a move from another file system: the same content in a new file.
                Some((reader, same)) if sibling.live => {
                    if let Some(same) = same {
                        self.files.remove(same);
                    }
                    *reader
                }
                Some(_) => continue,
            };
            // A file that was missed so far may be older than one that was not.
            let at = self.before_newer(&scan, at + 1).unwrap_or(self.files.len());
            self.files.insert(at, Tail { begun: is_begun(sibling), ..Tail::new(reader, now) });
        }
        self.supersede(now);
    }

    /// Where, in a scan, begins what is newer than the files held: they may have new names, or be compressed already.
    fn after_held(&self, scan: &Scan) -> usize {
        let by_id = |sibling: &Sibling| self.files.iter().any(|tail| tail.reader.id() == sibling.id);
        if let Some(at) = scan.files.iter().position(by_id) {
            return at + 1;
        }
        if let Some(at) = scan.files.iter().position(|sibling| !sibling.live && self.held(sibling).is_some())
        {
            return at + 1;
        }
        let newest = self.files.back().map_or(0, |tail| tail.reader.position().modified_ns);
        scan.first_newer(newest)
    }

    /// Which of the files held is the oldest of those that a scan has from an index on: what is older goes before it.
    fn before_newer(&self, scan: &Scan, from: usize) -> Option<usize> {
        scan.files.get(from..)?.iter().find_map(|sibling| self.held(sibling))
    }

    /// Which of the files held this is, or is a copy of: by inode, or by content.
    fn held(&self, sibling: &Sibling) -> Option<usize> {
        let by_id = self.files.iter().position(|tail| tail.reader.id() == sibling.id);
        by_id.or_else(|| self.known(sibling)?.1)
    }

    /// Whether a file holds the content of one that is or was read; then it reads on from there. Also which of the held
    /// files that is.
    fn known(&self, sibling: &Sibling) -> Option<(Box<Reader>, Option<usize>)> {
        for (at, tail) in self.files.iter().enumerate() {
            let position = tail.reader.position();
            if position.offset == 0 && tail.reader.has_content_of(sibling) {
                return Some((Box::new(Reader::new(sibling)), Some(at)));
            }
            if let Some(reader) = reads_on(sibling, &position) {
                return Some((reader, Some(at)));
            }
        }
        self.done.iter().rev().find_map(|position| Some((reads_on(sibling, position)?, None)))
    }

    /// A file no longer says what it said: `copytruncate`, or something like it.
    pub(super) fn replaced(&mut self, at: usize) {
        let now = self.options.clock.monotonic();
        let tail = &mut self.files[at];
        let path = tail.reader.path().to_path_buf();
        if let Ok(Some(bytes)) = tail.reader.shrink() {
            self.incidents.push(Incident::Shrunk { path, bytes });
            return;
        }
        let before = tail.reader.position();
        let rest = tail.reader.discard_rest();
        if tail.sealed {
            // A copy is not written to: whatever is in it now are no lines of the log.
            self.files.remove(at);
        } else {
            tail.reader.restart();
            tail.ready = true;
        }
        let recovered = self.recover(at, &before, now);
        self.remember(before);
        self.incidents.push(Incident::Truncated { path, recovered });
        self.unterminated += usize::from(rest && !recovered);
    }

    /// Looks for the copy that was made of a file before it was truncated, and puts what it holds beyond `before`, and
    /// the copies made after it, before the file at `at`.
    fn recover(&mut self, at: usize, before: &FilePosition, now: Duration) -> bool {
        // Those without a line may be among the copies.
        let at = at - self.files.iter().take(at).filter(|tail| tail.begun).count();
        let (begun, held): (Vec<Tail>, Vec<Tail>) = self.files.drain(..).partition(|tail| tail.begun);
        self.files = held.into();
        let scan = self.siblings.scan();
        let by_id = |sibling: &&Sibling| self.files.iter().any(|tail| tail.reader.id() == sibling.id);
        let mut copies =
            scan.files.iter().chain(&scan.others).filter(|sibling| !sibling.live && !by_id(sibling));
        let mut short = None;
        let whole = copies.find_map(|sibling| match Reader::resume(sibling, before) {
            Ok(Match::Yes(reader)) => Some((sibling, *reader)),
            Ok(Match::No) if short.is_none() => {
                // Written to and read between the copy and the truncation: the copies after it are to be read all the same.
                short = Reader::resume_shrunk(sibling, before).ok().flatten().map(|reader| (sibling, reader));
                None
            }
            _ => None,
        });
        let recovered = whole.is_some();
        let Some((copy, reader)) = whole.or(short) else {
            self.put_before(at, begun);
            return false;
        };
        let mut copies = vec![Tail { sealed: true, ..Tail::new(reader, now) }];
        let from = scan.place(copy).div_ceil(2);
        // Up to the file itself, or the first that is newer: those are found when the log is seen to be another file.
        let between =
            scan.files.iter().skip(from).take_while(|sibling| !sibling.live && self.held(sibling).is_none());
        let unread = between.filter(|sibling| self.known(sibling).is_none());
        copies.extend(
            unread.map(|sibling| Tail { begun: is_begun(sibling), ..Tail::new(Reader::new(sibling), now) }),
        );
        let at = self.before_newer(&scan, from).unwrap_or(at);
        let taken = |tail: &Tail| copies.iter().any(|copy| copy.reader.id() == tail.reader.id());
        let begun: Vec<Tail> = begun.into_iter().filter(|tail| !taken(tail)).collect();
        self.put_before(at, begun.into_iter().chain(copies));
        recovered
    }

    fn put_before(&mut self, at: usize, tails: impl IntoIterator<Item = Tail>) {
        for (n, tail) in tails.into_iter().enumerate() {
            self.files.insert(at + n, tail);
        }
    }
}

/// Whether a file beside the log has no line yet: it may come to be a copy of the log.
pub(super) fn is_begun(sibling: &Sibling) -> bool {
    !sibling.live && !is_telling(&sibling.head)
}

/// Reads on in a file that holds the place, or that is a copy which ends before it.
fn reads_on(sibling: &Sibling, position: &FilePosition) -> Option<Box<Reader>> {
    match Reader::resume(sibling, position) {
        Ok(Match::Yes(reader)) => Some(reader),
        Ok(Match::Unknown) => None,
        _ => Reader::resume_shrunk(sibling, position).ok().flatten().map(Box::new),
    }
}
