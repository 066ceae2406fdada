//! Manifests for the tests. [`stateful_set`] and [`storage_class`] are right in every respect that a tier-2 namespace asks
//! for, so that a test changes the one thing it is about.

use serde_json::{Value, json};

/// Small edits of a manifest by JSON Pointer.
pub(crate) trait Manifest {
    /// Sets a value, making the objects on the way.
    fn with(self, pointer: &str, value: impl Into<Value>) -> Value;
    /// Takes a key away.
    fn without(self, pointer: &str) -> Value;
    /// The record of what was patched: pointer to the policies that had a part in it, each with the value that it found.
    fn record(&self) -> Value;
    /// Fails the test unless the record names `policy`; counts for `docs/coverage.md` as
    /// [`Output::denied_by`](super::kubectl::Output::denied_by) does.
    fn patched_by(self, policy: &str) -> Self;
}

impl Manifest for Value {
    fn with(mut self, pointer: &str, value: impl Into<Value>) -> Value {
        let mut place = &mut self;
        for token in pointer.split('/').skip(1) {
            let key = token.replace("~1", "/").replace("~0", "~");
            place = match place {
                Value::Array(items) => &mut items[key.parse::<usize>().unwrap()],
                other => &mut other[key],
            };
        }
        *place = value.into();
        self
    }

    fn without(mut self, pointer: &str) -> Value {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        self.pointer_mut(parent).unwrap().as_object_mut().unwrap().shift_remove(&key.replace("~1", "/"));
        self
    }

    fn record(&self) -> Value {
        let text = self["metadata"]["annotations"]["seawall.dev/patched"].as_str().unwrap_or("null");
        serde_json::from_str(text).unwrap()
    }

    #[track_caller]
    fn patched_by(self, policy: &str) -> Self {
        let record = self.record();
        let mut entries = record.as_object().into_iter().flat_map(|r| r.values()).filter_map(Value::as_array).flatten();
        assert!(entries.any(|entry| entry["policy"] == policy), "{policy} is not in the record: {record}");
        self
    }
}

/// Several objects as one document.
pub(crate) fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// A StorageClass that nobody has anything against.
pub(crate) fn storage_class(name: &str) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": "ebs.csi.aws.com", "reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": true, "parameters": {"type": "gp3", "encrypted": "true"},
    })
}

/// A driver that is installed.
pub(crate) fn csi_driver(name: &str) -> Value {
    json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": name}, "spec": {}})
}

/// The headless Service of [`stateful_set`].
pub(crate) fn headless_service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": [{"name": "postgres", "port": 5432}]},
    })
}

/// A PostgreSQL StatefulSet of three as the checklist wants it, with claims of class `standard`.
pub(crate) fn stateful_set(name: &str) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {
            "name": name, "labels": {"app": name, "seawall.dev/storage-approach": "csi-statefulset"}},
        "spec": {
            "serviceName": name, "replicas": 3, "selector": {"matchLabels": labels},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "template": {"metadata": {"labels": labels}, "spec": {
                "terminationGracePeriodSeconds": 120,
                "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}]}},
                "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": labels}}],
                "containers": [{
                    "name": "postgres", "image": "postgres:17.2",
                    "ports": [{"name": "postgres", "containerPort": 5432}],
                    // three that replicate
                    "env": [{"name": "PATRONI_SCOPE", "value": name}],
                    "readinessProbe": {"exec": {"command": ["pg_isready", "-U", "postgres"]}},
                    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
                    "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
                }],
            }},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "storageClassName": "standard", "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "10Gi"}}}}],
        },
    })
}

/// What `database-without-volume` denies in tier-0 to tier-2.
pub(crate) fn database_without_volume(name: &str) -> Value {
    stateful_set(name).without("/spec/volumeClaimTemplates").without("/spec/template/spec/containers/0/volumeMounts")
}

/// A claim that a user writes by hand.
pub(crate) fn claim(name: &str, class: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"storageClassName": class, "accessModes": ["ReadWriteOnce"],
                 "resources": {"requests": {"storage": "1Gi"}}},
    })
}
