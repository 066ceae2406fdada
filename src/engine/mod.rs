//! Rego: [`compile`] makes programs, [`evaluate`] runs one policy, [`pool`] keeps worker threads, [`builtins`] is the gate
//! at load, [`violation`] reads results.
//!
//! Knows nothing of Kubernetes: input and data are values, results are violations and patches.

pub mod value;
