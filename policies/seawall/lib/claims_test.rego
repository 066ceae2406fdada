package seawall.lib.claims_test

import data.seawall.lib.claims

asks(modes) := {"spec": {"accessModes": modes}}

test_modes if {
	claims.modes(asks(["ReadWriteOnce"])) == ["ReadWriteOnce"]
	bound := object.union(asks(["ReadWriteOnce"]), {"status": {"accessModes": ["ReadWriteMany"]}})
	claims.modes(bound) == ["ReadWriteMany"]
	every status in [null, {}, {"accessModes": []}, {"accessModes": null}, {"accessModes": "x"}] {
		claims.modes(object.union(asks(["ReadWriteOnce"]), {"status": status})) == ["ReadWriteOnce"]
	}
	claims.modes(null) == []
	claims.modes({"spec": {"accessModes": 3}}) == []
}

test_single_node if {
	every modes in [
		["ReadWriteOnce"],
		["ReadWriteOncePod"],
		["ReadOnlyMany", "ReadWriteOnce"],
	] {
		claims.single_node(asks(modes))
	}
	every modes in [
		[],
		["ReadOnlyMany"],
		["ReadWriteMany"],
		["ReadWriteOnce", "ReadWriteMany"],
		[null, 3],
	] {
		not claims.single_node(asks(modes))
	}
	not claims.single_node(null)
}

test_reach if {
	claims.reach(asks(["ReadWriteOncePod"])) == "one Pod at a time"
	claims.reach(asks(["ReadWriteOnce"])) == "one node at a time"
}

test_harmless if {
	claims.harmless({"metadata": {"labels": {"seawall.dev/data": "scratch"}}})
	claims.harmless({"metadata": {"labels": {"seawall.dev/data": "readonly"}}})
	not claims.harmless({"metadata": {"labels": {"seawall.dev/data": "cache"}}})
	not claims.harmless(null)
}

test_static if {
	claims.static({"spec": {"volumeName": "v"}})
	claims.static({"spec": {"selector": {"matchLabels": {"a": "b"}}}})
	claims.static({"spec": {"selector": {}}})
	not claims.static({"spec": {"volumeName": "", "selector": null}})
	not claims.static({"spec": {}})
	not claims.static(null)
}

block := {"filesystemModes": ["ReadWriteOnce"], "blockModes": ["ReadWriteOnce", "ReadWriteMany"]}

file := {"filesystemModes": ["ReadWriteMany", "ReadWriteOnce"], "blockModes": []}

raw(modes) := {"spec": {"accessModes": modes, "volumeMode": "Block"}}

test_refused if {
	every case in [
		{"value": asks(["ReadWriteMany"]), "facts": block, "refused": ["ReadWriteMany"]},
		{"value": asks(["ReadOnlyMany", "ReadWriteMany"]), "facts": block, "refused": ["ReadWriteMany", "ReadOnlyMany"]},
		{"value": asks(["ReadWriteOnce"]), "facts": block, "refused": []},
		{"value": asks(["ReadWriteOncePod", "Other", 7]), "facts": block, "refused": []},
		{"value": raw(["ReadWriteMany"]), "facts": block, "refused": []},
		{"value": raw(["ReadOnlyMany"]), "facts": block, "refused": ["ReadOnlyMany"]},
		{"value": asks(["ReadWriteMany"]), "facts": file, "refused": []},
		{"value": asks(["ReadOnlyMany"]), "facts": file, "refused": ["ReadOnlyMany"]},
		{"value": raw(["ReadWriteOnce"]), "facts": file, "refused": ["Block"]},
		{"value": raw(["ReadWriteMany"]), "facts": file, "refused": ["Block"]},
		{"value": {"spec": {"accessModes": ["ReadWriteMany"], "volumeMode": "Odd"}}, "facts": block, "refused": []},
		{"value": {"spec": {"accessModes": ["ReadWriteMany"], "volumeMode": null}}, "facts": block, "refused": ["ReadWriteMany"]},
		{"value": {"spec": {"accessModes": "ReadWriteMany"}}, "facts": block, "refused": []},
		{"value": asks(["ReadWriteMany"]), "facts": {}, "refused": []},
		{"value": raw(["ReadWriteMany"]), "facts": {}, "refused": []},
		{"value": null, "facts": block, "refused": []},
	] {
		claims.refused(case.value, "some.row", case.facts) == case.refused
	}
}

test_beyond_table if {
	one := {"filesystemModes": ["ReadWriteOnce"], "blockModes": []}
	claims.refused(asks(["ReadWriteMany"]), "linstor.csi.linbit.com", one) == []
	claims.refused(asks(["ReadOnlyMany"]), "linstor.csi.linbit.com", one) == ["ReadOnlyMany"]
	claims.refused(asks(["ReadWriteMany", "ReadOnlyMany"]), "pxd.portworx.com", one) == []
	claims.refused(asks(["ReadWriteMany", "ReadOnlyMany"]), "io.openebs.csi-mayastor", one) == ["ReadWriteMany"]
	claims.refused(raw(["ReadWriteMany"]), "io.openebs.csi-mayastor", one) == []
	claims.refused(raw(["ReadWriteOnce"]), "openebs.io/local", one) == []
}

# A row that is renamed or removed leaves nothing behind here.
test_rows_exist if {
	every row, _ in claims.beyond_table {
		is_object(data.seawall.knowledge.provisioners.rows[row])
	}
}

test_known if {
	cluster := {"persistentvolumeclaims": {"shop": {"data": asks(["ReadWriteOnce"])}}}
	claims.known("shop", "data") == asks(["ReadWriteOnce"]) with data.cluster as cluster
	claims.known("shop", "other") == null with data.cluster as cluster
	claims.known("other", "data") == null with data.cluster as cluster
	claims.known("shop", "data") == null
}

# --- what a storage gives in the cluster ---

rows := {
	"disk": {"storage": "block", "boundTo": "zone", "filesystemModes": ["ReadWriteOnce"], "blockModes": [], "verified": true},
	"file": {"storage": "file", "boundTo": "network", "filesystemModes": ["ReadWriteMany"], "blockModes": [], "verified": true},
	"guess": {"storage": "file", "boundTo": "network", "filesystemModes": ["ReadWriteMany"], "blockModes": [], "verified": false},
	"near": {"storage": "file", "boundTo": "node", "filesystemModes": ["ReadWriteMany"], "blockModes": [], "verified": true},
	"hand": {"storage": "static", "boundTo": "node", "filesystemModes": ["ReadWriteOnce"], "blockModes": [], "verified": true},
}

facts_cluster := {
	"storageclasses": {
		"disk": {"provisioner": "disk"},
		"file": {"provisioner": "file"},
		"guess": {"provisioner": "guess"},
		"hand": {"provisioner": "hand"},
		"near": {"provisioner": "near"},
		"other": {"provisioner": "other.example.com"},
		"tmp": {"provisioner": "file", "metadata": {"labels": {"seawall.dev/data": "scratch"}}},
	},
	"index": {
		"default_classes": ["disk"],
		"classes_by_provisioner": {
			"disk": ["disk"], "file": ["file", "tmp"], "guess": ["guess"], "hand": ["hand"], "near": ["near"],
			"other.example.com": ["other"],
		},
	},
}

of_class(name, spec) := {"spec": object.union({"storageClassName": name, "accessModes": ["ReadWriteMany"]}, spec)}

# what of a claim is refused, or "nobody" where nothing is provisioned.
refused_of(claim) := made.refused if {
	made := claims.provisioned(claim) with data.cluster as facts_cluster
		with data.seawall.knowledge.provisioners.rows as rows
} else := "nobody"

test_provisioned if {
	made := claims.provisioned(of_class("disk", {})) with data.cluster as facts_cluster
		with data.seawall.knowledge.provisioners.rows as rows
	made == {"class": "disk", "provisioner": "disk", "facts": rows.disk, "refused": ["ReadWriteMany"]}
	refused_of(of_class("file", {})) == []
	refused_of(of_class("other", {})) == []
	refused_of({"spec": {"accessModes": ["ReadWriteMany"]}}) == ["ReadWriteMany"]

	# of a volume that exists, its own modes count, and of one that is made by hand nobody knows them
	refused_of(of_class("disk", {"volumeName": "v"})) == "nobody"
	refused_of(of_class("disk", {"selector": {"matchLabels": {"a": "b"}}})) == "nobody"
	refused_of(of_class("hand", {})) == "nobody"
}

test_proven if {
	every mode in ["ReadWriteMany", "Block"] {
		claims.proven(rows.disk, mode)
		not claims.proven(rows.guess, mode)
		not claims.proven(rows.near, mode)
	}
	not claims.proven(rows.disk, "ReadOnlyMany")
	not claims.proven({}, "ReadWriteMany")
}

test_giving if {
	shared := claims.giving(of_class("disk", {})) with data.cluster as facts_cluster
		with data.seawall.knowledge.provisioners.rows as rows
	shared == ["file"]
	single := claims.giving(asks(["ReadWriteOnce"])) with data.cluster as facts_cluster
		with data.seawall.knowledge.provisioners.rows as rows
	single == ["disk", "file"]
	names := [sprintf("c%d", [number]) | some number in numbers.range(10, 21)]
	many := {
		"storageclasses": {name: {"provisioner": "file"} | some name in names},
		"index": {"classes_by_provisioner": {"file": names}},
	}
	ten := claims.giving(of_class("disk", {})) with data.cluster as many
		with data.seawall.knowledge.provisioners.rows as rows
	ten == array.slice(names, 0, 10)
}
