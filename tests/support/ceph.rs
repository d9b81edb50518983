//! A real Ceph cluster: monitor, manager and OSDs on 127.0.0.1, in a folder of their own, gone when dropped. No
//! authentication, no systemd. It takes a few seconds, and 50 MB of memory for each daemon, 300 for the manager.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fmt::Write as _, thread};

use tempfile::TempDir;

use super::process::{Guard, Process};
use super::{PATIENCE, ports};

/// Another process may take the ports that were free a moment ago.
const TRIES: u32 = 3;

/// A cluster whose daemons are called `mon.a`, `mgr.x`, `osd.0`, `osd.1` …
pub struct Cluster {
    daemons: Vec<Daemon>,
    // Before the folder: what runs is gone when its files go.
    dir: TempDir,
}

/// What differs between clusters.
#[derive(Clone, Copy)]
pub struct Shape<'a> {
    /// How many OSDs. Each object is on all of them (on three at most), and one is enough to write.
    pub osds: usize,
    /// A manager: `ceph status`, `ceph df` and the like need it, a gateway does not.
    pub manager: bool,
    /// Further lines for the `[global]` section of ceph.conf.
    pub settings: &'a str,
}

impl Cluster {
    /// With a manager and so many OSDs.
    pub fn start(osds: usize) -> Self {
        Self::start_as(Shape { osds, manager: true, settings: "" })
    }

    /// The least that a gateway needs.
    pub fn lean() -> Self {
        Self::start_as(Shape { osds: 1, manager: false, settings: "" })
    }

    /// Panics, with the logs of the daemons, when Ceph is not installed or does not start.
    pub fn start_as(shape: Shape<'_>) -> Self {
        for _ in 1..TRIES {
            if let Ok(cluster) = Self::try_start(shape) {
                return cluster;
            }
        }
        Self::try_start(shape).unwrap_or_else(|said| panic!("the Ceph cluster did not start:\n{said}"))
    }

    fn try_start(shape: Shape<'_>) -> Result<Self, String> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut cluster = Self { daemons: Vec::new(), dir };
        cluster.try_all(shape).map_err(|what| format!("{what}\n{}", cluster.logs()))?;
        Ok(cluster)
    }

    fn try_all(&mut self, shape: Shape<'_>) -> Result<(), String> {
        let ports = [ports::free(), ports::free()];
        let fsid = uuid();
        let mons = format!("[v2:127.0.0.1:{},v1:127.0.0.1:{}]", ports[0], ports[1]);
        for folder in ["mon", "mgr", "run", "crash"] {
            fs::create_dir(self.path(folder)).expect("the folder is ours");
        }
        fs::write(self.conf(), configuration(self.dir.path(), &fsid, &mons, shape)).expect("write");

        let monmap = self.path("monmap").display().to_string();
        self.tool("monmaptool", &["--create", "--fsid", &fsid, "--addv", "a", &mons, &monmap])?;
        self.tool("ceph-mon", &["--mkfs", "-i", "a", "--monmap", &monmap, "--keyring", "/dev/null"])?;
        self.launch("mon.a")?;
        // It loads for seconds: beside everything else.
        if shape.manager {
            self.launch("mgr.x")?;
        }
        let osds: Vec<(String, String)> = (0..shape.osds).map(|n| (n.to_string(), uuid())).collect();
        for (id, uuid) in &osds {
            self.tool("ceph", &["--connect-timeout", "30", "osd", "new", uuid, id])?;
        }
        thread::scope(|scope| {
            let cluster = &*self;
            let made: Vec<_> = osds
                .iter()
                .map(|(id, uuid)| {
                    fs::create_dir(cluster.path(&format!("osd.{id}"))).expect("the folder is ours");
                    scope.spawn(move || cluster.tool("ceph-osd", &["-i", id, "--mkfs", "--osd-uuid", uuid]))
                })
                .collect();
            made.into_iter().try_for_each(|made| made.join().expect("no panic").map(drop))
        })?;
        for (id, _) in &osds {
            self.launch(&format!("osd.{id}"))?;
        }
        self.wait_until_up(shape)
    }

    fn wait_until_up(&mut self, shape: Shape<'_>) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(daemon) = self.daemons.iter_mut().find_map(Daemon::gone) {
                return Err(format!("{daemon} ended"));
            }
            let status = self.status();
            let up = status["osdmap"]["num_up_osds"].as_u64() == Some(shape.osds as u64);
            if up && (!shape.manager || status["mgrmap"]["available"] == true) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("after {PATIENCE:?} not all of it is up: {}", self.status()))
    }

    /// The configuration file, for `ceph --conf`.
    pub fn conf(&self) -> PathBuf {
        self.path("ceph.conf")
    }

    /// A file of the folder: `mon.a.log`, `run/osd.0.asok`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What `ceph` answers to this; it has to succeed. Without a manager half of the commands wait for ever.
    pub fn ceph(&self, arguments: &[&str]) -> String {
        self.tool("ceph", arguments).unwrap_or_else(|said| panic!("{said}"))
    }

    /// `ceph status` as JSON.
    pub fn status(&self) -> serde_json::Value {
        let answer = self.ceph(&["--connect-timeout", "30", "--format", "json", "status"]);
        serde_json::from_str(&answer).expect("ceph's JSON")
    }

    /// Ends a daemon as an operator would, or kills it when it does not go: an OSD tells the monitor first.
    pub fn stop(&mut self, name: &str) {
        self.daemon(name).stop();
    }

    /// Ends a daemon at once.
    pub fn kill(&mut self, name: &str) {
        self.daemon(name).kill();
    }

    /// A daemon does nothing any more, and keeps its connections, until it is thawed.
    pub fn freeze(&mut self, name: &str) {
        self.daemon(name).process().freeze();
    }

    /// Lets a frozen daemon go on.
    pub fn thaw(&mut self, name: &str) {
        self.daemon(name).process().thaw();
    }

    /// Starts a daemon that was stopped or killed; when it is up again is for `ceph` to say.
    pub fn start_again(&mut self, name: &str) {
        let command = self.command(name);
        let daemon = self.daemon(name);
        daemon.start(command).unwrap_or_else(|said| panic!("{said}"));
    }

    fn daemon(&mut self, name: &str) -> &mut Daemon {
        let daemon = self.daemons.iter_mut().find(|daemon| daemon.name == name);
        daemon.unwrap_or_else(|| panic!("the cluster has no {name}"))
    }

    fn launch(&mut self, name: &str) -> Result<(), String> {
        let mut daemon = Daemon::new(name, self.path(&format!("{name}.out")));
        daemon.start(self.command(name))?;
        self.daemons.push(daemon);
        Ok(())
    }

    fn command(&self, name: &str) -> Command {
        let (kind, id) = name.split_once('.').expect("kind.id");
        let mut command = Command::new(format!("ceph-{kind}"));
        command.arg("--conf").arg(self.conf()).args(["-f", "-i", id]);
        command
    }

    /// Runs a program of Ceph's on this cluster.
    pub fn tool(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(program);
        // monmaptool takes no other configuration than that of its arguments.
        if program != "monmaptool" {
            command.arg("--conf").arg(self.conf());
        }
        command.args(arguments).stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output().map_err(|error| missing(program, &error))?;
        let said = String::from_utf8_lossy(&stderr);
        if !status.success() {
            return Err(format!("{program} {arguments:?}: {status}: {said}"));
        }
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    }

    /// The ends of all logs.
    fn logs(&self) -> String {
        self.daemons.iter().fold(String::new(), |mut logs, daemon| {
            for end in ["log", "out"] {
                let path = self.path(&format!("{}.{end}", daemon.name));
                let _ = write!(logs, "\n== {}\n{}", path.display(), tail(&path));
            }
            logs
        })
    }
}

/// One program that serves.
pub struct Daemon {
    name: String,
    /// Where goes what it says that is not in its log.
    output: PathBuf,
    running: Option<Running>,
}

/// The process is dropped before its guard.
struct Running {
    process: Process,
    _guard: Guard,
}

impl Daemon {
    /// Not started yet.
    pub fn new(name: &str, output: PathBuf) -> Self {
        Self { name: name.to_owned(), output, running: None }
    }

    /// Starts it.
    pub fn start(&mut self, mut command: Command) -> Result<(), String> {
        let output =
            File::options().create(true).append(true).open(&self.output).expect("the folder is ours");
        command.stdout(output.try_clone().expect("a second handle")).stderr(output);
        let program = command.get_program().display().to_string();
        let process = Process::start(&mut command).map_err(|error| missing(&program, &error))?;
        self.running = Some(Running { _guard: Guard::over(&process), process });
        Ok(())
    }

    /// The process, which has to run.
    pub fn process(&self) -> &Process {
        &self.running.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name)).process
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// SIGTERM, then SIGKILL: radosgw often does not stop within ten seconds.
    pub fn stop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        running.process.signal("TERM");
        let deadline = Instant::now() + Duration::from_secs(5);
        while running.process.ended().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its name, if it has ended of itself.
    pub fn gone(&mut self) -> Option<&str> {
        self.running.as_mut()?.process.ended().map(|_| self.name.as_str())
    }
}

/// The end of a log, for whoever has to find out why.
pub fn tail(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(3_000)..]).into_owned()
}

fn missing(program: &str, error: &std::io::Error) -> String {
    format!("this test needs {program} ({error}): scripts/test-deps installs it")
}

fn uuid() -> String {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("Linux");
    uuid.trim_end().to_owned()
}

fn configuration(dir: &Path, fsid: &str, mons: &str, shape: Shape<'_>) -> String {
    let Shape { osds, settings, .. } = shape;
    let (dir, copies) = (dir.display(), osds.clamp(1, 3));
    // Without authentication radosgw has to be told that its way to the monitor is not encrypted. Elections and placement
    // groups as fast and as few as they can be; no warnings about what is meant to be so small.
    format!(
        "[global]
fsid = {fsid}
mon host = {mons}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
osd pool default size = {copies}
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon warn on insecure global id reclaim = false
mon warn on insecure global id reclaim allowed = false
mon data avail warn = 1
mon data avail crit = 1
mon max pg per osd = 1000
mon osd min down reporters = 1
paxos propose interval = 0.1
paxos min wait = 0.01
mgr initial modules =
mon data = {dir}/mon
mgr data = {dir}/mgr
osd data = {dir}/osd.$id
run dir = {dir}/run
admin socket = {dir}/run/$name.asok
log file = {dir}/$name.log
crash dir = {dir}/crash
pid file =
osd objectstore = bluestore
bluestore block size = 4294967296
bluestore block create = true
bluestore block preallocate file = false
osd memory target = 939524096
{settings}
"
    )
}
