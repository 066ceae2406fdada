# METADATA
# title: Voting members are odd in number
# description: >-
#   A cluster that votes needs a majority. With an even number one member more must be up and no member more may fail
#   than with one less; a single one, or two, survive no failure at all.
# related_resources:
# - ref: https://etcd.io/docs/v3.6/faq/#why-an-odd-number-of-cluster-members
# - ref: https://www.mongodb.com/docs/manual/core/replica-set-architectures/
# custom:
#   id: quorum-odd
#   checklist: replication
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: statefulsets, optional: true}
#   parameters: {members: 1}
#   tierParameters: {tier-0: {members: 3}, tier-1: {members: 3}}
package seawall.policies.quorum_odd

import data.seawall.lib.labels
import data.seawall.lib.replication
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

least := input.seawall.parameters.members

applies if {
	workload.replicas(target) > 0
	count(workload.controllers(target)) == 0
	not workload.data_kind(target) in {"cache", "scratch"}
	not is_arbiter(labels.name(target))
}

# Arbiters vote and keep nothing, in a set of their own.
is_arbiter(name) if regex.match(`arbiter|arbitrator|garbd`, name)

# The sets of one namespace are few, and only looked at for an engine that votes.
arbiters := {name: number |
	some name, other in data.cluster.statefulsets[workload.namespace(input.request)]
	is_arbiter(name)
	number := workload.replicas(other)
}

# Any arbiter may be the one that makes an even number odd. To make an odd number even, it must carry the name of the set.
joined(members) := sum([number | some number in arbiters]) if members % 2 == 0

joined(members) := sum([number |
	some name, number in arbiters
	startswith(name, concat("", [labels.name(target), "-"]))
]) if {
	members % 2 == 1
}

note(0) := ""

note(number) := sprintf("; %d of them arbiters in a set of their own", [number]) if number > 0

fix(replicas, 0) := sprintf("spec: {replicas: %s}", [replicas])

fix(replicas, number) := sprintf("remove an arbiter, or spec: {replicas: %s}", [replicas]) if number > 0

# wanted_number is the next odd number that is large enough.
wanted_number(voters) := odd_from(max([voters, least]))

odd_from(number) := number if number % 2 == 1

odd_from(number) := number + 1 if number % 2 == 0

is_even(entry, voters) if {
	voters % 2 == 0
	not entry.facts.voters.even == true
}

# problem in words; undefined where there is none.
problem(entry, voters) := text if {
	is_even(entry, voters)
	loss := (voters / 2) - 1
	text := sprintf("%s with %d voting members survives the loss of %d of them, no more than with %d", [
		entry.title,
		voters,
		loss,
		voters - 1,
	])
} else := text if {
	voters < least
	text := sprintf("%s votes with %d, too few members for a majority that outlives a failure", [
		entry.title,
		voters,
	])
}

wanted := "an odd number of voting members" if {
	least < 2
} else := sprintf("an odd number of voting members, at least %v", [least])

violation contains {
	"msg": msg,
	"path": ["spec", "replicas"],
	"found": workload.replicas(target),
	"wanted": wanted,
	"fix": fix(workload.count_text(replicas), others),
	"key": entry.name,
} if {
	applies
	some entry in subject.engines
	replication.votes(target, entry)
	members := replication.members(target, entry)
	others := joined(members)
	voters := members + others
	msg := concat("", [problem(entry, voters), note(others)])
	replicas := (workload.replicas(target) + wanted_number(voters)) - voters
}
