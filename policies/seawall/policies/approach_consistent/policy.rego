# METADATA
# title: The storage approach is true
# description: >-
#   A label that says operator, managed or distributed promises failover, backups or copies of the data. Where the object
#   shows that nobody provides them, the label hides a gap.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/
# custom:
#   id: approach-consistent
#   checklist: storage-approach
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   - {apiGroups: [postgresql.cnpg.io], apiVersions: [v1], resources: [clusters], operations: [CREATE, UPDATE]}
#   - {apiGroups: [acid.zalan.do], apiVersions: [v1], resources: [postgresqls], operations: [CREATE, UPDATE]}
#   - apiGroups: [postgres-operator.crunchydata.com]
#     apiVersions: [v1, v1beta1]
#     resources: [postgresclusters]
#     operations: [CREATE, UPDATE]
#   - apiGroups: [psmdb.percona.com]
#     apiVersions: [v1]
#     resources: [perconaservermongodbs]
#     operations: [CREATE, UPDATE]
#   - apiGroups: [pxc.percona.com]
#     apiVersions: [v1]
#     resources: [perconaxtradbclusters]
#     operations: [CREATE, UPDATE]
#   - apiGroups: [mongodbcommunity.mongodb.com]
#     apiVersions: [v1]
#     resources: [mongodbcommunity]
#     operations: [CREATE, UPDATE]
#   - {apiGroups: [kafka.strimzi.io], apiVersions: [v1, v1beta2], resources: [kafkas], operations: [CREATE, UPDATE]}
#   - {apiGroups: [platform.confluent.io], apiVersions: [v1beta1], resources: [kafkas], operations: [CREATE, UPDATE]}
#   - apiGroups: [elasticsearch.k8s.elastic.co]
#     apiVersions: [v1]
#     resources: [elasticsearches]
#     operations: [CREATE, UPDATE]
#   - {apiGroups: [rabbitmq.com], apiVersions: [v1beta1], resources: [rabbitmqclusters], operations: [CREATE, UPDATE]}
#   - apiGroups: [cassandra.datastax.com]
#     apiVersions: [v1beta1]
#     resources: [cassandradatacenters]
#     operations: [CREATE, UPDATE]
#   - {apiGroups: [k8ssandra.io], apiVersions: [v1alpha1], resources: [k8ssandraclusters], operations: [CREATE, UPDATE]}
#   - {apiGroups: [scylla.scylladb.com], apiVersions: [v1], resources: [scyllaclusters], operations: [CREATE, UPDATE]}
#   - apiGroups: [redis.redis.opstreelabs.in]
#     apiVersions: [v1beta2]
#     resources: [redis, redisreplications, redisclusters]
#     operations: [CREATE, UPDATE]
#   - {apiGroups: [minio.min.io], apiVersions: [v2], resources: [tenants], operations: [CREATE, UPDATE]}
#   - apiGroups: [clickhouse.altinity.com]
#     apiVersions: [v1]
#     resources: [clickhouseinstallations]
#     operations: [CREATE, UPDATE]
#   context:
#   - {resource: namespaces, optional: true}
#   - {resource: storageclasses, optional: true}
package seawall.policies.approach_consistent

import data.seawall.lib.approach
import data.seawall.lib.containers
import data.seawall.lib.engines
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

kind := fields.shown(fields.text(target, ["kind"]))

said := approach.declared(target, workload.namespace(input.request))

# The label of a namespace speaks for its databases, not for everything that has a volume.
speaks if said.by == "own"

speaks if approach.runs_database

applies if {
	approach.chooses(target)
	speaks
}

where := "its own label" if said.by == "own"

where := "the label of its namespace" if said.by == "namespace"

violation contains {
	"msg": sprintf("%s says storage approach %s, but %s", [where, said.approach, gap.but]),
	"path": ["metadata", "labels", "seawall.dev/storage-approach"],
	"found": said.approach,
	"wanted": gap.wanted,
	"fix": gap.fix,
	"key": gap.key,
} if {
	applies
	some gap in gaps
}

relabel(word) := sprintf("metadata: {labels: {seawall.dev/storage-approach: %s}}", [word])

gaps contains {
	"but": sprintf("no operator owns this %s: failover, backups and upgrades are nobody's work", [kind]),
	"wanted": "a resource of an operator, or the approach that is true",
	"fix": sprintf("create the operator's resource instead, or %s", [relabel("csi-statefulset")]),
	"key": "operator",
} if {
	said.approach == "operator"
	approach.is_workload(target)
	count(workload.controllers(target)) == 0
}

gaps contains {
	"but": sprintf("%s runs here in container %s, on a claim: nobody else manages it", [entry.title, entry.name]),
	"wanted": "the approach that is true for this workload",
	"fix": relabel("csi-statefulset"),
	"key": concat("/", ["managed", entry.name]),
} if {
	said.approach == "managed"
	some entry in subject.engines
	entry.sure
	engines.needs_volume(entry)
	on_claim(entry)
}

on_claim(entry) if {
	some mount in engines.lasting_mounts(target, entry)
	containers.kind(target, mount.volume) in {"claimTemplate", "persistentVolumeClaim"}
}

# Volumes of a zone, node or region belong to the provider or the node; what arrays and file servers do is not known.
gaps contains {
	"but": sprintf("the volumes of class %s (%s) are kept by no storage system of the cluster", [
		fields.shown(template.class_name),
		fields.shown(fields.text(template.class, ["provisioner"])),
	]),
	"wanted": "a class of a storage system that keeps copies inside the cluster, or the approach that is true",
	"fix": relabel("csi-statefulset"),
	"key": concat("/", ["distributed", template.name]),
} if {
	said.approach == "distributed"
	some template in subject.templates
	not labels.is_disposable(template.claim)
	fields.text(template.facts, ["boundTo"]) in {"node", "zone", "region"}
}

gaps contains {
	"but": "this is a Deployment, which gives no Pod a volume of its own",
	"wanted": "a StatefulSet with volumeClaimTemplates",
	"fix": "use kind: StatefulSet with the claim in volumeClaimTemplates",
	"key": "csi-statefulset",
} if {
	said.approach == "csi-statefulset"
	approach.is_workload(target)
	not approach.is_set(target)
}

gaps contains {
	"but": sprintf("this %s belongs to %s", [kind, title]),
	"wanted": "operator",
	"fix": relabel("operator"),
	"key": "resource",
} if {
	said.approach in {"managed", "csi-statefulset"}
	title := approach.operator_of(target)
}
