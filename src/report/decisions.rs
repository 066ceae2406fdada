//! Would-be decisions as a table and as JSON.

use crate::decisions::{Count, Record};
use serde::Serialize;
use std::io::{self, Write};

/// Writes the table. `replicas`: how many records it is the sum of.
///
/// # Errors
/// When it cannot be written.
pub fn text(record: &Record, replicas: usize, out: &mut dyn Write) -> io::Result<()> {
    let plural = |number: u64, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    writeln!(out, "recorded from {} to {} in {}", record.since, record.until, plural(replicas as u64, "record"))?;
    let mut table = vec![["NAMESPACE", "POLICY", "DENIALS", "PATCHES", "FIRST SEEN", "LAST SEEN"].map(str::to_owned)];
    for ((namespace, policy), count) in &record.rows {
        let namespace = if namespace.is_empty() { "-" } else { namespace };
        table.push([
            super::page::plain(namespace),
            super::page::plain(policy),
            count.denials.to_string(),
            count.patches.to_string(),
            count.first.to_string(),
            count.last.to_string(),
        ]);
    }
    let width = |column: usize| {
        table.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    for row in table.iter().filter(|_| !record.rows.is_empty()) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let is_number = matches!(column, 2 | 3);
            let cell = if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            line.push_str(&cell);
            line.push_str("  ");
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    let sum = |of: fn(&Count) -> u64| record.rows.values().map(of).fold(0, u64::saturating_add);
    let (denials, patches) = (sum(|count| count.denials), sum(|count| count.patches));
    let patches = if patches == 1 { "1 would-be patch".to_owned() } else { format!("{patches} would-be patches") };
    writeln!(out, "{}, {patches}", plural(denials, "would-be denial"))?;
    if record.dropped > 0 {
        writeln!(out, "{} more found no room and are in no row", plural(record.dropped, "decision"))?;
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    schema_version: &'static str,
    since: jiff::Timestamp,
    until: jiff::Timestamp,
    records: usize,
    dropped: u64,
    decisions: Vec<Row<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'r> {
    namespace: Option<&'r str>,
    policy: &'r str,
    denials: u64,
    patches: u64,
    first: jiff::Timestamp,
    last: jiff::Timestamp,
    last_denial: Option<jiff::Timestamp>,
}

/// Writes JSON with a line break at the end.
///
/// # Errors
/// When it cannot be written.
pub fn json(record: &Record, replicas: usize, out: &mut dyn Write) -> io::Result<()> {
    let row = |((namespace, policy), count): (&'_ crate::decisions::Key, &Count)| {
        let Count { denials, patches, first, last, last_denial } = *count;
        (namespace.clone(), policy.clone(), denials, patches, first, last, last_denial)
    };
    let rows: Vec<_> = record.rows.iter().map(row).collect();
    let decisions = rows.iter().map(|(namespace, policy, denials, patches, first, last, last_denial)| Row {
        namespace: Some(namespace.as_str()).filter(|namespace| !namespace.is_empty()),
        policy,
        denials: *denials,
        patches: *patches,
        first: *first,
        last: *last,
        last_denial: *last_denial,
    });
    let document = Document {
        schema_version: "1",
        since: record.since,
        until: record.until,
        records: replicas,
        dropped: record.dropped,
        decisions: decisions.collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let at = |text: &str| text.parse().unwrap();
        let count = Count {
            denials: 12,
            patches: 0,
            first: at("2026-11-14T10:00:00Z"),
            last: at("2026-11-20T09:30:00Z"),
            last_denial: Some(at("2026-11-20T09:30:00Z")),
        };
        let patches = Count { denials: 0, patches: 1, last_denial: None, ..count };
        let mut record = Record::new(at("2026-11-14T08:00:00Z"));
        record.until = at("2026-11-21T08:00:00Z");
        record.rows.insert(("shop".to_owned(), "database-without-volume".to_owned()), count);
        record.rows.insert((String::new(), "class-reclaim-retain".to_owned()), patches);
        record
    }

    fn printed(record: &Record) -> String {
        let mut out = Vec::new();
        text(record, 3, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_for_people() {
        insta::assert_snapshot!(printed(&record()), @r#"
        recorded from 2026-11-14T08:00:00Z to 2026-11-21T08:00:00Z in 3 records
        NAMESPACE  POLICY                   DENIALS  PATCHES  FIRST SEEN            LAST SEEN
        -          class-reclaim-retain           0        1  2026-11-14T10:00:00Z  2026-11-20T09:30:00Z
        shop       database-without-volume       12        0  2026-11-14T10:00:00Z  2026-11-20T09:30:00Z
        12 would-be denials, 1 would-be patch
        "#);
        let full = Record { dropped: 7, ..record() };
        assert!(printed(&full).ends_with("7 decisions more found no room and are in no row\n"), "{}", printed(&full));
        let empty = Record { rows: Default::default(), ..record() };
        assert!(!printed(&empty).contains("NAMESPACE"));
    }

    #[test]
    fn json_for_programs() {
        let mut out = Vec::new();
        json(&record(), 3, &mut out).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(document["decisions"][0]["namespace"], serde_json::Value::Null);
        assert_eq!(document["decisions"][1]["denials"], 12);
        assert_eq!((&document["records"], &document["since"]), (&3.into(), &"2026-11-14T08:00:00Z".into()));
    }
}
