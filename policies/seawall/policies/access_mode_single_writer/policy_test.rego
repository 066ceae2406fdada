package seawall.policies.access_mode_single_writer_test

import data.seawall.policies.access_mode_single_writer as policy

sts(image, labels, claim) := {"request": {"operation": "CREATE", "object": {
	"kind": "StatefulSet",
	"metadata": {"name": "db", "labels": labels},
	"spec": {
		"template": {"spec": {"containers": [{
			"name": "main",
			"image": image,
			"volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
		}]}},
		"volumeClaimTemplates": [{
			"metadata": {"name": "data"},
			"spec": object.union({"storageClassName": "class", "accessModes": ["ReadWriteOnce"]}, claim),
		}],
	},
}}}

cluster(provisioner) := {
	"storageclasses": {"class": {"provisioner": provisioner}},
	"index": {"default_classes": []},
}

row(storage, modes) := {"storage": storage, "filesystemModes": modes, "blockModes": ["ReadWriteOnce"], "boundTo": "zone"}

rows := {
	"disk.example.com": row("block", ["ReadWriteOnce", "ReadWriteOncePod"]),
	"old.example.com": row("block", ["ReadWriteOnce"]),
	"path.example.com": row("hostpath", ["ReadWriteOnce", "ReadWriteOncePod"]),
	"hand.example.com": row("static", ["ReadWriteOnce", "ReadWriteOncePod"]),
	"kubernetes.io/disk": row("block", ["ReadWriteOnce", "ReadWriteOncePod"]),
}

found(review, provisioner) := result if {
	result := policy.violation with input as review
		with data.cluster as cluster(provisioner)
		with data.seawall.knowledge.provisioners.rows as rows
}

alone := {{
	"msg": concat(" ", [
		"PostgreSQL in container main must be alone on its data, but claim template data",
		"does not see to it: with ReadWriteOnce a second Pod on the node can mount it",
	]),
	"path": ["spec", "volumeClaimTemplates", 0, "spec", "accessModes"],
	"found": ["ReadWriteOnce"],
	"wanted": ["ReadWriteOncePod"],
	"fix": concat(" ", [
		"accessModes: [ReadWriteOncePod] in new sets; needs Kubernetes 1.29",
		"and a driver with csi-provisioner 3.0, csi-attacher 3.3 and csi-resizer 1.3 or newer",
	]),
}}

test_alone if {
	found(sts("postgres:16", {}, {}), "disk.example.com") == alone
}

test_quiet if {
	every provisioner in [
		"old.example.com",
		"path.example.com",
		"hand.example.com",
		"kubernetes.io/disk",
		"other.example.com",
	] {
		found(sts("postgres:16", {}, {}), provisioner) == set()
	}
	every review in [
		sts("acme/store:3", {}, {}),
		sts("acme/postgres-exporter:3", {}, {}),
		sts("grafana/loki:3", {}, {}),
		sts("postgres:16", {"seawall.dev/data": "cache"}, {}),
		sts("postgres:16", {"seawall.dev/data": "scratch"}, {}),
		sts("postgres:16", {"seawall.dev/data": "readonly"}, {}),
		sts("postgres:16", {}, {"accessModes": ["ReadWriteOncePod"]}),
		sts("postgres:16", {}, {"volumeMode": "Block"}),
		sts("postgres:16", {}, {"storageClassName": "missing"}),
	] {
		found(review, "disk.example.com") == set()
	}
}
