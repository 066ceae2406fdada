# METADATA
# title: The storage behind a StatefulSet's claim templates
# description: >-
#   Joins claim templates with their class and what is known of it. Reads data.cluster: a policy that calls these
#   functions declares storageclasses.
package seawall.lib.storage

import data.seawall.lib.classes
import data.seawall.lib.workload

# of lists the claim templates of a StatefulSet, each with
#   index, name, claim:  the template
#   class_name:          as written, or the cluster's only default class; "" where dynamic provisioning was declined,
#                        null where it cannot be told
#   class:               the StorageClass, null where it is not in the cluster
#   facts:               what is known of its volumes (see classes.facts_of), {} where nothing is
#   verified:            whether a denial may rest on these facts
of(value) := [entry |
	some template in workload.claim_templates(value)
	name := class_name(template.template)
	class := named(name)
	entry := {
		"index": template.index,
		"name": template.name,
		"claim": template.template,
		"class_name": name,
		"class": class,
		"facts": facts(class),
		"verified": verified(class),
	}
]

# class_name of a claim, with the cluster's default class where the claim names none.
class_name(claim) := name if {
	name := classes.class_of(claim)
	name != null
} else := name if {
	name := classes.the_default
} else := null

named(name) := classes.known(name) if is_string(name)

named(null) := null

# facts of the volumes of a class, {} where the class is not known.
facts(null) := {}

facts(class) := classes.facts_of(class) if is_object(class)

verified(class) if {
	is_object(class)
	classes.is_verified(class)
} else := false
