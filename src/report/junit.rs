//! JUnit XML, for what shows test results: a suite for each file or namespace, a test case for each violation, and one for each
//! object without any. Attributes are those that Jenkins' schema knows (`jenkinsci/xunit-plugin` `junit-10.xsd`).

use super::page::{Page, Verdict, name, place, plain};
use super::{Judged, UnknownRow, Violation};
use crate::decision::{field_path, inline};
use std::io::{self, Write};

/// What a suite counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Suite {
    name: String,
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

/// Writes the suites.
///
/// # Errors
/// When it cannot be written, or what was found cannot be read back.
pub fn write(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    // the numbers come before the cases, so the objects are read twice rather than kept
    let mut suites = count(page)?;
    let gaps = page.gaps();
    if !gaps.is_empty() {
        let name = "not read or not judged".to_owned();
        suites.push(Suite { name, tests: gaps.len(), errors: gaps.len(), ..Suite::default() });
    }
    let sum = |part: fn(&Suite) -> usize| suites.iter().map(part).sum::<usize>();
    let (tests, failures, errors) = (sum(|s| s.tests), sum(|s| s.failures), sum(|s| s.errors));
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<testsuites name="seawall" tests="{tests}" failures="{failures}" errors="{errors}">"#)?;
    let mut heads = suites.iter();
    let mut current: Option<&str> = None;
    page.results.each(&mut |judged| {
        if current != Some(&judged_suite(judged)) {
            if current.is_some() {
                writeln!(out, "  </testsuite>")?;
            }
            let suite = heads.next();
            current = suite.map(|suite| suite.name.as_str());
            suite.map_or(Ok(()), |suite| open(suite, out))?;
        }
        object(page, judged, out)
    })?;
    if current.is_some() {
        writeln!(out, "  </testsuite>")?;
    }
    if let Some(suite) = suites.last().filter(|_| !gaps.is_empty()) {
        open(suite, out)?;
        for (number, gap) in gaps.iter().enumerate() {
            case(&format!("gap {}", number + 1), &suite.name, Some(("error", "incomplete", gap, gap)), out)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

/// The suite of an object: its file, or where it is stored its namespace.
fn judged_suite(judged: &Judged) -> String {
    match (judged.source.line, &judged.resource.namespace) {
        (0, Some(namespace)) => namespace.clone(),
        (0, None) => "(no namespace)".to_owned(),
        _ => judged.source.file.clone(),
    }
}

/// One suite for each run of objects that belong together.
fn count(page: &Page<'_>) -> io::Result<Vec<Suite>> {
    let mut suites: Vec<Suite> = Vec::new();
    page.results.each(&mut |judged| {
        let name = judged_suite(judged);
        if suites.last().is_none_or(|suite| suite.name != name) {
            suites.push(Suite { name, ..Suite::default() });
        }
        let Some(suite) = suites.last_mut() else { return Ok(()) };
        let of = |verdict| judged.violations.iter().filter(|v| page.view.of(&v.finding) == verdict).count();
        suite.tests += (judged.violations.len() + judged.unknown.len()).max(1);
        suite.failures += of(Verdict::Deny);
        suite.skipped += of(Verdict::Exempt) + judged.unknown.len();
        Ok(())
    })?;
    Ok(suites)
}

fn open(suite: &Suite, out: &mut dyn Write) -> io::Result<()> {
    let Suite { name, tests, failures, errors, skipped } = suite;
    let name = escaped(name);
    writeln!(
        out,
        r#"  <testsuite name="{name}" tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}">"#
    )
}

fn object(page: &Page<'_>, judged: &Judged, out: &mut dyn Write) -> io::Result<()> {
    let object = name(&judged.resource);
    if judged.violations.is_empty() && judged.unknown.is_empty() {
        return case(&object, "no violation", None, out);
    }
    for violation in &judged.violations {
        let finding = &violation.finding;
        let part = finding.expanded_from.as_ref().map(|part| format!("{part} ")).unwrap_or_default();
        let title = format!("{object}: {part}{}", field_path(&finding.path));
        let message = finding.message.trim();
        let text = details(violation);
        let (element, kind) = match page.view.of(finding) {
            Verdict::Deny => ("failure", "deny"),
            // a test that failed would stop a pipeline that the exit code lets pass
            Verdict::Warn => ("system-out", "warn"),
            Verdict::Audit => ("system-out", "audit"),
            Verdict::Exempt => ("skipped", "exempt"),
        };
        case(&title, &finding.policy, Some((element, kind, message, &text)), out)?;
    }
    for UnknownRow { policy, missing } in &judged.unknown {
        let why = format!("no answer: too little is known of {missing}");
        case(&object, policy, Some(("skipped", "unknown", &why, &why)), out)?;
    }
    Ok(())
}

fn details(violation: &Violation) -> String {
    let Violation { finding, source } = violation;
    let found = finding.found.as_ref().map(|found| format!("found:  {}\n", plain(&inline(found)))).unwrap_or_default();
    let note = finding.note.as_ref().map(|note| format!("note:   {}\n", plain(note))).unwrap_or_default();
    format!(
        "{} in {}, here {} (mode {}): {}\n{found}wanted: {}\nfix:    {}\nat:     {}\n{note}",
        finding.action,
        finding.tier,
        finding.effective,
        finding.mode,
        plain(finding.message.trim()),
        plain(&inline(&finding.wanted)),
        plain(&finding.fix),
        plain(&place(source)),
    )
}

/// A test case, with an element of its own (name, type, message, text) unless it simply passes.
fn case(name: &str, class: &str, inner: Option<(&str, &str, &str, &str)>, out: &mut dyn Write) -> io::Result<()> {
    write!(out, r#"    <testcase name="{}" classname="{}""#, escaped(name), escaped(class))?;
    match inner {
        None => writeln!(out, "/>"),
        Some(("system-out", kind, _, text)) => {
            writeln!(out, "><system-out>{kind}: {}</system-out></testcase>", lines(text))
        }
        Some((element, kind, message, text)) => {
            let (message, text) = (escaped(message), lines(text));
            writeln!(out, r#"><{element} type="{kind}" message="{message}">{text}</{element}></testcase>"#)
        }
    }
}

/// Text of one line, for attributes and elements. XML 1.0 has no place at all for most control characters, not even escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    out
}

/// Text of our own lines; those of a user cannot break lines, [`details`] has seen to that.
pub(crate) fn lines(text: &str) -> String {
    text.trim_end().lines().map(escaped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
#[path = "junit_tests.rs"]
mod tests;
