//! A gateway's machine: a folder with a log, a configuration and a store, and the real program to run on it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rgwlens::store::{Reader, StreamState};
use tempfile::TempDir;

use super::influx::{InfluxDb, VictoriaMetrics};
use super::process::Process;
use super::{PATIENCE, wait_for};

/// The folder. Its windows are short, so that no test waits for a window.
pub struct Site {
    dir: TempDir,
    /// What comes before the outputs.
    head: String,
    outputs: String,
}

impl Site {
    /// With a log in this format, which is read from its beginning.
    pub fn new(format: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().display();
        let head = format!(
            "cluster = \"test\"\nnode = \"gw1\"\n\
             [store]\npath = \"{path}/rgwlens.db\"\n\
             [[log]]\npath = \"{path}/access.log\"\nformat = '''{format}'''\nstart_at = \"beginning\"\n\
             [windows]\nnode = \"1s\"\nbucket = \"2s\"\nlateness = \"1s\"\n"
        );
        let site = Self { dir, head, outputs: String::new() };
        site.write_config();
        site
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.path("access.log")
    }

    /// Changes what the configuration says before its outputs.
    pub fn replace(&mut self, from: &str, to: &str) {
        assert!(self.head.contains(from), "the configuration has no {from}");
        self.head = self.head.replace(from, to);
        self.write_config();
    }

    /// Adds an output: an InfluxDB with its administrator, whose password is in a file.
    pub fn output_influx(&mut self, name: &str, influx: &InfluxDb, database: &str) {
        influx.database(database);
        let secret = self.path(&format!("{name}.password"));
        fs::write(&secret, &influx.password).expect("write");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("chmod");
        let (url, user, secret) = (&influx.url, &influx.user, secret.display());
        self.output(&format!(
            "name = \"{name}\"\nkind = \"influxdb1\"\nurl = \"{url}\"\ndatabase = \"{database}\"\n\
             user = \"{user}\"\npassword_file = \"{secret}\"\n"
        ));
    }

    /// Adds an output: a VictoriaMetrics.
    pub fn output_victoria(&mut self, name: &str, victoria: &VictoriaMetrics) {
        self.output(&format!("name = \"{name}\"\nkind = \"victoriametrics\"\nurl = \"{}\"\n", victoria.url));
    }

    /// Adds an output of these keys.
    pub fn output(&mut self, keys: &str) {
        self.outputs.push_str("[[output]]\n");
        self.outputs.push_str(keys);
        self.write_config();
    }

    fn write_config(&self) {
        // As an editor does, so that a reload never sees half a file.
        let new = self.path("rgwlens.toml.new");
        fs::write(&new, format!("{}{}", self.head, self.outputs)).expect("write");
        fs::rename(new, self.config()).expect("rename");
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path("rgwlens.toml")
    }

    /// The program with these arguments, to its end.
    pub fn rgwlens(&self, arguments: &[&str]) -> Output {
        program().arg("--config").arg(self.config()).args(arguments).output().expect("the program starts")
    }

    /// The program with these arguments, which has to succeed: its standard output.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.rgwlens(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}\n{said}", output.status);
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Starts the daemon, and does not wait for anything: it may not even handle signals yet.
    pub fn run(&self) -> Process {
        self.run_by(program())
    }

    /// The same, started by a command that ends with the program.
    pub fn run_by(&self, mut command: Command) -> Process {
        self.spawn(command.arg("--config").arg(self.config()).arg("run"))
    }

    /// Starts a command that becomes the daemon.
    pub fn spawn(&self, command: &mut Command) -> Process {
        let log = File::options().create(true).append(true).open(self.path("daemon.log")).expect("a log");
        command.stdout(log.try_clone().expect("a handle")).stderr(log);
        Process::start(command).expect("the program starts")
    }

    /// Starts the daemon, and waits until it follows the log.
    pub fn start(&self) -> Process {
        let follows = || self.said().matches(" following ").count();
        let before = follows();
        let mut daemon = self.run();
        wait_for("the daemon follows the log", || {
            assert!(daemon.ended().is_none(), "the daemon ended: {}", self.said());
            (follows() > before).then_some(())
        });
        daemon
    }

    /// What the daemons said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    /// What the store knows of the log; nothing before the daemon's first look.
    pub fn stream(&self) -> StreamState {
        let reader = Reader::open(&self.path("rgwlens.db"));
        reader.and_then(|reader| reader.stream("access")).ok().flatten().unwrap_or_default()
    }

    /// Lines that the daemon has committed.
    pub fn committed(&self) -> u64 {
        self.stream().windows.map_or(0, |windows| windows.totals.lines)
    }

    /// Waits until all lines are in closed windows.
    pub fn wait_until_closed(&self, lines: u64) {
        let mut last = 0;
        wait_for(&format!("{lines} lines are counted and all windows closed"), || {
            let stream = self.stream();
            last = stream.windows.map_or(0, |windows| windows.totals.lines);
            (last >= lines && stream.fragments.is_empty()).then_some(())
        });
        assert_eq!(last, lines, "more lines are counted than there are");
    }

    /// Waits until nothing is on its way: all lines are in closed windows, and stopping the daemon, all outputs have
    /// all parts.
    pub fn drain(&self, daemon: Process, lines: u64) {
        self.wait_until_closed(lines);
        // Acknowledgements are written every ten seconds, and when the daemon stops.
        wait_for("the outputs have all parts", || {
            let outputs = Reader::open(&self.path("rgwlens.db")).and_then(|reader| reader.outputs()).ok()?;
            outputs.iter().all(|output| output.unsent_parts == 0).then_some(())
        });
        assert_eq!(daemon.end("TERM"), Some(0), "{}", self.said());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.said();
            let from = said.len().saturating_sub(4_000);
            let tail = said.get(from..).unwrap_or(&said);
            let _ = writeln!(std::io::stderr(), "the daemon said:\n{tail}\n(patience: {PATIENCE:?})");
        }
    }
}

/// The program, without this machine's configuration.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rgwlens"));
    command.env_remove("NO_COLOR").env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET");
    command
}

/// How many lines these files have.
pub fn count_lines(files: &[&Path]) -> u64 {
    let lines = |file: &&Path| {
        let text = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        text.iter().filter(|byte| **byte == b'\n').count() as u64
    };
    files.iter().map(lines).sum()
}
