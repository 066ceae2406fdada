//! A case of a policy that carries a `cluster.yaml`: read, checked as far as that goes without a cluster, and moved into a
//! namespace of its own. The format: `docs/testing.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use ::seawall::policy::mode::{PatchSetting, Tier};
use ::seawall::policytest::cluster::{Act, ClusterRun};

use crate::coverage::policies;

/// The namespace that stands in the files of cases for the one that is made.
const SHOP: &str = "shop";

/// `context.yaml`, as far as a cluster can have it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ContextFile {
    objects: Vec<Value>,
    /// For the case runner; here the label of the namespace decides.
    tier: Option<Value>,
    now: Option<Value>,
    parameters: BTreeMap<String, Value>,
    unsynced: Option<Value>,
}

/// `expected.yaml`, as far as a cluster shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ExpectedFile {
    violations: Vec<ExpectedViolation>,
    patched: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct ExpectedViolation {
    msg: Option<String>,
}

/// A case to run.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The policy's id.
    pub(crate) policy: String,
    /// Name of the case's folder.
    pub(crate) name: String,
    /// The folder, from the root of the repository.
    pub(crate) folder: String,
    pub(crate) act: Act,
    pub(crate) tier: Tier,
    custom: bool,
    /// File name of the input's CustomResourceDefinition.
    pub(crate) crd: Option<String>,
    /// What is applied.
    pub(crate) input: Value,
    /// What is there before.
    pub(crate) context: Vec<Value>,
    parameters: BTreeMap<String, Value>,
    /// Parts of the messages that are to come.
    pub(crate) messages: Vec<String>,
    /// What is to be stored.
    pub(crate) patched: Option<Value>,
}

impl Case {
    /// Whether safe defaults are written: not where a case is about what is said of an object that would get one.
    pub(crate) fn patch(&self) -> PatchSetting {
        let would_be_patched = self.act != Act::Patch && self.patched.is_some();
        if would_be_patched { PatchSetting::Disabled } else { PatchSetting::Enabled }
    }

    /// What the configuration must say for the parameters of the context, where these are not the policy's own.
    pub(crate) fn configured(&self) -> Option<Value> {
        let metadata = &policies().get(&self.policy)?.metadata;
        let of_tier = metadata.tier_parameters.get(&self.tier);
        let own = |key: &str| of_tier.and_then(|of| of.get(key)).or_else(|| metadata.parameters.get(key));
        let others = self.parameters.iter().any(|(key, value)| own(key) != Some(value));
        others.then(|| json!(self.parameters))
    }

    /// The same with another namespace in place of `shop`.
    pub(crate) fn moved(mut self, namespace: &str) -> Self {
        move_value(&mut self.input, namespace);
        // a Namespace is judged by its own label, where it has one
        let tier = json!(self.tier);
        let is_namespace = self.input["kind"] == "Namespace";
        let label = self.input.pointer_mut("/metadata/labels/seawall.dev~1tier").filter(|_| is_namespace);
        if let Some(label) = label {
            *label = tier;
        }
        self.context.iter_mut().chain(&mut self.patched).for_each(|object| move_value(object, namespace));
        self.messages.iter_mut().for_each(|message| *message = move_text(message, namespace));
        self
    }
}

/// Every case with a `cluster.yaml`, by policy and name; or what is wrong with them.
pub(crate) fn all() -> Result<Vec<Case>, Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut cases, mut problems) = (Vec::new(), Vec::new());
    for policy in folders(&root.join("policies/seawall/policies")) {
        let id = policy.replace('_', "-");
        for name in folders(&root.join("policies/seawall/policies").join(&policy).join("cases")) {
            let folder = format!("policies/seawall/policies/{policy}/cases/{name}");
            if !root.join(&folder).join("cluster.yaml").exists() {
                continue;
            }
            match read_case(root, &folder, &id, &name) {
                Ok(read) => {
                    problems.extend(read.iter().filter_map(|case| Some(format!("{folder}: {}", problem(case)?))));
                    cases.extend(read);
                }
                Err(problem) => problems.push(format!("{folder}: {problem}")),
            }
        }
    }
    if problems.is_empty() { Ok(cases) } else { Err(problems) }
}

fn folders(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(Result::unwrap);
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn read<T: DeserializeOwned>(folder: &Path, file: &str) -> Result<T, String> {
    let text = fs::read_to_string(folder.join(file)).map_err(|e| format!("{file}: {e}"))?;
    serde_saphyr::from_str(&text).map_err(|e| format!("{file}: {e}"))
}

fn read_case(root: &Path, folder: &str, policy: &str, name: &str) -> Result<Vec<Case>, String> {
    let path = root.join(folder);
    let runs = match read(&path, "cluster.yaml")? {
        Value::Array(runs) => runs,
        run => vec![run],
    };
    let runs: Vec<ClusterRun> = runs
        .into_iter()
        .map(|run| serde_json::from_value(run).map_err(|e| format!("cluster.yaml: {e}")))
        .collect::<Result<_, _>>()?;
    let input: Value = read(&path, "input.yaml")?;
    let context: ContextFile =
        if path.join("context.yaml").exists() { read(&path, "context.yaml")? } else { ContextFile::default() };
    let expected: ExpectedFile = read(&path, "expected.yaml")?;
    if input["apiVersion"].is_null() || input["kind"].is_null() || input["kind"] == "AdmissionReview" {
        return Err("input.yaml: is no plain manifest".to_owned());
    }
    for (key, given) in [("now", &context.now), ("unsynced", &context.unsynced)] {
        if given.is_some() {
            return Err(format!("context.yaml: {key}: a cluster cannot be given that"));
        }
    }
    let case = |run: ClusterRun| Case {
        policy: policy.to_owned(),
        name: name.to_owned(),
        folder: folder.to_owned(),
        act: run.act,
        tier: run.tier,
        custom: run.custom,
        crd: run.crd,
        input: input.clone(),
        context: context.objects.clone(),
        parameters: context.parameters.clone(),
        messages: expected.violations.iter().filter_map(|v| v.msg.clone()).collect(),
        patched: expected.patched.clone(),
    };
    Ok(runs.into_iter().map(case).collect())
}

/// Why a case cannot come true.
fn problem(case: &Case) -> Option<String> {
    let Some(policy) = policies().get(&case.policy) else { return Some(format!("there is no policy {}", case.policy)) };
    let tiers = case.act.tiers(&policy.metadata);
    if !tiers.contains(&case.tier) {
        let tiers: Vec<String> = tiers.iter().map(ToString::to_string).collect();
        let (act, tier, others) = (case.act, case.tier, tiers.join(", "));
        return Some(format!("cluster.yaml: the policy does not {act:?} in {tier}; it does in: {others}"));
    }
    if case.crd.is_some() && !case.custom {
        return Some("cluster.yaml: crd is for custom kinds, so say custom: true".to_owned());
    }
    if case.act == Act::Patch && case.patched.is_none() {
        return Some("expected.yaml: act is Patch and there is no `patched`".to_owned());
    }
    if case.act != Act::Patch && case.messages.is_empty() {
        return Some(format!("expected.yaml: act is {:?} and no violation has a `msg`", case.act));
    }
    None
}

/// Replaces `shop` in every text of a value; keys stay.
fn move_value(value: &mut Value, namespace: &str) {
    match value {
        Value::String(text) => *text = move_text(text, namespace),
        Value::Array(items) => items.iter_mut().for_each(|item| move_value(item, namespace)),
        Value::Object(fields) => fields.values_mut().for_each(|field| move_value(field, namespace)),
        _ => {}
    }
}

/// Replaces the word `shop` in `shop`, `shop/data`, `db.shop.svc` and the like; `web-shop` is another word.
fn move_text(text: &str, namespace: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut moved = String::new();
    for part in text.split_inclusive(|c| !is_word(c)) {
        let word = part.trim_end_matches(|c| !is_word(c));
        moved.push_str(if word == SHOP { namespace } else { word });
        moved.push_str(&part[word.len()..]);
    }
    moved
}

#[test]
fn the_namespace_is_replaced_as_a_word() {
    let moved = |text: &str| move_text(text, "shop-7");
    assert_eq!(moved("shop"), "shop-7");
    assert_eq!(moved("claim shop/data of db.shop.svc, shop."), "claim shop-7/data of db.shop-7.svc, shop-7.");
    assert_eq!(moved("web-shop shop-web workshop Shop"), "web-shop shop-web workshop Shop");
    let mut object = json!({"metadata": {"namespace": "shop"}, "spec": [{"shop": "x"}]});
    move_value(&mut object, "s");
    assert_eq!(object, json!({"metadata": {"namespace": "s"}, "spec": [{"shop": "x"}]}));
}

/// Also where there is no cluster to run them.
#[test]
fn cluster_files_are_well_formed() {
    if let Err(problems) = all() {
        panic!("{}", problems.join("\n"));
    }
}
