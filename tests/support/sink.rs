//! A server that takes all points and remembers them, as they came. It answers no questions.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Speaks `/write`; ends with the test's process.
pub struct Sink {
    /// Base URL.
    pub url: String,
    lines: Arc<Mutex<BTreeSet<String>>>,
    away: Arc<AtomicBool>,
}

impl Sink {
    /// On a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("no free port on 127.0.0.1");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let lines = Arc::new(Mutex::new(BTreeSet::new()));
        let away = Arc::new(AtomicBool::new(false));
        let (received, is_away) = (Arc::clone(&lines), Arc::clone(&away));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (received, is_away) = (Arc::clone(&received), Arc::clone(&is_away));
                thread::spawn(move || serve(connection, &received, &is_away));
            }
        });
        Self { url, lines, away }
    }

    /// All different lines of all requests. The same point twice is the same point.
    pub fn lines(&self) -> BTreeSet<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on it takes what comes and then hangs up without an answer, or no more.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }
}

/// One request after the other, until the client closes. `None` at the end.
fn serve(connection: TcpStream, lines: &Mutex<BTreeSet<String>>, away: &AtomicBool) -> Option<()> {
    let mut reader = BufReader::new(connection.try_clone().ok()?);
    loop {
        let (mut length, mut writes) = (0, false);
        let mut header = String::new();
        loop {
            header.clear();
            if reader.read_line(&mut header).ok()? == 0 {
                return None;
            }
            if header.trim_end().is_empty() {
                break;
            }
            writes |= header.starts_with("POST /write");
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        if !writes {
            (&connection).write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").ok()?;
            continue;
        }
        // Before the answer: what was acknowledged can be seen.
        let body = String::from_utf8(body).expect("line protocol is UTF-8: the output has gzip off");
        lines.lock().unwrap_or_else(PoisonError::into_inner).extend(body.lines().map(str::to_owned));
        if away.load(Ordering::SeqCst) {
            return None;
        }
        (&connection).write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}
