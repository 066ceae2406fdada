//! The embedded policies: they load, their cases hold on both engines, and OPA gives the same answers.

mod embedded;
mod engine;
mod opa;
