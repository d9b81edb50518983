//! A proxy between a client and a gateway that does what networks do.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What becomes of what passes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// The last byte of every answer's body to a GET of an object is another.
    Corrupt,
    /// From the first DELETE on nothing passes any more; see [`Proxy::has_stalled`].
    StallAtDelete,
    /// Every connection ends with the first bytes of the first answer.
    CutAnswers,
}

/// Listens at 127.0.0.1:`port`. Ends with the test's process.
pub struct Proxy {
    pub port: u16,
    stalled: Arc<AtomicBool>,
}

impl Proxy {
    pub fn start(to: u16, harm: Harm) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("no free port on 127.0.0.1");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let stalled = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stalled);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let flag = Arc::clone(&flag);
                thread::spawn(move || serve(client, to, harm, &flag));
            }
        });
        Self { port, stalled }
    }

    /// A DELETE came, and waits for ever.
    pub fn has_stalled(&self) -> bool {
        self.stalled.load(Ordering::SeqCst)
    }
}

fn serve(client: TcpStream, to: u16, harm: Harm, stalled: &Arc<AtomicBool>) {
    let Ok(gateway) = TcpStream::connect(("127.0.0.1", to)) else { return };
    let is_get = Arc::new(AtomicBool::new(false));
    let (up, down) = (pair(&client, &gateway), pair(&gateway, &client));
    let (stalled, asked) = (Arc::clone(stalled), Arc::clone(&is_get));
    thread::spawn(move || {
        pass(up, |piece| {
            let method = |name: &[u8]| piece.starts_with(name);
            if method(b"GET ") || method(b"PUT ") || method(b"DELETE ") {
                // The path of an object has two slashes more than that of a bucket.
                let path = piece.split(|b| matches!(b, b' ' | b'?')).nth(1).unwrap_or_default();
                let is_object = path.iter().filter(|b| **b == b'/').count() > 2;
                asked.store(method(b"GET ") && is_object, Ordering::SeqCst);
            }
            if harm == Harm::StallAtDelete && method(b"DELETE ") {
                stalled.store(true, Ordering::SeqCst);
            }
            !stalled.load(Ordering::SeqCst)
        });
    });
    pass(down, |piece| {
        let body = piece.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
        let has_body = !piece.starts_with(b"HTTP/1.") || body < piece.len();
        if harm == Harm::Corrupt && is_get.load(Ordering::SeqCst) && has_body {
            *piece.last_mut().expect("not empty") ^= 1;
        }
        if harm == Harm::CutAnswers {
            piece.truncate(20);
        }
        harm != Harm::CutAnswers
    });
}

fn pair(from: &TcpStream, to: &TcpStream) -> (TcpStream, TcpStream) {
    (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"))
}

/// Until one side ends. `each` may change a piece; `false` after it: no more passes, and the connection ends unless it
/// stalls.
fn pass((mut from, mut to): (TcpStream, TcpStream), mut each: impl FnMut(&mut Vec<u8>) -> bool) {
    let mut buffer = [0; 64 << 10];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let mut piece = buffer[..length].to_vec();
        let goes_on = each(&mut piece);
        if !goes_on && piece.starts_with(b"DELETE ") {
            thread::park();
        }
        if to.write_all(&piece).is_err() || !goes_on {
            break;
        }
    }
    let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
}
