//! Processes in groups of their own, so that whatever they start ends with them.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A process that ends, with all it started, when this is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts the command, as the leader of a group.
    pub fn start(command: &mut Command) -> std::io::Result<Self> {
        Ok(Self { child: command.process_group(0).stdin(Stdio::null()).spawn()? })
    }

    /// Sends a signal (`KILL`, `TERM`, `HUP`) to it and all it started.
    pub fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let kill = Command::new("kill").args(["-s", signal, "--", &group]).stderr(Stdio::null()).status();
        assert!(kill.is_ok(), "this test needs kill: apt-get install procps");
    }

    /// Stops it and all it started, until [`thaw`](Self::thaw); none of its threads runs any more when this returns.
    pub fn freeze(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.child.id());
        // The third field, after a name that may hold anything.
        let is_stopped = |stat: String| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"));
        super::wait_for("all its threads have stopped", || {
            let mut tasks = std::fs::read_dir(&tasks).expect("it runs");
            tasks
                .all(|task| {
                    std::fs::read_to_string(task.expect("a task").path().join("stat")).is_ok_and(is_stopped)
                })
                .then_some(())
        });
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child")
    }

    /// Sends a signal that ends it, and waits for that. `None` when it did not end of itself but by the signal.
    pub fn end(mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        let status = super::wait_for(&format!("the process ends by SIG{signal}"), || self.ended());
        status.code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal("KILL");
            let _ = self.child.wait();
        }
    }
}

/// Ends a process when the test's own ends without dropping anything: interrupted, or killed. A shell waits for the end
/// of a pipe that only the test holds open.
pub struct Guard {
    shell: Child,
}

impl Guard {
    /// Over this process. Drop the process first: its number may be somebody else's later.
    pub fn over(process: &Process) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", "read -r _; kill -s KILL \"$0\"", &process.id().to_string()]);
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { shell: shell.spawn().expect("sh") }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
