//! Finds etcd, kube-apiserver, kube-controller-manager and kubectl, or builds them.
//!
//! `KUBEBUILDER_ASSETS` wins when set (the convention of controller-runtime's envtest). Else `tests/controlplane/bin`, filled
//! by `go build` from the module beside it: the Go module proxy serves Kubernetes itself, so nothing is downloaded as a
//! binary. A file lock keeps two test binaries from building at once.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

/// The version that `tests/controlplane/go.mod` builds. Without the linker flag the server calls itself v0.0.0.
const KUBERNETES_VERSION: &str = "v1.35.4";

/// Go packages and the binaries that they become.
const PACKAGES: [(&str, &str); 4] = [
    ("go.etcd.io/etcd/server/v3", "etcd"),
    ("k8s.io/kubernetes/cmd/kubectl", "kubectl"),
    ("k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver"),
    ("k8s.io/kubernetes/cmd/kube-controller-manager", "kube-controller-manager"),
];

/// Where the four binaries are.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    dir: PathBuf,
}

impl Binaries {
    /// The path of one of them.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The binaries, found or built once per test process; the error says how to get them.
pub(crate) fn binaries() -> Result<&'static Binaries, &'static str> {
    static FOUND: OnceLock<Result<Binaries, String>> = OnceLock::new();
    FOUND.get_or_init(find).as_ref().map_err(String::as_str)
}

/// True when a missing control plane is a failure (`.ci/run` sets it), not a reason to skip.
pub(crate) fn required() -> bool {
    std::env::var("SEAWALL_CLUSTER_TESTS").is_ok_and(|v| v == "require")
}

/// Says it to the person at the terminal: libtest captures `eprintln!`, not the handle itself.
pub(crate) fn announce(message: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "\n{message}");
    let _ = stderr.flush();
}

fn find() -> Result<Binaries, String> {
    if std::env::var("SEAWALL_CLUSTER_TESTS").is_ok_and(|v| v == "skip") {
        return Err("SEAWALL_CLUSTER_TESTS=skip".to_owned());
    }
    if let Some(dir) = std::env::var_os("KUBEBUILDER_ASSETS").filter(|v| !v.is_empty()) {
        return from_assets(PathBuf::from(dir));
    }
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/controlplane");
    let bin = module.join("bin");
    fs::create_dir_all(&bin).map_err(|e| format!("cannot create {}: {e}", bin.display()))?;
    let lock = File::create(bin.join(".lock")).map_err(|e| format!("cannot lock {}: {e}", bin.display()))?;
    lock.lock().map_err(|e| format!("cannot lock {}: {e}", bin.display()))?;
    if !up_to_date(&module, &bin) {
        build(&module, &bin)?;
    }
    Ok(Binaries { dir: bin })
}

fn from_assets(dir: PathBuf) -> Result<Binaries, String> {
    let missing: Vec<&str> = PACKAGES.iter().map(|(_, name)| *name).filter(|name| !dir.join(name).is_file()).collect();
    if missing.is_empty() {
        return Ok(Binaries { dir });
    }
    Err(format!(
        "KUBEBUILDER_ASSETS={} lacks {}. setup-envtest brings no kube-controller-manager: unset the variable and the tests \
         build all four with Go",
        dir.display(),
        missing.join(", ")
    ))
}

/// All four are there and none is known to come from another `go.mod`.
fn up_to_date(module: &Path, bin: &Path) -> bool {
    let stamp = fs::read(bin.join(".built-from")).ok();
    let same = stamp.is_none_or(|stamp| fs::read(module.join("go.mod")).is_ok_and(|now| now == stamp));
    same && PACKAGES.iter().all(|(_, name)| bin.join(name).is_file())
}

fn build(module: &Path, bin: &Path) -> Result<(), String> {
    let go = Command::new("go").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !go.is_ok_and(|s| s.success()) {
        return Err(
            "no Go toolchain: install Go 1.26 or newer (https://go.dev/dl) and run again, the tests then build \
                    etcd, kube-apiserver, kube-controller-manager and kubectl by themselves; or set KUBEBUILDER_ASSETS \
                    to a folder that holds the four"
                .to_owned(),
        );
    }
    announce(&format!(
        "cluster tests: building etcd and Kubernetes {KUBERNETES_VERSION} (kube-apiserver, kube-controller-manager, kubectl) \
         into {}.\n  Once only: about 9 minutes on 2 cores with an empty Go build cache, a minute with a warm one.",
        bin.display()
    ));
    let started = Instant::now();
    for (package, name) in PACKAGES {
        let target = bin.join(format!(".{name}.new"));
        let output = Command::new("go")
            .args(["build", "-trimpath", "-ldflags"])
            .arg(format!("-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}"))
            .arg("-o")
            .arg(&target)
            .arg(package)
            .current_dir(module)
            .output()
            .map_err(|e| format!("go build {package}: {e}"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(format!("go build {package} failed; is the Go module proxy reachable?\n{}", text.trim_end()));
        }
        fs::rename(&target, bin.join(name)).map_err(|e| format!("cannot place {name}: {e}"))?;
        announce(&format!("cluster tests: {name} built, {} s so far", started.elapsed().as_secs()));
    }
    let manifest = fs::read(module.join("go.mod")).map_err(|e| format!("cannot read go.mod: {e}"))?;
    fs::write(bin.join(".built-from"), manifest).map_err(|e| format!("cannot write the build stamp: {e}"))
}
