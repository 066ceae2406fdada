//! Who is exempt from what until when: the annotations of objects and the rows of the configuration, those that do not count
//! among them.

use super::page::{name, place, plain, plural};
use super::{Failure, ResourceId, Source};
use crate::admission::request::{Request, annotation};
use crate::config::Settings;
use crate::policy::exemption::{self, BY, Declared, EXEMPT, REASON, UNTIL};
use crate::policy::mode::Tier;
use crate::report::coverage::Missing;
use crate::review::{Snapshot, covers, declared};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// Whether an exemption counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It counts.
    Valid,
    /// Its last day is over.
    Expired,
    /// It never counted: incomplete, too long, or of a policy that it cannot be from.
    Invalid,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
        }
    }
}

/// What a row of the configuration speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// Namespace; none for objects without one.
    pub namespace: Option<String>,
    /// Plural resources; empty for all.
    pub resources: Vec<String>,
    /// Name; none for all.
    pub name: Option<String>,
    /// Objects among those that were looked at.
    pub objects: usize,
}

/// One exemption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Whether it counts.
    pub state: State,
    /// Where it is written.
    pub written: exemption::Source,
    /// The policies that it names.
    pub policies: BTreeSet<String>,
    /// Why.
    pub reason: Option<String>,
    /// Its last day, UTC, as it is written.
    pub until: Option<String>,
    /// Days from today to its last day; negative when that is over.
    pub days_left: Option<i64>,
    /// Who approved it.
    pub by: Option<String>,
    /// The object that carries the annotation.
    pub resource: Option<ResourceId>,
    /// Its tier, which bounds the exemption.
    pub tier: Option<Tier>,
    /// Where the object begins, in a file.
    pub source: Option<Source>,
    /// What a row of the configuration speaks of.
    pub covers: Option<Covered>,
    /// Why it does not count.
    pub problems: Vec<String>,
}

/// The exemptions of a cluster or of manifests.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The exemptions.
    pub rows: Vec<Row>,
    /// What could not be read.
    pub errors: Vec<Failure>,
    /// Kinds that could not be listed.
    pub missing: Vec<Missing>,
    /// Objects that were looked at.
    pub objects: usize,
    today: Date,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    schema_version: &'static str,
    exemptions: &'r [Row],
    objects: usize,
    errors: &'r [Failure],
    missing: &'r [Missing],
}

impl Listing {
    /// Begins with the rows of the configuration.
    #[must_use]
    pub fn new(settings: &Settings, now: jiff::Timestamp) -> Self {
        let today = now.to_zoned(TimeZone::UTC).date();
        let row = |row: &exemption::Row| {
            let until = row.validate().ok();
            let over = until.is_some_and(|until| until < today);
            let exemption::Row { policies, namespace, resources, name, reason, until: written, by } = row.clone();
            Row {
                state: if over { State::Expired } else { State::Valid },
                written: exemption::Source::Configuration,
                policies: policies.into_iter().collect(),
                reason: Some(reason),
                days_left: until.map(|until| days(today, until)),
                until: Some(written),
                by,
                resource: None,
                tier: None,
                source: None,
                covers: Some(Covered { namespace, resources, name, objects: 0 }),
                problems: if over { vec!["it expired".to_owned()] } else { Vec::new() },
            }
        };
        let rows = settings.exemptions.iter().map(row).collect();
        Self { rows, errors: Vec::new(), missing: Vec::new(), objects: 0, today }
    }

    /// Looks at an object, as the request that would make it.
    pub fn see(&mut self, request: &Request, snapshot: &Snapshot, resource: &ResourceId, source: Option<Source>) {
        self.objects += 1;
        // the rows of the configuration come first, in its order
        for (row, written) in self.rows.iter_mut().zip(&snapshot.settings.exemptions) {
            if let Some(covered) = row.covers.as_mut().filter(|_| covers(written, request)) {
                covered.objects += 1;
            }
        }
        let tier = snapshot.scope(request).tier;
        let (policies, problems) = match declared(request, snapshot, tier) {
            Declared::None => return,
            Declared::Valid(exemption) => (exemption.policies, Vec::new()),
            Declared::Invalid { policies, problems } => (policies, problems),
        };
        let text = |key| {
            let text = request.subject().and_then(|object| annotation(object, key)).map(str::trim);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let until = text(UNTIL);
        let days_left = until.as_ref().and_then(|until| until.parse().ok()).map(|until| days(self.today, until));
        let state = match (problems.is_empty(), days_left) {
            (true, _) => State::Valid,
            (false, Some(..0)) => State::Expired,
            (false, _) => State::Invalid,
        };
        self.rows.push(Row {
            state,
            written: exemption::Source::Annotation,
            policies,
            reason: text(REASON),
            until,
            days_left,
            by: text(BY),
            resource: Some(resource.clone()),
            tier: Some(tier),
            source,
            covers: None,
            problems,
        });
    }

    /// What counts first, the one that ends next at the top; then what does not count.
    pub fn sort(&mut self) {
        self.rows.sort_by_cached_key(|row| {
            let at = row.source.as_ref().map(|source| (source.file.clone(), source.line));
            (row.state, row.days_left, row.resource.as_ref().map(name), at, row.policies.clone())
        });
    }

    /// Keeps what ends within so many days, or does not count.
    pub fn ending_within(&mut self, days: i64) {
        self.rows.retain(|row| row.state != State::Valid || row.days_left.is_none_or(|left| left <= days));
    }

    /// Whether everything was seen.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.errors.is_empty() && self.missing.is_empty()
    }

    /// Writes JSON, `schemaVersion` 1.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { rows, errors, missing, objects, .. } = self;
        let document = Document { schema_version: "1", exemptions: rows, objects: *objects, errors, missing };
        serde_json::to_writer_pretty(&mut *out, &document)?;
        out.write_all(b"\n")
    }

    /// Writes for a person.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for row in &self.rows {
            row.text(out)?;
        }
        let count = |state| self.rows.iter().filter(|row| row.state == state).count();
        let (valid, expired, invalid) = (count(State::Valid), count(State::Expired), count(State::Invalid));
        let valid = plural(valid, "exemption", "exemptions");
        let objects = plural(self.objects, "object", "objects");
        writeln!(out, "{valid} in force, {expired} expired, {invalid} invalid; {objects} looked at")?;
        for Failure { source, message, .. } in &self.errors {
            let at = source.as_ref().map(|source| format!("{}: ", place(source))).unwrap_or_default();
            writeln!(out, "error: {}", plain(&format!("{at}{message}")))?;
        }
        if !self.missing.is_empty() {
            writeln!(out, "INCOMPLETE: this was not seen:")?;
        }
        self.missing.iter().try_for_each(|missing| writeln!(out, "  {}: {}", missing.resource, plain(&missing.reason)))
    }
}

impl Row {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let until = self.until.as_deref().unwrap_or("no last day");
        let left = match (self.state, self.days_left) {
            (State::Valid, Some(0)) => ", today is the last day".to_owned(),
            (State::Valid, Some(left)) => {
                format!(", {} left", plural(usize::try_from(left).unwrap_or(0), "day", "days"))
            }
            _ => String::new(),
        };
        let head = format!("{:<8} until {until}{left}  {}", self.state.as_str(), self.subject());
        writeln!(out, "{}", plain(&head))?;
        let mut line = |label: &str, text: &str| writeln!(out, "         {label:<9} {}", plain(text));
        line("policies", &self.policies.iter().map(String::as_str).collect::<Vec<_>>().join(", "))?;
        for (label, text) in [("reason", &self.reason), ("by", &self.by)] {
            text.as_ref().map_or(Ok(()), |text| line(label, text))?;
        }
        if self.state != State::Valid {
            line("no effect", &self.problems.join("; "))?;
        }
        writeln!(out)
    }

    fn subject(&self) -> String {
        let at = self.source.as_ref().map(|source| format!(", {}", place(source))).unwrap_or_default();
        let tier = self.tier.map(|tier| format!("{tier}, ")).unwrap_or_default();
        if let Some(resource) = &self.resource {
            return format!("{} ({tier}{EXEMPT}{at})", name(resource));
        }
        let Some(Covered { namespace, resources, name, objects }) = &self.covers else { return String::new() };
        let kinds = if resources.is_empty() { "everything".to_owned() } else { resources.join(", ") };
        let name = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let namespace = namespace.as_ref().map_or_else(|| " without a namespace".to_owned(), |n| format!(" in {n}"));
        let objects = plural(*objects, "object", "objects");
        format!("{kinds}{name}{namespace} (configuration, {objects})")
    }
}

fn days(from: Date, to: Date) -> i64 {
    from.until(to).map_or(i64::MAX, |span| i64::from(span.get_days()))
}
