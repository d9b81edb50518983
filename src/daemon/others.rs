//! Whether another rgwlens writes as this node: two hosts with one name overwrite each other's points, silently.
//!
//! The servers are asked, beside the delivery and never in its way. One that does not answer is asked again later: this is
//! advice, and nothing depends on it.

use std::{sync::Arc, time::Duration};

use tracing::{debug, info, warn};

use super::shared::{Shared, now_ms};
use crate::{
    config::Config,
    influx::{
        Client, Target,
        history::{History, RECENT, Writer},
    },
    store::instance_name,
};

/// Between two questions.
const EVERY: Duration = Duration::from_secs(3600);

/// Between two questions while there is another one, or no answer.
const SOON: Duration = RECENT;

/// Asks one output until the daemon stops.
pub(super) async fn watch(client: Client, writer: Writer, shared: Arc<Shared>) {
    let mut stop = shared.watch_stop();
    let output = client.target().name.clone();
    let mut known = false;
    loop {
        let wait = match History::new(&client).other_writer(&writer, now_ms()).await {
            Ok(Some(other)) => {
                let other = other.describe(&writer);
                warn!(%output, "{other}; give each host a `node` of its own");
                shared.set_other(&output, other);
                known = true;
                SOON
            }
            Ok(None) => {
                if std::mem::take(&mut known) {
                    info!(%output, "no other rgwlens writes as this node any more");
                }
                shared.set_other(&output, String::new());
                EVERY
            }
            Err(error) => {
                debug!(%output, "cannot ask whether another rgwlens writes as this node: {error}");
                SOON
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Who writes to this target, if it can be asked for others; with a connection of its own.
pub(super) fn of(target: &Target, config: &Config, shared: &Shared) -> Option<(Client, Writer)> {
    // It has no texts, so it does not know who writes.
    let client = target.kind.has_texts().then(|| Client::new(target.clone()).ok())??;
    let instance = instance_name(shared.store().instance());
    Some((client, Writer { cluster: config.cluster.clone(), node: config.node.clone(), instance }))
}
