//! Whether a round of the probe could begin, if there is to be one.

use std::path::Path;

use super::{Finding, runtime, shell::quote};
use crate::{
    config::Config,
    probe::{Endpoint, Failure, FailureKind, Probe},
};

const SUBJECT: &str = "probe";

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let Some(settings) = config.probe.settings.clone().filter(|_| config.probe.enabled) else {
        return Vec::new();
    };
    let endpoints = settings.endpoints.clone();
    let probe = match Probe::new(settings) {
        Ok(probe) => probe,
        Err(error) => return vec![Finding::fail(SUBJECT, error.to_string(), TRUST)],
    };
    let runtime = match runtime(SUBJECT) {
        Ok(runtime) => runtime,
        Err(finding) => return vec![finding],
    };
    let answers = runtime.block_on(probe.answers());
    // A name that nobody resolves still blocks a thread.
    runtime.shutdown_background();
    endpoints.iter().zip(answers).map(|(endpoint, answer)| finding(endpoint, answer)).collect()
}

fn finding(endpoint: &Endpoint, answer: Result<(), Failure>) -> Finding {
    let subject = format!("{SUBJECT} {}", endpoint.name);
    match answer {
        Ok(()) => Finding::ok(&subject, "lists the buckets of the probe's user"),
        Err(failure) => Finding::fail(&subject, failure.to_string(), mend(endpoint, &failure)),
    }
}

const TRUST: &str =
    "ca_file = \"…\"   # in its [[probe.endpoint]]: the authorities that signed its certificate, PEM";

fn mend(endpoint: &Endpoint, failure: &Failure) -> String {
    match (failure.kind, failure.code.as_deref()) {
        (FailureKind::Setup, _) => {
            "give it keys that it may read: access_key_file and secret_key_file in [probe]".into()
        }
        (FailureKind::Dns, _) => {
            "connect = \"ADDRESS:PORT\"   # in its [[probe.endpoint]], if its name is not to be resolved here"
                .into()
        }
        (FailureKind::Tls, _) => TRUST.into(),
        (_, Some("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AccessDenied")) => {
            "# a user of its own, whose keys go into access_key_file and secret_key_file of [probe]:\n\
             radosgw-admin user create --uid=rgwlens-probe --display-name=rgwlens-probe"
                .into()
        }
        (_, Some("RequestTimeTooSkewed")) => {
            "timedatectl   # which clock is wrong, this one or the gateway's?".into()
        }
        _ => format!("curl -v {}   # does a gateway answer there?", quote(Path::new(&endpoint.url))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    const ENABLED: &str = "log = []\n[probe]\nenabled = true\naccess_key = 'a'\nsecret_key = 's'\n\
                           [[probe.endpoint]]\nname = 'vip'\nurl = 'http://127.0.0.1:1'\n";

    #[test]
    fn it_is_asked_only_if_it_is_wanted() {
        assert_eq!(check(&Config::from_toml("").unwrap()), []);
        let disabled = ENABLED.replace("log = []\n", "").replace("enabled = true", "enabled = false");
        assert_eq!(check(&Config::from_toml(&disabled).unwrap()), []);
    }

    #[test]
    fn an_endpoint_where_nobody_listens() {
        let findings = check(&Config::from_toml(ENABLED).unwrap());
        assert_eq!(findings.len(), 1);
        let Finding { subject, level, message, mend } = &findings[0];
        assert_eq!((subject.as_str(), *level), ("probe vip", Level::Fail));
        assert!(message.starts_with("refused: "), "{message}");
        assert!(mend.as_ref().unwrap().starts_with("curl -v http://127.0.0.1:1 "), "{mend:?}");
    }
}
