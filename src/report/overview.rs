//! An audit for a person: which policies, which namespaces, then object after object. Written while the objects are read.

use super::text::{Ink, Style, printable};
use super::{Judged, Results};
use crate::decision::{Cap, Finding, field_path, inline};
use crate::policy::mode::Action;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Violations by what the policy does about them where the mode is enforce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Would be rejected.
    pub deny: usize,
    /// Would warn.
    pub warn: usize,
    /// Only recorded.
    pub audit: usize,
    /// Spared by an exemption.
    pub exempt: usize,
    /// Objects.
    pub objects: usize,
}

impl Count {
    fn add(&mut self, finding: &Finding) {
        match (finding.capped_by, finding.action) {
            (Some(Cap::Exemption), _) => self.exempt += 1,
            (Some(Cap::Operator | Cap::SystemUser), _) => self.audit += 1,
            (_, Action::Deny) => self.deny += 1,
            (_, Action::Warn) => self.warn += 1,
            (_, Action::Audit | Action::Off) => self.audit += 1,
        }
    }
}

/// Sums over a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// By policy id; the checklist item beside it.
    pub policies: BTreeMap<(String, String), Count>,
    /// By namespace; empty for what has none.
    pub namespaces: BTreeMap<String, Count>,
}

impl Overview {
    /// Sums up.
    ///
    /// # Errors
    /// When the results cannot be read.
    pub fn of(results: &dyn Results) -> io::Result<Self> {
        let mut overview = Self::default();
        results.each(&mut |row| {
            overview.add(row);
            Ok(())
        })?;
        Ok(overview)
    }

    fn add(&mut self, row: &Judged) {
        let namespace = self.namespaces.entry(row.resource.namespace.clone().unwrap_or_default()).or_default();
        namespace.objects += usize::from(!row.violations.is_empty());
        let mut of_row: BTreeMap<(String, String), Count> = BTreeMap::new();
        for violation in &row.violations {
            let finding = &violation.finding;
            namespace.add(finding);
            of_row.entry((finding.policy.clone(), finding.checklist.clone())).or_default().add(finding);
        }
        for (policy, count) in of_row {
            let sum = self.policies.entry(policy).or_default();
            sum.deny += count.deny;
            sum.warn += count.warn;
            sum.audit += count.audit;
            sum.exempt += count.exempt;
            sum.objects += 1;
        }
    }
}

/// Writes the tables, and the objects where they are wanted.
///
/// # Errors
/// When it cannot be written.
pub fn write(results: &dyn Results, objects: bool, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let overview = Overview::of(results)?;
    if objects {
        results.each(&mut |row| if row.violations.is_empty() { Ok(()) } else { object(row, style, out) })?;
    }
    let policies: Vec<(String, Count)> =
        sorted(overview.policies.iter().map(|((id, item), count)| (format!("{id} ({item})"), *count)));
    table("policy", &policies, style, out)?;
    let namespaces = overview.namespaces.iter().filter(|(_, count)| count.objects > 0);
    let shown = |name: &String| if name.is_empty() { "(no namespace)".to_owned() } else { name.clone() };
    let namespaces: Vec<(String, Count)> = sorted(namespaces.map(|(name, count)| (shown(name), *count)));
    table("namespace", &namespaces, style, out)
}

/// Most denials first.
fn sorted(rows: impl Iterator<Item = (String, Count)>) -> Vec<(String, Count)> {
    let mut rows: Vec<(String, Count)> = rows.collect();
    rows.sort_by(|(a, x), (b, y)| (y.deny, y.warn, y.audit, y.exempt, a).cmp(&(x.deny, x.warn, x.audit, x.exempt, b)));
    rows
}

fn table(head: &str, rows: &[(String, Count)], style: Style, out: &mut dyn Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).clamp(20, 60);
    let heading = format!("{head:<width$}  would deny  would warn  audit  exempt  objects");
    writeln!(out, "{}", style.paint(Ink::Bold, &heading))?;
    for (name, count) in rows {
        let Count { deny, warn, audit, exempt, objects } = count;
        let line =
            format!("{:<width$}  {deny:>10}  {warn:>10}  {audit:>5}  {exempt:>6}  {objects:>7}", printable(name));
        let ink = if *deny > 0 { Some(Ink::Red) } else { (*warn > 0).then_some(Ink::Yellow) };
        writeln!(out, "{}", ink.map_or_else(|| line.clone(), |ink| style.paint(ink, &line)))?;
    }
    writeln!(out)
}

fn object(row: &Judged, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let resource = &row.resource;
    let name = match &resource.namespace {
        Some(namespace) => format!("{} {namespace}/{}", resource.kind, resource.name),
        None => format!("{} {}", resource.kind, resource.name),
    };
    let of_first = row.violations.first().map(|v| format!(" ({}, mode {})", v.finding.tier, v.finding.mode));
    writeln!(out, "{}", style.paint(Ink::Bold, &printable(&format!("{name}{}", of_first.unwrap_or_default()))))?;
    for violation in &row.violations {
        let finding = &violation.finding;
        let (ink, word) = match (finding.capped_by, finding.action) {
            (Some(Cap::Exemption), _) => (Ink::Dim, "exempt    "),
            (Some(Cap::Operator | Cap::SystemUser), _) => (Ink::Cyan, "audit     "),
            (_, Action::Deny) => (Ink::Red, "would deny"),
            (_, Action::Warn) => (Ink::Yellow, "would warn"),
            (_, Action::Audit | Action::Off) => (Ink::Cyan, "audit     "),
        };
        let part = finding.expanded_from.as_ref().map(|part| format!("{part} ")).unwrap_or_default();
        let field = field_path(&finding.path);
        let line = format!("[{}] {part}{field}: {}", finding.policy, finding.message.trim());
        writeln!(out, "  {} {}", style.paint(ink, word), printable(&line))?;
        let wanted = format!("wanted {}; fix: {}", inline(&finding.wanted), finding.fix);
        writeln!(out, "             {}", printable(&wanted))?;
        if let Some(note) = &finding.note {
            writeln!(out, "             note: {}", printable(note))?;
        }
    }
    writeln!(out)
}
