//! `rgwlens report`: what the gateways did, on one page.

mod files;
mod page;
mod stored;

use std::io::Write as _;

use super::{
    OK,
    args::{GlobalArgs, ReportArgs},
    context,
    table::Style,
};
use crate::{report::Options, store::Reader};

pub(super) fn run(global: &GlobalArgs, args: &ReportArgs) -> anyhow::Result<u8> {
    let config = context::load(global)?;
    context::start_log(global, &config);
    let range = context::period(&args.period)?;
    let options = Options { top: args.top, ..Options::default() };
    let report = if args.files.is_empty() {
        let reader = Reader::open(&config.store.path)?;
        stored::from_store(&reader, range, stored::Filter::default(), options)?
    } else {
        files::from_files(&config, args, range, options)?
    };
    let mut out = anstream::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", page::render(&report, &Style::of_stdout()))?;
    }
    out.flush()?;
    Ok(OK)
}
