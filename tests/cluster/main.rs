//! Seawall and the facts it relies on, on a real kube-apiserver with the real `kubectl`. See `docs/testing.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy's allow-…-in-tests covers test functions only, not the helpers of an integration test"
)]

mod apply;
mod audit;
mod audit_scale;
mod availability;
mod cases;
mod catalogue;
mod checklist;
mod configmap;
mod continuous;
mod controlplane;
mod coverage;
mod decisions;
mod facts;
mod guide;
mod harness;
mod modes;
mod patches;
mod policies;
mod policy_catalogue;
mod policy_diff;
mod ratchet;
mod rbac;
mod registration;
mod reports;
mod rollout;
mod snapshot;
mod storage;
