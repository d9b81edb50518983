//! The program: everything is in the library, which tests can call.

use std::process::ExitCode;

fn main() -> ExitCode {
    rgwlens::cli::main()
}
