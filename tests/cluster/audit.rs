//! `seawall audit` against a real API server: what it finds, what it reads, and what it says when it could not see everything.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::own;
use crate::harness::process::eventually;

/// How an audit ended.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    fn report(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}{}", self.stdout, self.stderr))
    }

    /// `Kind namespace/name policy` of every violation, sorted.
    fn violations(&self) -> Vec<String> {
        let row = |row: &Value| {
            let resource = &row["resource"];
            let namespace = resource["namespace"].as_str().map(|n| format!("{n}/")).unwrap_or_default();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            format!("{} {namespace}{} {}", text(&resource["kind"]), text(&resource["name"]), text(&row["policy"]))
        };
        let mut rows: Vec<String> = self.report()["results"].as_array().unwrap().iter().map(row).collect();
        rows.sort();
        rows
    }

    fn missing(&self) -> Vec<String> {
        let rows = self.report()["coverage"]["missing"].as_array().unwrap().clone();
        rows.iter().map(|row| row["resource"].as_str().unwrap().to_owned()).collect()
    }
}

fn audit(plane: &ControlPlane, user: &str, args: &[&str]) -> Run {
    let output = Command::new(Path::new(env!("CARGO_BIN_EXE_seawall")))
        .arg("audit")
        .args(args)
        .env_clear()
        .env("KUBECONFIG", plane.kubeconfig(user))
        .current_dir(plane.dir())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn apply(plane: &ControlPlane, items: &[Value]) {
    plane.kubectl_as("admin").apply(&objects::list(items), &[]).ok();
}

#[test]
fn an_audit_finds_what_is_wrong_and_counts_it_once() {
    let Some(plane) = own(&Options { audit: true, ..Options::default() }) else { return };
    let namespace = |stem: &str, labels: &[(&str, &str)]| plane.namespace(stem, labels);
    let shop = namespace("shop", &[("seawall.dev/tier", "tier-1"), ("seawall.dev/mode", "audit")]);
    let strict = namespace("strict", &[("seawall.dev/tier", "tier-1"), ("seawall.dev/mode", "enforce")]);
    let off = namespace("off", &[("seawall.dev/mode", "off")]);
    let class = |name: &str| objects::storage_class(name).with("/reclaimPolicy", "Delete");
    let bad = |namespace: &str| objects::database_without_volume("orders").with("/metadata/namespace", namespace);
    let claimed = objects::stateful_set("db")
        .with("/metadata/namespace", shop.as_str())
        .with("/spec/volumeClaimTemplates/0/spec/storageClassName", "deletes");
    let labels = claimed["spec"]["template"]["metadata"]["labels"].clone();
    let of_set = objects::claim("data-db-0", "deletes")
        .with("/metadata/namespace", shop.as_str())
        .with("/metadata/labels", labels);
    let by_hand = objects::claim("by-hand", "deletes").with("/metadata/namespace", shop.as_str());
    apply(&plane, &[class("deletes"), bad(&shop), bad(&off), bad("kube-system"), claimed, of_set, by_hand]);

    let one = ["--format", "json", "--policy", "database-without-volume", "--policy", "claim-class-retain"];
    let found = audit(&plane, "developer", &one);
    let wanted = [
        format!("PersistentVolumeClaim {shop}/by-hand claim-class-retain"),
        // its claim data-db-0 says the same and is counted here
        format!("StatefulSet {shop}/db claim-class-retain"),
        format!("StatefulSet {shop}/orders database-without-volume"),
    ];
    assert_eq!(found.violations(), wanted, "{}", found.stderr);
    assert_eq!(found.code, 0, "nothing is rejected in mode audit: {}", found.stderr);
    let report = found.report();
    assert_eq!(report["coverage"]["children"], 1, "{}", report["coverage"]);
    for row in report["results"].as_array().unwrap() {
        assert_eq!((&row["action"], &row["effectiveAction"]), (&json!("Deny"), &json!("Audit")), "{row}");
    }

    // what if everything were enforced; and where it is
    assert_eq!(audit(&plane, "developer", &[&one[..], &["--mode", "enforce"]].concat()).code, 1);
    apply(&plane, &[bad(&strict)]);
    let enforced = audit(&plane, "developer", &[&one[..], &["-n", &strict]].concat());
    assert_eq!(enforced.violations(), [format!("StatefulSet {strict}/orders database-without-volume")]);
    assert_eq!(enforced.code, 1);
    let selected = audit(&plane, "developer", &[&one[..], &["-l", "app=nothing"]].concat());
    assert_eq!(selected.violations(), Vec::<String>::new());
    assert_eq!(audit(&plane, "developer", &[&one[..], &["--tier", "tier-0"]].concat()).violations().len(), 0);

    // with pages of one object the same is found
    let paged =
        audit(&plane, "developer", &[&one[..], &["--page-size", "1", "--requests-per-second", "1000"]].concat());
    assert!(wanted.iter().all(|row| paged.violations().contains(row)), "{:?}", paged.violations());
    assert!(paged.report()["coverage"]["calls"].as_u64() > found.report()["coverage"]["calls"].as_u64());

    // a namespace is judged with what is in it
    let quotas = audit(&plane, "developer", &["--format", "json", "--policy", "namespace-quota"]);
    assert_eq!(quotas.report()["unknown"], json!([]));
    assert_eq!(quotas.violations(), [format!("Namespace {shop} namespace-quota")], "it has claims and no quota");

    since(&plane, &shop, &one);
    as_a_person_reads_it(&plane, &shop, &one);
    few_rights(&plane, &one);
    only_reads(&plane);
}

/// What is new and what is fixed since an audit that was saved.
fn since(plane: &ControlPlane, shop: &str, one: &[&str]) {
    let saved = audit(plane, "developer", &[one, &["--save", "before.json"]].concat());
    assert_eq!(saved.code, 1, "{}", saved.stderr);
    plane.kubectl_as("admin").run(&["delete", "statefulset", "-n", shop, "orders"], "").ok();
    let claim = objects::claim("another", "deletes").with("/metadata/namespace", shop);
    apply(plane, &[claim]);
    let compared = audit(plane, "developer", &[one, &["--compare", "before.json"]].concat()).report();
    let comparison = &compared["comparison"];
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|row| row[0]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (names(&comparison["new"]), names(&comparison["fixed"])),
        (vec!["another".into()], vec!["orders".into()])
    );
    assert_eq!((&comparison["still_open"], &comparison["uncertain"]), (&json!(3), &json!(false)), "{comparison}");
    let broken = audit(plane, "developer", &["--compare", "nothing.json"]);
    assert_eq!((broken.code, broken.stderr.contains("nothing.json")), (2, true), "{}", broken.stderr);
}

fn as_a_person_reads_it(plane: &ControlPlane, shop: &str, one: &[&str]) {
    let text = audit(plane, "developer", &[&one[2..], &["-n", shop]].concat()).stdout;
    for part in [
        format!("StatefulSet {shop}/db (tier-1, mode audit)"),
        "would deny [claim-class-retain]".to_owned(),
        "claim-class-retain (reclaim-policy)".to_owned(),
        "objects judged".to_owned(),
    ] {
        assert!(text.contains(&part), "{part} is not in\n{text}");
    }
    assert!(text.lines().filter(|l| l.starts_with("policy ") || l.contains("would deny  ")).all(|l| l.len() <= 120));
    let summary = audit(plane, "developer", &[&one[2..], &["-n", shop, "--summary"]].concat()).stdout;
    assert!(!summary.contains("[claim-class-retain]") && summary.contains("claim-class-retain ("), "{summary}");
}

/// A kind that may not be listed makes the audit incomplete, and names it.
fn few_rights(plane: &ControlPlane, one: &[&str]) {
    let rules = json!([
        {"apiGroups": [""], "resources": ["namespaces", "persistentvolumes", "persistentvolumeclaims"], "verbs": ["list"]},
        {"apiGroups": ["apps"], "resources": ["statefulsets", "deployments"], "verbs": ["list"]}]);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "few"}, "rules": rules});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "few"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "few"},
        "subjects": [{"kind": "ServiceAccount", "name": "few", "namespace": "default"}]});
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "few", "namespace": "default"}});
    apply(plane, &[account, role, binding]);
    let token = plane.service_account_token("default", "few");
    plane.kubeconfig_for("few", &plane.server(), &token);
    let found = audit(plane, "few", one);
    assert_eq!(found.code, 2, "{}{}", found.stdout, found.stderr);
    assert_eq!(found.missing(), ["storageclasses"], "{}", found.stdout);
    // without the classes nobody knows about the claims, and says so
    assert!(found.violations().iter().all(|row| !row.contains("claim-class-retain")), "{:?}", found.violations());
    let unknown = found.report()["unknown"].as_array().unwrap().len();
    assert!(unknown > 0, "{}", found.stdout);
    let text = audit(plane, "few", &one[2..]).stdout;
    assert!(text.contains("INCOMPLETE") && text.contains("storageclasses: "), "{text}");
    assert_eq!(audit(plane, "nobody", one).code, 2);
}

/// The role of `deploy/audit` is enough, and without any part of it the audit is incomplete and names that part.
#[test]
fn the_role_for_audits_is_enough_and_no_more() {
    let Some(plane) = own(&Options { audit: true, ..Options::default() }) else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/audit");
    let kubectl = plane.kubectl_as("admin");
    kubectl.run(&["apply", "-k", folder.to_str().unwrap()], "").ok().quiet();
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "auditor", "namespace": "default"}});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "auditor"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "seawall-audit"},
        "subjects": [{"kind": "ServiceAccount", "name": "auditor", "namespace": "default"}]});
    apply(&plane, &[account, binding]);
    plane.kubeconfig_for("auditor", &plane.server(), &plane.service_account_token("default", "auditor"));
    let found = audit(&plane, "auditor", &["--format", "json"]);
    assert_eq!((found.missing(), found.code), (vec![], 0), "{}{}", found.stdout, found.stderr);

    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/seawall-audit";
    let api = plane.api("admin");
    let (_, role) = api.get(path).unwrap();
    let rules = role["rules"].as_array().unwrap();
    for (index, rule) in rules.iter().enumerate() {
        assert_eq!(rule["verbs"], json!(["list"]), "{rule}");
        // custom resources are listed where they are served, and here they are not
        if !["", "apps", "storage.k8s.io"].contains(&rule["apiGroups"][0].as_str().unwrap()) {
            continue;
        }
        let mut fewer = rules.clone();
        fewer.remove(index);
        let (status, answer) = api.merge(path, &json!({"rules": fewer})).unwrap();
        assert_eq!(status, 200, "{answer}");
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
            "user": "system:serviceaccount:default:auditor",
            "resourceAttributes": {"verb": "list", "group": rule["apiGroups"][0], "resource": rule["resources"][0]}}});
        eventually("the right is taken away", Duration::from_secs(10), || {
            let (_, answer) = api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).unwrap();
            (answer["status"]["allowed"] == false).then_some(())
        });
        let found = audit(&plane, "auditor", &["--format", "json", "--requests-per-second", "1000"]);
        assert_eq!(found.code, 2, "{rule}");
        let missing: BTreeSet<String> =
            found.missing().iter().map(|name| name.split('.').next().unwrap_or_default().to_owned()).collect();
        let taken = rule["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
        assert_eq!(missing, taken.collect());
    }
}

/// The API server's own log: an audit lists and gets, and nothing else.
fn only_reads(plane: &ControlPlane) {
    let events = plane.audit_events();
    let of_audits: Vec<&Value> = events
        .iter()
        .filter(|e| e["userAgent"].as_str().is_none_or(|agent| !agent.starts_with("kubectl")))
        .filter(|e| e["user"]["username"].as_str() == Some("developer"))
        .collect();
    assert!(of_audits.len() > 5, "{} events", of_audits.len());
    let verbs: BTreeSet<&str> = of_audits.iter().filter_map(|e| e["verb"].as_str()).collect();
    assert!(verbs.iter().all(|verb| ["get", "list"].contains(verb)), "{verbs:?}");
}

/// The tokens of lists under way expire: they go on behind their last key, and nothing is lost or seen twice.
#[test]
fn a_list_whose_version_is_forgotten_goes_on() {
    // it would keep what etcd forgets for another minute
    let flags = vec!["--feature-gates=ListFromCacheSnapshot=false"];
    let Some(plane) = own(&Options { audit: true, flags, ..Options::default() }) else { return };
    let shop = plane.namespace("shop", &[("seawall.dev/tier", "tier-1"), ("seawall.dev/mode", "audit")]);
    let api = plane.api("admin");
    let create = |name: &str| {
        let path = format!("/apis/apps/v1/namespaces/{shop}/statefulsets");
        assert_eq!(api.post(&path, &objects::database_without_volume(name)).unwrap().0, 201);
    };
    (10..50).for_each(|number| create(&format!("db-{number}")));
    let child = Command::new(Path::new(env!("CARGO_BIN_EXE_seawall")))
        .args([
            "audit",
            "--format=json",
            "--page-size=1",
            "--requests-per-second=20",
            "--policy=database-without-volume",
        ])
        .env_clear()
        .env("KUBECONFIG", plane.kubeconfig("developer"))
        .current_dir(plane.dir())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let of = |event: &Value| {
        event["verb"] == "list"
            && event["objectRef"]["resource"] == "statefulsets"
            && event["user"]["username"] == "developer"
    };
    let lists = || plane.audit_events().into_iter().filter(|event| of(event)).collect::<Vec<_>>();
    crate::harness::process::eventually("the list is under way", std::time::Duration::from_secs(60), || {
        (lists().len() >= 5).then_some(())
    });
    // one before and one behind where the list is now
    create("a-late");
    create("z-late");
    plane.forget_history();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let run = Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) };
    let gone = lists().iter().filter(|event| event["responseStatus"]["code"] == 410).count();
    let mut wanted: Vec<String> =
        (10..50).map(|number| format!("StatefulSet {shop}/db-{number} database-without-volume")).collect();
    let mut found = run.violations();
    found.retain(|row| !row.contains("-late"));
    wanted.sort();
    assert_eq!(found, wanted, "{gone} gone");
    assert_eq!((run.code, run.missing()), (0, Vec::new()), "{}", run.stderr);
    assert!(gone > 0, "the API server forgot nothing: this shows nothing");
}

/// `seawall exemptions` of the cluster: labels of the namespaces bound what an annotation may say, and who may not list says so.
#[test]
fn the_exemptions_of_a_cluster_are_told() {
    let Some(plane) = own(&Options { audit: true, ..Options::default() }) else { return };
    let shop = plane.namespace("shop", &[("seawall.dev/tier", "tier-2")]);
    let pay = plane.namespace("pay", &[("seawall.dev/tier", "tier-0")]);
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let until = today.checked_add(jiff::Span::new().days(30)).unwrap().to_string();
    let exempt = |namespace: &str| {
        let mut set = objects::database_without_volume("orders").with("/metadata/namespace", namespace);
        set["metadata"]["annotations"] = json!({
            "seawall.dev/exempt": "database-without-volume",
            "seawall.dev/exempt-reason": "moving",
            "seawall.dev/exempt-until": until,
        });
        set
    };
    apply(&plane, &[exempt(&shop), exempt(&pay)]);
    let run = |user: &str, args: &[&str]| {
        let output = Command::new(Path::new(env!("CARGO_BIN_EXE_seawall")))
            .args([&["exemptions", "--format", "json"], args].concat())
            .env_clear()
            .env("KUBECONFIG", plane.kubeconfig(user))
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    };
    let found = run("developer", &[]);
    assert_eq!(found.code, 0, "{}{}", found.stdout, found.stderr);
    let states = |run: &Run| -> Vec<(String, String)> {
        let row = |row: &Value| {
            (row["resource"]["namespace"].as_str().unwrap().to_owned(), row["state"].as_str().unwrap().to_owned())
        };
        run.report()["exemptions"].as_array().unwrap().iter().map(row).collect()
    };
    assert_eq!(states(&found), [(shop.clone(), "valid".to_owned()), (pay.clone(), "invalid".to_owned())]);
    assert_eq!(states(&run("developer", &["-n", &pay])), [(pay, "invalid".to_owned())]);
    // a user without rights is told so, and does not take it for an empty list
    let blind = run("nobody", &[]);
    assert_eq!(blind.code, 2, "{}", blind.stdout);
    assert!(!blind.report()["missing"].as_array().unwrap().is_empty(), "{}", blind.stdout);
}
