//! SIGTERM and SIGINT stop, SIGHUP reloads.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// What somebody wants of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Stop,
    Reload,
}

/// Signals of this process, as they come.
pub(super) struct Signals {
    received: Receiver<Signal>,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let (sender, received) = channel();
        thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                let signal = if signal == SIGHUP { Signal::Reload } else { Signal::Stop };
                if sender.send(signal).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { received })
    }

    /// The next one, or none within this time.
    pub(super) fn wait(&self, timeout: Duration) -> Option<Signal> {
        match self.received.recv_timeout(timeout) {
            Ok(signal) => Some(signal),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Signal::Stop),
        }
    }
}
