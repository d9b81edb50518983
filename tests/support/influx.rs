//! Real servers to write to: each in a directory of its own, on a free port, gone when dropped.
//!
//! A server that is not installed fails the test that needs it, and says what to install.

use rgwlens::influx::{Kind, Secret, Target};
use std::{
    fmt::Write as _,
    fs::File,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

use super::{PATIENCE, ports, process::Process, wait_for};

/// Another process may take the port that was free a moment ago.
const TRIES: u32 = 5;

/// InfluxDB 1.6 (`influxd`), with authentication.
pub struct InfluxDb {
    /// Base URL.
    pub url: String,
    /// An administrator.
    pub user: String,
    /// The administrator's password.
    pub password: String,
    server: Server,
}

/// What differs from `influxd`'s defaults.
#[derive(Clone, Copy, Default)]
pub struct Overrides {
    /// `max-body-size`, bytes.
    pub max_body_size: Option<u64>,
    /// `max-values-per-tag`.
    pub max_values_per_tag: Option<u64>,
}

impl InfluxDb {
    /// With the defaults.
    pub fn start() -> Self {
        Self::start_with(Overrides::default())
    }

    /// One server for all tests of a binary that run at the same time; the last to finish stops it. Every test must use
    /// a database of its own.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<InfluxDb>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Self::start());
            *shared = Arc::downgrade(&started);
            started
        })
    }

    /// With other limits.
    pub fn start_with(overrides: Overrides) -> Self {
        let (user, password) = ("admin".to_owned(), format!("pw-{}", std::process::id()));
        let server = Server::start(
            "influxd",
            "influxdb",
            |dir, port| {
                std::fs::write(dir.join(CONFIG), configuration(dir, port, overrides)).expect("write");
                influxd(dir)
            },
            |port| {
                let create = format!("CREATE USER {user} WITH PASSWORD '{password}' WITH ALL PRIVILEGES");
                // Fails on a server that is not the one just started: that one has an administrator already.
                http(port, "GET", "/ping", &[], b"")?.0.eq(&204).then_some(())?;
                http(port, "POST", "/query", &[FORM], form(&create).as_bytes())?.0.eq(&200).then_some(())
            },
        );
        Self { url: format!("http://127.0.0.1:{}", server.port), user, password, server }
    }

    /// Stops it. What it has stays.
    pub fn stop(&mut self) {
        if let Some(process) = self.server.process.take() {
            process.end("TERM");
        }
    }

    /// Starts it again, on the same port and with all it had.
    pub fn start_again(&mut self) {
        // The port may be in the hands of a dying connection for a moment.
        let port = self.server.port;
        let process = wait_for("influxd takes its port again", || {
            let mut process = Process::start(&mut influxd(self.server.dir.path())).expect("influxd");
            while process.ended().is_none() {
                if http(port, "GET", "/ping", &[], b"").is_some_and(|answer| answer.0 == 204) {
                    return Some(process);
                }
                thread::sleep(Duration::from_millis(10));
            }
            None
        });
        self.server.process = Some(process);
    }

    /// Every measurement that counts requests, and the one that counts lines, add up to the lines there are.
    #[track_caller]
    pub fn assert_counted_once(&self, database: &str, lines: u64) {
        for (measurement, field) in [
            ("rgw_log", "lines"),
            ("rgw_node", "requests"),
            ("rgw_bucket", "requests"),
            ("rgw_operation", "requests"),
        ] {
            assert_eq!(self.sum(database, measurement, field), lines, "{measurement} in {database}");
        }
    }

    /// A total over all of a measurement: `field` added up over every point.
    pub fn sum(&self, database: &str, measurement: &str, field: &str) -> u64 {
        let rows = self.rows(database, &format!("SELECT sum(\"{field}\") FROM \"{measurement}\""));
        rows.first().and_then(|row| row[1].as_u64()).unwrap_or(0)
    }

    /// Runs InfluxQL as the administrator; the times in the answer are milliseconds.
    pub fn query(&self, database: &str, statement: &str) -> serde_json::Value {
        use base64::Engine as _;
        let login =
            base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", self.user, self.password));
        let authorization = ("Authorization", format!("Basic {login}"));
        let headers = [FORM, (authorization.0, authorization.1.as_str())];
        let path = format!("/query?epoch=ms&db={database}");
        let (status, body) = http(self.server.port, "POST", &path, &headers, form(statement).as_bytes())
            .expect("influxd answers a query");
        let answer: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let error = answer.pointer("/results/0/error");
        assert!(status == 200 && error.is_none(), "{statement}: {status} {answer}");
        answer
    }

    /// The rows of a `SELECT`, each as its columns are.
    pub fn rows(&self, database: &str, statement: &str) -> Vec<serde_json::Value> {
        let answer = self.query(database, statement);
        let values = answer.pointer("/results/0/series/0/values");
        values.and_then(|values| values.as_array().cloned()).unwrap_or_default()
    }

    /// Creates a database, and gives the target that writes to it as the administrator.
    pub fn database(&self, name: &str) -> Target {
        self.query("", &format!("CREATE DATABASE \"{name}\""));
        self.target(name)
    }

    /// The target that writes to this database as the administrator.
    pub fn target(&self, database: &str) -> Target {
        target(
            &self.url,
            Kind::Influx1 {
                database: database.to_owned(),
                retention_policy: None,
                login: Some((self.user.clone(), Secret::Value(self.password.clone()))),
            },
        )
    }
}

/// VictoriaMetrics (`victoria-metrics`), dropping duplicates within a millisecond.
pub struct VictoriaMetrics {
    /// Base URL.
    pub url: String,
    server: Server,
}

impl VictoriaMetrics {
    /// As the documentation asks for it.
    pub fn start() -> Self {
        Self::start_with(&["-dedup.minScrapeInterval=1ms"])
    }

    /// With other options.
    pub fn start_with(options: &[&str]) -> Self {
        let server = Server::start(
            "victoria-metrics",
            "victoria-metrics",
            |dir, port| {
                let mut command = Command::new("victoria-metrics");
                command
                    .arg(format!("-storageDataPath={}", dir.join("data").display()))
                    .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
                    .arg("-retentionPeriod=100y")
                    .args(options);
                command
            },
            |port| http(port, "GET", "/health", &[], b"")?.0.eq(&200).then_some(()),
        );
        Self { url: format!("http://127.0.0.1:{}", server.port), server }
    }

    /// Everything that matches this selector, one line of JSON a series, after what was written has become visible.
    pub fn export(&self, selector: &str) -> Vec<serde_json::Value> {
        http(self.server.port, "GET", "/internal/force_flush", &[], b"").expect("flush");
        let body = form_value("match[]", selector) + "&start=0";
        let (status, body) =
            http(self.server.port, "POST", "/api/v1/export", &[FORM], body.as_bytes()).expect("export");
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        body.split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("a line of JSON"))
            .collect()
    }

    /// A total over all samples of a metric.
    pub fn sum(&self, metric: &str) -> u64 {
        let series = self.export(&format!("{{__name__=\"{metric}\"}}"));
        let values = series.iter().filter_map(|series| series["values"].as_array()).flatten();
        values.filter_map(serde_json::Value::as_f64).sum::<f64>() as u64
    }

    /// The target that writes to it.
    pub fn target(&self) -> Target {
        target(&self.url, Kind::VictoriaMetrics { login: None })
    }
}

/// A target with limits that fit tests.
pub fn target(url: &str, kind: Kind) -> Target {
    Target {
        name: "test".to_owned(),
        kind,
        url: url.to_owned(),
        gzip: true,
        connect_timeout: PATIENCE,
        timeout: PATIENCE,
        ca_file: None,
        batch_points: 5_000,
        batch_bytes: 1 << 20,
        retention: None,
        required: true,
    }
}

/// A process, its directory and its port.
struct Server {
    port: u16,
    process: Option<Process>,
    dir: TempDir,
}

impl Server {
    /// Starts it until `ready` says that it is.
    fn start(
        program: &str,
        package: &str,
        command: impl Fn(&Path, u16) -> Command,
        ready: impl Fn(u16) -> Option<()>,
    ) -> Self {
        let mut last = String::new();
        for _ in 0..TRIES {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let port = ports::free();
            let log = File::create(dir.path().join("log")).expect("a log");
            let mut command = command(dir.path(), port);
            command.stdout(log.try_clone().expect("a second handle")).stderr(log);
            let mut process = Process::start(&mut command).unwrap_or_else(|error| {
                panic!("this test needs {program} ({error}): apt-get install {package}")
            });
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline && process.ended().is_none() {
                if ready(port).is_some() {
                    return Self { port, process: Some(process), dir };
                }
                thread::sleep(Duration::from_millis(10));
            }
            last = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        }
        panic!("{program} did not start:\n{last}");
    }
}

/// Its configuration, in its folder.
const CONFIG: &str = "influxdb.conf";

fn influxd(dir: &Path) -> Command {
    let mut command = Command::new("influxd");
    command.arg("-config").arg(dir.join(CONFIG)).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn configuration(dir: &Path, port: u16, overrides: Overrides) -> String {
    let dir = dir.display();
    let mut text = format!(
        r#"
reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
dir = "{dir}/meta"
[data]
dir = "{dir}/data"
wal-dir = "{dir}/wal"
query-log-enabled = false
"#
    );
    if let Some(most) = overrides.max_values_per_tag {
        let _ = writeln!(text, "max-values-per-tag = {most}");
    }
    let _ = write!(
        text,
        r#"
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = true
log-enabled = false
"#
    );
    if let Some(most) = overrides.max_body_size {
        let _ = writeln!(text, "max-body-size = {most}");
    }
    text
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn form(statement: &str) -> String {
    form_value("q", statement)
}

fn form_value(key: &str, value: &str) -> String {
    let mut form = format!("{key}=");
    for byte in value.bytes() {
        let _ = write!(form, "%{byte:02X}");
    }
    form
}

/// One request over a connection of its own, by hand: the tests look at servers, not at the client under test.
pub fn http(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    // HTTP/1.0: no chunks, and the end of the answer is the end of the connection.
    let mut head =
        format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
    Some((status, answer[end + 4..].to_vec()))
}
