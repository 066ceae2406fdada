package seawall.policies.access_mode_doubtful_test

import data.seawall.policies.access_mode_doubtful as policy

one := ["ReadWriteOnce", "ReadWriteOncePod"]

row(storage, bound_to, verified) := {
	"storage": storage,
	"filesystemModes": one,
	"blockModes": [],
	"boundTo": bound_to,
	"verified": verified,
}

rows := {
	"disk.example.com": object.union(row("block", "zone", true), {"blockModes": one}),
	"file.example.com": row("file", "network", true),
	"local.example.com": row("block", "node", true),
	"guess.example.com": row("block", "zone", false),
	"maybe.example.com": row("file", "network", false),
	"kubernetes.io/no-provisioner": row("static", "node", true),
	"special.example.com": object.union(
		row("block", "zone", true),
		{"specialHandles": {"shared://": "https://example.com", "off://": false}},
	),
}

claim(provisioner, spec) := {
	"request": {"operation": "CREATE", "object": {
		"kind": "PersistentVolumeClaim",
		"metadata": {"name": "data"},
		"spec": object.union({"storageClassName": "class"}, spec),
	}},
	"class": {"class": {"provisioner": provisioner}},
}

volume(driver, annotations, spec) := {
	"request": {"operation": "CREATE", "object": {
		"kind": "PersistentVolume",
		"metadata": {"name": "pv", "annotations": annotations},
		"spec": object.union({"csi": {"driver": driver}}, spec),
	}},
	"class": {},
}

found(case) := result if {
	result := policy.violation with input as {"request": case.request}
		with data.cluster as {"storageclasses": case.class, "index": {"default_classes": []}}
		with data.seawall.knowledge.provisioners.rows as rows
}

asks(modes) := {"accessModes": modes}

device := {"accessModes": ["ReadWriteOnce"], "volumeMode": "Block"}

no_sharing(storage, modes, text) := {{
	"msg": sprintf("%s is not known to give %s: Pods on a second node may wait for the volume forever", [storage, text]),
	"path": ["spec", "accessModes"],
	"found": modes,
	"wanted": "ReadWriteOnce, or storage that is known to be shared between nodes",
	"fix": concat(" ", [
		"accessModes: [ReadWriteOnce] if one node at a time is enough;",
		"if the storage does share, correct its row in knowledge.provisioners of the configuration",
	]),
}}

no_device(storage) := {{
	"msg": sprintf("%s is not known to make raw block volumes: the Pods may wait for the volume forever", [storage]),
	"path": ["spec", "volumeMode"],
	"found": "Block",
	"wanted": "Filesystem, or block storage",
	"fix": "volumeMode: Filesystem; if it has devices, correct its row in knowledge.provisioners of the configuration",
}}

test_claims if {
	every provisioner in ["local.example.com", "guess.example.com"] {
		storage := sprintf("class class (%s)", [provisioner])
		found(claim(provisioner, asks(["ReadWriteMany"]))) == no_sharing(storage, ["ReadWriteMany"], "ReadWriteMany")
	}
	readers := no_sharing("class class (disk.example.com)", ["ReadOnlyMany"], "ReadOnlyMany")
	found(claim("disk.example.com", asks(["ReadOnlyMany"]))) == readers
	both := ["ReadOnlyMany", "ReadWriteMany"]
	expected := no_sharing("class class (local.example.com)", both, "ReadWriteMany or ReadOnlyMany")
	found(claim("local.example.com", asks(both))) == expected
	every provisioner in ["local.example.com", "maybe.example.com"] {
		found(claim(provisioner, device)) == no_device(sprintf("class class (%s)", [provisioner]))
	}
}

test_volumes if {
	every driver in ["disk.example.com", "local.example.com"] {
		storage := sprintf("driver %s", [driver])
		found(volume(driver, {}, asks(["ReadWriteMany"]))) == no_sharing(storage, ["ReadWriteMany"], "ReadWriteMany")
	}
	found(volume("file.example.com", {}, device)) == no_device("driver file.example.com")
}

# The configuration takes a special handle away with `false`.
test_special_handles if {
	expected := no_sharing("driver special.example.com", ["ReadWriteMany"], "ReadWriteMany")
	found(handled("shared://a")) == set()
	found(handled("off://a")) == expected
	found(handled("vol-1")) == expected
}

handled(handle) := volume("special.example.com", {}, {
	"accessModes": ["ReadWriteMany"],
	"csi": {"driver": "special.example.com", "volumeHandle": handle},
})

test_quiet if {
	every case in [
		claim("disk.example.com", asks(["ReadWriteMany"])),
		claim("disk.example.com", asks(["ReadWriteOnce"])),
		claim("file.example.com", device),
		claim("guess.example.com", asks(["ReadOnlyMany"])),
		claim("guess.example.com", {"accessModes": ["ReadWriteMany"], "volumeMode": "Block"}),
		claim("guess.example.com", device),
		claim("maybe.example.com", asks(["ReadWriteMany"])),
		claim("kubernetes.io/no-provisioner", asks(["ReadWriteMany"])),
		claim("other.example.com", asks(["ReadWriteMany"])),
		claim("local.example.com", object.union(asks(["ReadWriteMany"]), {"volumeName": "pv"})),
		volume("disk.example.com", {"pv.kubernetes.io/provisioned-by": "disk.example.com"}, asks(["ReadWriteMany"])),
		volume("disk.example.com", {}, asks(["ReadWriteOnce"])),
		volume("guess.example.com", {}, asks(["ReadWriteMany"])),
		volume("other.example.com", {}, asks(["ReadWriteMany"])),
	] {
		found(case) == set()
	}
}
