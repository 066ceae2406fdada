//! What was measured, by policy and rule; what `--save` writes and `--compare` reads.

use super::measure::{Cost, How};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

/// The version of the saved form.
const SCHEMA: u32 = 1;

/// Everything that was measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// Version of this form.
    pub schema_version: u32,
    /// Runs of which the median counts.
    pub runs: usize,
    /// By policy id, or `(shared)`, then rule.
    pub rules: BTreeMap<String, BTreeMap<String, Row>>,
    /// What could not be measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// One rule.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Instructions by input; 0 where the policy has no program.
    pub instructions: BTreeMap<String, u64>,
    /// Mean of the allocations, where they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<u64>,
    /// Mean of the median times on the RVM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rvm_nanoseconds: Option<u64>,
    /// Mean of the median times on the interpreter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter_nanoseconds: Option<u64>,
    #[serde(skip)]
    sums: Sums,
}

/// What means are made of.
#[derive(Debug, Clone, Default)]
struct Sums {
    allocations: (u64, u64),
    rvm: (u64, u64),
    interpreter: (u64, u64),
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(how: &How) -> Self {
        Self { schema_version: SCHEMA, runs: how.runs, ..Self::default() }
    }

    /// Adds a rule on an input. Several of one name (a workload and the claims in it) are numbered.
    pub fn add(&mut self, policy: &str, rule: &str, input: &str, cost: Cost) {
        let row = self.rules.entry(policy.to_owned()).or_default().entry(rule.to_owned()).or_default();
        let mut name = input.to_owned();
        let mut number = 1;
        while row.instructions.contains_key(&name) {
            number += 1;
            name = format!("{input}#{number}");
        }
        row.instructions.insert(name, cost.instructions.unwrap_or_default());
        let nanoseconds = |time: Option<Duration>| time.map(|t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX));
        let sums = &mut row.sums;
        row.allocations = mean(&mut sums.allocations, cost.allocations);
        row.rvm_nanoseconds = mean(&mut sums.rvm, nanoseconds(cost.rvm));
        row.interpreter_nanoseconds = mean(&mut sums.interpreter, nanoseconds(cost.interpreter));
    }

    /// Reads what was saved.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let table: Self = serde_json::from_str(text).map_err(|error| format!("{error}; wanted what --save wrote"))?;
        if table.schema_version != SCHEMA {
            let found = table.schema_version;
            return Err(format!("schemaVersion {found}; wanted {SCHEMA}: save it again with this Seawall"));
        }
        Ok(table)
    }

    /// For a program, and for `--compare`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// For a person: the dearest first.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut rows: Vec<(&str, &str, &Row)> = self
            .rules
            .iter()
            .flat_map(|(policy, rules)| rules.iter().map(|(r, row)| (policy.as_str(), r.as_str(), row)))
            .collect();
        rows.sort_by_key(|(policy, rule, row)| (std::cmp::Reverse(row.mean()), *policy, *rule));
        let counted = rows.iter().any(|(.., row)| row.allocations.is_some());
        let wide = rows.iter().map(|(policy, rule, _)| label(policy, rule).len()).max().unwrap_or(0).max(4);
        let last = if counted { " allocations" } else { "" };
        writeln!(out, "{:<wide$} inputs  instructions    most     RVM us  interpreter us{last}", "rule")?;
        for (policy, rule, row) in &rows {
            let (mean, most) = if row.most() == 0 {
                ("-".to_owned(), "-".to_owned())
            } else {
                (row.mean().to_string(), row.most().to_string())
            };
            let line = format!(
                "{:<wide$} {:>6}  {mean:>12} {most:>7} {:>10} {:>15}",
                label(policy, rule),
                row.instructions.len(),
                micros(row.rvm_nanoseconds),
                micros(row.interpreter_nanoseconds),
            );
            let allocations = row.allocations.map(|count| format!(" {count:>11}")).unwrap_or_default();
            writeln!(out, "{line}{allocations}")?;
        }
        Ok(())
    }
}

impl Row {
    /// Mean of the instructions.
    #[must_use]
    pub fn mean(&self) -> u64 {
        let sum: u64 = self.instructions.values().sum();
        sum.checked_div(self.instructions.len() as u64).unwrap_or(0)
    }

    /// Instructions of the dearest input.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.instructions.values().copied().max().unwrap_or(0)
    }
}

/// How a rule is called in tables.
#[must_use]
pub fn label(policy: &str, rule: &str) -> String {
    if policy == "(shared)" { rule.trim_start_matches("data.seawall.").to_owned() } else { format!("{policy} {rule}") }
}

/// Adds to a sum; the mean so far.
fn mean((sum, count): &mut (u64, u64), value: Option<u64>) -> Option<u64> {
    if let Some(value) = value {
        *sum += value;
        *count += 1;
    }
    sum.checked_div(*count)
}

/// Microseconds with one digit.
fn micros(nanoseconds: Option<u64>) -> String {
    nanoseconds.map_or_else(|| "-".to_owned(), |n| format!("{}.{}", n / 1000, n % 1000 / 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let how = How { runs: 3, interpreter: true, policies: Vec::new(), allocations: None };
        let mut table = Table::new(&how);
        let cost = |instructions, micros: u64| Cost {
            instructions: Some(instructions),
            allocations: None,
            rvm: Some(Duration::from_nanos(micros * 1000 + 250)),
            interpreter: Some(Duration::from_micros(micros * 10)),
        };
        table.add("class-a", "violation", "one", cost(100, 1));
        table.add("class-a", "violation", "one", cost(300, 3));
        table.add("class-a", "patch", "one", cost(40, 1));
        table.add(
            "(shared)",
            "data.seawall.lib.subject.engines",
            "class-a/one",
            Cost { interpreter: None, ..cost(7000, 90) },
        );
        table.add("slow", "violation", "one", Cost { interpreter: Some(Duration::from_micros(5)), ..Cost::default() });
        table
    }

    #[test]
    fn the_dearest_come_first() {
        let mut text = Vec::new();
        table().text(&mut text).unwrap();
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r#"
        rule                inputs  instructions    most     RVM us  interpreter us
        lib.subject.engines      1          7000    7000       90.2               -
        class-a violation        2           200     300        2.2            20.0
        class-a patch            1            40      40        1.2            10.0
        slow violation           1             -       -          -             5.0
        "#);
    }

    #[test]
    fn what_is_saved_reads_back() {
        let mut text = Vec::new();
        table().json(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let read = Table::read(&text).unwrap();
        assert_eq!(read.rules["class-a"]["violation"].instructions["one#2"], 300);
        assert_eq!(read.rules["class-a"]["violation"].rvm_nanoseconds, Some(2250));
        let error = |text: &str| Table::read(text).unwrap_err();
        assert!(error(&text.replace("\"schemaVersion\": 1", "\"schemaVersion\": 9")).contains("save it again"));
        assert!(error("{").contains("wanted what --save wrote"));
    }
}
