//! `rgwlens resend`.

use std::io::Write as _;

use anyhow::Context as _;
use chrono::{Local, Utc};

use super::{
    FAILED, OK,
    args::{GlobalArgs, PeriodArgs, ResendArgs},
    context,
};
use crate::{
    config::Config,
    influx::{Batch, Client, Target, sender::Sender},
    store::{Range, Reader},
};

/// Parts read at a time.
const PARTS: usize = 64;

pub(super) fn run(global: &GlobalArgs, args: &ResendArgs) -> anyhow::Result<u8> {
    let config = context::load(global)?;
    context::start_log(global, &config);
    let until = args.until.unwrap_or_else(|| super::TimeArg::Exact(Local::now().timestamp_millis()));
    let range = context::period(&PeriodArgs { since: Some(args.since), until: Some(until) })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut code = OK;
    for target in context::outputs(&config, args.output.as_deref())? {
        let (parts, points, refused) = runtime.block_on(resend(&config, target, range))?;
        writeln!(
            anstream::stderr(),
            "output {:?}: {parts} parts, {points} points sent, {refused} refused",
            target.name
        )?;
        if refused > 0 {
            code = FAILED;
        }
    }
    Ok(code)
}

/// Parts, points, and points refused.
async fn resend(config: &Config, target: &Target, range: Range) -> anyhow::Result<(u64, u64, u64)> {
    let reader = Reader::open(&config.store.path)?;
    let client = Client::new(target.clone()).with_context(|| format!("output {:?}", target.name))?;
    let mut sender = Sender::new(client);
    let mut batch = Batch::new(target, &config.settings.events.fields, Utc::now().timestamp_millis());
    let (mut parts, mut points, mut refused, mut seq) = (0, 0, 0, 0);
    loop {
        let page = reader.parts_in(range, seq, PARTS)?;
        let Some(last) = page.last() else { return Ok((parts, points, refused)) };
        seq = last.seq;
        parts += page.len() as u64;
        for part in &page {
            batch.add(part);
        }
        let report = sender.send(batch.lines()).await.with_context(|| {
            format!("output {:?} does not take points; resend is harmless to repeat", target.name)
        })?;
        points += report.written;
        refused += report.rejected.len() as u64;
        batch.clear();
    }
}
