//! `seawall checklist`: the scorecard. Rows are workloads, columns the items of the checklist.
//!
//! Nothing is judged here. `check` and `audit` judge, [`collect`] looks on, [`links`] says which claims, volumes and classes a
//! workload uses, [`build`] puts what was found on them into the cells of its row. Rows are kept in a file until they are
//! written by [`text`], [`json`], [`markdown`] or [`html`], so that a large cluster does not stay in memory.

mod build;
pub mod collect;
pub mod html;
pub mod json;
mod links;
pub mod markdown;
pub mod text;
mod words;

use crate::audit::spool::{Spool, SpoolError};
use crate::policy::metadata::CHECKLIST;
use crate::policy::mode::{Action, Mode, Severity, Tier};
use crate::report::coverage::Coverage;
use crate::report::{Failure, ResourceId, Source};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Number of the checklist's own items; those that follow in [`CHECKLIST`] are further advice.
pub const ITEMS: usize = 13;

/// How a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Policies judged it and found nothing.
    Met,
    /// At least one violation that nothing spares.
    Open,
    /// Every violation is spared by an exemption.
    Exempt,
    /// Not everything that belongs to it was judged.
    Unknown,
}

impl State {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 4] = [Self::Open, Self::Unknown, Self::Exempt, Self::Met];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Open => "open",
            Self::Exempt => "exempt",
            Self::Unknown => "unknown",
        }
    }
}

/// A violation in a cell. The same one on several objects of a kind is told once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Policy id.
    pub policy: String,
    /// How bad it is.
    pub severity: Severity,
    /// Action of the policy in this tier.
    pub action: Action,
    /// Action after the mode and every other cap.
    pub effective_action: Action,
    /// What the action would be in mode enforce: weaker than `action` for what an operator owns.
    pub in_enforce: Action,
    /// The object that has it.
    pub object: ResourceId,
    /// Part of the object, as `volumeClaimTemplates[data]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The field, as users write it.
    pub field: String,
    /// What is wrong and why it matters.
    pub message: String,
    /// What is wanted.
    pub wanted: Value,
    /// The smallest change that fixes it.
    pub fix: String,
    /// More objects of this kind with the same violation.
    pub more_objects: usize,
    /// Last day of the exemption that spares it, `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exempt_until: Option<String>,
    /// Why it is spared, or why an exemption does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why a cell is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Gap {
    /// No loaded policy has this item.
    NoPolicy,
    /// The policies of this item are switched off in the tier.
    SwitchedOff,
    /// The policies of this item judge requests that change or delete something, which nothing that is stored shows.
    RequestsOnly,
    /// The policies of this item judge other kinds, of which nothing that this workload uses was seen.
    NothingJudged {
        /// The kinds that they judge.
        on: Vec<String>,
    },
    /// A policy had no answer for want of facts.
    MissingFacts {
        /// Policy id.
        policy: String,
        /// The kind of which too little is known.
        missing: String,
    },
    /// A policy failed.
    PolicyFailed {
        /// Policy id.
        policy: String,
        /// What went wrong.
        reason: String,
    },
    /// Not all objects of a kind could be listed.
    NotListed {
        /// Policy id.
        policy: String,
        /// The kind.
        missing: String,
    },
}

/// One item of one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// How it stands.
    pub state: State,
    /// Violations, worst first, those that are exempt last.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub found: Vec<Found>,
    /// What is not known.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unknown: Vec<Gap>,
    /// First day on which an exemption of it no longer counts is the day after this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exempt_until: Option<String>,
    /// Policies that judged it.
    pub judged_by: Vec<String>,
    /// Policies whose safe defaults are written when the manifest is applied; it counts as if they were there.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub written_by: Vec<String>,
}

impl Cell {
    /// The worst open violation.
    #[must_use]
    pub fn worst(&self) -> Option<&Found> {
        self.found.iter().find(|found| found.exempt_until.is_none())
    }
}

/// A workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Which one.
    pub resource: ResourceId,
    /// Its tier.
    pub tier: Tier,
    /// The mode that caps what is done about it.
    pub mode: Mode,
    /// Database engines that its Pods run.
    pub engines: Vec<String>,
    /// Where it stands, for manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Objects that count for it, beside itself.
    pub uses: Vec<ResourceId>,
    /// One for each of [`CHECKLIST`], in its order.
    pub cells: Vec<Cell>,
}

impl Row {
    /// The items with their cells, in the order of the checklist.
    pub fn items(&self) -> impl Iterator<Item = (&'static str, &Cell)> {
        CHECKLIST.iter().copied().zip(&self.cells)
    }

    /// What to do first: the first open item of the checklist, and its worst violation.
    #[must_use]
    pub fn next(&self) -> Option<(&'static str, &Found)> {
        self.items().find_map(|(item, cell)| Some((item, cell.worst()?)))
    }
}

/// An item over all workloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Id.
    pub id: &'static str,
    /// Part of the checklist itself; false for further advice.
    pub required: bool,
    /// Loaded policies.
    pub policies: Vec<String>,
    /// Workloads by state.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Workloads by state of their cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// See [`State::Met`].
    pub met: usize,
    /// See [`State::Open`].
    pub open: usize,
    /// See [`State::Exempt`].
    pub exempt: usize,
    /// See [`State::Unknown`].
    pub unknown: usize,
}

impl Counts {
    fn add(&mut self, state: State) {
        *match state {
            State::Met => &mut self.met,
            State::Open => &mut self.open,
            State::Exempt => &mut self.exempt,
            State::Unknown => &mut self.unknown,
        } += 1;
    }

    /// How many are in a state.
    #[must_use]
    pub const fn of(&self, state: State) -> usize {
        match state {
            State::Met => self.met,
            State::Open => self.open,
            State::Exempt => self.exempt,
            State::Unknown => self.unknown,
        }
    }
}

/// Where a row is in the file, and what it is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    tier: Tier,
    /// Position of the first open item; [`CHECKLIST`]'s length where nothing is open.
    item: u8,
    at: u64,
}

/// All rows, and sums over them.
#[derive(Debug)]
pub struct Scorecard {
    rows: Spool<Row>,
    /// By tier, then as they were seen.
    places: Vec<Place>,
    /// One for each of [`CHECKLIST`].
    pub items: Vec<Item>,
    /// Namespaces that have a row.
    pub namespaces: BTreeSet<String>,
    /// Workloads by tier.
    pub tiers: BTreeMap<Tier, usize>,
    /// Why cells are unknown, with the number of cells.
    pub gaps: BTreeMap<Gap, usize>,
    /// Open violations that reject by the labels (or the mode that was given) as they are.
    pub deny: usize,
    /// Workloads that nobody judges: mode off.
    pub passed_over: usize,
}

impl Scorecard {
    /// Number of workloads.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no workload.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Open cells of all workloads.
    #[must_use]
    pub fn open(&self) -> usize {
        self.items.iter().map(|item| item.counts.open).sum()
    }

    /// Calls for every row, worst tier first, stopping at the first error.
    ///
    /// # Errors
    /// Those of `visit`, and when the rows cannot be read back.
    pub fn each(&self, visit: &mut dyn FnMut(&Row) -> io::Result<()>) -> io::Result<()> {
        self.places.iter().try_for_each(|place| visit(&self.row(*place)?))
    }

    /// Calls for every row that has something open, in the order in which it is to be done: the worst tier first, then the
    /// order of the checklist.
    ///
    /// # Errors
    /// Those of `visit`, and when the rows cannot be read back.
    pub fn tasks(&self, visit: &mut dyn FnMut(&Row, &'static str, &Found) -> io::Result<()>) -> io::Result<()> {
        let mut places = self.places.clone();
        places.sort_unstable();
        for place in places {
            let row = self.row(place)?;
            if let Some((item, found)) = row.next() {
                visit(&row, item, found)?;
            }
        }
        Ok(())
    }

    fn row(&self, place: Place) -> io::Result<Row> {
        self.rows.at(place.at).map_err(|error| match error {
            SpoolError(error) => error,
        })
    }
}

/// What is told beside the rows.
#[derive(Debug, Default)]
pub struct About {
    /// When it was judged, RFC 3339.
    pub judged_at: String,
    /// What was judged, in words: `cluster`, or the paths of the manifests.
    pub of: String,
    /// What could not be read or evaluated.
    pub errors: Vec<Failure>,
    /// What was seen of the cluster, where one was walked.
    pub coverage: Option<Coverage>,
}

impl About {
    /// Whether everything was seen and judged.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.errors.is_empty() && self.coverage.as_ref().is_none_or(Coverage::is_complete)
    }
}
