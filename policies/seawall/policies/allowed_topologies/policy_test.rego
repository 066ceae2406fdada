package seawall.policies.allowed_topologies_test

import data.seawall.policies.allowed_topologies as policy

review(value, operation) := {"request": {"operation": operation, "object": value}}

class(extra) := object.union({"kind": "StorageClass", "provisioner": "example.com/disk"}, extra)

places(values) := {"allowedTopologies": [{"matchLabelExpressions": [{
	"key": "topology.gke.io/zone",
	"values": values,
}]}]}

early(fix) := {
	"msg": concat(" ", [
		"One of the allowed topologies is chosen before anybody knows where the Pod can run,",
		"since volumeBindingMode is Immediate (the default): the Pod may stay Pending.",
	]),
	"path": ["allowedTopologies"],
	"found": "allowedTopologies with volumeBindingMode Immediate",
	"wanted": "volumeBindingMode: WaitForFirstConsumer",
	"fix": fix,
	"key": "binding mode",
}

test_immediate if {
	created := early("volumeBindingMode: WaitForFirstConsumer")
	updated := early(concat(" ", [
		"delete this class and create it again with volumeBindingMode: WaitForFirstConsumer",
		"(its volumes stay)",
	]))
	policy.violation == {created} with input as review(class(places(["a", "b"])), "CREATE")
	policy.violation == {updated} with input as review(class(places(["a", "b"])), "UPDATE")
	policy.violation == set() with input as review(class(places(["a"])), "CREATE")
	policy.violation == set() with input as review(class({}), "CREATE")
}

test_waiting if {
	value := object.union(class(places(["a", "b"])), {"volumeBindingMode": "WaitForFirstConsumer"})
	policy.violation == set() with input as review(value, "CREATE")
}

regional(values) := object.union(places(values), {
	"kind": "StorageClass",
	"provisioner": "pd.csi.storage.gke.io",
	"parameters": {"replication-type": "regional-pd"},
	"volumeBindingMode": "WaitForFirstConsumer",
})

zones(number, why) := {
	"msg": sprintf("A regional disk lies in two zones, but allowedTopologies names %d: %s.", [number, why]),
	"path": ["allowedTopologies"],
	"found": number,
	"wanted": "two zones",
	"fix": "allowedTopologies: [{matchLabelExpressions: [{key: topology.gke.io/zone, values: [<zone>, <another zone>]}]}]",
	"key": "zones",
}

test_regional if {
	one := zones(1, "no volume can be made")
	three := zones(3, "which two hold the data is left to chance")
	policy.violation == {one} with input as review(regional(["a"]), "CREATE")
	policy.violation == {one} with input as review(regional(["a", "a"]), "UPDATE")
	policy.violation == {three} with input as review(regional(["a", "b", "c"]), "CREATE")
	policy.violation == set() with input as review(regional(["a", "b"]), "CREATE")
	policy.violation == set() with input as review(regional([]), "CREATE")
}
