# METADATA
# title: Databases and queues need disks made for small writes
# description: >-
#   Every commit of a database waits for a small write. Spinning disks and types made for throughput or for a low price
#   make it wait for milliseconds, and their bursts run out. Some provisioners choose such a type when nothing is said.
# related_resources:
# - ref: https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html
# - ref: https://cloud.google.com/compute/docs/disks
# custom:
#   id: class-media-fits-profile
#   checklist: storage-class
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: 'Off'}
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE]}
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}
#   context:
#   - {resource: storageclasses, optional: true}
#   - {resource: persistentvolumeclaims, optional: true}
#   - {resource: persistentvolumes, optional: true}
#   parameters:
#     profiles: [oltp, queue]
#     families: [postgres, mysql, mongodb, etcd, zookeeper, rabbitmq, cockroach, tikv, yugabyte]
package seawall.policies.class_media_fits_profile

import data.seawall.lib.classes
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.storage
import data.seawall.lib.subject
import data.seawall.lib.workload

profile_label := "seawall.dev/workload-profile"

violation contains {
	"msg": msg,
	"path": ["parameters", parameter],
	"found": medium.type,
	"wanted": "a type for small writes",
	"fix": fix,
} if {
	class := input.request.object
	fields.text(class, ["kind"]) == "StorageClass"
	profile := labels.label(class, profile_label)
	profile in input.seawall.parameters.profiles
	medium := classes.slow_medium(class)
	media := classes.facts(classes.provisioner(class)).media
	parameter := parameter_of(class, media)
	msg := sprintf("The class is labelled %s, but its disks are %s: each commit waits for such a disk.", [profile, words(medium)])
	fix := sprintf("parameters: {%s: %s}", [parameter, media.instead])
}

violation contains {
	"msg": msg,
	"path": entry.path,
	"found": entry.what,
	"wanted": wanted,
	"fix": fix,
} if {
	some user in users
	entry := user.entry
	medium := classes.slow_medium(entry.class)
	msg := sprintf("%s keeps data on %s: each commit waits for such a disk.", [user.title, words(medium)])
	others := array.slice(passing(entry.class), 0, 10)
	wanted := wanted_of(others)
	fix := fix_of(entry.path[count(entry.path) - 1], others)
}

# users of volumes, each with what is behind one of them: all claim templates where the workload itself says what it needs,
# else the data of its engines.
users := array.concat(by_label, by_engine)

by_label := [user |
	target := input.request.object
	workload.label(target, profile_label) in input.seawall.parameters.profiles
	not disposable(target)
	some template in workload.claim_templates(target)
	not labels.is_disposable(template.template)
	entry := storage.behind(target, "", template.name)
	user := {"title": "The workload", "entry": entry}
]

by_engine := [user |
	target := input.request.object
	workload.label(target, profile_label) == ""
	not disposable(target)
	some place, engine in subject.engines
	engine.sure
	engine.facts.family in input.seawall.parameters.families
	some entry in subject.data_behind[place]
	user := {"title": sprintf("%s in container %s", [engine.title, engine.name]), "entry": entry}
]

disposable(target) if workload.data_kind(target) in {"cache", "scratch", "readonly"}

words(medium) := sprintf("%s (%s)", [medium.why, fields.shown(medium.type)]) if medium.stated

words(medium) := sprintf("%s (%s, the provisioner's default)", [medium.why, medium.type]) if not medium.stated

# parameter_of is the parameter that chooses the type: as the class writes it, else as the vendor does.
parameter_of(class, media) := candidates[0] if {
	names := classes.switched_on(media.parameters)
	written := sort([key |
		some key, _ in fields.dict(class, ["parameters"])
		lower(key) in names
	])
	known := sort([key |
		some key, _ in classes.facts(classes.provisioner(class)).parameters
		lower(key) in names
	])
	candidates := array.concat(array.concat(written, known), sort(names))
}

passing(class) := [name |
	some name in object.get(data.cluster.index.classes_by_provisioner, classes.provisioner(class), [])
	other := classes.known(name)
	not classes.slow_medium(other)
	not classes.is_disposable(other)
]

wanted_of(others) := "a class of disks for small writes" if {
	others == []
} else := text if {
	text := sprintf("a class of disks for small writes: %s", [concat(", ", others)])
}

fix_of(field, others) := sprintf("%s: %s", [field, others[0]])

fix_of(_, others) := "create a class with a type for small writes and name it in the claim template" if others == []
