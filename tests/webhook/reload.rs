//! The policy folder changes under a running server: a good set is taken, a bad one leaves the last good one serving.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::serve::{Serve, policy, replicas, review, write};

const TAKEN: &str = "seawall_policy_reloads_total{result=\"success\"}";
const REFUSED: &str = "seawall_policy_reloads_total{result=\"failure\"}";

/// Whether a set with this many replicas is allowed.
async fn allows(serve: &Serve, replicas: u32) -> bool {
    serve.validate(&review("r-1", json!({"replicas": replicas}))).await["allowed"] == true
}

/// Changes the folder and waits until the change was taken (or refused).
async fn change(serve: &Serve, metric: &str, change: impl FnOnce(&Path)) {
    let before = serve.metric(metric).await;
    change(&serve.policies());
    serve.metric_exceeds(metric, before).await;
}

#[tokio::test]
async fn bad_sets_leave_the_last_good_one_serving() {
    let serve = Serve::with_policies(&[("p.rego", &replicas(3))], None);
    assert!(!allows(&serve, 2).await);
    let start = std::time::Instant::now();
    change(&serve, TAKEN, |folder| write(folder, &[("p.rego", &replicas(2))])).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(allows(&serve, 2).await && !allows(&serve, 1).await);
    assert_eq!(serve.policies_condition().await.0, "ok");

    let rules = |rules: &str| policy("enough-replicas", rules);
    let head = "violation contains {\"msg\": \"m\", \"path\": [], \"wanted\": x, \"fix\": \"f\"} if";
    let long = |chain: String| rules(&format!("{head} {{ x := {chain} }}"));
    // what is written, and what the operator is told
    let texts: Vec<(&str, String, &str)> = vec![
        ("syntax", rules("violation contains {"), "p.rego"),
        ("builtin", rules(&format!("{head} {{ x := http.send({{}}) }}")), "http.send is not a permitted builtin"),
        ("recursion", rules(&format!("{head} {{ x := f(1) }}\n\nf(x) := f(x)")), "calls itself"),
        ("unsafe variable", rules(&format!("{head} {{ x == y }}")), "y"),
        ("no METADATA", "package seawall.policies.enough_replicas\n".to_owned(), "p.rego:1:1: no `# METADATA` block"),
        (
            "another package",
            replicas(9).replace("package seawall.policies.enough_replicas", "package other"),
            "package \"other\"",
        ),
        ("an empty file", String::new(), "p.rego"),
        ("10 MB", replicas(9) + &"#".repeat(10_000_000), "p.rego has 10"),
        ("brackets", long("[".repeat(30) + &"]".repeat(30)), "p.rego:13:1: brackets nest deeper"),
        ("calls", long("lower(\n".repeat(15_000) + "\"a\"" + &")".repeat(15_000)), "brackets nest deeper"),
        ("a chain of keys", long("input".to_owned() + &"[\"a\"\n]".repeat(15_000)), "a chain of more than"),
        ("a chain of terms", long("1".to_owned() + &" +\n1".repeat(15_000)), "a chain of more than"),
    ];
    for (name, text, told) in texts {
        change(&serve, REFUSED, |folder| write(folder, &[("p.rego", &text)])).await;
        let (status, detail) = serve.policies_condition().await;
        assert_eq!(status, "degraded", "{name}");
        assert!(detail.contains(told) && detail.contains("the last good ones serve"), "{name}: {detail}");
        assert!(allows(&serve, 2).await && !allows(&serve, 1).await, "{name}");
    }
    change(&serve, REFUSED, |folder| std::fs::write(folder.join("p.rego"), [0xff, 0xfe, 0x00]).unwrap()).await;
    assert!(serve.policies_condition().await.1.contains("p.rego:1: byte 1 of the line is not UTF-8"));
    change(&serve, REFUSED, |folder| std::fs::remove_file(folder.join("p.rego")).unwrap()).await;
    assert!(serve.policies_condition().await.1.contains("no .rego file"));
    change(&serve, REFUSED, |folder| std::fs::remove_dir(folder).unwrap()).await;
    assert!(serve.policies_condition().await.1.contains("cannot read"));
    assert!(allows(&serve, 2).await && !allows(&serve, 1).await);
    assert!(serve.log().contains("the changed policies were refused; the last good ones go on serving"));

    // within the bounds the engine has stack enough, also to evaluate
    for chain in ["1".to_owned() + &" +\n1".repeat(36), "[".repeat(10) + "1" + &"]".repeat(10)] {
        change(&serve, TAKEN, |folder| write(folder, &[("p.rego", &long(chain.clone()))])).await;
        assert!(!allows(&serve, 9).await, "{chain}");
    }
    change(&serve, TAKEN, |folder| write(folder, &[("p.rego", &replicas(5))])).await;
    assert_eq!(serve.policies_condition().await, ("ok".to_owned(), String::new()));
    assert!(allows(&serve, 5).await && !allows(&serve, 4).await);
}

#[tokio::test]
async fn a_failing_case_and_broken_data_are_refused() {
    let good = replicas(3);
    let serve = Serve::with_policies(&[("p/policy.rego", &good)], None);
    let case = |replicas: u32| {
        format!(
            "operation: CREATE\nobject: {{apiVersion: apps/v1, kind: StatefulSet, metadata: {{name: a, namespace: b}}, spec: {{replicas: {replicas}}}}}\n"
        )
    };
    let put = |replicas: u32| {
        let input = case(replicas);
        move |folder: &Path| {
            // in one folder that is renamed, so that no look meets half a case
            write(
                folder,
                &[(".new/cases/one/expected.yaml", "violations: []\n"), (".new/cases/one/input.yaml", &input)],
            );
            let _ = std::fs::remove_dir_all(folder.join("p/cases"));
            std::fs::rename(folder.join(".new/cases"), folder.join("p/cases")).unwrap();
        }
    };
    change(&serve, REFUSED, put(1)).await;
    let (_, detail) = serve.policies_condition().await;
    assert!(detail.contains("1 of 1 cases fail") && detail.contains("one"), "{detail}");
    change(&serve, TAKEN, put(4)).await;
    assert_eq!(serve.policies_condition().await.0, "ok");
    change(&serve, REFUSED, |folder| write(folder, &[("seawall/knowledge/x/data.yaml", "a: [")])).await;
    assert!(serve.policies_condition().await.1.contains("seawall/knowledge/x/data.yaml:1:"));
    change(&serve, REFUSED, |folder| {
        std::fs::remove_dir_all(folder.join("seawall")).unwrap();
        symlink(folder, folder.join("loop")).unwrap();
    })
    .await;
    assert!(serve.policies_condition().await.1.contains("symbolic link"));
    change(&serve, TAKEN, |folder| std::fs::remove_file(folder.join("loop")).unwrap()).await;
    assert!(!allows(&serve, 2).await);
}

/// As the kubelet writes a ConfigMap: files are links into `..data`, a link to a folder by time, swapped by a rename.
#[tokio::test]
async fn a_mounted_config_map_is_swapped() {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    write(&policies, &[("..2026_01/p.rego", &replicas(3))]);
    symlink("..2026_01", policies.join("..data")).unwrap();
    symlink("..data/p.rego", policies.join("p.rego")).unwrap();
    let serve = Serve::start(folder, None, &["--policies", "policies", "--policies-only"]);
    assert!(!allows(&serve, 2).await && allows(&serve, 3).await);
    let swap = |version: &'static str, text: String| {
        move |folder: &Path| {
            write(folder, &[(&format!("{version}/p.rego"), &text)]);
            point(folder, version);
        }
    };
    change(&serve, TAKEN, swap("..2026_02", replicas(2))).await;
    assert!(allows(&serve, 2).await && !allows(&serve, 1).await);
    change(&serve, REFUSED, swap("..2026_03", "package broken {".to_owned())).await;
    assert!(allows(&serve, 2).await && !allows(&serve, 1).await);
    change(&serve, TAKEN, swap("..2026_04", replicas(4))).await;
    assert!(!allows(&serve, 3).await && allows(&serve, 4).await);
}

/// Twenty changes, every fourth bad, under eight clients: no call fails, and each answer is one of a whole set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_policies_are_reloaded() {
    let both = |n: u32| {
        let other = policy(
            "other",
            &format!(
                "violation contains {{\"msg\": \"set {n}\", \"path\": [], \"wanted\": 1, \"fix\": \"f\"}} if input.request.object.spec.replicas < {n}"
            ),
        );
        (replicas(n), other)
    };
    // laid out as a ConfigMap, so that no look at the folder meets a set of two halves
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    let (one, two) = both(10);
    write(&policies, &[("..10/a.rego", &one), ("..10/b.rego", &two)]);
    symlink("..10", policies.join("..data")).unwrap();
    for name in ["a.rego", "b.rego"] {
        symlink(format!("..data/{name}"), policies.join(name)).unwrap();
    }
    let serve = Arc::new(Serve::start(folder, None, &["--policies", "policies", "--policies-only"]));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (serve, stop) = (serve.clone(), stop.clone());
            tokio::spawn(async move {
                let client = serve.client();
                let mut calls = 0;
                while !stop.load(Ordering::SeqCst) {
                    let body = review("load-1", json!({"replicas": 1})).to_string();
                    let response =
                        serve.send_by(&client, "/validate/enforce", body, "application/json").await.response();
                    // both policies deny in every set, with the number of the same set
                    let message = response["status"]["message"].as_str().unwrap_or_else(|| panic!("{response}"));
                    let wanted = message.split("wanted: ").nth(1).unwrap().lines().next().unwrap();
                    assert!(
                        message.contains("2 violations") && message.contains(&format!("set {wanted}")),
                        "{message}"
                    );
                    calls += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                calls
            })
        })
        .collect();
    for n in 20..40 {
        let bad = n % 4 == 3;
        let (one, two) = if bad { ("package seawall.policies.broken\n".to_owned(), String::new()) } else { both(n) };
        change(&serve, if bad { REFUSED } else { TAKEN }, |folder| {
            write(folder, &[(&format!("..{n}/a.rego"), &one), (&format!("..{n}/b.rego"), &two)]);
            point(folder, &format!("..{n}"));
        })
        .await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut calls = 0;
    for client in clients {
        calls += client.await.unwrap();
    }
    assert!(calls > 500, "{calls} calls");
    assert_eq!((serve.metric(TAKEN).await, serve.metric(REFUSED).await), (16.0, 5.0));
}

/// Points `..data` to another version, in one step.
fn point(folder: &Path, version: &str) {
    symlink(version, folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}
