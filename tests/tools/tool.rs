//! Programs of `tests/tools`, used by several test binaries: built by `go build` where they are not there yet, and a registry
//! of OCI artifacts on loopback.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// One build at a time; Go's cache makes the second cheap.
static BUILD: Mutex<()> = Mutex::new(());

/// The path of a program, built from a package of the module `tests/tools`. `None` where there is no Go, said loudly.
pub(crate) fn tool(name: &str, package: &str) -> Option<PathBuf> {
    let _one = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools");
    let program = module.join("bin").join(name);
    let fresh = package.starts_with("./");
    if program.is_file() && !fresh {
        return Some(program);
    }
    let mut build = Command::new("go");
    build.args(["build", "-trimpath", "-o"]).arg(&program).arg(package).current_dir(&module);
    match build.output() {
        Ok(output) => {
            assert!(output.status.success(), "go build {package}: {}", String::from_utf8_lossy(&output.stderr));
            Some(program)
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: what needs {name}: no Go ({error}) ***");
            None
        }
    }
}

/// OPA itself.
pub(crate) fn opa() -> Option<PathBuf> {
    tool("opa", "github.com/open-policy-agent/opa")
}

/// Fresh keys in a folder: `rsa`, `rsa1`, `ec`, `ec1` and their `.pub`.
pub(crate) fn keys(folder: &Path) -> Option<()> {
    let status = Command::new(tool("newkey", "./newkey")?).arg(folder).status().unwrap();
    assert!(status.success());
    Some(())
}

/// A registry that holds everything in memory; it ends with the value.
pub(crate) struct Registry {
    process: Child,
    /// Its port on loopback.
    pub(crate) port: u16,
}

impl Registry {
    /// Starts one, on any port where `port` is 0.
    pub(crate) fn start(port: u16) -> Option<Self> {
        let program = tool("registry", "github.com/google/go-containerregistry/cmd/registry")?;
        let mut process = Command::new(program)
            .arg(format!("-port={port}"))
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let said = line.trim().rsplit(' ').next().and_then(|port| port.parse().ok());
        let port = said.unwrap_or_else(|| panic!("the registry says {line:?}"));
        // its log must go somewhere
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Some(Self { process, port })
    }

    /// A reference into it. The program listens on `localhost`, which may be either loopback address.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("oci://localhost:{}/{name}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
