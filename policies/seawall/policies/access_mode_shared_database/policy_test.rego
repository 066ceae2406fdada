package seawall.policies.access_mode_shared_database_test

import data.seawall.policies.access_mode_shared_database as policy

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

sts(image, mount, template) := {
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {
		"template": {"spec": {
			"containers": [{
				"name": "main",
				"image": image,
				"volumeMounts": [object.union({"name": "data", "mountPath": "/var/lib/postgresql/data"}, mount)],
			}],
			"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "db-data"}}],
		}},
		"volumeClaimTemplates": template,
	},
}

claim(modes, reason) := {
	"metadata": {"name": "data", "annotations": {"seawall.dev/shared-writers": reason}},
	"spec": {"accessModes": modes},
}

cluster(modes, reason) := {"persistentvolumeclaims": {"shop": {"db-data": claim(modes, reason)}}}

shared(message, path, found, wanted) := {{
	"msg": sprintf(
		"PostgreSQL in container main keeps its data on %s with ReadWriteMany: two servers can open and corrupt it",
		[message],
	),
	"path": path,
	"found": found,
	"wanted": wanted,
	"fix": concat(" ", [
		"ask for ReadWriteOnce (or ReadWriteOncePod);",
		"if sharing is right, say why in the annotation seawall.dev/shared-writers of the claim",
	]),
}}

test_claim_template if {
	expected := shared(
		"claim template data",
		["spec", "volumeClaimTemplates", 0, "spec", "accessModes"],
		["ReadWriteMany"],
		["ReadWriteOnce"],
	)
	policy.violation == expected with input as review(sts("postgres:16", {}, [claim(["ReadWriteMany"], " ")]))
}

test_claim if {
	expected := shared(
		"claim db-data",
		["spec", "template", "spec", "volumes", 0, "persistentVolumeClaim", "claimName"],
		"db-data",
		"a claim with ReadWriteOnce",
	)
	policy.violation == expected with input as review(sts("postgres:16", {}, []))
		with data.cluster as cluster(["ReadWriteMany"], "")
}

test_quiet if {
	many := claim(["ReadWriteMany"], "")
	every value in [
		sts("postgres:16", {}, [claim(["ReadWriteOnce"], "")]),
		sts("postgres:16", {}, [claim(["ReadWriteMany"], "read replicas")]),
		sts("postgres:16", {"readOnly": true}, [many]),
		sts("acme/store:3", {}, [many]),
		sts("acme/orders-kafka:3", {}, [many]),
		sts("grafana/loki:3", {}, [many]),
		sts("postgres:16", {}, []),
	] {
		policy.violation == set() with input as review(value)
	}
	policy.violation == set() with input as review(sts("postgres:16", {}, []))
		with data.cluster as cluster(["ReadWriteOnce"], "")
	policy.violation == set() with input as review(sts("postgres:16", {}, []))
		with data.cluster as cluster(["ReadWriteMany"], "read replicas")
}
