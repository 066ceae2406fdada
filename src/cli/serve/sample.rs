//! What `serve` prints when it is up: addresses, CA, and with no cluster two calls to try.

use crate::review::Snapshot;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A database on an emptyDir: denied.
const DENIED: &str = include_str!("sample/denied.json");

/// A StorageClass that deletes volumes: patched.
const PATCHED: &str = include_str!("sample/patched.json");

/// The folder of CA and samples; removed when the server ends.
pub(super) struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Prints the addresses. With no cluster, also two calls that can be pasted into a shell. The folder is there while the
/// result lives.
pub(super) fn announce(
    admission: SocketAddr,
    admin: SocketAddr,
    ca: Option<&str>,
    snapshot: &Snapshot,
    alone: bool,
) -> anyhow::Result<Option<Folder>> {
    let mut out = std::io::stdout().lock();
    let defaults = snapshot.settings.defaults;
    writeln!(
        out,
        "seawall {} with {} policies; unlabelled namespaces are {} in mode {}",
        env!("CARGO_PKG_VERSION"),
        snapshot.policies.policies().len(),
        defaults.tier,
        defaults.mode
    )?;
    writeln!(out, "admission: https://{admission}")?;
    writeln!(out, "metrics: http://{admin}")?;
    let Some(ca) = ca else {
        out.flush()?;
        return Ok(None);
    };
    let folder = folder(admission.port())?;
    let ca_file = folder.join("ca.crt");
    std::fs::write(&ca_file, ca)?;
    writeln!(out, "CA: {}", ca_file.display())?;
    if alone {
        let address = SocketAddr::new(
            if admission.ip().is_unspecified() { [127, 0, 0, 1].into() } else { admission.ip() },
            admission.port(),
        );
        for (words, file, review, path) in [
            ("a database without a volume is denied", "denied.json", DENIED, "validate/enforce"),
            ("a StorageClass that deletes volumes is patched", "patched.json", PATCHED, "mutate"),
        ] {
            std::fs::write(folder.join(file), review)?;
            writeln!(out, "\nTry it, {words}:\n{}", curl(&ca_file, &folder.join(file), address, path))?;
        }
    }
    out.flush()?;
    Ok(Some(Folder(folder)))
}

fn curl(ca: &Path, review: &Path, address: SocketAddr, path: &str) -> String {
    format!(
        "  curl --cacert {} -H 'Content-Type: application/json' -d @{} https://{address}/{path}",
        ca.display(),
        review.display()
    )
}

/// A folder for the CA certificate (public) and the samples, readable by this user.
fn folder(port: u16) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    let folder = std::env::temp_dir().join(format!("seawall-{}-{port}", std::process::id()));
    match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            // somebody else's folder of this name must not be written into
            let (found, own) = (std::fs::symlink_metadata(&folder)?, std::fs::metadata("/proc/self")?);
            if found.is_dir() && found.uid() == own.uid() { Ok(folder) } else { Err(error) }
        }
        other => other.map(|()| folder),
    }
}
