//! A time series database in memory, with everything that goes wrong on the way to it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::influx::{Outcome, sender::Transport};

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// It never arrives.
    Lost,
    /// It is stored, and the answer is lost.
    NoAnswer,
    /// It is cut off: the first lines are stored.
    Cut,
    /// It times out, and takes effect later: after newer ones, or never.
    Zombie,
    /// It arrives twice.
    Twice,
    /// Somebody has to mend something first.
    Refused,
    /// It is too large.
    TooLarge,
}

#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Fields by series and time.
    points: BTreeMap<(String, String), String>,
    /// Requests that are still on their way.
    zombies: Vec<Vec<u8>>,
    /// For the next request.
    fault: Option<Fault>,
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The next request meets this.
    pub(super) fn meet(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// A request that had timed out takes effect.
    pub(super) fn land(&self) {
        let mut state = self.state();
        if !state.zombies.is_empty() {
            let zombie = state.zombies.remove(0);
            state.take(&zombie);
        }
    }

    /// A disk is lost, with all that was acknowledged.
    pub(super) fn lose(&self) {
        self.state().points.clear();
    }

    /// Takes lines, as they are.
    pub(super) fn take(&self, lines: &[u8]) {
        self.state().take(lines);
    }

    /// An integer field, added up over all points of a measurement.
    pub(super) fn sum(&self, measurement: &str, field: &str) -> u64 {
        let state = self.state();
        let of_measurement = state.points.iter().filter(|((series, _), _)| {
            series.strip_prefix(measurement).is_some_and(|rest| rest.starts_with(','))
        });
        let values = of_measurement.filter_map(|(_, fields)| {
            let mut values = fields.split(',').filter_map(|pair| pair.strip_prefix(field)?.strip_prefix('='));
            values.next()?.strip_suffix('i')?.parse::<u64>().ok()
        });
        values.sum()
    }
}

impl State {
    fn take(&mut self, lines: &[u8]) {
        for line in std::str::from_utf8(lines).unwrap().lines() {
            let mut escaped = false;
            let blank = line.bytes().position(|byte| {
                let is_end = byte == b' ' && !escaped;
                escaped = byte == b'\\' && !escaped;
                is_end
            });
            let (series, rest) = line.split_at(blank.expect("a series and its fields"));
            let (fields, time) = rest[1..].rsplit_once(' ').expect("a time");
            let point = (series.to_owned(), time.to_owned());
            // What makes all of this harmless: a point is only ever written with the same fields.
            if let Some(before) = self.points.insert(point, fields.to_owned()) {
                assert_eq!(before, fields, "{series} at {time} was written with other fields before");
            }
        }
    }
}

impl Transport for Server {
    async fn write(&self, lines: &[u8]) -> Outcome {
        let mut state = self.state();
        let retry = |why: &str| Outcome::Retry { after: None, why: why.to_owned() };
        match state.fault.take().unwrap_or(Fault::None) {
            Fault::None => {
                state.take(lines);
                Outcome::Written
            }
            Fault::Twice => {
                state.take(lines);
                state.take(lines);
                Outcome::Written
            }
            Fault::Lost => retry("nobody there"),
            Fault::NoAnswer => {
                state.take(lines);
                retry("no answer")
            }
            Fault::Cut => {
                let middle = lines[..lines.len() / 2].iter().rposition(|byte| *byte == b'\n');
                state.take(&lines[..middle.map_or(0, |at| at + 1)]);
                retry("cut off")
            }
            Fault::Zombie => {
                state.zombies.push(lines.to_owned());
                retry("timed out")
            }
            Fault::Refused => Outcome::Refused { why: "403".to_owned(), mend: "mend it".to_owned() },
            Fault::TooLarge => Outcome::TooLarge,
        }
    }
}
