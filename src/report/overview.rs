//! An audit for a person: which policies, which namespaces, then object after object. Written while the objects are read.

use super::page::{Verdict, View, name, plain};
use super::text::{Ink, Style};
use super::{Judged, Results};
use crate::decision::{field_path, inline};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Violations by their weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Rejected, or would be.
    pub deny: usize,
    /// Warned of, or would be.
    pub warn: usize,
    /// Only recorded.
    pub audit: usize,
    /// Spared by an exemption.
    pub exempt: usize,
    /// Objects.
    pub objects: usize,
}

impl Count {
    const fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Deny => self.deny += 1,
            Verdict::Warn => self.warn += 1,
            Verdict::Audit => self.audit += 1,
            Verdict::Exempt => self.exempt += 1,
        }
    }

    /// The number of one weight.
    #[must_use]
    pub const fn of(&self, verdict: Verdict) -> usize {
        match verdict {
            Verdict::Deny => self.deny,
            Verdict::Warn => self.warn,
            Verdict::Audit => self.audit,
            Verdict::Exempt => self.exempt,
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
    pub fn of(results: &dyn Results, view: View) -> io::Result<Self> {
        let mut overview = Self::default();
        results.each(&mut |row| {
            overview.add(row, view);
            Ok(())
        })?;
        Ok(overview)
    }

    /// Policy, checklist item and numbers, the most denials first.
    pub fn by_policy(&self) -> impl Iterator<Item = (&str, &str, Count)> {
        let rows = self.policies.iter().map(|((id, item), count)| ((id.as_str(), item.as_str()), *count));
        sorted(rows.collect()).map(|((id, item), count)| (id, item, count))
    }

    /// Namespaces in which something was found (empty: none), and numbers, the most denials first.
    pub fn by_namespace(&self) -> impl Iterator<Item = (&str, Count)> {
        let rows = self.namespaces.iter().filter(|(_, count)| count.objects > 0);
        sorted(rows.map(|(name, count)| (name.as_str(), *count)).collect())
    }

    fn add(&mut self, row: &Judged, view: View) {
        let namespace = self.namespaces.entry(row.resource.namespace.clone().unwrap_or_default()).or_default();
        namespace.objects += usize::from(!row.violations.is_empty());
        let mut of_row: BTreeMap<(String, String), Count> = BTreeMap::new();
        for violation in &row.violations {
            let finding = &violation.finding;
            let verdict = view.of(finding);
            namespace.add(verdict);
            of_row.entry((finding.policy.clone(), finding.checklist.clone())).or_default().add(verdict);
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
    let overview = Overview::of(results, View::AsEnforced)?;
    if objects {
        results.each(&mut |row| if row.violations.is_empty() { Ok(()) } else { object(row, style, out) })?;
    }
    let policies: Vec<(String, Count)> =
        overview.by_policy().map(|(id, item, count)| (format!("{id} ({item})"), count)).collect();
    table("policy", &policies, style, out)?;
    let shown = |name: &str| if name.is_empty() { "(no namespace)".to_owned() } else { name.to_owned() };
    let namespaces: Vec<(String, Count)> = overview.by_namespace().map(|(name, count)| (shown(name), count)).collect();
    table("namespace", &namespaces, style, out)
}

/// Most denials first.
fn sorted<T: Ord>(mut rows: Vec<(T, Count)>) -> impl Iterator<Item = (T, Count)> {
    rows.sort_by(|(a, x), (b, y)| (y.deny, y.warn, y.audit, y.exempt, a).cmp(&(x.deny, x.warn, x.audit, x.exempt, b)));
    rows.into_iter()
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
        let line = format!("{:<width$}  {deny:>10}  {warn:>10}  {audit:>5}  {exempt:>6}  {objects:>7}", plain(name));
        let ink = if *deny > 0 { Some(Ink::Red) } else { (*warn > 0).then_some(Ink::Yellow) };
        writeln!(out, "{}", ink.map_or_else(|| line.clone(), |ink| style.paint(ink, &line)))?;
    }
    writeln!(out)
}

fn object(row: &Judged, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let name = name(&row.resource);
    let of_first = row.violations.first().map(|v| format!(" ({}, mode {})", v.finding.tier, v.finding.mode));
    writeln!(out, "{}", style.paint(Ink::Bold, &plain(&format!("{name}{}", of_first.unwrap_or_default()))))?;
    for violation in &row.violations {
        let finding = &violation.finding;
        let verdict = View::AsEnforced.of(finding);
        let ink = match verdict {
            Verdict::Deny => Ink::Red,
            Verdict::Warn => Ink::Yellow,
            Verdict::Audit => Ink::Cyan,
            Verdict::Exempt => Ink::Dim,
        };
        let word = format!("{:<10}", View::AsEnforced.word(verdict));
        let part = finding.expanded_from.as_ref().map(|part| format!("{part} ")).unwrap_or_default();
        let field = field_path(&finding.path);
        let line = format!("[{}] {part}{field}: {}", finding.policy, finding.message.trim());
        writeln!(out, "  {} {}", style.paint(ink, &word), plain(&line))?;
        let wanted = format!("wanted {}; fix: {}", inline(&finding.wanted), finding.fix);
        writeln!(out, "             {}", plain(&wanted))?;
        if let Some(note) = &finding.note {
            writeln!(out, "             note: {}", plain(note))?;
        }
    }
    writeln!(out)
}
