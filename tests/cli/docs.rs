//! `seawall docs`: what is committed is what the code says; shells and `man` can use what they get.

use crate::rig::{binary, seawall, skipped};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Generated files below a folder, by path from there.
fn generated(docs: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for part in ["reference", "schemas"] {
        for entry in fs::read_dir(docs.join(part)).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = format!("{part}/{}", path.file_name().unwrap().to_string_lossy());
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    found
}

#[test]
fn docs_are_what_the_code_says() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let scratch = tempfile::tempdir().unwrap();
    let output = binary().args(["docs", "build", "--output"]).arg(scratch.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (fresh, committed) = (generated(scratch.path()), generated(&docs));
    if std::env::var_os("SEAWALL_UPDATE").is_some() {
        for stale in committed.keys().filter(|path| !fresh.contains_key(*path)) {
            fs::remove_file(docs.join(stale)).unwrap();
        }
        for (path, text) in &fresh {
            fs::create_dir_all(docs.join(path).parent().unwrap()).unwrap();
            fs::write(docs.join(path), text).unwrap();
        }
        return;
    }
    let stale: Vec<&String> =
        fresh.keys().chain(committed.keys()).filter(|path| fresh.get(*path) != committed.get(*path)).collect();
    assert!(
        stale.is_empty(),
        "docs are not what the code says: {stale:?}; run SEAWALL_UPDATE=1 cargo test --test cli docs_are"
    );
}

#[test]
fn the_pages_link_to_what_there_is() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for (path, text) in generated(&docs).iter().filter(|(path, _)| path.ends_with(".md")) {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let here = docs.join(path);
            let there = if file.is_empty() { here } else { here.parent().unwrap().join(file) };
            assert!(there.exists(), "docs/{path} links to {target}");
            if file.is_empty() {
                let headings = text.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
                let mut anchors = headings.map(|heading| heading.to_lowercase().replace(' ', "-"));
                assert!(anchors.any(|heading| heading == anchor), "docs/{path} has no heading for {target}");
            }
        }
    }
}

#[test]
fn every_command_that_help_names_is_on_the_page() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/commands.md")).unwrap();
    let help = seawall(&["--help"], "").stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 8, "{help}");
    for name in names.into_iter().filter(|name| *name != "help") {
        assert!(page.contains(&format!("\n## seawall {name}")), "{name}");
    }
}

/// What a bash with our completion offers for the words of a command line, the last being completed.
fn bash_completes(words: &[&str]) -> Vec<String> {
    let script = seawall(&["docs", "completions", "bash"], "").stdout;
    let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let last = words.len() - 1;
    let before = words[last - 1];
    let program = format!(
        "{script}\nCOMP_WORDS=({line}); COMP_CWORD={last}; _seawall seawall '{}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words[last]
    );
    let output = Command::new("bash").args(["--noprofile", "--norc", "-c", &program]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    if Command::new("bash").arg("--version").output().is_err() {
        return skipped("no bash: its completions are not tried");
    }
    assert_eq!(bash_completes(&["seawall", "che"]), ["check", "checklist"]);
    assert_eq!(bash_completes(&["seawall", "rollout", "pl"]), ["plan"]);
    assert_eq!(bash_completes(&["seawall", "docs", "schema", "case-c"]), ["case-context", "case-cluster"]);
    assert_eq!(bash_completes(&["seawall", "check", "--format", "jun"]), ["junit"]);
    assert_eq!(bash_completes(&["seawall", "serve", "--tls-c"]), ["--tls-cert", "--tls-ca"]);
}

#[test]
fn other_shells_get_a_script_that_names_every_command() {
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        let run = seawall(&["docs", "completions", shell], "");
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        for word in ["webhook-config", "policies-only", "catalogue"] {
            assert!(run.stdout.contains(word), "{shell}: {word}");
        }
        let parses = match shell {
            "zsh" | "fish" => Command::new(shell).args(["-n", "/dev/stdin"]).output().ok(),
            _ => None,
        };
        match parses {
            Some(_) => {
                let file = tempfile::NamedTempFile::new().unwrap();
                fs::write(file.path(), &run.stdout).unwrap();
                let output = Command::new(shell).arg("-n").arg(file.path()).output().unwrap();
                assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
            }
            None => skipped(&format!("no {shell}: its script is only looked at")),
        }
    }
}

#[test]
fn there_is_a_man_page_for_every_command() {
    let scratch = tempfile::tempdir().unwrap();
    let output = binary().args(["docs", "man", "--output"]).arg(scratch.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut pages: Vec<String> = fs::read_dir(scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    pages.sort();
    for wanted in
        ["seawall.1", "seawall-check.1", "seawall-rollout-plan.1", "seawall-webhook-config.1", "seawall-docs-man.1"]
    {
        assert!(pages.iter().any(|page| page == wanted), "{wanted} is not in {pages:?}");
    }
    let groff = Command::new("groff").arg("--version").output().is_ok();
    if !groff {
        skipped("no groff: man pages are only looked at");
    }
    for page in &pages {
        let path = scratch.path().join(page);
        let text = fs::read_to_string(&path).unwrap();
        for part in [".TH seawall", "Seawall Manual", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
            assert!(text.contains(part), "{page}: {part}\n{text}");
        }
        if groff {
            let output =
                Command::new("groff").args(["-Kutf8", "-Tutf8", "-man", "-ww", "-z"]).arg(&path).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{page}");
        }
    }
    let one = seawall(&["docs", "man", "rollout", "plan"], "");
    assert_eq!((one.code, one.stdout), (0, fs::read_to_string(scratch.path().join("seawall-rollout-plan.1")).unwrap()));
    assert!(seawall(&["docs", "man"], "").stdout.contains("webhook\\-config"));
    let none = seawall(&["docs", "man", "rollin"], "");
    assert_eq!(none.code, 2);
    assert!(
        none.stderr.starts_with("seawall: there is no page seawall-rollin; there are: seawall, "),
        "{}",
        none.stderr
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = binary().args(["docs", "build", "--output"]).arg(file.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.starts_with("seawall: cannot make the folder ") && told.contains("reference"), "{told}");
}
