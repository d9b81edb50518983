//! A Unix socket that somebody else listens on and writes lines to, as RGW does with its ops log.
//!
//! There is no place to go back to: what was read and not committed when the process is killed is gone. Everything else
//! is kept. RGW writes an entry and then its line end, and what it could not write whole it writes again to the next one
//! who connects; so a line without an end is not ours, and left to it. Before an orderly end we stop taking, and then
//! read what was sent ([`Source::drain`]): RGW keeps the rest.

use std::{
    collections::vec_deque::Drain,
    io::{self, ErrorKind, Read as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, TryRecvError},
    },
    thread,
    time::Duration,
};

use super::{
    Lines, Next, Source, SourceError,
    clock::{Clock, SystemClock},
    incident::{Incident, Incidents},
    line_buffer::{LineBuffer, Piece},
    position::Position,
};
use crate::point::TimestampMs;

/// Between two tries to connect.
const RETRY: Duration = Duration::from_secs(1);

/// How to read a socket.
#[derive(Clone)]
pub struct SocketOptions {
    /// Where the other side listens.
    pub path: PathBuf,
    /// How long [`next`](Source::next) blocks, at most.
    pub poll: Duration,
    /// Longest line, in bytes without its newline; a longer one is skipped in constant memory, and counted.
    pub max_line: usize,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl SocketOptions {
    /// With the same poll interval and limit as a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            poll: Duration::from_millis(250),
            max_line: 1024 * 1024,
            clock: Arc::new(SystemClock::default()),
        }
    }
}

/// Lines from a Unix socket. Connects, and connects again, by itself.
pub struct Socket {
    options: SocketOptions,
    state: State,
    buffer: LineBuffer,
    incidents: Incidents,
    /// The wall clock before the last read, or look for somebody to read from.
    read_ms: TimestampMs,
    /// Nothing new is taken any more.
    draining: bool,
    /// That nobody listens has been said.
    told: bool,
}

enum State {
    /// Not before this is connecting tried (again).
    Apart(Duration),
    /// A thread is at it: it waits as long as the queue of those who want to is full.
    Connecting(Receiver<io::Result<UnixStream>>),
    Connected(UnixStream),
}

impl Socket {
    /// Reads from a socket on which nobody may listen yet.
    pub fn open(options: SocketOptions) -> Self {
        Self {
            options,
            state: State::Apart(Duration::ZERO),
            buffer: LineBuffer::default(),
            incidents: Incidents::default(),
            read_ms: 0,
            draining: false,
            told: false,
        }
    }

    /// Whether somebody is there to read from.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected(_))
    }

    /// Reads a block, or waits for one. `false` if there is none for now.
    fn fill(&mut self) -> bool {
        self.read_ms = self.options.clock.wall_ms();
        match &mut self.state {
            State::Connected(stream) => match stream.read(self.buffer.room()) {
                Ok(0) => self.disconnected("the other side closed the connection"),
                Ok(n) => {
                    self.buffer.filled(n);
                    return true;
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => self.disconnected(&error.to_string()),
            },
            _ if self.draining => {}
            State::Apart(until) => {
                let now = self.options.clock.monotonic();
                if now < *until {
                    thread::sleep(self.options.poll.min(*until - now));
                } else {
                    self.state = self.connect();
                }
            }
            State::Connecting(outcome) => match outcome.recv_timeout(self.options.poll) {
                Ok(Ok(stream)) => self.connected(stream),
                Ok(Err(error)) => self.unreachable(&error.to_string()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.unreachable("no thread could be started"),
            },
        }
        false
    }

    fn connect(&self) -> State {
        let (sender, receiver) = mpsc::sync_channel(1);
        let path = self.options.path.clone();
        let thread = thread::Builder::new().name("connect".into());
        // If it cannot be started, the sender is dropped with it, and the receiver says so.
        drop(thread.spawn(move || sender.send(UnixStream::connect(path))));
        State::Connecting(receiver)
    }

    fn connected(&mut self, stream: UnixStream) {
        match stream.set_read_timeout(Some(self.options.poll.max(Duration::from_millis(1)))) {
            Ok(()) => {
                self.told = false;
                self.buffer.restart();
                self.state = State::Connected(stream);
            }
            Err(error) => self.unreachable(&error.to_string()),
        }
    }

    fn unreachable(&mut self, error: &str) {
        if !self.told {
            let path = self.options.path.clone();
            self.incidents.push(Incident::Unreachable { path, error: error.to_owned() });
        }
        self.told = true;
        self.apart();
    }

    fn disconnected(&mut self, error: &str) {
        // What has no end was not sent whole, and is sent again.
        self.buffer.discard_rest();
        if !self.draining {
            let path = self.options.path.clone();
            self.incidents.push(Incident::Disconnected { path, error: error.to_owned() });
        }
        self.apart();
    }

    fn apart(&mut self) {
        self.state = State::Apart(self.options.clock.monotonic() + RETRY);
    }
}

impl Source for Socket {
    fn next(&mut self) -> Result<Next<'_>, SourceError> {
        loop {
            match self.buffer.piece(self.options.max_line) {
                Piece::Lines(range) => {
                    let bytes = self.buffer.bytes(range);
                    return Ok(Next::Lines(Lines { bytes, now_ms: Some(self.read_ms) }));
                }
                Piece::TooLong => return Ok(Next::Skipped { reason: "too_long" }),
                Piece::Nothing => {}
            }
            if !self.fill() {
                return Ok(Next::Idle { now_ms: self.read_ms });
            }
        }
    }

    /// No place, only a time: what was read cannot be read again.
    fn position(&self) -> Position {
        Position { files: Vec::new(), read_at_ms: self.read_ms }
    }

    fn lag(&self) -> u64 {
        self.buffer.rest()
    }

    fn drain(&mut self) -> bool {
        if !self.draining {
            self.draining = true;
            if let State::Connecting(outcome) = &self.state {
                match outcome.try_recv() {
                    Ok(Ok(stream)) => self.connected(stream),
                    Ok(Err(_)) | Err(TryRecvError::Empty | TryRecvError::Disconnected) => self.apart(),
                }
            }
            if let State::Connected(stream) = &self.state
                && stream.shutdown(Shutdown::Read).is_err()
            {
                self.apart();
            }
        }
        self.is_connected()
    }

    fn incidents(&mut self) -> Drain<'_, Incident> {
        self.incidents.drain()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::net::UnixListener, time::Instant};

    use super::*;

    /// The other side, as RGW is.
    struct Server {
        folder: tempfile::TempDir,
        listener: UnixListener,
    }

    impl Server {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let listener = UnixListener::bind(folder.path().join("ops.sock")).unwrap();
            Self { folder, listener }
        }

        fn source(&self) -> Socket {
            let mut options = SocketOptions::new(self.folder.path().join("ops.sock"));
            options.poll = Duration::from_millis(5);
            Socket::open(options)
        }
    }

    /// Lines until there are as many, or nothing is left to drain.
    fn read(source: &mut Socket, want: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        while lines.len() < want {
            assert!(Instant::now() < deadline, "{lines:?}");
            if let Next::Lines(block) = source.next().unwrap() {
                lines.extend(block.iter().map(|line| String::from_utf8_lossy(line).into_owned()));
            }
        }
        lines
    }

    fn until<T>(source: &mut Socket, mut ask: impl FnMut(&mut Socket) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            assert!(Instant::now() < deadline);
            if let Some(answer) = ask(source) {
                return answer;
            }
            assert!(matches!(source.next().unwrap(), Next::Idle { .. }));
        }
    }

    #[test]
    fn connects_again_and_leaves_unfinished_lines_to_the_sender() {
        let server = Server::new();
        let mut source = server.source();
        assert!(matches!(source.next().unwrap(), Next::Idle { .. }));
        until(&mut source, |source| source.is_connected().then_some(()));
        let (mut peer, _) = server.listener.accept().unwrap();
        peer.write_all(b"[a,\nb,\nhal").unwrap();
        assert_eq!(read(&mut source, 2), ["[a,", "b,"]);
        drop(peer);
        let incident = until(&mut source, |source| source.incidents().next());
        assert_eq!(incident.kind(), "disconnected");
        until(&mut source, |source| source.is_connected().then_some(()));
        let (mut peer, _) = server.listener.accept().unwrap();
        peer.write_all(b"[half,\n").unwrap();
        assert_eq!(read(&mut source, 1), ["[half,"], "once, and whole");
        assert_eq!(source.incidents().count(), 0);
    }

    #[test]
    fn waits_for_somebody_to_listen_and_says_so_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ops.sock");
        let mut options = SocketOptions::new(&path);
        options.poll = Duration::from_millis(5);
        let mut source = Socket::open(options);
        let incident = until(&mut source, |source| source.incidents().next());
        assert_eq!(incident.kind(), "unreachable");
        let listener = UnixListener::bind(&path).unwrap();
        until(&mut source, |source| source.is_connected().then_some(()));
        assert_eq!(source.incidents().count(), 0);
        drop(listener);
    }

    #[test]
    fn an_orderly_end_takes_what_was_sent_and_no_more() {
        let server = Server::new();
        let mut source = server.source();
        until(&mut source, |source| source.is_connected().then_some(()));
        let (mut peer, _) = server.listener.accept().unwrap();
        // In one write: nobody reads, and the kernel keeps few of many small ones.
        let lines: String = (0..1000).map(|n| format!("{n},\n")).collect();
        peer.write_all(format!("{lines}unfinished").as_bytes()).unwrap();
        assert!(source.drain());
        // The sender notices, and keeps what it has.
        assert_eq!(peer.write_all(b" and more").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut lines = 0;
        while source.drain() {
            if let Next::Lines(block) = source.next().unwrap() {
                lines += block.iter().count();
            }
        }
        assert_eq!(lines, 1000);
        assert!(matches!(source.next().unwrap(), Next::Idle { .. }));
        assert_eq!(source.incidents().count(), 0, "it was meant");
        assert!(!source.is_connected(), "and stays so");
    }

    #[test]
    fn an_over_long_line_is_one_skip() {
        let server = Server::new();
        let mut source = server.source();
        source.options.max_line = 10;
        until(&mut source, |source| source.is_connected().then_some(()));
        let (mut peer, _) = server.listener.accept().unwrap();
        peer.write_all(b"0123456789abc\nshort\n").unwrap();
        let reason = loop {
            match source.next().unwrap() {
                Next::Skipped { reason } => break reason,
                Next::Idle { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(reason, "too_long");
        assert_eq!(read(&mut source, 1), ["short"]);
    }
}
