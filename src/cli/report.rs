//! `rgwlens report`: what the gateways did, on one page.

mod ceph;
mod files;
mod page;
mod stored;

pub(super) use stored::Filter;

use std::{io::Write as _, path::Path};

use super::{
    OK,
    args::{GlobalArgs, ReportArgs},
    context, json,
    table::Style,
};
use crate::{
    report::{Options, Report},
    store::{Range, Reader},
};

pub(super) fn run(global: &GlobalArgs, args: &ReportArgs) -> anyhow::Result<u8> {
    let config = context::load(global)?;
    context::start_log(global, &config);
    let range = context::period(&args.period)?;
    let options = Options { top: args.top, ..Options::default() };
    let report = if args.files.is_empty() {
        let filter = Filter { log: args.log.as_deref(), node: args.node.as_deref() };
        of_store(&config.store.path, range, filter, options)?
    } else {
        files::from_files(&config, args, range, options)?
    };
    // A text first: an error of serde_json would hide a pipe that nobody reads any more.
    let text = if args.json { json::pretty(&report)? } else { on_stdout(&report) };
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(OK)
}

pub(super) use ceph::render as render_ceph;

/// What a store has of a range of time.
pub(super) fn of_store(
    store: &Path,
    range: Range,
    filter: Filter<'_>,
    options: Options,
) -> anyhow::Result<Report> {
    let reader = Reader::open(store)?;
    Ok(stored::from_store(&reader, range, filter, options)?)
}

/// The page, as standard output can show it.
pub(super) fn on_stdout(report: &Report) -> String {
    page::render(report, &Style::of_stdout())
}
