//! The report for a person: what is wrong where, what to write instead, and the numbers.

use super::page::{name, place, plain, plural};
use super::{Failure, Judged, PatchRow, Results, Violation, diff};
use crate::decision::{Cap, field_path, inline};
use crate::policy::mode::Action;
use std::io::{self, Write};

/// How to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// With colours: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    pub colour: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Ink {
    Bold,
    Red,
    Green,
    Yellow,
    Cyan,
    Dim,
}

impl Style {
    pub(crate) fn paint(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Bold => "1",
            Ink::Red => "1;31",
            Ink::Green => "32",
            Ink::Yellow => "33",
            Ink::Cyan => "36",
            Ink::Dim => "2",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Writes the report.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &dyn Results, style: Style, out: &mut dyn Write) -> io::Result<()> {
    report.each(&mut |object| if is_silent(object) { Ok(()) } else { self::object(object, style, out) })?;
    for failure in report.errors() {
        error(failure, style, out)?;
    }
    if !report.errors().is_empty() {
        writeln!(out)?;
    }
    summary(report, style, out)
}

/// Writes only what could not be read or evaluated, a line each.
///
/// # Errors
/// When it cannot be written.
pub fn errors(report: &dyn Results, out: &mut dyn Write) -> io::Result<()> {
    report.errors().iter().try_for_each(|failure| error(failure, Style { colour: false }, out))
}

fn is_silent(object: &Judged) -> bool {
    object.violations.is_empty() && object.patches.is_empty() && object.unknown.is_empty()
}

fn object(object: &Judged, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let heading = format!("{}: {}", place(&object.source), name(&object.resource));
    writeln!(out, "{}", style.paint(Ink::Bold, &plain(&heading)))?;
    for violation in &object.violations {
        self::violation(violation, style, out)?;
    }
    for patch in &object.patches {
        self::patch(patch, style, out)?;
    }
    for unknown in &object.unknown {
        let reason =
            format!("unknown: too little is known of {}; give them with --snapshot or --live", unknown.missing);
        writeln!(out, "  {} [{}] {reason}", style.paint(Ink::Dim, "?      "), unknown.policy)?;
    }
    writeln!(out)
}

fn violation(violation: &Violation, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let finding = &violation.finding;
    let (ink, word) = match finding.effective {
        Action::Deny => (Ink::Red, "deny   "),
        Action::Warn => (Ink::Yellow, "warning"),
        Action::Audit | Action::Off => (Ink::Cyan, "audit  "),
    };
    let field = field_path(&finding.path);
    writeln!(out, "  {} [{}] {field}: {}", style.paint(ink, word), finding.policy, plain(finding.message.trim()))?;
    let mut row = |label: &str, text: &str| writeln!(out, "          {label:<7} {}", plain(text));
    if let Some(found) = &finding.found {
        row("found", &inline(found))?;
    }
    row("wanted", &inline(&finding.wanted))?;
    row("fix", &finding.fix)?;
    row("at", &place(&violation.source))?;
    if let Some(reason) = weaker(finding).or_else(|| finding.note.clone()) {
        row("note", &reason)?;
    }
    Ok(())
}

/// Why the action is not what the policy says for the tier.
#[must_use]
pub fn weaker(finding: &crate::decision::Finding) -> Option<String> {
    if finding.effective == finding.action {
        return None;
    }
    let because = match finding.capped_by {
        Some(Cap::Ratchet) => "the stored object already is like this".to_owned(),
        Some(Cap::SystemUser) => "a controller of the cluster asks".to_owned(),
        Some(Cap::Operator) => "an operator's resource owns the object and is judged instead".to_owned(),
        Some(Cap::Exemption) => finding.note.clone().unwrap_or_else(|| "exempt".to_owned()),
        Some(Cap::BreakGlass) => "a break-glass group asks".to_owned(),
        None => format!("mode {}", finding.mode),
    };
    Some(format!("{} in {}, here {}: {because}", finding.action, finding.tier, finding.effective))
}

fn patch(patch: &PatchRow, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let policies = patch.policies.join(", ");
    let says = if patch.permitted {
        "written when it is applied"
    } else {
        "would be written where mode is enforce or patch is enabled"
    };
    writeln!(out, "  {} [{policies}] safe defaults, {says}:", style.paint(Ink::Green, "patch  "))?;
    for line in diff::lines(patch) {
        let ink = match line.as_bytes().first() {
            Some(b'+') => Ink::Green,
            Some(b'-') => Ink::Red,
            _ => Ink::Dim,
        };
        writeln!(out, "    {}", style.paint(ink, &plain(&line)))?;
    }
    Ok(())
}

fn error(failure: &Failure, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let at = failure.source.as_ref().map(|source| format!("{}: ", place(source))).unwrap_or_default();
    let policy = failure.policy.as_ref().map(|policy| format!("[{policy}] ")).unwrap_or_default();
    let word = style.paint(Ink::Red, "error");
    writeln!(out, "{}{word}: {policy}{}", plain(&at), plain(&failure.message))
}

fn summary(report: &dyn Results, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let sum = report.summary();
    let line = format!(
        "{}: {}, {}, {} audited; {} patched, {} unknown, {}",
        plural(sum.resources, "object", "objects"),
        plural(sum.deny, "denial", "denials"),
        plural(sum.warn, "warning", "warnings"),
        sum.audit,
        sum.patched,
        sum.unknown,
        plural(sum.errors, "error", "errors"),
    );
    let ink = if sum.deny > 0 || sum.errors > 0 {
        Ink::Red
    } else if sum.warn > 0 {
        Ink::Yellow
    } else {
        Ink::Green
    };
    writeln!(out, "{}", style.paint(ink, &line))
}
