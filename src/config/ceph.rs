//! How Ceph is asked.

use std::time::Duration;

use super::{CephConfig, check::Checks, written};
use crate::ceph::{Identity, IopsSettings, Settings};

const SECOND: Duration = Duration::from_secs(1);

impl Checks<'_> {
    pub(super) fn ceph(&mut self, written: &written::Ceph) -> CephConfig {
        let intervals = 10 * SECOND..=3_600 * SECOND;
        let interval = self.span("ceph.interval", &written.interval, &intervals);
        if interval.subsec_nanos() != 0 {
            self.wrong("ceph.interval", "must be whole seconds, from 10s to 1h");
        }
        let timeout = self.span("ceph.timeout", &written.timeout, &(SECOND..=600 * SECOND));
        if intervals.contains(&interval) && timeout >= interval {
            let message = format!("must be shorter than ceph.interval ({})", super::show_duration(interval));
            self.wrong("ceph.timeout", message);
        }
        let max_output = self.size("ceph.max_output", &written.max_output, &((1 << 20)..=(1 << 30)));
        CephConfig {
            enabled: written.enabled.0,
            settings: Settings {
                interval,
                timeout,
                max_output: usize::try_from(max_output).unwrap_or(usize::MAX),
                command: self.command(&written.command.0),
                conf: self.ceph_path("ceph.conf", written.conf.as_deref()),
                keyring: self.ceph_path("ceph.keyring", written.keyring.as_deref()),
                identity: self.identity(written),
                cluster: self.word("ceph.cluster", written.cluster.as_deref()),
                per_osd: written.per_osd.0,
                iops: self.iops(written),
            },
        }
    }

    fn command(&mut self, words: &[String]) -> Vec<String> {
        if words.first().is_none_or(String::is_empty) {
            self.wrong(
                "ceph.command",
                "must name a program, as \"ceph\" or [\"cephadm\", \"shell\", \"--\", \"ceph\"]",
            );
        } else if let [line] = words
            && line.contains(' ')
            && !line.starts_with('/')
        {
            self.wrong(
                "ceph.command",
                "must be a list of words: there is no shell that would take a text apart",
            );
        }
        if words.iter().any(|word| word.contains('\0')) {
            self.wrong("ceph.command", "must not have a NUL in it");
        }
        words.to_vec()
    }

    fn ceph_path(&mut self, key: &str, path: Option<&str>) -> Option<String> {
        Some(self.path(key, path?).display().to_string())
    }

    fn word(&mut self, key: &str, word: Option<&str>) -> Option<String> {
        let word = word?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if word.is_empty() || word.starts_with('-') || !word.bytes().all(allowed) {
            self.wrong(key, "must be of a-z, A-Z, 0-9, ., _ and -");
        }
        Some(word.to_owned())
    }

    fn identity(&mut self, written: &written::Ceph) -> Option<Identity> {
        if written.name.is_some() && written.id.is_some() {
            self.wrong("ceph.id", "write either name or id: client.rgwlens is the name of the id rgwlens");
        }
        let name = self.word("ceph.name", written.name.as_deref());
        if name.as_ref().is_some_and(|name| !name.contains('.')) {
            self.wrong("ceph.name", "must have the type before it, as client.rgwlens; without, it is an id");
        }
        let id = self.word("ceph.id", written.id.as_deref());
        name.map(Identity::Name).or_else(|| id.map(Identity::Id))
    }

    fn iops(&mut self, written: &written::Ceph) -> IopsSettings {
        let mut iops = IopsSettings::default();
        for (class, figure) in &written.iops {
            let key = format!("ceph.iops.{class}");
            let figure = self.count(&key, figure, &(1..=10_000_000));
            iops.per_class.insert(class.clone(), figure as f64);
        }
        let factors = 1..=100;
        iops.filestore_writes =
            self.count("ceph.filestore_writes", &written.filestore_writes, &factors) as f64;
        iops.bluestore_writes =
            self.count("ceph.bluestore_writes", &written.bluestore_writes, &factors) as f64;
        iops.divide_reads = written.divide_reads.0;
        iops
    }
}
