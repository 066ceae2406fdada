//! The same object gets the same verdict from admission, `check`, `audit` and `checklist`, for the object of every case of every
//! policy: judged as it is, and where the policy writes safe defaults also with them written.

use crate::embedded::{bundle, set};
use crate::stored::Stored;
use seawall::admission::request::Request;
use seawall::audit;
use seawall::check::input::Input;
use seawall::check::manifest::{Manifest, Manifests};
use seawall::check::yaml::Budget;
use seawall::check::{self, Context, Options, request};
use seawall::checklist::collect::Collector;
use seawall::checklist::{Gap, Scorecard};
use seawall::config::{SYSTEM_NAMESPACES, Settings};
use seawall::context::coverage::{Header, KindRow};
use seawall::context::facts::Facts;
use seawall::context::kinds::Kinds;
use seawall::context::read::Reading;
use seawall::decision::field_path;
use seawall::engine::compile::Entry;
use seawall::engine::evaluate::Worker;
use seawall::policy::mode::PatchSetting;
use seawall::policy::store::{Policy, PolicySet};
use seawall::policytest::case::Case;
use seawall::report::{Judged, Report, Results as _};
use seawall::review::{Outcome, Phase, Snapshot, review};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Policies that ask nothing of an object in the moment in which it is made, on purpose: a Namespace has no quota before it is
/// there.
const SAYS_MORE_OF_WHAT_EXISTS: &[&str] = &["self-service-namespace"];

/// What is compared: every violation, every policy without an answer, every policy that failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Verdict {
    violations: BTreeSet<String>,
    unknown: BTreeSet<String>,
    failed: BTreeSet<String>,
}

fn line(policy: &str, field: &str, message: &str, effective: &str) -> String {
    format!("{policy} {field} {effective}: {message}")
}

impl Verdict {
    fn of_outcome(outcome: &Outcome) -> Self {
        let violation =
            |f: &seawall::decision::Finding| line(&f.policy, &field_path(&f.path), &f.message, f.effective.as_str());
        Self {
            violations: outcome.findings.iter().map(violation).collect(),
            unknown: outcome.unknown.iter().map(|u| format!("{} {}", u.policy, u.missing)).collect(),
            failed: outcome.failures.iter().map(|f| f.policy.clone()).collect(),
        }
    }

    /// Without what its claims have, when it is a StatefulSet.
    fn of_row(row: &Judged, errors: &[seawall::report::Failure]) -> Self {
        let own = |v: &&seawall::report::Violation| {
            !v.finding.expanded_from.as_ref().is_some_and(|part| part.starts_with("PersistentVolumeClaim "))
        };
        let violation = |v: &seawall::report::Violation| {
            let f = &v.finding;
            line(&f.policy, &field_path(&f.path), &f.message, f.effective.as_str())
        };
        Self {
            violations: row.violations.iter().filter(own).map(violation).collect(),
            unknown: row.unknown.iter().map(|u| format!("{} {}", u.policy, u.missing)).collect(),
            failed: errors.iter().filter_map(|e| e.policy.clone()).collect(),
        }
    }

    /// What the scorecard says of one object: that of all rows in which it counts.
    fn of_card(card: &Scorecard, kind: &str, name: &str) -> Option<Self> {
        let mut verdict = None;
        card.each(&mut |row| {
            let is_it = |id: &seawall::report::ResourceId| id.kind == kind && id.name == name;
            if !is_it(&row.resource) && !row.uses.iter().any(is_it) {
                return Ok(());
            }
            let verdict: &mut Self = verdict.get_or_insert_with(Self::default);
            for cell in &row.cells {
                let own = cell.found.iter().filter(|f| is_it(&f.object));
                verdict
                    .violations
                    .extend(own.map(|f| line(&f.policy, &f.field, &f.message, f.effective_action.as_str())));
                for gap in &cell.unknown {
                    match gap {
                        Gap::MissingFacts { policy, missing } => {
                            verdict.unknown.insert(format!("{policy} {missing}"));
                        }
                        Gap::PolicyFailed { policy, .. } => {
                            verdict.failed.insert(policy.clone());
                        }
                        _ => {}
                    }
                }
            }
            Ok(())
        })
        .unwrap();
        verdict
    }
}

/// One case, as every front end gets it.
struct Scene {
    policies: Arc<PolicySet>,
    settings: Arc<Settings>,
    now: jiff::Timestamp,
    manifest: Manifest,
    /// What else there is.
    others: Vec<Value>,
    unsynced: BTreeSet<String>,
    kinds: Kinds,
}

impl Scene {
    /// `None` for what no front end judges.
    fn new(case: &Case, policy: &str, patch: PatchSetting) -> Option<Self> {
        let snapshot = case.snapshot(set(), policy)?;
        let mut settings = Settings::clone(&snapshot.settings);
        settings.defaults.patch = Some(patch);
        let mut object = case.request().subject()?.clone();
        let kinds = Kinds::new(set().api_versions().clone());
        let text = |object: &Value, pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let resource = kinds.resolve(&text(&object, "/apiVersion"), &text(&object, "/kind"));
        if !case.request().sub_resource.is_empty() || object.pointer("/metadata/deletionTimestamp").is_some() {
            return None;
        }
        object.as_object_mut()?.entry("metadata").or_insert_with(|| json!({}));
        let metadata = object["metadata"].as_object_mut()?;
        if text(&Value::Object(metadata.clone()), "/name").is_empty() {
            metadata.insert("name".into(), json!("case"));
        }
        if resource.namespaced && !metadata.get("namespace").is_some_and(Value::is_string) {
            metadata.insert("namespace".into(), json!("default"));
        }
        let same = |other: &Value| {
            ["/kind", "/metadata/namespace", "/metadata/name"].iter().all(|p| text(other, p) == text(&object, p))
        };
        let others: Vec<Value> = case.objects().iter().filter(|o| !same(o)).cloned().collect();
        let input = Input::read(&["-".into()], &mut object.to_string().as_bytes(), Budget::default());
        let manifest = Manifests::read(input, &kinds, "default").objects.pop()?;
        if manifest.namespace().is_some_and(|namespace| SYSTEM_NAMESPACES.contains(&namespace)) {
            return None;
        }
        let (policies, now, unsynced) = (snapshot.policies.clone(), snapshot.now, case.unsynced().clone());
        Some(Self { policies, settings: Arc::new(settings), now, manifest, others, unsynced, kinds })
    }

    fn needed(&self) -> BTreeSet<String> {
        self.policies.needed_context().keys().filter(|kind| !self.unsynced.contains(*kind)).cloned().collect()
    }

    fn resource(&self, object: &Value) -> String {
        let text = |key: &str| object[key].as_str().unwrap_or_default();
        self.kinds.resolve(text("apiVersion"), text("kind")).fact_name()
    }

    /// `/mutate`, then `/validate`, from the bytes of a review; also the object that is stored then. `known`: the object is among
    /// the facts, as at the second `kubectl apply`.
    fn admission(&self, known: bool, worker: &mut Worker) -> (Verdict, Value) {
        let mut body = request::create(&self.manifest).unwrap().body().clone();
        body.insert("userInfo".into(), json!({"username": "developer", "groups": ["system:authenticated"]}));
        let bytes =
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": body}).to_string();
        let request = Request::from_review(bytes.as_bytes()).unwrap();
        let own = Some(&self.manifest.object).filter(|_| known);
        let facts = self.others.iter().chain(own).map(|object| (self.resource(object), object));
        let mut facts = Facts::from_objects(facts, &self.needed());
        self.unsynced.iter().for_each(|kind| facts.unset_kind(kind));
        let snapshot =
            Snapshot::new(self.policies.clone(), self.settings.clone(), Arc::new(facts), self.now).with_unregistered();
        let deadline = Instant::now() + Duration::from_secs(30);
        let mutated = review(&request, &snapshot, Phase::Mutate, deadline, worker);
        let stored = mutated.patch.object.clone().unwrap_or_else(|| request.object().unwrap().clone());
        let validated = review(&request.with_object(stored.clone()), &snapshot, Phase::Validate, deadline, worker);
        (Verdict::of_outcome(&validated), stored)
    }

    /// `check` with the scorecard looking on; `more` objects are in the input.
    fn check(&self, more: &[Value]) -> (Report, Scorecard) {
        let row = |resource: &String| KindRow {
            resource: resource.clone(),
            api_version: None,
            kind: None,
            namespaced: true,
            objects: 0,
            namespaces: None,
        };
        let mut header = Header::new(self.now, "v1.35.4".to_owned());
        header.kinds = self.needed().iter().map(row).collect();
        let objects = self.others.iter().map(|object| (self.resource(object), object.clone())).collect();
        let context = Context { files: Input::default(), cluster: Some(Reading { header, objects }) };
        let text: Vec<String> =
            std::iter::once(&self.manifest.written).chain(more).map(|object| format!("---\n{object}\n")).collect();
        let input = Input::read(&["-".into()], &mut text.concat().as_bytes(), Budget::default());
        let options = Options { mode: None, tier: None, namespace: "default".to_owned() };
        let mut collector = Collector::new(self.policies.clone()).unwrap();
        let report =
            check::observed(input, context, &self.policies, &self.settings, &options, self.now, &mut collector);
        (report.unwrap(), collector.finish().unwrap())
    }

    /// An audit of an API server that has the object beside the others; `None` where it does not judge such objects.
    fn audit(&self, stored: Value, runtime: &tokio::runtime::Runtime) -> Option<Verdict> {
        let id = &self.manifest.id;
        let objects: Vec<Value> = self.others.iter().cloned().chain([stored]).collect();
        let served = self.policies.needed_context().keys();
        let client = || Stored::new(&objects, served.clone(), &self.unsynced, &self.kinds).client();
        let options = audit::Options { pause: Duration::ZERO, attempts: 1, ..audit::Options::default() };
        let done = runtime.block_on(async {
            audit::run(&client(), &self.policies, &self.settings, &options, self.now, |_| {}).await.unwrap()
        });
        let mut verdict = None;
        let of = |error: &seawall::report::Failure| {
            error.message.contains(&format!("/{}: ", id.name)) || error.message.contains(&format!(" {}: ", id.name))
        };
        let errors: Vec<seawall::report::Failure> = done.errors().iter().filter(|error| of(error)).cloned().collect();
        done.each(&mut |row| {
            if row.resource.kind == id.kind && row.resource.namespace == id.namespace && row.resource.name == id.name {
                verdict = Some(Verdict::of_row(row, &errors));
            }
            Ok(())
        })
        .unwrap();
        verdict
    }

    /// A StatefulSet that uses an object, so that the object counts in a row; nothing for objects that never do.
    fn user(&self) -> Vec<Value> {
        let (name, namespace) = (&self.manifest.id.name, self.manifest.namespace().unwrap_or("default"));
        let set = |spec: Value, namespace: &str| {
            let mut whole = json!({"serviceName": "seawall-user", "selector": {"matchLabels": {"app": "seawall-user"}}, "template":
                {"metadata": {"labels": {"app": "seawall-user"}}, "spec": {"containers": [{"name": "c", "image": "example.com/c:1"}]}}});
            if let Some(volumes) = spec.get("volumes") {
                whole["template"]["spec"]["volumes"] = volumes.clone();
            }
            if let Some(templates) = spec.get("volumeClaimTemplates") {
                whole["volumeClaimTemplates"] = templates.clone();
            }
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "seawall-user", "namespace": namespace}, "spec": whole})
        };
        let claiming = |claim: &str| json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]});
        match self.manifest.resource.fact_name().as_str() {
            "persistentvolumeclaims" => vec![set(claiming(name), namespace)],
            "storageclasses" => {
                let claim = json!({"metadata": {"name": "d"}, "spec": {"storageClassName": name, "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}}}});
                vec![set(json!({"volumeClaimTemplates": [claim]}), "default")]
            }
            "persistentvolumes" => {
                let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "seawall-user", "namespace": "default"},
                    "spec": {"volumeName": name, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
                vec![claim, set(claiming("seawall-user"), "default")]
            }
            "namespaces" => vec![set(json!({}), name)],
            _ => Vec::new(),
        }
    }
}

fn row_of<'r>(report: &'r Report, manifest: &Manifest) -> Option<&'r Judged> {
    report.objects.iter().find(|row| row.resource == manifest.id)
}

#[derive(Default)]
struct Tally {
    cases: usize,
    checked: usize,
    audited: usize,
    scored: usize,
    /// Policies whose cases with a violation an audit, or a scorecard, saw as well.
    found: BTreeMap<&'static str, BTreeSet<String>>,
    problems: Vec<String>,
}

impl Tally {
    fn compare(&mut self, folder: &str, who: &'static str, verdict: &Verdict, wanted: &Verdict, policy: &str) {
        if verdict != wanted {
            self.problems.push(format!("{folder}: {who}\n  says   {verdict:?}\n  wanted {wanted:?}"));
        }
        if !verdict.violations.is_empty() {
            self.found.entry(who).or_default().insert(policy.to_owned());
        }
    }
}

fn of_policies(policies: &[&Policy]) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut worker = Worker::new();
    let mut tally = Tally::default();
    for policy in policies {
        let package = policy.unit.package.trim_start_matches("data.");
        for files in bundle().cases.get(package).into_iter().flatten() {
            let case = Case::parse(files).unwrap();
            tally.cases += 1;
            one(&case, &files.folder, policy.id(), PatchSetting::Disabled, &mut worker, &runtime, &mut tally);
            if policy.unit.has(Entry::Patch) {
                one(&case, &files.folder, policy.id(), PatchSetting::Enabled, &mut worker, &runtime, &mut tally);
            }
        }
    }
    tally
}

#[test]
fn admission_check_audit_and_checklist_say_the_same() {
    // one half of the policies on each core
    let halves: Vec<&Policy> = set().policies().iter().collect();
    let tallies = std::thread::scope(|scope| {
        let half = |part: usize| {
            let own: Vec<&Policy> = halves.iter().skip(part).step_by(2).copied().collect();
            scope.spawn(move || of_policies(&own))
        };
        let threads: Vec<_> = [0, 1].into_iter().map(half).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<Tally>>()
    });
    let mut tally = Tally::default();
    for other in tallies {
        tally.cases += other.cases;
        tally.checked += other.checked;
        tally.audited += other.audited;
        tally.scored += other.scored;
        tally.problems.extend(other.problems);
        for (who, policies) in other.found {
            tally.found.entry(who).or_default().extend(policies);
        }
    }
    let Tally { cases, checked, audited, scored, found, problems } = tally;
    let shown: Vec<&String> = problems.iter().take(20).collect();
    assert!(problems.is_empty(), "{} of {cases} cases differ: {shown:#?}", problems.len());
    // nothing is compared by leaving everything out
    let numbers = format!("{cases} cases: {checked} checked, {audited} audited, {scored} scored; {found:?}");
    assert!(checked * 10 > cases * 9 && audited * 10 > cases * 8 && scored * 10 > cases * 7, "{numbers}");
    for who in ["check", "audit", "checklist"] {
        assert!(found[who].len() * 10 > set().policies().len() * 8, "{who}: {numbers}");
    }
}

fn one(
    case: &Case,
    folder: &str,
    policy: &str,
    patch: PatchSetting,
    worker: &mut Worker,
    runtime: &tokio::runtime::Runtime,
    tally: &mut Tally,
) {
    let Some(scene) = Scene::new(case, policy, patch) else { return };
    let (created, stored) = scene.admission(false, worker);
    let (wanted, _) = scene.admission(true, worker);
    if created != wanted && !SAYS_MORE_OF_WHAT_EXISTS.contains(&policy) {
        tally.problems.push(format!("{folder}: the object counts itself\n  first  {created:?}\n  second {wanted:?}"));
    }
    let (report, card) = scene.check(&[]);
    let Some(row) = row_of(&report, &scene.manifest) else { return };
    tally.checked += 1;
    tally.compare(folder, "check", &Verdict::of_row(row, &report.errors), &wanted, policy);
    if let Some(verdict) = scene.audit(stored, runtime) {
        tally.audited += 1;
        tally.compare(folder, "audit", &verdict, &wanted, policy);
    }
    let id = &scene.manifest.id;
    if let Some(verdict) = Verdict::of_card(&card, &id.kind, &id.name) {
        tally.scored += 1;
        tally.compare(folder, "checklist", &verdict, &wanted, policy);
    }
    let user = scene.user();
    if !user.is_empty() {
        // beside its user the object may have another verdict; whatever check says of it is in the row of its user
        let (report, card) = scene.check(&user);
        let Some(row) = row_of(&report, &scene.manifest) else { return };
        let of_row = Verdict::of_row(row, &[]);
        let verdict = Verdict::of_card(&card, &id.kind, &id.name);
        let violations = verdict.map(|v| Verdict { violations: v.violations, ..Verdict::default() });
        let wanted = Verdict { violations: of_row.violations, ..Verdict::default() };
        tally.scored += 1;
        tally.compare(folder, "checklist", &violations.unwrap_or_default(), &wanted, policy);
    }
}
