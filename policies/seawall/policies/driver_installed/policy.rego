# METADATA
# title: The driver of a class is installed
# description: >-
#   A class whose CSI driver is not in the cluster is accepted, but nobody provisions its volumes: claims on it wait
#   without an error.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/storage-classes/#provisioner
# - ref: https://kubernetes-csi.github.io/docs/csi-driver-object.html
# custom:
#   id: driver-installed
#   checklist: storage-class
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE]}
#   context:
#   - {resource: csidrivers, optional: false}
#   parameters: {externalProvisioners: {}}
package seawall.policies.driver_installed

import data.seawall.lib.classes
import data.seawall.lib.object as fields

violation contains {
	"msg": concat(" ", [missing, "nobody provisions volumes for this class, claims on it stay Pending."]),
	"path": ["provisioner"],
	"found": provisioner,
	"wanted": wanted,
	"fix": sprintf(
		"install %s with its CSIDriver object, or set provisioner to a driver that is installed",
		[fields.shown(needed)],
	),
} if {
	needed := driver
	not is_known(needed)
}

provisioner := classes.provisioner(input.request.object)

# driver is the CSI driver that the class needs; undefined where it needs none.
driver := name if {
	name := provisioner
	is_driver_name(name)
	not is_external
	not classes.is_bucket(input.request.object)
} else := name if {
	name := classes.migrated_to(provisioner)
}

# Names of drivers are names of objects: no slash. Provisioners outside of CSI have one, by convention.
is_driver_name(name) if {
	contains(name, ".")
	not contains(name, "/")
}

# is_external: it is known, and known as something else than a driver.
is_external if fields.field(input.seawall.parameters, ["externalProvisioners", provisioner], false) == true

is_external if {
	row := classes.row_of(provisioner)
	row != ""
	not is_driver_name(row)
}

is_known(name) if data.cluster.csidrivers[name]

missing := text if {
	driver == provisioner
	text := sprintf("No CSIDriver %s is in this cluster:", [fields.shown(driver)])
} else := sprintf("%s is served by %s, and no CSIDriver %s is in this cluster:", [
	provisioner,
	driver,
	driver,
])

wanted := "an installed driver" if {
	installed == []
} else := sprintf("an installed driver: %s", [concat(", ", array.slice(installed, 0, 10))])

# All drivers of the cluster: there are a handful, and they are only read for this message. Those that make nothing
# but inline volumes cannot serve a class.
installed := sort([name |
	# seawall-lint: ignore context/cluster-scan a cluster has a handful of drivers, and only the message reads them
	some name, object in data.cluster.csidrivers
	"Persistent" in fields.field(object, ["spec", "volumeLifecycleModes"], ["Persistent"])
])
