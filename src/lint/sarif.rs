//! Findings as SARIF 2.1.0, in the form that GitHub code scanning takes: codes are the rules, places are files of the repository.

use super::codes::CODES;
use super::{Finding, Level, Report, pages};
use crate::report::fingerprint::fingerprint;
use crate::report::page::plain;
use crate::report::sarif::{SCHEMA, uri};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Writes the run.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let rules: Vec<Value> = CODES
        .iter()
        .map(|code| {
            json!({
                "id": code.name,
                "shortDescription": {"text": code.title},
                "fullDescription": {"text": code.why},
                "help": {"text": format!("{}\n\n{}", code.why, code.fix), "markdown": pages::body(code)},
                "defaultConfiguration": {"level": code.level.as_str()},
                "properties": {"tags": ["rego", code.category()]},
            })
        })
        .collect();
    let results: Vec<Value> = report.findings.iter().map(result).collect();
    let driver = json!({
        "name": "seawall lint",
        "informationUri": env!("CARGO_PKG_REPOSITORY"),
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "rules": rules,
    });
    let notes: Vec<Value> =
        report.notes.iter().map(|note| json!({"level": "warning", "message": {"text": plain(note)}})).collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": driver},
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notes}],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    out.write_all(b"\n")
}

fn result(finding: &Finding) -> Value {
    let Finding { code, level, place, message, fix, .. } = finding;
    // SARIF reads `[text](link)` in messages (3.11.6)
    let text = format!("{}\nfix: {}", plain(message), plain(fix));
    let text = text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]");
    json!({
        "ruleId": code.name,
        "ruleIndex": CODES.iter().position(|other| other.name == code.name),
        "level": if *level == Level::Error { "error" } else { "warning" },
        "message": {"text": text},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&place.file)},
            "region": {"startLine": place.line.max(1), "startColumn": place.column.max(1)},
        }}],
        // lines move, so they are no part of it
        "partialFingerprints": {"seawallLint/v1": fingerprint(&[code.name, &place.file, message])},
    })
}
