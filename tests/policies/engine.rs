//! What the engine is known to get wrong, to panic on, or to hang on: each is refused when it is loaded, rewritten, or
//! contained. A new version of regorus runs the same list.

use seawall::engine::compile::{CompileError, EngineKind, Entry, Modules, Source, Unit};
use seawall::engine::evaluate::{Data, EvaluationError, Worker};
use seawall::engine::value::{self, Value};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn modules(body: &str) -> Result<Arc<Modules>, CompileError> {
    let text = format!("package seawall.policies.p\n\n{body}\n");
    Modules::parse([&Source { file: "p.rego".to_owned(), text }], "").map(Arc::new)
}

fn unit(body: &str) -> Unit {
    let modules = modules(body).unwrap_or_else(|e| panic!("{e}"));
    let unit = Unit::compile(&modules, "data.seawall.policies.p", None).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(unit.interpreted_because, None);
    unit
}

/// Both engines' answers for `violation`, as JSON.
fn both(body: &str, input: serde_json::Value) -> [Result<serde_json::Value, EvaluationError>; 2] {
    let unit = unit(body);
    let data = Data::new(value::from_json(&json!({"cluster": {"nodes": {}}})));
    let input = value::from_json(&input);
    [EngineKind::Rvm, EngineKind::Interpreter].map(|kind| {
        let answer = Worker::new().evaluate_on(kind, &unit, Entry::Violation, &input, &data, Duration::from_secs(10));
        answer.map(|v| value::to_json(&v).unwrap_or_default())
    })
}

fn agree(body: &str, input: serde_json::Value, wanted: serde_json::Value) {
    let [rvm, interpreter] = both(body, input);
    assert_eq!(rvm, Ok(wanted.clone()), "RVM: {body}");
    assert_eq!(interpreter, Ok(wanted), "interpreter: {body}");
}

fn refused(body: &str, part: &str) {
    let error = match modules(body) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("was loaded: {body}"),
    };
    assert!(error.contains(part) && error.contains("p.rego:"), "{error}");
}

#[test]
fn an_undefined_assignment_ends_the_body() {
    // regorus 0.14.1's RVM goes on with an undefined variable; the rewriting makes it stop
    agree("violation contains 7 if { x := input.missing }", json!({}), json!([]));
    agree("violation contains 7 if { x := f(input) }\nf(v) := 1 if v.z", json!({}), json!([]));
    agree("violation contains f(input)\nf(v) := 7 if { x := v.z } else := 3", json!({}), json!([3]));
    agree(
        "violation contains f(input)\nf(v) := e if { e := v.z } else := e if { e := v.b } else := 9",
        json!({"b": 2}),
        json!([2]),
    );
    agree("violation contains count(l) if { l := [1 | some q in [1]; e := input.z] }", json!({}), json!([0]));
    agree("violation contains 1 if every q in [1] { e := input.z }", json!({}), json!([]));
    agree("violation contains 1 if not h\nh if { e := input.z }", json!({}), json!([1]));
}

#[test]
fn a_call_within_a_negation_is_evaluated_before_it() {
    // regorus 0.14.1 negates the whole expression, so that an undefined call makes it hold; OPA evaluates calls first
    agree("violation contains 7 if { not f(input.x) == 0 }\nf(v) := v.y", json!({"x": {}}), json!([]));
    agree("violation contains 7 if not f(input.x) == 0\nf(v) := v.y", json!({"x": {}}), json!([]));
    agree("violation contains 7 if { not f(input.x) == 0 }\nf(v) := v.y", json!({"x": {"y": 1}}), json!([7]));
    agree("violation contains 7 if { not f(input.x) == 0 }\nf(v) := v.y", json!({"x": {"y": 0}}), json!([]));
    agree("violation contains 7 if { not count(input.x) == 0 }", json!({}), json!([]));
    agree("violation contains 7 if { not input.x == 0 }", json!({}), json!([7]));
    agree(
        "violation contains x if { some x in input.xs; not f(x) in {1, 2} }\nf(v) := v if v != 3",
        json!({"xs": [1, 2, 3, 4]}),
        json!([4]),
    );
    agree(
        "violation contains l if { l := [x | some x in input.xs; not count([1 | not f(x) == 4]) == 1] }\nf(v) := v if v != 3",
        json!({"xs": [1, 3, 4]}),
        json!([[3, 4]]),
    );
}

#[test]
fn a_comprehension_that_fails_leaves_the_loop_around_it_alone() {
    // regorus 0.14.1's RVM ends the outer loop; the rewriting gives the comprehension a loop of its own
    let xs = || json!({"xs": ["a", "b", "c"], "ys": [{"a": 1}, {}, {"a": 2}]});
    for body in [
        "violation contains l if l := [x | some x in input.xs; h := [1 | x != \"b\"]; count(h) == 0]",
        "violation contains l if l := [x | some x in input.xs; count([1 | x != \"b\"]) == 0]",
        "violation contains l if l := [x | some x in input.xs; h := [1 | x != \"b\"; some y in [1]]; count(h) == 0]",
        "violation contains l if l := [x | some x in input.xs; h := {\"k\": 1 | x != \"b\"}; count(h) == 0]",
    ] {
        let body = body.replacen("if l :=", "if { l :=", 1) + " }";
        agree(&body, xs(), json!([["b"]]));
    }
    agree(
        "violation contains l if { l := [x | some x in input.ys; h := [y | y := x.a]; count(h) == 0] }",
        xs(),
        json!([[{}]]),
    );
    agree("violation contains x if { some x in input.xs; h := [1 | x != \"b\"]; count(h) == 0 }", xs(), json!(["b"]));
}

#[test]
fn texts_at_the_ends_of_what_is_rewritten_keep_their_quotes() {
    agree("violation contains 7 if not lower(input.x) == \"a\"", json!({"x": "B"}), json!([7]));
    agree("violation contains 7 if not lower(input.x) == \"a\"", json!({"x": "A"}), json!([]));
    agree(
        "violation contains l if { l := [x | some x in input.xs; count([1 | \"b\" in x]) == 1] }",
        json!({"xs": [["a"], ["b"]]}),
        json!([[["b"]]]),
    );
}

#[test]
fn shadowed_names_stay_apart() {
    agree("violation contains y if { x := 1; y := [x | x := 2] }", json!({}), json!([[2]]));
    refused("violation contains x if x := input.x", "put the body in braces");
}

#[test]
fn constructs_on_which_engines_differ_are_refused() {
    refused("violation contains 1 if count([x.q | some x in [{}]]) == 0", "term of a comprehension");
    refused("violation contains 1 if {k: x.q | some k, x in {\"a\": {}}} == {}", "term of a comprehension");
    refused(
        "violation contains f(1)\nf(x) := 7 if { some e in [1]; e > 5 } else := 3",
        "a loop in a body of f that has an `else`",
    );
    refused("violation contains f(1)\nf(x) := 7 if { [1, 2][_] > 5 } else := 3", "a loop in a body of f");
    refused("violation contains f([])\nf(x) := x[0] if { x != 1 } else := 3", "front of an `else`");
    refused("default f(_) := 1\nf(x) := 2 if x == 2\nviolation contains f(1)", "`default` on the function f");
    refused("a.b.c := 1\nviolation contains 1 if a.b.c", "several parts");
    refused("violation contains x if walk(input, x)", "walk is not a permitted builtin");
    refused("violation contains 1 if print(input)", "print is not a permitted builtin");
    refused("violation contains 1 if input.a / input.b > 1", "division");
    refused("violation contains 1 if data.cluster[input.kind]", "computed");
    refused("violation contains 1 if data[input.kind]", "data is a package");
    refused(
        "violation contains 1 if data.cluster.nodes[_]\nviolation contains 1 if data.other.x",
        "neither a rule nor a fact",
    );
}

#[test]
fn definitions_that_do_not_go_together_are_refused() {
    refused("violation contains f(1)\nf := 1\nf(x) := x", "f is a function of 1 argument here and a value at");
    refused(
        "violation contains f(1)\nf(x) := x\nf(x, y) := x + y",
        "f is a function of 2 arguments here and a function",
    );
    refused("violation contains 1 if q\nq contains 1\nq := {2}", "q is a value here and a set at");
    refused(
        "violation contains 1 if q.a\nq[k] := 1 if some k in [\"a\"]\nq contains 2",
        "q is a set here and an object",
    );
    refused("violation contains 1 if q\ndefault q := {1}\nq contains 2", "q is a set here and a value at");
    refused("violation contains 1 if q\ndefault q := 1\ndefault q := 2", "a second `default` of q");
}

#[test]
fn two_values_at_once_are_the_policys_failure() {
    // regorus 0.14.1's RVM takes one of them, or none, and says nothing
    for body in [
        "violation contains x if { x := q }\nq := 1\nq := 2",
        "violation contains 1 if not q\nq if input.n\nq := false",
        "violation contains x if { x := f(1) }\nf(x) := 1 if x == 1\nf(x) := 2 if x > 0",
        "violation contains x if { x := f([1, 2]) }\nf(l) := y if { some y in l }",
        "violation contains 1 if not f(1)\nf(x) := false if x == 1\nf(x) if x > 0",
        "violation contains 1 if { o := {k: v | some v in [1, 2]; k := \"a\"}; count(o) == 1 }",
        "violation contains 1 if p.a\np[k] := v if { some v in [1, 2]; k := \"a\" }",
    ] {
        let [rvm, interpreter] = both(body, json!({"n": 1}));
        assert!(
            matches!(&rvm, Err(EvaluationError::Builtin(e)) if e.contains("two different values")),
            "{body}: {rvm:?}"
        );
        assert!(interpreter.is_err(), "{body}: {interpreter:?}");
    }
    // equal ones are one, and each call, object and request is for itself
    agree("violation contains x if { x := q }\nq := 1\nq := input.n", json!({"n": 1}), json!([1]));
    agree(
        "violation contains [f(1), f(2), f(1)]\nf(x) := \"a\" if x == 1\nf(x) := (x + 1) if x > 1",
        json!({}),
        json!([["a", 3, "a"]]),
    );
    agree(
        "violation contains l if { l := [o | some n in [1, 2]; o := {k: v | some k in [\"a\"]; v := n}] }",
        json!({}),
        json!([[{"a": 1}, {"a": 2}]]),
    );
}

/// As OPA answers: an undefined operand makes the statement fail, except beside `==` and by itself.
#[test]
fn an_undefined_operand_within_a_negation_ends_the_body() {
    for (condition, wanted) in [
        ("not f(input.missing)", false),
        ("not f([input.missing])", false),
        ("not f(input.o.missing)", false),
        ("not f(undefined_rule)", false),
        ("not g(input.o, input.missing)", false),
        ("not startswith(input.missing, \"a\")", false),
        ("not input.missing > 1", false),
        ("not input.missing != 1", false),
        ("not input.missing in {1}", false),
        ("not input.o[input.missing]", false),
        ("not input.o[input.missing] == 1", false),
        ("not input.o[undefined_rule]", false),
        ("not [input.missing] == [1]", false),
        ("not {input.missing}", false),
        ("not (input.missing == 1) == true", false),
        ("not input.missing", true),
        ("not undefined_rule", true),
        ("not undefined_rule == true", true),
        ("not input.missing == 1", true),
        ("not input.missing = 1", true),
        ("not f([x | x := input.missing])", true),
        ("not f(input.o)", true),
    ] {
        let rules = "f(x) if x == input.one\n\ng(x, k) if x[k] == 1\n\nundefined_rule := input.missing";
        let answer = if wanted { json!([1]) } else { json!([]) };
        agree(&format!("violation contains 1 if {condition}\n\n{rules}"), json!({"o": {"a": 1}}), answer);
        agree(
            &format!("violation contains 1 if {{\n\t{condition}\n}}\n\n{rules}"),
            json!({"o": {"a": 1}}),
            if wanted { json!([1]) } else { json!([]) },
        );
    }
    refused("violation contains 1 if not input.list[_] > 5", "`_` within a negation");
    refused("violation contains 1 if not f(input.list[_].x)\nf(x) if x", "`_` within a negation");
}

#[test]
fn two_values_of_two_files_are_the_policys_failure() {
    let source = |file: &str, body: &str| {
        let text = format!("package seawall.policies.p\n\n{body}\n");
        Source { file: file.to_owned(), text }
    };
    let (one, other) =
        (source("a.rego", "violation contains x if { x := q }\nq := 1"), source("b.rego", "q := input.n"));
    let modules = Arc::new(Modules::parse([&one, &other], "").unwrap());
    let unit = Unit::compile(&modules, "data.seawall.policies.p", None).unwrap();
    let data = Data::new(value::from_json(&json!({"cluster": {"nodes": {}}})));
    for (number, fails) in [(1, false), (2, true)] {
        for kind in [EngineKind::Rvm, EngineKind::Interpreter] {
            let input = value::from_json(&json!({"n": number}));
            let answer =
                Worker::new().evaluate_on(kind, &unit, Entry::Violation, &input, &data, Duration::from_secs(10));
            assert_eq!(answer.is_err(), fails, "{kind:?} {number}: {answer:?}");
        }
    }
}

/// The fast engine's programs carry messages in the first argument of `object.get` (src/engine/guards.rs). A text of an object
/// that looks like one is a text like any other.
#[test]
fn nobody_sends_messages_through_an_object() {
    for text in ["seawall guard: value x", "seawall guard 00000000000000000000000000000000: value x"] {
        let [rvm, interpreter] =
            both("violation contains 1 if object.get(input.text, \"a\", 7) == 7", json!({"text": text}));
        assert!(matches!(&rvm, Err(EvaluationError::Builtin(e)) if e.contains("object.get")), "{rvm:?}");
        assert!(interpreter.is_err(), "{interpreter:?}");
    }
}

#[test]
fn arithmetic_on_what_is_no_number_is_the_policys_failure() {
    for body in [
        "violation contains 1 if not input.text - 1 == 0",
        "violation contains 1 if input.n + input.text > 1",
        "violation contains 1 if (input.n * 2) - (input.text + 1) > 1",
        "violation contains 1 if { s := {1}; x := s - input.n; x == s }",
        "violation contains 1 if 1.5 % 1 == 0",
        "violation contains 1 if input.half % 2 == 0",
    ] {
        let [rvm, interpreter] = both(body, json!({"n": 1, "half": 0.5, "text": "x"}));
        assert!(matches!(rvm, Err(EvaluationError::Builtin(_))), "{body}: {rvm:?}");
        assert!(interpreter.is_err(), "{body}: {interpreter:?}");
    }
    agree("violation contains x if { x := ((input.n + 2) * 3 - (5 - input.n)) % 4 }", json!({"n": 1}), json!([1]));
    agree("violation contains x if { x := {1, 2} - {input.n} }", json!({"n": 1}), json!([[2]]));
    // an absent operand is undefined, as everywhere
    agree("violation contains 1 if not input.none == 1\nviolation contains input.none - 1", json!({}), json!([1]));
}

#[test]
fn what_conformance_cases_show_is_refused() {
    refused(
        "default d := [x | some x in [1]]\nd := 1 if false\nviolation contains 1 if d",
        "a comprehension as a `default`",
    );
    refused("violation contains 1 if { 1, 2 in {1, 2} }", "`key, value in …`");
    refused("violation contains 1 if data.seawall.knowledge.x[2]", "a number as a key of `data`");
    refused("violation contains 1 if glob.match(\"{a/,}b\", null, \"b\")", "an empty alternative");
    refused("violation contains 1 if glob.match(input.pattern, null, \"b\")", "pattern that is not a literal");
    agree("violation contains k if some k, v in input.o", json!({"o": {"a": 1}}), json!(["a"]));
}

#[test]
fn what_panics_hangs_or_aborts_is_refused() {
    refused(
        "violation contains x if x := numbers.range(1, input.replicas)",
        "numbers.range is not a permitted builtin",
    );
    refused("violation contains x if x := units.parse_bytes(input.size)", "units.parse_bytes is not");
    refused("violation contains x if x := units.parse(input.size)", "units.parse is not");
    refused("violation contains x if x := bits.lsh(1, input.n)", "bits.lsh is not");
    refused("violation contains x if x := strings.count(\"\", \"\")", "strings.count is not");
    refused("violation contains x if x := net.cidr_expand(\"0.0.0.0/0\")", "net.cidr_expand is not");
    refused("violation contains x if x := sprintf(input.format, [1])", "format that is not a literal");
    refused("violation contains x if x := sprintf(\"%²\", [1])", "sprintf verb");
    refused("violation contains x if x := sprintf(\"%04000000000d\", [1])", "sprintf verb");
    refused("violation contains x if x := sprintf(\"%s %s\", [1])", "2 verbs and 1 values");
    refused("violation contains 1 if regex.match(input.pattern, \"a\")", "pattern that is not a literal");
    refused("violation contains x if x := http.send({})", "http.send is not");
    refused("violation contains x if x := time.now_ns()", "time.now_ns is not");
    refused("violation contains f(1)\nf(x) := f(x)", "calls itself");
    refused("violation contains f(1)\nf(x) := g(x)\ng(x) := f(x)", "calls itself");
}

#[test]
fn a_failing_builtin_is_the_policys_failure_on_both_engines() {
    for body in [
        "violation contains 1 if not lower(input.n)",
        "violation contains 1 if { x := lower(input.n) }\nviolation contains 2",
        "violation contains 1 if time.parse_rfc3339_ns(input.s) > 1",
        "violation contains 1 if object.get(input.s, \"a\", 1) == 1",
        "violation contains x if { y := [lower(v) | some v in [1, 2]]; x := count(y) }",
    ] {
        let [rvm, interpreter] = both(body, json!({"n": 1, "s": "text"}));
        assert!(matches!(rvm, Err(EvaluationError::Builtin(_))), "{body}: {rvm:?}");
        assert!(interpreter.is_err(), "{body}: {interpreter:?}");
    }
    let [rvm, _] = both("violation contains x if { x := to_number(input.s) }", json!({"s": "1".repeat(1000)}));
    assert!(rvm.unwrap_err().to_string().contains("longer than"));
}

#[test]
fn values_of_different_types_compare_as_rego_orders_them() {
    agree("violation contains 1 if input.a < input.b", json!({"a": 1, "b": "x"}), json!([1]));
}

#[test]
fn a_policy_that_does_not_end_is_stopped() {
    let body = "violation contains 1 if {\n\tl := input.l\n\tsome a in l\n\tsome b in l\n\tsome c in l\n\tsome d in l\n\ta + b + c + d < 0\n}";
    let unit = unit(body);
    let data = Data::new(Value::new_object());
    let input = value::from_json(&json!({"l": (0..400).collect::<Vec<_>>()}));
    for kind in [EngineKind::Rvm, EngineKind::Interpreter] {
        let started = Instant::now();
        let mut worker = Worker::new();
        let limit = Duration::from_millis(200);
        let result = worker.evaluate_on(kind, &unit, Entry::Violation, &input, &data, limit);
        assert_eq!(result, Err(EvaluationError::Timeout(limit)), "{kind:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "{kind:?} took {:?}", started.elapsed());
        // the machine is good for the next request
        let small = value::from_json(&json!({"l": [-9]}));
        let after = worker.evaluate_on(kind, &unit, Entry::Violation, &small, &data, Duration::from_secs(5));
        assert_eq!(after.map(|v| value::to_json(&v)), Ok(Some(json!([1]))));
    }
}

#[test]
fn nothing_of_one_request_is_left_for_the_next() {
    let unit = unit("violation contains x if { x := input.x }\nviolation contains \"fact\" if data.cluster.nodes.n");
    let mut worker = Worker::new();
    let with = Data::new(value::from_json(&json!({"cluster": {"nodes": {"n": 1}}})));
    let without = Data::new(value::from_json(&json!({"cluster": {"nodes": {}}})));
    for kind in [EngineKind::Rvm, EngineKind::Interpreter] {
        for (input, data, wanted) in [
            (json!({"x": 1}), &with, json!([1, "fact"])),
            (json!({}), &without, json!([])),
            (json!({"x": 2}), &without, json!([2])),
            (json!({}), &with, json!(["fact"])),
        ] {
            let answer = worker.evaluate_on(
                kind,
                &unit,
                Entry::Violation,
                &value::from_json(&input),
                data,
                Duration::from_secs(5),
            );
            assert_eq!(answer.map(|v| value::to_json(&v).unwrap_or_default()), Ok(wanted), "{kind:?} {input}");
        }
    }
}

/// regorus 0.14.1's RVM takes a lookup by the variable of `every` for a loop of its own, and what is undefined there for held.
#[test]
fn every_holds_for_all_or_not_at_all() {
    let rules = "few contains item if some item in input.list\n\nhas(v) if input.o[v]";
    let bodies = [
        "every v in few { is_string(v); input.o[v] }",
        "every v in few { input.o[v] == 1 }",
        "every v in input.list { input.o[v] == 1 }",
        "every v in input.list { x := input.o[v]; x == 1 }",
        "every v in input.list { w := v; input.o[w] == 1 }",
        "every v in input.list { has(v) }",
        "every v in input.list { some w in [v]; input.o[w] == 1 }",
        "every v in input.list { every w in [v] { input.o[w] == 1 } }",
        "every v in input.list { input.o[v] == 1; count([w | some w in [1]; input.o[v]]) == 1 }",
    ];
    for body in bodies {
        for last in ["", "input.o", "some q in [1]; q == 1"] {
            for (list, wanted) in [
                (json!([]), true),
                (json!(["b"]), true),
                (json!(["b", "c", "b"]), true),
                (json!(["b", "missing"]), false),
                (json!(["missing"]), false),
            ] {
                let text = format!("violation contains 1 if {{\n\t{body}\n\t{last}\n}}\n\n{rules}");
                let answer = if wanted { json!([1]) } else { json!([]) };
                agree(&text, json!({"list": list, "o": {"b": 1, "c": 1}}), answer);
            }
        }
    }
    let keyed = "violation contains 1 if every k, v in input.m { input.o[k] == v }";
    agree(keyed, json!({"m": {"b": 1, "c": 1}, "o": {"b": 1, "c": 1}}), json!([1]));
    agree(keyed, json!({"m": {"b": 1, "c": 2}, "o": {"b": 1, "c": 1}}), json!([]));
    agree(keyed, json!({"m": {"b": 1, "z": 2}, "o": {"b": 1}}), json!([]));
    agree(
        "violation contains 1 if every k, v in input.m { input.o[k] == v }",
        json!({"m": [1, 2], "o": [1, 2]}),
        json!([1]),
    );
    agree("violation contains 1 if every k, v in {1, 2} { k == v }", json!({}), json!([1]));
    agree("violation contains 1 if every _, _ in input.m { input.o }", json!({"m": [1, 1], "o": 1}), json!([1]));
    // what is no collection
    for other in [json!(null), json!(""), json!("text"), json!(1), json!(true)] {
        agree("violation contains 1 if every v in input.m { v }", json!({"m": other}), json!([]));
    }
    agree("violation contains 1 if every v in input.missing { v }", json!({}), json!([]));
}

/// regorus 0.14.1's RVM loads `input` and `data` where a body mentions them first, and never again: all that came after a comprehension
/// that had nothing to go through was undefined.
#[test]
fn what_comes_after_a_loop_that_did_not_run_is_there() {
    let rules = "few contains item if some item in input.list";
    let input = json!({"list": [], "m": {}, "o": {"b": 1, "c": 1}});
    for body in [
        "z := [k | some k in few; input.o[k]]\n\tinput.o",
        "count({k | some k in few; input.o}) == 0\n\tinput.o",
        "every k in few { input.o[k] }\n\tinput.o",
        "not few == {1 | some k in few; input.o[k]} - {1}\n\tinput.o",
        "z := [k | some k in few; data.cluster.nodes[k]]\n\tdata.cluster.nodes",
        "z := [[k | some k in few; input.o[k]] | some n in few; input.o[n]]\n\tw := [n | some n in [1]; input.o]\n\tw == [1]",
    ] {
        let text = format!("violation contains 1 if {{\n\t{body}\n}}\n\n{rules}");
        let [_, interpreter] = both(&text, input.clone());
        agree(&text, input.clone(), interpreter.unwrap());
    }
    let heads = [
        ("violation contains input.o.b if [k | some k in few; input.o[k]] == []", json!([1])),
        (
            "violation contains f(1)\n\nf(x) := 2 if [k | some k in few; input.o[k]] == [x]\n\nelse := input.o.b if [k | some k in few; input.o[k]] == []",
            json!([1]),
        ),
        ("violation contains h\n\nh := [[k | some k in few; input.o[k]], input.o.b]", json!([[[], 1]])),
    ];
    for (text, wanted) in heads {
        agree(&format!("{text}\n\n{rules}"), input.clone(), wanted);
    }
}
