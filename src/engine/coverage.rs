//! Which lines of Rego the interpreter evaluated.

use regorus::Engine;
use std::collections::{BTreeMap, BTreeSet};

/// Lines of files, over any number of evaluations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By file.
    pub files: BTreeMap<String, Lines>,
}

/// The lines of a file that have something to evaluate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// All of them, from 1.
    pub all: BTreeSet<u32>,
    /// Those that were evaluated.
    pub covered: BTreeSet<u32>,
}

impl Lines {
    /// Those that were not.
    pub fn uncovered(&self) -> impl Iterator<Item = u32> + '_ {
        self.all.difference(&self.covered).copied()
    }

    /// Part that was evaluated, in percent; a file without anything to evaluate is covered.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "numbers of lines")]
    pub fn percent(&self) -> f64 {
        let covered = self.all.intersection(&self.covered).count();
        if self.all.is_empty() { 100.0 } else { covered as f64 * 100.0 / self.all.len() as f64 }
    }
}

impl Coverage {
    /// Adds what an engine has evaluated since its coverage was turned on.
    pub fn add(&mut self, engine: &Engine) {
        let Ok(report) = engine.get_coverage_report() else { return };
        for file in report.files {
            let lines = self.files.entry(file.path.clone()).or_default();
            lines.all.extend(file.covered.iter().chain(&file.not_covered));
            lines.covered.extend(&file.covered);
        }
    }

    /// Adds another coverage.
    pub fn merge(&mut self, other: Self) {
        for (file, lines) in other.files {
            let own = self.files.entry(file).or_default();
            own.all.extend(lines.all);
            own.covered.extend(lines.covered);
        }
    }

    /// The last covered line of a file between two, both included.
    #[must_use]
    pub fn last_covered(&self, file: &str, first: u64, last: u64) -> Option<u64> {
        let lines = &self.files.get(file)?.covered;
        lines.iter().rev().map(|line| u64::from(*line)).find(|line| (first..=last).contains(line))
    }
}
