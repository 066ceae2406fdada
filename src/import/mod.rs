//! Policies from elsewhere become policies of here: Gatekeeper's ConstraintTemplates with their Constraints, and conftest's
//! policies, with their samples as cases. What cannot be carried over is named with its place; a policy of which anything is
//! missing that could change a verdict is still written, one that would not load is not.
//!
//! Rego v0 is read here and nowhere else: [`print`] writes v1.

mod conftest;
mod gatekeeper;
mod names;
mod print;
mod verify;

use crate::context::kinds::Kinds;
use names::{Names, Origin};
use print::{Printer, Target};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A file that is imported, or a sample.
#[derive(Debug, Clone)]
pub struct Input {
    /// Path for messages; its folder tells which samples belong to which Constraint.
    pub file: String,
    /// Content.
    pub text: String,
}

/// What the files do not say.
#[derive(Debug, Clone)]
pub struct Options {
    /// Id of the checklist item.
    pub checklist: String,
    /// `critical`, `high`, `medium` or `low`
    pub severity: String,
    /// Kind and apiVersion that policies of conftest are about; empty: what their rules compare `input.kind` with.
    pub kinds: Vec<(String, String)>,
}

/// Something that is not carried over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}: {problem}; {instead}")]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What, and why.
    pub problem: String,
    /// What to do.
    pub instead: String,
}

/// A policy that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its id.
    pub id: String,
    /// The files that it comes from.
    pub from: String,
    /// How many cases it has, and how many of them fire.
    pub cases: (usize, usize),
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// The policies, by id.
    pub policies: Vec<Imported>,
    /// Files to write, by path below the folder of policies.
    pub files: BTreeMap<String, String>,
    /// What is left out.
    pub problems: Vec<Problem>,
}

/// One YAML document.
#[derive(Debug, Clone)]
struct Document {
    file: String,
    /// Line, from 1, at which it begins.
    line: usize,
    text: String,
    value: Value,
}

impl Document {
    /// The line of the first mention of a key.
    fn line_of(&self, key: &str) -> usize {
        let found = self.text.lines().position(|line| line.trim_start().trim_start_matches("- ").starts_with(key));
        self.line + found.unwrap_or_default()
    }

    /// The line at which a text stands that the document holds as a block.
    fn line_of_block(&self, block: &str) -> usize {
        let first = block.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let blank = block.lines().take_while(|line| line.trim().is_empty()).count();
        let found = self.text.lines().position(|line| line.trim() == first);
        (self.line + found.unwrap_or_default()).saturating_sub(blank)
    }

    fn problem(&self, key: &str, problem: &str, instead: &str) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.line_of(key),
            problem: problem.to_owned(),
            instead: instead.to_owned(),
        }
    }

    fn folder(&self) -> &str {
        self.file.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// Rego that stands at a line of a file.
#[derive(Debug, Clone)]
struct Module {
    file: String,
    line: usize,
    text: String,
}

impl Module {
    fn problem(&self, line: u64, problem: String, instead: &str) -> Problem {
        let line = self.line + usize::try_from(line).unwrap_or(1).saturating_sub(1);
        Problem { file: self.file.clone(), line, problem, instead: instead.to_owned() }
    }

    /// The syntax tree, and the package without `data.`. Rego v0 is tried where it is not v1.
    fn tree(&self) -> Result<(Value, String), Problem> {
        let parse = |v0: bool| {
            let mut engine = regorus::Engine::new();
            engine.set_rego_v0(v0);
            let package = engine.add_policy(self.file.clone(), self.text.clone()).map_err(|e| e.to_string())?;
            let printed = engine.get_ast_as_json().map_err(|e| e.to_string())?;
            let trees: Value = serde_json::from_str(&printed).map_err(|e| e.to_string())?;
            let tree = trees.get(0).and_then(|tree| tree.get("ast")).cloned().unwrap_or_default();
            Ok::<_, String>((tree, package.trim_start_matches("data.").to_owned()))
        };
        parse(false).or_else(|_| parse(true)).map_err(|error| {
            // the place within the module stands in `--> file:line:column`
            let place = error.split(&format!("{}:", self.file)).nth(1).unwrap_or_default();
            let at = place.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(1);
            let problem = error.lines().rev().find_map(|line| line.trim().strip_prefix("error: ")).unwrap_or(&error);
            self.problem(at, format!("the Rego does not parse: {problem}"), "correct it; `opa check` tells more")
        })
    }
}

/// A policy in the making.
#[derive(Debug, Clone)]
struct Draft {
    id: String,
    origin: Origin,
    title: String,
    description: String,
    action: &'static str,
    rows: Vec<Value>,
    parameters: Map<String, Value>,
    /// The policy, then its libraries.
    modules: Vec<Module>,
    /// The rules that report.
    reports: Vec<String>,
    from: String,
    /// Samples below it belong to the policy.
    folder: String,
}

/// A row of `match` for a kind.
fn gatekeeper_row(api_version: &str, kind: &str) -> Value {
    let resource = Kinds::default().resolve(api_version, kind).resource;
    json!({
        "apiGroups": [resource.group], "apiVersions": [resource.version], "resources": [resource.resource],
        "operations": ["CREATE", "UPDATE"],
    })
}

/// Makes policies of what the files hold. `samples` are manifests that are no part of the policies; manifests among the inputs
/// are samples too.
#[must_use]
pub fn import(inputs: &[Input], samples: &[Input], options: &Options) -> Import {
    let mut import = Import::default();
    let (mut documents, mut drafts) = (Vec::new(), Vec::new());
    for input in inputs.iter().chain(samples) {
        if input.file.ends_with(".rego") {
            continue;
        }
        match documents_of(input) {
            Ok(found) => documents.extend(found),
            Err(problem) => import.problems.push(problem),
        }
    }
    let (constraints, documents): (Vec<_>, Vec<_>) = documents.into_iter().partition(gatekeeper::is_constraint);
    let (templates, samples): (Vec<_>, Vec<_>) = documents.into_iter().partition(gatekeeper::is_template);
    for template in &templates {
        drafts.extend(gatekeeper::drafts(template, &constraints, &mut import.problems));
    }
    for constraint in &constraints {
        let kind = constraint.value.get("kind").and_then(Value::as_str).unwrap_or_default();
        let of = |t: &Document| t.value.pointer("/spec/crd/spec/names/kind").and_then(Value::as_str) == Some(kind);
        if !templates.iter().any(of) {
            let problem = format!("no ConstraintTemplate makes the kind {kind}");
            import.problems.push(constraint.problem("kind", &problem, "give the template's file too"));
        }
    }
    for input in inputs.iter().filter(|i| i.file.ends_with(".rego") && !i.file.ends_with("_test.rego")) {
        let module = Module { file: input.file.clone(), line: 1, text: input.text.clone() };
        match module.tree() {
            Ok((tree, package)) => {
                let found = conftest::drafts(&module, &tree, &package, &options.kinds, &mut import.problems);
                if found.is_empty() {
                    let problem = "the file has no deny, violation or warn rule".to_owned();
                    let instead =
                        "libraries of conftest are not carried over: put its rules into the file that uses them";
                    import.problems.push(module.problem(1, problem, instead));
                }
                drafts.extend(found);
            }
            Err(problem) => import.problems.push(problem),
        }
    }
    for draft in drafts {
        match made(&draft, options) {
            Ok((files, problems)) => {
                let left_out = !problems.is_empty();
                import.problems.extend(problems);
                if left_out || draft.rows.is_empty() {
                    continue;
                }
                match verify::with_cases(&draft, files, &samples, &mut import.problems) {
                    Ok((files, cases)) => {
                        import.files.extend(files);
                        import.policies.push(Imported { id: draft.id, from: draft.from, cases });
                    }
                    Err(problems) => import.problems.extend(problems),
                }
            }
            Err(problem) => import.problems.push(problem),
        }
    }
    import.policies.sort_by(|a, b| a.id.cmp(&b.id));
    import.problems.sort();
    import.problems.dedup();
    import
}

fn documents_of(input: &Input) -> Result<Vec<Document>, Problem> {
    let mut documents = Vec::new();
    let mut start = 0;
    let lines: Vec<&str> = input.text.lines().collect();
    let ends = lines.iter().enumerate().filter(|(_, line)| line.trim_end() == "---").map(|(at, _)| at);
    for end in ends.chain([lines.len()]).collect::<Vec<_>>() {
        let text = lines.get(start..end).unwrap_or_default().join("\n");
        let value: Value = serde_saphyr::from_str(&text).map_err(|error| {
            let (line, _, problem) = crate::yaml::problem(&error);
            let line = start + usize::try_from(line).unwrap_or(1);
            Problem { file: input.file.clone(), line, problem, instead: "correct the YAML".to_owned() }
        })?;
        if value.is_object() {
            documents.push(Document { file: input.file.clone(), line: start + 1, text, value });
        }
        start = end + 1;
    }
    Ok(documents)
}

type Files = BTreeMap<String, String>;

/// The Rego of a draft, and what of it is not carried over.
fn made(draft: &Draft, options: &Options) -> Result<(Files, Vec<Problem>), Problem> {
    let package = draft.id.replace('-', "_");
    let mut trees = Vec::new();
    for module in &draft.modules {
        let (tree, old) = module.tree()?;
        trees.push((module, tree, old));
    }
    let new_package = |position: usize, old: &str| match position {
        0 => format!("data.seawall.policies.{package}"),
        _ => format!("data.seawall.lib.{package}_{}", old.rsplit('.').next().unwrap_or(old)),
    };
    let packages = trees.iter().enumerate().map(|(at, (_, _, old))| (old.clone(), new_package(at, old))).collect();
    let names = Names { origin: draft.origin, packages };
    let fix = json!(if draft.description.is_empty() { &draft.title } else { &draft.description });
    let (mut files, mut problems) = (Files::new(), Vec::new());
    for (position, (module, tree, old)) in trees.iter().enumerate() {
        let mut printer = Printer::new(&module.text, &names);
        let target = || Target { more: format!("\"wanted\": {},\n\t\"fix\": {fix}", json!(draft.title)) };
        let reports = |name: &str| {
            let of = |word: &&str| name == *word || name.starts_with(&format!("{word}_"));
            draft.origin == Origin::Conftest && ["deny", "violation", "warn", "exception"].iter().any(of)
        };
        let rename = |name: &str| {
            if position == 0 && draft.reports.iter().any(|report| report == name) {
                return Some(Some(target()));
            }
            // rules that report and are not of this one are those of the other policy that the file becomes
            (position > 0 || !reports(name)).then_some(None)
        };
        let body = printer.module(tree, &rename);
        problems.extend(printer.problems.into_iter().map(|(line, problem)| {
            let (problem, instead) = problem.rsplit_once(": ").map_or((problem.as_str(), ""), |parts| parts);
            module.problem(
                line,
                problem.to_owned(),
                if instead.is_empty() { "write it in another way" } else { instead },
            )
        }));
        let full = new_package(position, old);
        let full = full.trim_start_matches("data.");
        if position == 0 {
            let head = metadata(draft, options);
            files.insert(verify::policy_file(&package), format!("{head}package {full}\n{body}"));
        } else {
            let file = full.rsplit('.').next().unwrap_or(full);
            files.insert(format!("seawall/lib/{file}.rego"), format!("package {full}\n{body}"));
        }
    }
    Ok((files, problems))
}

/// The METADATA block, without what only the finished Rego tells: facts and parameters are in place of the marks.
fn metadata(draft: &Draft, options: &Options) -> String {
    let action = draft.action;
    let rows: String = draft.rows.iter().map(|row| format!("#   - {row}\n")).collect();
    let description = if draft.description.is_empty() { &draft.title } else { &draft.description };
    format!(
        "# METADATA\n# title: {}\n# description: {}\n# custom:\n#   id: {}\n#   checklist: {}\n#   severity: {}\n#   actions: \
         {{tier-0: {action}, tier-1: {action}, tier-2: {action}, tier-3: {action}}}\n#   match:\n{rows}{}",
        json!(draft.title),
        json!(description),
        draft.id,
        options.checklist,
        options.severity,
        verify::MARKS,
    )
}
