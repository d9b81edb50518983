//! The units are ones that systemd understands, and that of the gateway is a small target. Needs systemd-analyze, not a running systemd.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).env("SYSTEMD_PAGER", "").output().unwrap_or_else(|error| {
        panic!("{program} cannot be run ({error}): this test needs the package systemd, which scripts/test-deps installs")
    })
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What `systemd-analyze verify` has to say about a unit with this text. The binary need not be installed.
fn verify(name: &str, unit: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    let runnable = unit.replace("ExecStart=/usr/bin/rgwlens ", "ExecStart=/bin/true ");
    assert_ne!(unit, runnable, "the unit starts something else");
    fs::write(&path, runnable).unwrap();
    let output =
        run("systemd-analyze", &["verify", "--man=no", "--recursive-errors=no", path.to_str().unwrap()]);
    // It also speaks of other units of this machine, and its exit code does not know of warnings.
    let about_it: Vec<_> =
        said(&output).lines().filter(|line| line.contains("rgwlens")).map(str::to_owned).collect();
    about_it.join("\n")
}

#[test]
fn systemd_understands_all_of_the_unit() {
    for name in ["rgwlens.service", "rgwlens-ceph.service"] {
        let unit = fs::read_to_string(shipped(name)).unwrap();
        assert_eq!(verify(name, &unit), "");
        // This check can fail: systemd ignores what it does not understand, and only says so.
        let misspelt = unit.replace("ProtectHome=", "ProtectHoem=");
        assert!(verify(name, &misspelt).contains("ProtectHoem"));
    }
}

#[test]
fn exposure_is_at_most_2_of_10() {
    let unit = shipped("rgwlens.service");
    let arguments = ["security", "--offline=true", "--threshold=20", "--no-pager", unit.to_str().unwrap()];
    let output = run("systemd-analyze", &arguments);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("Overall exposure level"), "{}", said(&output));
}

#[test]
fn the_user_can_be_made() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let root = format!("--root={}", root.path().display());
    let output =
        run("systemd-sysusers", &["--dry-run", &root, shipped("rgwlens.sysusers").to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("Creating user 'rgwlens'"), "{}", said(&output));
}

/// The collector's unit, its configuration, and a daemon with nothing else to do.
#[test]
#[cfg(feature = "cli")]
fn the_collectors_unit_and_its_configuration_agree() {
    use rgwlens::config::Config;
    let unit = fs::read_to_string(shipped("rgwlens-ceph.service")).unwrap();
    for line in [
        "Type=notify",
        "ExecStart=/usr/bin/rgwlens --config /etc/rgwlens/ceph.toml run",
        "StateDirectory=rgwlens-ceph",
        "RestartPreventExitStatus=2",
    ] {
        assert!(unit.lines().any(|have| have == line), "{line} is missing");
    }
    let config = Config::load_with(Some(&shipped("rgwlens-ceph.toml")), []).unwrap();
    assert!(config.ceph.enabled && config.logs.is_empty());
    assert!(config.store.path.starts_with("/var/lib/rgwlens-ceph"), "{:?}", config.store.path);
    assert_ne!(config.store.path, Config::from_toml("").unwrap().store.path);
    // What becomes root cannot run where there are no new privileges.
    assert!(!unit.contains("NoNewPrivileges=yes") && unit.lines().any(|line| line == "User=root"));
}

/// What the unit, the configuration and the code have to agree on.
#[test]
fn the_unit_and_the_defaults_agree() {
    let unit = fs::read_to_string(shipped("rgwlens.service")).unwrap();
    for line in [
        "Type=notify",
        "WatchdogSec=30",
        "TimeoutStartSec=15min",
        "User=rgwlens",
        "SupplementaryGroups=adm",
        "StateDirectory=rgwlens",
        "ConfigurationDirectory=rgwlens",
        "RestartPreventExitStatus=2",
    ] {
        assert!(unit.lines().any(|have| have == line), "{line} is missing");
    }
    #[cfg(feature = "cli")]
    {
        use rgwlens::config::Config;
        let config = Config::from_toml("").unwrap();
        assert!(config.store.path.starts_with("/var/lib/rgwlens"), "{:?}", config.store.path);
        assert!(Config::DEFAULT_PATH.starts_with("/etc/rgwlens/"));
    }
}
