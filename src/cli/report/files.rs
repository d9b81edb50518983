//! A report of log files, without a daemon or a store.

use crate::{
    cli::{args::ReportArgs, context, progress::Bar},
    config::Config,
    point::Tags,
    replay::{self, Input, Outcome, Parts, ReplayError},
    report::{Builder, Options, Report},
    stats::Part,
    store::{Range, Stream},
};

/// Reads the files to their end.
pub(super) fn from_files(
    config: &Config,
    args: &ReportArgs,
    range: Range,
    options: Options,
) -> anyhow::Result<Report> {
    let log = context::log_of(config, args.log.as_deref());
    let name = args.log.as_deref().or_else(|| log.map(|log| log.name.as_str())).unwrap_or("access");
    let node = args.node.as_deref().unwrap_or(&config.node);
    let own = [("cluster", config.cluster.as_str()), ("node", node), ("log", name)];
    let tags = Tags::new(config.tags.iter().chain(own));
    let input = Input {
        files: args.files.clone(),
        format: context::format(&args.format, log)?,
        classifier: context::classifier_for_a_look(&args.format, config),
        settings: log.map_or_else(|| config.settings.clone(), |log| config.settings_of(log)),
        stream: Stream { name: name.to_owned(), tags: tags.clone() },
        max_line: log.map_or(1 << 20, |log| log.max_line),
        jobs: context::jobs(args.jobs),
    };
    let mut place = Adding { builder: Builder::new(options), tags, range };
    let outcome = replay::read_all(&input, &mut place, &mut Bar::default())?;
    let totals = outcome.totals;
    let lines = totals.lines + totals.skipped;
    if lines > 0 && totals.counted == 0 {
        return Err(ReplayError::NothingFits { lines }.into());
    }
    for incident in &outcome.incidents {
        tracing::warn!("{incident}");
    }
    Ok(place.builder.finish())
}

/// Where parts are added up, and nothing else is done with them.
struct Adding {
    builder: Builder,
    tags: Tags,
    range: Range,
}

impl Parts for Adding {
    fn write(&mut self, parts: &mut Vec<Part>) -> Result<(), ReplayError> {
        for part in
            parts.iter().filter(|part| (self.range.from_ms..self.range.until_ms).contains(&part.id.start_ms))
        {
            self.builder.add(part, &self.tags);
        }
        Ok(())
    }

    fn finish(&mut self, _outcome: &mut Outcome) -> Result<(), ReplayError> {
        Ok(())
    }
}
