//! Requests become windows, windows become immutable parts, parts become points. Pure: time is data.
//!
//! A [`Request`] is counted by [`Windows`] in two windows: a short one of its node, a longer one of its bucket. What a
//! window holds is [`Contents`]: series, exact in their sums and mergeable in every direction. A window that closes
//! becomes a [`Part`], which never changes; [`write_points`] says which points it stands for.

mod admission;
mod calm;
mod closed;
mod codec;
mod contents;
mod event;
mod family;
pub mod histogram;
mod lengths;
mod name_list;
mod names;
mod open;
mod part;
mod points;
mod request;
mod series;
mod series_list;
mod settings;
mod tally;
mod texts;
mod windows;

pub use admission::Admission;
pub use codec::DecodeError;
pub use contents::Contents;
pub use event::{Event, Verdict, Wanted};
pub use names::Names;
pub use part::{Fragment, OpenWindow, Part, PartId, WindowKind};
pub use points::{LATENCY_EDGES_MS, MEASUREMENTS, write_points};
pub use request::{Outcome, Request};
pub use series::{Counters, Key, SIZE_EDGES, Series, SeriesRef, Size, Table, counter};
pub use settings::{AdmissionSettings, EventSettings, Settings, SlowSettings, WindowSettings};
pub use tally::{Batch, LANES, NO_BUCKET, OTHER, UNKNOWN_BUCKET};
pub use texts::Texts;
pub use windows::{DAMAGED, Look, TIMES_MS, Totals, Windows, WindowsState};

#[cfg(test)]
mod tests;
