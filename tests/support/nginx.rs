//! A real nginx with a prefix of its own, in front of a backend that answers in a few lines.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::ports;

/// Far longer than nginx ever takes: only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// An nginx that runs, master and one worker. Dropping it stops it.
pub struct Nginx {
    master: Child,
    prefix: TempDir,
    pub port: u16,
}

impl Nginx {
    /// Starts nginx with what `http` makes for the http block of a port and the prefix, on a port that is free.
    ///
    /// Panics, with what nginx said, when it is not installed or does not start.
    pub fn start(http: impl Fn(u16, &Path) -> String) -> Self {
        for _ in 0..10 {
            let port = ports::free();
            let prefix = tempfile::tempdir().expect("a temporary folder");
            write_conf(prefix.path(), &http(port, prefix.path()));
            let master =
                command(prefix.path()).stderr(Stdio::null()).spawn().unwrap_or_else(|error| missing(&error));
            let mut nginx = Self { master, prefix, port };
            if nginx.wait_until_ready() {
                return nginx;
            }
            // Someone took the port between our look and nginx's.
        }
        panic!("ten ports in a row were taken before nginx could listen on them");
    }

    pub fn prefix(&self) -> &Path {
        self.prefix.path()
    }

    /// Sends these bytes and reads what comes until nginx closes the connection.
    pub fn send(&self, request: &[u8]) -> Vec<u8> {
        read_all(self.connect_and_write(request))
    }

    /// Sends these bytes, says that no more will come, and reads what comes until nginx closes the connection. In the
    /// middle of a request that is a client that went away.
    pub fn send_and_hang_up(&self, request: &[u8]) -> Vec<u8> {
        let connection = self.connect_and_write(request);
        let _ = connection.shutdown(Shutdown::Write);
        read_all(connection)
    }

    fn connect_and_write(&self, request: &[u8]) -> TcpStream {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).expect("nginx listens");
        // nginx may have answered and closed before it read all of a bad request.
        let _ = connection.write_all(request);
        connection
    }

    /// Lets nginx finish its requests and write its buffers.
    pub fn stop(&mut self) {
        self.signal("-QUIT");
        assert!(self.wait_for_exit(), "nginx did not stop after SIGQUIT");
    }

    /// The lines of a file below the prefix.
    pub fn lines(&self, log: &str) -> Vec<Vec<u8>> {
        let text = fs::read(self.prefix().join(log)).unwrap_or_else(|error| panic!("{log}: {error}"));
        let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        assert_eq!(lines.pop().as_deref(), Some(&b""[..]), "{log} ends in the middle of a line");
        lines
    }

    /// False when nginx could not have its port.
    fn wait_until_ready(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if self.master.try_wait().expect("our own child").is_some() {
                let log = fs::read_to_string(self.prefix().join("error.log")).unwrap_or_default();
                assert!(log.contains("Address already in use"), "nginx did not start:\n{log}");
                return false;
            }
            if self.prefix().join("nginx.pid").exists()
                && TcpStream::connect(("127.0.0.1", self.port)).is_ok()
            {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("nginx does not listen on port {} after {PATIENCE:?}", self.port);
    }

    fn signal(&self, signal: &str) {
        let _ =
            Command::new("kill").args([signal, &self.master.id().to_string()]).stderr(Stdio::null()).status();
    }

    fn wait_for_exit(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if matches!(self.master.try_wait(), Ok(Some(_))) {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Not SIGKILL at once: the workers would outlive their master.
        if matches!(self.master.try_wait(), Ok(None)) {
            self.signal("-TERM");
            if !self.wait_for_exit() {
                let _ = self.master.kill();
                let _ = self.master.wait();
            }
        }
    }
}

fn read_all(mut connection: TcpStream) -> Vec<u8> {
    connection.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
    let mut answer = Vec::new();
    match connection.read_to_end(&mut answer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nginx did not close the connection"),
        // A reset after a bad request is an end too.
        _ => answer,
    }
}

/// Whether nginx accepts this http block, and what it says when not.
pub fn check(http: impl Fn(u16, &Path) -> String) -> Result<(), String> {
    let prefix = tempfile::tempdir().expect("a temporary folder");
    write_conf(prefix.path(), &http(ports::free(), prefix.path()));
    let output = command(prefix.path()).arg("-t").output().unwrap_or_else(|error| missing(&error));
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn command(prefix: &Path) -> Command {
    // Debian has nginx in /usr/sbin, which is not in the PATH of every user.
    let program = Path::new("/usr/sbin/nginx");
    let mut command =
        Command::new(if program.exists() { program.to_owned() } else { PathBuf::from("nginx") });
    let error_log = prefix.join("error.log");
    command.arg("-p").arg(prefix).arg("-c").arg(prefix.join("nginx.conf")).arg("-e").arg(error_log);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn missing(error: &std::io::Error) -> ! {
    panic!("nginx could not be started: {error}. These tests need a real one: apt-get install nginx")
}

fn write_conf(prefix: &Path, http: &str) {
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {};\n", prefix.join(format!("{kind}_temp")).display()));
    // As root, workers that are nobody could not enter the prefix.
    let conf = format!(
        "user root root;\ndaemon off;\nmaster_process on;\nworker_processes 1;\n\
         pid {pid};\nerror_log {log} info;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n{temp}    access_log off;\n{http}\n}}\n",
        pid = prefix.join("nginx.pid").display(),
        log = prefix.join("error.log").display(),
        temp = temp.concat(),
    );
    fs::write(prefix.join("nginx.conf"), conf).expect("the prefix is ours");
}

/// The formats and the site as they are shipped, but for where it listens, what it is in front of, and where it logs to.
pub fn shipped_site(port: u16, prefix: &Path, upstream: &str) -> String {
    let prefix = prefix.display();
    let replaced = [
        ("listen 80;", format!("listen 127.0.0.1:{port};")),
        ("listen [::]:80;", String::new()),
        ("server 127.0.0.1:8080;", upstream.to_owned()),
        ("/var/log/nginx/", format!("{prefix}/")),
    ];
    let mut site = include_str!("../../nginx/rgw.conf").to_owned();
    for (shipped, here) in replaced {
        assert!(site.contains(shipped), "nginx/rgw.conf has no `{shipped}` any more");
        site = site.replace(shipped, &here);
    }
    format!("{}\n{site}", include_str!("../../nginx/log_format.conf"))
}

/// A gateway that answers every request with 200 and a body of five bytes. Ends with the test's process.
pub fn backend() -> u16 {
    backend_with(|_| 200)
}

/// The same, with the status that this makes of the head of a request.
pub fn backend_with(status: fn(&str) -> u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("no free port on 127.0.0.1");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || answer(connection, status));
        }
    });
    port
}

/// Reads a request, its body too, and answers it.
fn answer(mut connection: TcpStream, status: fn(&str) -> u16) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    let header = loop {
        match connection.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&buffer[..length]),
        }
        if let Some(end) = request.windows(4).position(|end| end == b"\r\n\r\n") {
            break String::from_utf8_lossy(&request[..end]).into_owned();
        }
    };
    let body =
        |line: &str| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok();
    let mut missing = header.lines().find_map(body).unwrap_or_default();
    missing = missing.saturating_sub(request.len() - header.len() - 4);
    while missing > 0 {
        match connection.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => missing = missing.saturating_sub(length),
        }
    }
    let body = if header.starts_with("HEAD ") { "" } else { "hello" };
    let answer = format!(
        "HTTP/1.1 {} As wished\r\nx-amz-request-id: tx00000-1-default\r\nContent-Length: 5\r\n\
         Connection: close\r\n\r\n{body}",
        status(&header)
    );
    let _ = connection.write_all(answer.as_bytes());
}
