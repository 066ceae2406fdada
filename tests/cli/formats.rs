//! The formats of `check --format`, from the real binary: valid for what reads them, whatever stands in the manifests.

use crate::rig::{check, check_files, skipped};
use serde_json::{Value, json};
use std::process::Command;

/// A class whose name and provisioner try to leave every format.
const HOSTILE: &str = r###"apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: "x</script><img src=x onerror=alert(1)>\n::error::pwned ##[error]x |`a` <!-- ]]>&'%0A @team"
provisioner: "a\e[31m\n::error::b"
reclaimPolicy: Delete
"###;

const FORMATS: [&str; 7] = ["sarif", "junit", "github", "markdown", "html", "policyreport", "openreports"];

#[test]
fn exit_codes_do_not_depend_on_the_format() {
    for format in FORMATS {
        let run = check_files(&["shop.yaml", "--format", format]);
        assert_eq!(run.code, 1, "{format}: {}", run.stderr);
        let clean = check_files(&["clean.yaml", "--format", format]);
        assert_eq!(clean.code, 0, "{format}: {}", clean.stderr);
        let broken = check_files(&["shop.yaml", "broken.yaml", "--format", format]);
        assert_eq!(broken.code, 2, "{format}");
        assert!(
            broken.stderr.contains("broken.yaml:33:3: error: key \"name\" is written twice"),
            "{format}: {}",
            broken.stderr
        );
    }
}

#[test]
fn sarif_points_to_the_line_of_the_field() {
    let run = check_files(&["shop.yaml", "--format", "sarif"]);
    let log: Value = serde_json::from_str(&run.stdout).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let claim = results.iter().find(|result| result["ruleId"] == "claim-class").unwrap();
    assert_eq!(
        claim["locations"][0]["physicalLocation"],
        json!({"artifactLocation": {"uri": "shop.yaml"}, "region": {"startLine": 30, "startColumn": 7}})
    );
    assert_eq!(claim["level"], "warning");
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules[usize::try_from(claim["ruleIndex"].as_u64().unwrap()).unwrap()]["id"], "claim-class");
}

#[test]
fn hostile_manifests_stay_in_their_place() {
    let of = |format: &str| check(&["-", "--mode", "audit", "--format", format], HOSTILE).stdout;
    for format in FORMATS {
        let text = of(format);
        assert!(text.contains("class-retain"), "{format}: {text}");
        let strange = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(strange), "{format}: {text:?}");
    }
    // what the runner of GitHub Actions takes for a command
    let command = |line: &&str| line.trim_start().starts_with("::") || line.contains("##[");
    assert_eq!(of("github").lines().filter(command).count(), 1, "{}", of("github"));
    assert!(!of("html").contains("<img") && !of("junit").contains("<img"));
    let _: Value = serde_json::from_str(&of("sarif")).unwrap();
}

/// In a real browser: the content policy lets the page's own script run, and the script hides what is not wanted.
#[test]
fn the_page_filters_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let run = check_files(&["shop.yaml", "--format", "html"]);
    std::fs::write(&file, run.stdout.replace("</body>", "<script>document.title = 'pwned'</script></body>")).unwrap();
    let url = format!("file://{}#policy=claim-class", file.display());
    let browser = std::env::var("SEAWALL_BROWSER").unwrap_or_else(|_| "chromium".to_owned());
    let output = Command::new(&browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom", &url])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .output();
    let Ok(output) = output else {
        skipped(&format!("the HTML page in a browser: there is no {browser}; name one in SEAWALL_BROWSER"));
        return;
    };
    let page = String::from_utf8_lossy(&output.stdout);
    let rows = page.matches("<tr data-").count();
    let hidden = page.matches(" hidden=\"\"><td").count();
    let policy = page.matches("data-policy=\"claim-class\"").count();
    assert!(
        policy > 0 && hidden > 0 && hidden + policy == rows,
        "{rows} rows, {hidden} hidden, {policy} wanted\n{page}"
    );
    assert!(page.contains(&format!("{policy} of {rows} shown")), "{page}");
    assert!(page.contains("<form id=\"filter\">"), "the filter shows where scripts run: {page}");
    assert!(page.contains("<title>Seawall report</title>"), "another script ran");
}
