//! What commands have in common: configuration, what the options change in it, and the log.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use anyhow::Context as _;
use chrono::Local;
use tracing_subscriber::EnvFilter;

use super::{
    Usage,
    args::{FormatArgs, GlobalArgs, PeriodArgs},
};
use crate::{
    access_log::{ClassifierSettings, InputFormat},
    config::{Choice as _, Config, LogConfig, LogLevel},
    influx::Target,
    store::Range,
};

/// Reads the configuration.
pub(super) fn load(global: &GlobalArgs) -> anyhow::Result<Config> {
    Ok(Config::load(global.config.as_deref())?)
}

/// What is said on standard error.
pub(super) struct Log {
    /// Of the command line: it decides over any configuration.
    level: Option<LogLevel>,
    set: Box<dyn Fn(EnvFilter)>,
}

impl Log {
    /// From now on as much as this configuration wants.
    pub(super) fn follow(&self, config: &Config) {
        (self.set)(filter(self.level, config));
    }
}

fn filter(level: Option<LogLevel>, config: &Config) -> EnvFilter {
    EnvFilter::new(format!("warn,rgwlens={}", level.unwrap_or(config.log_level).name()))
}

/// Starts saying things on standard error. Under systemd the journal adds the time itself.
pub(super) fn start_log(global: &GlobalArgs, config: &Config) -> Log {
    let level = global.log_level;
    let colour = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let log = tracing_subscriber::fmt().with_env_filter(filter(level, config)).with_writer(io::stderr);
    let log = log.with_ansi(colour).with_target(false);
    // What fails below: somebody else's log is set up, only in a test, and fine there.
    let set: Box<dyn Fn(EnvFilter)> = if std::env::var_os("JOURNAL_STREAM").is_some() {
        let log = log.without_time().with_filter_reloading();
        let handle = log.reload_handle();
        drop(log.try_init());
        Box::new(move |filter| drop(handle.reload(filter)))
    } else {
        let log = log.with_filter_reloading();
        let handle = log.reload_handle();
        drop(log.try_init());
        Box::new(move |filter| drop(handle.reload(filter)))
    };
    Log { level, set }
}

/// The log that a command is about: the one named, or the only one, or `access`.
pub(super) fn log_of<'a>(config: &'a Config, name: Option<&str>) -> Option<&'a LogConfig> {
    match name {
        Some(name) => config.logs.iter().find(|log| log.name == name),
        None if config.logs.len() == 1 => config.logs.first(),
        None => config.logs.iter().find(|log| log.name == "access"),
    }
}

/// How lines are written: by the option, else by the log's configuration.
pub(super) fn format(args: &FormatArgs, log: Option<&LogConfig>) -> anyhow::Result<InputFormat> {
    match (&args.log_format, log) {
        (Some(text), _) => text.parse().context("--log-format"),
        (None, Some(log)) => log.format.parse().with_context(|| format!("the format of log {:?}", log.name)),
        (None, None) => "main".parse().context("the default format"),
    }
}

/// What the gateway is configured as: by the options, else by the configuration.
pub(super) fn classifier(args: &FormatArgs, config: &Config) -> anyhow::Result<ClassifierSettings> {
    let settings = config.classifier().context("cannot read `probe.mark_key_file`")?;
    Ok(with_options(args, settings))
}

/// The same for somebody who only looks, and may not be able to read secrets: requests of probes are users' then.
pub(super) fn classifier_for_a_look(args: &FormatArgs, config: &Config) -> ClassifierSettings {
    with_options(args, config.classifier().unwrap_or_else(|_| config.classifier.clone()))
}

fn with_options(args: &FormatArgs, mut settings: ClassifierSettings) -> ClassifierSettings {
    if !args.dns_names.is_empty() {
        settings.dns_names.clone_from(&args.dns_names);
    }
    if !args.website_dns_names.is_empty() {
        settings.website_dns_names.clone_from(&args.website_dns_names);
    }
    if let Some(release) = args.rgw_release {
        settings.release = release;
    }
    settings
}

/// `--since` and `--until`, seen from now.
pub(super) fn period(args: &PeriodArgs) -> anyhow::Result<Range> {
    let now = Local::now();
    let range = Range {
        from_ms: args.since.map_or(Range::ALL.from_ms, |since| since.resolve(&now)),
        until_ms: args.until.map_or(Range::ALL.until_ms, |until| until.resolve(&now)),
    };
    if range.from_ms >= range.until_ms {
        return Err(Usage("--since is not before --until: nothing lies between them".into()).into());
    }
    Ok(range)
}

/// The outputs that a command writes to: the one named, or all.
pub(super) fn outputs<'a>(config: &'a Config, name: Option<&str>) -> anyhow::Result<Vec<&'a Target>> {
    let names = || config.outputs.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ");
    let chosen: Vec<&Target> =
        config.outputs.iter().filter(|target| name.is_none_or(|name| target.name == name)).collect();
    match (chosen.is_empty(), name) {
        (false, _) => Ok(chosen),
        (true, Some(name)) => {
            Err(Usage(format!("the configuration has no output {name:?}; it has: {}", names())).into())
        }
        (true, None) => Err(Usage(
            "the configuration has no [[output]]; add one, or use --to store or --to stdout".into(),
        )
        .into()),
    }
}

/// The store's file exists.
pub(super) fn has_store(path: &Path) -> bool {
    path.exists()
}

/// Whether a person looks at standard error.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// How many threads are meant by `--jobs`.
pub(super) fn jobs(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        asked => asked,
    }
}
