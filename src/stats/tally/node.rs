//! Counting what is told apart by class: the node, its upstreams, statuses, and events.

use std::ops::Range;

use super::{
    Batch, Kind, OTHER, Tally, add_lines,
    rows::{Row, Rows},
};
use crate::{
    access_log::{Class, Record},
    stats::{
        Contents, Counters, EventSettings, Key, Names, Request, Series, Size, event::EventTally,
        series::counter, series_list::SeriesList,
    },
};

/// Upstreams told apart in a window. They come from nginx's configuration: more of them is a mistake in it.
const UPSTREAMS: usize = 256;

/// Counts a window of node totals: `rgw_node`, `rgw_status`, `rgw_upstream`, `rgw_log`, events.
#[derive(Debug)]
pub(in crate::stats) struct NodeTally {
    /// The classes in both sizes, by number: of what had no upstream, then of each upstream in the order of arrival.
    rows: Rows,
    upstream_names: Names,
    /// By status.
    statuses: Vec<u32>,
    log: Counters,
    rejected: Vec<(&'static str, u64)>,
    events: EventTally,
}

impl Default for NodeTally {
    fn default() -> Self {
        let mut rows = Rows::default();
        rows.rows.resize(CLASS_ROWS, Row::new(0, Kind::NONE));
        Self {
            rows,
            upstream_names: Names::default(),
            statuses: vec![0; 1000],
            log: Counters::default(),
            rejected: Vec::new(),
            events: EventTally::default(),
        }
    }
}

impl NodeTally {
    /// Counts lines that were rejected, with their reason.
    pub(in crate::stats) fn reject(&mut self, reason: &'static str, lines: u64) {
        self.log[counter::LINES] += lines;
        add_lines(&mut self.rejected, reason, lines);
    }

    /// Counts lines that are older than what is kept.
    pub(in crate::stats) fn expire(&mut self, lines: u64) {
        self.log[counter::LINES] += lines;
        self.log[counter::EXPIRED] += lines;
    }

    /// Of the lines counted, one more was late.
    pub(in crate::stats) fn late(&mut self) {
        self.log[counter::LATE] += 1;
    }

    /// Keeps the request as an event, if it is one of those.
    pub(in crate::stats) fn keep(&mut self, request: &Request<'_>, line: &[u8], settings: &EventSettings) {
        self.events.record(request, line, settings);
    }

    /// Whether there is room for one more event that is kept for this [reason](crate::stats::Wanted).
    pub(in crate::stats) fn has_room(&self, reason: u8, settings: &EventSettings) -> bool {
        self.events.has_room(reason, settings)
    }

    /// The row of a class of an upstream.
    fn row_of_upstream(&mut self, batch: &Batch, lane: usize, class_row: u32) -> u32 {
        let names = &mut self.upstream_names;
        let id = batch.upstreams.find(lane, names).unwrap_or_else(|| {
            let name = batch.upstreams.get(lane);
            let is_welcome = names.len() < UPSTREAMS && is_address(name);
            names.intern(if is_welcome { name } else { OTHER.as_bytes() })
        });
        let end = (id as usize + 2) * CLASS_ROWS;
        if self.rows.rows.len() < end {
            self.rows.rows.resize(end, Row::new(0, Kind::NONE));
        }
        (id + 1) * CLASS_ROWS as u32 + class_row
    }
}

/// Rows of all classes in both sizes.
const CLASS_ROWS: usize = Class::ALL.len() * 2;

/// Whether a name can be an address that nginx knows a server by: one that cannot is a log format that does not fit.
fn is_address(name: &[u8]) -> bool {
    (1..=LONGEST_ADDRESS).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
}

/// The server that answered: the last one nginx tried. `a, b` after a retry, `a : b` after an internal redirect. Never empty
/// where there is a list, and no longer than tells that it is no address.
#[inline]
pub(super) fn upstream<'a>(list: &'a [u8], record: &Record<'_>) -> &'a [u8] {
    let name = if record.upstream_tries == 1 { list } else { last_upstream(list) };
    let name = if name.is_empty() { list } else { name };
    &name[..name.len().min(LONGEST_ADDRESS + 1)]
}

fn last_upstream(list: &[u8]) -> &[u8] {
    let begin = memchr::memrchr2(b',', b' ', list).map_or(0, |at| at + 1);
    &list[begin..]
}

const LONGEST_ADDRESS: usize = 256;

impl Tally for NodeTally {
    type Context<'a> = ();

    fn book(&mut self, batch: &Batch, range: Range<usize>, (): &()) {
        self.log[counter::LINES] += range.len() as u64;
        self.rows.expect(range.len());
        for lane in range {
            let booking = batch.booking(lane);
            self.statuses[usize::from(booking.status.min(999))] += 1;
            let class_row = booking.kind.class_and_size() as u32;
            // Each is counted once, and the node is the sum of its upstreams and of what had none.
            let row = if batch.upstreams.is_empty(lane) {
                class_row
            } else {
                self.row_of_upstream(batch, lane, class_row)
            };
            self.rows.record(row, &booking);
        }
    }

    fn pack(&mut self) -> Contents {
        let mut names = std::mem::take(&mut self.upstream_names);
        let mut series = SeriesList::default();
        self.rows.count_samples();
        for row in 0..self.rows.rows.len() {
            if self.rows.rows[row].is_empty() {
                continue;
            }
            let (class, size) = (Class::ALL[row % CLASS_ROWS / 2], [Size::Small, Size::Large][row % 2]);
            if let Some(upstream) = (row / CLASS_ROWS).checked_sub(1) {
                self.rows.put_series(row, Key::upstream(upstream as u32, class, size), &mut series);
            }
            self.rows.put_series(row, Key::node(class, size), &mut series);
        }
        self.rows.clear_samples();
        self.rows.rows.clear();
        self.rows.rows.resize(CLASS_ROWS, Row::new(0, Kind::NONE));
        for (status, count) in self.statuses.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            let mut counters = Counters::default();
            counters[counter::OK] = u64::from(std::mem::take(count));
            series.push(&Series { counters, ..Series::new(Key::status(status as u16)) });
        }
        if self.log.iter().any(|count| *count > 0) {
            series.push(&Series { counters: std::mem::take(&mut self.log), ..Series::new(Key::LOG) });
        }
        for (reason, count) in self.rejected.drain(..) {
            let mut counters = Counters::default();
            counters[counter::LINES] = count;
            let key = Key::rejected(names.intern(reason.as_bytes()));
            series.push(&Series { counters, ..Series::new(key) });
        }
        Contents::new(&names, &series, self.events.take())
    }

    fn is_empty(&self) -> bool {
        self.log == Counters::default() && self.events.is_empty()
    }

    fn has_room(&self, requests: usize, _names: usize) -> bool {
        self.rows.has_room(requests)
    }

    fn resume(&mut self, packed: &Contents, events: &EventSettings) {
        self.events.resume(packed.events(), events);
    }

    fn reuse(&mut self) {
        self.events = EventTally::default();
    }
}
