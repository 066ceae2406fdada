//! Words of the knowledge data, so that an engine or a provisioner that is added there is tried without a change here.

use crate::embedded::bundle;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// What is known of a database engine, as words for a container.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) name: String,
    /// Without tag.
    pub(super) images: Vec<String>,
    pub(super) ports: Vec<i64>,
    pub(super) paths: Vec<String>,
    /// Variables that say where data is, which role a member has and who its peers are.
    pub(super) variables: Vec<(String, String)>,
    /// Arguments that say the same.
    pub(super) words: Vec<String>,
}

/// What is known of a provisioner, as words for a class.
#[derive(Debug)]
pub(super) struct Driver {
    /// Its own name first, then others: of a plugin inside Kubernetes, with a prefix.
    pub(super) names: Vec<String>,
    pub(super) storage: String,
    pub(super) bound_to: String,
    /// A denial may rest on what is known.
    pub(super) verified: bool,
    /// Parameters that change what a policy says.
    pub(super) telling: Vec<(String, String)>,
    /// Names of all known parameters.
    pub(super) known: Vec<String>,
}

/// All engines.
pub(super) static ENGINES: LazyLock<Vec<Engine>> = LazyLock::new(|| {
    let table = at("/engines/table").as_object().unwrap();
    table.iter().map(|(name, row)| engine(name, row)).collect()
});

/// All provisioners.
pub(super) static DRIVERS: LazyLock<Vec<Driver>> = LazyLock::new(|| {
    let rows = at("/provisioners/rows").as_object().unwrap();
    rows.iter().map(|(name, row)| driver(name, row)).collect()
});

/// Plugins that have left Kubernetes.
pub(super) static REMOVED: LazyLock<Vec<String>> = LazyLock::new(|| keys(at("/provisioners/inTree/removed"), ""));

/// Mount options that somebody has an opinion of.
pub(super) static MOUNT_OPTIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let kinds = at("/provisioners/mountOptions").as_object().unwrap();
    kinds.values().flat_map(|kind| keys(kind, "")).collect()
});

/// Parameters of classes that hold mount options.
pub(super) static MOUNT_PARAMETERS: LazyLock<Vec<String>> =
    LazyLock::new(|| keys(at("/provisioners/mountOptionParameters"), ""));

/// `apiVersion` and kind of operators' resources that some policy judges, and old versions of kinds of Kubernetes.
pub(super) static CUSTOM: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let groups = at("/operators/groups").as_object().unwrap();
    let versions = |group: &str| -> BTreeSet<String> {
        let rows = crate::embedded::set().policies().iter().flat_map(|p| &p.metadata.rules);
        let of_group = rows.filter(|row| row.api_groups.iter().any(|g| g == group));
        of_group.flat_map(|row| row.api_versions.iter().cloned()).collect()
    };
    let kinds = groups.iter().flat_map(|(group, row)| {
        let kinds = strings(row, "/kinds");
        let made =
            move |version: String| kinds.clone().into_iter().map(move |kind| (format!("{group}/{version}"), kind));
        versions(group).into_iter().flat_map(made)
    });
    kinds.collect()
});

/// `apiVersion` and kind of what an API server of today does not serve.
pub(super) static GONE: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let versions = at("/api_versions").as_object().unwrap();
    let kinds = versions
        .iter()
        .flat_map(|(version, kinds)| keys(kinds, "").into_iter().map(move |kind| (version.clone(), kind)));
    kinds.collect()
});

fn at(pointer: &str) -> &'static Value {
    static WHOLE: LazyLock<Value> = LazyLock::new(|| Value::Object(bundle().knowledge.clone()));
    WHOLE.pointer(pointer).unwrap_or_else(|| panic!("knowledge has no {pointer}"))
}

fn keys(value: &Value, pointer: &str) -> Vec<String> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned()).collect()
}

fn strings(value: &Value, pointer: &str) -> Vec<String> {
    let list = value.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    Some(value.pointer(pointer)?.as_str()?.to_owned())
}

/// Peers as settings list them.
const PEERS: &[&str] =
    &["db-0.db:1,db-1.db:1", "a=http://a:1,b=http://b:1,c=http://c:1", "db-0 db-1 db-2;observer", ""];

fn engine(name: &str, row: &Value) -> Engine {
    let mut images = [keys(row, "/replication/single"), strings(row, "/readiness/images")].concat();
    for words in ["tokens", "strong_tokens", "weak_tokens"] {
        let words = at(&format!("/engines/{words}")).as_object().unwrap();
        images.extend(words.iter().filter(|(_, of)| of.as_str() == Some(name)).map(|(word, _)| word.clone()));
    }
    let paths = strings(row, "/data_paths");
    let path = paths.first().map_or("/data", String::as_str);
    let members = keys(row, "/members");
    let mut variables = Vec::new();
    variables.extend(strings(row, "/path_env").into_iter().map(|name| (name, format!("{path}/x"))));
    for prefix in keys(row, "/replication/env") {
        let name = if prefix.ends_with(['_', '.']) { format!("{prefix}HOSTS") } else { prefix };
        variables.push((name, PEERS[0].to_owned()));
    }
    for member in members.iter().filter(|name| !name.starts_with('-')) {
        variables.extend(PEERS.iter().map(|peers| (member.clone(), (*peers).to_owned())));
    }
    for pointer in ["/not_data_env", "/voters/where"] {
        let pairs = row.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
        variables.extend(pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))));
    }
    let role = text(row, "/role_env");
    variables
        .extend(role.iter().flat_map(|name| ["data", "ingest", "master, data"].map(|r| (name.clone(), r.to_owned()))));
    let mut words =
        [keys(row, "/replication/words"), strings(row, "/volume_args"), keys(row, "/voters/never")].concat();
    words.extend(strings(row, "/path_args").into_iter().map(|flag| format!("{flag}={path}/y")));
    for flag in members.iter().filter(|name| name.starts_with('-')) {
        words.extend(PEERS.iter().map(|peers| format!("{flag}={peers}")));
    }
    let ports = row.get("ports").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_i64).collect();
    Engine { name: name.to_owned(), images, ports, paths, variables, words }
}

fn driver(name: &str, row: &Value) -> Driver {
    let mut names = vec![name.to_owned()];
    for others in ["/provisioners/inTree/migrated", "/provisioners/aliases"] {
        let others = at(others).as_object().unwrap().iter();
        names.extend(others.filter(|(_, of)| of.as_str() == Some(name)).map(|(other, _)| other.clone()));
    }
    let suffixes = at("/provisioners/suffixes").as_object().unwrap().iter();
    names.extend(suffixes.filter(|(_, of)| of.as_str() == Some(name)).map(|(suffix, _)| format!("rook-ceph{suffix}")));
    let mut telling = Vec::new();
    for parameter in text(row, "/encryption/parameter").into_iter().chain(keys(row, "/encryption/aliases")) {
        let mut values = strings(row, "/encryption/values");
        values.extend(["false".to_owned(), "some-secret".to_owned()]);
        // asked for as often as everything else together
        telling.extend(values.into_iter().cycle().take(6).map(|value| (parameter.clone(), value)));
    }
    for pointer in ["/encryption/needsSecret", "/encryption/keyParameters"] {
        telling.extend(keys(row, pointer).into_iter().map(|parameter| (parameter, "k".to_owned())));
    }
    for parameter in keys(row, "/media/parameters") {
        let types = keys(row, "/media/slow").into_iter().chain(text(row, "/media/instead"));
        telling.extend(types.map(|value| (parameter.clone(), value)));
    }
    for variant in row.get("variants").and_then(Value::as_array).into_iter().flatten() {
        for parameter in strings(variant, "/parameters") {
            let values = [strings(variant, "/oneOf"), strings(variant, "/suffixes")].concat();
            telling.extend(values.into_iter().map(|value| (parameter.clone(), value)));
        }
    }
    let word = |pointer: &str| text(row, pointer).unwrap_or_default();
    Driver {
        names,
        storage: word("/storage"),
        bound_to: word("/boundTo"),
        verified: row.get("verified").and_then(Value::as_bool) == Some(true),
        telling,
        known: keys(row, "/parameters"),
    }
}
