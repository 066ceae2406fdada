//! What the cluster tests stand on: a real control plane, the real `kubectl`, Seawall as a process, webhooks of the test's own.
//!
//! Every test begins with `let Some(plane) = shared() else { return };`: one control plane serves all tests of the binary, with a
//! namespace per test; tests that kill or restart something start their own with [`own`].

pub(crate) mod api;
pub(crate) mod binaries;
pub(crate) mod controlplane;
pub(crate) mod kubectl;
pub(crate) mod network;
pub(crate) mod objects;
pub(crate) mod pki;
pub(crate) mod process;
pub(crate) mod provisioner;
pub(crate) mod replicas;
pub(crate) mod seawall;
pub(crate) mod webhook;

use std::sync::OnceLock;
use std::time::Duration;

use controlplane::{ControlPlane, Options};
use process::eventually;
use seawall::Seawall;

/// The control plane of the whole test binary, with controllers and audit log; `None` when the tests are to skip.
pub(crate) fn shared() -> Option<&'static ControlPlane> {
    static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    if !available() {
        return None;
    }
    let options = Options { controllers: true, audit: true, ..Options::default() };
    match SHARED.get_or_init(|| once(|| ControlPlane::start(&options))) {
        Ok(plane) => Some(plane),
        Err(why) => panic!("{why}"),
    }
}

/// A control plane with Seawall in force, shared by the tests that leave it alone.
pub(crate) struct Site {
    pub(crate) seawall: Seawall,
    pub(crate) plane: ControlPlane,
}

impl Site {
    /// A namespace of this mode and tier.
    pub(crate) fn namespace(&self, mode: &str, tier: &str) -> String {
        self.plane.namespace(mode, &[("seawall.dev/mode", mode), ("seawall.dev/tier", tier)])
    }

    /// Relabels a namespace as a member of `system:masters` (others may only raise the guard), and waits the second that Seawall is granted.
    pub(crate) fn set_mode(&self, namespace: &str, mode: &str) {
        self.set_mode_at_once(namespace, mode);
        std::thread::sleep(std::time::Duration::from_secs(1));
    }

    /// As [`Site::set_mode`], without waiting.
    pub(crate) fn set_mode_at_once(&self, namespace: &str, mode: &str) {
        let label = format!("seawall.dev/mode={mode}");
        self.plane.kubectl_as("admin").run(&["label", "--overwrite", "namespace", namespace, &label], "").ok();
    }
}

/// The shared site: what carries no label is judged in mode enforce, tier-2, so that StorageClasses are patched; its class
/// `standard` and the driver are there for the claims of [`objects::stateful_set`]. `None` when the tests are to skip.
pub(crate) fn site() -> Option<&'static Site> {
    static SITE: OnceLock<Result<Site, String>> = OnceLock::new();
    if !available() {
        return None;
    }
    let started = SITE.get_or_init(|| {
        once(|| {
            let plane = ControlPlane::start(&Options { controllers: true, audit: true, ..Options::default() })?;
            plane.kubectl().apply(&objects::csi_driver("ebs.csi.aws.com").to_string(), &[]).ok();
            let config = seawall::default_mode("enforce");
            let seawall =
                Seawall::start(&plane, "seawall", &seawall::Options { config: &config, ..seawall::Options::default() });
            let seawall = seawall.in_force(&plane);
            plane.kubectl().apply(&objects::storage_class("standard").to_string(), &[]).ok();
            let site = Site { seawall, plane };
            // what was stored is judged by a moment later
            let namespace = site.namespace("enforce", "tier-0");
            let user = objects::stateful_set("user").to_string();
            eventually("the class `standard` is known", Duration::from_secs(30), || {
                let told = site.plane.kubectl().apply(&user, &["-n", &namespace, "--dry-run=server"]);
                (!told.stderr.contains("standard")).then_some(())
            });
            Ok(site)
        })
    });
    match started {
        Ok(site) => Some(site),
        Err(why) => panic!("{why}"),
    }
}

/// A control plane for one test that breaks things; `None` when the tests are to skip.
pub(crate) fn own(options: &Options) -> Option<ControlPlane> {
    available().then(|| ControlPlane::start(options).unwrap_or_else(|why| panic!("{why}")))
}

/// Runs an initialiser whose failure is kept: a `OnceLock` whose initialiser panics would be tried again by every test.
fn once<T>(start: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(start)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned())).unwrap_or_default())
    })
}

/// Whether there are binaries; says once, loudly, when not, and fails where they are required.
fn available() -> bool {
    let Err(why) = binaries::binaries() else {
        return true;
    };
    assert!(!binaries::required(), "SEAWALL_CLUSTER_TESTS=require, but there is no control plane: {why}");
    static SAID: OnceLock<()> = OnceLock::new();
    SAID.get_or_init(|| {
        binaries::announce(&format!(
            "*** CLUSTER TESTS SKIPPED: every test of this binary passes without having run. ***\n  {why}\n  \
             docs/testing.md says more; SEAWALL_CLUSTER_TESTS=require makes this a failure."
        ));
    });
    false
}
