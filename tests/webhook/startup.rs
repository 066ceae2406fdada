//! What cannot be served is refused at the start: exit code 2, and a message with the place and what to do.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::serve::{policy, refused, replicas, write};

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    folder
}

/// Exit code 2, nothing on stdout, and all of these words.
fn ends_with(folder: &Path, args: &[&str], words: &[&str]) {
    let started = std::time::Instant::now();
    let output = refused(folder, args);
    let (out, text) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    assert_eq!(out, "", "{args:?}");
    for word in words {
        assert!(text.contains(word), "{args:?}: {word:?} is not in {text}");
    }
    assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE"), "{args:?}: {text}");
    assert!(started.elapsed() < Duration::from_secs(60), "{args:?}");
}

#[test]
fn broken_policies() {
    let head = "violation contains {\"msg\": \"m\", \"path\": [], \"wanted\": 1, \"fix\": \"f\"} if";
    let good = replicas(3);
    let cases: Vec<(String, Vec<&str>)> = vec![
        (policy("p", "violation contains {"), vec!["p.rego:14:1", "expecting expression"]),
        (
            policy("p", &format!("{head} time.now_ns() > 1")),
            vec!["p.rego:13:", "time.now_ns is not a permitted builtin"],
        ),
        (
            policy("p", &format!("{head} f(1)\n\nf(x) if f(x)")),
            vec!["p.rego:15:", "calls itself", "use a comprehension"],
        ),
        (policy("p", "allow := true"), vec!["p", "a policy needs at least `violation contains"]),
        (good.replace("# METADATA\n", ""), vec!["p.rego:1", "no `# METADATA` block", "docs/policy-format.md"]),
        (good.replace("severity: high", "severity: hihg"), vec!["p.rego:7:", "METADATA", "hihg"]),
        (good.replace("checklist: probes", "checklst: probes"), vec!["p.rego:6:", "METADATA", "checklst"]),
        (good.replace("# title: A policy of a test\n", ""), vec!["p.rego:", "METADATA", "title"]),
        (good.replace("tier-3: Deny", "tier-3: Refuse"), vec!["p.rego:8:", "METADATA", "Refuse"]),
    ];
    for (text, words) in cases {
        let folder = folder(&[("policies/p.rego", &text)]);
        ends_with(folder.path(), &["--policies", "policies", "--policies-only"], &words);
    }
    let deep = policy("p", &format!("x := {}", "[".repeat(40) + &"]".repeat(40)));
    let deep = folder(&[("policies/p.rego", &deep)]);
    // beside the embedded ones too
    for args in [&["--policies", "policies", "--policies-only"][..], &["--policies", "policies"]] {
        ends_with(deep.path(), args, &["p.rego:13:1: brackets nest deeper than 12 levels; use intermediate variables"]);
    }
    let empty = folder(&[("policies/readme.txt", "nothing")]);
    let args = ["--policies", "policies", "--policies-only"];
    ends_with(empty.path(), &args, &["policies has no .rego file", "docs/policy-format.md"]);
    ends_with(empty.path(), &["--policies", "absent"], &["cannot read absent", "No such file"]);
    let input = "operation: CREATE\nobject: {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}, spec: {replicas: 1}}\n";
    let failing = folder(&[
        ("policies/p/policy.rego", &good),
        ("policies/p/cases/one/input.yaml", input),
        ("policies/p/cases/one/expected.yaml", "violations: []\n"),
    ]);
    ends_with(failing.path(), &args, &["1 of 1 cases fail", "one"]);
}

#[test]
fn broken_configuration() {
    for (text, words) in [
        ("defaults:\n  mode: enforce\nlimitz: {}\n", vec!["seawall.yaml:3:1: ", "limitz", "limits"]),
        ("limits:\n  maxBodyBytes: many\n", vec!["seawall.yaml:2:17: "]),
        ("limits:\n  maxBodyBytes: -1\n", vec!["seawall.yaml:2:17: "]),
        ("defaults:\n  mode: enforced\n", vec!["seawall.yaml:2:", "enforced", "enforce"]),
        ("defaults:\n  tier: [tier-1\n", vec!["seawall.yaml:"]),
        ("just a text\n", vec!["seawall.yaml:1:"]),
        ("policies:\n  readines-probe: {}\n", vec!["readines-probe", "did you mean \"readiness-probe\"?"]),
        (
            "policies:\n  readiness-probe:\n    parameters: {a: 1}\n",
            vec!["policies.readiness-probe.parameters", "no parameter \"a\""],
        ),
    ] {
        let folder = folder(&[("seawall.yaml", text)]);
        ends_with(folder.path(), &["--config", "seawall.yaml"], &words);
    }
    let nothing = folder(&[]);
    ends_with(nothing.path(), &["--config", "absent.yaml"], &["cannot read the configuration absent.yaml", "--config"]);
}

#[test]
fn flags_that_do_not_fit() {
    let files = folder(&[
        ("a.pem", "no certificate"),
        ("config", "clusters: [\n"),
        ("other", "apiVersion: v1\nkind: Config\n"),
    ]);
    let path = files.path();
    ends_with(path, &["--tls-cert", "a.pem"], &["--tls-key"]);
    ends_with(path, &["--tls-key", "a.pem"], &["--tls-cert"]);
    ends_with(path, &["--policies-only"], &["--policies <LOCATION>"]);
    ends_with(
        path,
        &["--tls-cert", "a.pem", "--tls-key", "a.pem"],
        &["the certificate given cannot be served", "a.pem"],
    );
    ends_with(path, &["--tls-cert", "b.pem", "--tls-key", "b.pem"], &["b.pem"]);
    ends_with(path, &["--register"], &["--register needs a cluster: give --kubeconfig, or run in a Pod"]);
    ends_with(
        path,
        &["--kubeconfig", "absent"],
        &["the kubeconfig absent cannot be used", "No such file", "--kubeconfig"],
    );
    ends_with(path, &["--kubeconfig", "config"], &["the kubeconfig config cannot be used", "--kubeconfig"]);
    ends_with(path, &["--kubeconfig", "other"], &["the kubeconfig other cannot be used", "--kubeconfig"]);
    ends_with(path, &["--log", "loud=="], &["loud"]);
    ends_with(path, &["--listen", "everywhere"], &["--listen"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    ends_with(path, &["--webhook-service", "a/b", "--webhook-url", "https://x"], &["--webhook-url"]);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_seawall"))
        .env_clear()
        .env("TMPDIR", path)
        .args(["serve", "--listen", &address, "--metrics-listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(&format!("cannot listen on {address}")) && text.contains("another process"), "{text}");
}
