//! Building blocks of generated objects: optional fields, names, quantities, labels, annotations, selectors.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

pub(super) type Maker = BoxedStrategy<Value>;

/// How often a field is there.
#[derive(Clone, Copy)]
pub(super) enum Share {
    Always,
    Often,
    Half,
    Seldom,
    Rarely,
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
        Share::Often => (2, 1, 80),
        Share::Half => (9, 1, 10),
        Share::Seldom => (14, 1, 6),
        Share::Rarely => (40, 1, 3),
    };
    prop_oneof![absent => Just(None), null => Just(Some(Value::Null)), there => make.prop_map(Some)].boxed()
}

/// The fields of two objects, those of the second where both have one.
pub(super) fn both(first: Maker, second: Maker) -> Maker {
    (first, second).prop_map(|(first, second)| merged(first, second)).boxed()
}

/// The fields of two objects, those of the second where both have one.
pub(super) fn merged(mut first: Value, second: Value) -> Value {
    if let (Value::Object(all), Value::Object(more)) = (&mut first, second) {
        all.extend(more);
    }
    first
}

/// An object with a value at a path of keys.
pub(super) fn with(mut object: Value, path: &[&str], value: Value) -> Value {
    let last = path.iter().fold(&mut object, |at, key| &mut at[*key]);
    *last = value;
    object
}

/// Always the same.
pub(super) fn just(value: Value) -> Maker {
    Just(value).boxed()
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

/// One of these texts.
pub(super) fn pick(texts: &'static [String]) -> Maker {
    select(texts).prop_map(Value::from).boxed()
}

/// The element that an index means, the default where there is none.
pub(super) fn chosen<T: Clone + Default>(index: &Index, from: &[T]) -> T {
    if from.is_empty() { T::default() } else { index.get(from).clone() }
}

pub(super) fn flag() -> Maker {
    any::<bool>().prop_map(Value::from).boxed()
}

/// Names: mostly the same few, so that objects refer to each other; the odd ones are what a `check` of a file can meet.
pub(super) fn name() -> Maker {
    prop_oneof![
        12 => one_of(&["data", "db", "main", "logs"]),
        2 => one_of(&["redis-0", "x.y", "a/b", "~t", "[db]", "", "0", "-", "ä-ö", "日本", "Weird Name", "%d %s", "\u{202e}db", "db\n"]),
        1 => just(json!("n".repeat(253))),
    ]
    .boxed()
}

/// Every notation of a quantity, right and wrong.
pub(super) fn quantity() -> Maker {
    prop_oneof![
        6 => one_of(&["1Gi", "10Gi", "1.5Ti", "100m", "0", "1", "1e3", "1E3", "5E", "12Ki", "7k", "3P", "250n", "9u", ".5Gi", "1.", "+5Gi"]),
        1 => one_of(&["-1", "", " 1Gi", "1 Gi", "1gib", "1e999999999", "1e-999999999", "99999999999999999999999999999Ei", "٣Gi", "NaN", "0x10"]),
        1 => prop_oneof![just(json!(5)), just(json!(1.5)), just(json!(-3)), just(json!(1e300)), just(json!(u64::MAX))],
    ]
    .boxed()
}

/// Numbers where the API wants an int32, huge and impossible ones among them.
pub(super) fn count() -> Maker {
    prop_oneof![
        9 => select(vec![0, 1, 1, 2, 3, 3, 4, 5, 7]).prop_map(Value::from),
        1 => select(vec![i32::MAX as i64, i32::MIN as i64, -1, i64::MAX]).prop_map(Value::from),
        1 => select(vec![3.0, 2.5, 1e20]).prop_map(Value::from),
    ]
    .boxed()
}

pub(super) fn port() -> Maker {
    select(vec![5432, 3306, 27017, 6379, 9042, 9092, 2181, 2379, 9200, 5672, 8080, 0, 65535, 70000])
        .prop_map(Value::from)
        .boxed()
}

/// The vocabulary of labels, with wrong values.
pub(super) fn labels() -> Maker {
    use Share::{Often, Rarely, Seldom};
    const TIERS: &[&str] = &["tier-0", "tier-1", "tier-2", "tier-3", "dev", "tier-9", "", "Tier-1"];
    const ENGINES: &[&str] = &["postgres", "PG", " mysql ", "none", "kafka", "unheard-of", "constructor", ""];
    const APPROACHES: &[&str] = &["managed", "operator", "csi-statefulset", "distributed", "by hand", ""];
    const PROFILES: &[&str] = &["oltp", "analytics", "vector", "queue", "cache", "general", "OLTP", ""];
    object(vec![
        ("app", Often, one_of(&["db", "cache"])),
        ("seawall.dev/tier", Rarely, one_of(TIERS)),
        ("seawall.dev/data", Rarely, one_of(&["durable", "cache", "scratch", "readonly", "CACHE", ""])),
        ("seawall.dev/engine", Rarely, one_of(ENGINES)),
        ("seawall.dev/storage-approach", Seldom, one_of(APPROACHES)),
        ("seawall.dev/workload-profile", Seldom, one_of(PROFILES)),
        ("seawall.dev/stage", Seldom, one_of(&["live", "live", "onboarding", ""])),
        ("seawall.dev/protected", Rarely, one_of(&["true", "false", "yes"])),
        ("seawall.dev/mode", Rarely, one_of(&["enforce", "warn", "audit", "off", "of"])),
        ("seawall.dev/patch", Rarely, one_of(&["enabled", "disabled", "on"])),
        ("seawall.dev/owner", Rarely, one_of(&["team-a", " ", ""])),
        ("seawall.dev/storage-system", Rarely, one_of(&["true", "false"])),
        ("addonmanager.kubernetes.io/mode", Rarely, one_of(&["Reconcile", "EnsureExists"])),
    ])
}

/// Annotations of others and of our own.
pub(super) fn annotations() -> Maker {
    use Share::{Rarely, Seldom};
    let others = object(vec![
        ("kubernetes.io/description", Seldom, one_of(&["for databases", " "])),
        ("seawall.dev/shared-writers", Rarely, one_of(&["shared media", " ", ""])),
        ("seawall.dev/allow-delete", Rarely, name()),
        ("seawall.dev/allow-delete-on", Seldom, one_of(&["2026-01-15", "2026-01-14", "today"])),
        ("kubectl.kubernetes.io/last-applied-configuration", Seldom, one_of(&["{}"])),
        ("example.com/other", Seldom, one_of(&["x", ""])),
    ]);
    prop_oneof![4 => others.clone(), 1 => both(others, exemption())].boxed()
}

/// The annotations of an exemption: mostly all that it needs.
fn exemption() -> Maker {
    use Share::Often;
    const WHAT: &[&str] =
        &["anti-affinity-host,readiness-probe", "class-reclaim-retain", "delete-claim", "nothing", " , "];
    const UNTIL: &[&str] = &["2026-01-20", "2026-01-20", "2026-03-01", "2026-01-14", "2030-01-01", "soon", ""];
    object(vec![
        ("seawall.dev/exempt", Often, one_of(WHAT)),
        ("seawall.dev/exempt-reason", Often, one_of(&["a migration is under way", "because", " "])),
        ("seawall.dev/exempt-until", Often, one_of(UNTIL)),
        ("seawall.dev/exempt-by", Often, one_of(&["platform", "platform", ""])),
    ])
}

/// Owners: operators, controllers, and shapes that no API server would store.
fn owners() -> Maker {
    use Share::Often;
    const VERSIONS: &[&str] =
        &["apps/v1", "v1", "acid.zalan.do/v1", "postgresql.cnpg.io/v1", "core.strimzi.io/v1beta2", "/", ""];
    const KINDS: &[&str] = &["StatefulSet", "Deployment", "ReplicaSet", "Pod", "postgresql", "Cluster"];
    let owner = object(vec![
        ("apiVersion", Often, one_of(VERSIONS)),
        ("kind", Often, one_of(KINDS)),
        ("name", Often, name()),
        ("controller", Often, flag()),
    ]);
    list(owner, 2)
}

/// `metadata` of an object, with labels and annotations of its kind besides the usual ones.
pub(super) fn metadata(own_labels: Maker, own_annotations: Maker) -> Maker {
    use Share::{Always, Half, Often, Rarely};
    object(vec![
        ("name", Always, name()),
        ("namespace", Often, one_of(&["shop", "shop", "default"])),
        ("labels", Often, both(labels(), own_labels)),
        ("annotations", Half, both(annotations(), own_annotations)),
        ("ownerReferences", Rarely, owners()),
        ("finalizers", Rarely, just(json!(["kubernetes.io/pvc-protection"]))),
        ("generateName", Rarely, one_of(&["db-"])),
    ])
}

/// Nothing besides the usual.
pub(super) fn none() -> Maker {
    just(json!({}))
}

/// Selectors, those with expressions among them.
pub(super) fn selector() -> Maker {
    use Share::{Always, Often, Seldom};
    let expression = object(vec![
        ("key", Always, one_of(&["app", "seawall.dev/tier", "none"])),
        ("operator", Always, one_of(&["In", "NotIn", "Exists", "DoesNotExist", "Gt"])),
        ("values", Often, list(one_of(&["db", "cache", ""]), 2)),
    ]);
    object(vec![
        ("matchLabels", Often, object(vec![("app", Always, one_of(&["db", "db", "cache"]))])),
        ("matchExpressions", Seldom, list(expression, 2)),
    ])
}

/// `spec.selector` of a workload.
pub(super) fn own_selector() -> Maker {
    prop_oneof![4 => just(json!({"matchLabels": {"app": "db"}})), 1 => selector()].boxed()
}

/// Keys of node labels that say where a node is: right, old and unheard of.
pub(super) fn topology_key() -> Maker {
    const KEYS: &[&str] = &[
        "kubernetes.io/hostname",
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.ebs.csi.aws.com/zone",
        "rack",
        "",
    ];
    one_of(KEYS)
}

/// A value of the wrong type, put in the place of any other.
pub(super) fn junk() -> Maker {
    prop_oneof![
        just(Value::Null),
        just(json!([])),
        just(json!({})),
        just(json!("text")),
        just(json!(0)),
        just(json!(-1.5)),
        just(json!(true)),
        just(json!([null, 1, {"name": "data"}])),
        just(json!({"name": "data", "": [[]]})),
        just(json!("%n%s\u{0}")),
    ]
    .boxed()
}
