//! Runs the real binary where the fixtures are, with an environment that changes nothing.

use assert_cmd::Command;
use std::io::Write as _;
use std::path::PathBuf;

/// What a run left behind.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The folder of the fixtures, in which everything runs.
pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/check")
}

/// The binary without variables of the caller.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command.env_clear().current_dir(fixtures());
    command
}

/// Runs `seawall` with standard input.
pub(crate) fn seawall(args: &[&str], stdin: &str) -> Run {
    let output = binary().args(args).write_stdin(stdin).output().expect("the binary runs");
    Run {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// `seawall check` with the small policies of the fixtures.
pub(crate) fn check(args: &[&str], stdin: &str) -> Run {
    let mut all = vec!["check", "--policies", "policies", "--policies-only"];
    all.extend_from_slice(args);
    seawall(&all, stdin)
}

/// The same, from files only.
pub(crate) fn check_files(args: &[&str]) -> Run {
    check(args, "")
}

/// Says that something was not tried, past the capture of the test harness.
pub(crate) fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: {what} ***");
}
