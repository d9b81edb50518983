//! A real RADOS Gateway (radosgw with civetweb) on a [`Cluster`], with the settings that we ship in `ceph-conf/`.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::ceph::{Cluster, Daemon, tail};
use super::{PATIENCE, ports, wait_for};

/// Another process may take the port that was free a moment ago.
const TRIES: u32 = 3;

/// Who may do what.
pub struct User {
    /// `tenant$name` for a user of a tenant.
    pub uid: &'static str,
    pub access_key: &'static str,
    pub secret_key: &'static str,
    /// The key of the Swift user `uid:swift`.
    pub swift_key: &'static str,
    /// What it may do with the admin API.
    caps: &'static str,
}

/// Two users, one of a tenant, and one for the admin API.
pub const USERS: [User; 4] = [
    User {
        uid: "alice",
        access_key: "ALICEKEY0000000000AA",
        secret_key: "alicesecret0000000000000000000000000000A",
        swift_key: "aliceswiftkey",
        caps: "",
    },
    User {
        uid: "bob",
        access_key: "BOBKEY000000000000BB",
        secret_key: "bobsecret000000000000000000000000000000B",
        swift_key: "bobswiftkey",
        caps: "",
    },
    User {
        uid: "acme$carol",
        access_key: "CAROLKEY0000000000CC",
        secret_key: "carolsecret0000000000000000000000000000C",
        swift_key: "carolswiftkey",
        caps: "",
    },
    User {
        uid: "admin",
        access_key: "ADMINKEY0000000000DD",
        secret_key: "adminsecret0000000000000000000000000000D",
        swift_key: "adminswiftkey",
        // `info=*` is no capability of this release: the user would not be created.
        caps: "users=*;buckets=*;usage=*;metadata=*",
    },
];

/// A gateway that serves at 127.0.0.1:`port`. Its names are `s3.example.com` and, for websites, `web.example.com`.
pub struct Gateway {
    pub port: u16,
    name: String,
    daemon: Daemon,
    // Before the folder: what runs is gone when its files go.
    dir: TempDir,
}

impl Gateway {
    /// The first gateway of a cluster, with [`USERS`].
    pub fn start(cluster: &Cluster) -> Self {
        Self::start_with(cluster, "")
    }

    /// The same, with further settings for its section of ceph.conf.
    pub fn start_with(cluster: &Cluster, settings: &str) -> Self {
        // The first command creates the pools; more at a time would get in each other's way.
        create(cluster, &USERS[0]);
        thread::scope(|scope| {
            for user in &USERS[1..] {
                scope.spawn(move || create(cluster, user));
            }
            Self::another(cluster, "gateway1", settings)
        })
    }

    /// A gateway of a cluster that has its users, with further settings for its section of ceph.conf.
    pub fn another(cluster: &Cluster, name: &str, settings: &str) -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            match Self::try_start(cluster, name, settings) {
                Ok(gateway) => return gateway,
                Err(error) => said = error,
            }
        }
        panic!("the gateway did not start:\n{said}")
    }

    fn try_start(cluster: &Cluster, name: &str, settings: &str) -> Result<Self, String> {
        let (dir, port) = (tempfile::tempdir().expect("a temporary folder"), ports::free());
        let conf = fs::read_to_string(cluster.conf()).expect("the cluster has a ceph.conf");
        let section = section(name, port, &dir.path().display().to_string(), settings);
        fs::write(dir.path().join("ceph.conf"), conf + &section).expect("write");
        let daemon = Daemon::new(name, dir.path().join("out"));
        let mut gateway = Self { port, name: name.to_owned(), daemon, dir };
        gateway.daemon.start(gateway.command())?;
        gateway.wait_until_serves()?;
        Ok(gateway)
    }

    fn wait_until_serves(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && self.daemon.gone().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{}\n{}", tail(&self.dir.path().join("out")), tail(&self.log())))
    }

    fn command(&self) -> Command {
        let mut command = Command::new("radosgw");
        command.arg("--conf").arg(self.dir.path().join("ceph.conf"));
        command.args(["-f", "--name", &format!("client.rgw.{}", self.name)]);
        command
    }

    /// Its account of the requests: JSON objects, not always one to a line, with the header `X-Request-Id` of each. It
    /// names neither requests without a bucket nor those of unknown signers.
    pub fn ops_log(&self) -> PathBuf {
        self.dir.path().join("ops.log")
    }

    /// Its own log, with civetweb's line for each request; with `debug rgw = 10` also the operation.
    pub fn log(&self) -> PathBuf {
        self.dir.path().join("radosgw.log")
    }

    /// It does nothing any more, but the kernel still takes connections for it, until it is thawed.
    pub fn freeze(&self) {
        self.daemon.process().freeze();
    }

    /// Lets a frozen gateway go on.
    pub fn thaw(&self) {
        self.daemon.process().thaw();
    }

    /// Ends it, and waits until nobody listens any more.
    pub fn stop(&mut self) {
        self.daemon.stop();
        let gone = || TcpStream::connect(("127.0.0.1", self.port)).is_err().then_some(());
        wait_for("the gateway no longer listens", gone);
    }

    /// Starts it where it was.
    pub fn start_again(&mut self) {
        self.daemon.start(self.command()).and_then(|()| self.wait_until_serves()).unwrap_or_else(|said| {
            panic!("the gateway did not start again:\n{said}");
        });
    }
}

fn create(cluster: &Cluster, user: &User) {
    let User { uid, access_key, secret_key, swift_key, caps } = user;
    let admin = |arguments: &[&str]| {
        cluster.tool("radosgw-admin", arguments).unwrap_or_else(|said| panic!("{said}"));
    };
    let mut create = vec!["user", "create", "--uid", uid, "--display-name", uid];
    create.extend(["--access-key", access_key, "--secret-key", secret_key]);
    if !caps.is_empty() {
        create.extend(["--caps", caps]);
    }
    admin(&create);
    let subuser = format!("{uid}:swift");
    let create = ["subuser", "create", "--uid", uid, "--subuser", &subuser, "--access", "full"];
    admin(&[&create[..], &["--key-type", "swift", "--secret-key", swift_key]].concat());
}

/// What is shipped in `ceph-conf/`, but for the gateway's name, where it listens, and where it logs to; and what only tests
/// ask of it: nginx's id of each request in the ops log, and every API.
fn section(name: &str, port: u16, dir: &str, settings: &str) -> String {
    let mut shipped =
        [include_str!("../../ceph-conf/civetweb.conf"), include_str!("../../ceph-conf/rgw.conf")].concat();
    for (from, to) in [
        ("[client.rgw.gateway1]", format!("[client.rgw.{name}]")),
        (
            "\nrgw_frontends = civetweb port=8080\n",
            format!("\nrgw_frontends = civetweb port=127.0.0.1:{port} num_threads=64\n"),
        ),
        ("#rgw_dns_s3website_name", "rgw_enable_static_website = true\nrgw_dns_s3website_name".to_owned()),
        ("/var/log/ceph/ops-log-$cluster-$name.log", format!("{dir}/ops.log")),
    ] {
        assert!(shipped.contains(from), "ceph-conf/ has no `{from}` any more");
        shipped = shipped.replace(from, &to);
    }
    // Without the garbage collector and lifecycle of a real one it is idle when nobody asks it for anything.
    format!(
        "{shipped}
log file = {dir}/radosgw.log
rgw_enable_apis = s3, s3website, swift, swift_auth, admin, sts, iam
rgw_log_http_headers = http_x_request_id
rgw_enable_usage_log = true
rgw_enable_gc_threads = false
rgw_enable_lc_threads = false
{settings}
"
    )
}
