//! Parse, run, exit code: 0 clean, 1 violations, 2 could not run.

use std::process::ExitCode;

fn main() -> ExitCode {
    seawall::cli::main()
}
