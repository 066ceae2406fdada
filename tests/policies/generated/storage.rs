//! Storage: classes of all provisioners that are known, claims, volumes, and the kinds of storage systems.

use super::fields::Share::{Always, Half, Often, Rarely, Seldom};
use super::fields::{
    Maker, both, chosen, count, flag, just, labels, list, metadata, name, none, object, one_of, pick, quantity, some,
    topology_key, with,
};
use super::knowledge::{DRIVERS, Driver, MOUNT_OPTIONS, MOUNT_PARAMETERS, REMOVED};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

/// An object of a kind with its own labels and annotations.
pub(super) fn whole(
    (api_version, kind): (&'static str, &'static str),
    metadata: Maker,
    mut fields: Vec<(&'static str, super::fields::Share, Maker)>,
) -> Maker {
    fields.push(("apiVersion", Always, just(json!(api_version))));
    fields.push(("kind", Always, just(json!(kind))));
    fields.push(("metadata", Always, metadata));
    fields.push(("unknownField", Rarely, just(json!({"kept": ["é", 1e9]}))));
    object(fields)
}

/// Name, and whether a driver has it.
type Class = (&'static str, fn(&Driver) -> bool);

/// The classes of the usual cluster: by name, what kind of storage each mostly is.
pub(super) const CLASSES: &[Class] = &[
    ("fast", |d| d.storage == "block" && matches!(d.bound_to.as_str(), "zone" | "region")),
    ("copies", |d| d.bound_to == "cluster"),
    ("shared", |d| d.storage == "file"),
    ("local", |d| d.bound_to == "node"),
    ("bucket", |d| d.storage == "object"),
    ("slow", |d| d.storage == "block"),
];

/// The names of classes, as claims say them.
fn class_name() -> Maker {
    const NAMES: &[&str] =
        &["fast", "fast", "fast", "copies", "shared", "shared", "local", "local", "bucket", "slow", "missing", ""];
    one_of(NAMES)
}

/// Names of provisioners that are known, and others.
fn provisioner() -> Maker {
    const OTHERS: &[&str] =
        &["kubernetes.io/no-provisioner", "rook-ceph.ceph.rook.io/bucket", "unheard.of/driver", "plain", ""];
    let known: Vec<String> = DRIVERS.iter().flat_map(|driver| driver.names.iter().cloned()).collect();
    prop_oneof![6 => select(known).prop_map(Value::from), 1 => pick(&REMOVED), 2 => one_of(OTHERS)].boxed()
}

/// A provisioner of a kind of storage, and parameters that it mostly knows.
fn made_by(fits: fn(&Driver) -> bool) -> Maker {
    let all: Vec<&'static Driver> = DRIVERS.iter().filter(|driver| fits(driver)).collect();
    // those that are well known, and whose parameters change what policies say, more often than the many others
    let verified: Vec<&'static Driver> = all.iter().copied().filter(|driver| driver.verified).collect();
    let telling: Vec<&'static Driver> = verified.iter().copied().filter(|driver| driver.telling.len() > 1).collect();
    let or_all = |some: Vec<&'static Driver>| if some.is_empty() { select(all.clone()) } else { select(some) };
    let drivers = prop_oneof![2 => or_all(telling), 2 => or_all(verified), 1 => select(all.clone())];
    let said = prop::collection::vec((any::<u8>(), any::<Index>()), 0..4);
    (drivers, any::<u8>(), said)
        .prop_map(|(driver, dice, said)| {
            let other_name = driver.names.get(usize::from(dice % 8));
            let provisioner = other_name.unwrap_or(&driver.names[0]);
            let parameters: Map<String, Value> =
                said.iter().map(|(dice, index)| parameter(driver, *dice, index)).collect();
            let mut class = json!({"provisioner": provisioner});
            if dice % 4 > 0 {
                class["parameters"] = Value::Object(parameters);
            }
            class
        })
        .boxed()
}

fn parameter(driver: &Driver, dice: u8, index: &Index) -> (String, Value) {
    const ODD: &[(&str, &str)] = &[
        ("csi.storage.k8s.io/fstype", "xfs"),
        ("fsType", "ext4"),
        ("zones", "a,b"),
        ("tpye", "gp3"),
        ("encrpyted", "true"),
        ("Type", "GP3"),
        ("", ""),
        ("é~/", "x"),
    ];
    let (key, value) = match dice {
        0..150 if !driver.telling.is_empty() => chosen(index, &driver.telling),
        150..190 if !driver.known.is_empty() => (chosen(index, &driver.known), "x".to_owned()),
        190..215 => (
            chosen(index, &MOUNT_PARAMETERS),
            ["soft, nolock", "nobarrier", "noatime"][usize::from(dice % 3)].to_owned(),
        ),
        _ => {
            let (key, value) = index.get(ODD);
            ((*key).to_owned(), (*value).to_owned())
        }
    };
    (key, json!(value))
}

fn mount_options() -> Maker {
    const OTHERS: &[&str] = &["noatime", "ro", "nfsvers=4.1", "hard", "soft,nolock", " NoBarrier ", ""];
    list(prop_oneof![pick(&MOUNT_OPTIONS), one_of(OTHERS)].boxed(), 3)
}

/// A class whose volumes are mostly of a kind of storage.
fn class_of(fits: fn(&Driver) -> bool) -> Maker {
    let own_labels = object(vec![
        ("seawall.dev/supported", Half, one_of(&["true", "true", "true", "true", "false", "yes", ""])),
        ("seawall.dev/ticket-only", Seldom, one_of(&["true", "true", "false"])),
        ("seawall.dev/workload-profile", Seldom, one_of(&["oltp", "oltp", "queue", "general"])),
    ]);
    let own_annotations = object(vec![
        ("storageclass.kubernetes.io/is-default-class", Seldom, one_of(&["true", "true", "false", "yes"])),
        ("storageclass.beta.kubernetes.io/is-default-class", Rarely, one_of(&["true", ""])),
    ]);
    let expression = object(vec![("key", Always, topology_key()), ("values", Often, list(one_of(&["a", "b"]), 2))]);
    let topologies = list(object(vec![("matchLabelExpressions", Often, list(expression, 2))]), 2);
    let made = prop_oneof![
        8 => made_by(fits),
        1 => object(vec![("provisioner", Often, provisioner()), ("parameters", Rarely, none())]),
        1 => pick(&REMOVED).prop_map(|plugin| json!({"provisioner": plugin})),
        1 => just(json!({"provisioner": "kubernetes.io/no-provisioner"})),
    ];
    let fields = vec![
        ("reclaimPolicy", Often, one_of(&["Delete", "Retain", "Retain", "Recycle", "delete"])),
        ("volumeBindingMode", Often, one_of(&["Immediate", "WaitForFirstConsumer"])),
        ("allowVolumeExpansion", Seldom, flag()),
        ("mountOptions", Seldom, mount_options()),
        ("allowedTopologies", Rarely, topologies),
    ];
    let class = whole(("storage.k8s.io/v1", "StorageClass"), metadata(own_labels, own_annotations), fields);
    both(class, made.boxed())
}

/// Any class; claims find it.
pub(super) fn class() -> Maker {
    let any = CLASSES.iter().map(|(name, fits)| class_named(name, *fits)).collect::<Vec<_>>();
    prop_oneof![
        3 => select(any).prop_flat_map(|class| class),
        1 => (class_of(|_| true), class_name()).prop_map(|(class, name)| with(class, &["metadata", "name"], name)),
    ]
    .boxed()
}

/// The class that the usual cluster has under a name.
pub(super) fn class_named(name: &'static str, fits: fn(&Driver) -> bool) -> Maker {
    class_of(fits).prop_map(move |class| with(class, &["metadata", "name"], json!(name))).boxed()
}

/// Every combination of access modes, the usual one most often.
fn modes() -> Maker {
    const MODES: &[&str] = &["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod", "rwo"];
    prop_oneof![
        6 => just(json!(["ReadWriteOnce"])),
        2 => some(one_of(&["ReadWriteMany", "ReadWriteOncePod", "ReadOnlyMany"]), 1),
        2 => list(one_of(MODES), 4),
    ]
    .boxed()
}

/// What claims and claim templates consist of.
fn claim_fields() -> Vec<(&'static str, super::fields::Share, Maker)> {
    let size = prop_oneof![just(json!("10Gi")), quantity()].boxed();
    let request = object(vec![("requests", Often, object(vec![("storage", Often, size)]))]);
    let source = prop_oneof![
        just(json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"})),
        just(json!({"kind": "PersistentVolumeClaim", "name": "data"})),
    ]
    .boxed();
    let selector = prop_oneof![just(json!({})), just(json!({"matchLabels": {"app": "db"}}))].boxed();
    let asked = object(vec![
        ("accessModes", Often, modes()),
        ("resources", Often, request),
        ("volumeMode", Rarely, one_of(&["Block", "Block", "Filesystem", "block"])),
        ("volumeName", Rarely, name()),
        ("selector", Rarely, selector),
        ("dataSource", Rarely, source.clone()),
        ("dataSourceRef", Rarely, source),
        ("volumeAttributesClassName", Rarely, one_of(&["gold", ""])),
    ]);
    let class = object(vec![("storageClassName", Often, class_name())]);
    let spec = both(asked, prop_oneof![5 => class, 1 => none()].boxed());
    let status = object(vec![
        ("phase", Often, one_of(&["Bound", "Pending"])),
        ("accessModes", Seldom, modes()),
        ("capacity", Seldom, object(vec![("storage", Often, quantity())])),
    ]);
    vec![("spec", Often, spec), ("status", Rarely, status)]
}

fn class_annotations() -> Maker {
    object(vec![
        ("volume.beta.kubernetes.io/storage-class", Rarely, class_name()),
        ("volume.alpha.kubernetes.io/storage-class", Rarely, one_of(&["default", ""])),
        ("pv.kubernetes.io/provisioned-by", Rarely, provisioner()),
    ])
}

pub(super) fn claim() -> Maker {
    whole(("v1", "PersistentVolumeClaim"), metadata(none(), class_annotations()), claim_fields())
}

/// A claim template, mostly the one that the container mounts.
pub(super) fn claim_template() -> Maker {
    let name = prop_oneof![6 => just(json!("data")), 1 => name()].boxed();
    let metadata =
        object(vec![("name", Often, name), ("labels", Rarely, labels()), ("annotations", Rarely, class_annotations())]);
    let mut fields = claim_fields();
    fields.push(("metadata", Often, metadata));
    object(fields)
}

/// Where the bytes of a PersistentVolume are: drivers, plugins that have left Kubernetes, directories of nodes.
fn volume_source() -> Maker {
    const INSIDE: &[&str] = &[
        "awsElasticBlockStore",
        "azureDisk",
        "azureFile",
        "cephfs",
        "cinder",
        "flocker",
        "gcePersistentDisk",
        "glusterfs",
        "portworxVolume",
        "quobyte",
        "rbd",
        "scaleIO",
        "storageos",
        "vsphereVolume",
        "fc",
        "iscsi",
    ];
    let key = prop_oneof![just(json!("kubernetes.io/hostname")), topology_key()];
    let affinity = key.prop_map(|key| {
        json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "In", "values": ["n1"]}]}]}})
    });
    let local =
        object(vec![("local", Always, just(json!({"path": "/mnt/disk"}))), ("nodeAffinity", Often, affinity.boxed())]);
    let driver = object(vec![("driver", Often, provisioner()), ("volumeHandle", Often, one_of(&["v1"]))]);
    let directory =
        object(vec![("path", Often, one_of(&["/mnt/disk", "/data", ""])), ("type", Seldom, one_of(&["Directory"]))]);
    prop_oneof![
        4 => object(vec![("csi", Always, driver)]),
        2 => one_of(INSIDE).prop_map(|kind| {
            let kind = kind.as_str().unwrap_or_default().to_owned();
            Value::Object([(kind, json!({"volumeID": "v1"}))].into_iter().collect())
        }),
        2 => object(vec![("hostPath", Always, directory)]),
        2 => local,
        1 => object(vec![("nfs", Always, just(json!({"server": "nas", "path": "/x"})))]),
        1 => none(),
    ]
    .boxed()
}

/// A PersistentVolume.
pub(super) fn volume_object() -> Maker {
    let reference = object(vec![
        ("kind", Seldom, one_of(&["PersistentVolumeClaim"])),
        ("name", Often, name()),
        ("namespace", Often, one_of(&["shop", "default", ""])),
    ]);
    let spec = object(vec![
        ("persistentVolumeReclaimPolicy", Often, one_of(&["Delete", "Delete", "Retain", "Recycle"])),
        ("claimRef", Seldom, reference),
        ("storageClassName", Often, class_name()),
        ("capacity", Often, object(vec![("storage", Often, quantity())])),
        ("accessModes", Often, modes()),
        ("volumeMode", Rarely, one_of(&["Block", "Filesystem"])),
        ("mountOptions", Seldom, mount_options()),
    ]);
    let made = metadata(none(), class_annotations());
    whole(("v1", "PersistentVolume"), made, vec![("spec", Often, both(spec, volume_source()))])
}

/// Kinds of storage systems that policies judge.
pub(super) fn snapshot_class() -> Maker {
    let backups = object(vec![("velero.io/csi-volumesnapshot-class", Rarely, one_of(&["true", "false"]))]);
    let kasten = object(vec![("k10.kasten.io/is-snapshot-class", Rarely, one_of(&["true", "false"]))]);
    let fields = vec![
        ("driver", Often, provisioner()),
        ("deletionPolicy", Often, one_of(&["Delete", "Delete", "Retain", "delete"])),
        ("parameters", Rarely, none()),
    ];
    whole(("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass"), metadata(backups, kasten), fields)
}

pub(super) fn pool() -> Maker {
    let replicated = object(vec![("size", Often, count()), ("requireSafeReplicaSize", Seldom, flag())]);
    let spec = object(vec![
        ("failureDomain", Often, one_of(&["host", "osd", "zone", ""])),
        ("replicated", Often, replicated),
        ("erasureCoded", Rarely, just(json!({"dataChunks": 2, "codingChunks": 1}))),
    ]);
    let files = object(vec![("metadataPool", Often, spec.clone()), ("dataPools", Often, list(spec.clone(), 2))]);
    let made = |kind, spec| whole(("ceph.rook.io/v1", kind), metadata(none(), none()), vec![("spec", Often, spec)]);
    prop_oneof![made("CephBlockPool", spec), made("CephFilesystem", files)].boxed()
}

/// The object by which a driver says that it is there.
pub(super) fn driver_object() -> Maker {
    let spec = object(vec![
        ("attachRequired", Seldom, flag()),
        ("volumeLifecycleModes", Rarely, list(one_of(&["Persistent", "Ephemeral"]), 2)),
    ]);
    let driver = whole(("storage.k8s.io/v1", "CSIDriver"), metadata(none(), none()), vec![("spec", Often, spec)]);
    (driver, provisioner()).prop_map(|(driver, name)| with(driver, &["metadata", "name"], name)).boxed()
}
