//! `rgwlens quarantine`: points that a server refused.

use std::{collections::HashMap, io::Write as _, path::Path};

use anyhow::Context as _;
use serde::Serialize;

use super::{
    FAILED, OK,
    args::{GlobalArgs, QuarantineAction, QuarantineArgs, QuarantineWhich},
    context, json,
    table::{Page, Style, count},
};
use crate::{
    config::Config,
    influx::{
        Client, Target,
        sender::{PATIENCE, Sender},
    },
    store::{Quarantined, Reader, Store, Which},
};

/// Points sent again at a time.
const PAGE: usize = 500;

/// The most that is shown of a line, characters: its beginning, where the series is, and its end, where the time is.
const SHOWN: (usize, usize) = (220, 40);

pub(super) fn run(global: &GlobalArgs, args: &QuarantineArgs) -> anyhow::Result<u8> {
    let config = context::load(global)?;
    context::start_log(global, &config);
    // Only to look: what is not there is not made.
    let reader = Reader::open(&config.store.path)?;
    match &args.action {
        QuarantineAction::List { which, limit } => list(&reader, which, *limit),
        QuarantineAction::Resend { which } => resend(&config, &reader, which),
        QuarantineAction::Drop { which, .. } => drop_points(&config.store.path, which),
    }
}

impl From<&QuarantineWhich> for Which {
    fn from(which: &QuarantineWhich) -> Self {
        Self { output: which.output.clone(), ids: which.ids.clone() }
    }
}

/// What is in quarantine. Its JSON is this.
#[derive(Debug, Serialize)]
struct Listed {
    /// How many there are, also those that are not shown.
    total: u64,
    points: Vec<Quarantined>,
}

fn list(reader: &Reader, which: &QuarantineWhich, limit: usize) -> anyhow::Result<u8> {
    let meant = which.into();
    let listed =
        Listed { total: reader.count_quarantined(&meant)?, points: reader.quarantined(&meant, 0, limit)? };
    let text = if which.json { json::pretty(&listed)? } else { render(&listed, &Style::of_stdout()) };
    write_out(&text)
}

fn render(listed: &Listed, style: &Style) -> String {
    let mut page = Page::new(style);
    if listed.total == 0 {
        page.paragraph("No point is in quarantine.");
        return page.finish();
    }
    for point in &listed.points {
        page.heading(&format!("{} of output {}", point.id, point.output), "");
        page.warning(&cut(&point.reason));
        page.note(&cut(&point.line));
    }
    page.heading(&format!("{} of {} shown", listed.points.len(), count(listed.total)), "");
    page.paragraph(
        "`rgwlens quarantine resend` once it is mended, `rgwlens quarantine drop` to forget them.",
    );
    page.finish()
}

/// Its beginning and its end, if it is long.
fn cut(text: &str) -> String {
    let (head, tail) = SHOWN;
    let length = text.chars().count();
    if length <= head + tail {
        return text.to_owned();
    }
    let begin: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{begin}…{end}")
}

fn drop_points(store: &Path, which: &QuarantineWhich) -> anyhow::Result<u8> {
    let dropped = Store::open(store)?.release(&which.into())?;
    write_out(&if which.json {
        format!("{}\n", serde_json::json!({ "dropped": dropped }))
    } else {
        format!("{} points dropped\n", count(dropped as u64))
    })
}

/// What became of an output's points.
#[derive(Debug, Default, Serialize)]
struct Resent {
    output: String,
    /// They are written, and out of the quarantine.
    accepted: u64,
    /// Older than the server keeps by now: out of the quarantine as well.
    expired: u64,
    /// They stay, with the reason the server gave now.
    refused: u64,
}

fn resend(config: &Config, reader: &Reader, which: &QuarantineWhich) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut store = Store::open(&config.store.path)?;
    let mut all = Vec::new();
    for target in context::outputs(config, which.output.as_deref())? {
        let meant = Which { output: Some(target.name.clone()), ids: which.ids.clone() };
        if reader.count_quarantined(&meant)? > 0 {
            all.push(runtime.block_on(resend_to(target, reader, &mut store, &meant))?);
        }
    }
    let refused: u64 = all.iter().map(|resent| resent.refused).sum();
    write_out(&if which.json {
        json::pretty(&all)?
    } else if all.is_empty() {
        "no such point is in quarantine\n".to_owned()
    } else {
        all.iter().map(said).collect()
    })?;
    Ok(if refused > 0 { FAILED } else { OK })
}

fn said(resent: &Resent) -> String {
    let Resent { output, accepted, expired, refused } = resent;
    let mut page = Page::new(&Style::default());
    page.paragraph(&format!(
        "output {output:?}: {} accepted, {} older than it keeps, {} refused again",
        count(*accepted),
        count(*expired),
        count(*refused)
    ));
    page.finish()
}

async fn resend_to(
    target: &Target,
    reader: &Reader,
    store: &mut Store,
    which: &Which,
) -> anyhow::Result<Resent> {
    let client = Client::new(target.clone()).with_context(|| format!("output {:?}", target.name))?;
    let mut sender = Sender::new(client);
    let mut resent = Resent { output: target.name.clone(), ..Resent::default() };
    let mut after = 0;
    loop {
        let page = reader.quarantined(which, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(resent) };
        after = last.id;
        let mut lines = String::new();
        for point in &page {
            lines.push_str(&point.line);
            lines.push('\n');
        }
        let report = sender.send_patiently(lines.as_bytes(), PATIENCE).await.with_context(|| {
            format!(
                "output {:?} does not take points; what it has not taken stays in quarantine",
                target.name
            )
        })?;
        let reasons: HashMap<Vec<u8>, String> =
            report.rejected.into_iter().map(|rejected| (rejected.line, rejected.reason)).collect();
        let (mut out, mut stay) = (Vec::new(), Vec::new());
        for point in &page {
            match reasons.get(point.line.as_bytes()) {
                Some(reason) => stay.push((point.id, reason.clone())),
                None => out.push(point.id),
            }
        }
        resent.expired += report.expired;
        resent.accepted += report.written;
        resent.refused += stay.len() as u64;
        store.settle(&out, &stay)?;
    }
}

fn write_out(text: &str) -> anyhow::Result<u8> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { colour: false, width: Some(80) };

    #[test]
    fn what_is_listed_is_short_and_nothing_that_a_terminal_obeys() {
        let point = |id, line: String| Quarantined {
            id,
            output: "main".into(),
            reason: "field type conflict: \u{1b}[2J".into(),
            line,
        };
        let long =
            format!("rgw_node,class=\u{7}upload histogram=\"{}\" 1700000000000000000", "x".repeat(9_000));
        let listed = Listed { total: 12_345, points: vec![point(7, long), point(8, "m x=1i 5".into())] };
        let text = render(&listed, &PLAIN);
        assert!(text.len() < 1_000, "{text}");
        for expected in
            ["7 of output main", "field type conflict", "1700000000000000000", "m x=1i 5", "12,345"]
        {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert_eq!(text.chars().find(|c| c.is_control() && *c != '\n'), None);
        assert!(render(&Listed { total: 0, points: Vec::new() }, &PLAIN).contains("No point"));
    }
}
