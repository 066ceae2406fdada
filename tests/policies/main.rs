//! The embedded policies: they load, their cases hold on both engines, and OPA gives the same answers, also for objects that
//! nobody thought of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod conformance;
mod constructs;
mod embedded;
mod engine;
mod exemption;
mod generated;
mod opa;
mod oracle;
mod selfdiff;
mod stored;
mod tools;
mod trace;
mod verdicts;
