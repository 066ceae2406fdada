//! From `apiVersion` and `kind` to the resource, without a cluster to ask.
//!
//! Kinds of Kubernetes itself are known; custom ones are known when their CustomResourceDefinition is at hand, else the plural
//! is guessed as Kubernetes does (`UnsafeGuessKindToResource`, k8s.io/apimachinery `pkg/api/meta/restmapper.go`) and the
//! kind is taken as namespaced.

use super::coverage::Header;
use crate::admission::request::{Gvk, Gvr};
use crate::policy::api_versions::ApiVersions;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// API groups of Kubernetes itself. Facts name other groups' resources in full, `backups.velero.io`.
const BUILT_IN: &[&str] = &[
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// Kinds without a namespace: group and kind.
const CLUSTER_SCOPED: &[(&str, &str)] = &[
    ("", "ComponentStatus"),
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("authentication.k8s.io", "SelfSubjectReview"),
    ("authentication.k8s.io", "TokenReview"),
    ("authorization.k8s.io", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "SelfSubjectRulesReview"),
    ("authorization.k8s.io", "SubjectAccessReview"),
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("certificates.k8s.io", "ClusterTrustBundle"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
    ("networking.k8s.io", "IPAddress"),
    ("networking.k8s.io", "IngressClass"),
    ("networking.k8s.io", "ServiceCIDR"),
    ("node.k8s.io", "RuntimeClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("resource.k8s.io", "DeviceClass"),
    ("resource.k8s.io", "DeviceTaintRule"),
    ("resource.k8s.io", "ResourceSlice"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "CSINode"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttributesClass"),
    ("storage.k8s.io", "VolumeAttachment"),
    ("storagemigration.k8s.io", "StorageVersionMigration"),
    // custom kinds that stateful workloads meet often
    ("cert-manager.io", "ClusterIssuer"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("openreports.io", "ClusterReport"),
    ("snapshot.storage.k8s.io", "VolumeSnapshotClass"),
    ("snapshot.storage.k8s.io", "VolumeSnapshotContent"),
    ("wgpolicyk8s.io", "ClusterPolicyReport"),
];

/// Plurals that the rule does not give: group, kind, plural.
const IRREGULAR: &[(&str, &str, &str)] = &[
    ("", "Endpoints", "endpoints"),
    ("gateway.networking.k8s.io", "Gateway", "gateways"),
    ("metrics.k8s.io", "NodeMetrics", "nodes"),
    ("metrics.k8s.io", "PodMetrics", "pods"),
    ("redis.redis.opstreelabs.in", "Redis", "redis"),
    ("monitoring.coreos.com", "Prometheus", "prometheuses"),
];

/// What is known of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Kind as the API server would show it to a webhook: matchPolicy `Equivalent` converts old versions.
    pub kind: Gvk,
    /// Its resource.
    pub resource: Gvr,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
    /// The `apiVersion` is not the one that webhooks see.
    pub converted: bool,
    /// The API server of today does not serve the `apiVersion`.
    pub removed: bool,
}

impl Resource {
    /// The name of the kind in `data.cluster`: the plural, of custom kinds with the group.
    #[must_use]
    pub fn fact_name(&self) -> String {
        if BUILT_IN.contains(&self.resource.group.as_str()) {
            self.resource.resource.clone()
        } else {
            format!("{}.{}", self.resource.resource, self.resource.group)
        }
    }

    /// Makes an object of an old version say the current one.
    pub fn convert(&self, object: &mut Value) {
        if let Some(object) = object.as_object_mut().filter(|_| self.converted) {
            object.insert("apiVersion".to_owned(), Value::from(self.kind.api_version()));
        }
    }
}

/// The kinds of Kubernetes and those that CustomResourceDefinitions at hand define.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    /// Plural and whether namespaced, by group and kind.
    custom: HashMap<(String, String), (String, bool)>,
    versions: Arc<ApiVersions>,
}

impl Kinds {
    /// Kinds whose old versions are known: they resolve to the current ones. Without, every version stands for itself.
    #[must_use]
    pub fn new(versions: Arc<ApiVersions>) -> Self {
        Self { versions, ..Self::default() }
    }

    /// Learns custom kinds from the header of a snapshot, whose rows say what objects they are about.
    pub fn learn_header(&mut self, header: &Header) {
        for row in &header.kinds {
            if let (Some(api_version), Some(kind), Some((plural, group))) =
                (&row.api_version, &row.kind, row.resource.split_once('.'))
                && api_version.split_once('/').map(|(group, _)| group) == Some(group)
            {
                self.custom.insert((group.to_owned(), kind.clone()), (plural.to_owned(), row.namespaced));
            }
        }
    }

    /// Learns a kind from an object; anything but a complete CustomResourceDefinition is ignored.
    pub fn learn(&mut self, object: &Value) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        if text("/kind") != Some("CustomResourceDefinition") {
            return;
        }
        if let (Some(group), Some(kind), Some(plural)) =
            (text("/spec/group"), text("/spec/names/kind"), text("/spec/names/plural"))
        {
            let namespaced = text("/spec/scope") != Some("Cluster");
            self.custom.insert((group.to_owned(), kind.to_owned()), (plural.to_owned(), namespaced));
        }
    }

    /// The resource of a kind.
    #[must_use]
    pub fn resolve(&self, api_version: &str, kind: &str) -> Resource {
        let newer = self.versions.current(api_version, kind);
        let current = newer.map_or(api_version, |version| version.current.as_str());
        let (group, version) = current.split_once('/').unwrap_or(("", current));
        let gvk = Gvk { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() };
        let custom = self.custom.get(&(group.to_owned(), kind.to_owned()));
        let (plural, namespaced) = custom.cloned().unwrap_or_else(|| {
            let irregular = IRREGULAR.iter().find(|(g, k, _)| *g == group && *k == kind);
            let plural = irregular.map_or_else(|| plural(kind), |(_, _, plural)| (*plural).to_owned());
            (plural, !CLUSTER_SCOPED.contains(&(group, kind)))
        });
        let converted = gvk.api_version() != api_version;
        Resource {
            resource: Gvr { group: gvk.group.clone(), version: gvk.version.clone(), resource: plural },
            kind: gvk,
            namespaced,
            converted,
            removed: newer.is_some_and(|version| version.removed.is_some()),
        }
    }
}

/// The usual plural of a kind, in lower case.
fn plural(kind: &str) -> String {
    let singular = kind.to_lowercase();
    if singular.ends_with('s') {
        return format!("{singular}es");
    }
    match singular.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{singular}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fact_name(api_version: &str, kind: &str) -> (String, bool) {
        let resource = Kinds::default().resolve(api_version, kind);
        (resource.fact_name(), resource.namespaced)
    }

    #[test]
    fn kinds_have_the_plurals_of_the_api() {
        let cases = [
            ("apps/v1", "StatefulSet", "statefulsets", true),
            ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
            ("v1", "PersistentVolume", "persistentvolumes", false),
            ("v1", "Namespace", "namespaces", false),
            ("v1", "Endpoints", "endpoints", true),
            ("storage.k8s.io/v1", "StorageClass", "storageclasses", false),
            ("storage.k8s.io/v1", "CSIDriver", "csidrivers", false),
            ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true),
            ("networking.k8s.io/v1", "Ingress", "ingresses", true),
            ("velero.io/v1", "Backup", "backups.velero.io", true),
            ("acid.zalan.do/v1", "postgresql", "postgresqls.acid.zalan.do", true),
            ("redis.redis.opstreelabs.in/v1beta2", "Redis", "redis.redis.redis.opstreelabs.in", true),
            (
                "snapshot.storage.k8s.io/v1",
                "VolumeSnapshotClass",
                "volumesnapshotclasses.snapshot.storage.k8s.io",
                false,
            ),
        ];
        for (api_version, kind, name, namespaced) in cases {
            assert_eq!(fact_name(api_version, kind), (name.to_owned(), namespaced), "{kind}");
        }
    }

    #[test]
    fn old_versions_are_what_webhooks_would_see() {
        let versions = json!({"api_versions": {
            "extensions/v1beta1": {"Deployment": {"current": "apps/v1", "removed": "Kubernetes 1.16", "source": "s"}},
            "autoscaling/v1": {"HorizontalPodAutoscaler": {"current": "autoscaling/v2", "source": "s"}},
        }});
        let kinds = Kinds::new(Arc::new(ApiVersions::of_knowledge(versions.as_object().unwrap()).unwrap()));
        let old = kinds.resolve("extensions/v1beta1", "Deployment");
        assert_eq!((old.kind.api_version().as_str(), old.converted, old.removed), ("apps/v1", true, true));
        let mut object = json!({"apiVersion": "extensions/v1beta1"});
        old.convert(&mut object);
        assert_eq!(object["apiVersion"], "apps/v1");
        let old = kinds.resolve("autoscaling/v1", "HorizontalPodAutoscaler");
        assert_eq!((old.resource.version.as_str(), old.converted, old.removed), ("v2", true, false));
        assert!(!kinds.resolve("apps/v1", "StatefulSet").converted);
        assert!(!kinds.resolve("velero.io/v2alpha1", "Backup").converted);
    }

    #[test]
    fn a_definition_at_hand_is_believed() {
        let mut kinds = Kinds::default();
        kinds.learn(&json!({"kind": "CustomResourceDefinition", "spec": {
            "group": "example.com", "scope": "Cluster", "names": {"kind": "Sheep", "plural": "sheep"}}}));
        kinds.learn(&json!({"kind": "CustomResourceDefinition"}));
        let resource = kinds.resolve("example.com/v1", "Sheep");
        assert_eq!((resource.fact_name().as_str(), resource.namespaced), ("sheep.example.com", false));
    }
}
