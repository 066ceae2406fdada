use super::*;
use std::path::Path;

const HEAD: &str = "# METADATA
# title: t
# description: d
# custom:
#   id: x
#   checklist: storage-class
#   severity: high
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE, UPDATE]}
package seawall.policies.x
";

const RULE: &str = "
violation contains {\"msg\": \"bad\", \"path\": [\"a\"], \"found\": input.request.object.a, \"wanted\": 1, \"fix\": \"a: 1\"} if {
\tinput.request.object.a != 1
}
";

fn subject(rule: &str, test: &str) -> Subject {
    let files = [
        ("x/policy.rego", format!("{HEAD}{rule}")),
        (
            "x/policy_test.rego",
            format!("package seawall.policies.x_test\n\nimport data.seawall.policies.x as policy\n{test}"),
        ),
        ("x/cases/fires/input.yaml", "{apiVersion: storage.k8s.io/v1, kind: StorageClass, a: 2}".to_owned()),
        ("x/cases/fires/expected.yaml", "violations:\n- {path: /a, found: 2}\n".to_owned()),
    ];
    let files = files.into_iter().map(|(file, text)| (file.to_owned(), text)).collect();
    let bundle = Bundle::from_files(Path::new("dir"), files).unwrap();
    let mut all = Subject::all(&bundle, &Settings::default());
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn rows(subject: &Subject) -> Vec<Row> {
    let prepared = subject.prepare().unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(prepared.broken, Vec::<String>::new());
    let mut workers = Workers::default();
    prepared.items().into_iter().map(|item| prepared.run(item, &Options::default(), &mut workers)).collect()
}

fn problems(row: &Row) -> String {
    match &row.result {
        Outcome::Failed(failure) => failure.problems.join("\n"),
        other => format!("{other:?}"),
    }
}

#[test]
fn cases_and_tests_run_on_both_engines() {
    let test = "
test_on_both if 1 + 1 == 2

test_with if count(policy.violation) == 1 with input as {\"request\": {\"object\": {\"a\": 2}}}
";
    let all = rows(&subject(RULE, test));
    let told: Vec<(&str, &str, Option<&str>)> =
        all.iter().map(|r| (r.name.as_str(), r.place.as_str(), r.interpreter_alone.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("cases/fires", "x/cases/fires/expected.yaml", None),
            ("test_on_both", "x/policy_test.rego:5", None),
            ("test_with", "x/policy_test.rego:7", Some("it uses `with`")),
        ]
    );
    assert!(all.iter().all(|row| row.result == Outcome::Passed), "{all:?}");
}

#[test]
fn a_test_must_be_true() {
    let test = "
test_undefined if {
\tx := 1
\tx == 2
\tx == 3
}

test_false := 1 == 2

test_number := 1

todo_test_later if false

test_twice if true

test_twice if false

test_set contains 1

test_function(x) if x

test_keys[name] if {
\tsome name in [\"a\", \"b\"]
\tname == \"a\"
}

test_prints if {
\tprint(\"seen\", 1)
\tfalse
}

test_builtin if to_number(\"many\") == 1
";
    let all = rows(&subject(RULE, test));
    let told: Vec<String> = all.iter().skip(1).map(|r| format!("{}: {}", r.name, problems(r))).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    test_undefined: it is undefined: a statement of it does not hold; wanted true
    it went no further than line 7: x == 2
    test_false: it is false; wanted true
    test_number: it is 1; wanted true
    todo_test_later: Skipped
    test_twice: Passed
    test_twice#01: it is undefined: a statement of it does not hold; wanted true
    test_set: it is a set, and a set is never `true`; write `test_x if { … }`
    test_function: it takes arguments, so nothing can run it; remove them, or name it otherwise
    test_keys: its head has a key, and a key that does not hold would be missing rather than false; write a rule of its own for each, or `every`
    test_prints: it is undefined: a statement of it does not hold; wanted true
    it went no further than line 32: false
    test_builtin: it is an error (could not parse string as number); wanted true
    ");
    let prints = all.iter().find(|row| row.name == "test_prints").map(|row| row.result.clone());
    assert!(matches!(prints, Some(Outcome::Failed(Failure { prints, .. })) if prints.len() == 1));
}

#[test]
fn what_the_rvm_gets_wrong_is_left_to_the_interpreter() {
    // the RVM keeps "<undefined>" in the list
    let test = "\ntest_list if [x.a | some x in [{\"a\": 1}, {}]] == [1]\n";
    let all = rows(&subject(RULE, test));
    assert_eq!(all[1].result, Outcome::Passed);
    assert!(all[1].interpreter_alone.as_deref().is_some_and(|reason| reason.contains("comprehension")), "{:?}", all[1]);
}

#[test]
fn negated_calls_mean_what_opa_means_also_where_input_is_replaced() {
    // f is undefined: so is the statement
    let test = "\nf(x) := x if x\n\ntest_negated if not f(input.x) == 0 with input as {\"x\": false}\n";
    let all = rows(&subject(RULE, test));
    assert!(all[1].is_bad(), "{:?}", all[1]);
}

#[test]
fn a_rule_that_the_value_of_with_reads_is_there_for_the_statement_too() {
    let test = "
key := \"a\"

test_key if {
\tpolicy.violation == {found(key)} with input as {\"request\": {\"object\": {key: 2}}}
}

found(path) := {\"msg\": \"bad\", \"path\": [path], \"found\": 2, \"wanted\": 1, \"fix\": \"a: 1\"}
";
    let all = rows(&subject(RULE, test));
    assert_eq!(all[1].result, Outcome::Passed, "{}", problems(&all[1]));
}

#[test]
fn a_change_of_the_policy_is_noticed() {
    let subject = subject(RULE, "\ntest_one if true\n");
    let stop = Options { stop_at_first: true, ..Options::default() };
    assert_eq!(subject.prepare().unwrap().failed(&stop), []);
    let changed = subject.with_policy(format!("{HEAD}{}", RULE.replace("!= 1", "== 1")));
    for options in [stop, Options { one_engine: true, ..stop }] {
        let failed = changed.prepare().unwrap().failed(&options);
        assert_eq!(failed.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["cases/fires"]);
    }
    assert!(changed.with_policy("package".to_owned()).prepare().is_err());
}

#[test]
fn recursion_and_syntax_errors_in_tests_are_named_and_cases_still_run() {
    for (test, wanted) in [
        ("f(x) := f(x)\ntest_x if f(1)\n", "x/policy_test.rego:4:1: data.seawall.policies.x_test.f calls itself"),
        ("test_x if {\n", "x/policy_test.rego"),
    ] {
        let prepared = subject(RULE, test).prepare().unwrap();
        assert_eq!(prepared.broken.len(), 1, "{test}");
        assert!(prepared.broken[0].contains(wanted), "{}", prepared.broken[0]);
        assert_eq!(prepared.items().len(), 1);
        assert_eq!(prepared.failed(&Options::default()), []);
    }
}

#[test]
fn engines_that_differ_fail_the_case() {
    let subject = subject(RULE, "");
    let prepared = subject.prepare().unwrap();
    let Some(Item::Case(files, Ok(case))) = prepared.items().first().copied() else { panic!("a case") };
    let snapshot = case.snapshot(&prepared.set, "x").unwrap();
    let seen = case.see(&snapshot, &mut Worker::forced(EngineKind::Interpreter));
    let mut rvm = case.see(&snapshot, &mut Worker::forced(EngineKind::Rvm));
    assert_eq!(judged(files, case, &seen, Some(&rvm)), Outcome::Passed);
    rvm.violations[0].message = "worse".to_owned();
    let Outcome::Failed(failure) = judged(files, case, &seen, Some(&rvm)) else { panic!("it fails") };
    assert!(failure.problems[0].starts_with("the engines differ"));
    assert!(failure.diff.contains(&"+   msg: worse".to_owned()), "{:?}", failure.diff);
    assert_eq!(failure.update, None, "nothing to write while nobody knows which is right");
}

#[test]
fn the_interpreter_notes_lines() {
    let prepared = subject(RULE, "\ntest_one if true\n").prepare().unwrap();
    let mut workers = Workers::covering();
    for item in prepared.items() {
        assert!(!prepared.run(item, &Options::default(), &mut workers).is_bad());
    }
    let coverage = workers.coverage();
    let lines = &coverage.files["x/policy.rego"];
    assert!(lines.covered.contains(&13) && lines.covered.contains(&14), "{lines:?}");
}

#[test]
fn a_part_has_what_is_mentioned_and_no_more() {
    let files = [
        ("l/a.rego", "package seawall.lib.a\n\nimport data.seawall.lib.b\n"),
        ("l/b.rego", "package seawall.lib.b\n"),
        ("l/c.rego", "package seawall.lib.c\n"),
        ("l/bb.rego", "package seawall.lib.bb\n"),
    ];
    let files = files.into_iter().map(|(file, text)| (file.to_owned(), text.to_owned())).collect();
    let bundle = Bundle::from_files(Path::new("dir"), files).unwrap();
    let part = |text: &str| bundle.mentioned_by([text]).modules.into_keys().collect::<Vec<_>>().join(" ");
    assert_eq!(part("import data.seawall.lib.a"), "seawall.lib.a seawall.lib.b");
    assert_eq!(part("x := data.seawall.lib.c.f(1)"), "seawall.lib.c");
    assert_eq!(part("x := data.cluster.pods"), "");
    assert_eq!(part("import data.seawall.lib"), "seawall.lib.a seawall.lib.b seawall.lib.bb seawall.lib.c");
    assert_eq!(part("x := data[\"seawall\"]"), part("import data.seawall.lib"));
}
