use super::super::page::View;
use super::super::testing::{finding, hostile, judged, mixed, report, warning, written};
use super::*;
use base64::Engine as _;

#[test]
fn the_content_policy_lets_this_script_run_and_no_other() {
    let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().unwrap();
    let hash = suite.common.hash_provider.hash(SCRIPT.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(hash.as_ref());
    assert_eq!(SCRIPT_HASH, hash, "SCRIPT_HASH is not that of html.js");
    let page = written(write, View::AsIs, &mixed());
    assert!(page.contains(&format!("script-src 'sha256-{hash}'")) && page.contains("default-src 'none'"));
    assert_eq!(page.matches("<script").count(), 1);
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn rows_carry_what_they_are_filtered_by() {
    let page = written(write, View::AsEnforced, &mixed());
    let row = "<tr data-namespace=\"shop\" data-tier=\"tier-1\" data-policy=\"class-reclaim-retain\"><td class=\"deny\">would deny</td>";
    assert!(page.contains(row), "{page}");
    for part in [
        "<option>shop</option>",
        "<option>class-reclaim-retain</option>",
        "Incomplete: not read or not judged",
        "app/db.yaml:9:1: a key twice",
        "<tr><th scope=\"row\">d</th><td>services</td><td class=\"n\">1</td></tr>",
        "Note: exempt until 2026-12-31 by sre: moving",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    assert_eq!(page.matches("<tr data-").count(), 3);
}

#[test]
fn a_page_is_bounded_and_keeps_the_worst() {
    let mut findings: Vec<crate::decision::Finding> = (0..ROWS + 10).map(|_| warning("w")).collect();
    findings.push(finding("d"));
    let page = written(write, View::AsIs, &report(vec![judged(findings)]));
    assert_eq!(page.matches("<tr data-").count(), ROWS);
    assert!(page.contains("The first 5000 of 5011, the worst first"));
    assert!(page.contains("<td class=\"deny\">"));
    assert!(written(write, View::AsIs, &report(vec![judged(vec![])])).contains("<p>None.</p>"));
}

#[test]
fn hostile_text_stays_text() {
    let page = written(write, View::AsIs, &report(vec![hostile()]));
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script").count(), 1);
    for markup in ["<img", "<!--", "\u{202e}", "\u{1b}"] {
        assert!(!page.contains(markup), "{markup:?}");
    }
    // attributes end where they should
    let row = page.lines().find(|line| line.starts_with("<tr data-")).unwrap();
    let tag = row.split('>').next().unwrap();
    assert_eq!(tag.matches('"').count(), 6, "{tag}");
}
