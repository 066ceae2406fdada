//! One page for a browser, with nothing around it: no network, tables that are tables, usable by keyboard and on paper. Without
//! scripts everything is shown; the few lines of script only hide rows.
//!
//! Whatever came from an object is escaped; should that ever fail, the page's own content policy lets no other script run and
//! nothing be fetched.

use super::overview::{Count, Overview};
use super::page::{Page, Verdict, name, place, plain, plural};
use super::{Judged, ResourceId, UnknownRow, Violation};
use crate::decision::{field_path, inline};
use crate::policy::mode::Tier;
use std::io::{self, Write};

const STYLE: &str = include_str!("html.css");
const SCRIPT: &str = include_str!("html.js");
/// SHA-256 of the script, for the content policy.
const SCRIPT_HASH: &str = "45qXLSen4xToop6I21Xu6Hogppdj8d8kkvflGWlSy0U=";

/// Rows of findings. A browser is slow beyond; the worst are kept, and the page says how many are missing.
pub const ROWS: usize = 5_000;

/// Writes the page.
///
/// # Errors
/// When it cannot be written, or what was found cannot be read back.
pub fn write(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let overview = Overview::of(page.results, page.view)?;
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src \
         'sha256-{SCRIPT_HASH}'; form-action 'none'; base-uri 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Seawall report</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n"
    )?;
    head(page, &overview, out)?;
    writeln!(out, "<main>")?;
    gaps(page, out)?;
    let policies: Vec<(String, Count)> =
        overview.by_policy().map(|(id, item, count)| (format!("{id} ({item})"), count)).collect();
    table(page, "Policies", "Policy", &policies, out)?;
    let namespaces: Vec<(String, Count)> = overview.by_namespace().map(|(n, count)| (shown(n), count)).collect();
    table(page, "Namespaces", "Namespace", &namespaces, out)?;
    findings(page, &overview, out)?;
    unknown(page, out)?;
    write!(out, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n")
}

fn head(page: &Page<'_>, overview: &Overview, out: &mut dyn Write) -> io::Result<()> {
    let sum = page.results.summary();
    let total = |verdict| overview.namespaces.values().map(|count| count.of(verdict)).sum::<usize>();
    let numbers = Verdict::ALL.map(|verdict| format!("{} {}", total(verdict), page.view.word(verdict))).join(", ");
    let objects = plural(sum.resources, "object", "objects");
    let unknown = plural(sum.unknown, "answer", "answers");
    let patched = match sum.patched {
        0 => String::new(),
        number => format!(" {} safe defaults when applied.", plural(number, "object gets", "objects get")),
    };
    writeln!(
        out,
        "<header>\n<h1>Seawall report</h1>\n<p>{objects} judged: {numbers}; {unknown} missing for want of facts.{patched}</p>\n</header>"
    )
}

fn gaps(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let gaps = page.gaps();
    if gaps.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section class=\"gap\">\n<h2>Incomplete: not read or not judged</h2>\n<ul>")?;
    gaps.iter().try_for_each(|gap| writeln!(out, "<li>{}</li>", escaped(gap)))?;
    writeln!(out, "</ul>\n</section>")
}

fn table(page: &Page<'_>, title: &str, head: &str, rows: &[(String, Count)], out: &mut dyn Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let columns = Verdict::ALL.map(|verdict| format!("<th scope=\"col\">{}</th>", page.view.word(verdict))).concat();
    writeln!(
        out,
        "<section>\n<h2>{title}</h2>\n<table>\n<thead><tr><th scope=\"col\">{head}</th>{columns}<th \
         scope=\"col\">objects</th></tr></thead>\n<tbody>"
    )?;
    for (name, count) in rows {
        let numbers = Verdict::ALL.map(|verdict| format!("<td class=\"n\">{}</td>", count.of(verdict))).concat();
        let objects = count.objects;
        writeln!(out, "<tr><th scope=\"row\">{}</th>{numbers}<td class=\"n\">{objects}</td></tr>", escaped(name))?;
    }
    writeln!(out, "</tbody>\n</table>\n</section>")
}

fn findings(page: &Page<'_>, overview: &Overview, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<section>\n<h2>Findings</h2>")?;
    let total: usize = overview
        .namespaces
        .values()
        .map(|count| Verdict::ALL.map(|verdict| count.of(verdict)).iter().sum::<usize>())
        .sum();
    if total == 0 {
        return writeln!(out, "<p>None.</p>\n</section>");
    }
    if total > ROWS {
        writeln!(out, "<p>The first {ROWS} of {total}, the worst first; --format json has all of them.</p>")?;
    }
    let options = |values: &mut dyn Iterator<Item = String>| -> String {
        values.map(|value| format!("<option>{}</option>", escaped(&value))).collect()
    };
    let mut ids: Vec<&str> = overview.policies.keys().map(|(id, _)| id.as_str()).collect();
    ids.dedup();
    for (id, label, values) in [
        (
            "namespace",
            "Namespace",
            options(&mut overview.namespaces.iter().filter(|(_, c)| c.objects > 0).map(|(n, _)| shown(n))),
        ),
        ("tier", "Tier", options(&mut Tier::ALL.iter().map(ToString::to_string))),
        ("policy", "Policy", options(&mut ids.iter().map(|id| (*id).to_owned()))),
    ] {
        let begin = if id == "namespace" { "<form id=\"filter\" hidden>\n" } else { "" };
        writeln!(
            out,
            "{begin}<label>{label} <select name=\"{id}\"><option value=\"\">all</option>{values}</select></label>"
        )?;
    }
    writeln!(
        out,
        "<button type=\"reset\">Show all</button>\n<output id=\"shown\" aria-live=\"polite\"></output>\n</form>\n\
         <div class=\"scroll\" role=\"region\" aria-label=\"Findings\" tabindex=\"0\">\n<table id=\"findings\">\n\
         <thead><tr><th scope=\"col\">Action</th><th scope=\"col\">Object</th><th scope=\"col\">Policy</th><th \
         scope=\"col\">What is wrong</th><th scope=\"col\">Fix</th></tr></thead>\n<tbody>"
    )?;
    let mut left = ROWS;
    for verdict in Verdict::ALL {
        page.of_weight(verdict, &mut |judged, violations| {
            let fits = violations.iter().take(left);
            left = left.saturating_sub(violations.len());
            fits.into_iter().try_for_each(|violation| row(page, judged, violation, out))
        })?;
    }
    writeln!(out, "</tbody>\n</table>\n</div>\n</section>")
}

fn row(page: &Page<'_>, judged: &Judged, violation: &Violation, out: &mut dyn Write) -> io::Result<()> {
    let Violation { finding, source } = violation;
    let ResourceId { namespace, .. } = &judged.resource;
    let namespace = escaped(&shown(namespace.as_deref().unwrap_or_default()));
    let (tier, policy) = (finding.tier, escaped(&finding.policy));
    let verdict = page.view.of(finding);
    let (class, word) = (verdict.as_str(), page.view.word(verdict));
    let part = finding.expanded_from.as_ref().map(|part| format!("{} ", escaped(part))).unwrap_or_default();
    let at = if source.line > 0 { format!("<p>{}</p>", escaped(&place(source))) } else { String::new() };
    let field = escaped(&field_path(&finding.path));
    let message = escaped(finding.message.trim());
    let found = finding
        .found
        .as_ref()
        .map(|f| format!("<p>Found <code>{}</code></p>", escaped(&inline(f))))
        .unwrap_or_default();
    let note = finding.note.as_ref().map(|note| format!("<p>Note: {}</p>", escaped(note))).unwrap_or_default();
    let (wanted, fix) = (escaped(&inline(&finding.wanted)), escaped(&finding.fix));
    writeln!(
        out,
        "<tr data-namespace=\"{namespace}\" data-tier=\"{tier}\" data-policy=\"{policy}\"><td \
         class=\"{class}\">{word}</td><th scope=\"row\">{}{at}</th><td>{policy}<p>{} · {tier}, mode {}</p></td><td>\
         <p>{part}<code>{field}</code></p><p>{message}</p>{found}</td><td><p>{fix}</p><p>Wanted <code>{wanted}</code></p>{note}</td></tr>",
        escaped(&name(&judged.resource)),
        finding.severity,
        finding.mode,
    )
}

/// Policies without an answer, by what they lack.
fn unknown(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut counts: std::collections::BTreeMap<UnknownRow, usize> = std::collections::BTreeMap::new();
    page.results.each(&mut |judged| {
        judged.unknown.iter().for_each(|row| *counts.entry(row.clone()).or_default() += 1);
        Ok(())
    })?;
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section>\n<h2>No answer</h2>\n<table>\n<thead><tr><th scope=\"col\">Policy</th><th scope=\"col\">Too little is known \
         of</th><th scope=\"col\">objects</th></tr></thead>\n<tbody>"
    )?;
    for (UnknownRow { policy, missing }, objects) in counts {
        let (policy, missing) = (escaped(&policy), escaped(&missing));
        writeln!(out, "<tr><th scope=\"row\">{policy}</th><td>{missing}</td><td class=\"n\">{objects}</td></tr>")?;
    }
    writeln!(out, "</tbody>\n</table>\n</section>")
}

/// A namespace as it is shown.
fn shown(namespace: &str) -> String {
    if namespace.is_empty() { "(no namespace)".to_owned() } else { namespace.to_owned() }
}

/// For elements and for attributes in quotes.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
#[path = "html_tests.rs"]
mod tests;
