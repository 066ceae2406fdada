//! Makes the RVM notice what it lets pass in silence, where OPA and the interpreter fail: a rule, function or object that has two
//! different values at once, and arithmetic on what is no number.
//!
//! Values and operands go through a call of `object.get` with a text that no object can be, which the wrapper of builtins
//! ([`super::builtins`]) takes for a message to this module: it notes an error, or hands the value on. A function says first
//! that it begins, in a definition of its own that never holds, so that values of two calls are not compared.

use super::ambiguity::{ambiguous, bodies};
use super::analysis::Module;
use super::place::written as span;
use super::tree;
use regorus::{Engine, Value};
use serde_json::Value as Json;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

/// What messages begin with. No text of an object or policy can be one, since nobody knows it before the process has started.
static MARK: LazyLock<String> = LazyLock::new(|| {
    let number = || RandomState::new().hash_one(0_u8);
    format!("seawall guard {:016x}{:016x}: ", number(), number())
});

thread_local! {
    /// The values seen since the begin of a function or comprehension, or of the evaluation: by name, then by key.
    static SEEN: RefCell<HashMap<String, BTreeMap<Value, Value>>> = RefCell::new(HashMap::new());
}

/// Forgets what the last evaluation has seen.
pub(super) fn reset() {
    SEEN.with(|seen| seen.borrow_mut().clear());
}

/// Handles the arguments of an `object.get` that is a message. `None` where it is none.
pub(super) fn message(arguments: &[Value]) -> Option<Result<Value, String>> {
    let [text, key, value] = arguments else { return None };
    // not `as_string`: the error that it makes for every object costs more than all the rest
    let Value::String(text) = text else { return None };
    let (kind, name) = text.strip_prefix(MARK.as_str())?.split_once(' ')?;
    let fits = |wanted: bool| if wanted { Ok(value.clone()) } else { Err(format!("{name}: {}", operand(value))) };
    Some(match kind {
        "begin" => {
            SEEN.with(|seen| {
                if let Some(of_name) = seen.borrow_mut().get_mut(name) {
                    of_name.clear();
                }
            });
            Ok(value.clone())
        }
        "number" => fits(matches!(value, Value::Number(_))),
        "integer" => fits(if let Value::Number(number) = value { number.is_integer() } else { false }),
        "left" if matches!(value, Value::Number(_) | Value::Set(_)) => {
            let is_set = Value::from(matches!(value, Value::Set(_)));
            SEEN.with(|seen| seen.borrow_mut().insert(name.to_owned(), BTreeMap::from([(Value::Null, is_set)])));
            Ok(value.clone())
        }
        "right" => {
            let is_set = Value::from(matches!(value, Value::Set(_)));
            let left = SEEN.with(|seen| seen.borrow().get(name).and_then(|v| v.get(&Value::Null).cloned()));
            fits(matches!(value, Value::Number(_) | Value::Set(_)) && left.is_none_or(|left| left == is_set))
        }
        "value" => SEEN.with(|seen| {
            let mut seen = seen.borrow_mut();
            let Some(of_name) = seen.get_mut(name) else {
                seen.insert(name.to_owned(), BTreeMap::from([(key.clone(), value.clone())]));
                return Ok(value.clone());
            };
            match of_name.get(key) {
                Some(before) if before != value => Err(format!("{name} has two different values at once")),
                Some(_) => Ok(value.clone()),
                None => {
                    of_name.insert(key.clone(), value.clone());
                    Ok(value.clone())
                }
            }
        }),
        _ => fits(false),
    })
}

fn operand(value: &Value) -> String {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Set(_) => "a set",
        Value::Object(_) => "an object",
        Value::Undefined => "nothing",
    };
    format!("an operand is {kind}, which does not fit")
}

/// What is known of all modules.
#[derive(Default)]
pub(super) struct Begun {
    /// Functions that say already where they begin: full names.
    functions: BTreeSet<String>,
    /// Full names that more than one module defines.
    several: BTreeSet<String>,
}

impl Begun {
    /// Reads the printed modules.
    pub(super) fn new(trees: &Json) -> Self {
        let (mut once, mut several) = (BTreeSet::new(), BTreeSet::new());
        for module in trees.as_array().into_iter().flatten().filter_map(Module::new) {
            for name in module.own.iter().filter(|_| !module.file.ends_with("_test.rego")) {
                let full = format!("{}.{name}", module.package);
                if !once.insert(full.clone()) {
                    several.insert(full);
                }
            }
        }
        Self { functions: BTreeSet::new(), several }
    }
}

/// The module with messages. `package` is its full package.
///
/// # Errors
/// The engine's words where the module does not parse.
pub(super) fn guarded(text: &str, package: &str, begun: &mut Begun) -> Result<String, String> {
    let mut engine = Engine::new();
    engine.add_policy("guarded".to_owned(), text.to_owned()).map_err(|e| e.to_string())?;
    let printed = engine.get_ast_as_json().map_err(|e| e.to_string())?;
    let trees = super::compile::parse_deep(&printed).map_err(|e| e.to_string())?;
    let rules = trees.get(0).and_then(|tree| tree.get("ast")?.get("rules")).unwrap_or(&Json::Null);
    let mut guards = Guards { text, package, edits: Vec::new(), number: 0 };
    let ambiguous = ambiguous(rules, text);
    let several = |name: &str| begun.several.contains(&format!("{package}.{name}"));
    let may: BTreeSet<&str> = rules.as_array().into_iter().flatten().filter_map(rule_name).collect();
    let may: BTreeSet<&str> = may.into_iter().filter(|name| ambiguous.contains(*name) || several(name)).collect();
    for rule in rules.as_array().into_iter().flatten() {
        if let Some(name) = rule_name(rule).filter(|name| may.contains(name)) {
            guards.rule(rule, name, begun);
        }
        guards.node(rule);
    }
    Ok(guards.applied())
}

fn rule_name(rule: &Json) -> Option<&str> {
    tree::head_chain(rule).map(|head| head.root)
}

struct Guards<'s> {
    text: &'s str,
    package: &'s str,
    /// Place, whether it ends something, rank among those of the same place, and what is inserted.
    edits: Vec<(usize, bool, i64, String)>,
    number: i64,
}

impl Guards<'_> {
    fn applied(mut self) -> String {
        // ends come before begins; of several begins the outer comes first, of several ends the inner
        self.edits.sort_by_key(|edit| (edit.0, !edit.1, edit.2));
        let mut text = self.text.to_owned();
        for (at, _, _, insert) in self.edits.into_iter().rev() {
            text.insert_str(at, &insert);
        }
        text
    }

    /// Puts an expression into a message.
    fn wrap(&mut self, expression: &Json, kind: &str, name: &str, key: &str) {
        let Some((start, end)) = self.whole(expression) else { return };
        self.number += 1;
        let begin = format!("object.get({}, {key}, ", quoted(&format!("{}{kind} {name}", *MARK)));
        self.edits.push((start, false, self.number, begin));
        self.edits.push((end, true, -self.number, ")".to_owned()));
    }

    /// The place of an expression with its quotes, and with brackets that it begins or ends within.
    fn whole(&self, expression: &Json) -> Option<(usize, usize)> {
        let (mut start, mut end) = span(tree::kind(expression)?.1)?;
        if let Some(key) = expression.get("Object").and_then(|o| o.get("fields")?.get(0)?.get(1)) {
            // regorus lets an object begin at its last key
            start = self.text.get(..self.whole(key)?.0)?.rfind('{')?;
        }
        if matches!(tree::kind(expression)?.0, "String" | "RawString") {
            let quote = |at: usize| self.text.as_bytes().get(at).is_some_and(|b| matches!(b, b'"' | b'`'));
            if start > 0 && quote(start - 1) && quote(end) {
                (start, end) = (start - 1, end + 1);
            }
        }
        loop {
            let (closing, opening) = unbalanced(self.text.get(start..end)?);
            if closing > 0 {
                start = self.text.get(..start)?.rfind(['(', '[', '{'])?;
            } else if opening > 0 {
                end += self.text.get(end..)?.find([')', ']', '}'])? + 1;
            } else {
                return Some((start, end));
            }
        }
    }

    /// The values of a rule that may have several.
    fn rule(&mut self, rule: &Json, name: &str, begun: &mut Begun) {
        let Some(spec) = rule.get("Spec") else { return };
        let Some((kind, head)) = spec.get("head").and_then(tree::kind) else { return };
        let full = format!("{}.{name}", self.package);
        let key = match head.get("refr").and_then(|refr| refr.get("RefBrack")?.get("index")) {
            Some(index) => self.whole(index).and_then(|(start, end)| self.text.get(start..end)).unwrap_or("0"),
            None => "0",
        };
        if kind == "Func" && begun.functions.insert(full.clone()) {
            let arguments = head.get("args").and_then(Json::as_array).map_or(0, Vec::len);
            let message = quoted(&format!("{}begin {full}", *MARK));
            let arguments: Vec<String> = (0..arguments).map(|n| format!("begun_{n}__")).collect();
            let definition = format!("{name}({}) if object.get({message}, 0, false)\n", arguments.join(", "));
            if let Some((start, _)) = span(spec) {
                // where the line begins, so that `else` of another definition is not cut off
                self.edits.push((start, false, i64::MIN, definition));
            }
        }
        for value in bodies(spec).iter().skip(1).filter_map(|body| body.get("assign")?.get("value")) {
            self.wrap(value, "value", &full, key);
        }
        if let Some(value) = head.get("assign").and_then(|assign| assign.get("value")) {
            self.wrap(value, "value", &full, key);
        } else {
            // a definition without a value is true, which another one may contradict
            let refr = head.get("refr").and_then(|refr| self.whole(refr)).map(|(_, end)| end);
            let end = match kind {
                "Func" => refr.and_then(|end| closed(self.text, end)),
                _ => refr,
            };
            if let Some(end) = end {
                self.number += 1;
                let message = quoted(&format!("{}value {full}", *MARK));
                self.edits.push((end, true, self.number, format!(" := object.get({message}, {key}, true)")));
            }
        }
    }

    /// Arithmetic and comprehensions of objects, wherever they stand.
    fn node(&mut self, node: &Json) {
        match node {
            Json::Array(items) => items.iter().for_each(|item| self.node(item)),
            Json::Object(fields) => {
                match tree::kind(node) {
                    Some(("ArithExpr", body)) => self.arithmetic(body),
                    Some(("ObjectCompr", body)) => self.comprehension(body),
                    _ => {}
                }
                fields.iter().filter(|(key, _)| *key != "span").for_each(|(_, value)| self.node(value));
            }
            _ => {}
        }
    }

    fn arithmetic(&mut self, body: &Json) {
        let (Some(left), Some(right)) = (body.get("lhs"), body.get("rhs")) else { return };
        let op = body.get("op").and_then(Json::as_str).unwrap_or_default();
        let (sign, kinds) = match op {
            // of two that could be sets both must be of one kind; beside a number the other must be one
            "Sub" if number(left) || number(right) => ("minus", ["number", "number"]),
            "Sub" => ("minus", ["left", "right"]),
            "Mod" => ("rem", ["integer", "integer"]),
            "Mul" => ("mul", ["number", "number"]),
            "Div" => ("div", ["number", "number"]),
            _ => ("plus", ["number", "number"]),
        };
        let name = match op {
            "Sub" => format!("{} {sign} at {}", self.package, span(body).map_or(0, |(start, _)| start)),
            _ => sign.to_owned(),
        };
        for (operand, kind) in [left, right].into_iter().zip(kinds) {
            // long chains must not nest as many calls
            let sure = if kind == "integer" { whole_number(operand) } else { number(operand) };
            if !sure {
                self.wrap(operand, kind, &name, "0");
            }
        }
    }

    fn comprehension(&mut self, body: &Json) {
        let (Some(key), Some(value), Some(query)) = (body.get("key"), body.get("value"), body.get("query")) else {
            return;
        };
        let first = query.get("stmts").and_then(Json::as_array).and_then(|stmts| span(stmts.first()?));
        let key = self.whole(key).and_then(|(start, end)| self.text.get(start..end));
        let (Some((first, _)), Some(key)) = (first, key.map(str::to_owned)) else { return };
        let name = format!("the object of {} at {first}", self.package);
        self.number += 1;
        let message = quoted(&format!("{}begin {name}", *MARK));
        // last of what is inserted here: `some once in [1];` stands before it already
        self.edits.push((first, false, i64::MIN, format!("object.get({message}, 0, true); ")));
        self.wrap(value, "value", &name, &key);
    }
}

fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// How many brackets a text closes that it did not open, and opens that it does not close. Texts in it do not count.
fn unbalanced(text: &str) -> (usize, usize) {
    let (mut closing, mut open) = (0, 0_usize);
    walk(text, |_, c| match c {
        '(' | '[' | '{' => open += 1,
        ')' | ']' | '}' if open == 0 => closing += 1,
        ')' | ']' | '}' => open -= 1,
        _ => {}
    });
    (closing, open)
}

/// The end of the arguments that begin after `start`.
fn closed(text: &str, start: usize) -> Option<usize> {
    let (mut open, mut end) = (0_usize, None);
    walk(text.get(start..)?, |at, c| match c {
        '(' if end.is_none() => open += 1,
        ')' if end.is_none() => {
            open = open.saturating_sub(1);
            if open == 0 {
                end = Some(start + at + 1);
            }
        }
        _ => {}
    });
    end
}

/// Every character that is in no text and no comment.
fn walk(text: &str, mut see: impl FnMut(usize, char)) {
    let mut within = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match within {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(end) if c == end => within = None,
            Some(_) => {}
            None if matches!(c, '"' | '`') => within = Some(c),
            None if c == '#' => within = Some('\n'),
            None => see(at, c),
        }
    }
}

/// Whether an operand is a number for sure: a literal, or the result of other arithmetic than a difference, which is checked itself.
fn number(operand: &Json) -> bool {
    match tree::kind(operand) {
        Some(("Number", _)) => true,
        Some(("ArithExpr", body)) => body.get("op").and_then(Json::as_str) != Some("Sub"),
        _ => false,
    }
}

fn whole_number(operand: &Json) -> bool {
    operand.get("Number").and_then(|number| number.get("value")).is_some_and(|v| v.is_i64() || v.is_u64())
}
