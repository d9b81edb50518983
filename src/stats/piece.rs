//! A stretch of a log counted apart from what comes before it, so that many stretches can be counted at once.
//!
//! Which window a line is counted in depends on the lines before it: is it late, has the time jumped? Of nearly every
//! stretch of a log the answer is known without them, since its lines are in order within the lateness. Such a stretch is
//! counted as one piece and then taken up as a whole by [`Windows::absorb`](super::Windows::absorb), in the order of the
//! log, with the same outcome as line by line. Any other is counted once more, line by line.

use super::{
    Admission, Contents, Request, Settings,
    lengths::Lengths,
    tally::{Booking, BucketTally, Context, NodeTally, Tally, add_lines},
    windows::{CLOCK_SKEW_MS, TIMES_MS},
};
use crate::point::TimestampMs;

/// Windows of a kind that a piece may touch. A log of so few lines that there are more is soon counted line by line.
const WINDOWS: usize = 64;

/// What a stretch of a log added up to.
#[derive(Debug)]
pub struct Piece {
    pub(super) node: Vec<(TimestampMs, Contents)>,
    pub(super) bucket: Vec<(TimestampMs, Contents)>,
    /// Of the lines that were counted; `None` if there was none.
    pub(super) times: Option<Times>,
    /// Rejected lines before the first that was counted: they belong to the window of the line before.
    pub(super) leading: Vec<(&'static str, u64)>,
    pub(super) counted: u64,
    /// All rejected lines but the leading ones.
    pub(super) rejected: u64,
    pub(super) skipped: u64,
}

/// Times of the lines of a piece.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) first_ms: TimestampMs,
    pub(super) last_ms: TimestampMs,
    pub(super) earliest_ms: TimestampMs,
    pub(super) latest_ms: TimestampMs,
    /// Each time that brought the latest beyond the end of a window and its lateness: where windows close, one after the
    /// other.
    pub(super) crossings: Vec<TimestampMs>,
}

/// Counts one stretch after the other.
#[derive(Debug)]
pub struct PieceCounter {
    settings: Settings,
    /// Nobody is admitted here, and nobody is turned away.
    admission: Admission,
    node: Pieces<NodeTally>,
    bucket: Pieces<BucketTally>,
    piece: Piece,
    fits: bool,
}

impl PieceCounter {
    /// For files that are read from their beginning, counted as these settings say.
    pub fn new(settings: Settings) -> Self {
        let windows = settings.windows;
        Self {
            admission: Admission::new(settings.admission.clone(), 0),
            node: Pieces::new(windows.node_ms, windows.lateness_ms),
            bucket: Pieces::new(windows.bucket_ms, windows.lateness_ms),
            settings,
            piece: Piece::new(),
            fits: true,
        }
    }

    /// Counts a request.
    #[inline]
    pub fn record(&mut self, request: &Request<'_>, line: &[u8]) {
        let time_ms = request.record.time_ms.clamp(TIMES_MS.0, TIMES_MS.1);
        if !self.fits || !self.observe(time_ms) {
            self.fits = false;
            return;
        }
        let admission = &self.admission;
        let context = Context { admission, highest_candidate: u64::MAX, settled_ms: TimestampMs::MIN };
        let (Some(node), Some(bucket)) = (self.node.at(time_ms), self.bucket.at(time_ms)) else {
            self.fits = false;
            return;
        };
        node.keep(request, line, &self.settings.events);
        let booking = [Booking::new(request, node.row(request), bucket.number(request.bucket, &context))];
        node.book(&booking);
        bucket.book(&booking);
        self.fits = !node.is_full(usize::MAX) && !bucket.is_full(self.settings.admission.candidates);
        self.piece.counted += 1;
    }

    /// Counts a line that is not of the format.
    pub fn reject(&mut self, reason: &'static str) {
        match &self.piece.times {
            Some(times) => {
                self.piece.rejected += 1;
                self.fits &= self.node.at(times.last_ms).map(|tally| tally.reject(reason, 1)).is_some();
            }
            None => add_lines(&mut self.piece.leading, reason, 1),
        }
    }

    /// A line that is about no request.
    pub fn skip(&mut self) {
        self.piece.skipped += 1;
    }

    /// What the stretch added up to, and nothing left behind. `None` if it cannot be told apart from what comes before it.
    pub fn take(&mut self) -> Option<Piece> {
        let mut piece = std::mem::replace(&mut self.piece, Piece::new());
        piece.node = self.node.take();
        piece.bucket = self.bucket.take();
        std::mem::replace(&mut self.fits, true).then_some(piece)
    }

    /// Takes note of the time of a line. `false` if it is late, or far ahead.
    #[inline]
    fn observe(&mut self, time_ms: TimestampMs) -> bool {
        let Some(times) = &mut self.piece.times else {
            self.cross(time_ms);
            let (first_ms, last_ms, earliest_ms, latest_ms) = (time_ms, time_ms, time_ms, time_ms);
            let crossings = vec![time_ms];
            self.piece.times = Some(Times { first_ms, last_ms, earliest_ms, latest_ms, crossings });
            return true;
        };
        if time_ms > times.latest_ms {
            if time_ms > times.latest_ms + CLOCK_SKEW_MS {
                return false;
            }
            times.latest_ms = time_ms;
            if time_ms >= self.node.due_ms.min(self.bucket.due_ms) {
                times.crossings.push(time_ms);
                self.cross(time_ms);
            }
        } else {
            times.earliest_ms = times.earliest_ms.min(time_ms);
            if time_ms < self.node.boundary_ms.max(self.bucket.boundary_ms) {
                return false;
            }
        }
        if let Some(times) = &mut self.piece.times {
            times.last_ms = time_ms;
        }
        true
    }

    #[cold]
    fn cross(&mut self, time_ms: TimestampMs) {
        self.node.cross(time_ms);
        self.bucket.cross(time_ms);
    }
}

impl Piece {
    fn new() -> Self {
        Self {
            node: Vec::new(),
            bucket: Vec::new(),
            times: None,
            leading: Vec::new(),
            counted: 0,
            rejected: 0,
            skipped: 0,
        }
    }
}

/// Windows of one length, none of which closes.
#[derive(Debug)]
struct Pieces<T> {
    lengths: Lengths,
    lateness_ms: i64,
    /// Lines before this are late.
    boundary_ms: TimestampMs,
    /// The boundary moves when the time gets here.
    due_ms: TimestampMs,
    /// Of the window that was asked for last: nearly always the one that is asked for next.
    start_ms: TimestampMs,
    end_ms: TimestampMs,
    newest: usize,
    open: Vec<(TimestampMs, T)>,
    spare: Vec<T>,
}

impl<T: Tally> Pieces<T> {
    fn new(length_ms: i64, lateness_ms: i64) -> Self {
        Self {
            lengths: Lengths::new(length_ms),
            lateness_ms,
            boundary_ms: TimestampMs::MIN,
            due_ms: TimestampMs::MIN,
            start_ms: 0,
            end_ms: 0,
            newest: 0,
            open: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// The tally of the window that holds a time; `None` if there are too many.
    #[inline]
    fn at(&mut self, time_ms: TimestampMs) -> Option<&mut T> {
        if !(self.start_ms..self.end_ms).contains(&time_ms) || self.newest >= self.open.len() {
            self.find(time_ms)?;
        }
        self.open.get_mut(self.newest).map(|(_, tally)| tally)
    }

    #[cold]
    fn find(&mut self, time_ms: TimestampMs) -> Option<()> {
        let start_ms = self.lengths.start_of(time_ms);
        self.newest = match self.open.iter().position(|(start, _)| *start == start_ms) {
            Some(known) => known,
            None if self.open.len() >= WINDOWS => return None,
            None => {
                self.open.push((start_ms, self.spare.pop().unwrap_or_default()));
                self.open.len() - 1
            }
        };
        self.start_ms = start_ms;
        self.end_ms = start_ms.saturating_add(self.lengths.at(start_ms));
        Some(())
    }

    /// As windows of a [`Family`](super::family::Family) close at this watermark.
    fn cross(&mut self, watermark_ms: TimestampMs) {
        self.boundary_ms = self.lengths.start_of(watermark_ms.saturating_sub(self.lateness_ms));
        let end_ms = self.boundary_ms.saturating_add(self.lengths.at(self.boundary_ms));
        self.due_ms = end_ms.saturating_add(self.lateness_ms);
    }

    fn take(&mut self) -> Vec<(TimestampMs, Contents)> {
        self.boundary_ms = TimestampMs::MIN;
        self.due_ms = TimestampMs::MIN;
        let mut taken = Vec::with_capacity(self.open.len());
        for (start_ms, mut tally) in self.open.drain(..) {
            taken.push((start_ms, tally.pack()));
            tally.reuse();
            self.spare.push(tally);
        }
        taken
    }
}
