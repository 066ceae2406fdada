//! The scorecard as JSON, `schemaVersion` 1, written row by row.

use super::{About, Found, Item, Row, Scorecard};
use crate::policy::mode::Tier;
use crate::report::coverage::Coverage;
use crate::report::{Failure, ResourceId};
use serde::ser::{Error as _, SerializeMap, SerializeSeq as _};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::io::{self, Write};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'c> {
    schema_version: &'static str,
    judged_at: &'c str,
    of: &'c str,
    complete: bool,
    summary: Summary<'c>,
    items: &'c [Item],
    workloads: Workloads<'c>,
    tasks: Tasks<'c>,
    errors: &'c [Failure],
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<&'c Coverage>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'c> {
    workloads: usize,
    by_tier: &'c BTreeMap<Tier, usize>,
    open: usize,
    deny: usize,
    not_judged: usize,
}

struct Workloads<'c>(&'c Scorecard);
struct Tasks<'c>(&'c Scorecard);
struct Workload<'r>(&'r Row);
struct Cells<'r>(&'r Row);

#[derive(Serialize)]
struct Next<'r> {
    item: &'r str,
    #[serde(flatten)]
    found: &'r Found,
}

#[derive(Serialize)]
struct Task<'r> {
    tier: Tier,
    workload: &'r ResourceId,
    item: &'r str,
    policy: &'r str,
    message: &'r str,
    fix: &'r str,
}

/// Writes the scorecard, with a line break at the end.
///
/// # Errors
/// When it cannot be written, or the rows cannot be read back.
pub fn write(card: &Scorecard, about: &About, out: &mut dyn Write) -> io::Result<()> {
    let document = Document {
        schema_version: "1",
        judged_at: &about.judged_at,
        of: &about.of,
        complete: about.is_complete(),
        summary: Summary {
            workloads: card.len(),
            by_tier: &card.tiers,
            open: card.open(),
            deny: card.deny,
            not_judged: card.passed_over,
        },
        items: &card.items,
        workloads: Workloads(card),
        tasks: Tasks(card),
        errors: &about.errors,
        coverage: about.coverage.as_ref(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

impl Serialize for Workloads<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        // kept as it is: a broken pipe must still be one
        let mut failed = None;
        let each = self.0.each(&mut |row| {
            list.serialize_element(&Workload(row)).map_err(|error| io::Error::other(failed.insert(error).to_string()))
        });
        match failed {
            Some(error) => Err(error),
            None => each.map_err(S::Error::custom).and_then(|()| list.end()),
        }
    }
}

impl Serialize for Tasks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let mut failed = None;
        let each = self.0.tasks(&mut |row, item, found| {
            let Found { policy, message, fix, .. } = found;
            let task = Task { tier: row.tier, workload: &row.resource, item, policy, message, fix };
            list.serialize_element(&task).map_err(|error| io::Error::other(failed.insert(error).to_string()))
        });
        match failed {
            Some(error) => Err(error),
            None => each.map_err(S::Error::custom).and_then(|()| list.end()),
        }
    }
}

impl Serialize for Workload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Row { resource, tier, mode, engines, source, uses, .. } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("resource", resource)?;
        map.serialize_entry("tier", tier)?;
        map.serialize_entry("mode", mode)?;
        map.serialize_entry("engines", engines)?;
        if let Some(source) = source {
            map.serialize_entry("source", source)?;
        }
        map.serialize_entry("uses", uses)?;
        map.serialize_entry("cells", &Cells(self.0))?;
        map.serialize_entry("next", &self.0.next().map(|(item, found)| Next { item, found }))?;
        map.end()
    }
}

impl Serialize for Cells<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.items())
    }
}
