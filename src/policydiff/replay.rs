//! Judges recorded reviews, one after the other: by one set, or by two that are compared.

use super::change::{Parts, compare};
use super::recorded::Replayed;
use super::reviews::{self, Recording, Scene};
use super::sets::Side;
use super::tally::{Subject, Tally};
use crate::admission::request::Request;
use crate::config::Settings;
use crate::context::facts::Facts;
use crate::context::kinds::Kinds;
use crate::context::manifest::Known;
use crate::context::scope::{deciding_namespace, namespace_of};
use crate::engine::evaluate::Worker;
use crate::policy::mode::{Mode, Tier};
use crate::policy::store::PolicySet;
use crate::review::{Forced, Outcome, Phase, Snapshot, review};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time for one review and one set.
const PER_REVIEW: Duration = Duration::from_secs(30);

/// Namespaces without known labels that are named.
const NAMED: usize = 10;

/// How reviews are judged.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The mode everywhere. `None`: that of the namespaces' labels.
    pub mode: Option<Mode>,
    /// The tier where nothing raises it. `None`: that of the configuration.
    pub tier: Option<Tier>,
}

/// One set that judges recordings.
pub struct Desk {
    set: Arc<PolicySet>,
    settings: Arc<Settings>,
    known: Arc<Known>,
    from_labels: bool,
    now: jiff::Timestamp,
    worker: Worker,
    /// By the kinds of which too little is known.
    snapshots: BTreeMap<BTreeSet<String>, Snapshot>,
}

impl Desk {
    /// A set with what is known of the cluster.
    #[must_use]
    pub fn new(side: &Side, known: &Arc<Known>, options: &Options, now: jiff::Timestamp) -> Self {
        let mut settings = (*side.settings).clone();
        if let Some(mode) = options.mode {
            settings.defaults.mode = mode;
            // patches go with the mode that was asked for
            settings.defaults.patch = None;
        }
        settings.defaults.tier = options.tier.unwrap_or(settings.defaults.tier);
        Self {
            set: side.set.clone(),
            settings: Arc::new(settings),
            known: known.clone(),
            from_labels: options.mode.is_none(),
            now,
            worker: Worker::new(),
            snapshots: BTreeMap::new(),
        }
    }

    /// What comes of a recording. `needed`: kinds that any set needs, for cases that know all of them.
    pub(super) fn outcome(&mut self, recording: &Recording, needed: &BTreeSet<String>, phase: Phase) -> Outcome {
        let request = &recording.request;
        let snapshot = match &recording.scene {
            None => self.snapshot(request),
            Some(scene) => self.of_scene(scene, request, needed),
        };
        let outcome = review(request, &snapshot, phase, Instant::now() + PER_REVIEW, &mut self.worker);
        let _ = self.worker.take_times();
        outcome
    }

    fn snapshot(&mut self, request: &Request) -> Snapshot {
        let wanted = self.set.needed_context().keys().map(String::as_str);
        let gaps = self.known.gaps(wanted, request.namespace.as_deref());
        if let Some(snapshot) = self.snapshots.get(&gaps) {
            return snapshot.clone();
        }
        let mut facts = self.known.facts([], self.from_labels);
        gaps.iter().for_each(|kind| facts.unset_kind(kind));
        let snapshot = Snapshot::new(self.set.clone(), self.settings.clone(), Arc::new(facts), self.now);
        self.snapshots.insert(gaps, snapshot.clone());
        snapshot
    }

    fn of_scene(&mut self, scene: &Scene, request: &Request, needed: &BTreeSet<String>) -> Snapshot {
        let snapshot = if scene.complete_but.is_none() && scene.objects.is_empty() {
            self.snapshot(request)
        } else {
            let kinds = Kinds::new(self.set.api_versions().clone());
            let name = |object: &Value| {
                let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
                kinds.resolve(text("apiVersion"), text("kind")).fact_name()
            };
            let names: Vec<String> = scene.objects.iter().map(name).collect();
            let facts = match &scene.complete_but {
                Some(unsynced) => {
                    let mut facts = Facts::from_objects(names.into_iter().zip(&scene.objects), &(needed - unsynced));
                    unsynced.iter().for_each(|kind| facts.unset_kind(kind));
                    if !self.from_labels {
                        facts.forget_namespace_labels();
                    }
                    facts
                }
                None => self.known.facts(names.iter().map(String::as_str).zip(&scene.objects), self.from_labels),
            };
            let now = scene.now.unwrap_or(self.now);
            Snapshot::new(self.set.clone(), self.settings.clone(), Arc::new(facts), now)
        };
        // a record of a server was judged as the server judges; a case of a policy may be about manifests only
        let snapshot = if scene.complete_but.is_some() { snapshot.with_unregistered() } else { snapshot };
        snapshot.forcing(Forced { tier: scene.tier, ..Forced::default() })
    }
}

/// Which object a recording is about.
#[must_use]
pub fn subject(recording: &Recording) -> Subject {
    let request = &recording.request;
    Subject {
        kind: request.kind.kind.clone(),
        namespace: request.namespace.clone().filter(|_| request.kind.kind != "Namespace").unwrap_or_default(),
        name: request.object_name().to_owned(),
        operation: Some(request.operation.to_string()),
        source: recording.place.clone(),
        judged_in: deciding_namespace(request).unwrap_or_default(),
    }
}

/// Kinds that any of the sets needs.
fn needed<'s>(sets: impl IntoIterator<Item = &'s Arc<PolicySet>>) -> BTreeSet<String> {
    sets.into_iter().flat_map(|set| set.needed_context().keys().cloned()).collect()
}

/// Namespaces whose labels would decide and are not known.
#[derive(Default)]
struct Unlabelled {
    names: BTreeSet<String>,
    more: bool,
}

impl Unlabelled {
    fn see(&mut self, recording: &Recording, desk: &Desk, labels: &Facts) {
        let wanted = desk.from_labels && recording.scene.is_none();
        let Some(name) = namespace_of(&recording.request).filter(|_| wanted) else { return };
        if labels.namespace_labels(&name).is_none() && !self.names.contains(&name) {
            if self.names.len() < NAMED {
                self.names.insert(name);
            } else {
                self.more = true;
            }
        }
    }

    fn note(&self, desk: &Desk) -> Option<String> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let more = if self.more { " and others" } else { "" };
        let defaults = desk.settings.defaults;
        (!names.is_empty()).then(|| {
            format!(
                "the labels of namespace {}{more} are not known, so {} and mode {} hold; give them with --snapshot or --live, \
                 or a mode with --mode",
                names.join(", "),
                defaults.tier,
                defaults.mode
            )
        })
    }
}

/// Compares two sets over recordings.
///
/// # Errors
/// Never here; what cannot be read is counted.
pub fn compare_reviews(
    paths: &[PathBuf],
    stdin: &mut dyn Read,
    (old, new): (&Side, &Side),
    known: &Arc<Known>,
    options: &Options,
    now: jiff::Timestamp,
    tally: &mut Tally,
) -> io::Result<()> {
    let mut desks = (Desk::new(old, known, options, now), Desk::new(new, known, options, now));
    let needed = needed([&old.set, &new.set]);
    let labels = known.facts([], true);
    let mut unlabelled = Unlabelled::default();
    reviews::each(paths, stdin, &mut |recording| {
        match recording {
            Ok(recording) => {
                unlabelled.see(&recording, &desks.1, &labels);
                let before = desks.0.outcome(&recording, &needed, Phase::Full);
                let after = desks.1.outcome(&recording, &needed, Phase::Full);
                tally.add(&subject(&recording), compare(Some(&before), Some(&after), Parts::All));
            }
            Err(failure) => tally.fail(failure),
        }
        Ok(())
    })?;
    tally.notes.extend(unlabelled.note(&desks.1));
    Ok(())
}

/// Judges recordings by one set and compares with what was answered.
///
/// # Errors
/// Never here; what cannot be read is counted.
pub fn replay(
    paths: &[PathBuf],
    stdin: &mut dyn Read,
    side: &Side,
    known: &Arc<Known>,
    options: &Options,
    now: jiff::Timestamp,
    replayed: &mut Replayed,
) -> io::Result<()> {
    let mut desk = Desk::new(side, known, options, now);
    let needed = needed([&side.set]);
    let labels = known.facts([], true);
    let mut unlabelled = Unlabelled::default();
    reviews::each(paths, stdin, &mut |recording| {
        match recording {
            Ok(recording) => {
                unlabelled.see(&recording, &desk, &labels);
                replayed.add(&recording, &mut |phase| desk.outcome(&recording, &needed, phase));
            }
            Err(failure) => replayed.fail(failure),
        }
        Ok(())
    })?;
    replayed.notes.extend(unlabelled.note(&desk));
    Ok(())
}
