//! The configuration itself.

use super::Finding;
use crate::config::{Config, ConfigError};

const SUBJECT: &str = "configuration";

pub(super) fn valid(config: &Config) -> Finding {
    let logs = match config.logs.len() {
        0 => "no log".to_owned(),
        1 => "1 log".to_owned(),
        logs => format!("{logs} logs"),
    };
    let where_from = match &config.file {
        Some(file) => format!("{} is valid", file.display()),
        None => format!("there is no {}: all is default", Config::DEFAULT_PATH),
    };
    Finding::ok(
        SUBJECT,
        format!("{where_from}; cluster {:?}, node {:?}, {logs}", config.cluster, config.node),
    )
}

/// What is wrong with a configuration that cannot be used: a finding for each problem.
pub fn unusable(error: &ConfigError) -> Vec<Finding> {
    let mend = match error {
        ConfigError::Read { .. } => "name a configuration with --config FILE, or see who may read this one",
        ConfigError::Syntax { .. } | ConfigError::Invalid { .. } => {
            "every key, with its range and default, is in rgwlens.toml as it was shipped"
        }
    };
    match error.problems() {
        [] => vec![Finding::fail(SUBJECT, error.to_string(), mend)],
        problems => {
            problems.iter().map(|problem| Finding::fail(SUBJECT, problem.to_string(), mend)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    #[test]
    fn every_problem_is_a_finding() {
        let error = Config::from_toml("log_level = \"loud\"\nnod = \"x\"").unwrap_err();
        let findings = unusable(&error);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings.iter().all(|finding| finding.level == Level::Fail && finding.mend.is_some()));
        assert!(findings[1].message.contains("did you mean node?"), "{findings:?}");
    }

    #[test]
    fn a_configuration_that_is_no_toml_is_one_finding() {
        let findings = unusable(&Config::from_toml("= 5").unwrap_err());
        assert_eq!(findings.len(), 1, "{findings:?}");
    }

    #[test]
    fn a_valid_one_says_what_it_is() {
        let config = Config::from_toml("cluster = \"c\"\nnode = \"n\"").unwrap();
        let finding = valid(&config);
        assert_eq!(finding.level, Level::Ok);
        assert!(finding.message.ends_with("cluster \"c\", node \"n\", 1 log"), "{finding:?}");
    }
}
