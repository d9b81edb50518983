//! `rgwlens ceph`: one round.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use tokio::time::Instant;

use super::{
    FAILED, OK,
    args::{CephArgs, GlobalArgs},
    context,
    explain::visible,
    report::render_ceph,
    table::{Page, Style},
};
use crate::{
    ceph::{Collector, Outcome, Question},
    config::Config,
    influx::line_protocol::{Dialect, Encoder},
    point::{Field, Point, Tags},
    report::CephBuilder,
};

pub(super) fn run(global: &GlobalArgs, args: CephArgs) -> anyhow::Result<u8> {
    let config = context::load(global)?;
    context::start_log(global, &config);
    let outcome = ask(&config)?;
    let mut errors = anstream::stderr().lock();
    for asked in &outcome.asked {
        if let Err(failure) = &asked.answer {
            writeln!(errors, "rgwlens: ceph {}: {}", asked.question.name(), visible(&failure.to_string()))?;
        }
    }
    if outcome.asked.iter().any(|asked| asked.answer.is_err()) {
        writeln!(errors, "rgwlens: `rgwlens check` says how to mend it, where [ceph] is enabled")?;
    }
    drop(errors);
    let text = match args {
        CephArgs { table: true, .. } => page(&config, &outcome),
        CephArgs { json: true, .. } => as_json(&config, &outcome)?,
        CephArgs { .. } => lines(&config, &outcome),
    };
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(if outcome.is_answered() { OK } else { FAILED })
}

/// One round, now: each command may take its whole time.
fn ask(config: &Config) -> io::Result<Outcome> {
    let settings = config.ceph.settings.clone();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let patience = (settings.timeout * 2) * Question::ALL.len() as u32;
    let mut collector = Collector::new(settings, &*config.node);
    Ok(runtime.block_on(async { collector.round(time, Instant::now() + patience, 0).await }))
}

fn lines(config: &Config, outcome: &Outcome) -> String {
    let mut encoder = Encoder::new(Dialect::INFLUXDB);
    encoder.set_tags(&config.cluster_tags());
    outcome.points.iter().for_each(|point| point.write(&Tags::default(), &mut encoder));
    String::from_utf8_lossy(encoder.lines()).into_owned()
}

fn page(config: &Config, outcome: &Outcome) -> String {
    let mut builder = CephBuilder::default();
    outcome.points.iter().for_each(|point| builder.add(point, &config.cluster_tags()));
    let mut page = Page::new(&Style::of_stdout());
    builder.finish().iter().for_each(|cluster| render_ceph(&mut page, cluster));
    let classes = outcome.classes_without_figure(&config.ceph.settings);
    for (class, osds) in classes {
        page.note(&format!(
            "{osds} OSDs of class {} have no bound on IOPS: [ceph.iops] has no figure for it.",
            super::table::plain(&class)
        ));
    }
    page.finish()
}

fn as_json(config: &Config, outcome: &Outcome) -> anyhow::Result<String> {
    let asked = outcome.asked.iter().map(|asked| {
        json!({
            "command": asked.question.name(),
            "ok": asked.answer.is_ok(),
            "seconds": asked.took.as_secs_f64(),
            "error": asked.answer.as_ref().err().map(ToString::to_string),
        })
    });
    let all = json!({
        "tags": config.cluster_tags().iter().collect::<BTreeMap<_, _>>(),
        "asked": asked.collect::<Vec<_>>(),
        "points": outcome.points.iter().map(point).collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

fn point(point: &Point) -> serde_json::Value {
    let value = |field: &Field| match field {
        Field::Integer(number) => json!(number),
        Field::Float(number) => json!(number),
        Field::Boolean(truth) => json!(truth),
        Field::Text(text) => json!(text),
    };
    json!({
        "measurement": point.measurement,
        "tags": point.tags.iter().collect::<BTreeMap<_, _>>(),
        "fields": point.fields.iter().map(|(name, field)| (name, value(field))).collect::<BTreeMap<_, _>>(),
        "time_ns": point.time,
    })
}
