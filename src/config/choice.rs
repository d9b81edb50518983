//! Settings that are one of a few words, the same words in the file and on the command line.

use crate::{access_log::Release, probe::Style};

/// One of a few words.
pub trait Choice: Copy + PartialEq + 'static {
    /// All of them, as they are written.
    const ALL: &'static [(&'static str, Self)];

    /// The one written like this.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find_map(|&(known, choice)| (known == name).then_some(choice))
    }

    /// As it is written.
    fn name(self) -> &'static str {
        Self::ALL.iter().find_map(|&(name, choice)| (choice == self).then_some(name)).unwrap_or_default()
    }

    /// As all of them are written.
    fn names() -> impl Iterator<Item = &'static str> + Clone {
        Self::ALL.iter().map(|&(name, _)| name)
    }
}

/// How much the program says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What it cannot do.
    Error,
    /// What an operator should look at.
    Warn,
    /// What changes: starts, rotations, outputs that go and come.
    #[default]
    Info,
    /// Every window and commit.
    Debug,
    /// Everything.
    Trace,
}

impl Choice for LogLevel {
    const ALL: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// Where a log is read from that was never read before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// At its end: what was there before belongs to `replay`.
    #[default]
    End,
    /// At its first line; rotated files are not read.
    Beginning,
}

impl Choice for StartAt {
    const ALL: &'static [(&'static str, Self)] = &[("end", Self::End), ("beginning", Self::Beginning)];
}

impl Choice for Release {
    const ALL: &'static [(&'static str, Self)] = &[
        ("luminous", Self::Luminous),
        ("mimic", Self::Mimic),
        ("nautilus", Self::Nautilus),
        ("octopus", Self::Octopus),
        ("pacific", Self::Pacific),
        ("quincy", Self::Quincy),
        ("reef", Self::Reef),
        ("squid", Self::Squid),
        ("tentacle", Self::Tentacle),
    ];
}

impl Choice for Style {
    const ALL: &'static [(&'static str, Self)] = &[("path", Self::Path), ("virtual-host", Self::VirtualHost)];
}

/// What an output is: which of its keys mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputKind {
    Influx1,
    Influx2,
    VictoriaMetrics,
}

impl Choice for OutputKind {
    const ALL: &'static [(&'static str, Self)] = &[
        ("influxdb1", Self::Influx1),
        ("influxdb2", Self::Influx2),
        ("victoriametrics", Self::VictoriaMetrics),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_named_as_they_serialise() {
        for (name, release) in Release::ALL {
            assert_eq!(serde_json::to_value(release).unwrap(), *name);
        }
        assert_eq!(Release::named("pacific"), Some(Release::Pacific));
        assert_eq!(Release::named("Pacific"), None);
        assert_eq!(
            Release::ALL.last().map(|(_, release)| *release),
            Some(Release::default()),
            "a newer one is missing"
        );
    }
}
