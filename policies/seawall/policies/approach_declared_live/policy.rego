# METADATA
# title: What is live has a storage approach
# description: >-
#   As approach-declared, for what carries seawall.dev/stage: live: by then the choice must have been made and written
#   down.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/
# custom:
#   id: approach-declared-live
#   checklist: storage-approach
#   severity: medium
#   actions: {tier-0: Deny, tier-1: Warn, tier-2: Audit, tier-3: "Off"}
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
package seawall.policies.approach_declared_live

import data.seawall.lib.approach
import data.seawall.lib.workload

target := input.request.object

is_live if workload.label(target, "seawall.dev/stage") == "live"

violation contains found if {
	is_live
	said := approach.declared(target, workload.namespace(input.request))
	not approach.is_approach(said.approach)

	# A namespace that is not known, as one that was made a moment ago, may say it: see approach-declared.
	said.by != "unknown"
	approach.chooses(target)
	found := approach.undeclared(target, said)
}
