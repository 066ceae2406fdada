//! Facts that a policy may ask for: `data.cluster`.
//!
//! [`facts`] is the immutable snapshot and its indexes, [`manifest`] makes one from files, [`cluster`] keeps one up to
//! date by watches.

pub mod facts;
pub mod kinds;
pub mod manifest;
pub mod scope;
