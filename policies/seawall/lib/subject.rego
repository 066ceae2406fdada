# METADATA
# title: What many policies ask of the object under review
# description: >-
#   Rules, not functions: their values are computed once for each object under review and shared by all policies.
#   A policy reads them instead of calling the function again. They depend on input.request and data alone, never on
#   parameters or tier. A policy that reads one declares the context that it needs.
package seawall.lib.subject

import data.seawall.lib.engines as recognition
import data.seawall.lib.replication
import data.seawall.lib.storage
import data.seawall.lib.workload

# engines that the Pod template runs: see found in lib/engines.
engines := recognition.found(input.request.object)

# strangers are databases whose replicas show no sign of replication: see strangers in lib/replication.
strangers := replication.strangers(input.request.object)

# evidence is where signs of replication are looked for: see evidence in lib/replication.
evidence := replication.evidence(input.request.object)

# unsaved tells for each engine, at its place in engines, whether a volume keeps its data: see lack in lib/engines.
unsaved := [lack |
	some entry in engines
	lack := recognition.lack(input.request.object, entry)
]

# templates are the claim templates and the storage behind them: see of in lib/storage. Reads storageclasses.
templates := storage.of(input.request.object)

# data_behind tells for each engine, at its place in engines, what is behind its data directory: see data_behind in
# lib/storage. Reads storageclasses, persistentvolumeclaims and persistentvolumes, as node_bound does.
data_behind := [found |
	some entry in engines
	found := storage.data_behind(input.request.object, namespace, entry)
]

# node_bound are the volumes with lasting data that live and die with a node: see node_bound in lib/storage.
node_bound := storage.node_bound(input.request.object, namespace)

namespace := workload.namespace(input.request)
