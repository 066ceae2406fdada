//! `mutants.yaml` in a policy's folder: changes that nothing can notice or that nothing needs to, each with a reason.
//!
//! ```yaml
//! - rule: violation
//!   was: count(zones) > 0
//!   becomes: count(zones) >= 0
//!   reason: the loop below finds nothing in an empty list
//! ```
//! `times: 2` is for a change that the rule has twice. What is listed and does not survive is an error, so that the list stays true.

use super::{Mutated, Survivor};
use crate::engine::mutants::Mutant;
use crate::yaml;
use serde::Deserialize;

/// A file of reasons.
#[derive(Debug)]
pub struct Listed<'f> {
    file: &'f str,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    rule: String,
    was: String,
    becomes: String,
    #[serde(default = "once")]
    times: usize,
    reason: String,
}

const fn once() -> usize {
    1
}

impl<'f> Listed<'f> {
    /// Reads the file.
    ///
    /// # Errors
    /// Place and problem.
    pub fn parse(file: &'f str, text: &str) -> Result<Self, String> {
        let rows: Vec<Row> = serde_saphyr::from_str(text).map_err(|error| {
            let (line, column, problem) = yaml::problem(&error);
            format!("{file}:{line}:{column}: {problem}")
        })?;
        if let Some(row) = rows.iter().find(|row| row.reason.trim().is_empty()) {
            return Err(format!("{file}: {}: the reason is empty; say why nothing needs to notice it", row.words()));
        }
        Ok(Self { file, rows })
    }

    /// Gives survivors their reasons. What is listed and does not survive so often is a problem.
    pub fn explain(&self, mutants: &[Mutant], mutated: &mut Mutated) {
        for row in &self.rows {
            let made = mutants.iter().filter(|mutant| row.is(mutant)).count();
            let mut found = 0;
            let open = |survivor: &&mut Survivor| survivor.reason.is_none() && row.is(&survivor.mutant);
            for survivor in mutated.survivors.iter_mut().filter(open) {
                found += 1;
                survivor.reason = Some(row.reason.clone());
            }
            if found == row.times {
                continue;
            }
            let (file, words, times) = (self.file, row.words(), row.times);
            mutated.problems.push(match (made, found) {
                (0, _) => format!("{file}: {words}: there is no such change any more; remove the entry"),
                (_, 0) => format!("{file}: {words}: some case or test notices it now; remove the entry"),
                _ => format!(
                    "{file}: {words}: survives {found} times, listed for {times}; write `times: {found}` or remove some"
                ),
            });
        }
    }
}

impl Row {
    fn is(&self, mutant: &Mutant) -> bool {
        self.rule == mutant.rule && self.was == mutant.was && self.becomes == mutant.becomes
    }

    fn words(&self) -> String {
        format!("{}: {} => {}", self.rule, self.was, self.becomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::compile::Source;
    use crate::engine::mutants::mutants;

    fn explained(list: &str) -> Mutated {
        let text =
            "package p\n\na if {\n\tinput.x > 0\n\tinput.y\n}\n\na if {\n\tinput.x > 0\n\tinput.z\n}\n".to_owned();
        let all = mutants(&Source { file: "p.rego".to_owned(), text }).unwrap();
        let survives = |m: &&Mutant| m.becomes == "input.x >= 0" || m.was == "input.y";
        let survivors = all.iter().filter(survives).map(|m| Survivor { mutant: m.clone(), reason: None }).collect();
        let mut mutated = Mutated { survivors, ..Mutated::default() };
        Listed::parse("mutants.yaml", list).unwrap().explain(&all, &mut mutated);
        mutated
    }

    #[test]
    fn survivors_get_their_reasons() {
        let list = "- {rule: a, was: input.x > 0, becomes: input.x >= 0, times: 2, reason: never 0}\n- {rule: a, was: input.y, becomes: 'true', reason: r}\n";
        let mutated = explained(list);
        assert_eq!(mutated.problems, Vec::<String>::new());
        assert_eq!(mutated.survivors.iter().filter(|s| s.reason.as_deref() == Some("never 0")).count(), 2);
        assert_eq!(mutated.survivors.iter().filter(|s| s.reason.is_none()).count(), 1, "the negated one");
    }

    #[test]
    fn a_list_that_is_no_longer_true_is_a_problem() {
        let problems = explained(
            "- {rule: a, was: input.x > 0, becomes: input.x >= 0, reason: r}\n- {rule: a, was: input.z, becomes: 'true', reason: r}\n- {rule: a, was: input.w, becomes: 'true', reason: r}\n",
        )
        .problems;
        insta::assert_snapshot!(problems.join("\n"), @r#"
        mutants.yaml: a: input.x > 0 => input.x >= 0: survives 2 times, listed for 1; write `times: 2` or remove some
        mutants.yaml: a: input.z => true: some case or test notices it now; remove the entry
        mutants.yaml: a: input.w => true: there is no such change any more; remove the entry
        "#);
        let error = |text: &str| Listed::parse("mutants.yaml", text).unwrap_err();
        assert!(error("- {rule: a}").starts_with("mutants.yaml:1:"), "{}", error("- {rule: a}"));
        assert!(error("- {rule: a, was: x, becomes: y, reason: ' '}").contains("the reason is empty"));
    }
}
