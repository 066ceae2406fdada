//! The embedded policies: they load, their cases hold on both engines, and OPA gives the same answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod embedded;
mod engine;
mod opa;
