//! `seawall checklist` from manifests: rows, cells, tasks, and every format.

use crate::rig::{Run, binary};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checklist")
}

/// The fixture, with an exemption that lasts ten days more.
pub(crate) fn cluster() -> (String, String) {
    let until = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date() + jiff::Span::new().days(10);
    let text = std::fs::read_to_string(folder().join("cluster.yaml")).unwrap();
    (text.replace("UNTIL", &until.to_string()), until.to_string())
}

fn run(args: &[&str], stdin: &str) -> Run {
    let output =
        binary().current_dir(folder()).arg("checklist").args(args).write_stdin(stdin.to_owned()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// With the small policies of the fixtures, by the labels of the namespaces.
pub(crate) fn checklist(args: &[&str], stdin: &str) -> Run {
    let mut all =
        vec!["-", "--policies", "policies", "--policies-only", "--config", "config.yaml", "--mode", "from-labels"];
    all.extend_from_slice(args);
    run(&all, stdin)
}

fn json(args: &[&str], stdin: &str) -> Value {
    let run = checklist(&[args, &["--format", "json"]].concat(), stdin);
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}{}", run.stdout, run.stderr))
}

fn workloads(document: &Value) -> BTreeMap<String, &Value> {
    let rows = document["workloads"].as_array().unwrap().iter();
    rows.map(|row| {
        let id = &row["resource"];
        (format!("{}/{}", id["namespace"].as_str().unwrap(), id["name"].as_str().unwrap()), row)
    })
    .collect()
}

fn state<'v>(row: &'v Value, item: &str) -> &'v str {
    row["cells"][item]["state"].as_str().unwrap_or_else(|| panic!("no cell {item} in {row}"))
}

#[test]
fn rows_are_workloads_and_cells_count_what_they_use() {
    let (input, until) = cluster();
    let document = json(&[], &input);
    let rows = workloads(&document);
    let names: Vec<&str> = rows.keys().map(String::as_str).collect();
    // web mounts nothing, main-1 counts at the resource that owns it, unseen is in mode off
    assert_eq!(names, ["lab/play", "pay/ledger", "shop/files", "shop/main", "shop/orders"]);
    assert_eq!(document["summary"]["notJudged"], 1);
    assert_eq!(document["items"].as_array().unwrap().len(), 25);

    // the class
    let orders = rows["shop/orders"];
    assert_eq!((state(orders, "reclaim-policy"), state(orders, "sizing")), ("open", "met"));
    let found = &orders["cells"]["reclaim-policy"]["found"][0];
    assert_eq!((&found["policy"], &found["object"]["name"]), (&"class-retain".into(), &"deletes".into()));
    assert_eq!((&found["severity"], &found["action"]), (&"critical".into(), &"Deny".into()));

    // claims, told once; the volume, not the one that is nobody's; the default class, which is in order
    let ledger = rows["pay/ledger"];
    let sizes = &ledger["cells"]["sizing"]["found"];
    assert_eq!((sizes.as_array().unwrap().len(), &sizes[0]["moreObjects"]), (1, &1.into()), "{sizes}");
    let reclaim = ledger["cells"]["reclaim-policy"]["found"].as_array().unwrap();
    let objects: Vec<&str> = reclaim.iter().map(|f| f["object"]["name"].as_str().unwrap()).collect();
    assert_eq!(objects, ["pv-1"]);
    let uses: Vec<&str> = ledger["uses"].as_array().unwrap().iter().map(|id| id["name"].as_str().unwrap()).collect();
    assert_eq!(uses, ["data-ledger-0", "data-ledger-1", "pv-1", "keeps", "pay"]);

    // exempt, until when
    let files = rows["shop/files"];
    assert_eq!(
        (state(files, "replication"), &files["cells"]["replication"]["exemptUntil"]),
        ("exempt", &Value::from(until))
    );
    assert_eq!(files["next"], Value::Null);

    // an operator's resource, with what it made
    let main = rows["shop/main"];
    assert_eq!((state(main, "operators"), state(main, "replication")), ("open", "open"));
    let owned = &main["cells"]["replication"]["found"][0];
    assert_eq!((&owned["object"]["name"], &owned["action"]), (&"main-1".into(), &"Deny".into()));
    assert_eq!(owned["inEnforce"], "Audit", "what an operator owns is not rejected");
}

#[test]
fn what_is_not_known_says_why() {
    let (input, _) = cluster();
    let document = json(&[], &input);
    let rows = workloads(&document);
    let why = |row: &str, item: &str| rows[row]["cells"][item]["unknown"].clone();
    assert_eq!(
        why("pay/ledger", "headless-service"),
        serde_json::json!([{"why": "missing-facts", "policy": "service-known", "missing": "services"}])
    );
    assert_eq!(why("lab/play", "headless-service"), serde_json::json!([{"why": "switched-off"}]));
    assert_eq!(why("lab/play", "backup-type"), serde_json::json!([{"why": "no-policy"}]));
    assert_eq!(why("lab/play", "operators"), serde_json::json!([{"why": "nothing-judged", "on": ["clusters"]}]));
    assert_eq!(why("lab/play", "deletion-protection"), serde_json::json!([{"why": "requests-only"}]));
    assert_eq!(state(rows["pay/ledger"], "updates"), "met");
    assert_eq!(document["complete"], true);

    // a policy that fails is no policy that is content, and nobody may take the result for complete
    let broken =
        input.replace("{name: play, namespace: lab}", "{name: play, namespace: lab, annotations: {number: x}}");
    let run = checklist(&["--format", "json"], &broken);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let cell = &workloads(&document)["lab/play"]["cells"]["updates"];
    assert_eq!((&cell["state"], &cell["unknown"][0]["why"]), (&"unknown".into(), &"policy-failed".into()), "{cell}");
    assert_eq!((run.code, &document["complete"]), (2, &false.into()));

    // with the Services known, the cell is met
    let with = format!("{input}---\napiVersion: v1\nkind: Service\nmetadata: {{name: ledger, namespace: pay}}\n");
    assert_eq!(state(workloads(&json(&[], &with))["pay/ledger"], "headless-service"), "met");
}

#[test]
fn tasks_come_by_tier_and_by_the_order_of_the_checklist() {
    let (input, _) = cluster();
    let document = json(&[], &input);
    let tasks: Vec<String> = document["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| {
            format!(
                "{} {} {} {}",
                t["tier"].as_str().unwrap(),
                t["workload"]["name"].as_str().unwrap(),
                t["item"].as_str().unwrap(),
                t["fix"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        tasks,
        [
            "tier-0 ledger reclaim-policy kubectl patch pv",
            "tier-1 orders reclaim-policy reclaimPolicy: Retain",
            "tier-1 main operators instances: 3",
            "tier-3 play replication replicas: 3 #",
        ]
    );
    let order: Vec<&str> =
        document["workloads"].as_array().unwrap().iter().map(|row| row["tier"].as_str().unwrap()).collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn exit_codes_are_those_of_check() {
    let (input, _) = cluster();
    assert_eq!(checklist(&[], &input).code, 1, "pay is in mode enforce");
    assert_eq!(checklist(&["--fail-on", "never"], &input).code, 0);
    let mild = input
        .replace("seawall.dev/mode: enforce", "seawall.dev/mode: warn")
        .replace("reclaimPolicy: Delete", "reclaimPolicy: Retain")
        .replace("persistentVolumeReclaimPolicy: Delete", "persistentVolumeReclaimPolicy: Retain");
    assert_eq!(checklist(&[], &mild).code, 0, "nothing is rejected");
    assert_eq!(checklist(&["--fail-on", "open"], &mild).code, 1);
    let unreadable = format!("{input}---\nkind: Service\n");
    let run = checklist(&["--fail-on", "never"], &unreadable);
    assert_eq!(run.code, 2);
    assert!(run.stdout.contains("INCOMPLETE") && run.stdout.contains("has no apiVersion"), "{}", run.stdout);
    let nothing = checklist(&[], "");
    assert!(nothing.stdout.contains("No workload"), "{}{}", nothing.stdout, nothing.stderr);
    // without manifests it means a cluster, which is not there
    assert_eq!(run_with_nothing().code, 2);
}

fn run_with_nothing() -> Run {
    run(&["--kubeconfig", "nowhere.yaml"], "")
}

#[test]
fn the_text_fits_80_columns_of_ascii() {
    let (input, _) = cluster();
    let long = input.replace("name: orders, namespace: shop", &format!("name: {}, namespace: shop", "o".repeat(120)));
    for input in [&input, &long] {
        let text = checklist(&[], input).stdout;
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.is_ascii() && !text.contains('\u{1b}'), "{text}");
    }
    let text = checklist(&[], &input).stdout;
    let line =
        |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{text}")).to_owned();
    let expected = "pay/ledger                    tier-0  . . . . X . . . . . . . .  .?...+?X.!?.";
    assert_eq!(line("pay/ledger"), expected);
    for part in [
        "  1. StatefulSet pay/ledger (2 more open)",
        "reclaim-policy [volume-retain] critical, Deny",
        "fix:    kubectl patch pv",
        "at:     stdin:",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(text.contains("   3 [service-known] too little is known of services"), "{text}");
    assert!(text.contains("1 workload not judged: mode off"), "{text}");
}

/// Names and annotations that try to be something else than text.
pub(crate) fn hostile() -> String {
    let note = r##""</td></tr><script>window.hacked = 1</script><img src=x onerror=hacked=1>|*b* [l](javascript:hacked=1) `c` \e[31mred\r\n## h\u202e @team &lt;""##;
    format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: \"a\\\"><script>hacked=1</script>\"\n  namespace: \"shop' onmouseover='hacked=1\"\n  annotations: {{note: {note}}}\nspec:\n  serviceName: a\n  replicas: 2\n  selector: {{matchLabels: {{app: a}}}}\n  template: {{metadata: {{labels: {{app: a}}}}, spec: {{containers: [{{name: c, image: 'example.com/c:1'}}]}}}}\n"
    )
}

#[test]
fn hostile_text_stays_text() {
    let input = hostile();
    let text = checklist(&[], &input).stdout;
    assert!(
        text.contains("<script>") && !text.contains('\u{1b}') && !text.contains('\r') && !text.contains('\u{202e}'),
        "{text}"
    );
    let markdown = checklist(&["--format", "markdown"], &input).stdout;
    for part in ["<script", "<img", "\u{1b}", "\n## h", "[l](", " *b*", " @team", "`c`", "\u{202e}"] {
        assert!(!markdown.contains(part), "{part:?} is in\n{markdown}");
    }
    let rows = markdown.lines().filter(|line| line.starts_with("| tier-2"));
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    assert!(rows.clone().count() == 1 && rows.clone().all(|row| bars(row) == 6), "{markdown}");
    let html = checklist(&["--format", "html"], &input).stdout;
    assert_eq!(html.matches("<script").count(), 1, "{html}");
    for part in ["<img", "' onmouseover='", "\u{1b}", "\u{202e}"] {
        assert!(!html.contains(part), "{part:?} is in\n{html}");
    }
}

#[test]
fn markdown_has_the_tasks_and_every_cell() {
    let (input, until) = cluster();
    let text = checklist(&["--format", "markdown"], &input).stdout;
    // as it is read, without what keeps text from being markup
    let text = text.replace('\\', "").replace("&#58;", ":").replace('\u{200b}', "");
    for part in [
        "| tier-0 | StatefulSet pay/ledger | reclaim-policy | PersistentVolume pv-1 spec.persistentVolumeReclaimPolicy: the volume is deleted with its claim | kubectl patch pv (wanted Retain) |",
        "**open** (critical, Deny)",
        &format!("exempt until {until}"),
        "no policy yet",
        "not known: [service-known] too little is known of services",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn engines_make_a_deployment_a_workload() {
    let deployment = |name: &str, image: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  selector: {{matchLabels: {{app: a}}}}\n  template: {{metadata: {{labels: {{app: a}}}}, spec: {{containers: [{{name: c, image: '{image}'}}]}}}}\n---\n"
        )
    };
    let input = [deployment("db", "postgres:16"), deployment("web", "nginx:1.27")].concat();
    let run = run(&["-", "--format", "json"], &input);
    let document: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr));
    let rows = workloads(&document);
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["shop/db"]);
    assert_eq!(rows["shop/db"]["engines"], serde_json::json!(["PostgreSQL"]));
    assert_eq!(state(rows["shop/db"], "statefulset"), "open");
}
