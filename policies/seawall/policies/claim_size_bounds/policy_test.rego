package seawall.policies.claim_size_bounds_test

import data.seawall.policies.claim_size_bounds as policy

review(object, parameters) := {
	"request": {"operation": "CREATE", "object": object, "oldObject": null},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": parameters},
}

usual := {"min": "100Mi", "max": "64Ti"}

claim(size) := {
	"kind": "PersistentVolumeClaim",
	"metadata": {"name": "data"},
	"spec": {"resources": {"requests": {"storage": size}}},
}

path := ["spec", "resources", "requests", "storage"]

test_too_small if {
	policy.violation == {{
		"msg": concat(" ", [
			"this claim asks for 1Mi, less than 100Mi, which a file system alone can fill:",
			"its volume is full before it is of use, so the unit may be a slip",
		]),
		"path": path,
		"found": "1Mi",
		"wanted": "at least 100Mi",
		"fix": "resources: {requests: {storage: <a size>}}",
	}} with input as review(claim("1Mi"), usual)
}

test_too_large if {
	policy.violation == {{
		"msg": concat(" ", [
			"this claim asks for 65Ti, more than 64Ti: it may wait forever for such a volume, or cost accordingly,",
			"and a claim never shrinks, so the unit may be a slip",
		]),
		"path": path,
		"found": "65Ti",
		"wanted": "at most 64Ti",
		"fix": "resources: {requests: {storage: <a size>}}",
	}} with input as review(claim("65Ti"), usual)
}

test_decimal if {
	every size in [
		["30G", "30Gi", "7"],
		["512M", "512Mi", "5"],
		["1.5T", "1.5Ti", "9"],
		["0.001P", "0.001Pi", "11"],
		["1E", "1Ei", "13"],
		["200000k", "200000Ki", "2"],
	] {
		wanted := size[1]
		policy.violation == {{
			"msg": sprintf(
				"%s is a decimal size, %s percent less than %s, which most people and tools mean: what counts on the rest runs out of space",
				[size[0], size[2], wanted],
			),
			"path": path,
			"found": size[0],
			"wanted": wanted,
			"fix": sprintf("resources: {requests: {storage: %s}}", [wanted]),
		}} with input as review(claim(size[0]), {"min": "100Mi", "max": "2Ei"})
	}
}

test_quiet if {
	every value in [
		claim("100Mi"), claim("64Ti"), claim("10Gi"), claim("1e10"), claim(10737418240), claim(null), claim("x"),
		object.union(claim("1Mi"), {"metadata": {"labels": {"seawall.dev/data": "cache"}}}),
		object.union(claim("1Mi"), {"metadata": {"labels": {"seawall.dev/data": "scratch"}}}),
		object.union(claim("1Mi"), {"metadata": {"labels": {"seawall.dev/data": "readonly"}}}),
		object.union(claim("1Mi"), {"metadata": {"ownerReferences": [{"kind": "Pod"}]}}),
		object.union(claim("1Mi"), {"spec": {"volumeName": "v"}}),
		null, [], {},
	] {
		policy.violation == set() with input as review(value, usual)
	}
}

test_bounds if {
	count(policy.violation) == 1 with input as review(claim("5Gi"), {"min": "10Gi", "max": "1Ti"})
	policy.violation == set() with input as review(claim("5Gi"), {"min": "5Gi", "max": "5Gi"})
	policy.violation == set() with input as review(claim("1Mi"), {"min": "x", "max": null})
	policy.violation == set() with input as review(claim("1Mi"), {})
}
