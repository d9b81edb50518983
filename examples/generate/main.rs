//! Writes an access log of S3 traffic that nobody made, in nginx's `main` format, the same for the same numbers:
//!
//! ```sh
//! cargo run --release --example generate -- 5000000 1000 > access.log    # lines, buckets [seed]
//! ```

mod traffic;

use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use traffic::Traffic;

fn main() -> ExitCode {
    let numbers: Result<Vec<u64>, _> = std::env::args().skip(1).map(|number| number.parse()).collect();
    let Ok([lines, buckets, seed @ ..]) = numbers.as_deref() else {
        return usage();
    };
    let (0 | 1, 1..) = (seed.len(), *buckets) else { return usage() };
    let mut traffic = Traffic::new(*buckets, seed.first().copied().unwrap_or(1));
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let written = (0..*lines).try_for_each(|_| out.write_all(traffic.line())).and_then(|()| out.flush());
    match written {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads it, as `head` does, has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn usage() -> ExitCode {
    let _ = writeln!(io::stderr(), "usage: generate LINES BUCKETS [SEED]");
    ExitCode::from(2)
}
