package seawall.policies.api_version_served_test

import data.seawall.knowledge.api_versions
import data.seawall.policies.api_version_served as policy

test_kinds_with_changes if {
	note := "spec.selector is required there, and updateStrategy is RollingUpdate unless another is written"
	policy.violation == {{
		"msg": concat(" ", [
			"Kubernetes 1.16 and later do not serve StatefulSet in apps/v1beta1:",
			"this manifest cannot be applied.",
		]),
		"path": ["apiVersion"],
		"found": "apps/v1beta1",
		"wanted": "apps/v1",
		"fix": concat("; ", ["apiVersion: apps/v1", note]),
	}} with input as review("apps/v1beta1", "StatefulSet")
}

test_kinds_without_changes if {
	policy.violation == {{
		"msg": concat(" ", [
			"Kubernetes 1.22 and later do not serve StorageClass in storage.k8s.io/v1beta1:",
			"this manifest cannot be applied.",
		]),
		"path": ["apiVersion"],
		"found": "storage.k8s.io/v1beta1",
		"wanted": "storage.k8s.io/v1",
		"fix": "apiVersion: storage.k8s.io/v1",
	}} with input as review("storage.k8s.io/v1beta1", "StorageClass")
}

test_every_row if {
	every version, kinds in api_versions {
		every kind, row in kinds {
			fires(version, kind) == removed(row)
		}
	}
}

test_rows_are_complete if {
	every kinds in api_versions {
		every row in kinds {
			is_string(row.current)
			startswith(row.source, "https://")
		}
	}
}

test_quiet if {
	every request in [
		review("apps/v1", "StatefulSet"),
		review("apps/v1beta1", "DaemonSet"),
		review("autoscaling/v1", "HorizontalPodAutoscaler"),
		review("", ""),
		review(null, 3),
		review(["apps/v1beta1"], "StatefulSet"),
		{"request": {"object": null}},
	] {
		policy.violation == set() with input as request
	}
}

fires(version, kind) if {
	count(policy.violation) == 1 with input as review(version, kind)
} else := false

removed(row) if row.removed

removed(row) := false if not row.removed

review(version, kind) := {"request": {
	"operation": "CREATE",
	"object": {"apiVersion": version, "kind": kind},
	"oldObject": null,
}}
