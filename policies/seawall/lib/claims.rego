# METADATA
# title: Claims and their access modes
# description: >
#   Who can mount a claim of the cluster, and which access modes a storage gives. Functions below "Cluster" read
#   data.cluster: a policy that calls one declares the kind that it names.
package seawall.lib.claims

import data.seawall.lib.classes
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.storage

# modes of a claim: once it is bound, those of its volume, which are what counts when a node mounts it.
modes(claim) := bound if {
	bound := fields.list(claim, ["status", "accessModes"])
	count(bound) > 0
} else := fields.list(claim, ["spec", "accessModes"])

# single_node: one node, or one Pod, at a time can mount the claim for writing.
single_node(claim) if {
	found := modes(claim)
	some mode in ["ReadWriteOnce", "ReadWriteOncePod"]
	mode in found
	not "ReadWriteMany" in found
}

# reach says who can mount a claim of a single node.
reach(claim) := "one Pod at a time" if {
	"ReadWriteOncePod" in modes(claim)
} else := "one node at a time"

# harmless: by declaration nothing of worth is written to the claim.
harmless(claim) if labels.data_kind(claim) in {"scratch", "readonly"}

# static: a volume that exists is asked for, so no provisioner makes one.
static(claim) if fields.text(claim, ["spec", "volumeName"]) != ""

static(claim) if fields.field(claim, ["spec", "selector"], null) != null

# What a storage gives ---

volume_mode(value) := fields.field(value, ["spec", "volumeMode"], "Filesystem")

# offered are the access modes that a storage gives in a volume mode. Undefined for what is no volume mode, and where
# nothing is known.
offered(row, facts, mode) := array.concat(facts.filesystemModes, added(row, mode)) if mode == "Filesystem"

offered(row, facts, mode) := array.concat(facts.blockModes, added(row, mode)) if mode == "Block"

added(row, mode) := object.get(beyond_table, [row, mode], [])

# beyond_table: by the row of a provisioner, what newer releases, or settings that no class shows, give beyond the table of
# provisioners.
beyond_table := {
	# Volumes with a file system are shared over NFS where the operator's NFS server is on:
	# https://github.com/piraeusdatastore/piraeus-operator/releases/tag/v2.12.0-rc.2
	"linstor.csi.linbit.com": {"Filesystem": ["ReadWriteMany"]},
	# The driver makes a sharedv4 volume for a claim that asks for it, whatever the class says:
	# https://github.com/libopenstorage/openstorage/blob/master/csi/controller.go
	"pxd.portworx.com": {"Filesystem": ["ReadWriteMany", "ReadOnlyMany"]},
	# https://github.com/openebs/openebs/pull/4231
	"io.openebs.csi-mayastor": {"Filesystem": ["ReadOnlyMany"], "Block": ["ReadWriteMany"]},
	# A class of the type device makes raw volumes.
	"openebs.io/local": {"Block": ["ReadWriteOnce"]},
	# https://openebs.io/docs/user-guides/local-storage-user-guide/local-pv-rawfile/advanced-operations/rawfile-raw-block-volume
	"rawfile.csi.openebs.io": {"Block": ["ReadWriteOnce"]},
}

# refused names what a claim, or a volume, asks for and its storage does not give: "Block", or access modes that many
# nodes need. The others are not judged: every storage that a single node can mount gives them.
refused(value, row, facts) := ["Block"] if {
	volume_mode(value) == "Block"
	offered(row, facts, "Block") == []
} else := [mode |
	given := offered(row, facts, volume_mode(value))
	wanted := fields.list(value, ["spec", "accessModes"])
	some mode in ["ReadWriteMany", "ReadOnlyMany"]
	mode in wanted
	not mode in given
]

# Cluster ---

# known is the claim of this name in the cluster, null where there is none. Reads persistentvolumeclaims.
known(namespace, name) := claim if {
	claim := data.cluster.persistentvolumeclaims[namespace][name]
} else := null

# provisioned is what the provisioner of its class makes of a claim: class (its name), provisioner, facts, and what of the
# claim it refuses. Undefined where a volume that exists is asked for; nothing is refused where class or provisioner are not
# known. Reads storageclasses.
provisioned(claim) := made if {
	not static(claim)
	name := storage.class_name(claim)
	class := storage.named(name)
	facts := storage.facts(class)
	provisioner := classes.provisioner(class)
	not classes.is_static(class)
	made := {
		"class": fields.shown(name),
		"provisioner": fields.shown(provisioner),
		"facts": facts,
		"refused": refused(claim, classes.row_of(provisioner), facts),
	}
}

# reliable: what is known of a storage was read in the vendor's documents, and its driver keeps to it. Drivers of node-local
# storage often refuse nothing, and serve every Pod on that node.
reliable(facts) if {
	facts.verified
	facts.boundTo != "node"
}

# proven: the refusal may lead to a denial. What asks for ReadOnlyMany may be content with one node.
proven(facts, mode) if {
	mode != "ReadOnlyMany"
	reliable(facts)
}

# giving lists classes of the cluster that are known for sure to give a claim all that it asks for, sorted, at most ten. (A cluster
# has few provisioners.) Reads storageclasses.
giving(claim) := array.slice(sort(found), 0, 10) if {
	found := [name |
		some provisioner, names in data.cluster.index.classes_by_provisioner
		facts := classes.facts(provisioner)
		reliable(facts)
		refused(claim, classes.row_of(provisioner), facts) == []
		some name in names
		class := classes.known(name)
		not classes.is_disposable(class)
	]
}
