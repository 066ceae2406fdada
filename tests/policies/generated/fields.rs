//! Building blocks of generated objects: optional fields, names, quantities, labels, containers, volumes.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

pub(super) type Maker = BoxedStrategy<Value>;

/// How often a field is there.
#[derive(Clone, Copy)]
pub(super) enum Share {
    Always,
    Often,
    Seldom,
}

/// An object of fields that may be absent, null, or there.
pub(super) fn object(fields: Vec<(&'static str, Share, Maker)>) -> Maker {
    let (names, makers): (Vec<_>, Vec<_>) =
        fields.into_iter().map(|(name, share, make)| (name, field(share, make))).unzip();
    makers
        .prop_map(move |values| {
            let given = names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
            Value::Object(given.collect::<Map<_, _>>())
        })
        .boxed()
}

fn field(share: Share, make: Maker) -> BoxedStrategy<Option<Value>> {
    let (absent, null, there) = match share {
        Share::Always => (0, 0, 1),
        Share::Often => (3, 1, 30),
        Share::Seldom => (14, 1, 6),
    };
    prop_oneof![absent => Just(None), null => Just(Some(Value::Null)), there => make.prop_map(Some)].boxed()
}

/// A list of at most `most` elements, often empty.
pub(super) fn list(make: Maker, most: usize) -> Maker {
    prop::collection::vec(make, 0..=most).prop_map(Value::Array).boxed()
}

/// A list of one to `most` elements.
pub(super) fn some(make: Maker, most: usize) -> Maker {
    prop::collection::vec(make, 1..=most).prop_map(Value::Array).boxed()
}

/// One of these texts.
pub(super) fn one_of(texts: &'static [&'static str]) -> Maker {
    select(texts).prop_map(Value::from).boxed()
}

pub(super) fn flag() -> Maker {
    any::<bool>().prop_map(Value::from).boxed()
}

/// Names: mostly the same few, so that objects refer to each other; the odd ones are what a `check` of a file can meet.
pub(super) fn name() -> Maker {
    prop_oneof![
        12 => one_of(&["data", "db", "main", "logs"]),
        2 => one_of(&["redis-0", "x.y", "a/b", "~t", "[db]", "", "0", "-", "ä-ö", "日本", "Weird Name", "%d %s", "\u{202e}db", "db\n"]),
        1 => Just(json!("n".repeat(253))),
    ]
    .boxed()
}

/// Every notation of a quantity, right and wrong.
pub(super) fn quantity() -> Maker {
    prop_oneof![
        6 => one_of(&["1Gi", "10Gi", "1.5Ti", "100m", "0", "1", "1e3", "1E3", "5E", "12Ki", "7k", "3P", "250n", "9u", ".5Gi", "1.", "+5Gi"]),
        1 => one_of(&["-1", "", " 1Gi", "1 Gi", "1gib", "1e999999999", "1e-999999999", "99999999999999999999999999999Ei", "٣Gi", "NaN", "0x10"]),
        1 => prop_oneof![Just(json!(5)), Just(json!(1.5)), Just(json!(-3)), Just(json!(1e300)), Just(json!(u64::MAX))],
    ]
    .boxed()
}

/// Numbers where the API wants an int32, huge and impossible ones among them.
pub(super) fn count() -> Maker {
    prop_oneof![
        8 => select(vec![0, 1, 2, 3, 4, 5, 7]).prop_map(Value::from),
        2 => select(vec![i32::MAX as i64, i32::MIN as i64, -1, i64::MAX]).prop_map(Value::from),
        1 => select(vec![3.0, 2.5, 1e20]).prop_map(Value::from),
    ]
    .boxed()
}

pub(super) fn port() -> Maker {
    select(vec![5432, 3306, 27017, 6379, 9042, 9092, 2181, 2379, 9200, 5672, 8080, 0, 65535, 70000])
        .prop_map(Value::from)
        .boxed()
}

const TIERS: &[&str] = &["tier-0", "tier-1", "tier-2", "tier-3", "dev", "tier-9", "", "Tier-1"];

/// The vocabulary of labels, with wrong values.
pub(super) fn labels() -> Maker {
    object(vec![
        ("app", Share::Often, one_of(&["db", "cache"])),
        ("seawall.dev/tier", Share::Seldom, one_of(TIERS)),
        ("seawall.dev/data", Share::Seldom, one_of(&["durable", "cache", "scratch", "readonly", "CACHE", ""])),
        (
            "seawall.dev/engine",
            Share::Seldom,
            one_of(&["postgres", "PG", " mysql ", "none", "kafka", "unheard-of", "constructor", ""]),
        ),
        ("seawall.dev/protected", Share::Seldom, one_of(&["true", "false", "yes"])),
        ("seawall.dev/mode", Share::Seldom, one_of(&["enforce", "warn", "audit", "off", "of"])),
        ("seawall.dev/patch", Share::Seldom, one_of(&["enabled", "disabled", "on"])),
        ("addonmanager.kubernetes.io/mode", Share::Seldom, one_of(&["Reconcile", "EnsureExists"])),
    ])
}

fn annotations() -> Maker {
    object(vec![
        ("volume.beta.kubernetes.io/storage-class", Share::Seldom, super::objects::class_name()),
        ("storageclass.kubernetes.io/is-default-class", Share::Seldom, one_of(&["true", "false", "yes"])),
        ("storageclass.beta.kubernetes.io/is-default-class", Share::Seldom, one_of(&["true", ""])),
        ("seawall.dev/shared-writers", Share::Seldom, one_of(&["shared media", " ", ""])),
        ("seawall.dev/allow-delete", Share::Seldom, name()),
        ("seawall.dev/allow-delete-on", Share::Seldom, one_of(&["2026-01-15", "2026-01-14", "today"])),
        ("pv.kubernetes.io/provisioned-by", Share::Seldom, super::objects::provisioner()),
        ("kubectl.kubernetes.io/last-applied-configuration", Share::Seldom, one_of(&["{}"])),
    ])
}

/// Owners: operators, controllers, and shapes that no API server would store.
fn owners() -> Maker {
    let owner = object(vec![
        (
            "apiVersion",
            Share::Often,
            one_of(&["apps/v1", "v1", "acid.zalan.do/v1", "postgresql.cnpg.io/v1", "core.strimzi.io/v1beta2", "/", ""]),
        ),
        ("kind", Share::Often, one_of(&["StatefulSet", "Deployment", "ReplicaSet", "Pod", "postgresql", "Cluster"])),
        ("name", Share::Often, name()),
        ("controller", Share::Often, flag()),
    ]);
    list(owner, 2)
}

/// `metadata` of an object.
pub(super) fn metadata() -> Maker {
    object(vec![
        ("name", Share::Always, name()),
        ("namespace", Share::Often, one_of(&["shop", "default"])),
        ("labels", Share::Often, labels()),
        ("annotations", Share::Seldom, annotations()),
        ("ownerReferences", Share::Seldom, owners()),
        ("finalizers", Share::Seldom, one_of(&["kubernetes.io/pvc-protection"]).prop_map(|f| json!([f])).boxed()),
        ("generateName", Share::Seldom, one_of(&["db-"])),
    ])
}

/// Selectors, those with expressions among them.
fn selector() -> Maker {
    let expression = object(vec![
        ("key", Share::Always, one_of(&["app", "seawall.dev/tier", "none"])),
        ("operator", Share::Always, one_of(&["In", "NotIn", "Exists", "DoesNotExist", "Gt"])),
        ("values", Share::Often, list(one_of(&["db", "cache", ""]), 2)),
    ]);
    object(vec![
        ("matchLabels", Share::Often, object(vec![("app", Share::Always, one_of(&["db", "db", "cache"]))])),
        ("matchExpressions", Share::Seldom, list(expression, 2)),
    ])
}

/// `spec.selector` of a workload.
pub(super) fn own_selector() -> Maker {
    prop_oneof![4 => Just(json!({"matchLabels": {"app": "db"}})), 1 => selector()].boxed()
}

const IMAGES: &[&str] = &[
    "postgres:16",
    "docker.io/library/postgres@sha256:00",
    "mysql:8.4",
    "mariadb",
    "percona:8.0",
    "mongo:7",
    "redis:7-alpine",
    "valkey/valkey:8",
    "bitnami/redis",
    "cassandra:4",
    "apache/kafka:3.7.0",
    "zookeeper",
    "quay.io/coreos/etcd:v3.5",
    "rabbitmq:3",
    "docker.elastic.co/elasticsearch/elasticsearch:8.1",
    "nats:2",
    "cockroachdb/cockroach:v23",
    "clickhouse/clickhouse-server",
    "prom/prometheus",
    "prom/mysqld-exporter",
    "minio/minio",
    "memcached",
    "nginx",
    "registry:5000/team/orders-kafka-consumer:1",
    "registry:5000/Team/POSTGRES",
    "ghcr.io/zalando/spilo-15:2.1",
    "my_app",
    "",
    ":",
    "@",
    "///",
    "постгрес:1",
    "postgres-mysql",
];

const WORDS: &[&str] = &[
    "postgres",
    "mysqld",
    "mongod",
    "redis-server",
    "redis-sentinel",
    "etcd",
    "sh",
    "-c",
    "bash",
    "exec /entrypoint.sh \"$@\"",
    "redis-cli ping",
    "mysqld --datadir=/var/lib/mysql",
    "--data-dir=/var/lib/etcd",
    "-D",
    "/var/lib/postgresql/data",
    "--save",
    "",
    "-js",
    "--maxmemory-policy allkeys-lru",
    "docker-entrypoint.sh",
    "tini",
    "--",
    "gosu",
    "postgres -c port=1",
    "cockroach",
    "start",
    "init",
    "A=b",
    "--sentinel",
    "exec kafka-server-start.sh;\n\tsleep 1 | cat & (true)",
    "\\\n",
    "--storage.tsdb.path=/prometheus/",
];

const PATHS: &[&str] = &[
    "/var/lib/postgresql/data",
    "/var/lib/postgresql/data/",
    "/var/lib/mysql",
    "/data/db",
    "/data",
    "/bitnami/redis/data",
    "/",
    "",
    "/var/lib/etcd",
    "/var/lib/kafka/data",
    "/etc/config",
    "/tmp",
    "relative",
    "/usr/share/elasticsearch/data",
    "//",
];

fn mount(path: &'static str) -> Maker {
    object(vec![
        ("name", Share::Always, one_of(&["data", "data", "logs", "main", "missing"])),
        (path, Share::Often, one_of(PATHS)),
        ("readOnly", Share::Seldom, flag()),
        ("subPath", Share::Seldom, one_of(&["pgdata"])),
    ])
}

/// A container: one of the usual databases with its data directory, or anything at all.
pub(super) fn container() -> Maker {
    let usual = select(vec![
        ("postgres:16", 5432, "/var/lib/postgresql/data"),
        ("mysql:8.4", 3306, "/var/lib/mysql"),
        ("redis:7", 6379, "/data"),
        ("quay.io/coreos/etcd:v3.5", 2379, "/var/lib/etcd"),
    ]);
    let database =
        (usual, one_of(&["data", "logs"]), one_of(&["db", "main"])).prop_map(|((image, port, path), volume, name)| {
            json!({
                "name": name, "image": image, "ports": [{"containerPort": port}],
                "volumeMounts": [{"name": volume, "mountPath": path}],
            })
        });
    prop_oneof![1 => database, 1 => any_container()].boxed()
}

fn any_container() -> Maker {
    let port = object(vec![
        ("containerPort", Share::Often, port()),
        ("name", Share::Seldom, name()),
        ("protocol", Share::Seldom, one_of(&["TCP", "UDP", ""])),
    ]);
    let variable = object(vec![
        ("name", Share::Always, one_of(&["PGDATA", "ETCD_DATA_DIR", "node.roles", "node.data", "POSTGRES_PORT", "A"])),
        (
            "value",
            Share::Often,
            one_of(&["/var/lib/postgresql/data/pg", "false", "master", "ingest", "", "$(X)/d", "/a,/b"]),
        ),
        ("valueFrom", Share::Seldom, Just(json!({"secretKeyRef": {"name": "s", "key": "k"}})).boxed()),
    ]);
    object(vec![
        (
            "name",
            Share::Often,
            prop_oneof![4 => name(), 1 => one_of(&["exporter", "backup", "metrics", "istio-proxy"])].boxed(),
        ),
        ("image", Share::Often, one_of(IMAGES)),
        ("command", Share::Seldom, list(one_of(WORDS), 4)),
        ("args", Share::Seldom, list(one_of(WORDS), 4)),
        ("env", Share::Seldom, list(variable, 3)),
        ("ports", Share::Often, list(port, 2)),
        ("volumeMounts", Share::Often, list(mount("mountPath"), 3)),
        ("volumeDevices", Share::Seldom, list(mount("devicePath"), 1)),
        (
            "readinessProbe",
            Share::Seldom,
            prop_oneof![Just(json!({})), Just(json!({"tcpSocket": {"port": 1}}))].boxed(),
        ),
        ("restartPolicy", Share::Seldom, one_of(&["Always"])),
        (
            "resources",
            Share::Seldom,
            object(vec![("limits", Share::Often, object(vec![("memory", Share::Often, quantity())]))]),
        ),
        ("unknownField", Share::Seldom, Just(json!({"kept": [1, {"a": null}]})).boxed()),
    ])
}

/// A volume of a Pod, of any source or none.
pub(super) fn volume() -> Maker {
    object(vec![
        ("name", Share::Always, one_of(&["data", "logs", "main", "other"])),
        (
            "persistentVolumeClaim",
            Share::Often,
            object(vec![("claimName", Share::Often, name()), ("readOnly", Share::Seldom, flag())]),
        ),
        ("emptyDir", Share::Seldom, Just(json!({})).boxed()),
        (
            "hostPath",
            Share::Seldom,
            object(vec![("path", Share::Often, one_of(&["/mnt/disk", "/etc/localtime", "/dev", ""]))]),
        ),
        ("csi", Share::Seldom, object(vec![("driver", Share::Often, one_of(&["secrets-store.csi.k8s.io", "x"]))])),
        ("configMap", Share::Seldom, Just(json!({"name": "c"})).boxed()),
    ])
}

/// Affinity and spread constraints.
pub(super) fn affinity() -> Maker {
    let term = object(vec![
        ("topologyKey", Share::Always, one_of(&["kubernetes.io/hostname", "topology.kubernetes.io/zone", "rack"])),
        ("labelSelector", Share::Often, selector()),
        ("namespaces", Share::Seldom, list(one_of(&["shop", "other"]), 2)),
        ("namespaceSelector", Share::Seldom, Just(json!({})).boxed()),
        ("mismatchLabelKeys", Share::Seldom, list(one_of(&["app", "x"]), 1)),
    ]);
    let preferred = object(vec![("weight", Share::Always, count()), ("podAffinityTerm", Share::Often, term.clone())]);
    let anti = object(vec![
        ("requiredDuringSchedulingIgnoredDuringExecution", Share::Seldom, list(term, 2)),
        ("preferredDuringSchedulingIgnoredDuringExecution", Share::Seldom, list(preferred, 2)),
    ]);
    object(vec![("podAntiAffinity", Share::Often, anti), ("nodeAffinity", Share::Seldom, Just(json!({})).boxed())])
}

pub(super) fn spread() -> Maker {
    object(vec![
        ("maxSkew", Share::Always, count()),
        ("topologyKey", Share::Always, one_of(&["kubernetes.io/hostname", "topology.kubernetes.io/zone"])),
        ("whenUnsatisfiable", Share::Always, one_of(&["DoNotSchedule", "ScheduleAnyway"])),
        ("labelSelector", Share::Often, selector()),
    ])
}

/// A value of the wrong type, put in the place of any other.
pub(super) fn junk() -> Maker {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        Just(json!("text")),
        Just(json!(0)),
        Just(json!(-1.5)),
        Just(json!(true)),
        Just(json!([null, 1, {"name": "data"}])),
        Just(json!({"name": "data", "": [[]]})),
        Just(json!("%n%s\u{0}")),
    ]
    .boxed()
}
