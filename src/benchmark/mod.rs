//! `seawall bench`: what policies cost, by rule and engine.
//!
//! [`measure`] runs every rule on every input, [`table`] is what came of it (and what `--save` writes), [`compare`] sets it beside
//! an earlier one. Instructions of the RVM and allocations are the same on every run; times are not.

pub mod compare;
pub mod measure;
pub mod table;

/// Counts the allocations of a call; needs an allocator that counts.
pub type CountAllocations = fn(&mut dyn FnMut()) -> u64;
