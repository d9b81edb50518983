//! Requests that nobody made: lines in the format `rgwlens`, the same for the same seed.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Numbers that look random (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below this.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Around 0, with a deviation of 1 (the sum of twelve).
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// Buckets, the first ones far more often than the last ones (Zipf).
const BUCKETS: u64 = 40;

/// What goes wrong, once in a while.
const FAILURES: [u16; 8] = [301, 304, 403, 404, 416, 499, 500, 503];

/// A line of a request that was answered at this time.
pub fn line(random: &mut Random, time_ms: i64) -> String {
    let bucket = ((BUCKETS as f64).powf(random.share()) as u64).saturating_sub(1);
    let key = random.next();
    let (method, query, upload, status) = match random.below(20) {
        0..=8 => ("GET", "", false, 200),
        9..=14 => ("PUT", "", true, 200),
        15 => ("DELETE", "", false, 204),
        16 => ("HEAD", "", false, 200),
        17 => ("GET", "?uploads", false, 200),
        18 => ("POST", "?uploads", false, 200),
        _ => ("PUT", "?partNumber=1&uploadId=x", true, 200),
    };
    let status = if random.below(12) == 0 { random.of(&FAILURES) } else { status };
    // One in ten is larger than a mebibyte, and takes its time.
    let size = match random.below(10) {
        0 => 1 << 20 | random.below(1 << 28),
        _ => random.below(1 << 20),
    };
    let (bytes_in, bytes_out) = match (upload, status) {
        (true, _) => (size, 0),
        (false, 204 | 304 | 499) => (0, 0),
        (false, 200) if method == "GET" => (0, size),
        (false, _) => (0, random.below(400)),
    };
    // The median is 40 ms; one in a thousand takes more than ten seconds.
    let mut time = 40.0 * (1.7 * random.normal()).exp();
    if random.below(1000) == 0 {
        time += 10_000.0 + random.below(60_000) as f64;
    }
    let time = time as u64;
    let content_length = if upload { bytes_in.to_string() } else { "-".to_owned() };
    let request = match (query, random.below(30)) {
        ("?uploads", _) if method == "GET" => format!("GET /bucket{bucket}?uploads HTTP/1.1"),
        ("", 0) if method == "GET" => format!("GET /bucket{bucket}?list-type=2&prefix={key:x} HTTP/1.1"),
        ("", 1) if method == "GET" => "GET / HTTP/1.1".to_owned(),
        ("", 2) => format!("{method} /swift/v1/container{bucket}/{key:016x} HTTP/1.1"),
        _ => format!("{method} /bucket{bucket}/{key:016x}{query} HTTP/1.1"),
    };
    format!(
        "{}.{:03} {} 192.0.2.{} {status} {}.{:03} {} {bytes_out} {} \"127.0.0.1:8080\" \"{status}\" \"0.001\" \
         \"{}.{:03}\" \"tx{key:016x}\" \"-\" \"{content_length}\" \"s3.example.com\" \"{request}\" \"-\" \"-\" \
         \"generator/1\" \"-\"\n",
        time_ms / 1000,
        time_ms % 1000,
        iso8601(time_ms),
        random.below(256),
        time / 1000,
        time % 1000,
        bytes_in + 250,
        bytes_out + 200,
        time / 1000,
        time % 1000,
    )
}

/// As nginx's `$time_iso8601`.
fn iso8601(time_ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(time_ms).expect("a time of this century");
    time.format("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// The wall clock.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// Writes lines to a log as nginx's workers do, until it is told to stop: a few at a time, torn at any place, some with a
/// time a while ago.
pub struct Traffic {
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    path: PathBuf,
    lines: u64,
    /// The log was renamed: write on where it is now, and then make a new one.
    rotated: bool,
    stop: bool,
}

impl Traffic {
    /// To this log, which is made.
    pub fn start(path: &Path, seed: u64) -> Self {
        let shared = Shared { path: path.to_owned(), lines: 0, rotated: false, stop: false };
        let shared = Arc::new(Mutex::new(shared));
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || write(&shared, &mut Random(seed))
        });
        Self { shared, thread: Some(thread) }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines written so far.
    pub fn lines(&self) -> u64 {
        self.shared().lines
    }

    /// Waits until so many more lines are written.
    pub fn wait_for_more(&self, lines: u64) {
        let goal = self.lines() + lines;
        super::wait_for("more lines are written", || (self.lines() >= goal).then_some(()));
    }

    /// Renames the log, as logrotate does; the writer goes on in the old one for a moment, and then makes a new one.
    pub fn rotate(&self, to: &Path) {
        let mut shared = self.shared();
        fs::rename(&shared.path, to).expect("rename");
        shared.rotated = true;
        drop(shared);
        super::wait_for("the log is made anew", || (!self.shared().rotated).then_some(()));
    }

    /// Ends with a whole line. Gives how many lines there are in all.
    pub fn stop(mut self) -> u64 {
        self.shared().stop = true;
        self.join();
        self.lines()
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the writer panicked");
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared().stop = true;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(shared: &Mutex<Shared>, random: &mut Random) {
    let open = |path: &Path| File::options().create(true).append(true).open(path).expect("the log");
    let mut file = open(&shared.lock().unwrap_or_else(PoisonError::into_inner).path);
    loop {
        let mut lines = 0;
        let mut text = String::new();
        for _ in 0..=random.below(20) {
            // One in fifty is so late that its window has closed.
            let ago = if random.below(50) == 0 { random.below(6_000) } else { random.below(200) };
            text.push_str(&line(random, now_ms() - ago as i64));
            lines += 1;
        }
        let torn = random.below(text.len() as u64) as usize;
        file.write_all(&text.as_bytes()[..torn]).expect("write");
        thread::sleep(Duration::from_millis(random.below(3)));
        file.write_all(&text.as_bytes()[torn..]).expect("write");
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.lines += lines;
        if shared.stop {
            return;
        }
        if shared.rotated && random.below(4) == 0 {
            file = open(&shared.path);
            shared.rotated = false;
        }
    }
}
