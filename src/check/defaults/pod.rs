//! Defaults of Pods and of the Pod templates of workloads.

use super::{claim_spec, ensure, number, object, objects, present, quantities, resources, set, text, with_spec};
use serde_json::{Map, Value};

/// The Pod template below `template`. Where there is none nothing is made up: the API server refuses that.
pub(super) fn template(parent: &mut Map<String, Value>) {
    if let Some(template) = object(parent, "template") {
        with_spec(template, spec);
    }
}

/// Fields of every Pod spec, also in templates.
pub(super) fn spec(spec: &mut Map<String, Value>) {
    text(spec, "dnsPolicy", "ClusterFirst");
    text(spec, "restartPolicy", "Always");
    text(spec, "schedulerName", "default-scheduler");
    set(spec, "terminationGracePeriodSeconds", 30);
    let _ = ensure(spec, "securityContext");
    // the old name of the field is kept equal to the new one
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        spec.insert("serviceAccount".to_owned(), account);
    } else if let Some(account) = spec.get("serviceAccount").cloned() {
        spec.insert("serviceAccountName".to_owned(), account);
    }
    for list in ["initContainers", "containers"] {
        for one in objects(spec, list) {
            container(one);
        }
    }
    for one in objects(spec, "volumes") {
        volume(one);
    }
    quantities(spec, "overhead");
}

/// Fields of Pods that templates do not get.
pub(super) fn only_pods(spec: &mut Map<String, Value>) {
    set(spec, "enableServiceLinks", true);
    let host_network = spec.get("hostNetwork").and_then(Value::as_bool) == Some(true);
    for list in ["initContainers", "containers"] {
        for one in objects(spec, list) {
            if host_network {
                host_ports(one);
            }
            let limits = one.get("resources").and_then(|r| r.get("limits")).and_then(Value::as_object).cloned();
            let Some(limits) = limits else { continue };
            if let Some(requests) = object(one, "resources").and_then(|resources| ensure(resources, "requests")) {
                for (name, limit) in limits {
                    requests.entry(name).or_insert(limit);
                }
            }
        }
    }
}

fn container(container: &mut Map<String, Value>) {
    let latest = container.get("image").and_then(Value::as_str).is_none_or(is_latest);
    text(container, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
    text(container, "terminationMessagePath", "/dev/termination-log");
    text(container, "terminationMessagePolicy", "File");
    for port in objects(container, "ports") {
        text(port, "protocol", "TCP");
    }
    for env in objects(container, "env") {
        if let Some(from) = object(env, "valueFrom") {
            field_ref(from);
            if let Some(file) = object(from, "fileKeyRef") {
                set(file, "optional", false);
            }
        }
    }
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = object(container, key) {
            number(probe, "timeoutSeconds", 1);
            number(probe, "periodSeconds", 10);
            number(probe, "successThreshold", 1);
            number(probe, "failureThreshold", 3);
            http_get(probe);
            if let Some(grpc) = object(probe, "grpc") {
                set(grpc, "service", "");
            }
        }
    }
    if let Some(lifecycle) = object(container, "lifecycle") {
        for key in ["postStart", "preStop"] {
            if let Some(handler) = object(lifecycle, key) {
                http_get(handler);
            }
        }
    }
    resources(container);
}

fn http_get(handler: &mut Map<String, Value>) {
    if let Some(get) = object(handler, "httpGet") {
        text(get, "path", "/");
        text(get, "scheme", "HTTP");
    }
}

fn field_ref(parent: &mut Map<String, Value>) {
    if let Some(field) = object(parent, "fieldRef") {
        text(field, "apiVersion", "v1");
    }
}

fn host_ports(container: &mut Map<String, Value>) {
    for port in objects(container, "ports") {
        let unset = port.get("hostPort").is_none_or(|p| p.is_null() || *p == 0);
        if let Some(number) = port.get("containerPort").cloned().filter(|_| unset) {
            port.insert("hostPort".to_owned(), number);
        }
    }
}

/// Whether an image means `latest`: neither tag nor digest, or that tag.
fn is_latest(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => !digest,
    }
}

fn volume(volume: &mut Map<String, Value>) {
    if !volume.iter().any(|(key, value)| key != "name" && !value.is_null()) {
        let _ = ensure(volume, "emptyDir");
    }
    for key in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = object(volume, key) {
            set(source, "defaultMode", 0o644);
            for item in objects(source, "items") {
                field_ref(item);
            }
        }
    }
    if let Some(projected) = object(volume, "projected") {
        for source in objects(projected, "sources") {
            if let Some(token) = object(source, "serviceAccountToken") {
                set(token, "expirationSeconds", 3600);
            }
            if let Some(downward) = object(source, "downwardAPI") {
                for item in objects(downward, "items") {
                    field_ref(item);
                }
            }
        }
    }
    if let Some(path) = object(volume, "hostPath") {
        set(path, "type", "");
    }
    if let Some(claim) = object(volume, "ephemeral").and_then(|e| object(e, "volumeClaimTemplate")) {
        with_spec(claim, claim_spec);
    }
    if let Some(empty) = object(volume, "emptyDir")
        && let Some(limit) = empty.get_mut("sizeLimit").filter(|limit| limit.is_number())
    {
        *limit = Value::from(limit.to_string());
    }
    legacy_sources(volume);
}

/// Sources of old drivers that are still served.
fn legacy_sources(volume: &mut Map<String, Value>) {
    if let Some(iscsi) = object(volume, "iscsi") {
        text(iscsi, "iscsiInterface", "default");
    }
    if let Some(rbd) = object(volume, "rbd") {
        text(rbd, "pool", "rbd");
        text(rbd, "user", "admin");
        text(rbd, "keyring", "/etc/ceph/keyring");
    }
    if let Some(disk) = object(volume, "azureDisk") {
        set(disk, "cachingMode", "ReadWrite");
        set(disk, "fsType", "ext4");
        set(disk, "readOnly", false);
        set(disk, "kind", "Shared");
    }
    if let Some(image) = object(volume, "image")
        && !present(image, "pullPolicy")
    {
        let latest = image.get("reference").and_then(Value::as_str).is_none_or(is_latest);
        text(image, "pullPolicy", if latest { "Always" } else { "IfNotPresent" });
    }
}

#[cfg(test)]
mod tests {
    use super::is_latest;

    #[test]
    fn the_tag_decides_over_pulling() {
        for (image, latest) in [
            ("postgres", true),
            ("postgres:latest", true),
            ("postgres:16", false),
            ("registry:5000/postgres", true),
            ("registry:5000/postgres:16", false),
            ("postgres@sha256:0123", false),
            ("postgres:latest@sha256:0123", true),
        ] {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }
}
