# METADATA
# title: The storage approach is written down
# description: >-
#   Managed database, operator, StatefulSet on CSI volumes, or distributed platform: which one was chosen for the data
#   stands in a label of the workload or its namespace, so that it can be questioned before it runs.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/
# custom:
#   id: approach-declared
#   checklist: storage-approach
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Audit, tier-3: "Off"}
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
package seawall.policies.approach_declared

import data.seawall.lib.approach
import data.seawall.lib.workload

target := input.request.object

# What is live is judged by approach-declared-live, unless its namespace is not known and may say it.
is_judged_live(said) if {
	workload.label(target, "seawall.dev/stage") == "live"
	said.by != "unknown"
}

violation contains found if {
	said := approach.declared(target, workload.namespace(input.request))
	not approach.is_approach(said.approach)
	not is_judged_live(said)
	approach.chooses(target)
	found := approach.undeclared(target, said)
}
