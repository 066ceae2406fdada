//! What the cluster tests stand on: a real control plane, the real `kubectl`, Seawall as a process, webhooks of the test's own.
//!
//! Every test begins with `let Some(plane) = shared() else { return };`: one control plane serves all tests of the binary, with a
//! namespace per test; tests that kill or restart something start their own with [`own`].

pub(crate) mod api;
pub(crate) mod binaries;
pub(crate) mod controlplane;
pub(crate) mod kubectl;
pub(crate) mod pki;
pub(crate) mod process;
pub(crate) mod provisioner;
pub(crate) mod webhook;

use std::sync::OnceLock;

use controlplane::{ControlPlane, Options};

/// The control plane of the whole test binary, with controllers and audit log; `None` when the tests are to skip.
pub(crate) fn shared() -> Option<&'static ControlPlane> {
    static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    if !available() {
        return None;
    }
    let options = Options { controllers: true, audit: true, ..Options::default() };
    match SHARED.get_or_init(|| ControlPlane::start(&options)) {
        Ok(plane) => Some(plane),
        Err(why) => panic!("{why}"),
    }
}

/// A control plane for one test that breaks things; `None` when the tests are to skip.
pub(crate) fn own(options: &Options) -> Option<ControlPlane> {
    available().then(|| ControlPlane::start(options).unwrap_or_else(|why| panic!("{why}")))
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
