//! `rgwlens replay`.

use std::io::{self, Write as _};

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat};

use super::{
    FAILED, OK, Usage,
    args::{Destination, GlobalArgs, ReplayArgs},
    context,
    progress::Bar,
};
use crate::{
    config::Config,
    influx::Client,
    point::{Tags, TimestampMs},
    replay::{self, InfluxPlace, Input, Limits, LinesPlace, Mode, Outcome, Place, StorePlace},
    stats::WindowKind,
    store::{Acknowledgement, Reader, RunLock, Store, Stream},
};

pub(super) fn run(global: &GlobalArgs, args: &ReplayArgs) -> anyhow::Result<u8> {
    let config = context::load(global)?;
    context::start_log(global, &config);
    let input = input(&config, args)?;
    let outcome = if args.to == Destination::Stdout {
        if args.replace || args.overwrite {
            return Err(
                Usage("--replace and --overwrite need a place that keeps things, not stdout".into()).into()
            );
        }
        let out = io::BufWriter::with_capacity(1 << 20, io::stdout().lock());
        let mut place = LinesPlace::new(out, &input.stream.tags, &input.settings.events.fields);
        replay::read_all(&input, &mut place, &mut Bar::default())?
    } else {
        write(&config, args, &input)?
    };
    summarise(&outcome)?;
    Ok(if outcome.rejected.is_empty() { OK } else { FAILED })
}

/// What is read, from the options and the configuration.
fn input(config: &Config, args: &ReplayArgs) -> anyhow::Result<Input> {
    let log = context::log_of(config, args.log.as_deref());
    let name = args.log.as_deref().or_else(|| log.map(|log| log.name.as_str())).unwrap_or("access");
    let node = match &args.node {
        Some(node) => node.as_str(),
        None if config.node_configured || args.to == Destination::Stdout => &config.node,
        None => {
            return Err(Usage(
                "which gateway are these files from? Say it with --node (the machine that replays need not be the \
                 gateway), or set `node` in the configuration"
                    .into(),
            )
            .into());
        }
    };
    let cluster = args.cluster.as_deref().unwrap_or(&config.cluster);
    let own = [("cluster", cluster), ("node", node), ("log", name)];
    let tags = Tags::new(config.tags.iter().chain(own));
    Ok(Input {
        files: args.files.clone(),
        format: context::format(&args.format, log)?,
        classifier: context::classifier(&args.format, config)?,
        settings: log.map_or_else(|| config.settings.clone(), |log| config.settings_of(log)),
        stream: Stream { name: name.to_owned(), tags },
        max_line: log.map_or(1 << 20, |log| log.max_line),
        jobs: context::jobs(args.jobs),
    })
}

fn write(config: &Config, args: &ReplayArgs, input: &Input) -> anyhow::Result<Outcome> {
    let mode = match (args.replace, args.overwrite) {
        (true, _) => Mode::Replace,
        (_, true) => Mode::Overwrite,
        _ => Mode::Careful,
    };
    let store = &config.store.path;
    // What `run` of this host counted is in its store: as long as that is about the same gateway.
    let followed = if context::has_store(store) && input.stream.tags.get("node") == Some(config.node.as_str())
    {
        Reader::open(store)?.stream(&input.stream.name)?
    } else {
        None
    };
    let mut counted_from_ms = followed.as_ref().and_then(|stream| {
        let windows = stream.windows.as_ref()?;
        windows.earliest_ms.or(windows.first_ms)
    });
    let mut places: Vec<Box<dyn Place>> = Vec::new();
    let mut lock: Option<RunLock> = None;
    if mode == Mode::Replace && followed.is_some() {
        lock = Some(lock_drained(config, args)?);
        // Everything that `run` has finished may be replaced: it is in the input too.
        counted_from_ms = followed.as_ref().and_then(|stream| {
            let open = stream.fragments.iter().map(|fragment| fragment.window.start_ms).min();
            open.or_else(|| stream.windows.as_ref()?.watermark_ms)
        });
    }
    if args.to == Destination::Influxdb {
        for target in context::outputs(config, args.output.as_deref())? {
            let client = Client::new(target.clone()).with_context(|| format!("output {:?}", target.name))?;
            let fields = &config.settings.events.fields;
            let now_ms = chrono::Utc::now().timestamp_millis();
            places.push(Box::new(InfluxPlace::new(target, client, input.stream.clone(), fields, now_ms)?));
        }
    }
    // Last: what an output refuses to delete is still here.
    if args.to == Destination::Store || lock.is_some() {
        places.push(Box::new(StorePlace::new(Store::open(store)?, input.stream.clone())?));
    }
    let limits = Limits { period: context::period(&args.period)?, counted_from_ms };
    let outcome = replay::replay(input, &mut places, mode, limits, &mut Bar::default())?;
    if lock.is_some() && outcome.rejected.is_empty() {
        mark_sent(config, outcome.parts)?;
    }
    drop(lock);
    Ok(outcome)
}

/// Replacing what `run` counted changes the store under it and what its outputs have: it must not run meanwhile, nothing
/// may be under way, and all outputs change together.
fn lock_drained(config: &Config, args: &ReplayArgs) -> anyhow::Result<RunLock> {
    let store = Store::open(&config.store.path)?;
    let lock = store.lock().context("--replace needs the daemon stopped")?;
    if args.to == Destination::Store && !config.outputs.is_empty() {
        return Err(Usage(
            "the store is the history of the configured outputs: to replace it there and here, use --to influxdb".into(),
        )
        .into());
    }
    if args.output.is_some() && config.outputs.len() > 1 {
        return Err(Usage(
            "the store is the history of all outputs: leave out --output, so that they stay the same".into(),
        )
        .into());
    }
    for output in Reader::open(&config.store.path)?.outputs()? {
        if output.unsent_parts > 0 {
            anyhow::bail!(
                "output {:?} lacks {} parts of the store: let `rgwlens run` send them first (see `rgwlens status`)",
                output.name,
                output.unsent_parts
            );
        }
    }
    Ok(lock)
}

/// The outputs got the parts that the store got: nothing is left to send, and another `--replace` need not wait for
/// `run`. Where the store has other new parts too (of a replay of another log), `run` sends all of them, which is
/// harmless.
fn mark_sent(config: &Config, parts: u64) -> anyhow::Result<()> {
    let reader = Reader::open(&config.store.path)?;
    let (_, seq) = reader.bounds()?;
    let configured = |name: &str| config.outputs.iter().any(|target| target.name == name);
    let sent = reader.outputs()?.into_iter().filter(|o| o.unsent_parts == parts && configured(&o.name));
    let sent: Vec<_> =
        sent.map(|output| (output.name, Acknowledgement { seq, ..Acknowledgement::default() })).collect();
    Ok(Store::open(&config.store.path)?.acknowledge(&sent)?)
}

/// Says on standard error what became of it.
fn summarise(outcome: &Outcome) -> anyhow::Result<()> {
    let totals = outcome.totals;
    let mut err = anstream::stderr().lock();
    writeln!(
        err,
        "{} lines: {} counted ({} of them late), {} rejected; {} parts written",
        totals.lines, totals.counted, totals.late, totals.rejected, outcome.parts
    )?;
    if totals.skipped > 0 {
        writeln!(err, "{} more lines are about no request", totals.skipped)?;
    }
    for run in &outcome.left_out {
        let what = match run.kind {
            WindowKind::Node => "node windows",
            WindowKind::Bucket => "bucket windows",
        };
        let (from, until) = (show(run.from_ms), show(run.until_ms));
        writeln!(err, "left out: {what} from {from} until {until}, {} lines: {}", run.lines, run.why)?;
    }
    for incident in &outcome.incidents {
        writeln!(err, "{incident}")?;
    }
    if outcome.expired > 0 {
        writeln!(err, "{} points are older than the output keeps", outcome.expired)?;
    }
    for (_, reason) in outcome.rejected.iter().take(10) {
        writeln!(err, "a point was refused: {reason}")?;
    }
    if outcome.rejected.len() > 10 {
        writeln!(err, "and {} more points", outcome.rejected.len() - 10)?;
    }
    Ok(())
}

fn show(time_ms: TimestampMs) -> String {
    DateTime::from_timestamp_millis(time_ms)
        .map_or_else(|| time_ms.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
