//! The literals that `violation` and `patch` answer with: keys, types, pointers; and whether the patches of a policy touch
//! what its violations complain of.

use super::{Context, Found, Module};
use crate::engine::tree::{chain, head_chain, kind, literal};
use crate::words::closest;
use serde_json::Value as Json;

/// What a rule answers with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Violation,
    Patch,
}

const VIOLATION: &[&str] = &["msg", "path", "wanted", "fix", "found", "key"];
const PATCH: &[&str] = &["op", "path", "value"];

/// A path as far as it can be read, and whether it ends there.
struct Prefix {
    steps: Vec<String>,
    complete: bool,
}

pub(super) fn check(context: &Context<'_>, found: &mut Found) {
    for module in context.linted().filter(|module| module.is_policy()) {
        let mut paths = Paths::default();
        let mut answers = false;
        for rule in module.rules() {
            let Some(head) = head_chain(rule).filter(|head| head.keys.is_empty()) else { continue };
            let answer = match head.root {
                "violation" => Answer::Violation,
                "patch" => Answer::Patch,
                _ => continue,
            };
            answers = true;
            definition(module, rule, answer, &mut paths, found);
        }
        if !answers {
            let message = "there is neither `violation` nor `patch`, so the policy says nothing";
            let place = module.place(module.tree().get("package").unwrap_or(&Json::Null));
            found.add("result/no-rule", place, message, "write `violation contains {…} if {…}`");
        }
        paths.compare(module, found);
    }
}

/// Where violations and patches of one policy are, as far as that can be read.
#[derive(Default)]
struct Paths {
    violations: Vec<Prefix>,
    patches: Vec<Prefix>,
    /// Something is computed from the beginning.
    unseen: bool,
    first_patch: Option<Json>,
}

fn definition(module: &Module, rule: &Json, answer: Answer, paths: &mut Paths, found: &mut Found) {
    let name = if answer == Answer::Violation { "violation" } else { "patch" };
    let spec = rule.get("Spec");
    let Some(head) = spec.and_then(|spec| spec.get("head")?.get("Set")) else {
        let message = format!("{name} is one value; wanted a set");
        let node = spec.or_else(|| rule.get("Default")).unwrap_or(rule);
        let fix = format!("write `{name} contains {{…}} if {{…}}`");
        return found.wide("result/not-a-set", module.place(node), name.len(), message, fix);
    };
    let bodies = spec.and_then(|spec| spec.get("bodies")?.as_array()).map(Vec::as_slice).unwrap_or_default();
    let statements =
        bodies.iter().filter_map(|body| body.get("query")?.get("stmts")?.as_array()).map(Vec::len).sum::<usize>();
    if statements == 0 && answer == Answer::Violation {
        let message = "the violation has no condition: every request that matches is one";
        let node = spec.unwrap_or(rule);
        found.wide("result/unconditional", module.place(node), name.len(), message, "add `if {…}` that says when");
    }
    let Some(key) = head.get("key") else { return };
    let mut literals = Vec::new();
    if !objects(module, key, bodies, 0, &mut literals) {
        paths.unseen = true;
    }
    for (owner, node) in literals {
        object(owner, node, answer, paths, found);
    }
}

/// The object literals that an expression stands for; false where that cannot be seen.
fn objects<'c>(
    module: &'c Module,
    node: &'c Json,
    bodies: &'c [Json],
    depth: usize,
    literals: &mut Vec<(&'c Module, &'c Json)>,
) -> bool {
    if depth > 3 {
        return false;
    }
    match kind(node) {
        Some(("Var", body)) => {
            // a variable that the body assigns once
            let name = body.get("value").and_then(Json::as_str).unwrap_or_default();
            let mut values = Vec::new();
            for statement in
                bodies.iter().flat_map(|b| b.get("query").and_then(|q| q.get("stmts")?.as_array())).flatten()
            {
                let assign = statement.get("literal").and_then(|l| l.get("Expr")?.get("expr")?.get("AssignExpr"));
                let target = assign.and_then(|a| a.get("lhs")?.get("Var")?.get("value")?.as_str());
                values.extend(assign.filter(|_| target == Some(name)).and_then(|a| a.get("rhs")));
            }
            !values.is_empty() && values.iter().all(|value| objects(module, value, bodies, depth + 1, literals))
        }
        Some(("Call", body)) => {
            let Some(function) = body.get("fcn").and_then(chain).filter(|f| f.keys.is_empty()) else { return false };
            let mut any = false;
            let all =
                module.rules().filter(|rule| head_chain(rule).is_some_and(|h| h.root == function.root)).all(|rule| {
                    any = true;
                    let spec = rule.get("Spec");
                    let value = spec.and_then(|s| s.get("head")?.get("Func")?.get("assign")?.get("value"));
                    let bodies = spec.and_then(|s| s.get("bodies")?.as_array()).map(Vec::as_slice).unwrap_or_default();
                    value.is_some_and(|value| objects(module, value, bodies, depth + 1, literals))
                });
            any && all
        }
        Some(("Object" | "String" | "RawString" | "Number" | "Bool" | "Null" | "Array" | "Set", _)) => {
            literals.push((module, node));
            true
        }
        _ => false,
    }
}

fn object(module: &Module, node: &Json, answer: Answer, paths: &mut Paths, found: &mut Found) {
    let place = module.place(node);
    let Some(("Object", body)) = kind(node) else {
        let message = format!("the member is {}; wanted an object", type_of(node));
        let fix = match answer {
            Answer::Violation => "write {\"msg\": …, \"path\": […], \"wanted\": …, \"fix\": …}",
            Answer::Patch => "write {\"op\": \"add\", \"path\": \"/…\", \"value\": …}",
        };
        return found.wide("result/wrong-type", place, module.width(node), message, fix);
    };
    let fields: Vec<(Option<&str>, &Json)> = body
        .get("fields")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(|field| Some((literal(field.get(1)), field.get(2)?)))
        .collect();
    // a computed key could be any
    if fields.iter().any(|(key, _)| key.is_none()) {
        paths.unseen = true;
        return;
    }
    let of = |key: &str| fields.iter().find(|(name, _)| *name == Some(key)).map(|(_, value)| *value);
    let (known, needed): (&[&str], &[&str]) = match answer {
        Answer::Violation => (VIOLATION, &["msg", "path", "wanted", "fix"]),
        Answer::Patch if of("op").and_then(|op| literal(Some(op))) == Some("remove") => {
            (&["op", "path"], &["op", "path"])
        }
        Answer::Patch if of("op").is_some_and(|op| literal(Some(op)).is_none()) => (PATCH, &["op", "path"]),
        Answer::Patch => (PATCH, PATCH),
    };
    let mut meant = Vec::new();
    for key in fields.iter().filter_map(|(key, _)| *key).filter(|key| !known.contains(key)) {
        let near = crate::words::near(key, known.iter().copied());
        meant.extend(near);
        let message = format!("nobody reads {key:?}{}", closest(key, known.iter().copied()));
        found.add("result/unknown-key", place.clone(), message, format!("wanted only {}", known.join(", ")));
    }
    let missing: Vec<&str> = needed.iter().copied().filter(|key| of(key).is_none() && !meant.contains(key)).collect();
    if !missing.is_empty() {
        let message = format!("the object has no {}", missing.join(", no "));
        let fix = match answer {
            Answer::Violation => {
                "say what is wrong (msg), where (path), what is wanted, and the smallest change (fix): developers see all four"
            }
            Answer::Patch => "RFC 6902: op, path, and value unless it is remove",
        };
        found.add("result/missing-key", place.clone(), message, fix);
    }
    match answer {
        Answer::Violation => violation(module, &of, paths, found),
        Answer::Patch => patch(module, node, &of, paths, found),
    }
}

fn violation<'j>(module: &Module, of: &dyn Fn(&str) -> Option<&'j Json>, paths: &mut Paths, found: &mut Found) {
    for key in ["msg", "fix"] {
        let Some(value) = of(key) else { continue };
        let wrong = match (type_of(value), literal(Some(value))) {
            (_, Some(text)) if text.trim().is_empty() => format!("{key} is empty"),
            ("a number" | "a boolean" | "null" | "an array" | "an object" | "a set", _) => {
                format!("{key} is {}; wanted text", type_of(value))
            }
            _ => continue,
        };
        let fix = "one sentence for the person at kubectl";
        found.wide("result/wrong-type", module.place(value), module.width(value), wrong, fix);
    }
    let Some(path) = of("path") else {
        paths.unseen = true;
        return;
    };
    match kind(path) {
        Some(("Array", body)) => {
            let items = body.get("items").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
            let mut prefix = Prefix { steps: Vec::new(), complete: true };
            for item in items {
                let number = item.get("Number").and_then(|n| n.get("value")?.as_u64());
                match (literal(Some(item)).map(str::to_owned), number) {
                    (Some(step), _) => prefix.steps.push(step),
                    (_, Some(number)) => prefix.steps.push(number.to_string()),
                    _ => {
                        prefix.complete = false;
                        if !["a value", "a number"].contains(&type_of(item)) {
                            let message = format!("path has {}; wanted keys and indices", type_of(item));
                            let fix = "write [\"spec\", \"template\", 0]";
                            found.wide("result/wrong-type", module.place(item), module.width(item), message, fix);
                        }
                        break;
                    }
                }
            }
            paths.violations.push(prefix);
        }
        Some(("String" | "RawString" | "Number" | "Bool" | "Null" | "Object" | "Set", _)) => {
            let message = format!("path is {}; wanted a list of keys and indices", type_of(path));
            let fix = "write [\"spec\", \"replicas\"]";
            found.wide("result/wrong-type", module.place(path), module.width(path), message, fix);
            paths.unseen = true;
        }
        _ => paths.unseen = true,
    }
}

fn patch<'j>(
    module: &Module,
    node: &Json,
    of: &dyn Fn(&str) -> Option<&'j Json>,
    paths: &mut Paths,
    found: &mut Found,
) {
    paths.first_patch.get_or_insert_with(|| node.clone());
    let op = of("op").and_then(|op| Some((op, literal(Some(op))?)));
    if let Some((at, word)) = op.filter(|(_, word)| !["add", "remove", "test"].contains(word)) {
        let fix = match word {
            "replace" => "write \"add\", which also replaces and works where the field is left out".to_owned(),
            "move" | "copy" => "write \"add\" with the value, and \"remove\"".to_owned(),
            _ => format!("wanted add, remove or test{}", closest(word, ["add", "remove", "test"].into_iter())),
        };
        found.wide("result/patch-op", module.place(at), module.width(at), format!("op is {word:?}"), fix);
    }
    let Some(path) = of("path") else { return };
    let wrong = |problem: String, fix: &str, found: &mut Found| {
        found.wide("result/patch-path", module.place(path), module.width(path), problem, fix);
    };
    let (text, complete) = match kind(path) {
        Some(("String" | "RawString", _)) => (literal(Some(path)).unwrap_or_default(), true),
        Some(("Number" | "Bool" | "Null" | "Array" | "Object" | "Set", _)) => {
            let fix = "write a JSON Pointer: \"/spec/replicas\", or object.pointer(path) of data.seawall.lib.object";
            paths.unseen = true;
            return wrong(format!("path is {}; wanted text", type_of(path)), fix, found);
        }
        // sprintf("/spec/%s", …) begins with what stands before the verb
        Some(("Call", body)) if body.get("fcn").and_then(chain).is_some_and(|f| f.root == "sprintf") => {
            let format = literal(body.get("params").and_then(|p| p.get(0))).unwrap_or_default();
            (format.split('%').next().unwrap_or_default(), false)
        }
        _ => {
            paths.unseen = true;
            return;
        }
    };
    if !text.starts_with('/') {
        if complete || !text.is_empty() {
            wrong(
                format!("{text:?} does not begin with /"),
                "write a JSON Pointer (RFC 6901): \"/spec/replicas\"",
                found,
            );
        }
        paths.unseen = true;
        return;
    }
    let steps: Vec<&str> = text.split('/').skip(1).collect();
    let bad_escape = |step: &&str| step.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']));
    if let Some(step) = steps.iter().find(|step| bad_escape(step)) {
        wrong(format!("{step:?} has a ~ that escapes nothing"), "write ~0 for ~ and ~1 for / within a key", found);
    }
    // the values of labels and annotations are text, so nothing stands below one
    let map = steps.iter().position(|step| ["labels", "annotations"].contains(step));
    if let Some(map) =
        map.filter(|map| steps.get(map + 1).is_some_and(|key| key.contains('.')) && steps.len() > map + 2)
    {
        let key = steps.get(map + 1).copied().unwrap_or_default();
        let problem = format!("a key that begins with {key:?} has a / that is not escaped");
        wrong(problem, "write ~1 for the / within the key: /metadata/annotations/seawall.dev~1tier", found);
    }
    let mut steps: Vec<String> = steps.iter().map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    if !complete {
        // what the verb adds to the last step is not known
        steps.pop();
    }
    paths.patches.push(Prefix { steps, complete });
}

impl Paths {
    /// Patches that are nowhere near a violation cannot clear one.
    fn compare(&self, module: &Module, found: &mut Found) {
        if self.unseen || self.violations.is_empty() || self.patches.is_empty() {
            return;
        }
        let touches = |a: &Prefix, b: &Prefix| a.steps.iter().zip(&b.steps).all(|(a, b)| a == b);
        if self.violations.iter().any(|v| self.patches.iter().any(|p| touches(v, p))) {
            return;
        }
        let shown = |prefix: &Prefix| {
            let tail = if prefix.complete { "" } else { "/…" };
            format!("/{}{tail}", prefix.steps.join("/"))
        };
        let patches: Vec<String> = self.patches.iter().map(shown).collect();
        let violations: Vec<String> = self.violations.iter().map(shown).collect();
        let message = format!(
            "the patches write {}, and the violations are at {}: no violation is ever cleared",
            patches.join(", "),
            violations.join(", ")
        );
        let place = self.first_patch.as_ref().map(|node| module.place(node)).unwrap_or_default();
        found.add("patch/never-clears", place, message, "patch the field that the violation names");
    }
}

/// What a node is, in words; `a value` where it is computed.
fn type_of(node: &Json) -> &'static str {
    match kind(node).map(|(name, _)| name) {
        Some("String" | "RawString") => "text",
        Some("Number") => "a number",
        Some("Bool") => "a boolean",
        Some("Null") => "null",
        Some("Array" | "ArrayCompr") => "an array",
        Some("Object" | "ObjectCompr") => "an object",
        Some("Set" | "SetCompr") => "a set",
        _ => "a value",
    }
}
