//! Child processes that cannot outlive the test binary.
//!
//! libtest never drops statics and a killed test runner drops nothing, so `Drop` alone would leave an API server running
//! after every run. Each child therefore runs under a small `sh` that holds the read end of a pipe: when the write end closes,
//! for whatever reason, the shell kills the child. No `unsafe` and no `PR_SET_PDEATHSIG` needed.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// `$1` is the pid file, the rest is the command. Ends with the child's status; kills the child at the end of stdin.
const GUARD: &str = r#"
pidfile=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
echo "$child" >"$pidfile.new" && mv "$pidfile.new" "$pidfile"
( cat <&3 >/dev/null; kill -KILL "$child" 2>/dev/null ) &
guard=$!
exec 3<&-
wait "$child"
status=$?
kill "$guard" 2>/dev/null
exit "$status"
"#;

/// How long polling loops sleep between two looks.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// A running child with its output in files; killed when dropped or when the test process ends.
pub(crate) struct Guarded {
    name: String,
    child: Child,
    lifeline: Option<ChildStdin>,
    pid_file: PathBuf,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Guarded {
    /// Starts `program` with `args`; pid and output go to `dir/name.{pid,stdout,stderr}`.
    pub(crate) fn spawn(name: &str, dir: &Path, program: &Path, args: &[String]) -> io::Result<Self> {
        Self::spawn_with(name, dir, program, args, &[])
    }

    /// As [`Guarded::spawn`], with extra environment variables.
    pub(crate) fn spawn_with(
        name: &str,
        dir: &Path,
        program: &Path,
        args: &[String],
        envs: &[(String, String)],
    ) -> io::Result<Self> {
        let pid_file = dir.join(format!("{name}.pid"));
        let stdout = dir.join(format!("{name}.stdout"));
        let stderr = dir.join(format!("{name}.stderr"));
        let _ = fs::remove_file(&pid_file);
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARD, "guard"])
            .arg(&pid_file)
            .arg(program)
            .args(args)
            .envs(envs.iter().map(|(k, v)| (k, v)))
            // proxies of the developer's shell must not come between parts on loopback
            .env_remove("HTTP_PROXY")
            .env_remove("HTTPS_PROXY")
            .env_remove("http_proxy")
            .env_remove("https_proxy")
            .env_remove("ALL_PROXY")
            .env_remove("all_proxy")
            .stdin(Stdio::piped())
            // never the runner's own output: a guard that lives a moment longer would keep `cargo test | cat` waiting
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .process_group(0);
        let mut child = command.spawn()?;
        let lifeline = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, lifeline, pid_file, stdout, stderr })
    }

    /// The child's own process id (not the guard's), waiting a moment for the guard to write it.
    pub(crate) fn pid(&self) -> Option<u32> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            if let Some(pid) = fs::read_to_string(&self.pid_file).ok().and_then(|t| t.trim().parse().ok()) {
                return Some(pid);
            }
            if Instant::now() > deadline {
                return None;
            }
            sleep(POLL);
        }
    }

    /// Sends a signal by name (`TERM`, `KILL`, `STOP`, …) to the child.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid().unwrap_or_else(|| panic!("{} has no pid", self.name));
        let status = Command::new("sh").args(["-c", r#"kill -"$1" "$2""#, "kill", signal, &pid.to_string()]).status();
        assert!(status.is_ok_and(|s| s.success()), "signal {signal} to {} (pid {pid})", self.name);
    }

    /// The exit status when the child has ended.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for the child to end by itself.
    pub(crate) fn wait_exit(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.exited() {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            sleep(POLL);
        }
    }

    /// Kills the child at once and waits for it.
    pub(crate) fn kill(&mut self) {
        drop(self.lifeline.take());
        if self.wait_exit(Duration::from_secs(5)).is_none() {
            let group = format!("-{}", self.child.id());
            let _ = Command::new("sh").args(["-c", r#"kill -KILL -- "$1""#, "kill", &group]).status();
            let _ = self.child.wait();
        }
    }

    /// What the child wrote to stdout so far.
    pub(crate) fn stdout(&self) -> String {
        read_lossy(&self.stdout)
    }

    /// What the child wrote to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        read_lossy(&self.stderr)
    }

    /// The last lines of both streams, for a failure message.
    pub(crate) fn log_tail(&self, lines: usize) -> String {
        let tail = |text: String| {
            let all: Vec<&str> = text.lines().collect();
            all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
        };
        format!("--- {} stdout\n{}\n--- {} stderr\n{}", self.name, tail(self.stdout()), self.name, tail(self.stderr()))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read_lossy(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// A temporary directory that disappears with the test process, also when nothing is dropped.
/// `SEAWALL_CLUSTER_KEEP=1` leaves it behind for a look at the logs.
pub(crate) struct ScratchDir {
    path: PathBuf,
    _lifeline: Option<ChildStdin>,
}

impl ScratchDir {
    /// Makes the directory and the shell that removes it.
    pub(crate) fn new(prefix: &str) -> io::Result<Self> {
        let path = tempfile::Builder::new().prefix(prefix).tempdir()?.keep();
        if std::env::var_os("SEAWALL_CLUSTER_KEEP").is_some() {
            return Ok(Self { path, _lifeline: None });
        }
        // the children need a moment to die; the last one to write a file would make the removal fail
        let script = r#"cat >/dev/null; for _ in 1 2 3 4 5; do sleep 1; rm -rf "$1" 2>/dev/null && exit; done"#;
        let mut janitor = Command::new("sh")
            .args(["-c", script, "janitor"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let lifeline = janitor.stdin.take();
        Ok(Self { path, _lifeline: lifeline })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Polls until `look` gives something, or fails the test with what was waited for.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        sleep(POLL);
    }
}
