//! `seawall policy diff` as a person and a pipeline use it: two small sets with a changed threshold, a new policy, a changed patch, a
//! changed action and a policy that is gone.

use crate::rig::{Run, binary};
use serde_json::{Value, json};
use std::path::Path;

/// Runs where the two sets are.
pub(crate) fn run(args: &[&str], stdin: &str) -> Run {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diff");
    let output = binary().current_dir(folder).args(args).write_stdin(stdin).output().expect("the binary runs");
    Run {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

fn diff(args: &[&str]) -> Run {
    run(&[&["policy", "diff", "--policies-only"], args].concat(), "")
}

const SHOP: [&str; 5] = ["old", "new", "shop.yaml", "--snapshot", "services.yaml"];

fn report(args: &[&str]) -> (i32, Value) {
    let run = diff(&[args, &["--format", "json"]].concat());
    let report = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", run.stdout, run.stderr));
    (run.code, report)
}

/// `policy change namespace objects` of every row.
fn rows(report: &Value) -> Vec<String> {
    let row = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        format!("{} {} {} {}", text("policy"), text("change"), text("namespace"), row["objects"])
    };
    report["changes"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn what_changes_for_whom() {
    let run = diff(&SHOP);
    insta::assert_snapshot!(run.stdout, @r"
    old: old (5 policies)
    new: new (5 policies)

    The sets
      + replica-count  high; Deny, Deny, Deny, Off in tier-0 to tier-3
      - short-name  high; Deny, Deny, Deny, Deny in tier-0 to tier-3
      ~ class-retain
          actions.tier-0  Warn -> Deny
          actions.tier-1  Warn -> Deny
          actions.tier-2  Warn -> Deny
      ~ grace-period
          parameters.seconds  60 -> 120
      ~ owner-label
          rules differ

    Changes for objects
      class-retain
        newly denied       (cluster)            1 object
          StorageClass fast (shop.yaml:1)
            reclaimPolicy: the class deletes volumes with their data (was Warn)
      grace-period
        newly warned       shop                 1 object
          StatefulSet shop/db (shop.yaml:7)
            spec.template.spec.terminationGracePeriodSeconds: stopping gets too little time
        patch changed      shop                 1 object
          StatefulSet shop/cache (shop.yaml:20)
            /spec/template/spec/terminationGracePeriodSeconds: 60 -> 120
      owner-label
        message only       shop                 1 object (-v shows them)
      replica-count
        newly denied       shop                 1 object
          StatefulSet shop/cache (shop.yaml:20)
            spec.replicas: one Pod is no high availability
      short-name
        no longer denied   bank                 1 object
          StatefulSet bank/ledger (shop.yaml:32)
            metadata.name: the name is long

    Blast radius
      namespace  judged  changed  newly denied  no longer denied  newly warned  no longer warned  defaults
      (cluster)       1        1             1                 0             0                 0         0
      bank            1        1             0                 1             0                 0         0
      shop            2        2             1                 0             1                 0         1
      another decision for 4 of 4 objects: 2 newly denied, 1 no longer denied, 1 newly warned
      other safe defaults for 1
    ");
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
}

#[test]
fn words_that_change_are_shown_when_asked_for() {
    let run = diff(&[&SHOP[..], &["-v", "--examples", "1"]].concat());
    let shown = run.stdout.split_once("  owner-label\n").unwrap().1.split_once("  replica-count\n").unwrap().0;
    insta::assert_snapshot!(shown, @r"
        message only       shop                 1 object
          StatefulSet shop/cache (shop.yaml:20)
            - metadata.labels: nobody owns it. wanted a label owner; fix: owner: <team>
            + metadata.labels: nobody is named as its owner. wanted a label owner; fix: owner: <team>
    ");
}

#[test]
fn a_comment_for_a_pull_request() {
    let run = diff(&[&SHOP[..], &["--format", "markdown"]].concat());
    insta::assert_snapshot!(run.stdout, @r"
    ### Seawall policy diff: another decision for 4 of 4 objects: 2 newly denied, 1 no longer denied, 1 newly warned; other safe defaults for 1

    ` old (5 policies) ` &rarr; ` new (5 policies) `

    | namespace | judged | changed | newly denied | no longer denied | newly warned | no longer warned | defaults |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | ` (cluster) ` | 1 | 1 | 1 | 0 | 0 | 0 | 0 |
    | ` bank ` | 1 | 1 | 0 | 1 | 0 | 0 | 0 |
    | ` shop ` | 2 | 2 | 1 | 0 | 1 | 0 | 1 |

    #### The sets

    - added ` replica-count `: high; Deny, Deny, Deny, Off in tier\-0 to tier\-3
    - removed ` short-name `: high; Deny, Deny, Deny, Deny in tier\-0 to tier\-3
    - changed ` class-retain `: ` actions.tier-0 ` ` Warn ` &rarr; ` Deny `; ` actions.tier-1 ` ` Warn ` &rarr; ` Deny `; ` actions.tier-2 ` ` Warn ` &rarr; ` Deny `
    - changed ` grace-period `: ` parameters.seconds ` ` 60 ` &rarr; ` 120 `
    - changed ` owner-label `: rules differ

    #### Changes for objects

    ` class-retain `
    - **newly denied** in ` (cluster) `: 1 object
      - ` StorageClass fast (shop.yaml:1) `: reclaimPolicy&#58; the class deletes volumes with their data \(was Warn\)

    ` grace-period `
    - **newly warned** in ` shop `: 1 object
      - ` StatefulSet shop/db (shop.yaml:7) `: spec.template.spec.terminationGracePeriodSeconds&#58; stopping gets too little time
    - **patch changed** in ` shop `: 1 object
      - ` StatefulSet shop/cache (shop.yaml:20) `: /spec/template/spec/terminationGracePeriodSeconds&#58; 60 \-&gt; 120

    ` owner-label `
    - **message only** in ` shop `: 1 object

    ` replica-count `
    - **newly denied** in ` shop `: 1 object
      - ` StatefulSet shop/cache (shop.yaml:20) `: spec.replicas&#58; one Pod is no high availability

    ` short-name `
    - **no longer denied** in ` bank `: 1 object
      - ` StatefulSet bank/ledger (shop.yaml:32) `: metadata.name&#58; the name is long
    ");
    assert_eq!(run.code, 1);
}

#[test]
fn the_same_for_a_program() {
    let (code, report) = report(&SHOP);
    assert_eq!((code, &report["schemaVersion"], &report["complete"]), (1, &json!("1"), &json!(true)));
    assert_eq!(
        rows(&report),
        [
            "class-retain newly-denied  1",
            "grace-period newly-warned shop 1",
            "grace-period patch-changed shop 1",
            "owner-label message shop 1",
            "replica-count newly-denied shop 1",
            "short-name no-longer-denied bank 1",
        ]
    );
    assert_eq!(report["blastRadius"]["total"]["judged"], 4);
    assert_eq!(
        report["blastRadius"]["namespaces"]["shop"],
        json!({"judged": 2, "changed": 2, "decisions": 2, "newlyDenied": 1, "noLongerDenied": 0, "newlyWarned": 1,
            "noLongerWarned": 0, "patches": 1})
    );
    assert_eq!(report["sets"]["added"][0]["policy"], "replica-count");
    let example = &report["changes"][0]["examples"][0];
    assert_eq!(
        example,
        &json!({"kind": "StorageClass", "namespace": "", "name": "fast", "source": "shop.yaml:1", "policy": "class-retain",
            "change": "newly-denied", "field": "reclaimPolicy", "oldAction": "Warn", "newAction": "Deny",
            "old": "the class deletes volumes with their data", "new": "the class deletes volumes with their data"})
    );
}

#[test]
fn exit_codes_say_what_was_asked() {
    assert_eq!(diff(&["old", "old", "shop.yaml", "--snapshot", "services.yaml"]).code, 0);
    assert_eq!(diff(&[&SHOP[..], &["--fail-on", "never"]].concat()).code, 0);
    assert_eq!(diff(&[&SHOP[..], &["--fail-on", "newly-denied"]].concat()).code, 1);
    // in mode warn nothing is denied, but something changes
    let warn = [&SHOP[..], &["--mode", "warn"]].concat();
    assert_eq!(diff(&[&warn[..], &["--fail-on", "newly-denied"]].concat()).code, 0);
    assert_eq!(diff(&warn).code, 1);
    // the sets alone
    assert_eq!(diff(&["old", "old"]).code, 0);
    assert_eq!(diff(&["old", "new"]).code, 1);
    assert_eq!(diff(&["old", "new", "--fail-on", "never"]).code, 0);
    // what cannot be read makes it incomplete, whatever else there is
    let run = diff(&["old", "old", "shop.yaml", "nothing.yaml"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stdout.contains("nothing.yaml:1:1: error: cannot be read"), "{}", run.stdout);
}

#[test]
fn a_set_and_itself_are_the_same() {
    let run = diff(&["new", "new", "shop.yaml", "--snapshot", "services.yaml"]);
    insta::assert_snapshot!(run.stdout, @r"
    old: new (5 policies)
    new: new (5 policies)

    The sets are the same.

    Nothing changes for the objects that were judged.

    Blast radius
      another decision for 0 of 4 objects
    ");
    assert_eq!(run.code, 0);
    // the other way round, what came is gone
    let (_, report) = report(&["new", "old", "shop.yaml", "--snapshot", "services.yaml"]);
    assert!(rows(&report).contains(&"replica-count no-longer-denied shop 1".to_owned()), "{:?}", rows(&report));
    assert!(rows(&report).contains(&"grace-period no-longer-warned shop 1".to_owned()), "{:?}", rows(&report));
}

#[test]
fn what_is_not_known_on_both_sides_is_named() {
    let run = diff(&["old", "new", "shop.yaml"]);
    assert!(
        run.stdout.contains(
            "not compared: [governing-service] is unknown in both sets, 3 objects: too little is known of services; give them with --snapshot or --live"
        ),
        "{}",
        run.stdout
    );
    assert_eq!(run.code, 1);
}

#[test]
fn a_policy_that_fails_is_a_change_or_hides_one() {
    let broken = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diff/new/replica_count/policy.rego"),
    );
    let text = text.unwrap().replace("replicas < 2", "lower(replicas) == \"x\"");
    std::fs::write(broken.path().join("policy.rego"), text).unwrap();
    let broken = broken.path().to_str().unwrap();
    let (code, shown) = report(&["new", broken, "shop.yaml", "--snapshot", "services.yaml"]);
    let failing: Vec<String> = rows(&shown).into_iter().filter(|row| row.starts_with("replica-count")).collect();
    assert_eq!(failing, ["replica-count newly-failing bank 1", "replica-count newly-failing shop 2"]);
    assert_eq!((code, &shown["complete"]), (1, &json!(true)));
    // its action is Deny, so its failure denies
    assert_eq!(shown["blastRadius"]["namespaces"]["bank"]["newlyDenied"], 1);
    let run = diff(&[broken, broken, "shop.yaml"]);
    assert!(run.stdout.contains("not compared: [replica-count] fails in both sets, 3 objects: "), "{}", run.stdout);
    assert_eq!(run.code, 2);
}

#[test]
fn a_configuration_is_a_change_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let strict = file("strict.yaml", "policies: {grace-period: {parameters: {seconds: 400}}}\n");
    let (code, shown) = report(&["old", "old", "shop.yaml", "--snapshot", "services.yaml", "--new-config", &strict]);
    assert_eq!(code, 1);
    assert_eq!(
        shown["sets"]["changed"],
        json!([{"policy": "grace-period", "metadata": [{"key": "parameters.seconds", "old": 60, "new": 400}], "rules": false}])
    );
    assert!(rows(&shown).contains(&"grace-period newly-warned bank 1".to_owned()), "{:?}", rows(&shown));
    // one configuration for both may speak of a policy that only one has, but not of one that neither has
    let shared = file("shared.yaml", "policies: {replica-count: {actions: {tier-2: Warn}}}\n");
    let (code, shown) = report(&["old", "new", "shop.yaml", "--config", &shared]);
    assert!(rows(&shown).contains(&"replica-count newly-warned shop 1".to_owned()), "{code} {:?}", rows(&shown));
    let unknown = file("unknown.yaml", "policies: {replica-counts: {actions: {tier-2: Warn}}}\n");
    let run = diff(&["old", "new", "shop.yaml", "--config", &unknown]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("the set old cannot be used") && run.stderr.contains("replica-counts"),
        "{}",
        run.stderr
    );
}

#[test]
fn mistakes_say_what_to_do() {
    let run = diff(&["nowhere", "new", "shop.yaml"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("the set nowhere cannot be read: cannot read nowhere"), "{}", run.stderr);
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {}}).to_string();
    let run = run_stdin(&["old", "new", "-"], &review);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("give recorded reviews with --reviews"), "{}", run.stderr);
    let run = diff(&["old", "new", "shop.yaml", "--mode", "off"]);
    assert!(run.code == 2 && run.stderr.contains("--mode off judges nothing"), "{}", run.stderr);
}

fn run_stdin(args: &[&str], stdin: &str) -> Run {
    run(&[&["policy", "diff", "--policies-only"], args].concat(), stdin)
}
