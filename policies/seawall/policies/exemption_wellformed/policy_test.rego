package seawall.policies.exemption_wellformed_test

import data.seawall.policies.exemption_wellformed as policy

known := {"a": {"exemptible": true}, "delete-claim": {"exemptible": false}}

review(annotations, tier, parameters) := {
	"request": {"operation": "CREATE", "object": {"metadata": {"annotations": annotations}}},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": tier, "parameters": parameters},
}

plain(annotations) := review(annotations, "tier-2", {"maxDays": 90, "approver": false})

paths(violations) := {[path, msg] |
	some violation in violations
	path := violation.path[2]
	msg := violation.msg
}

complete := {"seawall.dev/exempt": "a", "seawall.dev/exempt-reason": "r", "seawall.dev/exempt-until": "2026-02-01"}

test_complete if {
	policy.violation == set() with input as plain(complete) with data.seawall.knowledge.policies as known
}

test_nothing_said if {
	policy.violation == set() with input as plain({}) with data.seawall.knowledge.policies as known
}

test_unknown_and_never if {
	several := object.union(complete, {"seawall.dev/exempt": "a, b ,delete-claim"})
	found := policy.violation with input as plain(several) with data.seawall.knowledge.policies as known
	paths(found) == {
		["seawall.dev/exempt", "No policy b is loaded, so the exemption does not count."],
		["seawall.dev/exempt", "Nobody can be exempted from delete-claim by an annotation."],
	}
	{violation.key | some violation in found} == {"unknown b", "never delete-claim"}
}

test_expired if {
	expired := object.union(complete, {"seawall.dev/exempt-until": "2026-01-14"})
	policy.violation == {{
		"msg": "The exemption expired on 2026-01-14 and does not count any more.",
		"path": ["metadata", "annotations", "seawall.dev/exempt-until"],
		"found": "2026-01-14",
		"wanted": "a day from 2026-01-15 on, at most 90 days ahead",
		"fix": "fix what was exempt and remove the annotations, or agree on a new day",
	}} with input as plain(expired) with data.seawall.knowledge.policies as known
}

test_approver if {
	strict := review(complete, "tier-0", {"maxDays": 90, "approver": true})
	found := policy.violation with input as strict with data.seawall.knowledge.policies as known
	paths(found) == {["seawall.dev/exempt-by", "In tier-0 an exemption needs somebody who approved it."]}
	approved := object.union(complete, {"seawall.dev/exempt-by": "platform"})
	policy.violation == set() with input as review(approved, "tier-0", {"maxDays": 90, "approver": true})
		with data.seawall.knowledge.policies as known
}
