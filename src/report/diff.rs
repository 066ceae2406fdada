//! A patch as a unified diff of the manifest.

use super::{PatchRow, yaml};
use serde_json::Value;
use similar::TextDiff;

/// Lines around a change.
const CONTEXT: usize = 3;

/// The lines of the diff, without line breaks: hunks only, the place of the object stands above them. Line numbers would be
/// those of no file, so the hunk headers have none.
pub(super) fn lines(patch: &PatchRow) -> Vec<String> {
    let (before, after) = (text(&patch.before, patch.is_json), text(&patch.after, patch.is_json));
    let diff = TextDiff::from_lines(&before, &after);
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        lines.push("@@".to_owned());
        for change in hunk.iter_changes() {
            lines.push(format!("{}{}", change.tag(), change.value().trim_end_matches('\n')));
        }
    }
    lines
}

fn text(value: &Value, is_json: bool) -> String {
    if is_json {
        // a Value always can be written
        serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
    } else {
        yaml::to_yaml(value)
    }
}
