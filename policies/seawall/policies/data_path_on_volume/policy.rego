# METADATA
# title: The data directory lies on the volume
# description: >
#   A database that has a lasting volume, but mounted beside its data directory, keeps its data in the image layer: it is gone
#   with the Pod, while everybody trusts the volume.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/volumes/
# custom:
#   id: data-path-on-volume
#   checklist: statefulset
#   severity: critical
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE, UPDATE], via: direct}
#   parameters:
#     images:
#       apache/kafka: [/tmp/kraft-combined-logs, /tmp/kafka-logs]
#       bitnami/kafka: [/bitnami/kafka]
#       bitnami/mariadb: [/bitnami/mariadb]
#       bitnami/mongodb: [/bitnami/mongodb]
#       bitnami/mysql: [/bitnami/mysql]
#       bitnami/postgresql: [/bitnami/postgresql]
#       bitnami/rabbitmq: [/bitnami/rabbitmq]
#       cassandra: [/var/lib/cassandra]
#       clickhouse: [/var/lib/clickhouse]
#       clickhouse/clickhouse-server: [/var/lib/clickhouse]
#       confluentinc/cp-kafka: [/var/lib/kafka/data]
#       elasticsearch: [/usr/share/elasticsearch/data]
#       influxdb: [/var/lib/influxdb2, /var/lib/influxdb, /var/lib/influxdb3]
#       mariadb: [/var/lib/mysql]
#       mongo: [/data/db]
#       mysql: [/var/lib/mysql]
#       percona: [/var/lib/mysql]
#       pgvector/pgvector: [/var/lib/postgresql/data, /var/lib/postgresql]
#       postgis/postgis: [/var/lib/postgresql/data, /var/lib/postgresql]
#       postgis/postgis:18: ["/var/lib/postgresql/{major}"]
#       postgres: [/var/lib/postgresql/data, /var/lib/postgresql]
#       postgres:18: ["/var/lib/postgresql/{major}"]
#       rabbitmq: [/var/lib/rabbitmq]
#       scylladb/scylla: [/var/lib/scylla]
#       zookeeper: [/data]
package seawall.policies.data_path_on_volume

import data.seawall.lib.containers
import data.seawall.lib.engines
import data.seawall.lib.object as fields
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

applies if {
	not workload.judged_at_owner(target)
	not workload.data_kind(target) in {"cache", "scratch", "readonly"}
}

# astray: the containers whose data directory is known and lies beside their lasting volumes.
astray := [found |
	applies
	some place, entry in subject.engines
	entry.sure

	# What has no lasting volume at all, or its data on one that passes, is for database-without-volume and
	# cache-without-volume.
	subject.unsaved[place] == null
	mounts := engines.lasting_mounts(target, entry)
	paths := data_paths(entry, mounts)
	first := paths[0]
	not reached(mounts, paths)
	found := {"entry": entry, "mounts": mounts, "paths": paths, "first": first}
]

reached(mounts, paths) if {
	some mount in mounts
	some path in paths
	containers.touches(mount, path)
}

# A raw device may be where the data is.
reached(mounts, _) if {
	some mount in mounts
	mount.field == "volumeDevices"
}

# data_paths: where environment or arguments put the data, else where the image does. Undefined where that cannot be told.
data_paths(entry, _) := paths if {
	keeps_data(entry)
	texts := said(entry)
	count(texts) > 0
	every text in texts {
		plain(text)
	}
	paths := engines.stated_paths(entry.container, entry.facts)
}

data_paths(entry, mounts) := paths if {
	said(entry) == []
	paths := image_paths(entry.container)
	engines.needs_volume(entry)
	not configured(entry.container)
	not mentioned(entry.container, mounts)
}

# image_paths: a key of the parameter that ends with a number is for images of that major release and later ones.
image_paths(container) := paths if {
	images := input.seawall.parameters.images
	repository := engines.repository(container)
	major := major_of(container)
	releases := [release |
		some key, _ in images
		parts := split(key, ":")
		parts[0] == repository
		regex.match(`^[0-9]{1,4}$`, parts[1])
		release := to_number(parts[1])
		release <= major
	]
	key := sprintf("%s:%d", [repository, max(releases)])
	paths := [path |
		some text in fields.list(images, [key])
		path := replace(text, "{major}", format_int(major, 10))
	]
} else := paths if {
	repository := engines.repository(container)
	paths := fields.list(input.seawall.parameters.images, [repository])
}

# major_of is the number with which the image's tag begins. Undefined for `latest` and its like.
major_of(container) := major if {
	path := split(split(fields.text(container, ["image"]), "@")[0], "/")
	tag := split(path[count(path) - 1], ":")[1]
	first := split(replace(tag, "-", "."), ".")[0]
	regex.match(`^[0-9]{1,4}$`, first)
	major := to_number(first)
}

# What may be a cache is not expected to keep data where its image would; where somebody put its data, it is.
keeps_data(entry) if engines.needs_volume(entry)

keeps_data(entry) if entry.facts.volume == "advised"

said(entry) := array.concat(
	engines.env_texts(entry.container, entry.facts),
	engines.arg_texts(entry.container, entry.facts),
)

# plain: nothing has to be resolved first: no variable, no relative path, no value from elsewhere.
plain(text) if {
	not contains(text, "$")
	every part in split(text, ",") {
		startswith(trim_space(part), "/")
	}
}

# configured: the container is given settings that cannot be seen here, and that may move the data.
configured(container) if count(fields.list(container, ["envFrom"])) > 0

configured(container) if {
	some element in engines.elements(container)
	regex.match(`conf|--defaults-|\.(cnf|ini|ya?ml|toml|properties)`, lower(element))
}

configured(container) if {
	some mount in containers.file_mounts(container)
	containers.kind(target, mount.volume) in {"configMap", "projected", "secret"}
	not startswith(mount.path, "/docker-entrypoint-initdb.d")
}

# mentioned: a setting that is not in the table of engines speaks of the volume.
mentioned(container, mounts) if {
	texts := array.concat(engines.elements(container), values(container))
	some mount in mounts
	some text in texts
	contains(text, mount.path)
}

values(container) := [text |
	some variable in fields.list(container, ["env"])
	text := fields.text(variable, ["value"])
]

listed(paths, word) := concat(word, [shown |
	some path in paths
	shown := fields.shown(path)
])

violation contains {
	"msg": concat(" ", [
		sprintf("%s in container %s keeps its data in %s,", [found.entry.title, found.entry.name, where]),
		sprintf("and its volume is mounted at %s: the data is lost when the Pod is deleted or drained", [there]),
	]),
	"path": array.concat(workload.pod_path(target), ["containers", found.entry.index, "volumeMounts"]),
	"found": there,
	"wanted": sprintf("the volume mounted at %s", [where]),
	"fix": sprintf("volumeMounts: [{name: %s, mountPath: %s}]", [
		fields.shown(found.mounts[0].volume),
		fields.shown(found.first),
	]),
} if {
	some found in astray
	where := listed(found.paths, " or ")
	there := listed([path | some mount in found.mounts; path := mount.path], ", ")
}
