//! The outputs: each is asked whether it is there and lets us write.

use super::{Finding, Level};
use crate::{
    config::Config,
    influx::{
        Client, Target, check as influx,
        history::{History, Writer},
    },
    store::{Reader, instance_name},
};

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let targets = &config.outputs;
    if targets.is_empty() {
        let message = "none is configured: numbers are in the store, for rgwlens report";
        return vec![Finding::ok("outputs", message)];
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let mend = "ulimit -n   # are there file descriptors left?";
            return vec![Finding::fail("outputs", format!("nothing can be asked: {error}"), mend)];
        }
    };
    runtime.block_on(async {
        let writer = writer(config);
        let mut findings = Vec::new();
        for target in targets {
            findings.extend(check_one(target, writer.as_ref()).await);
        }
        findings
    })
}

/// Who we are, if there is a store: without one nobody writes from here yet.
fn writer(config: &Config) -> Option<Writer> {
    let instance = Reader::open(&config.store.path).and_then(|reader| reader.instance()).ok()?;
    let (cluster, node) = (config.cluster.clone(), config.node.clone());
    Some(Writer { cluster, node, instance: instance_name(instance) })
}

async fn check_one(target: &Target, writer: Option<&Writer>) -> Vec<Finding> {
    let subject = format!("output {}", target.name);
    let client = match Client::new(target.clone()) {
        Ok(client) => client,
        Err(error) => {
            return vec![Finding::fail(
                &subject,
                error.to_string(),
                "mend its [[output]] in the configuration",
            )];
        }
    };
    let found = influx::check(&client).await;
    let mut findings: Vec<Finding> = found
        .into_iter()
        .map(|finding| match finding.result {
            Ok(message) => Finding::ok(&subject, message),
            Err(problem) => Finding::fail(&subject, problem.why, problem.mend),
        })
        .collect();
    let reachable = findings.iter().all(|finding| finding.level == Level::Ok);
    if let Some(writer) = writer.filter(|_| reachable) {
        findings.extend(other(&client, writer, &subject).await);
    }
    findings
}

/// A server that cannot be asked may be as it should be.
async fn other(client: &Client, writer: &Writer, subject: &str) -> Option<Finding> {
    let now_ms = chrono::Utc::now().timestamp_millis();
    let other = History::new(client).other_writer(writer, now_ms).await.ok()??;
    let mend = format!(
        "node = \"…\"   # not {:?} on both hosts\n# nothing, if the store here was made anew within these ten minutes",
        writer.node
    );
    Some(Finding::warn(subject, other.describe(writer), mend))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_fine() {
        assert_eq!(check(&Config::from_toml("node = \"n\"").unwrap())[0].level, Level::Ok);
    }

    #[test]
    fn one_that_is_not_there() {
        // A port that was ours a moment ago, and that nobody listens on.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let toml = format!(
            "node = \"n\"\n[store]\npath = \"/nowhere/s.db\"\n[[output]]\nkind = \"influxdb1\"\nurl = \"http://127.0.0.1:{port}\""
        );
        let findings = check(&Config::from_toml(&toml).unwrap());
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].level, findings[0].subject.as_str()), (Level::Fail, "output influxdb"));
        assert!(findings[0].mend.is_some());
    }
}
