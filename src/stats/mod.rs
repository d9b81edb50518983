//! Requests become windows, windows become immutable parts, parts become points. Pure: time is data.

mod settings;

pub use settings::{AdmissionSettings, EventSettings, Settings, SlowSettings, WindowSettings};
