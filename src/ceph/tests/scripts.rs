//! A `ceph` that answers from files, or not at all: for faults only.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::ceph::Settings;

/// A script that is asked instead of Ceph.
pub(super) struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    /// A shell script. `$question` is the words after `--format json`, `$answers` the folder of a real cluster's.
    pub(super) fn new(body: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = Self { folder };
        script.write(body);
        script
    }

    pub(super) fn write(&self, body: &str) {
        let answers = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ceph-json/pacific-healthy-busy");
        let text = format!(
            "#!/bin/sh\nhere={:?}\nanswers={answers:?}\nquestion=\"${{*#*--format json }}\"\n\
             answer() {{ cat \"$answers/$(echo \"${{question% detail}}\" | tr ' ' -).json\"; }}\n\
             echo \"$question\" >> \"$here/asked\"\n{body}\n",
            self.folder.path()
        );
        // Moved into place: a script that another thread's child still has open for writing cannot be run.
        let path = self.path();
        let new = path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, &path).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ceph")
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it was asked since the last time.
    pub(super) fn asked(&self) -> Vec<String> {
        let file = self.folder.path().join("asked");
        let asked = fs::read_to_string(&file).unwrap_or_default().lines().map(str::to_owned).collect();
        let _ = fs::remove_file(file);
        asked
    }

    pub(super) fn settings(&self, timeout_ms: u64) -> Settings {
        Settings {
            // Through `sh`, so that it is read and not executed: nothing can keep it from starting.
            command: vec!["sh".into(), self.path().display().to_string()],
            timeout: Duration::from_millis(timeout_ms),
            max_output: 1 << 20,
            ..Settings::default()
        }
    }
}
