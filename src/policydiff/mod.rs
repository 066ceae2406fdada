//! Two policy sets over the same objects: which verdicts and patches change, for whom.
//!
//! [`sets`] loads both and tells what differs in the sets themselves, [`change`] compares what came of one object, [`tally`]
//! counts changes by policy and namespace in bounded memory. Where the objects come from: [`manifests`] (as `check` reads
//! them), [`live`] (as `audit` walks a cluster), [`reviews`] (recorded AdmissionReviews, judged by [`replay`]). [`text`],
//! [`json`] and [`markdown`] write the result; [`recorded`] compares one set with the answers that were recorded.

pub mod change;
pub mod json;
pub mod live;
pub mod manifests;
pub mod markdown;
pub mod recorded;
pub mod replay;
pub mod reviews;
pub mod sets;
pub mod tally;
pub mod text;

use sets::{SetChanges, Side};
use tally::Tally;

/// Everything that a format writes of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Report<'r> {
    /// The set of today.
    pub old: &'r Side,
    /// The set that may follow.
    pub new: &'r Side,
    /// What differs in the sets themselves.
    pub sets: &'r SetChanges,
    /// What differs for objects; none when only the sets were compared.
    pub objects: Option<&'r Tally>,
    /// Also details of what only words differ in.
    pub verbose: bool,
}
