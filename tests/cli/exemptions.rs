//! `seawall exemptions` over manifests: what counts, what does not and why, from annotations and configuration.

use crate::rig::seawall;
use serde_json::{Value, json};

const CONFIGURATION: &str = "
exemptions:
- policies: [class-exists]
  namespace: shop
  resources: [statefulsets]
  reason: replaced in March
  until: \"2999-03-31\"
- policies: [class-exists]
  namespace: pay
  name: old
  reason: done long ago
  until: \"2020-01-01\"
  by: platform
";

/// A day so many days from now, as the binary sees it.
fn day(days: i64) -> String {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    today.checked_add(jiff::Span::new().days(days)).unwrap().to_string()
}

fn set(name: &str, namespace: &str, annotations: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": namespace, "annotations": annotations});
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": {"serviceName": name}})
}

fn annotations(policies: &str, until: &str) -> Value {
    json!({"seawall.dev/exempt": policies, "seawall.dev/exempt-reason": "moving\u{1b}[31m", "seawall.dev/exempt-until": until})
}

fn manifests() -> String {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pay", "labels": {"seawall.dev/tier": "tier-0"}}});
    let items = [
        namespace,
        set("db", "shop", &annotations("class-named, class-exists", &day(3))),
        set("over", "shop", &annotations("class-named", "2021-05-01")),
        set("loose", "shop", &annotations("no-such-policy", &day(3))),
        // tier-0 wants an approver, and no more than 14 days
        set("pay", "pay", &annotations("class-named", &day(20))),
        set("plain", "shop", &json!({})),
    ];
    items.map(|item| item.to_string()).join("\n")
}

fn run(args: &[&str]) -> crate::rig::Run {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("seawall.yaml");
    std::fs::write(&config, CONFIGURATION).unwrap();
    let all = [&["exemptions", "-", "--config", config.to_str().unwrap()], args].concat();
    seawall(&all, &manifests())
}

#[test]
fn all_are_told_with_what_they_are_worth() {
    let run = run(&["--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&report["schemaVersion"], &report["objects"]), (&json!("1"), &json!(6)));
    let rows: Vec<(String, String)> = report["exemptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let name = row["resource"]["name"].as_str().or(row["covers"]["namespace"].as_str()).unwrap();
            (row["state"].as_str().unwrap().to_owned(), name.to_owned())
        })
        .collect();
    let wanted = [
        ("valid", "db"),
        ("valid", "shop"),
        ("expired", "pay"),
        ("expired", "over"),
        ("invalid", "loose"),
        ("invalid", "pay"),
    ];
    assert_eq!(rows, wanted.map(|(state, name)| (state.to_owned(), name.to_owned())));
    let row = |number: usize| &report["exemptions"][number];
    assert_eq!(row(0)["policies"], json!(["class-exists", "class-named"]));
    assert_eq!(
        (&row(0)["daysLeft"], &row(0)["tier"], &row(0)["written"]),
        (&json!(3), &json!("tier-2"), &json!("annotation"))
    );
    assert_eq!(row(0)["source"]["file"], "stdin");
    // how many objects a row of the configuration speaks of: the StatefulSets in shop
    assert_eq!((&row(1)["written"], &row(1)["covers"]["objects"]), (&json!("configuration"), &json!(4)));
    assert_eq!(row(2)["covers"]["objects"], 0);
    assert!(row(3)["problems"][0].as_str().unwrap().contains("it expired on 2021-05-01"), "{}", row(3));
    let problems = row(5)["problems"].to_string();
    assert!(problems.contains("exempt-by is missing") && problems.contains("more than 14 days"), "{problems}");
}

#[test]
fn a_person_sees_what_ends_next_and_what_does_not_count() {
    let text = run(&[]).stdout;
    let first = text.lines().next().unwrap();
    assert_eq!(
        first,
        format!("valid    until {}, 3 days left  StatefulSet shop/db (tier-2, seawall.dev/exempt, stdin:2:1)", day(3))
    );
    for part in [
        "         policies  class-exists, class-named\n",
        "         reason    moving\u{fffd}[31m\n",
        "statefulsets in shop (configuration, 4 objects)\n",
        "expired  until 2020-01-01  everything old in pay (configuration, 0 objects)\n",
        "         no effect seawall.dev/exempt names \"no-such-policy\", and no such policy is loaded\n",
        "2 exemptions in force, 2 expired, 2 invalid; 6 objects looked at\n",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let soon = run(&["--within", "2"]).stdout;
    assert!(
        soon.starts_with("expired ")
            && soon.ends_with("0 exemptions in force, 2 expired, 2 invalid; 6 objects looked at\n"),
        "{soon}"
    );
    // without its Namespace in the input, --tier bounds what an annotation may say
    let strict = run(&["--tier", "tier-0"]).stdout;
    assert!(strict.contains("1 exemption in force"), "{strict}");
}

#[test]
fn what_cannot_be_read_is_told() {
    let broken = seawall(&["exemptions", "broken.yaml"], "");
    assert_eq!(broken.code, 2, "{}", broken.stdout);
    assert!(broken.stdout.contains("error: broken.yaml:33:3: key \"name\""), "{}", broken.stdout);
    let both = seawall(&["exemptions", "shop.yaml", "--kubeconfig", "x"], "");
    assert!(both.code == 2 && both.stderr.contains("cannot be used with"), "{}", both.stderr);
    let none = seawall(&["exemptions", "--kubeconfig", "nothing"], "");
    assert!(none.code == 2 && none.stderr.contains("nothing"), "{}", none.stderr);
}
