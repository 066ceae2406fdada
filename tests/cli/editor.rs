//! The schemas as an editor uses them: the real YAML language server, over its protocol, completes and underlines documents whose
//! first line names a schema of `docs/schemas`.

use crate::rig::skipped;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(60);

/// The server: that of `SEAWALL_YAML_LANGUAGE_SERVER`, of the `PATH`, or the one that `.ci/run` installs. `None`, said loudly, where
/// there is none.
fn program() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/editor/node_modules/.bin/yaml-language-server");
    let given = std::env::var_os("SEAWALL_YAML_LANGUAGE_SERVER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("yaml-language-server"));
    let program = given.into_iter().chain(found).chain([installed]).find(|program| program.exists());
    if program.is_none() {
        skipped(
            "no yaml-language-server (npm install --prefix target/editor yaml-language-server@1.25.0): \
             what editors complete is not tried",
        );
    }
    program
}

/// A running language server.
struct Editor {
    process: Child,
    requests: ChildStdin,
    answers: Receiver<Value>,
    number: u64,
    /// What is underlined, by document.
    underlined: BTreeMap<String, Vec<String>>,
    folder: tempfile::TempDir,
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Editor {
    fn start() -> Option<Self> {
        let mut process = Command::new(program()?)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (requests, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (send, receive) = channel();
        std::thread::spawn(move || {
            let mut answers = BufReader::new(answers);
            while let Some(answer) = message(&mut answers) {
                if send.send(answer).is_err() {
                    break;
                }
            }
        });
        let (number, underlined, folder) = (0, BTreeMap::new(), tempfile::tempdir().unwrap());
        let mut editor = Self { process, requests, answers: receive, number, underlined, folder };
        let completion = json!({"completionItem": {"snippetSupport": true, "documentationFormat": ["markdown"]}});
        let capabilities = json!({"workspace": {"configuration": true}, "textDocument": {"completion": completion}});
        editor.call("initialize", &json!({"processId": null, "rootUri": null, "capabilities": capabilities}));
        editor.send(&json!({"method": "initialized", "params": {}}));
        Some(editor)
    }

    fn send(&mut self, message: &Value) {
        let mut message = message.clone();
        message["jsonrpc"] = json!("2.0");
        let body = message.to_string();
        write!(self.requests, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        self.requests.flush().unwrap();
    }

    /// The next message that is no question of the server and no news of a document.
    fn next(&mut self) -> Option<Value> {
        let message = self.answers.recv_timeout(ANSWER).expect("the language server answers");
        match (message["method"].as_str(), message.get("id")) {
            (Some(method), Some(id)) => {
                let settings =
                    json!({"validate": true, "completion": true, "hover": true, "schemaStore": {"enable": false}});
                let items = message["params"]["items"].as_array().cloned().unwrap_or_default();
                let of = |item: &Value| if item["section"] == "yaml" { settings.clone() } else { Value::Null };
                let result = match method {
                    "workspace/configuration" => items.iter().map(of).collect(),
                    _ => Value::Null,
                };
                self.send(&json!({"id": id, "result": result}));
                None
            }
            (Some("textDocument/publishDiagnostics"), None) => {
                let of = |d: &Value| {
                    format!("{}: {}", d["range"]["start"]["line"], d["message"].as_str().unwrap_or_default())
                };
                let told = message["params"]["diagnostics"].as_array().unwrap().iter().map(of).collect();
                self.underlined.insert(message["params"]["uri"].as_str().unwrap().to_owned(), told);
                None
            }
            (Some(_), None) => None,
            (None, _) => Some(message),
        }
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.number += 1;
        let id = json!(self.number);
        self.send(&json!({"id": id, "method": method, "params": params}));
        loop {
            if let Some(answer) = self.next().filter(|answer| answer["id"] == id) {
                return answer["result"].clone();
            }
        }
    }

    /// Opens a document with a schema of ours in its first line. Gives its address.
    fn open(&mut self, schema: &str, text: &str) -> String {
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schemas/{schema}.json"));
        // beside the document, so that the line can name it by a relative path as people do
        let name = schema.file_name().unwrap();
        fs::copy(&schema, self.folder.path().join(name)).unwrap();
        let name = name.to_string_lossy();
        self.number += 1;
        let uri = format!("file://{}/{}.yaml", self.folder.path().display(), self.number);
        let text = format!("# yaml-language-server: $schema={name}\n{text}");
        let document = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": text});
        self.send(&json!({"method": "textDocument/didOpen", "params": {"textDocument": document}}));
        uri
    }

    /// What is underlined in a document: `line: message`, the line that names the schema being 0.
    fn underlined(&mut self, schema: &str, text: &str) -> Vec<String> {
        let uri = self.open(schema, text);
        while !self.underlined.contains_key(&uri) {
            let _ = self.next();
        }
        self.underlined.remove(&uri).unwrap()
    }

    /// What is offered where `|` stands in the text: each with what it means.
    fn offered(&mut self, schema: &str, text: &str) -> BTreeMap<String, String> {
        let (before, after) = text.split_once('|').unwrap();
        let uri = self.open(schema, &format!("{before}{after}"));
        let position =
            json!({"line": before.matches('\n').count() + 1, "character": before.rsplit('\n').next().unwrap().len()});
        let result = self.call("textDocument/completion", &json!({"textDocument": {"uri": uri}, "position": position}));
        let items = result.as_array().or_else(|| result["items"].as_array()).cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().or_else(|| value["value"].as_str()).unwrap_or_default().to_owned();
        items.iter().map(|item| (text(&item["label"]), text(&item["documentation"]))).collect()
    }
}

/// One message of the protocol; nothing at the end.
fn message(from: &mut impl std::io::BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            None => break,
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// Fails unless all of these are offered.
#[track_caller]
fn assert_offered(offered: &BTreeMap<String, String>, wanted: &[&str]) {
    for word in wanted {
        assert!(offered.contains_key(*word), "{word} is not in {offered:?}");
    }
}

#[test]
fn an_editor_completes_and_underlines() {
    let Some(mut editor) = Editor::start() else { return };

    // configuration: keys with their meaning, words, policies with their parameters
    let keys = editor.offered("config", "|\n");
    assert_offered(&keys, &["defaults", "policies", "exemptions", "limits", "breakGlassGroups"]);
    assert!(keys["defaults"].contains("What holds where no label says otherwise"), "{keys:?}");
    assert_offered(&editor.offered("config", "defaults:\n  mode: |\n"), &["\"off\"", "audit", "warn", "enforce"]);
    assert_eq!(editor.underlined("config", "defaults: {mode: off}\n"), [""; 0]);
    assert_offered(&editor.offered("config", "policies:\n  |\n"), &["class-reclaim-retain", "mode-not-lowered"]);
    assert_offered(
        &editor.offered("config", "policies:\n  mode-not-lowered:\n    |\n"),
        &["actions", "parameters", "match"],
    );
    assert_offered(
        &editor.offered("config", "policies:\n  mode-not-lowered:\n    parameters:\n      |\n"),
        &["groups"],
    );
    let told = editor.underlined("config", "defaults: {mode: enforced}\npolicy: {}\nlimits: {workers: many}\n");
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().any(|t| t.starts_with("1: ") && t.contains("enforce")), "{told:?}");
    assert!(told.iter().any(|t| t.starts_with("2: ") && t.contains("policy")), "{told:?}");
    assert_eq!(editor.underlined("config", "defaults: {mode: enforce}\n"), [""; 0]);

    // METADATA
    let metadata = "title: T\ndescription: D\ncustom:\n  id: my-policy\n  |\n";
    assert_offered(
        &editor.offered("metadata", metadata),
        &["checklist", "severity", "actions", "match", "tierParameters"],
    );
    assert_offered(
        &editor.offered("metadata", "custom:\n  checklist: |\n"),
        &["probes", "reclaim-policy", "backup-type"],
    );
    assert_offered(
        &editor.offered("metadata", "custom:\n  actions:\n    tier-0: |\n"),
        &["Deny", "Warn", "Audit", "\"Off\""],
    );
    let told = editor.underlined("metadata", "title: T\ndescription: D\ncustom:\n  id: My_Policy\n  severity: bad\n");
    assert!(told.iter().any(|t| t.starts_with("4: ")) && told.iter().any(|t| t.starts_with("5: ")), "{told:?}");
    assert!(told.iter().any(|t| t.contains("checklist")) && told.iter().any(|t| t.contains("match")), "{told:?}");

    // case files
    assert_offered(&editor.offered("case-context", "|\n"), &["tier", "now", "parameters", "objects", "unsynced"]);
    assert_offered(&editor.offered("case-expected", "violations:\n- |\n"), &["path", "msg", "found", "wanted", "fix"]);
    assert_offered(&editor.offered("case-input", "operation: |\n"), &["CREATE", "UPDATE", "DELETE"]);
    assert_offered(&editor.offered("case-cluster", "act: |\n"), &["Deny", "Warn", "Patch", "Audit"]);
    let told = editor.underlined("case-input", "operation: UPDATE\nobject: {apiVersion: v1, kind: Service}\n");
    assert!(told.iter().any(|t| t.contains("oldObject")), "{told:?}");
    assert_eq!(editor.underlined("case-input", "apiVersion: v1\nkind: Service\nspec: {anything: 1}\n"), [""; 0]);
    let told = editor.underlined("case-expected", "violations:\n- {pointer: /spec}\n");
    assert!(told.iter().any(|t| t.contains("path")) && told.iter().any(|t| t.contains("pointer")), "{told:?}");
}
