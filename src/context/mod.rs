//! Facts that a policy may ask for: `data.cluster`.
//!
//! [`facts`] is the immutable snapshot and its indexes. [`manifest`] makes one from files and from a cluster that was read
//! once ([`read`], and [`coverage`] for what such a look says and what it does not); [`cluster`] keeps one up to date by
//! watches: [`resources`] says where a kind is served, [`list`] lists it, [`watch`] follows it, [`namespace`] answers the
//! cache's misses. [`scope`] reads the labels that decide.

pub mod cluster;
pub mod coverage;
pub mod facts;
pub mod kinds;
pub mod list;
pub mod manifest;
pub mod namespace;
pub mod read;
pub mod resources;
pub mod scope;
mod watch;
