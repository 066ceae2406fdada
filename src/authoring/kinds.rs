//! Kinds by the plural that METADATA names them with, and a small valid object of each for cases.

use crate::config::closest;
use crate::context::kinds::Kinds;
use serde_json::{Map, Value, json};

/// What a policy can be about: plural, `apiVersion`, kind, and the YAML of an object without its metadata.
const KNOWN: &[(&str, &str, &str, &str)] = &[
    ("configmaps", "v1", "ConfigMap", "data: {mode: primary}"),
    (
        "cronjobs",
        "batch/v1",
        "CronJob",
        "spec: {schedule: 0 3 * * *, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: orders, image: 'orders:1.0'}]}}}}}",
    ),
    ("csidrivers", "storage.k8s.io/v1", "CSIDriver", "spec: {attachRequired: true}"),
    ("daemonsets", "apps/v1", "DaemonSet", WORKLOAD),
    ("deployments", "apps/v1", "Deployment", WORKLOAD),
    ("endpointslices", "discovery.k8s.io/v1", "EndpointSlice", "addressType: IPv4\nendpoints: []"),
    (
        "horizontalpodautoscalers",
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: orders}}",
    ),
    (
        "ingresses",
        "networking.k8s.io/v1",
        "Ingress",
        "spec: {defaultBackend: {service: {name: orders, port: {number: 80}}}}",
    ),
    (
        "jobs",
        "batch/v1",
        "Job",
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: orders, image: 'orders:1.0'}]}}}",
    ),
    ("limitranges", "v1", "LimitRange", "spec: {limits: [{type: PersistentVolumeClaim, min: {storage: 1Gi}}]}"),
    ("namespaces", "v1", "Namespace", ""),
    ("networkpolicies", "networking.k8s.io/v1", "NetworkPolicy", "spec: {podSelector: {}, policyTypes: [Ingress]}"),
    (
        "persistentvolumeclaims",
        "v1",
        "PersistentVolumeClaim",
        "spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 10Gi}}}",
    ),
    (
        "persistentvolumes",
        "v1",
        "PersistentVolume",
        "spec: {accessModes: [ReadWriteOnce], capacity: {storage: 10Gi}, persistentVolumeReclaimPolicy: Retain, csi: {driver: ebs.csi.aws.com, volumeHandle: vol-1}}",
    ),
    (
        "poddisruptionbudgets",
        "policy/v1",
        "PodDisruptionBudget",
        "spec: {maxUnavailable: 1, selector: {matchLabels: {app: orders}}}",
    ),
    (PODS, "v1", "Pod", ""),
    ("priorityclasses", "scheduling.k8s.io/v1", "PriorityClass", "value: 1000"),
    ("replicasets", "apps/v1", "ReplicaSet", WORKLOAD),
    ("resourcequotas", "v1", "ResourceQuota", "spec: {hard: {requests.storage: 100Gi}}"),
    (
        "rolebindings",
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: orders}",
    ),
    ("roles", "rbac.authorization.k8s.io/v1", "Role", "rules: []"),
    ("serviceaccounts", "v1", "ServiceAccount", ""),
    ("services", "v1", "Service", "spec: {clusterIP: None, selector: {app: orders}, ports: [{port: 5432}]}"),
    ("statefulsets", "apps/v1", "StatefulSet", STATEFUL_SET),
    (
        "storageclasses",
        "storage.k8s.io/v1",
        "StorageClass",
        "provisioner: ebs.csi.aws.com\nreclaimPolicy: Retain\nvolumeBindingMode: WaitForFirstConsumer",
    ),
    (
        "volumeattributesclasses",
        "storage.k8s.io/v1",
        "VolumeAttributesClass",
        "driverName: ebs.csi.aws.com\nparameters: {iops: '3000'}",
    ),
    (
        "volumesnapshotclasses.snapshot.storage.k8s.io",
        "snapshot.storage.k8s.io/v1",
        "VolumeSnapshotClass",
        "driver: ebs.csi.aws.com\ndeletionPolicy: Retain",
    ),
    (
        "volumesnapshots.snapshot.storage.k8s.io",
        "snapshot.storage.k8s.io/v1",
        "VolumeSnapshot",
        "spec: {source: {persistentVolumeClaimName: data-orders-0}}",
    ),
];

const WORKLOAD: &str = "spec: {selector: {matchLabels: {app: orders}}, template: {metadata: {labels: {app: orders}}, spec: {containers: [{name: orders, image: 'orders:1.0'}]}}}";

const STATEFUL_SET: &str = "spec: {serviceName: orders, replicas: 3, selector: {matchLabels: {app: orders}}, template: {metadata: {labels: {app: orders}}, spec: {containers: [{name: orders, image: 'orders:1.0'}]}}}";

/// Pods are judged in the templates of workloads.
const PODS: &str = "pods";

/// A kind that a policy is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `storage.k8s.io`; empty for the core group.
    pub group: String,
    /// `v1`
    pub version: String,
    /// Plural, without the group.
    pub resource: String,
    /// `StorageClass`
    pub kind: String,
}

impl Target {
    /// Reads `storageclasses`, or for a custom kind `backups.velero.io/v1`, where the kind can be added: `sheep.example.com/v1=Sheep`.
    ///
    /// # Errors
    /// What is wrong with it, and what is near.
    pub fn parse(word: &str) -> Result<Self, String> {
        let named = word.split_once('=').map_or(word, |(resource, _)| resource);
        let (resource, version) = named.split_once('/').map_or((named, None), |(r, v)| (r, Some(v)));
        if let Some((_, api_version, kind, _)) = KNOWN.iter().find(|(plural, ..)| *plural == resource) {
            let (group, own) = api_version.split_once('/').unwrap_or(("", api_version));
            let plural = resource.split_once('.').map_or(resource, |(plural, _)| plural);
            let text = |text: &str| text.to_owned();
            return Ok(Self {
                group: text(group),
                version: text(version.unwrap_or(own)),
                resource: text(plural),
                kind: text(kind),
            });
        }
        let known = KNOWN.iter().map(|(plural, ..)| *plural);
        if let Some((plural, ..)) = KNOWN.iter().find(|(_, _, kind, _)| *kind == resource) {
            return Err(format!("{word:?} is a kind; wanted its plural, {plural}"));
        }
        let Some((plural, group)) = resource.split_once('.') else {
            return Err(format!(
                "no resource {word:?} is known{}; a custom one is written with group and version, backups.velero.io/v1",
                closest(word, known)
            ));
        };
        let version = version
            .filter(|version| !version.is_empty())
            .ok_or_else(|| format!("{word:?} has no version{}; wanted {resource}/v1", closest(resource, known)))?;
        let fits = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
        };
        if ![plural, group, version].into_iter().all(fits) {
            return Err(format!("{word:?} is no resource; wanted lower case, backups.velero.io/v1"));
        }
        let kind = match word.split_once('=') {
            Some((_, kind))
                if kind.starts_with(|c: char| c.is_ascii_alphabetic())
                    && kind.bytes().all(|b| b.is_ascii_alphanumeric()) =>
            {
                kind.to_owned()
            }
            Some((_, kind)) => return Err(format!("{kind:?} is no kind; wanted {named}=Backup")),
            None => singular(plural),
        };
        let text = |text: &str| text.to_owned();
        Ok(Self { group: text(group), version: text(version), resource: text(plural), kind })
    }

    /// `storage.k8s.io/v1`
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The plural, of custom kinds with the group.
    fn full(&self) -> String {
        let known = KNOWN.iter().any(|(plural, ..)| *plural == self.resource);
        if known || self.group.is_empty() { self.resource.clone() } else { format!("{}.{}", self.resource, self.group) }
    }

    /// Where the metadata of what is judged stands in the object of a case: Pods are seen in a workload's template.
    #[must_use]
    pub fn metadata(&self) -> &'static str {
        if self.resource == PODS { "/spec/template/metadata" } else { "/metadata" }
    }

    /// A small valid object of the kind, or for Pods a StatefulSet, with these labels where the policy looks for them.
    #[must_use]
    pub fn object(&self, labels: &[(&str, Value)]) -> Value {
        let (api_version, kind, rest) = if self.resource == PODS {
            ("apps/v1".to_owned(), "StatefulSet", STATEFUL_SET)
        } else {
            let full = self.full();
            let rest = KNOWN.iter().find(|(plural, ..)| *plural == full).map_or("", |(.., rest)| *rest);
            (self.api_version(), self.kind.as_str(), rest)
        };
        let resource = Kinds::default().resolve(&api_version, kind);
        let mut metadata = json!({"name": "orders"});
        if let Some(metadata) = metadata.as_object_mut().filter(|_| resource.namespaced) {
            metadata.insert("namespace".to_owned(), json!("shop"));
        }
        let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
        let rest: Map<String, Value> = serde_saphyr::from_str(rest).unwrap_or_default();
        if let Some(object) = object.as_object_mut() {
            object.extend(rest);
        }
        if let Some(metadata) = object.pointer_mut(self.metadata()).and_then(Value::as_object_mut)
            && !labels.is_empty()
        {
            let own = metadata.entry("labels").or_insert_with(|| json!({}));
            if let Some(own) = own.as_object_mut() {
                own.extend(labels.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
            }
        }
        object
    }

    /// `input.yaml` of a case: the object as it is where its kind gives its resource, else a whole AdmissionReview.
    #[must_use]
    pub fn input(&self, operation: &str, object: &Value) -> Value {
        let resolved = Kinds::default().resolve(&self.api_version(), &self.kind);
        if self.resource == PODS || resolved.resource.resource == self.resource {
            return match operation {
                "CREATE" => object.clone(),
                "DELETE" => json!({"operation": operation, "oldObject": object}),
                _ => json!({"operation": operation, "object": object, "oldObject": object}),
            };
        }
        let (group, version) = (&self.group, &self.version);
        let (new, old) = match operation {
            "CREATE" => (object.clone(), Value::Null),
            "DELETE" => (Value::Null, object.clone()),
            _ => (object.clone(), object.clone()),
        };
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "case",
            "kind": {"group": group, "version": version, "kind": self.kind},
            "resource": {"group": group, "version": version, "resource": self.resource},
            "name": "orders", "namespace": "shop", "operation": operation,
            "userInfo": {"username": "developer"}, "object": new, "oldObject": old,
        }})
    }
}

/// A kind for a plural of which only the plural is known: `backups` is `Backup`.
fn singular(plural: &str) -> String {
    let stem = match plural {
        _ if plural.ends_with("ies") => format!("{}y", plural.trim_end_matches("ies")),
        _ if plural.ends_with("sses") || plural.ends_with("uses") => plural.trim_end_matches("es").to_owned(),
        _ => plural.strip_suffix('s').unwrap_or(plural).to_owned(),
    };
    let mut letters = stem.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn the_known_kinds_are_those_of_the_api() {
        assert!(KNOWN.is_sorted_by(|a, b| a.0 < b.0));
        for (plural, api_version, kind, rest) in KNOWN {
            assert_eq!(Kinds::default().resolve(api_version, kind).fact_name(), *plural);
            let target = Target::parse(plural).unwrap();
            assert_eq!((target.api_version().as_str(), target.kind.as_str()), (*api_version, *kind));
            if !rest.is_empty() {
                let read: Map<String, Value> = serde_saphyr::from_str(rest).unwrap();
                assert!(!read.is_empty(), "{plural}");
            }
        }
    }

    #[test]
    fn custom_kinds_have_a_group_and_a_version() {
        let target = Target::parse("backups.velero.io/v1").unwrap();
        assert_eq!((target.api_version().as_str(), target.kind.as_str()), ("velero.io/v1", "Backup"));
        assert_eq!(target.input("CREATE", &target.object(&[]))["kind"], "Backup");
        let sheep = Target::parse("sheep.example.com/v1=Sheep").unwrap();
        assert_eq!(sheep.kind, "Sheep");
        assert_eq!(sheep.input("CREATE", &sheep.object(&[]))["request"]["resource"]["resource"], "sheep");
    }

    #[test]
    fn what_is_no_resource_is_explained() {
        let error = |word: &str| Target::parse(word).unwrap_err();
        assert!(error("statefulset").contains("did you mean \"statefulsets\"?"), "{}", error("statefulset"));
        assert!(error("StorageClass").contains("wanted its plural, storageclasses"));
        assert!(error("backups.velero.io").contains("wanted backups.velero.io/v1"));
        assert!(error("Backups.velero.io/v1").contains("lower case"));
        assert!(error("backups.velero.io/v1=a b").contains("is no kind"));
    }
}
