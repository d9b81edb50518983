//! What the operator decides.

use std::{collections::BTreeMap, time::Duration};

/// How Ceph is asked, and what is made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Between two rounds.
    pub interval: Duration,
    /// How long one command may take.
    pub timeout: Duration,
    /// What one command may say, in bytes.
    pub max_output: usize,
    /// The program and its first arguments: `ceph`, or a wrapper that ends in it. Never given to a shell.
    pub command: Vec<String>,
    /// Ceph's `--conf`.
    pub conf: Option<String>,
    /// Ceph's `--keyring`.
    pub keyring: Option<String>,
    /// Whom to ask as.
    pub identity: Option<Identity>,
    /// Ceph's `--cluster`: a name of files in `/etc/ceph`, not the tag.
    pub cluster: Option<String>,
    /// Points for each OSD, beside those of their classes.
    pub per_osd: bool,
    /// What the bound on IOPS is computed from.
    pub iops: IopsSettings,
}

/// Whom to ask as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// `--name client.rgwlens`
    Name(String),
    /// `--id rgwlens`
    Id(String),
}

/// What the bound on IOPS is computed from: `osds × iops_per_osd ÷ replicas ÷ write_factor`.
#[derive(Clone, Debug, PartialEq)]
pub struct IopsSettings {
    /// IOPS of one OSD, by device class. A class that is not here has no bound: none is better than a wrong one.
    pub per_class: BTreeMap<String, f64>,
    /// Writes to the device for one write to a filestore OSD: the journal, and the file.
    pub filestore_writes: f64,
    /// The same of a bluestore OSD.
    pub bluestore_writes: f64,
    /// Reads are divided by the number of replicas too. One copy answers a read, so without it the bound is higher, and
    /// that of an ideal cluster.
    pub divide_reads: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            max_output: 64 << 20,
            command: vec!["ceph".into()],
            conf: None,
            keyring: None,
            identity: None,
            cluster: None,
            per_osd: true,
            iops: IopsSettings::default(),
        }
    }
}

impl Default for IopsSettings {
    fn default() -> Self {
        Self {
            // A SATA disk.
            per_class: BTreeMap::from([("hdd".into(), 100.0)]),
            filestore_writes: 2.0,
            bluestore_writes: 1.0,
            divide_reads: true,
        }
    }
}

impl IopsSettings {
    /// IOPS of one OSD of a class. One without a class is taken for a disk.
    pub(super) fn of_class(&self, class: &str) -> Option<f64> {
        let class = if class == super::topology::NO_CLASS { "hdd" } else { class };
        self.per_class.get(class).copied()
    }
}

impl Settings {
    /// All words of a command: the wrapper, whom to ask as, the format, the question.
    pub fn arguments(&self, question: &[&str]) -> Vec<String> {
        let mut words = self.command.clone();
        // Where a kill does not reach (behind ssh, in a container), the command ends by itself if no monitor answers.
        let seconds = self.timeout.as_secs().max(1).to_string();
        let mut option = |name: &str, value: Option<&str>| {
            words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.to_owned()]));
        };
        option("--connect-timeout", Some(&seconds));
        option("--cluster", self.cluster.as_deref());
        option("--conf", self.conf.as_deref());
        option("--keyring", self.keyring.as_deref());
        match &self.identity {
            Some(Identity::Name(name)) => option("--name", Some(name)),
            Some(Identity::Id(id)) => option("--id", Some(id)),
            None => {}
        }
        option("--format", Some("json"));
        words.extend(question.iter().map(|&word| word.to_owned()));
        words
    }
}
