//! Loads an imported policy as `serve` would, completes its METADATA with what its Rego reads, and runs its samples: a sample
//! that should be rejected and is not, or the other way round, is told and not written as if it were right.

use super::{Document, Draft, Files, Problem};
use crate::admission::pointer::to_pointer;
use crate::config::Settings;
use crate::context::facts::INDEXES;
use crate::engine::analysis;
use crate::engine::compile::{Modules, Source};
use crate::engine::evaluate::Worker;
use crate::policy::bundle::{Bundle, CaseFiles};
use crate::policy::store::PolicySet;
use crate::policytest::case::Case;
use crate::policytest::probe;
use crate::review::{Phase, review};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// Stands in the METADATA for what is known later.
pub(super) const MARKS: &str = "#   (context and parameters)\n";

/// Where the policy of a package lies.
pub(super) fn policy_file(package: &str) -> String {
    format!("seawall/policies/{package}/policy.rego")
}

/// What a sample is meant to show, by the name of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meant {
    Fires,
    Quiet,
    Context,
    Unsaid,
}

fn meant(file: &str) -> Meant {
    let name = file.rsplit('/').next().unwrap_or(file).to_lowercase();
    let folder = file.rsplit('/').nth(1).unwrap_or_default().to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word)) || words.contains(&folder.as_str());
    if says(&["inventory", "context"]) {
        Meant::Context
    } else if says(&["disallow", "denied", "deny", "bad", "fail", "invalid", "violat"]) {
        Meant::Fires
    } else if says(&["allow", "good", "pass", "valid", "ok"]) {
        Meant::Quiet
    } else {
        Meant::Unsaid
    }
}

/// The files of a policy with its cases, and how many there are and fire.
pub(super) fn with_cases(
    draft: &Draft,
    mut files: Files,
    samples: &[Document],
    told: &mut Vec<Problem>,
) -> Result<(Files, (usize, usize)), Vec<Problem>> {
    let package = draft.id.replace('-', "_");
    let at = draft.modules.first().map_or(1, |module| module.line);
    let problem = |problem: String, instead: &str| {
        let file = draft.modules.first().map_or_else(String::new, |module| module.file.clone());
        Problem { file, line: at, problem, instead: instead.to_owned() }
    };
    declare(draft, &package, &mut files).map_err(|problems| {
        let left_out = |text: String| problem(format!("policy {} is left out: {text}", draft.id), "see docs/import.md");
        problems.into_iter().map(left_out).collect::<Vec<_>>()
    })?;
    let left_out =
        |text: String| vec![problem(format!("policy {} is left out: {text}", draft.id), "see docs/import.md")];
    let set = || {
        let bundle = Bundle::from_files(Path::new("imported"), files.clone()).map_err(|e| e.to_string())?;
        let set = PolicySet::build(&bundle, &Settings::default()).map_err(|e| e.to_string())?;
        Ok::<_, String>((bundle, set))
    };
    let (bundle, set) = set().map_err(left_out)?;
    let of_draft = |sample: &&Document| sample.file.starts_with(&draft.folder) || !sample_has_policy(sample);
    let own: Vec<&Document> = samples.iter().filter(of_draft).collect();
    let context: Vec<&Value> = own.iter().filter(|s| meant(&s.file) == Meant::Context).map(|s| &s.value).collect();
    let context = if context.is_empty() { None } else { Some(json!({"objects": context})) };
    let (mut count, mut fires) = (0, 0);
    let mut cases = Files::new();
    for sample in own.into_iter().filter(|sample| meant(&sample.file) != Meant::Context) {
        let yaml = |value: &Value| serde_saphyr::to_string(value).unwrap_or_default();
        let input = yaml(&sample.value);
        let case = CaseFiles {
            name: String::new(),
            folder: sample.file.clone(),
            input: input.clone(),
            context: context.as_ref().map(yaml),
            expected: "violations: []\n".to_owned(),
        };
        let Some(found) = answer(&case, &set, &draft.id) else { continue };
        let found = match found {
            Ok(found) => found,
            Err(reason) => {
                told.push(sample.problem(
                    "kind",
                    &format!("policy {} fails on it: {reason}", draft.id),
                    "correct the rule",
                ));
                continue;
            }
        };
        let wrong = match meant(&sample.file) {
            Meant::Fires if found.is_empty() => Some("is said to be rejected, and the imported policy lets it pass"),
            Meant::Quiet if !found.is_empty() => Some("is said to be allowed, and the imported policy rejects it"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let text = format!("the sample {wrong} ({})", draft.id);
            told.push(sample.problem("kind", &text, "compare the policy with its source before it is used"));
            continue;
        }
        count += 1;
        fires += usize::from(!found.is_empty());
        let name = sample.file.rsplit('/').next().unwrap_or_default();
        let name = super::names::kebab(name.trim_end_matches(".yaml").trim_end_matches(".yml")).replace('-', "_");
        let folder = format!("seawall/policies/{package}/cases/{name}");
        let folder =
            if cases.contains_key(&format!("{folder}/input.yaml")) { format!("{folder}_{count}") } else { folder };
        cases.insert(format!("{folder}/input.yaml"), input);
        cases.insert(format!("{folder}/expected.yaml"), yaml(&json!({"violations": found})));
        if let Some(context) = &context {
            cases.insert(format!("{folder}/context.yaml"), yaml(context));
        }
    }
    let mut tried = bundle;
    if count > 0 {
        files.extend(cases);
        tried = Bundle::from_files(Path::new("imported"), files.clone()).map_err(|e| left_out(e.to_string()))?;
    } else {
        let text = format!("policy {} has no samples, so nothing shows that it does what it did", draft.id);
        told.push(problem(text, "give manifests that it allows and rejects: --samples FOLDER"));
    }
    let unproven = probe::problems(&tried, &set);
    if !unproven.is_empty() {
        return Err(left_out(unproven.join("; ")));
    }
    let page = format!("# {}\n\n{}\n\nImported from {}.\n", draft.title, draft.description, draft.from);
    files.insert(format!("seawall/policies/{package}/README.md"), page);
    Ok((files, (count, fires)))
}

/// Samples in a folder named for them belong to the policy beside it.
fn sample_has_policy(sample: &Document) -> bool {
    sample.folder().split('/').any(|part| part == "samples")
}

/// The violations of a sample as `expected.yaml` lists them; `None` where the policy is about other kinds.
fn answer(case: &CaseFiles, set: &PolicySet, id: &str) -> Option<Result<Vec<Value>, String>> {
    let case = match Case::parse(case) {
        Ok(case) => case,
        Err(error) => return Some(Err(error.to_string())),
    };
    let snapshot = case.snapshot(set, id)?;
    if crate::review::inputs(case.request(), &snapshot).is_empty() {
        return None;
    }
    let mut worker = Worker::new();
    let until = Instant::now() + Duration::from_secs(10);
    let outcome = review(case.request(), &snapshot, Phase::Validate, until, &mut worker);
    if let Some(failure) = outcome.failures.first() {
        return Some(Err(failure.reason.clone()));
    }
    Some(Ok(outcome.findings.iter().map(|f| json!({"path": to_pointer(&f.path), "msg": f.message})).collect()))
}

/// Writes `context` and `parameters` in place of the marks, as the Rego reads them.
fn declare(draft: &Draft, package: &str, files: &mut Files) -> Result<(), Vec<String>> {
    let sources: Vec<Source> =
        files.iter().map(|(file, text)| Source { file: file.clone(), text: text.clone() }).collect();
    let modules = Modules::parse(&sources, "").map_err(|error| {
        error.to_string().lines().map(str::to_owned).filter(|line| !line.trim().is_empty()).collect::<Vec<_>>()
    })?;
    let rule = format!("data.seawall.policies.{package}.violation");
    let reads = analysis::closure(&modules.rules, &[&rule]);
    let kind = |fact: &String| match fact.strip_prefix("index.") {
        Some(index) => INDEXES.iter().find(|(name, _)| *name == index).map(|(_, kind)| (*kind).to_owned()),
        None => Some(fact.clone()),
    };
    let kinds: BTreeSet<String> = reads.facts.iter().filter_map(kind).collect();
    let mut marks = String::new();
    if !kinds.is_empty() {
        marks.push_str("#   context:\n");
        for kind in kinds {
            marks.push_str(&format!("#   - {{resource: {kind}, optional: false}}\n"));
        }
    }
    let all = reads.parameters.contains("*");
    let mut parameters = draft.parameters.clone();
    parameters.retain(|name, _| all || reads.parameters.contains(name));
    let unset: Vec<String> = (reads.parameters.iter())
        .filter(|name| *name != "*" && !parameters.contains_key(*name))
        .map(|name| {
            format!(
                "the parameter {name} is read and nothing sets it: there it is undefined, here it needs a value; set it in the \
                 Constraint's `parameters`"
            )
        })
        .collect();
    if !unset.is_empty() {
        return Err(unset);
    }
    if !parameters.is_empty() {
        marks.push_str(&format!("#   parameters: {}\n", Value::Object(parameters)));
    }
    if let Some(text) = files.get_mut(&policy_file(package)) {
        *text = text.replacen(MARKS, &marks, 1);
    }
    Ok(())
}
