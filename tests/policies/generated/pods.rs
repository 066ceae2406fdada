//! Pod templates: containers that run a known engine or anything at all, volumes, and where the Pods may run.

use super::fields::Share::{Always, Often, Rarely, Seldom};
use super::fields::{
    Maker, both, chosen, count, flag, just, labels, list, merged, name, object, one_of, pick, port, quantity, selector,
    some, topology_key,
};
use super::knowledge::{ENGINES, Engine};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use std::sync::LazyLock;

const IMAGES: &[&str] = &[
    "postgres:16",
    "docker.io/library/postgres@sha256:00",
    "mysql:8.4",
    "mariadb",
    "percona:8.0",
    "bitnami/redis",
    "apache/kafka:3.7.0",
    "docker.elastic.co/elasticsearch/elasticsearch:8.1",
    "prom/prometheus",
    "prom/mysqld-exporter",
    "minio/minio",
    "nginx",
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
    "--config=/etc/db.conf",
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
    "/docker-entrypoint-initdb.d",
    "/tmp",
    "relative",
    "/usr/share/elasticsearch/data",
    "//",
];

fn mount(path: &'static str) -> Maker {
    object(vec![
        ("name", Always, one_of(&["data", "data", "data", "logs", "main", "config", "missing"])),
        (path, Often, one_of(PATHS)),
        ("readOnly", Seldom, flag()),
        ("subPath", Rarely, one_of(&["pgdata"])),
    ])
}

fn resources() -> Maker {
    let amounts = || object(vec![("memory", Often, quantity()), ("cpu", Seldom, quantity())]);
    object(vec![("requests", Seldom, amounts()), ("limits", Often, amounts())])
}

fn probe() -> Maker {
    prop_oneof![just(json!({})), just(json!({"tcpSocket": {"port": 1}})), just(json!({"exec": {"command": ["true"]}}))]
        .boxed()
}

/// What any container may have besides what it runs.
fn besides() -> Maker {
    let start = just(json!({"postStart": {"exec": {"command": ["sh", "-c", "redis-cli cluster meet db-0"]}}}));
    let variables = just(json!([{"secretRef": {"name": "s"}}]));
    object(vec![
        ("readinessProbe", Seldom, probe()),
        ("livenessProbe", Seldom, probe()),
        ("startupProbe", Rarely, probe()),
        ("resources", Seldom, resources()),
        ("lifecycle", Rarely, start),
        ("envFrom", Rarely, variables),
        ("restartPolicy", Rarely, one_of(&["Always"])),
        ("securityContext", Rarely, just(json!({"privileged": true, "runAsUser": 0}))),
        ("unknownField", Rarely, just(json!({"kept": [1, {"a": null}]}))),
    ])
}

/// A container that runs one of the engines that are known, mostly with its data directory on a volume.
fn database() -> Maker {
    let engines: Vec<&'static Engine> = ENGINES.iter().collect();
    (select(engines), any::<[Index; 8]>(), any::<[u8; 6]>(), besides())
        .prop_map(|(engine, at, dice, besides)| running(engine, &at, dice, besides))
        .boxed()
}

fn running(engine: &Engine, at: &[Index; 8], dice: [u8; 6], besides: Value) -> Value {
    let [of_image, of_port, of_volume, of_path, of_settings, of_words] = dice;
    let image = chosen(&at[0], &engine.images);
    let image = match of_image {
        0..160 => format!("{image}:16"),
        160..190 => format!("docker.io/library/{image}"),
        190..205 => format!("registry.example.com/team/{image}@sha256:00"),
        205..225 => image,
        _ => ["nginx", "registry:5000/team/orders:1", "my_app"][usize::from(of_image % 3)].to_owned(),
    };
    let path = if of_path < 210 { chosen(&at[1], &engine.paths) } else { chosen(&at[1], PATHS).to_owned() };
    let mut mounts = vec![json!({"name": if of_volume < 220 { "data" } else { "logs" }, "mountPath": path})];
    if of_volume % 4 == 0 {
        let path = if of_path % 2 == 0 { "/etc/config" } else { "/opt/conf.d" };
        mounts.push(json!({"name": "config", "mountPath": path}));
    }
    let name = ["db", "main", &engine.name][usize::from(of_image % 3)];
    let mut container = json!({"name": name, "image": image, "volumeMounts": mounts});
    if of_port < 220 {
        container["ports"] = json!([{"containerPort": chosen(&at[2], &engine.ports)}]);
    }
    if of_settings < 80 && !engine.variables.is_empty() {
        let variable = |index: &Index| {
            let (name, value) = chosen(index, &engine.variables);
            json!({"name": name, "value": value})
        };
        container["env"] = at[3..=4 + usize::from(of_settings % 2)].iter().map(variable).collect();
    }
    if of_words < 60 && !engine.words.is_empty() {
        container["args"] = at[6..].iter().map(|index| json!(chosen(index, &engine.words))).collect();
    }
    merged(container, besides)
}

fn any_container() -> Maker {
    static KNOWN: LazyLock<Vec<String>> =
        LazyLock::new(|| ENGINES.iter().flat_map(|engine| engine.images.iter().cloned()).collect());
    const NAMES: &[&str] = &[
        "PGDATA",
        "ETCD_DATA_DIR",
        "node.roles",
        "node.data",
        "POSTGRES_PORT",
        "PATRONI_SCOPE",
        "KAFKA_LOG_DIRS",
        "A",
    ];
    const VALUES: &[&str] = &["/var/lib/postgresql/data/pg", "false", "master", "ingest", "", "$(X)/d", "/a,/b"];
    let port = object(vec![
        ("containerPort", Often, port()),
        ("name", Seldom, name()),
        ("protocol", Seldom, one_of(&["TCP", "UDP", ""])),
    ]);
    let variable = object(vec![
        ("name", Always, one_of(NAMES)),
        ("value", Often, one_of(VALUES)),
        ("valueFrom", Rarely, just(json!({"secretKeyRef": {"name": "s", "key": "k"}}))),
    ]);
    let side = one_of(&["exporter", "backup", "metrics", "istio-proxy"]);
    let own = object(vec![
        ("name", Often, prop_oneof![4 => name(), 1 => side].boxed()),
        ("image", Often, prop_oneof![2 => one_of(IMAGES), 1 => pick(&KNOWN)].boxed()),
        ("command", Seldom, list(one_of(WORDS), 4)),
        ("args", Seldom, list(one_of(WORDS), 4)),
        ("env", Seldom, list(variable, 3)),
        ("ports", Often, list(port, 2)),
        ("volumeMounts", Often, list(mount("mountPath"), 3)),
        ("volumeDevices", Rarely, list(mount("devicePath"), 1)),
    ]);
    both(own, besides())
}

/// A volume of a Pod, of any source or none.
fn volume() -> Maker {
    let claim = object(vec![("claimName", Often, name()), ("readOnly", Rarely, flag())]);
    let path = object(vec![("path", Often, one_of(&["/mnt/disk", "/etc/localtime", "/dev", ""]))]);
    let driver = one_of(&["secrets-store.csi.k8s.io", "s3.csi.aws.com", "nfs.csi.k8s.io", "x"]);
    let ephemeral = just(json!({"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}));
    let source = prop_oneof![
        6 => object(vec![("persistentVolumeClaim", Always, claim)]),
        2 => object(vec![("emptyDir", Always, just(json!({})))]),
        3 => object(vec![("hostPath", Always, path)]),
        1 => object(vec![("csi", Always, object(vec![("driver", Often, driver)]))]),
        1 => object(vec![("nfs", Always, just(json!({"server": "nas", "path": "/x"})))]),
        1 => object(vec![("configMap", Always, just(json!({"name": "c"})))]),
        1 => object(vec![("secret", Always, just(json!({"secretName": "s"})))]),
        1 => object(vec![("ephemeral", Always, ephemeral)]),
        1 => just(json!({})),
        1 => just(json!({"emptyDir": {}, "persistentVolumeClaim": {"claimName": "data"}})),
    ];
    both(object(vec![("name", Always, one_of(&["data", "data", "logs", "main", "other"]))]), source.boxed())
}

/// Affinity of Pods to each other and to nodes.
fn affinity() -> Maker {
    let term = object(vec![
        ("topologyKey", Always, topology_key()),
        ("labelSelector", Often, selector()),
        ("namespaces", Seldom, list(one_of(&["shop", "other"]), 2)),
        ("namespaceSelector", Seldom, just(json!({}))),
        ("mismatchLabelKeys", Seldom, list(one_of(&["app", "x"]), 1)),
    ]);
    let preferred = object(vec![("weight", Always, count()), ("podAffinityTerm", Often, term.clone())]);
    let terms = || {
        object(vec![
            ("requiredDuringSchedulingIgnoredDuringExecution", Seldom, list(term.clone(), 2)),
            ("preferredDuringSchedulingIgnoredDuringExecution", Seldom, list(preferred.clone(), 2)),
        ])
    };
    let expression = object(vec![
        ("key", Always, topology_key()),
        ("operator", Always, one_of(&["In", "In", "NotIn", "Exists", "Gt"])),
        ("values", Often, list(one_of(&["n1", "n2", "a", "b"]), 2)),
    ]);
    let nodes = object(vec![
        ("matchExpressions", Often, list(expression.clone(), 2)),
        ("matchFields", Rarely, list(expression, 1)),
    ]);
    let required = object(vec![("nodeSelectorTerms", Often, list(nodes.clone(), 2))]);
    let node = object(vec![
        ("requiredDuringSchedulingIgnoredDuringExecution", Seldom, required),
        (
            "preferredDuringSchedulingIgnoredDuringExecution",
            Seldom,
            list(object(vec![("weight", Always, count()), ("preference", Often, nodes)]), 2),
        ),
    ]);
    object(vec![("podAntiAffinity", Often, terms()), ("podAffinity", Rarely, terms()), ("nodeAffinity", Seldom, node)])
}

fn spread() -> Maker {
    object(vec![
        ("maxSkew", Always, count()),
        ("topologyKey", Always, topology_key()),
        ("whenUnsatisfiable", Always, one_of(&["DoNotSchedule", "ScheduleAnyway"])),
        ("labelSelector", Often, selector()),
        ("minDomains", Rarely, count()),
        ("matchLabelKeys", Rarely, list(one_of(&["pod-template-hash", "app"]), 1)),
    ])
}

/// Where the Pods may run and how they end: the rest of a Pod's spec.
fn placement() -> Maker {
    const NODES: &[&str] = &["n1", "node-9", ""];
    let by_label = object(vec![
        ("kubernetes.io/hostname", Seldom, one_of(NODES)),
        ("topology.kubernetes.io/zone", Seldom, one_of(&["a", "b", "c"])),
        ("failure-domain.beta.kubernetes.io/zone", Rarely, one_of(&["a"])),
        ("beta.kubernetes.io/os", Rarely, one_of(&["linux"])),
        ("disktype", Seldom, one_of(&["ssd"])),
    ]);
    let toleration = object(vec![
        ("key", Often, one_of(&["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready", "dedicated", ""])),
        ("operator", Often, one_of(&["Exists", "Equal"])),
        ("effect", Seldom, one_of(&["NoExecute", "NoSchedule"])),
        ("tolerationSeconds", Seldom, count()),
    ]);
    object(vec![
        ("affinity", Seldom, affinity()),
        ("topologySpreadConstraints", Seldom, list(spread(), 2)),
        ("nodeSelector", Rarely, by_label),
        ("nodeName", Rarely, one_of(NODES)),
        ("tolerations", Rarely, list(toleration, 2)),
        ("priorityClassName", Rarely, one_of(&["system-cluster-critical", "high", "gone", ""])),
        ("schedulerName", Rarely, one_of(&["stork", "default-scheduler"])),
        ("terminationGracePeriodSeconds", Seldom, count()),
        ("serviceAccountName", Rarely, one_of(&["db"])),
        ("securityContext", Rarely, just(json!({"fsGroup": 999, "fsGroupChangePolicy": "Always"}))),
        ("hostNetwork", Rarely, flag()),
        ("restartPolicy", Rarely, one_of(&["Always", "Never", "OnFailure"])),
        ("unknownField", Rarely, just(json!([{}]))),
    ])
}

/// A Pod's spec: any, or one that runs an engine whose volume, `data`, is one of `volumes` where it is not a claim template.
pub(super) fn pod_spec(volumes: Maker) -> Maker {
    let config = object(vec![
        ("name", Always, one_of(&["config"])),
        ("configMap", Often, just(json!({"name": "c"}))),
        ("secret", Rarely, just(json!({"secretName": "s"}))),
    ]);
    let beside = object(vec![
        ("initContainers", Rarely, list(prop_oneof![database(), any_container()].boxed(), 2)),
        ("containers", Always, some(prop_oneof![6 => database(), 1 => any_container()].boxed(), 1)),
        ("volumes", Often, joined(list(config, 1), volumes)),
    ]);
    let two = (beside.clone(), any_container()).prop_map(|(mut spec, second)| {
        if let Some(list) = spec["containers"].as_array_mut() {
            list.push(second);
        }
        spec
    });
    let any = object(vec![
        ("containers", Often, some(prop_oneof![database(), any_container()].boxed(), 3)),
        ("initContainers", Seldom, list(any_container(), 2)),
        ("volumes", Often, prop_oneof![1 => list(volume(), 1), 3 => some(volume(), 3)].boxed()),
    ]);
    both(placement(), prop_oneof![6 => beside, 2 => two, 3 => any].boxed())
}

/// The volumes of a workload without claim templates: mostly a claim that the cluster has.
pub(super) fn fixed_volumes() -> Maker {
    let claim = one_of(&["data", "data", "db", "gone"]);
    let usual = claim.prop_map(|claim| json!([{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]));
    prop_oneof![4 => usual, 1 => list(volume(), 2)].boxed()
}

/// The volumes of a workload with claim templates: mostly none.
pub(super) fn other_volumes() -> Maker {
    prop_oneof![4 => just(json!([])), 1 => fixed_volumes(), 1 => list(volume(), 2)].boxed()
}

fn joined(first: Maker, second: Maker) -> Maker {
    let all = |(mut first, second): (Value, Value)| {
        if let (Some(list), Value::Array(more)) = (first.as_array_mut(), second) {
            list.extend(more);
        }
        first
    };
    (first, second).prop_map(all).boxed()
}

/// `spec.template`, or what a Pod consists of.
pub(super) fn template(volumes: Maker) -> Maker {
    let with_label = prop_oneof![6 => just(json!({"app": "db"})), 1 => labels()].boxed();
    let annotations = one_of(&["x"]).prop_map(|text| json!({"example.com/other": text})).boxed();
    object(vec![
        ("metadata", Often, object(vec![("labels", Often, with_label), ("annotations", Rarely, annotations)])),
        ("spec", Often, pod_spec(volumes)),
    ])
}
