//! Seawall among the others that have a say in storage: the StatefulSet controller, the binder, a CSI driver, and the API
//! server's own plugins for default classes, resizing and quotas.

use serde_json::{Value, json};

use crate::harness::kubectl::{Kubectl, Output};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::provisioner::Provisioner;
use crate::harness::{Site, site};

/// The same file again in the three ways that people use.
const AGAIN: [&[&str]; 3] = [&["apply"], &["apply", "--server-side", "--force-conflicts"], &["replace"]];

/// The label of classes that the cloud's add-on manager would put back, so that Seawall leaves them as they are.
const MANAGED: &str = "addonmanager.kubernetes.io/mode";

const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// A set with claims of a class. All Pods at once: without a kubelet the first is never ready.
fn set_of_class(class: &str) -> Value {
    objects::stateful_set("db")
        .with("/spec/podManagementPolicy", "Parallel")
        .with("/spec/volumeClaimTemplates/0/spec/storageClassName", class)
}

fn class(name: &str, provisioner: &str) -> Value {
    objects::storage_class(name).with("/provisioner", provisioner)
}

fn bound(kubectl: &Kubectl, namespace: &str, claim: &str) -> Value {
    kubectl.wait_for("the claim is bound", &["-n", namespace, "pvc", claim], |c| c["status"]["phase"] == "Bound")
}

/// Applies a default class, and takes it away when dropped: a cluster has one at a time.
struct DefaultClass<'s>(&'s Site, &'static str);

impl<'s> DefaultClass<'s> {
    fn set(site: &'s Site, name: &'static str, class: Value) -> Self {
        let class = class.with(&format!("/metadata/annotations/{}", DEFAULT_CLASS.replace('/', "~1")), "true");
        site.plane.kubectl().apply(&class.to_string(), &[]).ok();
        // the class is a fact that policies look up, and the plugin of the API server too
        std::thread::sleep(std::time::Duration::from_secs(1));
        Self(site, name)
    }
}

impl Drop for DefaultClass<'_> {
    fn drop(&mut self) {
        let _ = self.0.plane.kubectl_as("admin").run(&["delete", "storageclass", self.1], "");
    }
}

/// A set that is older than the policies, on a class that deletes: its controller is not refused the claims of a scale-up, and
/// the volumes made for them are retained.
#[test]
fn a_controller_is_never_refused_and_what_is_made_for_it_is_safe() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("off", "tier-1");
    let _provisioner = Provisioner::start(&site.plane, "older.storage.test");
    let kubectl = site.plane.kubectl();
    let class = class("storage-older", "older.storage.test")
        .with("/reclaimPolicy", "Delete")
        .with("/metadata/labels", json!({MANAGED: "EnsureExists"}));
    kubectl.apply(&class.to_string(), &[]).ok();
    let set = set_of_class("storage-older").with("/spec/replicas", 1);
    kubectl.apply(&objects::list(&[objects::headless_service("db"), set.clone()]), &["-n", &namespace]).ok().quiet();
    bound(&kubectl, &namespace, "data-db-0");

    site.set_mode(&namespace, "enforce");
    let other = set.with("/metadata/name", "other");
    kubectl.apply(&other.to_string(), &["-n", &namespace]).denied_by("claim-class-retain");
    kubectl.run(&["scale", "-n", &namespace, "statefulset/db", "--replicas=2"], "").ok();
    let claim = bound(&kubectl, &namespace, "data-db-1");
    let volume = kubectl.get(&["pv", claim["spec"]["volumeName"].as_str().unwrap()]);
    let volume = volume.patched_by("volume-reclaim-retain");
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");
}

/// The plugin DefaultStorageClass fills a class in before Seawall is asked, so a claim that names none is judged by the class
/// that it will have; in a template nothing is filled in, and Seawall knows the default.
#[test]
fn the_class_that_the_api_server_fills_in_is_judged() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-1");
    let kubectl = site.plane.kubectl();
    let apply = |object: &Value| kubectl.apply(&object.to_string(), &["-n", &namespace]);
    let claim = objects::claim("data", "").without("/spec/storageClassName");
    let set = set_of_class("").without("/spec/volumeClaimTemplates/0/spec/storageClassName");
    {
        let deletes = class("storage-default-deletes", "default.storage.test")
            .with("/reclaimPolicy", "Delete")
            .with("/metadata/labels", json!({MANAGED: "EnsureExists"}));
        let _default = DefaultClass::set(site, "storage-default-deletes", deletes);
        apply(&claim).denied_by("claim-class-retain").says(&["storage-default-deletes"]);
        apply(&set).denied_by("claim-class-retain").says(&["storage-default-deletes"]);
    }

    let _provisioner = Provisioner::start(&site.plane, "default.storage.test");
    let retains = class("storage-default-retains", "default.storage.test");
    let _default = DefaultClass::set(site, "storage-default-retains", retains);
    apply(&claim).ok();
    apply(&objects::headless_service("db")).ok();
    apply(&set).ok();
    let stored = kubectl.get(&["-n", &namespace, "statefulset", "db"]);
    assert!(stored.pointer("/spec/volumeClaimTemplates/0/spec/storageClassName").is_none(), "{stored:#}");
    for name in ["data", "data-db-0", "data-db-1", "data-db-2"] {
        let claim = bound(&kubectl, &namespace, name);
        assert_eq!(claim["spec"]["storageClassName"], "storage-default-retains", "{name}");
    }
}

/// Where only absent fields were added, applying the file again changes nothing in whatever way it is done, and
/// `kubectl diff` has nothing to show before and after.
#[test]
fn nothing_differs_after_absent_fields_were_added() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-1");
    let kubectl = site.plane.kubectl();
    let set = objects::stateful_set("db")
        .without("/spec/persistentVolumeClaimRetentionPolicy")
        .without("/spec/template/spec/affinity")
        .without("/spec/template/spec/topologySpreadConstraints")
        .without("/spec/template/spec/containers/0/readinessProbe");
    let bare = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "storage-bare"},
                      "provisioner": "disk.csi.azure.com"});
    kubectl.apply(&objects::headless_service("db").to_string(), &["-n", &namespace]).ok();
    for (manifest, name, policies) in [
        (bare, "storageclass/storage-bare", &["class-reclaim-retain", "class-binding-mode", "class-expandable"][..]),
        (set, "statefulset/db", &["anti-affinity-host", "spread-zone", "readiness-probe"]),
        (objects::claim("data", "standard"), "pvc/data", &[]),
    ] {
        let manifest = manifest.to_string();
        let run = |way: &[&str]| kubectl.run(&[way, &["-n", &namespace, "-f", "-"]].concat(), &manifest);
        let stored = || {
            let mut object = kubectl.get(&["-n", &namespace, name]);
            // what differs by nature: who wrote last, and the file as client-side apply keeps it
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.retain(|key, _| !matches!(key.as_str(), "managedFields" | "resourceVersion"));
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
            }
            metadata.retain(|key, value| key != "annotations" || *value != json!({}));
            object.as_object_mut().unwrap().shift_remove("status");
            object
        };
        let said = run(&["apply"]).ok().stderr;
        assert!(policies.iter().all(|policy| said.contains(policy)), "{name}: {said}");
        run(&["diff"]).ok();
        let made = stored();
        for way in AGAIN {
            run(way).ok();
            assert_eq!(stored(), made, "{name}: {way:?}");
            run(&["diff"]).ok();
        }
    }
}

/// A claim grows where the class was given `allowVolumeExpansion`; where it was refused, the plugin PersistentVolumeClaimResize
/// says no, and Seawall nothing.
#[test]
fn a_claim_grows_because_its_class_was_patched() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-1");
    let _provisioner = Provisioner::start(&site.plane, "cinder.csi.openstack.org");
    let kubectl = site.plane.kubectl();
    let class =
        class("storage-grows", "cinder.csi.openstack.org").without("/allowVolumeExpansion").without("/parameters");
    kubectl.apply(&class.to_string(), &[]).patched_by("class-expandable");
    let fixed = class.with("/metadata/name", "storage-fixed").with("/allowVolumeExpansion", false);
    kubectl.apply(&fixed.to_string(), &[]).warned_by("class-expandable");
    for (claim, class) in [("grows", "storage-grows"), ("fixed", "storage-fixed")] {
        kubectl.apply(&objects::claim(claim, class).to_string(), &["-n", &namespace]).ok();
        bound(&kubectl, &namespace, claim);
    }
    let grow = |claim: &str| -> Output {
        let patch = r#"{"spec": {"resources": {"requests": {"storage": "2Gi"}}}}"#;
        kubectl.run(&["patch", "-n", &namespace, &format!("pvc/{claim}"), "-p", patch], "")
    };
    grow("grows").ok().quiet();
    assert_eq!(kubectl.get(&["-n", &namespace, "pvc", "grows"])["spec"]["resources"]["requests"]["storage"], "2Gi");
    let refused = grow("fixed").refused().says(&["must support resize"]);
    assert!(!refused.stderr.contains("admission webhook"), "{}", refused.stderr);
}

/// Quotas are the API server's, and counted after Seawall: what it denies is not counted, and what the quota refuses is
/// said in the quota's words, to a person at once and to the owner of a set in an event.
#[test]
fn a_quota_refuses_after_seawall_and_in_its_own_words() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-1");
    let kubectl = site.plane.kubectl();
    for name in ["storage-gold", "storage-silver"] {
        kubectl.apply(&class(name, "quota.storage.test").to_string(), &[]).ok();
    }
    let gold = "storage-gold.storageclass.storage.k8s.io/requests.storage";
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "disks"},
                       "spec": {"hard": {"requests.storage": "25Gi", gold: "1Gi"}}});
    kubectl.apply(&quota.to_string(), &["-n", &namespace]).ok();
    let used = |key: &str, wanted: &str| {
        kubectl.wait_for(&format!("{key} is {wanted}"), &["-n", &namespace, "resourcequota", "disks"], |quota| {
            quota["status"]["used"][key] == wanted
        })
    };
    used("requests.storage", "0");

    let apply = |claim: &Value| kubectl.apply(&claim.to_string(), &["-n", &namespace]);
    apply(&objects::claim("one", "storage-gold")).ok();
    used(gold, "1Gi");
    let over = apply(&objects::claim("two", "storage-gold")).refused().says(&["exceeded quota: disks", gold]);
    assert!(!over.stderr.contains("admission webhook"), "{}", over.stderr);
    // denied, so never counted
    let deletes = class("storage-quota-deletes", "quota.storage.test")
        .with("/reclaimPolicy", "Delete")
        .with("/metadata/labels", json!({MANAGED: "EnsureExists"}));
    kubectl.apply(&deletes.to_string(), &[]).ok();
    std::thread::sleep(std::time::Duration::from_secs(1));
    apply(&objects::claim("three", "storage-quota-deletes")).denied_by("claim-class-retain");
    used("requests.storage", "1Gi");

    // 1Gi and two of three times 10Gi
    let all = objects::list(&[objects::headless_service("db"), set_of_class("storage-silver")]);
    kubectl.apply(&all, &["-n", &namespace]).ok();
    used("requests.storage", "21Gi");
    let events = ["-n", namespace.as_str(), "events", "--field-selector=involvedObject.name=db,type=Warning"];
    kubectl.wait_for("the set says what it lacks", &events, |events| {
        let messages = events["items"].as_array().into_iter().flatten().filter_map(|e| e["message"].as_str());
        messages.into_iter().any(|m| m.contains("exceeded quota: disks") && !m.contains("admission webhook"))
    });
}
