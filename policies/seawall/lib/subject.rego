# METADATA
# title: What many policies ask of the object under review
# description: >-
#   Rules, not functions: their values are computed once for each object under review and shared by all policies.
#   A policy reads them instead of calling the function again. They depend on input.request and data alone, never on
#   parameters or tier. A policy that reads one declares the context that it needs.
package seawall.lib.subject

import data.seawall.lib.engines as recognition
import data.seawall.lib.replication

# engines that the Pod template runs: see found in lib/engines.
engines := recognition.found(input.request.object)

# strangers are databases whose replicas show no sign of replication: see strangers in lib/replication.
strangers := replication.strangers(input.request.object)

# evidence is where signs of replication are looked for: see evidence in lib/replication.
evidence := replication.evidence(input.request.object)
