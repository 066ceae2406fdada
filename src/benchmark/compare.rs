//! Two measurements side by side. Only instructions decide: they are the same on every run. Inputs that only one of them has
//! (a case that was added) do not count.

use super::table::{Row, Table, label};
use std::io::{self, Write};

/// What became of the cost of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Policy and rule.
    pub rule: String,
    /// Instructions before, over the inputs that both have.
    pub before: u64,
    /// Instructions now.
    pub now: u64,
    /// Mean times on the RVM, before and now, in nanoseconds.
    pub times: Option<(u64, u64)>,
}

/// The comparison.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Rules whose instructions are others, the most grown first.
    pub changes: Vec<Change>,
    /// How many are as they were.
    pub same: usize,
    /// What cannot be compared.
    pub notes: Vec<String>,
}

impl Comparison {
    /// Compares.
    #[must_use]
    pub fn new(before: &Table, now: &Table) -> Self {
        let mut comparison = Self::default();
        for (policy, rules) in &now.rules {
            for (rule, row) in rules {
                match before.rules.get(policy).and_then(|rules| rules.get(rule)) {
                    Some(old) => comparison.add(label(policy, rule), old, row),
                    None => comparison.notes.push(format!("{}: new", label(policy, rule))),
                }
            }
        }
        for (policy, rules) in &before.rules {
            let gone = rules.keys().filter(|rule| now.rules.get(policy).is_none_or(|r| !r.contains_key(*rule)));
            comparison.notes.extend(gone.map(|rule| format!("{}: no longer measured", label(policy, rule))));
        }
        comparison.changes.sort_by(|a, b| b.per_mille().cmp(&a.per_mille()).then_with(|| a.rule.cmp(&b.rule)));
        comparison
    }

    fn add(&mut self, rule: String, old: &Row, row: &Row) {
        let both = row.instructions.iter().filter_map(|(input, now)| Some((*old.instructions.get(input)?, *now)));
        let (before, now) = both.fold((0, 0), |(before, now), (b, n)| (before + b, now + n));
        if before == 0 && now == 0 {
            self.notes.push(format!("{rule}: has no input in common with before, or no program"));
        } else if before == now {
            self.same += 1;
        } else {
            self.changes.push(Change { rule, before, now, times: old.rvm_nanoseconds.zip(row.rvm_nanoseconds) });
        }
    }

    /// The rules that grew by more than some percent.
    pub fn grown(&self, percent: u64) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.per_mille() > 1000 + percent.saturating_mul(10))
    }

    /// For a person. `percent` marks what grew by more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn text(&self, percent: Option<u64>, out: &mut dyn Write) -> io::Result<()> {
        if !self.changes.is_empty() {
            let wide = self.changes.iter().map(|change| change.rule.len()).max().unwrap_or(0).max(4);
            writeln!(out, "{:<wide$}   before      now  instructions  time", "rule")?;
            for change in &self.changes {
                let time = change.times.map_or_else(|| "-".to_owned(), |(before, now)| ratio(per_mille(before, now)));
                let mark = if percent.is_some_and(|percent| self.grown(percent).any(|c| c == change)) {
                    "  too much"
                } else {
                    ""
                };
                let Change { rule, before, now, .. } = change;
                writeln!(out, "{rule:<wide$} {before:>8} {now:>8}  {:>12} {time:>5}{mark}", ratio(change.per_mille()))?;
            }
        }
        for note in &self.notes {
            writeln!(out, "{note}")?;
        }
        let (changed, same) = (self.changes.len(), self.same);
        writeln!(out, "{changed} changed, {same} as before; instructions are exact, times differ from run to run")
    }
}

impl Change {
    fn per_mille(&self) -> u64 {
        per_mille(self.before, self.now)
    }
}

fn per_mille(before: u64, now: u64) -> u64 {
    now.saturating_mul(1000).checked_div(before).unwrap_or(u64::MAX)
}

/// `1.05x`
fn ratio(per_mille: u64) -> String {
    if per_mille == u64::MAX { "new".to_owned() } else { format!("{}.{:02}x", per_mille / 1000, per_mille % 1000 / 10) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::measure::{Cost, How};
    use std::time::Duration;

    fn table(rows: &[(&str, &str, u64)]) -> Table {
        let mut table = Table::new(&How { runs: 1, interpreter: false, policies: Vec::new(), allocations: None });
        for (policy, input, instructions) in rows {
            let rvm = Some(Duration::from_nanos(instructions * 10));
            table.add(policy, "violation", input, Cost { instructions: Some(*instructions), rvm, ..Cost::default() });
        }
        table
    }

    #[test]
    fn only_inputs_of_both_count_and_only_instructions_decide() {
        let before = table(&[("a", "x", 100), ("b", "x", 100), ("c", "x", 50), ("gone", "x", 1)]);
        let now = table(&[("a", "x", 150), ("a", "y", 9000), ("b", "x", 104), ("c", "x", 50), ("fresh", "x", 1)]);
        let comparison = Comparison::new(&before, &now);
        assert_eq!(comparison.grown(10).map(|change| change.rule.as_str()).collect::<Vec<_>>(), ["a violation"]);
        assert_eq!(comparison.grown(50).count(), 0);
        assert_eq!(comparison.grown(3).count(), 2);
        let mut text = Vec::new();
        comparison.text(Some(10), &mut text).unwrap();
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r#"
        rule          before      now  instructions  time
        a violation      100      150         1.50x 45.75x  too much
        b violation      100      104         1.04x 1.04x
        fresh violation: new
        gone violation: no longer measured
        2 changed, 1 as before; instructions are exact, times differ from run to run
        "#);
    }
}
