//! `rgwlens probe`: one round at every endpoint, printed.

use std::io::{self, Write as _};

use anyhow::Context as _;
use chrono::Utc;
use serde_json::{Value as Json, json};

use super::{
    FAILED, OK, Usage,
    args::{GlobalArgs, ProbeArgs},
    context,
};
use crate::{
    influx::line_protocol::{Dialect, Encoder},
    point::Tags,
    probe::{Observation, Phases, Probe, Round, points},
};

pub(super) fn run(global: &GlobalArgs, args: &ProbeArgs) -> anyhow::Result<u8> {
    let config = context::load(global)?;
    context::start_log(global, &config);
    let Some(settings) = config.probe.settings.clone() else {
        let missing = "there is nothing to probe: the configuration has no [[probe.endpoint]], and the environment no \
                       CLUSTER_ENDPOINT";
        return Err(Usage(missing.into()).into());
    };
    let probe = Probe::new(settings)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start tokio")?;
    let time = Utc::now().timestamp_nanos_opt().unwrap_or_default();
    let rounds = runtime.block_on(probe.rounds());
    // A name that nobody resolves still blocks a thread.
    runtime.shutdown_background();
    let text = if args.json {
        let rounds: Vec<Json> = rounds.iter().map(as_json).collect();
        format!("{}\n", serde_json::to_string_pretty(&rounds)?).into_bytes()
    } else {
        let mut encoder = Encoder::new(Dialect::INFLUXDB);
        encoder.set_tags(&config.node_tags());
        for point in rounds.iter().flat_map(|round| points(round, time)) {
            point.write(&Tags::default(), &mut encoder);
        }
        encoder.lines().to_vec()
    };
    io::stdout().write_all(&text)?;
    for round in &rounds {
        say(round)?;
    }
    Ok(if rounds.iter().all(Round::is_ok) { OK } else { FAILED })
}

/// What somebody should look at.
fn say(round: &Round) -> io::Result<()> {
    let mut to = anstream::stderr();
    for observation in &round.observations {
        if let Some(failure) = &observation.failure {
            let request =
                observation.request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
            writeln!(to, "{}: {} failed: {failure}{request}", round.endpoint, observation.task.name())?;
        }
    }
    for (task, _) in &round.skipped {
        writeln!(to, "{}: {} was not tried", round.endpoint, task.name())?;
    }
    round.notes.iter().try_for_each(|note| writeln!(to, "{}: {note}", round.endpoint))
}

fn as_json(round: &Round) -> Json {
    let skipped: Vec<Json> =
        round.skipped.iter().map(|(task, size)| json!({ "task": task.name(), "size": size })).collect();
    json!({
        "endpoint": round.endpoint,
        "round": round.id,
        "ok": round.is_ok(),
        "tasks": round.observations.iter().map(task_as_json).collect::<Vec<_>>(),
        "skipped": skipped,
        "removed": round.removed,
        "notes": round.notes,
    })
}

fn task_as_json(observation: &Observation) -> Json {
    let phases = observation.phases.all().map(|phase| phase.map(|took| took.as_secs_f64() * 1000.0));
    let phases: serde_json::Map<String, Json> = Phases::NAMES
        .iter()
        .zip(phases)
        .filter_map(|(name, ms)| Some((format!("{name}_ms"), json!(ms?))))
        .collect();
    json!({
        "task": observation.task.name(),
        "size": observation.size,
        "outcome": observation.outcome(),
        "duration_ms": observation.duration.as_secs_f64() * 1000.0,
        "phases": phases,
        "requests": observation.requests,
        "status": observation.status,
        "request_id": observation.request_id,
        "s3_code": observation.failure.as_ref().and_then(|failure| failure.code.clone()),
        "failure": observation.failure.as_ref().map(|failure| failure.detail.clone()),
    })
}
