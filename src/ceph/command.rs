//! Running a command that may hang, flood, or leave children behind.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    time::{Instant, timeout, timeout_at},
};

/// How much of what is said on standard error is kept.
const SAID: usize = 4096;

/// How much of it is quoted in an error, in characters.
const QUOTED: usize = 300;

/// How long a command has to end once it was asked to. A wrapper takes its container down meanwhile.
const GRACE: Duration = Duration::from_millis(500);

/// What became of a command that gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("cannot start {program:?}: {error}")]
    Start {
        /// What was to be started.
        program: String,
        /// Why not.
        error: std::io::Error,
    },
    /// It took too long.
    #[error("gave no answer within {:.1} s, and was killed{}", after.as_secs_f64(), quote(said))]
    Timeout {
        /// How long it was waited for.
        after: Duration,
        /// Standard error, bounded and without control characters.
        said: String,
    },
    /// It failed.
    #[error("failed with {status}{}", quote(said))]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// Standard error, bounded and without control characters.
        said: String,
    },
    /// It said too much.
    #[error("said more than {limit} bytes, and was killed; `ceph.max_output` is the bound")]
    TooLarge {
        /// What it may say.
        limit: usize,
    },
    /// It said something, and then its output could not be read.
    #[error("its output cannot be read: {0}")]
    Read(std::io::Error),
    /// One that was to be killed lives on, so no other is started beside it.
    #[error("an earlier command (process {0}) cannot be killed and still runs; none is started beside it")]
    StillRunning(u32),
    /// The round was over before it.
    #[error("was not asked: the commands before it used up the round's time")]
    NoTime,
}

fn quote(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// Runs commands one after the other, each in a process group of its own, which ends with it.
#[derive(Debug, Default)]
pub struct Runner {
    /// Killed, and not dead: in the kernel, or somebody else's by a setuid wrapper.
    lingering: Vec<Child>,
}

impl Runner {
    /// What a command says on standard output, if it says so by `deadline` and ends well.
    ///
    /// # Errors
    /// Everything else. The command and all children in its process group are dead then, unless they cannot be killed:
    /// [`CommandError::StillRunning`] says so at the next one. Dropping the future kills them too.
    pub async fn run(
        &mut self,
        words: &[String],
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<u8>, CommandError> {
        self.lingering.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        if let Some(pid) = self.lingering.iter().find_map(Child::id) {
            return Err(CommandError::StillRunning(pid));
        }
        let started = Instant::now();
        let (program, arguments) = words.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| CommandError::Start { program: program.to_owned(), error })?;
        let group = Group::of(&child);
        let (mut output, mut said) = (Vec::new(), Vec::new());
        let ended = {
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let talk = async {
                tokio::try_join!(read(stdout, &mut output, limit), drain(stderr, &mut said))?;
                child.wait().await.map_err(CommandError::Read)
            };
            timeout_at(deadline, talk).await
        };
        let said = plain(&said);
        match ended {
            Ok(Ok(status)) => {
                group.end();
                if status.success() { Ok(output) } else { Err(CommandError::Failed { status, said }) }
            }
            Ok(Err(error)) => {
                self.end(child, group).await;
                Err(match error {
                    CommandError::TooLarge { .. } => CommandError::TooLarge { limit },
                    error => error,
                })
            }
            Err(_) => {
                self.end(child, group).await;
                Err(CommandError::Timeout { after: started.elapsed(), said })
            }
        }
    }

    /// Asks it to end, and then does not ask.
    async fn end(&mut self, mut child: Child, group: Group) {
        group.signal(Signal::TERM);
        let ended = timeout(GRACE, child.wait()).await;
        // Its children may have stayed, whether or not it went.
        group.signal(Signal::KILL);
        group.end();
        if ended.is_err() && timeout(GRACE, child.wait()).await.is_err() {
            self.lingering.push(child);
        }
    }
}

/// A process group that is killed when nobody waits for it any more.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)))
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            // Gone already, or somebody else's: the next command will see.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Its leader was waited for, and all that could say something has closed its end: the number may be given anew.
    fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Up to the end, or to the limit.
async fn read(
    from: Option<impl AsyncRead + Unpin>,
    into: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CommandError> {
    let Some(from) = from else { return Ok(()) };
    from.take(limit as u64 + 1).read_to_end(into).await.map_err(CommandError::Read)?;
    if into.len() > limit { Err(CommandError::TooLarge { limit }) } else { Ok(()) }
}

/// All of it, so that the command does not wait for a reader; only the beginning is kept.
async fn drain(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> Result<(), CommandError> {
    let Some(mut from) = from else { return Ok(()) };
    let mut block = [0; 4096];
    loop {
        let n = from.read(&mut block).await.map_err(CommandError::Read)?;
        if n == 0 {
            return Ok(());
        }
        let room = SAID.saturating_sub(into.len());
        into.extend_from_slice(&block[..n.min(room)]);
    }
}

/// Somebody else's words, fit to be shown on one line of a terminal.
fn plain(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let mut out = String::new();
    for (n, c) in text.trim_matches(|c: char| c.is_control() || c.is_whitespace()).chars().enumerate() {
        if n == QUOTED {
            out.push('…');
            break;
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}
