//! The defaults that the API server would have filled in before a webhook sees the object.
//!
//! From the sources of Kubernetes v1.35.4, `pkg/apis/{core,apps,batch,storage}/v1/defaults.go` and `zz_generated.defaults.go`;
//! `tests/fixtures/defaults/` holds what those functions answer. Left out is what no policy can mean: `status`, empty
//! structs, and quantities in canonical form (a quantity that was written as a number becomes text, as in the API).
//! Custom kinds get none: their defaults stand in definitions that are not here.

mod pod;

use crate::context::kinds::Resource;
use serde_json::{Map, Value, json};

/// Kinds that have defaults here: group and resource.
const KNOWN: &[(&str, &str)] = &[
    ("", "namespaces"),
    ("", "persistentvolumeclaims"),
    ("", "persistentvolumes"),
    ("", "pods"),
    ("", "podtemplates"),
    ("", "replicationcontrollers"),
    ("", "services"),
    ("apps", "daemonsets"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
    ("policy", "poddisruptionbudgets"),
    ("storage.k8s.io", "csidrivers"),
    ("storage.k8s.io", "storageclasses"),
];

/// Fields whose values are text by name: the API reads a null in them as empty text, everywhere else as nothing.
const TEXT_MAPS: &[&str] = &["labels", "annotations", "matchLabels", "nodeSelector", "parameters", "volumeAttributes"];

/// Fills in the defaults, and the namespace that `kubectl` would use.
pub fn apply(resource: &Resource, namespace: &str, object: &mut Value) {
    let name = (resource.resource.group.as_str(), resource.resource.resource.as_str());
    if KNOWN.contains(&name) {
        drop_nulls(object, false);
    }
    let Some(root) = object.as_object_mut() else { return };
    if resource.namespaced
        && let Some(metadata) = ensure(root, "metadata")
    {
        text(metadata, "namespace", namespace);
    }
    match name {
        ("", "namespaces") => self::namespace(root),
        ("storage.k8s.io", "storageclasses") => {
            set(root, "reclaimPolicy", "Delete");
            set(root, "volumeBindingMode", "Immediate");
        }
        ("storage.k8s.io", "csidrivers") => csi_driver(root),
        ("", "persistentvolumes") => persistent_volume(root),
        ("", "persistentvolumeclaims") => claim(root),
        ("", "services") => with_spec(root, service),
        ("", "pods") => with_spec(root, |spec| {
            pod::spec(spec);
            pod::only_pods(spec);
        }),
        ("", "podtemplates") => pod::template(root),
        ("", "replicationcontrollers") => with_spec(root, |spec| {
            set(spec, "replicas", 1);
            pod::template(spec);
        }),
        ("apps", "statefulsets") => with_spec(root, stateful_set),
        ("apps", "deployments") => with_spec(root, deployment),
        ("apps", "daemonsets") => with_spec(root, daemon_set),
        ("apps", "replicasets") => with_spec(root, |spec| {
            set(spec, "replicas", 1);
            pod::template(spec);
        }),
        ("batch", "jobs") => {
            job_labels(root);
            with_spec(root, job);
        }
        ("batch", "cronjobs") => with_spec(root, cron_job),
        _ => {}
    }
}

fn namespace(root: &mut Map<String, Value>) {
    let name = root.get("metadata").and_then(|m| m.get("name")).and_then(Value::as_str).unwrap_or_default().to_owned();
    if !name.is_empty()
        && let Some(labels) = ensure(root, "metadata").and_then(|metadata| ensure(metadata, "labels"))
    {
        labels.insert("kubernetes.io/metadata.name".to_owned(), Value::from(name));
    }
}

fn csi_driver(root: &mut Map<String, Value>) {
    with_spec(root, |spec| {
        set(spec, "attachRequired", true);
        set(spec, "podInfoOnMount", false);
        set(spec, "storageCapacity", false);
        set(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
        set(spec, "requiresRepublish", false);
        set(spec, "seLinuxMount", false);
        if spec.get("volumeLifecycleModes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            spec.insert("volumeLifecycleModes".to_owned(), json!(["Persistent"]));
        }
    });
}

fn persistent_volume(root: &mut Map<String, Value>) {
    with_spec(root, |spec| {
        text(spec, "persistentVolumeReclaimPolicy", "Retain");
        set(spec, "volumeMode", "Filesystem");
        if let Some(path) = object(spec, "hostPath") {
            set(path, "type", "");
        }
        quantities(spec, "capacity");
    });
}

/// A claim, also as a template in a StatefulSet.
fn claim(root: &mut Map<String, Value>) {
    with_spec(root, claim_spec);
}

/// The spec of a claim, also in an ephemeral volume.
fn claim_spec(spec: &mut Map<String, Value>) {
    set(spec, "volumeMode", "Filesystem");
    resources(spec);
}

fn service(spec: &mut Map<String, Value>) {
    text(spec, "sessionAffinity", "None");
    if spec.get("sessionAffinity").and_then(Value::as_str) == Some("ClientIP") {
        let timeout = spec.get("sessionAffinityConfig").and_then(|c| c.get("clientIP")?.get("timeoutSeconds"));
        if timeout.is_none() {
            spec.insert("sessionAffinityConfig".to_owned(), json!({"clientIP": {"timeoutSeconds": 10_800}}));
        }
    }
    text(spec, "type", "ClusterIP");
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    for port in objects(spec, "ports") {
        text(port, "protocol", "TCP");
        let unset = port.get("targetPort").is_none_or(|target| *target == json!(0) || *target == json!(""));
        if let Some(number) = port.get("port").cloned().filter(|_| unset) {
            port.insert("targetPort".to_owned(), number);
        }
    }
    let external_ips = spec.get("externalIPs").and_then(Value::as_array).is_some_and(|ips| !ips.is_empty());
    if matches!(kind.as_str(), "LoadBalancer" | "NodePort") || kind == "ClusterIP" && external_ips {
        text(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "LoadBalancer" | "NodePort" | "ClusterIP") {
        set(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
    }
}

fn stateful_set(spec: &mut Map<String, Value>) {
    text(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = ensure(spec, "updateStrategy") {
        if strategy.get("type").and_then(Value::as_str).unwrap_or_default().is_empty() {
            strategy.insert("type".to_owned(), Value::from("RollingUpdate"));
            let _ = ensure(strategy, "rollingUpdate");
        }
        // a written type without rollingUpdate stays without: only the implied one gets a partition
        if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate")
            && let Some(rolling) = object(strategy, "rollingUpdate")
        {
            set(rolling, "partition", 0);
        }
    }
    if let Some(retention) = ensure(spec, "persistentVolumeClaimRetentionPolicy") {
        text(retention, "whenDeleted", "Retain");
        text(retention, "whenScaled", "Retain");
    }
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    for template in objects(spec, "volumeClaimTemplates") {
        text(template, "apiVersion", "v1");
        text(template, "kind", "PersistentVolumeClaim");
        claim(template);
    }
    pod::template(spec);
}

fn deployment(spec: &mut Map<String, Value>) {
    set(spec, "replicas", 1);
    if let Some(strategy) = ensure(spec, "strategy") {
        text(strategy, "type", "RollingUpdate");
        if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate")
            && let Some(rolling) = ensure(strategy, "rollingUpdate")
        {
            set(rolling, "maxUnavailable", "25%");
            set(rolling, "maxSurge", "25%");
        }
    }
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "progressDeadlineSeconds", 600);
    pod::template(spec);
}

fn daemon_set(spec: &mut Map<String, Value>) {
    if let Some(strategy) = ensure(spec, "updateStrategy") {
        text(strategy, "type", "RollingUpdate");
        if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate")
            && let Some(rolling) = ensure(strategy, "rollingUpdate")
        {
            set(rolling, "maxUnavailable", 1);
            set(rolling, "maxSurge", 0);
        }
    }
    set(spec, "revisionHistoryLimit", 10);
    pod::template(spec);
}

/// A Job without labels takes those of its Pods.
fn job_labels(root: &mut Map<String, Value>) {
    let labels = root.get("spec").and_then(|s| s.get("template")?.get("metadata")?.get("labels")).cloned();
    let own = root.get("metadata").and_then(|m| m.get("labels")).and_then(Value::as_object);
    if let Some(labels) = labels.filter(|_| own.is_none_or(Map::is_empty))
        && let Some(metadata) = ensure(root, "metadata")
    {
        metadata.insert("labels".to_owned(), labels);
    }
}

fn job(spec: &mut Map<String, Value>) {
    if !present(spec, "completions") && !present(spec, "parallelism") {
        set(spec, "completions", 1);
    }
    set(spec, "parallelism", 1);
    let limit = if present(spec, "backoffLimitPerIndex") { i32::MAX } else { 6 };
    set(spec, "backoffLimit", limit);
    set(spec, "completionMode", "NonIndexed");
    set(spec, "suspend", false);
    set(spec, "manualSelector", false);
    let replacement = if present(spec, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    set(spec, "podReplacementPolicy", replacement);
    pod::template(spec);
}

fn cron_job(spec: &mut Map<String, Value>) {
    text(spec, "concurrencyPolicy", "Allow");
    set(spec, "suspend", false);
    set(spec, "successfulJobsHistoryLimit", 3);
    set(spec, "failedJobsHistoryLimit", 1);
    // the Jobs made from it get their own defaults; here only the Pods do
    if let Some(template) = object(spec, "jobTemplate") {
        with_spec(template, pod::template);
    }
}

/// Quantities of `resources.requests` and `resources.limits`.
fn resources(parent: &mut Map<String, Value>) {
    if let Some(resources) = object(parent, "resources") {
        quantities(resources, "requests");
        quantities(resources, "limits");
    }
}

/// The API answers quantities as text, also those that were written as numbers.
fn quantities(parent: &mut Map<String, Value>, key: &str) {
    for (_, quantity) in object(parent, key).into_iter().flatten() {
        if quantity.is_number() {
            *quantity = Value::from(quantity.to_string());
        }
    }
}

/// Drops what is null: to the API it is not written.
fn drop_nulls(value: &mut Value, texts: bool) {
    match value {
        Value::Object(map) if texts => {
            map.values_mut().filter(|v| v.is_null()).for_each(|v| *v = Value::from(""));
        }
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            for (key, value) in map {
                drop_nulls(value, TEXT_MAPS.contains(&key.as_str()));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_nulls(item, false)),
        _ => {}
    }
}

/// Sets a field that is not there.
fn set(map: &mut Map<String, Value>, key: &str, default: impl Into<Value>) {
    if !present(map, key) {
        map.insert(key.to_owned(), default.into());
    }
}

/// Sets a text field that is not there or empty: Go cannot tell the two apart.
fn text(map: &mut Map<String, Value>, key: &str, default: &str) {
    if map.get(key).is_none_or(|value| value.is_null() || *value == "") {
        map.insert(key.to_owned(), Value::from(default));
    }
}

/// Sets a number that is not there or 0, where Go cannot tell the two apart.
fn number(map: &mut Map<String, Value>, key: &str, default: i32) {
    if map.get(key).is_none_or(|value| value.is_null() || *value == 0) {
        map.insert(key.to_owned(), Value::from(default));
    }
}

fn present(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).is_some_and(|value| !value.is_null())
}

/// An object below a key, where there is one.
fn object<'m>(map: &'m mut Map<String, Value>, key: &str) -> Option<&'m mut Map<String, Value>> {
    map.get_mut(key).and_then(Value::as_object_mut)
}

/// An object below a key, made where there is none. `None` when something else is there, which the API server refuses.
fn ensure<'m>(map: &'m mut Map<String, Value>, key: &str) -> Option<&'m mut Map<String, Value>> {
    let value = map.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

/// The objects of a list below a key.
fn objects<'m>(map: &'m mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'m mut Map<String, Value>> {
    map.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

fn with_spec(map: &mut Map<String, Value>, fill: impl FnOnce(&mut Map<String, Value>)) {
    if let Some(spec) = ensure(map, "spec") {
        fill(spec);
    }
}

#[cfg(test)]
mod tests;
