//! Rego: [`analysis`] reads modules and refuses what cannot be trusted, [`builtins`] is the allow-list, [`compile`] makes
//! programs, [`evaluate`] runs one policy, [`count`] counts its instructions, [`shared`] computes once what many policies read, [`pool`] keeps worker threads, [`violation`] reads results,
//! [`testing`] runs `test_` rules, [`coverage`] says which lines were evaluated, [`mutants`] changes one thing at a time, [`trace`] tells why a rule is what it is, [`tree`] reads syntax trees.
//!
//! Knows nothing of Kubernetes: input and data are values, results are violations and patches.

mod ambiguity;
pub mod analysis;
pub mod builtins;
pub mod compile;
mod conflicts;
pub mod count;
pub mod coverage;
mod divergence;
pub mod evaluate;
mod guards;
pub mod mutants;
pub(crate) mod negation;
mod place;
pub mod pool;
mod replaced;
pub mod rewrite;
pub mod shape;
pub mod shared;
pub mod testing;
pub mod trace;
pub mod tree;
pub mod value;
pub mod violation;
