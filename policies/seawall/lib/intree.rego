# METADATA
# title: Storage plugins inside Kubernetes
# description: >-
#   Finds the plugin inside Kubernetes that a StorageClass or a PersistentVolume names: by the provisioner of the
#   class, by the source of the volume.
package seawall.lib.intree

import data.seawall.lib.classes
import data.seawall.lib.object as fields

# The fields of a PersistentVolume whose plugins have left Kubernetes, with the names of the plugins. The set is that of
# the API: no field will be added.
sources := {
	"awsElasticBlockStore": "kubernetes.io/aws-ebs",
	"azureDisk": "kubernetes.io/azure-disk",
	"azureFile": "kubernetes.io/azure-file",
	"cephfs": "kubernetes.io/cephfs",
	"cinder": "kubernetes.io/cinder",
	"flocker": "kubernetes.io/flocker",
	"gcePersistentDisk": "kubernetes.io/gce-pd",
	"glusterfs": "kubernetes.io/glusterfs",
	"portworxVolume": "kubernetes.io/portworx-volume",
	"quobyte": "kubernetes.io/quobyte",
	"rbd": "kubernetes.io/rbd",
	"scaleIO": "kubernetes.io/scaleio",
	"storageos": "kubernetes.io/storageos",
	"vsphereVolume": "kubernetes.io/vsphere-volume",
}

# uses lists what the object names, each entry with
#   plugin:  its name, as provisioners of classes are written
#   path:    where
#   found:   what stands there
uses(value) := [entry] if {
	fields.text(value, ["kind"]) == "StorageClass"
	plugin := classes.provisioner(value)
	entry := {"plugin": plugin, "path": ["provisioner"], "found": plugin}
}

uses(value) := [entry |
	some field, source in fields.dict(value, ["spec"])
	source != null
	plugin := sources[field]
	entry := {"plugin": plugin, "path": ["spec", field], "found": field}
] if {
	fields.text(value, ["kind"]) == "PersistentVolume"
}

# fix_of is what to write instead, for a driver by name.
fix_of(entry, driver) := sprintf("provisioner: %s", [driver]) if {
	entry.path == ["provisioner"]
} else := sprintf(
	"csi: {driver: %s, volumeHandle: <id of the volume>} instead of %s",
	[driver, entry.found],
)
