//! The outputs: each is asked whether it is there and lets us write.

use super::Finding;
use crate::influx::{Client, Target, check as influx};

pub(super) fn check(targets: &[Target]) -> Vec<Finding> {
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
        let mut findings = Vec::new();
        for target in targets {
            findings.extend(check_one(target).await);
        }
        findings
    })
}

async fn check_one(target: &Target) -> Vec<Finding> {
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
    found
        .into_iter()
        .map(|finding| match finding.result {
            Ok(message) => Finding::ok(&subject, message),
            Err(problem) => Finding::fail(&subject, problem.why, problem.mend),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::Level, config::Config};

    #[test]
    fn none_is_fine() {
        assert_eq!(check(&[])[0].level, Level::Ok);
    }

    #[test]
    fn one_that_is_not_there() {
        // A port that was ours a moment ago, and that nobody listens on.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let toml =
            format!("node = \"n\"\n[[output]]\nkind = \"influxdb1\"\nurl = \"http://127.0.0.1:{port}\"");
        let findings = check(&Config::from_toml(&toml).unwrap().outputs);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].level, findings[0].subject.as_str()), (Level::Fail, "output influxdb"));
        assert!(findings[0].mend.is_some());
    }
}
