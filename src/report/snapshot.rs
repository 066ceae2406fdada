//! A cluster that was read once, as a file that `check --snapshot` reads: the header first, then the objects by kind,
//! namespace and name. The same cluster gives the same text, but for the time in the header.

use super::yaml::to_yaml;
use crate::context::read::Reading;
use serde_json::Value;
use std::io::{self, Write};

/// Writes YAML documents, for people and for version control.
///
/// # Errors
/// When it cannot be written.
pub fn yaml(reading: &Reading, out: &mut dyn Write) -> io::Result<()> {
    documents(reading, &mut |value| {
        out.write_all(b"---\n")?;
        out.write_all(to_yaml(value).as_bytes())
    })
}

/// Writes JSON, an object a line: smaller and much faster to read.
///
/// # Errors
/// When it cannot be written.
pub fn json(reading: &Reading, out: &mut dyn Write) -> io::Result<()> {
    documents(reading, &mut |value| {
        serde_json::to_writer(&mut *out, value)?;
        out.write_all(b"\n")
    })
}

fn documents(reading: &Reading, each: &mut dyn FnMut(&Value) -> io::Result<()>) -> io::Result<()> {
    each(&serde_json::to_value(&reading.header)?)?;
    reading.objects.iter().try_for_each(|(_, object)| each(object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::coverage::Header;
    use serde_json::json;

    #[test]
    fn both_forms_begin_with_the_header() {
        let header = Header::new(jiff::Timestamp::UNIX_EPOCH, "v1.35.4".to_owned());
        let object = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "text": "---\nx"});
        let reading = Reading { header, objects: vec![("services".to_owned(), object.clone())] };
        let mut text = Vec::new();
        yaml(&reading, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let expected =
            "---\napiVersion: seawall.dev/v1alpha1\nkind: Snapshot\ntakenAt: 1970-01-01T00:00:00Z\ntakenBy: seawall ";
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("---")).count(), 2, "{text}");
        let mut lines = Vec::new();
        json(&reading, &mut lines).unwrap();
        let lines: Vec<Value> =
            String::from_utf8(lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines[0]["kind"].as_str(), &lines[1]), (Some("Snapshot"), &object));
    }
}
