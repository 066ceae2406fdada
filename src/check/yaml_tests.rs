use super::super::position::Place;
use super::*;
use proptest::prelude::*;
use serde_json::json;

fn value(text: &str) -> Result<Value, DocumentError> {
    Ok(parse(text, 1, Budget::default())?.map_or(Value::Null, |node| node.value))
}

/// Where Seawall is stricter than the Go library, on purpose: both would hide something.
const STRICTER: &[&str] = &[
    // a key twice: the Go library takes the last one
    "a: 1\na: 2",
    "1: a\n\"1\": b",
    "&k key: &v val\nb: *v\n*k : 3",
    // documents after the first are dropped by the Go library
    "a: 1\n...\nb: 2",
    "a: 1\n--- \nb: 2",
    "a: |\n---\nb",
    "{a: 1}\n{b: 2}",
];

/// Where Seawall reads what the Go library refuses; nothing is lost by it.
const LENIENT: &[&str] = &[
    // an escape of YAML 1.2
    "{\"a\":\"\\/\"}",
    // not reached in files: the line before `---` is a document of its own, and refused
    "%YAML 1.2\n---\na: 1",
    // a tab behind a dash
    "a:\n  - \tb\n",
];

/// Every row of the fixture was written by sigs.k8s.io/yaml v1.6.0.
#[test]
fn scalars_and_merges_mean_what_they_mean_to_kubectl() {
    let mut differences = Vec::new();
    for row in include_str!("../../tests/fixtures/yaml/sigs-yaml.tsv").lines() {
        let (input, wanted) = row.split_once('\t').unwrap();
        let input: String = serde_json::from_str(input).unwrap();
        let found = value(&input);
        let same = match (&found, wanted) {
            (Err(_), "error") => true,
            (Err(_), _) => STRICTER.contains(&input.as_str()),
            (Ok(_), "error") => LENIENT.contains(&input.as_str()),
            (Ok(found), wanted) => *found == through_json(wanted) && !STRICTER.contains(&input.as_str()),
        };
        if !same {
            differences.push(format!("{input:?}: wanted {wanted}, found {found:?}"));
        }
    }
    assert_eq!(differences, [] as [String; 0], "{}", differences.join("\n"));
}

/// What the JSON that the Go library wrote becomes in the API server: `-0` is an integer.
fn through_json(text: &str) -> Value {
    super::super::json::parse(text, 1, Budget::default()).0.remove(0).value
}

#[test]
fn fields_have_their_places() {
    let text = "apiVersion: v1\nspec:\n  ports:\n  - name: a\n    port: 1\n  -   name: b\n  é: {x: 1, z: [2, 3]}\n";
    let node = parse(text, 10, Budget::default()).unwrap().unwrap();
    let at = |pointer: &str| node.spot.find(pointer.split('/').skip(1)).to_string();
    assert_eq!(at(""), "10:1");
    assert_eq!(at("/spec"), "11:1");
    assert_eq!(at("/spec/ports/0"), "13:5");
    assert_eq!(at("/spec/ports/0/port"), "14:5");
    assert_eq!(at("/spec/ports/1/name"), "15:7");
    assert_eq!(at("/spec/ports/1/missing"), "15:7");
    assert_eq!(at("/spec/ports/2"), "12:3");
    assert_eq!(at("/spec/é/z/1"), "16:20");
}

#[test]
fn the_end_of_a_file_is_no_line_break() {
    assert_eq!(value("a: |\n  x\n  y").unwrap(), json!({"a": "x\ny"}));
    assert_eq!(value("a: |\n  x\n  y\n").unwrap(), json!({"a": "x\ny\n"}));
    assert_eq!(value("a: |\n  x\nb: 1").unwrap(), json!({"a": "x\n", "b": 1}));
    assert_eq!(value("a: |-\n  x").unwrap(), json!({"a": "x"}));
    // in brackets and in text a tab is as good as a space
    assert_eq!(value("a: [\n\tx,\n\t{z: 1}\n\t]\nb: |\n  \tx\n").unwrap(), json!({"a": ["x", {"z": 1}], "b": "\tx\n"}));
}

/// Found by comparing 60,000 random documents with the Go library.
#[test]
fn places_stay_where_indentation_was_too_little() {
    let text = "a:\n  b: \"x\n\n \\\"y\" # z\n  c: [\n1, {d: 2},\n\t3]\n  e:\t4\n";
    let node = parse(text, 1, Budget::default()).unwrap().unwrap();
    assert_eq!(node.value, json!({"a": {"b": "x\n\"y", "c": [1, {"d": 2}, 3], "e": 4}}));
    let at = |pointer: &str| node.spot.find(pointer.split('/').skip(1)).to_string();
    assert_eq!(at("/a/c/0"), "6:1");
    assert_eq!(at("/a/c/1/d"), "6:5");
    assert_eq!(at("/a/c/2"), "7:2");
    assert_eq!(at("/a/e"), "8:3");
}

#[test]
fn what_an_alias_repeats_is_where_it_was_written() {
    let text = "base: &base\n  x: 1\nlist: [*base]\nmerged:\n  <<: *base\n  z: 2\n";
    let node = parse(text, 1, Budget::default()).unwrap().unwrap();
    assert_eq!(node.value["list"][0]["x"], 1);
    assert_eq!(node.value["merged"], json!({"x": 1, "z": 2}));
    assert_eq!(node.spot.find(["merged", "x"]), Place { line: 2, column: 3 });
    assert_eq!(node.spot.find(["merged", "z"]), Place { line: 6, column: 3 });
    assert_eq!(node.spot.find(["list", "0", "x"]), Place { line: 2, column: 3 });
}

#[test]
fn errors_say_where() {
    let cases = [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "key \"a\" is written twice, first at 1:1"),
        ("a: .inf\n", 1, 4, "JSON has no number .inf"),
        ("a: !!int x\n", 1, 4, "\"x\" is no !!int"),
        ("a: &x [*x]\n", 1, 8, "contains itself"),
        ("a:\n  <<: 5\n", 2, 7, "`<<` wants a mapping"),
        ("a: {b: c\n", 2, 1, "not readable as YAML"),
        ("  a: 1\nb: 2\n", 2, 1, "behind the end of the document; is its indentation right?"),
        ("a: *x\n", 1, 4, "not readable as YAML"),
        ("? [a]\n: b\n", 1, 3, "cannot be a key"),
        ("a:\n\tb: 1\n", 2, 2, "a tab in the indentation"),
        ("a:\n  \t- b\n", 2, 4, "a tab"),
        ("null: b\n", 1, 1, "a key is empty or null"),
    ];
    for (text, line, column, problem) in cases {
        let error = value(text).unwrap_err();
        assert!(error.problem.contains(problem), "{text}: {error}");
        assert_eq!(error.place, Place { line, column }, "{text}: {error}");
    }
}

#[test]
fn bombs_end_early() {
    let start = std::time::Instant::now();
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..30 {
        let before = format!("*a{}", i - 1);
        laughs.push_str(&format!("a{i}: &a{i} [{}]\n", vec![before; 9].join(", ")));
    }
    assert!(value(&laughs).unwrap_err().problem.contains("alias bomb"));
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(1_000_000), "*a, ".repeat(1000));
    assert!(value(&text).unwrap_err().problem.contains("alias bomb"));
    for deep in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        let error = value(&deep).unwrap_err();
        assert_eq!(error.problem, "nested deeper than 128 levels");
    }
    let many = format!("[{}]", "1,".repeat(1000));
    let small = Budget { nodes: 100, ..Budget::default() };
    assert!(parse(&many, 1, small).unwrap_err().problem.contains("more than 100 values"));
    let anchors: String = (0..10_000).map(|i| format!("k{i}: &a{i} x\n")).collect();
    assert_eq!(value(&anchors).unwrap().as_object().unwrap().len(), 10_000);
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn json_read_as_yaml_is_the_same(value in super::super::arbitrary_json()) {
        // what JSON allows and YAML does not: surrogate escapes and raw DEL, C1 and non-characters
        let text = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(super::tests::value(&text).unwrap(), value);
    }

    #[test]
    fn yaml_written_by_another_library_is_the_same(value in super::super::arbitrary_json()) {
        let text = serde_saphyr::to_string(&value).unwrap();
        prop_assert_eq!(super::tests::value(&text).unwrap(), value, "{}", text);
    }

    #[test]
    fn the_yaml_that_reports_show_is_the_same(value in super::super::arbitrary_json()) {
        let text = crate::report::yaml::to_yaml(&value);
        prop_assert_eq!(super::tests::value(&text).unwrap(), value, "{}", text);
    }

    #[test]
    fn every_field_is_where_its_key_is_written(value in super::super::arbitrary_json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let Some(node) = parse(&text, 1, Budget::default()).unwrap() else { return Ok(()) };
        let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        let mut stack = vec![(Vec::<String>::new(), &node.value)];
        while let Some((path, value)) = stack.pop() {
            let place = node.spot.find(path.iter().map(String::as_str));
            let rest: String = lines[place.line - 1][place.column - 1..].iter().collect();
            match path.last() {
                Some(key) if !matches!(value_at(&node.value, &path[..path.len() - 1]), Value::Array(_)) => {
                    let written = serde_json::to_string(key).unwrap();
                    prop_assert!(rest.starts_with(&written), "{path:?} at {place}: {rest}");
                }
                _ => {}
            }
            match value {
                Value::Object(map) => stack.extend(map.iter().map(|(k, v)| (with(&path, k.clone()), v))),
                Value::Array(items) => stack.extend(items.iter().enumerate().map(|(i, v)| (with(&path, i.to_string()), v))),
                _ => {}
            }
        }
    }

    #[test]
    fn never_panics(text in "[\\[\\]{}:,\\-?&*!|>'\"%@`#0-9a-c \t\n~<.é\u{85}]{0,60}") {
        let _ = value(&text);
    }
}

fn with(path: &[String], step: String) -> Vec<String> {
    path.iter().cloned().chain([step]).collect()
}

fn value_at<'v>(root: &'v Value, path: &[String]) -> &'v Value {
    path.iter().fold(root, |value, step| match value {
        Value::Array(items) => &items[step.parse::<usize>().unwrap()],
        other => &other[step],
    })
}
