//! Counts the instructions of the RVM that an evaluation takes: the same on every machine and at every hour, unlike time.
//!
//! The RVM keeps its counter to itself, but stops when a bound is reached, so the count is the smallest bound with which the
//! evaluation ends. The counter never goes back and every body ends with an instruction of its own, so a bound that is hit
//! within a rule is also hit outside of it, and no smaller bound can pass.

use super::builtins;
use super::compile::{Entry, Unit};
use super::evaluate::{Data, EvaluationError, MAX_INSTRUCTIONS, Worker, engine_error};
use super::shared::SharedValues;
use regorus::Value;
use regorus::rvm::vm::{RegoVM, VmError};
use std::time::Duration;

impl Unit {
    /// Full names of the shared rules that its program finds computed.
    #[must_use]
    pub fn shared_rules(&self) -> Vec<String> {
        let full = |(rules, read): &(std::sync::Arc<super::shared::SharedRules>, Vec<String>)| {
            read.iter().map(|name| format!("{}.{name}", rules.package)).collect()
        };
        self.shared.as_ref().map(full).unwrap_or_default()
    }
}

impl Worker {
    /// The instructions of one rule of a policy, without those of shared rules. `None` where the policy has no program.
    ///
    /// # Errors
    /// When the evaluation fails.
    pub fn instructions(
        &mut self,
        unit: &Unit,
        entry: Entry,
        input: &Value,
        data: &Data,
    ) -> Result<Option<u64>, EvaluationError> {
        let Some(compiled) = unit.compiled.as_ref().filter(|_| unit.has(entry)) else { return Ok(None) };
        let limit = Duration::from_secs(60);
        let shared = SharedValues::default();
        // fills in what is shared
        let _ = self.evaluate(unit, entry, input, data, &shared, limit)?;
        let data = match &unit.shared {
            Some((rules, read)) => {
                let again = |rule: &str| self.run_shared(unit, rule, input, data, limit);
                shared.data(rules, read, data, again)?
            }
            None => data.clone(),
        };
        let rule = format!("{}.{}", unit.package, entry.rule());
        counted(self.machine(unit.id, compiled, &data)?, &rule, input).map(Some)
    }

    /// The instructions of one shared rule, by its full name. `None` where it is not shared.
    ///
    /// # Errors
    /// When the evaluation fails.
    pub fn shared_instructions(
        &mut self,
        unit: &Unit,
        rule: &str,
        input: &Value,
        data: &Data,
    ) -> Result<Option<u64>, EvaluationError> {
        let Some((rules, _)) = unit.shared.as_ref() else { return Ok(None) };
        counted(self.machine(rules.id, &rules.compiled, data)?, rule, input).map(Some)
    }

    /// Evaluates one shared rule that a policy reads, by its full name.
    ///
    /// # Errors
    /// When there is no answer that can be trusted.
    pub fn run_shared(
        &mut self,
        unit: &Unit,
        rule: &str,
        input: &Value,
        data: &Data,
        limit: Duration,
    ) -> Result<Value, EvaluationError> {
        self.shared(&unit.modules, rule, input, data, limit)
    }
}

/// The smallest bound with which the rule ends.
fn counted(machine: &mut RegoVM, rule: &str, input: &Value) -> Result<u64, EvaluationError> {
    machine.set_input(input.clone());
    machine.set_execution_timer_config(None);
    let _ = builtins::take_error();
    let mut ends = |bound: usize| {
        machine.set_max_instructions(bound);
        match machine.execute_entry_point_by_name(rule) {
            Ok(_) => Ok(true),
            Err(VmError::InstructionLimitExceeded { .. }) => Ok(false),
            Err(error) => Err(engine_error(&error)),
        }
    };
    let mut search = || {
        let (mut too_few, mut enough) = (0_usize, 64_usize);
        while !ends(enough)? {
            too_few = enough;
            enough = enough.saturating_mul(2);
            if enough > MAX_INSTRUCTIONS {
                return Err(EvaluationError::Engine(format!("takes more than {MAX_INSTRUCTIONS} instructions")));
            }
        }
        while enough - too_few > 1 {
            let middle = too_few + (enough - too_few) / 2;
            if ends(middle)? {
                enough = middle;
            } else {
                too_few = middle;
            }
        }
        Ok(u64::try_from(enough).unwrap_or(u64::MAX))
    };
    let found = search();
    machine.set_max_instructions(MAX_INSTRUCTIONS);
    machine.set_input(Value::Null);
    // bounds cut evaluations short in the middle; only the last whole one counts, and it was seen to work before
    let _ = builtins::take_error();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::compile::{Modules, Source};
    use crate::engine::value;
    use serde_json::json;
    use std::sync::Arc;

    fn unit(rules: &str) -> Unit {
        let text = format!("package seawall.policies.x\n\nimport data.seawall.lib.subject\n\n{rules}\n");
        let subject = "package seawall.lib.subject\n\nsum := sum([x | some x in input.request.xs])\n"
            .replace("sum :=", "total :=");
        let sources =
            [Source { file: "x.rego".to_owned(), text }, Source { file: "subject.rego".to_owned(), text: subject }];
        let modules = Arc::new(Modules::parse(&sources, "data.seawall.lib.subject").unwrap());
        Unit::compile(&modules, "data.seawall.policies.x", None).unwrap()
    }

    fn count(unit: &Unit, xs: usize) -> u64 {
        let input = value::from_json(&json!({"request": {"xs": vec![1; xs]}}));
        let data = Data::new(value::from_json(&json!({"seawall": {}, "cluster": {}})));
        let mut worker = Worker::new();
        let first = worker.instructions(unit, Entry::Violation, &input, &data).unwrap().unwrap();
        // the same each time, and nothing is left of the bounds
        assert_eq!(worker.instructions(unit, Entry::Violation, &input, &data).unwrap(), Some(first));
        let limit = Duration::from_secs(5);
        let answer = worker.evaluate(unit, Entry::Violation, &input, &data, &SharedValues::default(), limit);
        assert_ne!(answer.unwrap(), Value::Undefined);
        first
    }

    #[test]
    fn a_longer_loop_takes_more_by_the_same_for_each_item() {
        let unit = unit("violation contains x if { some x in input.request.xs; x == 1 }");
        let [three, four, five] = [3, 4, 5].map(|xs| count(&unit, xs));
        assert!(three > 0 && four > three);
        assert_eq!(five - four, four - three);
    }

    #[test]
    fn shared_rules_are_counted_for_themselves() {
        let unit = unit("violation contains subject.total if { subject.total > 0 }");
        // the policy reads a value that is there, however long it took to make
        assert_eq!(count(&unit, 3), count(&unit, 300));
        assert_eq!(unit.shared_rules(), ["data.seawall.lib.subject.total"]);
        let data = Data::new(value::from_json(&json!({"seawall": {}, "cluster": {}})));
        let [few, many] = [3, 300].map(|xs| {
            let input = value::from_json(&json!({"request": {"xs": vec![1; xs]}}));
            Worker::new().shared_instructions(&unit, "data.seawall.lib.subject.total", &input, &data).unwrap().unwrap()
        });
        assert!(many > few + 297, "{few} {many}");
    }
}
