//! Whether Ceph answers, if it is to be asked.

use tokio::time::Instant;

use super::{Finding, runtime};
use crate::{
    ceph::{CommandError, Question, Runner, Settings, Snapshot},
    config::Config,
};

const SUBJECT: &str = "ceph";

/// Wrappers that become root, or make containers: the sandbox of `rgwlens.service` forbids both.
const PRIVILEGED: &[&str] =
    &["sudo", "cephadm", "podman", "docker", "su", "runuser", "doas", "pkexec", "nsenter"];

pub(super) fn check(config: &Config) -> Vec<Finding> {
    if !config.ceph.enabled {
        return Vec::new();
    }
    let settings = &config.ceph.settings;
    let mut findings = vec![asked(settings)];
    findings.extend(wrapper(settings));
    findings
}

/// Asks for the status, as whoever runs this check.
fn asked(settings: &Settings) -> Finding {
    let runtime = match runtime(SUBJECT) {
        Ok(runtime) => runtime,
        Err(finding) => return finding,
    };
    let words = settings.arguments(Question::Status.words());
    let answer = runtime.block_on(async {
        let deadline = Instant::now() + settings.timeout;
        Runner::default().run(&words, settings.max_output, deadline).await
    });
    let mut snapshot = Snapshot::default();
    let said = match answer {
        Ok(said) => said,
        Err(error) => return Finding::fail(SUBJECT, format!("`{}`: {error}", words.join(" ")), mend(&error)),
    };
    match (snapshot.take(Question::Status, &said), snapshot.status) {
        (Ok(()), Some(status)) => Finding::ok(SUBJECT, format!("answers: {}", status.health.status)),
        (Err(error), _) => Finding::fail(
            SUBJECT,
            format!("`{}`: {error}", words.join(" ")),
            "see that ceph.command prints nothing but what ceph says",
        ),
        (Ok(()), None) => Finding::fail(SUBJECT, "no status", "please report this"),
    }
}

fn mend(error: &CommandError) -> &'static str {
    match error {
        CommandError::Start { .. } => "apt-get install ceph-common, or name the program in ceph.command",
        CommandError::Timeout { .. } => {
            "see that the monitors can be reached from here (ceph -s); if they are slow, raise ceph.timeout"
        }
        _ => {
            "give it a key that may look, and nothing else (see ceph-conf/README.md):\n\
             ceph auth get-or-create client.rgwlens mon 'allow r' mgr 'allow r' > /etc/ceph/ceph.client.rgwlens.keyring\n\
             chgrp rgwlens /etc/ceph/ceph.client.rgwlens.keyring && chmod 640 /etc/ceph/ceph.client.rgwlens.keyring\n\
             and in the configuration: [ceph] name = \"client.rgwlens\""
        }
    }
}

/// What works for an operator in a shell and not in the daemon.
fn wrapper(settings: &Settings) -> Option<Finding> {
    let program = settings.command.first()?;
    let name = program.rsplit('/').next().unwrap_or(program);
    PRIVILEGED.contains(&name).then(|| {
        Finding::warn(
            SUBJECT,
            format!("{name} needs privileges that rgwlens.service does not have"),
            "run the collector in a service of its own: rgwlens-ceph.service (systemd/README.md)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    fn findings(command: &[&str]) -> Vec<Finding> {
        let command = command.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        check(&Config::from_toml(&format!("[ceph]\nenabled = true\ncommand = [{command}]")).unwrap())
    }

    #[test]
    fn it_is_asked_only_if_it_is_wanted() {
        assert_eq!(check(&Config::from_toml("").unwrap()), []);
        let fine = findings(&["sh", "-c", r#"echo '{"health":{"status":"HEALTH_OK"}}'"#]);
        assert_eq!(fine, [Finding::ok("ceph", "answers: HEALTH_OK")]);
    }

    #[test]
    fn what_is_wrong_comes_with_what_mends_it() {
        let check = |command: &[&str], said: &str, mend: &str| {
            let findings = findings(command);
            assert_eq!(findings[0].level, Level::Fail, "{findings:?}");
            assert!(findings[0].message.contains(said), "{findings:?}");
            assert!(findings[0].mend.as_ref().unwrap().contains(mend), "{findings:?}");
        };
        check(&["/nowhere/ceph"], "cannot start", "ceph-common");
        check(
            &["sh", "-c", "echo 'Error EACCES: access denied' >&2; exit 13"],
            "access denied",
            "auth get-or-create",
        );
        check(&["echo", "hello"], "not JSON", "ceph.command");
    }

    #[test]
    fn a_wrapper_that_becomes_root_has_a_service_of_its_own() {
        let found = findings(&["/usr/bin/sudo", "-n", "/nowhere/ceph"]);
        assert_eq!(found.len(), 2);
        assert!(
            found[1].level == Level::Warn && found[1].mend.as_ref().unwrap().contains("rgwlens-ceph.service")
        );
    }
}
