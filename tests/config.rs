//! Configurations as an operator writes them: what is refused, and what is made of those that are not.
#![cfg(feature = "cli")]

use proptest::prelude::*;
use rgwlens::{
    access_log::Release,
    config::{Config, ConfigError, LogLevel, StartAt},
    influx::{Kind, Secret},
};
use std::{
    ffi::OsString,
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// A file with this mode, whatever the umask.
fn file_with_mode(directory: &Path, text: &str, mode: u32) -> PathBuf {
    let path = directory.join(format!("{mode:o}.toml"));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// Each file of the corpus says in its first lines, after `#! `, exactly what has to be said about it.
#[test]
fn bad_configurations_are_refused_with_all_their_problems() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-config");
    let mut seen = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let mut expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#! ")).collect();
        let problems = match Config::from_toml(&text) {
            Ok(_) => panic!("{} was accepted", path.display()),
            Err(ConfigError::Invalid { problems, .. }) => problems,
            Err(other) => panic!("{}: {other}", path.display()),
        };
        let mut said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        expected.sort_unstable();
        said.sort_unstable();
        assert_eq!(said.join("\n"), expected.join("\n"), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 10, "the corpus has only {seen} files");
}

#[test]
fn nothing_is_everything_at_its_default() {
    let config = Config::from_toml("").unwrap();
    assert_eq!(config.cluster, "ceph");
    assert!(!config.node.is_empty() && !config.node.contains('.') && !config.node_configured);
    assert_eq!(config.log_level, LogLevel::Info);
    assert_eq!(config.store.path, Path::new("/var/lib/rgwlens/rgwlens.db"));
    assert_eq!(config.store.keep, Duration::from_secs(30 * 86_400));
    assert_eq!(config.settings, rgwlens::stats::Settings::default());
    assert_eq!(config.outputs, []);
    let [log] = &config.logs[..] else { panic!("{:?}", config.logs) };
    assert_eq!((&*log.name, &*log.path), ("access", Path::new("/var/log/nginx/access.log")));
    assert_eq!((log.start_at, log.lateness), (StartAt::End, Duration::from_secs(15)));
}

#[test]
fn everything_at_once() {
    let config = Config::from_toml(
        r#"
        cluster = "prod"
        node = "gw1"
        log_level = "debug"
        [tags]
        site = "berlin"
        rack = 5
        [store]
        path = "/srv/rgwlens.db"
        keep = "1h30m"
        max_bytes = 33554432
        [[log]]
        flush = "10s"
        format = '''log_format x '$remote_addr';'''
        start_at = "beginning"
        [[log]]
        name = "internal"
        path = "/var/log/nginx/internal.log"
        lateness = 3
        sync_source = false
        [rgw]
        dns_names = ["S3.Example.com."]
        release = "pacific"
        swift_prefix = "/"
        [health]
        root = false
        addresses = "2001:DB8::0:1"
        user_agents = ["^HAProxy"]
        [windows]
        node = "5s"
        bucket = "1m"
        [slow]
        small = "512KiB"
        [events]
        sample = 1
        fields = ["bucket", "status"]
        [[output]]
        kind = "influxdb1"
        url = "https://influx.example.com/influx/"
        user = "me"
        password = "hunter2"
        retention = "90d"
        [[output]]
        name = "second"
        kind = "influxdb2"
        url = "http://10.0.0.1:8086"
        allow_insecure = true
        org = "o"
        bucket = "b"
        required = false
        "#,
    )
    .unwrap();
    assert_eq!(config.store.keep, Duration::from_secs(5_400));
    assert_eq!(config.store.max_bytes, 32 << 20);
    // Three times the flush, unless it says otherwise itself.
    assert_eq!(config.logs[0].lateness, Duration::from_secs(30));
    assert_eq!(config.logs[1].lateness, Duration::from_secs(3));
    assert_eq!(config.settings_of(&config.logs[1]).windows.lateness_ms, 3_000);
    assert_eq!(config.settings.windows.lateness_ms, 15_000);
    assert_eq!((config.settings.windows.node_ms, config.settings.windows.bucket_ms), (5_000, 60_000));
    assert_eq!(config.classifier.dns_names, ["s3.example.com"]);
    assert_eq!(config.classifier.release, Release::Pacific);
    assert_eq!(config.classifier.health.addresses, ["2001:db8::1"]);
    assert!(config.classifier.health.user_agents[0].is_match(b"HAProxy/2.6"));
    assert_eq!(config.settings.slow.small_bytes, 512 << 10);
    let tags: Vec<_> = config.tags_of(&config.logs[1]).iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(tags, ["cluster=prod", "log=internal", "node=gw1", "rack=5", "site=berlin"]);
    assert_eq!(config.node_tags().get("log"), None);
    assert_eq!(config.outputs[0].url, "https://influx.example.com/influx");
    assert_eq!(
        config.outputs[0].kind,
        Kind::Influx1 {
            database: "rgwlens".into(),
            retention_policy: None,
            login: Some(("me".into(), Secret::Value("hunter2".into()))),
        }
    );
    assert_eq!(config.outputs[1].kind, Kind::Influx2 { org: "o".into(), bucket: "b".into(), token: None });
    assert!(!config.outputs[1].required);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn lateness_of_a_short_flush_is_the_general_one() {
    let lateness = |text: &str| Config::from_toml(text).unwrap().logs[0].lateness.as_secs();
    assert_eq!(lateness("[[log]]\nflush = \"1s\""), 15);
    assert_eq!(lateness("[[log]]\nflush = \"1h\""), 3_600);
    assert_eq!(lateness("windows.lateness = \"2s\""), 2);
    assert_eq!(lateness("windows.lateness = \"2s\"\n[[log]]\nflush = \"1s\""), 3);
}

#[test]
fn the_environment_wins() {
    let directory = tempfile::tempdir().unwrap();
    let text = "cluster = \"a\"\n[[output]]\nkind = \"influxdb1\"\nurl = \"http://localhost:1\"";
    let path = file_with_mode(directory.path(), text, 0o644);
    let variables = environment(&[
        ("RGWLENS_CLUSTER", "b"),
        ("RGWLENS_NODE", "5"),
        ("RGWLENS_STORE__PATH", "/tmp/x.db"),
        ("RGWLENS_LOG__0__SYNC_SOURCE", "false"),
        ("RGWLENS_RGW__DNS_NAMES", "a.example, b.example"),
        ("RGWLENS_EVENTS__SAMPLE", "0.5"),
        ("RGWLENS_EVENTS__SLOW", "7"),
        ("RGWLENS_OUTPUT__0__URL", "http://localhost:2"),
        ("RGWLENS_OUTPUT__0__USER", "me"),
        ("RGWLENS_OUTPUT__0__PASSWORD", "hunter2"),
        ("RGWLENS_SERVICE_HOST", "10.0.0.1"),
        ("HOME", "/root"),
    ]);
    let config = Config::load_with(Some(&path), variables).unwrap();
    assert_eq!((&*config.cluster, &*config.node), ("b", "5"));
    assert_eq!(config.store.path, Path::new("/tmp/x.db"));
    assert!(!config.logs[0].sync_source);
    assert_eq!(config.logs[0].name, "access");
    assert_eq!(config.classifier.dns_names, ["a.example", "b.example"]);
    assert_eq!((config.settings.events.sample, config.settings.events.slow), (0.5, 7));
    assert_eq!(config.outputs[0].url, "http://localhost:2");
    let Kind::Influx1 { login: Some((user, _)), .. } = &config.outputs[0].kind else { panic!("{config:?}") };
    assert_eq!(user, "me");
    assert_eq!(config.file, Some(path));
}

#[test]
fn a_bad_variable_is_named() {
    let variables = environment(&[
        ("RGWLENS_STROE__PATH", "/x"),
        ("RGWLENS_STORE__KEEP", "soon"),
        ("RGWLENS_OUTPUT__7__URL", "http://localhost"),
    ]);
    let error = Config::load_with(None, variables).unwrap_err().to_string();
    for said in [
        "stroe (from the environment variable RGWLENS_STROE__PATH): unknown key; did you mean store?",
        "store.keep = \"soon\" (from the environment variable RGWLENS_STORE__KEEP): must be a duration such as",
        "output[0]: must be a section",
    ] {
        assert!(error.contains(said), "{said:?} is not in: {error}");
    }
}

#[test]
fn secrets_only_in_files_that_nobody_else_can_read() {
    let directory = tempfile::tempdir().unwrap();
    let text = "[[output]]\nkind = \"influxdb2\"\nurl = \"https://h\"\ntoken = \"hunter2\"\n";
    for mode in [0o644, 0o640, 0o604, 0o660] {
        let error = Config::load_with(Some(&file_with_mode(directory.path(), text, mode)), []).unwrap_err();
        let [problem] = error.problems() else { panic!("{mode:o}: {error}") };
        assert_eq!((&*problem.key, problem.value.as_deref()), ("output[0].token", Some("[redacted]")));
        assert!(problem.message.contains("chmod 600") && problem.message.contains("token_file"), "{problem}");
    }
    for mode in [0o600, 0o400] {
        assert!(
            Config::load_with(Some(&file_with_mode(directory.path(), text, mode)), []).is_ok(),
            "{mode:o}"
        );
    }
}

#[test]
fn credentials_are_where_systemd_puts_them() {
    let directory = tempfile::tempdir().unwrap();
    let text = "[[output]]\nkind = \"influxdb2\"\nurl = \"https://h\"\ntoken_file = \"${CREDENTIALS_DIRECTORY}/token\"\n";
    let path = file_with_mode(directory.path(), text, 0o644);
    let check = |variables: &[(&str, &str)], expected: &str| {
        let config = Config::load_with(Some(&path), environment(variables)).unwrap();
        let Kind::Influx2 { token: Some(Secret::File(file)), .. } = &config.outputs[0].kind else { panic!() };
        assert_eq!(file, Path::new(expected));
    };
    check(
        &[("CREDENTIALS_DIRECTORY", "/run/credentials/other.service")],
        "/run/credentials/other.service/token",
    );
    check(&[], "/run/credentials/rgwlens.service/token");
}

#[test]
fn secrets_never_reach_an_error() {
    for text in [
        "[[output]]\nkind = \"influxdb2\"\nurl = \"https://h\"\ntoken = \"hunter2",
        "[[output]]\nkind = \"influxdb2\"\nurl = \"https://h\"\ntokn = \"hunter2\"",
        "[[output]]\nkind = \"influxdb2\"\nurl = \"https://h\"\ntoken = [\"hunter2\"]",
        "[[output]]\nkind = \"influxdb2\"\nurl = \"https://h\"\ntoken = \"\\u0007hunter2\"",
        "[[output]]\nkind = \"influxdb1\"\nurl = \"https://me:hunter2@h\"",
        "[[output]]\nkind = \"influxdb1\"\nurl = \"me:hunter2@h\"",
        "[[output]]\nkind = \"influxdb1\"\nurl = [\"https://me:hunter2@h\"]",
        "[[output]]\nkind = \"victoriametrics\"\nurl = \"https://h\"\npassword = \"hunter2\"",
        "[[output]]\nkind = \"influxdb2\"\nurl = \"https://h\"\ntoken_file = \"hunter2\"",
        "output = \"https://me:hunter2@h\"",
        "[probe]\nsecret_key = \"\\u0007hunter2\"",
        "[probe]\nsecret_key_file = \"hunter2\"",
        "[probe]\nmark_key = \"hunter2\"\nmark_key_file = \"/p\"",
        "[[probe.endpoint]]\nurl = \"https://me:hunter2@h\"",
        "[output]\ntoken = \"hunter2\"",
    ] {
        let error = Config::from_toml(text).expect_err(text);
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

/// A probe in a container, as others are started.
#[test]
fn variables_of_other_probes_count_where_nothing_else_is_said() {
    let load = |text: &str, variables: &[(&str, &str)]| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rgwlens.toml");
        fs::write(&file, text).unwrap();
        Config::load_with(Some(&file), environment(variables)).unwrap()
    };
    let all = [
        ("CLUSTER_ENDPOINT", "s3.example.com:7480"),
        ("ACCESS_KEY", "access"),
        ("SECRET_ACCESS_KEY", "hunter2"),
        ("LOG_LEVEL", "WARNING"),
        ("RGWLENS_PROBE__ENABLED", "true"),
    ];
    let config = load("", &all);
    let settings = config.probe.settings.as_ref().expect("an endpoint");
    let [endpoint] = &settings.endpoints[..] else { panic!("{settings:?}") };
    assert_eq!((&*endpoint.name, &*endpoint.url), ("main", "http://s3.example.com:7480"));
    assert_eq!(settings.access_key.read().unwrap(), "access");
    assert_eq!(settings.secret_key.read().unwrap(), "hunter2");
    assert!(config.probe.enabled && config.log_level == LogLevel::Warn);
    assert!(!format!("{config:?}").contains("hunter2"));
    // What is written wins; a common name alone means nothing.
    let written =
        "log_level = \"debug\"\n[probe]\naccess_key = \"own\"\n[[probe.endpoint]]\nurl = \"https://h\"";
    let config = load(written, &all);
    let settings = config.probe.settings.as_ref().expect("an endpoint");
    assert_eq!(
        (&*settings.endpoints[0].url, settings.access_key.read().unwrap()),
        ("https://h", "own".into())
    );
    assert_eq!(config.log_level, LogLevel::Debug);
    let config = load("", &all[1..4]);
    assert!(config.probe.settings.is_none() && config.log_level == LogLevel::Info);
    let one = [("RGWLENS_PROBE__ENDPOINT__0__URL", "https://h"), all[1], all[2]];
    assert_eq!(load("", &one).probe.settings.expect("an endpoint").endpoints[0].url, "https://h");
}

/// What the container image is configured as.
#[test]
fn the_container_has_a_configuration_that_needs_three_variables() {
    let text = include_str!("../examples/container.toml");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rgwlens.toml");
    fs::write(&file, text).unwrap();
    let variables = [("CLUSTER_ENDPOINT", "http://h"), ("ACCESS_KEY", "a"), ("SECRET_ACCESS_KEY", "b")];
    let config = Config::load_with(Some(&file), environment(&variables)).unwrap();
    assert!(config.logs.is_empty() && config.probe.enabled && config.metrics.enabled);
    assert_eq!(config.metrics.listen.to_string(), "0.0.0.0:9102");
    let without = Config::load_with(Some(&file), []).unwrap_err();
    assert!(without.to_string().contains("probe.enabled"), "{without}");
}

#[test]
fn a_syntax_error_says_where() {
    let error = Config::from_toml("cluster = \"a\"\n[store\npath = 1").unwrap_err();
    assert!(matches!(error, ConfigError::Syntax { .. }));
    assert!(error.to_string().contains("line 2, column 7"), "{error}");
    assert_eq!(error.problems(), []);
}

#[test]
fn a_named_file_has_to_be_there() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.toml");
    let error = Config::load_with(Some(&missing), []).unwrap_err();
    assert!(matches!(error, ConfigError::Read { .. }));
    assert!(error.to_string().contains("missing.toml"), "{error}");
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_an_error(text in "[\\[\\]a-z_.=\"#\n0-9 -]{0,120}") {
        let _ = Config::from_toml(&text).map_err(|error| error.to_string());
    }

    /// Whatever is written where, it is used or reported under its key.
    #[test]
    fn any_value_of_any_key_is_used_or_reported(
        at in 0..1_000usize,
        value in r#"0|[1-9][0-9]{0,17}|-5|[0-9]\.5|nan|true|\[\]|\["a", "b"\]|\{\}|"[ -!#-\[\]-~]{0,24}"|"[0-9]{1,20}(ms|s|m|h|d|w|B|KiB|TiB)""#,
    ) {
        let mut section = "";
        let keys: Vec<_> = Config::example().lines().filter_map(|line| {
            let line = line.strip_prefix('#').unwrap_or(line);
            if line.starts_with('[') {
                section = line;
            }
            let (key, _) = line.split_once(" = ").filter(|(key, _)| !key.contains(' '))?;
            Some((section, key))
        }).collect();
        let (section, key) = keys[at % keys.len()];
        if let Err(error) = Config::from_toml(&format!("{section}\n{key} = {value}")) {
            prop_assert!(!error.problems().is_empty(), "{error}");
            let shown = error.problems().iter().map(|problem| &*problem.key).collect::<Vec<_>>().join(" ");
            // Where something else has to be written too, and where two keys have to fit together.
            let incomplete = matches!(section, "[[output]]" | "[[probe.endpoint]]") || key == "enabled";
            let together = ["windows.bucket", "probe.leftovers_after"].iter().any(|key| shown.contains(key));
            prop_assert!(incomplete || together || shown.contains(key), "{error}");
        }
    }

    #[test]
    fn any_variable_is_used_or_reported(name in "[A-Z0-9_\\[\\].]{0,40}|(STORE|OUTPUT|LOG|TAGS)(__[0-9A-Z]{1,3}){0,6}", value in ".{0,20}") {
        let _ = Config::load_with(None, environment(&[(&*format!("RGWLENS_{name}"), &*value)]));
    }
}
