//! The scorecard as one page that needs nothing else: no network, no files, also no script (which only filters). Its
//! Content-Security-Policy permits exactly its own style and script, so that nothing that came from a cluster could run.

use super::words::{gap, name, object, place, title, wanted, workloads};
use super::{About, Cell, Found, Gap, ITEMS, Row, Scorecard, State};
use crate::policy::metadata::CHECKLIST;
use crate::policy::mode::{Action, Tier};
use crate::report::html::escaped as text;
use base64::Engine as _;
use std::io::{self, Write};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes the page.
///
/// # Errors
/// When it cannot be written, or the rows cannot be read back.
pub fn write(card: &Scorecard, about: &About, out: &mut dyn Write) -> io::Result<()> {
    head(out)?;
    summary(card, about, out)?;
    filter(card, out)?;
    tasks(card, out)?;
    table(card, out)?;
    items(card, out)?;
    details(card, out)?;
    write!(out, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n")
}

/// A source expression of a Content-Security-Policy (<https://www.w3.org/TR/CSP3/#grammardef-hash-source>).
fn hash(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    format!("'sha256-{}'", base64::engine::general_purpose::STANDARD.encode(digest))
}

fn head(out: &mut dyn Write) -> io::Result<()> {
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Checklist of stateful workloads - Seawall</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#tasks\">Skip to the tasks</a>\n",
        hash(STYLE),
        hash(SCRIPT)
    )
}

fn summary(card: &Scorecard, about: &About, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<header>\n<h1>Checklist of stateful workloads</h1>")?;
    let tiers: Vec<String> = card.tiers.iter().map(|(tier, count)| format!("{count} in {tier}")).collect();
    let tiers = if tiers.is_empty() { String::new() } else { format!(" ({})", tiers.join(", ")) };
    writeln!(
        out,
        "<p>{}{tiers} of {}, judged {}. <strong>Open cells: {}.</strong></p>",
        workloads(card.len()),
        text(&about.of),
        text(&about.judged_at),
        card.open()
    )?;
    if card.passed_over > 0 {
        writeln!(out, "<p>Not judged, for mode off: {}.</p>", workloads(card.passed_over))?;
    }
    writeln!(out, "</header>\n<main>")?;
    if about.is_complete() {
        return Ok(());
    }
    writeln!(
        out,
        "<div class=\"warning\" role=\"note\"><strong>Incomplete:</strong> not everything was seen or judged.<ul>"
    )?;
    for missing in about.coverage.iter().flat_map(|coverage| &coverage.missing) {
        writeln!(out, "<li>{}: {}</li>", text(&missing.resource), text(&missing.reason))?;
    }
    for error in &about.errors {
        let at = error.source.as_ref().map(|s| format!("{}:{}: ", s.file, s.line)).unwrap_or_default();
        let policy = error.policy.as_ref().map(|p| format!("[{p}] ")).unwrap_or_default();
        writeln!(out, "<li>{}</li>", text(&format!("{at}{policy}{}", error.message)))?;
    }
    writeln!(out, "</ul></div>")
}

fn filter(card: &Scorecard, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<form id=\"filter\" aria-label=\"Filter\" hidden>")?;
    select("namespace", "Namespace", out, &mut |out| {
        // told apart from "all" by the sign before it
        card.namespaces.iter().try_for_each(|namespace| {
            let shown = if namespace.is_empty() { "(no namespace)" } else { namespace };
            writeln!(out, "<option value=\"/{}\">{}</option>", text(namespace), text(shown))
        })
    })?;
    select("tier", "Tier", out, &mut |out| {
        card.tiers.keys().try_for_each(|tier: &Tier| writeln!(out, "<option value=\"{tier}\">{tier}</option>"))
    })?;
    select("item", "Item", out, &mut |out| {
        CHECKLIST.iter().try_for_each(|item| writeln!(out, "<option value=\"{item}\">{item}</option>"))
    })?;
    select("state", "State", out, &mut |out| {
        State::ALL
            .iter()
            .try_for_each(|state| writeln!(out, "<option value=\"{}\">{}</option>", letter(*state), state.as_str()))
    })?;
    writeln!(
        out,
        "<button type=\"reset\">Show all</button>\n<output id=\"shown\" aria-live=\"polite\"></output>\n</form>"
    )
}

fn select(
    name: &str,
    label: &str,
    out: &mut dyn Write,
    options: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    writeln!(out, "<div><label for=\"by-{name}\">{label}</label>")?;
    writeln!(out, "<select id=\"by-{name}\" name=\"{name}\"><option value=\"\">all</option>")?;
    options(out)?;
    writeln!(out, "</select></div>")
}

/// Attributes by which the script filters.
fn filtered(row: &Row) -> String {
    format!(
        "data-namespace=\"{}\" data-tier=\"{}\"",
        text(row.resource.namespace.as_deref().unwrap_or_default()),
        row.tier
    )
}

fn states(row: &Row) -> String {
    row.cells.iter().map(|cell| letter(cell.state)).collect()
}

const fn letter(state: State) -> char {
    match state {
        State::Met => 'm',
        State::Open => 'o',
        State::Exempt => 'e',
        State::Unknown => 'u',
    }
}

fn tasks(card: &Scorecard, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<section aria-labelledby=\"tasks\">\n<h2 id=\"tasks\" tabindex=\"-1\">Next tasks</h2>")?;
    if card.open() == 0 {
        return writeln!(out, "<p>Nothing is open.</p>\n</section>");
    }
    writeln!(
        out,
        "<div class=\"scroll\" role=\"region\" aria-label=\"Next tasks\" tabindex=\"0\"><table>\n\
         <caption>The first open item of each workload: the worst tier first, then the order of the checklist.</caption>\n\
         <thead><tr><th scope=\"col\">Tier</th><th scope=\"col\">Workload</th><th scope=\"col\">Item</th>\
         <th scope=\"col\">What is wrong</th><th scope=\"col\">Fix</th></tr></thead>\n<tbody>"
    )?;
    card.tasks(&mut |row, first, _| {
        // what comes later is shown when its item is asked for
        let open = row.items().filter_map(|(item, cell)| Some((item, cell.worst()?)));
        open.into_iter().try_for_each(|(item, found)| {
            let later = if item == first { "" } else { " data-later hidden" };
            task(row, item, found, later, out)
        })
    })?;
    writeln!(out, "</tbody></table></div>\n</section>")
}

fn task(row: &Row, item: &str, found: &Found, later: &str, out: &mut dyn Write) -> io::Result<()> {
    let Row { tier, resource, .. } = row;
    writeln!(
        out,
        "<tr {} data-item=\"{item}\"{later}><td class=\"tier\">{tier}</td><th scope=\"row\">{}<span class=\"of\">{}</span></th>\
         <td class=\"tier\">{item}<span class=\"of\">{}, {}</span></td><td class=\"long\">{}</td><td class=\"long\">{}</td></tr>",
        filtered(row),
        text(&name(resource)),
        text(&resource.kind),
        found.severity,
        does(found.in_enforce),
        what(found, row),
        fix(found)
    )
}

fn what(found: &Found, row: &Row) -> String {
    format!(
        "{}<span class=\"of\">{} [{}]</span>",
        text(found.message.trim()),
        text(&place(found, &row.resource)),
        text(&found.policy)
    )
}

fn fix(found: &Found) -> String {
    format!("{}<span class=\"of\">wanted: {}</span>", text(&found.fix), text(&wanted(found)))
}

const fn does(action: Action) -> &'static str {
    match action {
        Action::Deny => "would be rejected",
        Action::Warn => "would warn",
        Action::Audit | Action::Off => "is recorded",
    }
}

/// Class, sign and words of a cell.
fn sign(cell: &Cell) -> (&'static str, &'static str, String) {
    match (cell.state, cell.worst()) {
        (State::Open, Some(worst)) => {
            let (class, sign) = match worst.in_enforce {
                Action::Deny => ("deny", "✗"),
                Action::Warn => ("warn", "!"),
                Action::Audit | Action::Off => ("audit", "o"),
            };
            (class, sign, format!("open, {}, {}", worst.severity, does(worst.in_enforce)))
        }
        (State::Exempt, _) => ("exempt", "e", format!("exempt until {}", cell.exempt_until.as_deref().unwrap_or("?"))),
        (State::Unknown, _) if cell.unknown == [Gap::NoPolicy] => ("none", "·", "no policy covers it yet".to_owned()),
        (State::Unknown, _) => ("unknown", "?", "not known".to_owned()),
        (State::Met | State::Open, _) if cell.written_by.is_empty() => ("met", "✓", "met".to_owned()),
        (State::Met | State::Open, _) => ("met", "✓", "met, by a safe default that is written".to_owned()),
    }
}

fn table(card: &Scorecard, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<section aria-labelledby=\"scorecard\">\n<h2 id=\"scorecard\">Scorecard</h2>")?;
    if card.is_empty() {
        return writeln!(
            out,
            "<p>No workload: no StatefulSet, no Deployment that runs a database or mounts a claim, no resource of an operator.</p>\n</section>"
        );
    }
    writeln!(
        out,
        "<ul class=\"key\"><li><b class=\"met\">✓</b>met</li><li><b class=\"deny\">✗</b>open, would be rejected</li>\
         <li><b class=\"warn\">!</b>open, would warn</li><li><b class=\"audit\">o</b>open, is recorded</li>\
         <li><b class=\"exempt\">e</b>exempt until a day</li><li><b class=\"unknown\">?</b>not known</li>\
         <li><b class=\"none\">·</b>no policy covers it yet</li></ul>\n\
         <div class=\"scroll\" role=\"region\" aria-labelledby=\"scorecard\" tabindex=\"0\"><table class=\"card\" id=\"card\">\n\
         <caption>Workloads, the worst tier first, by item: the checklist, then further advice. A name leads to what was found.</caption>\n\
         <thead><tr><th scope=\"col\">Workload</th><th scope=\"col\">Tier</th>"
    )?;
    for (position, item) in CHECKLIST.iter().enumerate() {
        writeln!(out, "<th scope=\"col\" class=\"item{}\"><span>{item}</span></th>", first(position))?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")?;
    let mut number = 0_usize;
    card.each(&mut |row| {
        number += 1;
        write!(
            out,
            "<tr {} data-states=\"{}\"><th scope=\"row\"><a href=\"#w{number}\">{}</a><span class=\"of\">{}</span></th><td class=\"tier\">{}</td>",
            filtered(row),
            states(row),
            text(&name(&row.resource)),
            text(&row.resource.kind),
            row.tier
        )?;
        for (position, cell) in row.cells.iter().enumerate() {
            let (class, sign, words) = sign(cell);
            write!(
                out,
                "<td class=\"cell {class}{}\" title=\"{words}\"><span aria-hidden=\"true\">{sign}</span><span class=\"said\">{words}</span></td>",
                first(position)
            )?;
        }
        writeln!(out, "</tr>")
    })?;
    writeln!(out, "</tbody></table></div>\n</section>")
}

/// The line between the checklist and the further advice.
const fn first(position: usize) -> &'static str {
    if position == ITEMS { " first" } else { "" }
}

fn items(card: &Scorecard, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<section aria-labelledby=\"items\">\n<h2 id=\"items\">Items</h2>\n\
         <div class=\"scroll\" role=\"region\" aria-labelledby=\"items\" tabindex=\"0\"><table>\n\
         <caption>Workloads by state of each item. An item without policies is not known of any workload.</caption>\n\
         <thead><tr><th scope=\"col\">Item</th><th scope=\"col\">Asks for</th><th scope=\"col\">Policies</th><th scope=\"col\">Open</th>\
         <th scope=\"col\">Exempt</th><th scope=\"col\">Not known</th><th scope=\"col\">Met</th></tr></thead>\n<tbody>"
    )?;
    for item in &card.items {
        let part = if item.required { "" } else { "<span class=\"of\">further advice</span>" };
        write!(out, "<tr><th scope=\"row\">{}{part}</th><td>{}</td>", item.id, title(item.id))?;
        let counts = item.counts;
        for number in [item.policies.len(), counts.open, counts.exempt, counts.unknown, counts.met] {
            write!(out, "<td class=\"number\">{number}</td>")?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table></div>\n</section>")
}

fn details(card: &Scorecard, out: &mut dyn Write) -> io::Result<()> {
    if card.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section aria-labelledby=\"found\">\n<h2 id=\"found\">What was found</h2>")?;
    let mut number = 0_usize;
    card.each(&mut |row| {
        number += 1;
        workload(number, row, out)
    })?;
    writeln!(out, "</section>")
}

fn workload(number: usize, row: &Row, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<section {} data-states=\"{}\" aria-labelledby=\"w{number}\">\n<h3 id=\"w{number}\" tabindex=\"-1\">{}</h3>",
        filtered(row),
        states(row),
        text(&object(&row.resource))
    )?;
    let engines = if row.engines.is_empty() { String::new() } else { format!("; runs {}", row.engines.join(", ")) };
    let at = row.source.as_ref().map(|s| format!("; {}:{}", s.file, s.line)).unwrap_or_default();
    let mut uses: Vec<String> = row.uses.iter().take(10).map(object).collect();
    if let Some(more) = row.uses.len().checked_sub(10).filter(|more| *more > 0) {
        uses.push(format!("{more} more"));
    }
    let uses = if uses.is_empty() { String::new() } else { format!("; with {}", uses.join(", ")) };
    let about = format!("{}, mode {}{engines}{uses}{at}", row.tier, row.mode);
    writeln!(out, "<p class=\"quiet\">{}</p>", text(&about))?;
    let worth = |cell: &Cell| cell.state != State::Met && cell.unknown != [Gap::NoPolicy];
    if !row.cells.iter().any(worth) {
        return writeln!(out, "<p>Nothing is open.</p>\n</section>");
    }
    writeln!(
        out,
        "<div class=\"scroll\" role=\"region\" aria-labelledby=\"w{number}\" tabindex=\"0\"><table>\n<caption>{}: items that are not met</caption>\n<thead><tr><th scope=\"col\">Item</th><th scope=\"col\">State</th>\
         <th scope=\"col\">What was found</th><th scope=\"col\">Fix</th></tr></thead>\n<tbody>",
        text(&name(&row.resource))
    )?;
    for (item, cell) in row.items().filter(|(_, cell)| worth(cell)) {
        let (class, _, words) = sign(cell);
        let lines = cell.found.len() + usize::from(!cell.unknown.is_empty());
        // one body for an item: its name spans what was found
        writeln!(out, "</tbody><tbody data-finding=\"{item}\">")?;
        let mut head = format!(
            "<th scope=\"rowgroup\" rowspan=\"{lines}\">{item}</th><td class=\"{class}\" rowspan=\"{lines}\">{words}</td>"
        );
        for found in &cell.found {
            let spared =
                found.note.as_ref().map(|note| format!("<span class=\"of\">{}</span>", text(note))).unwrap_or_default();
            let head = std::mem::take(&mut head);
            writeln!(
                out,
                "<tr>{head}<td class=\"long\">{}{spared}</td><td class=\"long\">{}</td></tr>",
                what(found, row),
                fix(found)
            )?;
        }
        if !cell.unknown.is_empty() {
            let why: Vec<String> = cell.unknown.iter().map(|why| format!("<li>{}</li>", text(&gap(why)))).collect();
            let why = why.concat();
            writeln!(
                out,
                "<tr>{head}<td class=\"long\" colspan=\"2\">Not known:<ul class=\"plain\">{why}</ul></td></tr>"
            )?;
        }
    }
    writeln!(out, "</tbody></table></div>\n</section>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_permits_its_own_script_and_nothing_else() {
        // the hash of the empty text, as everybody knows it
        assert_eq!(hash(""), "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
        assert!(!SCRIPT.contains("</") && !STYLE.contains("</"), "would end its element");
        for text in [SCRIPT, STYLE] {
            assert!(
                !["http:", "https:", "url(", "@import", "innerHTML", "eval("].iter().any(|word| text.contains(word))
            );
        }
    }
}
