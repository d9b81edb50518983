//! The command line: one file a command. Nothing else in the crate prints.

pub mod args;
mod ceph;
mod check;
mod context;
mod demo;
mod explain;
mod json;
mod probe;
mod progress;
mod quarantine;
mod replay;
mod report;
mod resend;
mod run;
mod status;
mod table;
mod time_arg;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser as _};

use args::{Args, Command};
pub use time_arg::{TimeArg, TimeArgError};

use crate::{access_log::FormatError, config::ConfigError};

/// All is well.
const OK: u8 = 0;
/// It failed, or found something.
const FAILED: u8 = 1;
/// Wrong usage or configuration.
const USAGE: u8 = 2;

/// Runs the command that the arguments of this process name.
pub fn main() -> ExitCode {
    let args = Args::parse();
    args.global.anstream().write_global();
    let code = match dispatch(&args) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => OK,
        Err(error) => {
            // Standard error may be closed: then there is nobody to tell.
            let _ = writeln!(anstream::stderr(), "rgwlens: {error:#}");
            if is_usage(&error) { USAGE } else { FAILED }
        }
    };
    ExitCode::from(code)
}

fn dispatch(args: &Args) -> anyhow::Result<u8> {
    match &args.command {
        Command::Run => run::run(&args.global),
        Command::Replay(replay) => replay::run(&args.global, replay),
        Command::Resend(resend) => resend::run(&args.global, resend),
        Command::Quarantine(quarantine) => quarantine::run(&args.global, quarantine),
        Command::Report(report) => report::run(&args.global, report),
        Command::Status(status) => status::run(&args.global, status),
        Command::Explain(explain) => explain::run(&args.global, explain),
        Command::Check(check) => check::run(&args.global, check),
        Command::Probe(probe) => probe::run(&args.global, probe),
        Command::Ceph(ceph) => ceph::run(&args.global, *ceph),
        Command::Demo(demo) => demo::run(&args.global, demo),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Args::command(), "rgwlens", &mut io::stdout());
            Ok(OK)
        }
        Command::Man => {
            clap_mangen::Man::new(Args::command()).render(&mut io::stdout())?;
            Ok(OK)
        }
    }
}

/// What the operator wrote is wrong, not what the program met.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<Usage>() || cause.is::<ConfigError>() || cause.is::<FormatError>())
}

/// Whoever read our output has seen enough (`rgwlens report | head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}
