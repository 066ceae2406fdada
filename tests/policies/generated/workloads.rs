//! Workloads, the resources of operators, and objects in versions that are served no more.

use super::fields::Share::{Always, Often, Rarely, Seldom};
use super::fields::{
    Maker, count, just, labels, list, metadata, name, none, object, one_of, own_selector, quantity, some, with,
};
use super::knowledge::{CUSTOM, GONE};
use super::pods::{fixed_volumes, other_volumes, pod_spec, template};
use super::storage::{claim_template, whole};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

fn usual() -> Maker {
    metadata(none(), none())
}

pub(super) fn stateful_set() -> Maker {
    let moment = || one_of(&["Delete", "Retain", "delete"]);
    let retention = object(vec![("whenDeleted", Often, moment()), ("whenScaled", Often, moment())]);
    let update = object(vec![
        ("type", Often, one_of(&["RollingUpdate", "OnDelete"])),
        ("rollingUpdate", Seldom, object(vec![("partition", Often, count()), ("maxUnavailable", Rarely, count())])),
    ]);
    let spec = |volumes: Maker, templates: Maker| {
        object(vec![
            ("replicas", Often, count()),
            ("serviceName", Often, name()),
            ("selector", Often, own_selector()),
            ("template", Often, template(volumes)),
            ("volumeClaimTemplates", Often, templates),
            ("persistentVolumeClaimRetentionPolicy", Often, retention.clone()),
            ("podManagementPolicy", Seldom, one_of(&["Parallel", "OrderedReady"])),
            ("updateStrategy", Seldom, update.clone()),
            ("minReadySeconds", Rarely, count()),
            ("revisionHistoryLimit", Rarely, count()),
            ("unknownField", Rarely, just(json!({"deep": {"er": true}}))),
        ])
    };
    let spec = prop_oneof![
        6 => spec(other_volumes(), some(claim_template(), 1)),
        1 => spec(other_volumes(), some(claim_template(), 3)),
        1 => spec(fixed_volumes(), list(claim_template(), 1)),
    ];
    whole(("apps/v1", "StatefulSet"), usual(), vec![("spec", Often, spec.boxed())])
}

/// A Deployment or a ReplicaSet.
fn replicated(kind: &'static str) -> Maker {
    let rolling = object(vec![
        ("maxSurge", Seldom, prop_oneof![just(json!("25%")), just(json!(0)), just(json!("0%"))].boxed()),
        ("maxUnavailable", Seldom, prop_oneof![just(json!("25%")), just(json!(1))].boxed()),
    ]);
    let strategy =
        object(vec![("type", Often, one_of(&["Recreate", "RollingUpdate"])), ("rollingUpdate", Seldom, rolling)]);
    let spec = object(vec![
        ("replicas", Often, count()),
        ("selector", Often, own_selector()),
        ("template", Often, template(fixed_volumes())),
        ("strategy", Seldom, strategy),
        ("progressDeadlineSeconds", Rarely, count()),
    ]);
    whole(("apps/v1", kind), usual(), vec![("spec", Often, spec)])
}

pub(super) fn deployment() -> Maker {
    replicated("Deployment")
}

/// What else runs Pods.
pub(super) fn other_workload() -> Maker {
    let controller = object(vec![
        ("replicas", Often, count()),
        ("selector", Often, just(json!({"app": "db"}))),
        ("template", Often, template(fixed_volumes())),
    ]);
    let job = object(vec![("template", Often, template(fixed_volumes()))]);
    let cron = object(vec![
        ("schedule", Often, one_of(&["@daily"])),
        ("jobTemplate", Often, object(vec![("spec", Often, job.clone())])),
    ]);
    prop_oneof![
        3 => replicated("ReplicaSet"),
        2 => whole(("v1", "ReplicationController"), usual(), vec![("spec", Often, controller)]),
        3 => whole(("v1", "Pod"), usual(), vec![("spec", Often, pod_spec(fixed_volumes()))]),
        1 => replicated("DaemonSet"),
        1 => whole(("batch/v1", "Job"), usual(), vec![("spec", Often, job)]),
        1 => whole(("batch/v1", "CronJob"), usual(), vec![("spec", Often, cron)]),
    ]
    .boxed()
}

/// A resource of an operator.
pub(super) fn custom() -> Maker {
    let storage = object(vec![("size", Often, quantity()), ("storageClass", Seldom, one_of(&["fast", "local"]))]);
    let spec = object(vec![
        ("instances", Seldom, count()),
        ("replicas", Seldom, count()),
        ("storage", Seldom, storage),
        ("template", Rarely, object(vec![("metadata", Often, object(vec![("labels", Often, labels())]))])),
    ]);
    let made = whole(("v1", "any"), usual(), vec![("spec", Often, spec)]);
    as_kind(made, &CUSTOM)
}

/// An object in a version that is served no more.
pub(super) fn gone() -> Maker {
    as_kind(prop_oneof![stateful_set(), deployment(), custom()].boxed(), &GONE)
}

fn as_kind(made: Maker, kinds: &'static [(String, String)]) -> Maker {
    (made, select(kinds))
        .prop_map(|(object, (version, kind))| {
            with(with(object, &["apiVersion"], Value::from(version)), &["kind"], Value::from(kind))
        })
        .boxed()
}

/// A budget of disruptions, for the facts.
pub(super) fn budget() -> Maker {
    let spec = object(vec![
        ("minAvailable", Seldom, prop_oneof![count(), just(json!("50%"))].boxed()),
        ("maxUnavailable", Seldom, prop_oneof![count(), just(json!("50%"))].boxed()),
        ("selector", Often, own_selector()),
    ]);
    whole(("policy/v1", "PodDisruptionBudget"), usual(), vec![("spec", Always, spec)])
}
