//! The configuration: TOML and environment variables, in two steps. `written` is exactly what the operator wrote;
//! [`Config`] is what the program uses, validated. Everything that is wrong is reported at once.
//!
//! Every key, with its unit, default and range, is in `examples/rgwlens.toml` ([`Config::example`]). A key can also be
//! set by an environment variable: `RGWLENS_`, then the key in capitals with `__` between its levels, as
//! `RGWLENS_STORE__PATH` or `RGWLENS_OUTPUT__0__URL`. The environment wins over the file.

mod ceph;
mod check;
mod choice;
#[cfg(test)]
mod drift_tests;
mod leaf;
mod outputs;
mod probe;
mod problem;
mod tags;
mod tree;
mod units;
mod validate;
mod written;

use std::{
    ffi::OsString,
    fs::File,
    io::{ErrorKind, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

pub use choice::{Choice, LogLevel, StartAt};
pub use probe::{MetricsConfig, ProbeConfig};
pub use problem::{ConfigError, Problem};
pub use units::{parse_duration, parse_size, show_duration, show_size};

use crate::{
    access_log::{ClassifierSettings, GatewayLog, MarkKey},
    influx::Target,
    point::Tags,
    stats::Settings,
};
use tree::Tree;

/// What the program uses: validated, every default filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from; `None` where there is none and all is default.
    pub file: Option<PathBuf>,
    /// Tag `cluster` of every point.
    pub cluster: String,
    /// Tag `node`: the gateway's name.
    pub node: String,
    /// The node was named by the operator. Otherwise it is this machine's host name, which says nothing about files
    /// that are replayed here.
    pub node_configured: bool,
    /// How much the program says about itself.
    pub log_level: LogLevel,
    /// The operator's constant tags, without `cluster`, `node` and `log`: see [`Config::tags_of`].
    pub tags: Tags,
    /// The embedded store.
    pub store: StoreConfig,
    /// The logs to follow, names and paths unique: at least one, unless there is something else to do.
    pub logs: Vec<LogConfig>,
    /// What the gateway is configured as, and what is a health check; without secrets: see [`Config::classifier`].
    pub classifier: ClassifierSettings,
    /// Windows, slowness, buckets, events. Its lateness is that of a log without its own: see [`Config::settings_of`].
    pub settings: Settings,
    /// What is probed from outside, and how requests of probes are known in the logs.
    pub probe: ProbeConfig,
    /// Where Prometheus may ask.
    pub metrics: MetricsConfig,
    /// Whether and how Ceph is asked.
    pub ceph: CephConfig,
    /// Where points go, names unique. None is fine: the store is enough.
    pub outputs: Vec<Target>,
}

/// The embedded store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The database, an absolute path. `-wal` and `-shm` lie beside it.
    pub path: PathBuf,
    /// Parts older than this are pruned.
    pub keep: Duration,
    /// Size of the database from which on the oldest parts are pruned, bytes.
    pub max_bytes: u64,
}

/// Whether and how Ceph is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct CephConfig {
    /// `run` does, every interval.
    pub enabled: bool,
    /// How: `rgwlens ceph` asks once, enabled or not.
    pub settings: crate::ceph::Settings,
}

/// One log to follow, with its rotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Tag `log`, and the name of the stream in the store.
    pub name: String,
    /// The file that nginx or the gateway writes, or the socket that the gateway listens on; an absolute path.
    pub path: PathBuf,
    /// It is a Unix socket.
    pub socket: bool,
    /// A format's name, or an nginx `log_format` directive. Not compiled yet.
    pub format: String,
    /// Where to begin if the store has no position.
    pub start_at: StartAt,
    /// How long after its end a window waits for lines written late.
    pub lateness: Duration,
    /// fdatasync the log before a commit, so that power loss cannot leave it shorter than the stored position.
    pub sync_source: bool,
    /// Where logrotate's `olddir` puts rotated files; beside the log when absent. An absolute path.
    pub olddir: Option<PathBuf>,
    /// Longest line that is read, bytes; a longer one is counted as rejected.
    pub max_line: usize,
}

impl LogConfig {
    /// Which of RGW's own logs it is, if it is one and not nginx's.
    pub fn gateway(&self) -> Option<GatewayLog> {
        GatewayLog::named(self.format.trim())
    }
}

impl Config {
    /// Where the configuration is when nobody says otherwise. It need not exist.
    pub const DEFAULT_PATH: &str = "/etc/rgwlens/rgwlens.toml";

    /// Reads the file (by default [`DEFAULT_PATH`](Self::DEFAULT_PATH)) and the environment of this process.
    ///
    /// # Errors
    /// A named file that is missing, a file that cannot be read or is not TOML, and everything that is wrong in it. A
    /// missing default file is no error: everything is default then.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(path, std::env::vars_os())
    }

    /// Like [`load`](Self::load), with another environment than that of this process.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let file = path.unwrap_or_else(|| Path::new(Self::DEFAULT_PATH));
        match read_with_mode(file) {
            Ok((text, mode)) => {
                let source = Written { file: Some(file), private: mode & 0o077 == 0, text: &text };
                source.into_config(environment)
            }
            Err(error) if path.is_none() && error.kind() == ErrorKind::NotFound => {
                Written { file: None, private: true, text: "" }.into_config(environment)
            }
            Err(error) => Err(ConfigError::Read { path: file.to_owned(), error }),
        }
    }

    /// Reads a configuration that is in no file, and no environment.
    ///
    /// # Errors
    /// Text that is not TOML, and everything that is wrong in it.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Written { file: None, private: true, text }.into_config([])
    }

    /// The example configuration: every key, documented, at its default.
    pub const fn example() -> &'static str {
        include_str!("../../examples/rgwlens.toml")
    }

    /// The constant tags of points from one log.
    pub fn tags_of(&self, log: &LogConfig) -> Tags {
        Tags::new(self.tags.iter().chain([
            ("cluster", &*self.cluster),
            ("node", &*self.node),
            ("log", &*log.name),
        ]))
    }

    /// The constant tags of points from this gateway that are from none of its logs.
    pub fn node_tags(&self) -> Tags {
        Tags::new(self.tags.iter().chain([("cluster", &*self.cluster), ("node", &*self.node)]))
    }

    /// What the gateway is configured as, with the secret by which requests of probes are known: it is read now.
    ///
    /// # Errors
    /// The secret cannot be read.
    pub fn classifier(&self) -> std::io::Result<ClassifierSettings> {
        let mut settings = self.classifier.clone();
        if let Some(key) = self.probe.mark_key.as_ref().filter(|_| self.probe.separate) {
            settings.probe.key = Some(MarkKey::new(key.read()?.as_bytes()));
        }
        Ok(settings)
    }

    /// The constant tags of points about the cluster, whoever asks it.
    pub fn cluster_tags(&self) -> Tags {
        Tags::new(self.tags.iter().chain([("cluster", &*self.cluster)]))
    }

    /// The settings of one log: all the same but for the lateness.
    pub fn settings_of(&self, log: &LogConfig) -> Settings {
        let mut settings = self.settings.clone();
        settings.windows.lateness_ms = check::millis(log.lateness);
        settings
    }
}

fn read_with_mode(path: &Path) -> std::io::Result<(String, u32)> {
    // Of the file that is read, not of whatever has its name a moment later.
    let mut file = File::open(path)?;
    let mode = file.metadata()?.mode();
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok((text, mode))
}

/// A configuration's text, and what is known about where it came from.
struct Written<'a> {
    file: Option<&'a Path>,
    /// Nobody but its owner can read it, so that it may hold secrets.
    private: bool,
    text: &'a str,
}

impl Written<'_> {
    fn into_config(
        self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Config, ConfigError> {
        let origin = self.file.map_or_else(|| "the configuration".into(), |file| file.display().to_string());
        let environment: Vec<(String, String)> = environment
            .into_iter()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .collect();
        let mut tree = Tree::read(self.text, &environment)
            .map_err(|message| ConfigError::Syntax { origin: origin.clone(), message })?;
        let mut problems = tree.take_unknown();
        let (written, tree, wrong_kind) = tree.read_values();
        problems.extend(wrong_kind);
        let credentials = environment.iter().find(|(name, _)| name == "CREDENTIALS_DIRECTORY");
        let surroundings = validate::Surroundings {
            private: self.private,
            file: self.file,
            credentials: credentials.map_or(outputs::CREDENTIALS, |(_, directory)| directory.as_str()),
            probe: probe::Variables::of(&environment),
        };
        let config = validate::validate(written, &tree, &surroundings, &mut problems);
        if problems.is_empty() {
            return Ok(config);
        }
        problems.sort_by(|a, b| a.key.cmp(&b.key));
        Err(ConfigError::Invalid { origin, problems })
    }
}
