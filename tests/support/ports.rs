//! Ports that nobody listens on.

use std::net::TcpListener;

/// A port of 127.0.0.1 that was free a moment ago. Someone else may take it before you do: then take another.
pub fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("no free port on 127.0.0.1");
    listener.local_addr().expect("a bound socket has an address").port()
}
