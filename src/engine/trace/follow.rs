//! From a statement that failed to what made it fail: the values that it saw, and the helper functions, rules and comprehensions
//! behind those that are undefined, false or empty (behind a negation: behind what held).

use super::super::analysis;
use super::super::tree;
use super::super::value::to_json;
use super::step::{self, Bindings, Value};
use super::syntax::{Definition, is_scope, kind};
use super::{BodyTrace, DefinitionTrace, Follow, Outcome, SHOWN, Seen, Stop, Stopped, Tracer, assigned};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// Values that make a statement fail that ranges over them or asks for them.
pub(super) fn is_bad(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Undefined | Value::Bool(false)) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Set(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(_) => false,
    }
}

impl<'s> Tracer<'s> {
    /// A statement that failed, in words.
    pub(super) fn told(
        &mut self,
        definition: &Definition<'s>,
        statements: &[&'s Json],
        stopped: &Stopped<'s>,
        depth: usize,
    ) -> Stop {
        let node = stopped.node;
        let shown = stopped.bindings.get(..SHOWN.min(stopped.bindings.len())).unwrap_or_default();
        let first = stopped.bindings.get(..1).unwrap_or_default();
        let literal = node.get("literal").and_then(kind);
        let seen = shown
            .iter()
            .map(|bound| self.seen(definition, statements, literal.map_or(node, |(_, body)| body), bound))
            .collect();
        let because = match literal {
            Some(("NotExpr", body)) => {
                body.get("expr").map(|negated| self.held(definition, negated, first, depth)).unwrap_or_default()
            }
            Some(("Every", body)) => self.every(definition, body, first, depth),
            Some((_, body)) => self.follow(definition, statements, body, first, depth),
            None => Vec::new(),
        };
        let expression = written(definition, statements, node);
        Stop { line: tree::line(node), expression, iterations: stopped.bindings.len(), seen, because }
    }

    /// The values in an expression: local variables, references and calls, each once.
    pub(super) fn seen(
        &mut self,
        definition: &Definition<'s>,
        statements: &[&'s Json],
        node: &'s Json,
        bound: &Bindings,
    ) -> Vec<Seen> {
        let mut parts = Vec::new();
        collect(node, true, &mut parts);
        let mut seen: Vec<Seen> = Vec::new();
        for part in parts {
            // what stands in a negation was moved out of it under a made-up name
            let moved = moved(definition, statements, &definition.module.shown(part));
            let expression = moved.unwrap_or_else(|| definition.module.shown(part));
            if seen.iter().any(|s| s.expression == expression) || expression == "_" {
                continue;
            }
            if let Ok(mut values) = self.values(definition, part, std::slice::from_ref(bound)) {
                seen.push(Seen { expression, value: values.pop().flatten().as_ref().and_then(to_json) });
            }
        }
        seen
    }

    /// What is behind the undefined, false and empty parts of an expression.
    pub(super) fn follow(
        &mut self,
        definition: &Definition<'s>,
        statements: &[&'s Json],
        node: &'s Json,
        first: &[Bindings],
        depth: usize,
    ) -> Vec<Follow> {
        let Some(bound) = first.first() else { return Vec::new() };
        let mut parts = Vec::new();
        collect(node, false, &mut parts);
        // also where a variable with such a value comes from
        let mut from = Vec::new();
        for part in &parts {
            let name = part.get("Var").and_then(|v| v.get("value")?.as_str());
            let Some(name) = name.filter(|name| bound.get(*name).is_some_and(|value| is_bad(Some(value)))) else {
                continue;
            };
            for (_, right) in statements.iter().filter_map(|s| assigned(s)).filter(|(left, _)| left == name) {
                collect(right, false, &mut from);
            }
        }
        parts.extend(from);
        let mut follows: Vec<Follow> = Vec::new();
        for part in parts {
            let expression = short(definition, part);
            if follows.iter().any(|f| f.expression == expression) || !self.leads_on(definition, part) {
                continue;
            }
            let Ok(mut values) = self.values(definition, part, first) else { continue };
            let value = values.pop().flatten();
            if is_bad(value.as_ref()) {
                let definitions = self.inside(definition, part, bound, depth);
                follows.push(Follow { expression, value: value.as_ref().and_then(to_json), definitions });
            }
        }
        follows
    }

    /// What is behind an expression that held.
    fn held(&mut self, definition: &Definition<'s>, node: &'s Json, first: &[Bindings], depth: usize) -> Vec<Follow> {
        let Some(bound) = first.first().filter(|_| self.leads_on(definition, node)) else { return Vec::new() };
        let value = self.values(definition, node, first).ok().and_then(|mut values| values.pop()?);
        let mut definitions = self.inside(definition, node, bound, depth);
        definitions.retain(DefinitionTrace::held);
        let expression = definition.module.shown(node);
        vec![Follow { expression, value: value.as_ref().and_then(to_json), definitions }]
    }

    /// Whether an expression is a rule, a call of a function of the set, or a comprehension.
    fn leads_on(&self, definition: &Definition<'s>, node: &Json) -> bool {
        match kind(node) {
            Some(("Call", body)) => self.function(definition, body).is_some(),
            Some((name, _)) if is_scope(name) => true,
            _ => definition.module.rule_of(node, &definition.locals, self.syntax).is_some(),
        }
    }

    fn function(&self, definition: &Definition<'s>, call: &Json) -> Option<String> {
        definition.module.rule_of(call.get("fcn")?, &BTreeSet::new(), self.syntax)
    }

    /// The definitions behind an expression for bindings.
    fn inside(
        &mut self,
        definition: &Definition<'s>,
        node: &'s Json,
        bound: &Bindings,
        depth: usize,
    ) -> Vec<DefinitionTrace> {
        let Some(depth) = depth.checked_sub(1) else { return Vec::new() };
        match kind(node) {
            Some(("Call", body)) => {
                let Some(function) = self.function(definition, body) else { return Vec::new() };
                match self.arguments(definition, body, bound) {
                    Some(arguments) => self.trace(&function, &arguments, depth),
                    None => Vec::new(),
                }
            }
            Some((name, body)) if is_scope(name) => self.comprehension(definition, body, bound.clone(), depth),
            _ => {
                let rule = definition.module.rule_of(node, &definition.locals, self.syntax);
                rule.map(|rule| self.trace(&rule, &[], depth)).unwrap_or_default()
            }
        }
    }

    /// The values of a call's arguments; `None` where one is undefined.
    fn arguments(&mut self, definition: &Definition<'s>, call: &Json, bound: &Bindings) -> Option<Vec<Value>> {
        let parameters = call.get("params").and_then(Json::as_array).into_iter().flatten();
        let bound = std::slice::from_ref(bound);
        parameters.map(|parameter| self.values(definition, parameter, bound).ok()?.pop()?).collect()
    }

    /// The query of a comprehension, as if it were a body.
    fn comprehension(
        &mut self,
        definition: &Definition<'s>,
        body: &'s Json,
        bound: Bindings,
        depth: usize,
    ) -> Vec<DefinitionTrace> {
        let query = body.get("query").and_then(|q| q.get("stmts")?.as_array());
        let statements: Vec<&'s Json> = query.into_iter().flatten().collect();
        self.nested(definition, &statements, vec![bound], tree::line(body), depth)
    }

    /// Statements within a statement, as if they were a body.
    fn nested(
        &mut self,
        definition: &Definition<'s>,
        statements: &[&'s Json],
        bindings: Vec<Bindings>,
        line: u64,
        depth: usize,
    ) -> Vec<DefinitionTrace> {
        let mut body = BodyTrace::new(line, Outcome::Held);
        match self.statements(definition, statements, bindings) {
            Ok((stops, solutions)) => {
                body.times = solutions.len();
                if solutions.is_empty() {
                    body.outcome = Outcome::Stopped;
                }
                body.stops = stops.iter().map(|stop| self.told(definition, statements, stop, depth)).collect();
            }
            Err(reason) => body.outcome = Outcome::Untold(reason),
        }
        let (file, members) = (definition.module.file.clone(), Vec::new());
        vec![DefinitionTrace { file, line, members, bodies: vec![body] }]
    }

    /// The members for which the body of an `every` did not hold.
    fn every(&mut self, definition: &Definition<'s>, body: &'s Json, first: &[Bindings], depth: usize) -> Vec<Follow> {
        let found = (|| {
            let (domain, bound) = (body.get("domain")?, first.first()?);
            let depth = depth.checked_sub(1)?;
            let query = step::members_query(definition, domain, &bound.keys().cloned().collect())?;
            let name = |part: &str| {
                let name = body.get(part).and_then(super::syntax::span).and_then(|at| definition.module.at(at));
                name.filter(|name| *name != "_").map(str::to_owned)
            };
            let (key, value) = (name("key"), name("value"));
            let members = self.rows(&query, first).ok()?.into_iter().map(|(_, values)| {
                let mut bound = bound.clone();
                let mut values = values.into_iter();
                for name in [&key, &value] {
                    if let (Some(name), Some(value)) = (name, values.next()) {
                        bound.insert(name.clone(), value);
                    }
                }
                bound
            });
            let members: Vec<Bindings> = members.collect();
            let statements = body.get("query").and_then(|q| q.get("stmts")?.as_array());
            let statements: Vec<&'s Json> = statements.into_iter().flatten().collect();
            let definitions = self.nested(definition, &statements, members, tree::line(body), depth);
            Some(vec![Follow { expression: definition.module.shown(domain), value: None, definitions }])
        })();
        found.unwrap_or_default()
    }

    /// Notes the facts that a statement reads, also within the functions and rules that it uses.
    pub(super) fn look(&mut self, definition: &Definition<'s>, node: &'s Json, bindings: &[Bindings]) {
        let shown = bindings.get(..SHOWN.min(bindings.len())).unwrap_or_default();
        let mut parts = Vec::new();
        collect(node, false, &mut parts);
        for part in parts {
            if definition.module.is_fact(part, &definition.locals) {
                self.fact(definition, part, shown);
            } else if self.looked.len() < 200
                && let Some(rule) = self.reads_facts(definition, part)
            {
                for bound in shown {
                    let arguments = match kind(part) {
                        Some(("Call", body)) => self.arguments(definition, body, bound),
                        _ => Some(Vec::new()),
                    };
                    if let Some(arguments) = arguments
                        && self.looked.insert((rule.clone(), arguments.clone()))
                    {
                        self.look_into(&rule, &arguments);
                    }
                }
            }
        }
    }

    /// The rule or function of an expression, where it reads facts.
    fn reads_facts(&self, definition: &Definition<'s>, node: &Json) -> Option<String> {
        let rule = match kind(node) {
            Some(("Call", body)) => self.function(definition, body),
            _ => definition.module.rule_of(node, &definition.locals, self.syntax),
        }?;
        let facts = analysis::closure(&self.syntax.rules, &[rule.as_str()]).facts;
        (!facts.is_empty()).then_some(rule)
    }

    /// Runs the bodies of a rule for the facts that they read alone.
    fn look_into(&mut self, rule: &str, arguments: &[Value]) {
        let syntax = self.syntax;
        for definition in &syntax.definitions(rule) {
            let Ok(bound) = self.bind(definition, arguments) else { continue };
            for body in &definition.bodies {
                let found = self.statements(definition, &body.statements, vec![bound.clone()]);
                let Ok((_, solutions)) = found else { continue };
                if let Some(value) = body.value.filter(|_| !solutions.is_empty()) {
                    self.look(definition, value, &solutions);
                }
                if !solutions.is_empty() {
                    break;
                }
            }
        }
    }

    /// The path of a fact with the values of its keys, and whether it is there.
    fn fact(&mut self, definition: &Definition<'s>, node: &'s Json, bindings: &[Bindings]) {
        let Ok(values) = self.values(definition, node, bindings) else { return };
        for (bound, value) in bindings.iter().zip(values) {
            if let Some(path) = self.path(definition, node, bound)
                && self.facts.len() < 50
            {
                let there = self.facts.entry(path).or_insert(false);
                *there |= value.is_some();
            }
        }
    }

    fn path(&mut self, definition: &Definition<'s>, node: &'s Json, bound: &Bindings) -> Option<String> {
        match kind(node)? {
            ("Var", body) => {
                let name = body.get("value")?.as_str()?;
                let outside = definition.module.outside(node, &definition.locals)?;
                Some(if outside.is_empty() { name.to_owned() } else { outside })
            }
            ("RefDot", body) => {
                let inner = self.path(definition, body.get("refr")?, bound)?;
                Some(format!("{inner}.{}", body.get("field")?.get(1)?.as_str()?))
            }
            ("RefBrack", body) => {
                let inner = self.path(definition, body.get("refr")?, bound)?;
                let index = body.get("index")?;
                let key = self.values(definition, index, std::slice::from_ref(bound)).ok()?.pop()??;
                Some(format!("{inner}[{}]", to_json(&key)?))
            }
            _ => None,
        }
    }
}

/// What stands for a made-up name.
fn moved(definition: &Definition<'_>, statements: &[&Json], name: &str) -> Option<String> {
    let (_, right) = statements.iter().filter_map(|s| assigned(s)).find(|(left, _)| left == name)?;
    name.starts_with("negated_").then(|| definition.module.shown(right))
}

/// An expression in a line; of a comprehension what it makes, since what it ranges over is told below.
fn short(definition: &Definition<'_>, node: &Json) -> String {
    let text = definition.module.shown(node);
    let is_comprehension = kind(node).is_some_and(|(name, _)| is_scope(name));
    match (text.split_once(" | ").filter(|_| is_comprehension), text.chars().last()) {
        (Some((term, _)), Some(end)) => format!("{term} | ...{end}"),
        _ => text,
    }
}

/// A statement as it was written: what stood in its negation is put back.
fn written(definition: &Definition<'_>, statements: &[&Json], node: &Json) -> String {
    let mut text = definition.module.shown(node);
    if let Some((name, right)) = assigned(node).filter(|(name, _)| name.starts_with("negated_")) {
        // the calls of a negation come first: where one is undefined, the statement does not hold
        let _ = name;
        text = definition.module.shown(right);
    }
    for (name, right) in statements.iter().filter_map(|s| assigned(s)).filter(|(name, _)| name.starts_with("negated_"))
    {
        if text.contains(&name) {
            text = text.replace(&name, &definition.module.shown(right));
        }
    }
    text
}

/// The outermost references, calls and comprehensions of an expression, and what stands within calls. With `values` also the
/// variables within comprehensions, and no comprehension.
fn collect<'t>(node: &'t Json, values: bool, parts: &mut Vec<&'t Json>) {
    match node {
        Json::Array(items) => items.iter().for_each(|item| collect(item, values, parts)),
        Json::Object(fields) => match kind(node) {
            Some(("Var", _)) => parts.push(node),
            Some(("RefDot" | "RefBrack", body)) => {
                parts.push(node);
                keys(body, values, parts);
            }
            Some(("Call", body)) => {
                parts.push(node);
                body.get("params").into_iter().for_each(|parameters| collect(parameters, values, parts));
            }
            Some((name, body)) if is_scope(name) => {
                if values {
                    variables_of(body, parts);
                } else {
                    parts.push(node);
                }
            }
            _ => fields.iter().filter(|(key, _)| *key != "span").for_each(|(_, value)| collect(value, values, parts)),
        },
        _ => {}
    }
}

/// Computed keys of a reference.
fn keys<'t>(body: &'t Json, values: bool, parts: &mut Vec<&'t Json>) {
    body.get("index").into_iter().for_each(|index| collect(index, values, parts));
    if let Some(inner) = body.get("refr").and_then(|refr| kind(refr)).filter(|(name, _)| name.starts_with("Ref")) {
        keys(inner.1, values, parts);
    }
}

/// Variables alone: those that are bound outside show what a comprehension was made of.
fn variables_of<'t>(node: &'t Json, parts: &mut Vec<&'t Json>) {
    match node {
        Json::Array(items) => items.iter().for_each(|item| variables_of(item, parts)),
        Json::Object(fields) => match kind(node) {
            Some(("Var", _)) => parts.push(node),
            Some(("Call", body)) => body.get("params").into_iter().for_each(|p| variables_of(p, parts)),
            Some(("RefDot" | "RefBrack", body)) => {
                body.get("refr").into_iter().for_each(|refr| variables_of(refr, parts));
                body.get("index").into_iter().for_each(|index| variables_of(index, parts));
            }
            _ => fields.values().for_each(|value| variables_of(value, parts)),
        },
        _ => {}
    }
}
