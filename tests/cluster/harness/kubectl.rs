//! The real `kubectl`, with a kubeconfig and a home directory of its own.

use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// One `kubectl` may not take longer; a hang is a failure, not a time-out of CI.
const PATIENCE: Duration = Duration::from_secs(120);

/// `kubectl` as one user.
#[derive(Clone)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
    identity: Vec<String>,
}

/// What one call printed and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    /// Warnings (`Warning: …`) and errors.
    pub(crate) stderr: String,
}

impl Output {
    /// Passes the output on when the call succeeded, else fails the test.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.status.success(), "kubectl failed with {}\n{}{}", self.status, self.stdout, self.stderr);
        self
    }

    /// Passes the output on when the call failed, else fails the test.
    #[track_caller]
    pub(crate) fn refused(self) -> Self {
        assert!(!self.status.success(), "kubectl was expected to fail\n{}{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless stderr holds every one of these.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is missing in\n{}", self.stderr);
        }
        self
    }

    /// Fails the test unless the request was refused by Seawall in the name of `policy`.
    ///
    /// `docs/coverage.md` is made from the calls of this method, of [`Output::warned_by`] and [`Output::patched_by`] and of
    /// their like: `policy` must stand there as text, within a test.
    #[track_caller]
    pub(crate) fn denied_by(self, policy: &str) -> Self {
        self.refused().says(&["denied the request", &format!(". [{policy}] "), "fix: "])
    }

    /// Fails the test unless the request went through and `policy` warned about it. See [`Output::denied_by`].
    #[track_caller]
    pub(crate) fn warned_by(self, policy: &str) -> Self {
        let output = self.ok();
        let start = format!("[{policy}] ");
        assert!(output.warnings().iter().any(|w| w.starts_with(&start)), "no {start} in\n{}", output.stderr);
        output
    }

    /// Fails the test unless the request went through and a default of `policy` was announced. See [`Output::denied_by`].
    #[track_caller]
    pub(crate) fn patched_by(self, policy: &str) -> Self {
        let output = self.ok();
        let end = format!("[{policy}]");
        let announced = output.warnings().iter().any(|w| w.starts_with("seawall set ") && w.ends_with(&end));
        assert!(announced, "no `seawall set … {end}` in\n{}", output.stderr);
        output
    }

    /// The texts of the `Warning:` lines.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.stderr.lines().filter_map(|line| line.strip_prefix("Warning: ")).collect()
    }

    /// Fails the test when anything was said to the user beside the plain result.
    #[track_caller]
    pub(crate) fn quiet(self) -> Self {
        assert_eq!(self.stderr, "", "kubectl should have been silent");
        self
    }
}

impl Kubectl {
    pub(crate) fn new(program: PathBuf, kubeconfig: PathBuf, home: PathBuf) -> Self {
        Self { program, kubeconfig, home, identity: Vec::new() }
    }

    /// Where the program is, for a call of another kind.
    pub(crate) fn program(&self) -> PathBuf {
        self.program.clone()
    }

    /// The same, impersonating a user (`--as`); the caller must be allowed to impersonate.
    pub(crate) fn impersonate(&self, user: &str, groups: &[&str]) -> Self {
        let mut identity = vec![format!("--as={user}")];
        identity.extend(groups.iter().map(|group| format!("--as-group={group}")));
        Self { identity, ..self.clone() }
    }

    /// Runs `kubectl ARGS` with `stdin`.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str], stdin: &str) -> Output {
        let mut child = Command::new(&self.program)
            .args(args)
            .args(&self.identity)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            .env("KUBECACHEDIR", self.home.join("cache"))
            .env("NO_PROXY", "*")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run {}: {e}", self.program.display()));
        let mut input = child.stdin.take().unwrap();
        let text = stdin.to_owned();
        // kubectl may end without reading all of it
        let writer = thread::spawn(move || drop(input.write_all(text.as_bytes())));
        let stdout = drain(child.stdout.take().unwrap());
        let stderr = drain(child.stderr.take().unwrap());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!("kubectl {args:?} took longer than {PATIENCE:?}");
            }
            thread::sleep(Duration::from_millis(5));
        };
        writer.join().unwrap();
        Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    }

    /// `kubectl apply -f -`, plus flags.
    #[track_caller]
    pub(crate) fn apply(&self, manifest: &str, flags: &[&str]) -> Output {
        let mut args = vec!["apply", "-f", "-"];
        args.extend(flags);
        self.run(&args, manifest)
    }

    /// `kubectl get ARGS -o json`; the object must exist.
    #[track_caller]
    pub(crate) fn get(&self, args: &[&str]) -> Value {
        let mut all = vec!["get"];
        all.extend(args);
        all.extend(["-o", "json", "--show-managed-fields"]);
        serde_json::from_str(&self.run(&all, "").ok().stdout).unwrap()
    }

    /// Polls `kubectl get` until `condition` holds of the object; gives the object.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, args: &[&str], condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut all = vec!["get"];
        all.extend(args);
        all.extend(["-o", "json"]);
        loop {
            let output = self.run(&all, "");
            if let Some(object) = serde_json::from_str::<Value>(&output.stdout).ok().filter(|o| condition(o)) {
                return object;
            }
            assert!(Instant::now() < deadline, "not within a minute: {what}\n{}{}", output.stdout, output.stderr);
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn drain(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
