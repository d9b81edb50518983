//! Progress bars: on standard error, only where somebody watches, only for what takes a while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::context;
use crate::replay::Progress;

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// A bar that follows a counter.
#[derive(Default)]
pub(super) struct Bar {
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Progress for Bar {
    fn begin(&mut self, what: &'static str, bytes: u64, read: Arc<AtomicU64>) {
        if !context::is_watched() {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let style = "{msg:>8} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                bar.set_position(read.load(Ordering::Relaxed));
                thread::park_timeout(TICK);
            }
            bar.finish_and_clear();
        });
        self.running = Some((done, thread));
    }

    fn end(&mut self) {
        if let Some((done, thread)) = self.running.take() {
            done.store(true, Ordering::Relaxed);
            thread.thread().unpark();
            // It only draws: if it panicked, there is no bar.
            let _ = thread.join();
        }
    }
}
