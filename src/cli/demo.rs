//! `rgwlens demo`.

use std::{
    io::{self, Write},
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{
    FAILED, OK,
    args::{DemoArgs, GlobalArgs},
    context,
    explain::visible,
    report,
};
use crate::{
    access_log::Class,
    config::LogLevel,
    demo::{Demo, Directory, Interrupted, SPEED},
    report::Options,
    stats::{Contents, Series, Table, Totals, WindowKind},
    store::{Payload, Range, Reader},
};

pub(super) fn run(global: &GlobalArgs, args: &DemoArgs) -> anyhow::Result<u8> {
    // Before there is anything to clean up.
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let directory = match &args.keep {
        Some(path) => Directory::kept(path).with_context(|| format!("cannot make {}", path.display()))?,
        None => Directory::temporary().context("cannot make a temporary directory; name one with --keep")?,
    };
    let demo = Demo::prepare(directory.path())?;
    let quiet = GlobalArgs { log_level: global.log_level.or(Some(LogLevel::Error)), ..global.clone() };
    context::start_log(&quiet, demo.config());

    let mut out = anstream::stdout().lock();
    writeln!(
        out,
        "{} requests that a real gateway answered, played {SPEED} times as fast into a log of nginx,\n\
         followed and counted as `rgwlens run` does it, moved to the last minutes:\n",
        demo.requests()
    )?;
    out.flush()?;
    let live = Live::new(demo.requests());
    let now_ms = chrono::Utc::now().timestamp_millis();
    let played = demo.play(now_ms, &interrupted, |totals| live.show(totals, demo.store()));
    live.end();
    let totals = match played {
        Err(error) if error.is::<Interrupted>() => return Ok(FAILED),
        played => played?,
    };
    let report = report::of_store(demo.store(), Range::ALL, report::Filter::default(), Options::default())?;
    write!(out, "{}", report::on_stdout(&report))?;
    writeln!(
        out,
        "\n{} lines = {} counted + {} rejected + {} expired, {} of them late",
        totals.lines, totals.counted, totals.rejected, totals.expired, totals.late
    )?;
    if args.keep.is_some() {
        what_is_left(&demo, directory.path(), &mut out)?;
    } else {
        writeln!(out, "\nYour own: rgwlens report /var/log/nginx/access.log*")?;
    }
    Ok(OK)
}

/// What to look at in a directory that is kept.
fn what_is_left(demo: &Demo, directory: &Path, out: &mut impl Write) -> io::Result<()> {
    let shown = |path: &Path| visible(&path.display().to_string());
    let config = shown(demo.config_file());
    writeln!(
        out,
        "\nLeft in {}. To look further:\n  \
         rgwlens --config {config} report\n  \
         rgwlens --config {config} status\n  \
         rgwlens --config {config} explain {}",
        shown(directory),
        shown(demo.log())
    )
}

/// A line that moves, where somebody watches.
struct Live(Option<ProgressBar>);

impl Live {
    fn new(requests: usize) -> Self {
        Self(context::is_watched().then(|| {
            let bar = ProgressBar::with_draw_target(Some(requests as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:20} {pos}/{len} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        }))
    }

    /// Counted so far, and of windows that have closed the latencies that matter most.
    fn show(&self, totals: Totals, store: &Path) {
        let Some(bar) = &self.0 else { return };
        if bar.position() == totals.lines && totals.lines < bar.length().unwrap_or_default() {
            return;
        }
        bar.set_position(totals.lines);
        // Only a glimpse: what cannot be read now is read at the end, where it is an error.
        if let Ok(classes) = by_class(store) {
            let glimpse = classes.iter().filter_map(|(class, series)| {
                let p99 = series.latency.quantile_ms(0.99)?;
                matches!(class, Class::Upload | Class::Download | Class::List | Class::Delete)
                    .then(|| format!("{} P99 {p99:.0} ms", class.name()))
            });
            bar.set_message(glimpse.collect::<Vec<_>>().join(", "));
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// All that the store has of each class, the busiest first.
fn by_class(store: &Path) -> anyhow::Result<Vec<(Class, Series)>> {
    let reader = Reader::open(store)?;
    let mut all = Contents::default();
    for part in reader.parts_in(Range::ALL) {
        if let Payload::Window(part) = part?.payload
            && part.id.kind == WindowKind::Node
        {
            all.merge(part.contents);
        }
    }
    let mut classes: Vec<(Class, Series)> = Vec::new();
    for series in all.series().filter(|series| series.key.table() == Some(Table::Node)) {
        let Some(class) = series.key.class() else { continue };
        // Small and large together: a glance, not an analysis.
        match classes.iter_mut().find(|(known, _)| *known == class) {
            Some((_, known)) => known.merge(&series),
            None => classes.push((class, series.owned())),
        }
    }
    classes.sort_by_key(|(_, series)| std::cmp::Reverse(series.requests()));
    Ok(classes)
}
