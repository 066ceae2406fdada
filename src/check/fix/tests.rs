use super::super::arbitrary_json;
use super::super::document::Chunk;
use super::edit::{EditError, edit};
use crate::check::document::read_one;
use crate::check::yaml::Budget;
use crate::report::yaml::{Indent, to_flow, to_yaml_with};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn value(text: &str) -> Value {
    read_one(&Chunk::new(text, 1), Budget::default()).unwrap().value
}

/// The text with operations applied to it.
fn fixed(text: &str, operations: Value) -> Result<String, EditError> {
    let before = value(text);
    let mut after = before.clone();
    let patch: json_patch::Patch = serde_json::from_value(operations).unwrap();
    json_patch::patch(&mut after, &patch).unwrap();
    edit(&Chunk::new(text, 1), &before, &after)
}

fn add(path: &str, value: Value) -> Value {
    json!({"op": "add", "path": path, "value": value})
}

const SET: &str = "\
# the shop's database
apiVersion: apps/v1 # stable
kind: StatefulSet
metadata:
  name: 'db'
  annotations: {}   # none yet
spec:
    # three, always
    replicas: 1   # for now
    template:
        spec:
            containers:
              # the server
              - name: db
                image: \"postgres:16\"
                args: [ -c, ssl=on ]
                # a probe is missing

              - name: agent # sidecar
                securityContext:
            volumes: []
    # trailing words
    serviceName: db
";

#[test]
fn comments_quotes_and_indentation_stay() {
    let probe = json!({"exec": {"command": ["pg_isready"]}, "periodSeconds": 10});
    let after = fixed(
        SET,
        json!([
            add("/spec/replicas", json!(3)),
            add("/metadata/annotations/a.b~1c", json!("yes")),
            add("/metadata/name", json!("it's")),
            add("/spec/template/spec/containers/0/readinessProbe", probe),
            add("/spec/template/spec/containers/0/args/-", json!("a=b, c")),
            add("/spec/template/spec/containers/1/securityContext", json!({"runAsNonRoot": true})),
            add("/spec/template/spec/containers/1/image", json!("agent:1")),
            add("/spec/template/spec/containers/-", json!({"name": "more"})),
            add("/spec/template/spec/volumes/-", json!({"name": "v", "emptyDir": {}})),
            add("/spec/template/spec/affinity", json!({"podAntiAffinity": {"x": [1]}})),
        ]),
    );
    insta::assert_snapshot!(after.unwrap(), @r#"
    # the shop's database
    apiVersion: apps/v1 # stable
    kind: StatefulSet
    metadata:
      name: 'it''s'
      annotations:   # none yet
          a.b/c: "yes"
    spec:
        # three, always
        replicas: 3   # for now
        template:
            spec:
                containers:
                  # the server
                  - name: db
                    image: "postgres:16"
                    args: [ -c, ssl=on, "a=b, c" ]
                    readinessProbe:
                        exec:
                            command:
                              - pg_isready
                        periodSeconds: 10
                    # a probe is missing

                  - name: agent # sidecar
                    securityContext:
                        runAsNonRoot: true
                    image: agent:1
                  - name: more
                volumes:
                  - name: v
                    emptyDir: {}
                affinity:
                    podAntiAffinity:
                        x:
                          - 1
        # trailing words
        serviceName: db
    "#);
}

#[test]
fn line_endings_and_the_end_of_the_file_stay() {
    let text = "a:\r\n  b: 1 # c\r\nd: x\r\n";
    let after = fixed(text, json!([add("/a/e", json!({"f": 1})), add("/d", json!("y"))])).unwrap();
    assert_eq!(after, "a:\r\n  b: 1 # c\r\n  e:\r\n    f: 1\r\nd: \"y\"\r\n");
    let after = fixed("a:\n  b: 1", json!([add("/a/c", json!(2)), add("/d", json!(3))])).unwrap();
    assert_eq!(after, "a:\n  b: 1\n  c: 2\nd: 3");
    let after = fixed("a: 1 # x", json!([add("/b", json!(2))])).unwrap();
    assert_eq!(after, "a: 1 # x\nb: 2");
}

#[test]
fn blocks_of_text_end_where_they_end() {
    let after = fixed("a:\n  b: |\n    x\n\n# of c\nc: 1\n", json!([add("/a/d", json!(1))])).unwrap();
    assert_eq!(after, "a:\n  b: |\n    x\n  d: 1\n\n# of c\nc: 1\n");
    let after = fixed("a:\n  b: |+\n    x\n\nc: 1\n", json!([add("/a/d", json!(1))])).unwrap();
    assert_eq!(after, "a:\n  b: |+\n    x\n\n  d: 1\nc: 1\n");
    let after = fixed("a:\n  b: |-\n    x\nc: 1\n", json!([add("/a/d", json!(1))])).unwrap();
    assert_eq!(after, "a:\n  b: |-\n    x\n  d: 1\nc: 1\n");
}

#[test]
fn brackets_stay_on_their_line() {
    let text = "a: {b: 1, c: [x, y] } # z\nd: {e: {}, f: []}\n";
    let after = fixed(
        text,
        json!([
            add("/a/g", json!({"h": ["i j", "k"]})),
            add("/a/c/-", json!("l,m")),
            add("/d/e", json!({"n": true})),
            add("/d/f", json!([1])),
        ]),
    );
    assert_eq!(
        after.unwrap(),
        "a: {b: 1, c: [x, y, \"l,m\"], g: {h: [\"i j\", k]} } # z\nd: {e: {\"n\": true}, f: [1]}\n"
    );
}

#[test]
fn fields_and_elements_are_removed_with_their_lines() {
    let remove = |path: &str| json!({"op": "remove", "path": path});
    let text = "# top\na:\n- name: x\n  b: 1\n- name: y\nc:\n  d: 1\n  # of e\n  e:\n    f: 2\ng: 3\n";
    let after = fixed(text, json!([remove("/a/0"), remove("/c/e"), remove("/g")])).unwrap();
    assert_eq!(after, "# top\na:\n- name: y\nc:\n  d: 1\n  # of e\n");
}

#[test]
fn json_keeps_its_indentation() {
    let after = fixed("{\n    \"a\": {\n        \"b\": 1\n    }\n}\n", json!([add("/a/c", json!([1]))])).unwrap();
    assert_eq!(after, "{\n    \"a\": {\n        \"b\": 1,\n        \"c\": [\n            1\n        ]\n    }\n}\n");
    assert_eq!(
        fixed("{\"a\": 1, \"b\": [1]}\n", json!([add("/c", json!({"d": 2}))])).unwrap(),
        "{\"a\": 1, \"b\": [1], \"c\": {\"d\": 2}}\n"
    );
    assert_eq!(fixed("{\"a\":1}", json!([add("/c", json!(2))])).unwrap(), "{\"a\":1,\"c\":2}");
    assert_eq!(fixed("{\n\t\"a\": 1\n}", json!([add("/c", json!(2))])).unwrap(), "{\n\t\"a\": 1,\n\t\"c\": 2\n}");
}

#[test]
fn what_is_not_safe_is_refused() {
    let one = |text: &str, path: &str| fixed(text, json!([add(path, json!({"new": 1}))]));
    assert_eq!(one("a: &x\n  b: 1\nc: *x\n", "/a/d"), Err(EditError::Anchor));
    assert_eq!(one("a: &x\n  b: 1\nc: *x\n", "/c/d"), Err(EditError::Anchor));
    assert_eq!(one("x: &x {b: 1}\na:\n  <<: *x\n  c: 1\n", "/a/d"), Err(EditError::Anchor));
    assert_eq!(one("a: !!str 1\n", "/a"), Err(EditError::Tag));
    assert_eq!(one("a: |\n  text\n", "/a"), Err(EditError::Place("a block of text")));
    assert_eq!(one("a: [ # why\n  ]\n", "/a"), Err(EditError::Comment));
    assert_eq!(
        one("a:\t1\nb: 1\n", "/c").map_err(|e| e.to_string()),
        one("a:\t1\nb: 1\n", "/c").map_err(|e| e.to_string())
    );
    // anchors elsewhere are no hindrance
    assert_eq!(one("x: &x {b: 1}\na:\n  c: *x\n", "/a/d").unwrap(), "x: &x {b: 1}\na:\n  c: *x\n  d:\n    new: 1\n");
}

/// A document with comments, in block style but for a few lines, and the value that it has.
fn document() -> impl Strategy<Value = String> {
    let indent = (1_usize..5, prop_oneof![Just(0_usize), Just(2)]);
    let comments = prop::collection::vec(prop::option::weighted(0.3, "# [a-z\\-:{}'\"]{0,8}"), 80);
    let root = prop::collection::vec(("[a-z]{1,6}", arbitrary_json()), 1..6);
    (root, indent, comments, any::<bool>()).prop_map(|(fields, (mapping, list), comments, flow)| {
        let mut fields: Map<String, Value> = fields.into_iter().collect();
        fields.values_mut().for_each(single_lines);
        let mut text = String::new();
        for (index, (key, value)) in fields.into_iter().enumerate() {
            if flow && index % 3 == 1 {
                text.push_str(&format!("{}: {}\n", to_flow(&Value::from(key)), to_flow(&value)));
            } else {
                let value = Value::Object(Map::from_iter([(key, value)]));
                text.push_str(&to_yaml_with(&value, Indent { mapping, list }));
            }
        }
        let mut out = String::new();
        for (index, line) in text.lines().enumerate() {
            match comments.get(index).cloned().flatten() {
                Some(comment) if index % 2 == 0 => out.push_str(&format!("{line} {comment}\n")),
                Some(comment) => out.push_str(&format!("   {comment}\n{line}\n")),
                None => out.push_str(&format!("{line}\n")),
            }
        }
        out
    })
}

/// Makes text that would become a block text on one line: comments are written between any two lines.
fn single_lines(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(single_lines),
        Value::Array(items) => items.iter_mut().for_each(single_lines),
        Value::String(text) => *text = text.replace('\n', " "),
        _ => {}
    }
}

fn objects(value: &Value, at: String, found: &mut Vec<(String, bool)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                objects(value, format!("{at}/{}", crate::admission::pointer::escape(key)), found);
            }
            found.push((at, true));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| objects(item, format!("{at}/{index}"), found));
        }
        _ => found.push((at, false)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_edit_means_what_is_meant_and_keeps_the_rest(
        text in document(),
        picks in prop::collection::vec((any::<prop::sample::Index>(), arbitrary_json()), 1..4),
        crlf in any::<bool>(),
        cut in any::<bool>(),
    ) {
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let text = if cut { text.trim_end().to_owned() } else { text };
        let before = value(&text);
        let mut after = before.clone();
        for (pick, new) in picks {
            let mut places = Vec::new();
            objects(&after, String::new(), &mut places);
            let (pointer, is_object) = &places[pick.index(places.len())];
            let target = after.pointer_mut(pointer).unwrap();
            match target.as_object_mut().filter(|_| *is_object) {
                Some(map) => drop(map.insert("zz-new".to_owned(), new)),
                None => *target = new,
            }
        }
        let edited = edit(&Chunk::new(&text, 1), &before, &after);
        let edited = edited.map_err(|error| TestCaseError::fail(format!("{error}\n{text}\n{before}\n{after}")))?;
        prop_assert_eq!(value(&edited), after, "{}", edited);
        let comments = |text: &str| text.matches('#').count();
        prop_assert!(comments(&edited) >= text.lines().filter(|line| line.trim_start().starts_with('#')).count());
        // every line that is a comment is still there, in order
        let mut rest = edited.lines();
        for line in text.lines().filter(|line| line.trim_start().starts_with('#')) {
            prop_assert!(rest.any(|other| other == line), "{line}\n{edited}");
        }
        prop_assert_eq!(edited.contains("\r\n"), text.contains("\r\n") || edited.contains("\r\n") && crlf);
    }
}
