//! `seawall check`: manifests judged as the API server would have them judged.
//!
//! [`input`] finds files, [`document`] splits them, [`yaml`] and [`json`] read them with the place of every field
//! ([`position`]), [`manifest`] makes objects of them with the API's [`defaults`], [`request`] makes CREATE requests for
//! `review`, [`rebase`] turns patches of the object into patches of the file, [`fix`] writes
//! them into it. Here is the run over all of it.

pub mod defaults;
pub mod document;
pub mod exemptions;
pub mod fix;
pub mod input;
pub mod json;
mod lenient;
pub mod manifest;
pub mod position;
pub mod rebase;
pub mod request;
pub mod scalar;
pub mod yaml;

#[cfg(test)]
mod testing;
#[cfg(test)]
use testing::arbitrary_json;

use crate::admission::request::Request;
use crate::config::{SYSTEM_NAMESPACES, Settings};
use crate::context::cluster::NAMESPACES;
use crate::context::kinds::Kinds;
use crate::context::manifest::Known;
use crate::context::read::Reading;
use crate::decision::PolicyFailure;
use crate::engine::evaluate::Worker;
use crate::patch::plan::{Change, DroppedPatch};
use crate::policy::mode::{Mode, Tier};
use crate::policy::store::PolicySet;
use crate::report::observer::{Observer, Reviewed};
use crate::report::{Failure, Judged, PatchRow, Report, Source, UnknownRow, Violation};
use crate::review::{Outcome, Phase, Snapshot, review};
use input::Input;
use manifest::{Manifest, Manifests};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time for one object. Generous: nobody's `kubectl apply` waits.
const PER_OBJECT: Duration = Duration::from_secs(30);

/// What is asked of a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The mode everywhere. `None`: that of the namespaces' labels.
    pub mode: Option<Mode>,
    /// The tier where nothing raises it. `None`: that of the configuration.
    pub tier: Option<Tier>,
    /// The namespace of objects that name none.
    pub namespace: String,
}

/// What is known besides the input.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Files of objects that are known and not judged: snapshots, or what `kubectl get` prints.
    pub files: Input,
    /// A cluster that was just read.
    pub cluster: Option<Reading>,
}

/// What is known of a cluster by files and by looking, for commands that judge nothing.
#[derive(Debug, Default)]
pub struct Knowledge {
    /// The facts.
    pub known: Known,
    /// Version of the cluster, where one was read, now or for the snapshot.
    pub server_version: Option<String>,
    /// What cannot be read.
    pub errors: Vec<Failure>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Reads a context without an input.
#[must_use]
pub fn knowledge(context: Context, policies: &PolicySet, namespace: &str) -> Knowledge {
    let mut kinds = Kinds::new(policies.api_versions().clone());
    Manifests::learn(&mut kinds, &context.files);
    let files = Manifests::read(context.files, &kinds, namespace);
    let mut known = Known::default();
    learn(&mut known, context.cluster.as_ref(), &files);
    let header = context.cluster.as_ref().map(|cluster| &cluster.header).or(files.headers.first());
    let server_version = header.map(|header| header.server_version.clone());
    Knowledge { known, server_version, errors: files.errors, notes: files.notes }
}

/// Adds a cluster and files that are only known.
fn learn(known: &mut Known, cluster: Option<&Reading>, files: &Manifests) {
    if let Some(cluster) = cluster {
        known.cover(&cluster.header);
        cluster.objects.iter().for_each(|(kind, object)| known.add(kind, object));
    }
    files.headers.iter().for_each(|header| known.cover(header));
    for manifest in &files.objects {
        known.add(&manifest.resource.fact_name(), &manifest.object);
    }
}

/// Judges all objects of an input. Those of `context` are only known.
#[must_use]
pub fn check(
    input: Input,
    context: Context,
    policies: &Arc<PolicySet>,
    settings: &Settings,
    options: &Options,
    now: jiff::Timestamp,
) -> Report {
    // nothing can fail where nobody looks on
    observed(input, context, policies, settings, options, now, &mut ()).unwrap_or_default()
}

/// Judges all objects of an input while somebody looks on.
///
/// # Errors
/// When the observer cannot keep what it saw.
pub fn observed(
    input: Input,
    context: Context,
    policies: &Arc<PolicySet>,
    settings: &Settings,
    options: &Options,
    now: jiff::Timestamp,
    observer: &mut dyn Observer,
) -> io::Result<Report> {
    let mut kinds = Kinds::new(policies.api_versions().clone());
    let Context { files, cluster } = context;
    Manifests::learn(&mut kinds, &files);
    Manifests::learn(&mut kinds, &input);
    let context = Manifests::read(files, &kinds, &options.namespace);
    let manifests = Manifests::read(input, &kinds, &options.namespace);
    let mut known = Known::default();
    learn(&mut known, cluster.as_ref(), &context);
    manifests.headers.iter().for_each(|header| known.cover(header));
    let mut report = Report {
        errors: context.errors.into_iter().chain(manifests.errors).collect(),
        notes: context.notes.into_iter().chain(manifests.notes).collect(),
        ..Report::default()
    };
    let settings = Arc::new(scoped(settings, options));
    let (judged, excluded): (Vec<Manifest>, Vec<Manifest>) =
        manifests.objects.into_iter().partition(|manifest| !is_excluded(manifest, &settings));
    report.notes.extend(excluded.iter().map(|manifest| {
        let at = manifest.source([]);
        format!(
            "{}:{}:{}: skipped, objects of {} are never judged",
            at.file,
            at.line,
            at.column,
            manifest.namespace().unwrap_or_default()
        )
    }));
    for manifest in &excluded {
        known.add(&manifest.resource.fact_name(), &manifest.object);
    }
    let run = Run { policies, settings, from_labels: options.mode.is_none(), now, known };
    report.notes.extend(run.gaps(&judged));
    report.notes.extend(run.unlabelled(&judged));
    let mut worker = Worker::new();
    let (outcomes, errors) = run.outcomes(&judged, &mut worker);
    report.errors.extend(errors);
    for (manifest, done) in judged.iter().zip(outcomes) {
        if let Some(Done { request, snapshot, outcome }) = done {
            let source = manifest.source([]);
            let seen = Reviewed { request: &request, snapshot: &snapshot, outcome: &outcome, source: Some(&source) };
            observer.reviewed(&seen, &mut worker);
            report.objects.push(row(manifest, outcome, &mut report.errors));
        }
    }
    observer.namespace_done(&BTreeSet::new())?;
    Ok(report)
}

/// A manifest that was reviewed.
struct Done {
    request: Request,
    snapshot: Arc<Snapshot>,
    outcome: Outcome,
}

/// The settings with what the options say instead.
#[must_use]
pub fn scoped(settings: &Settings, options: &Options) -> Settings {
    let mut settings = settings.clone();
    if let Some(mode) = options.mode {
        settings.defaults.mode = mode;
        // patches go with the mode that was asked for, not with what the cluster's configuration says
        settings.defaults.patch = None;
    }
    if let Some(tier) = options.tier {
        settings.defaults.tier = tier;
    }
    settings
}

fn is_excluded(manifest: &Manifest, settings: &Settings) -> bool {
    manifest.namespace().is_some_and(|namespace| {
        SYSTEM_NAMESPACES.contains(&namespace)
            || settings.excluded_namespaces.iter().any(|excluded| excluded == namespace)
    })
}

/// All that the reviews of a run share.
struct Run<'r> {
    policies: &'r Arc<PolicySet>,
    settings: Arc<Settings>,
    from_labels: bool,
    now: jiff::Timestamp,
    known: Known,
}

impl Run<'_> {
    /// The outcomes, in the order of the manifests. Once patches are known, everything is judged again beside the patched
    /// objects: a class that is patched to Retain is one that retains, also for the claims in the same input.
    fn outcomes(&self, manifests: &[Manifest], worker: &mut Worker) -> (Vec<Option<Done>>, Vec<Failure>) {
        let mut errors = Vec::new();
        let mut objects: Vec<Value> = manifests.iter().map(|manifest| manifest.object.clone()).collect();
        let mut outcomes = self.pass(manifests, &objects, worker, &mut errors);
        let mut changed = false;
        for ((object, outcome), manifest) in objects.iter_mut().zip(&outcomes).zip(manifests) {
            let patched = outcome.as_ref().and_then(|done| done.outcome.patch.object.clone());
            if let Some(patched) = patched {
                changed |= self.policies.needed_context().contains_key(&manifest.resource.fact_name());
                *object = patched;
            }
        }
        if changed {
            errors.clear();
            outcomes = self.pass(manifests, &objects, worker, &mut errors);
        }
        (outcomes, errors)
    }

    fn pass(
        &self,
        manifests: &[Manifest],
        objects: &[Value],
        worker: &mut Worker,
        errors: &mut Vec<Failure>,
    ) -> Vec<Option<Done>> {
        let names: Vec<String> = manifests.iter().map(|manifest| manifest.resource.fact_name()).collect();
        let own = names.iter().map(String::as_str).zip(objects);
        let facts = self.known.facts(own, self.from_labels);
        // of a cluster that was read in some namespaces only, less is known to the objects of others
        let mut by_gaps: BTreeMap<BTreeSet<String>, Arc<Snapshot>> = BTreeMap::new();
        let judge = |manifest: &Manifest| match request::create(manifest) {
            Ok(request) => {
                let snapshot = by_gaps.entry(self.gaps_of(manifest)).or_insert_with_key(|gaps| {
                    let mut facts = facts.clone();
                    gaps.iter().for_each(|kind| facts.unset_kind(kind));
                    let facts = Arc::new(facts);
                    let snapshot = Snapshot::new(self.policies.clone(), self.settings.clone(), facts, self.now);
                    Arc::new(snapshot.with_unregistered())
                });
                let outcome = review(&request, snapshot, Phase::Full, Instant::now() + PER_OBJECT, worker);
                Some(Done { request, snapshot: snapshot.clone(), outcome })
            }
            Err(error) => {
                errors.push(Failure { source: Some(manifest.source([])), policy: None, message: error.to_string() });
                None
            }
        };
        manifests.iter().map(judge).collect()
    }

    /// The kinds of which not enough is known to judge an object.
    fn gaps_of(&self, manifest: &Manifest) -> BTreeSet<String> {
        let needed = self.policies.needed_context().keys().map(String::as_str);
        self.known.gaps(needed, manifest.namespace())
    }

    /// One line for each kind that a look at a cluster did not give and that the input would have needed.
    fn gaps(&self, manifests: &[Manifest]) -> Vec<String> {
        let kinds: BTreeSet<String> = manifests.iter().flat_map(|manifest| self.gaps_of(manifest)).collect();
        let line = |kind: String| {
            let reason = self.known.coverage()?.gap(&kind)?;
            Some(format!("{kind}: {reason}; policies that need it answer unknown"))
        };
        kinds.into_iter().filter_map(line).collect()
    }

    /// One line for each namespace whose labels are wanted and not known.
    fn unlabelled(&self, manifests: &[Manifest]) -> Vec<String> {
        if !self.from_labels {
            return Vec::new();
        }
        let own = manifests.iter().filter(|manifest| manifest.resource.fact_name() == NAMESPACES);
        let own: BTreeSet<&str> = own.map(|manifest| manifest.id.name.as_str()).collect();
        let others = self.known.facts([], true);
        let wanted: BTreeSet<&str> = manifests.iter().filter_map(Manifest::namespace).collect();
        let defaults = self.settings.defaults;
        let line = |namespace: &str| {
            format!(
                "namespace {namespace}: its labels are not known, so {} and mode {} hold; give it with --snapshot or --live",
                defaults.tier, defaults.mode
            )
        };
        let is_known = |name: &str| own.contains(name) || others.namespace_labels(name).is_some();
        wanted.into_iter().filter(|namespace| !is_known(namespace)).map(line).collect()
    }
}

/// What a review found, with places.
fn row(manifest: &Manifest, outcome: Outcome, errors: &mut Vec<Failure>) -> Judged {
    let source = manifest.source([]);
    let mut failure = |policy: String, message: String| {
        errors.push(Failure { source: Some(source.clone()), policy: Some(policy), message });
    };
    for PolicyFailure { policy, reason, .. } in outcome.failures {
        failure(policy, reason);
    }
    for DroppedPatch { policies, reason, .. } in outcome.patch.dropped {
        failure(policies.join(", "), format!("no patch: {reason}"));
    }
    let violations = outcome.findings.into_iter().map(|finding| {
        let source = place(manifest, &finding.path);
        Violation { finding, source }
    });
    Judged {
        resource: manifest.id.clone(),
        // a uid in a file says nothing about the cluster that it is applied to
        uid: None,
        judged_in: manifest.namespace().map(str::to_owned),
        violations: violations.collect(),
        patches: [(outcome.patch.applied, true), (outcome.patch.proposed, false)]
            .into_iter()
            .filter_map(|(changes, permitted)| patch(manifest, &changes, permitted))
            .collect(),
        unknown: outcome.unknown.into_iter().map(|u| UnknownRow { policy: u.policy, missing: u.missing }).collect(),
        source,
    }
}

fn place(manifest: &Manifest, path: &[crate::admission::pointer::Step]) -> Source {
    use crate::admission::pointer::Step;
    let tokens: Vec<String> = path
        .iter()
        .map(|step| match step {
            Step::Index(index) => index.to_string(),
            Step::Key(key) => key.clone(),
        })
        .collect();
    manifest.source(tokens.iter().map(String::as_str))
}

fn patch(manifest: &Manifest, changes: &[Change], permitted: bool) -> Option<PatchRow> {
    let rebased = rebase::rebase(manifest, changes)?;
    let policies: BTreeSet<&str> = changes.iter().map(|change| change.policy.as_str()).collect();
    Some(PatchRow {
        policies: policies.into_iter().map(str::to_owned).collect(),
        ops: rebased.ops,
        permitted,
        before: manifest.written.clone(),
        after: rebased.after,
        is_json: manifest.is_json,
    })
}
