//! The server as the API server meets it: over real sockets and TLS, with a trivial router behind it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy knows test functions, but not the helpers of a test binary"
)]

mod bodies;
mod broken;
mod distribution;
mod drain;
mod exemptions;
mod hostile;
mod hostile_policies;
mod limits;
mod process;
mod reload;
mod reviews;
mod rig;
mod serve;
mod shadow;
mod startup;
mod tls;
#[path = "../tools/tool.rs"]
#[allow(dead_code, reason = "other test binaries use the rest")]
mod tool;
