//! Plays the parts of a cluster that tests with real claims need and that have no binary here: the scheduler's choice of a node
//! for a claim, and a CSI driver's external-provisioner with a service account of its own.
//!
//! Binding is left to the real persistent-volume-binder, as in a real cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use serde_json::{Value, json};

use super::api::Api;
use super::controlplane::ControlPlane;

/// The namespace and the service account of the provisioner.
pub(crate) const NAMESPACE: &str = "csi";
/// See [`NAMESPACE`].
pub(crate) const ACCOUNT: &str = "csi-provisioner";
/// The user name that the API server sees.
pub(crate) const USER: &str = "system:serviceaccount:csi:csi-provisioner";

/// A running provisioner for one driver name; ends when dropped.
pub(crate) struct Provisioner {
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl Provisioner {
    /// Installs the service account with the rights of the upstream external-provisioner and provisions the claims of `driver`.
    pub(crate) fn start(plane: &ControlPlane, driver: &str) -> Self {
        let token = install(plane);
        let stop = Arc::new(AtomicBool::new(false));
        let worker = {
            let (stop, driver) = (Arc::clone(&stop), driver.to_owned());
            let (account, scheduler) = (plane.api_with_token(&token), plane.api("scheduler"));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // errors are tried again; a test that waits for a volume reports what is missing
                    let _ = round(&account, &scheduler, &driver);
                    sleep(Duration::from_millis(200));
                }
            })
        };
        Self { stop, worker: Some(worker) }
    }
}

impl Drop for Provisioner {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

/// Namespace, account, role and binding; several tests may do it. Gives a token of the account.
fn install(plane: &ControlPlane) -> String {
    let rules = json!([
        {"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": ["get", "list", "watch", "create", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get", "list", "watch", "update"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["get", "list", "watch"]},
    ]);
    let manifest = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": ACCOUNT}, "rules": rules},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": ACCOUNT},
         "roleRef": {"kind": "ClusterRole", "name": ACCOUNT, "apiGroup": "rbac.authorization.k8s.io"},
         "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]},
    ]});
    plane.kubectl_as("admin").apply(&manifest.to_string(), &["--server-side", "--force-conflicts"]).ok();
    plane.service_account_token(NAMESPACE, ACCOUNT)
}

/// One look at all claims of the driver.
fn round(account: &Api, scheduler: &Api, driver: &str) -> Result<(), reqwest::Error> {
    let (_, classes) = account.get("/apis/storage.k8s.io/v1/storageclasses")?;
    let (_, claims) = account.get("/api/v1/persistentvolumeclaims")?;
    for claim in claims["items"].as_array().into_iter().flatten() {
        let name = &claim["spec"]["storageClassName"];
        let class = classes["items"].as_array().into_iter().flatten().find(|class| class["metadata"]["name"] == *name);
        let Some(class) = class.filter(|class| class["provisioner"] == driver) else { continue };
        if !claim["spec"]["volumeName"].is_null() || !claim["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let annotations = &claim["metadata"]["annotations"];
        if annotations["volume.kubernetes.io/storage-provisioner"] == driver {
            account.post("/api/v1/persistentvolumes", &volume(claim, class, driver))?;
        } else if class["volumeBindingMode"] == "WaitForFirstConsumer"
            && annotations["volume.kubernetes.io/selected-node"].is_null()
        {
            select_node(scheduler, claim)?;
        }
    }
    Ok(())
}

/// What the scheduler does with a claim that waits for its first consumer.
fn select_node(scheduler: &Api, claim: &Value) -> Result<(), reqwest::Error> {
    let mut claim = claim.clone();
    claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] = json!("node-a");
    let path = format!(
        "/api/v1/namespaces/{}/persistentvolumeclaims/{}",
        claim["metadata"]["namespace"].as_str().unwrap_or_default(),
        claim["metadata"]["name"].as_str().unwrap_or_default()
    );
    scheduler.put(&path, &claim).map(drop)
}

/// The PersistentVolume as external-provisioner writes it: named after the claim's uid, policy of the class, bound to the claim.
fn volume(claim: &Value, class: &Value, driver: &str) -> Value {
    let name = format!("pvc-{}", claim["metadata"]["uid"].as_str().unwrap_or_default());
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": driver}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": class["reclaimPolicy"],
            "storageClassName": class["metadata"]["name"],
            "volumeMode": "Filesystem",
            "csi": {"driver": driver, "volumeHandle": name},
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": claim["metadata"]["namespace"], "name": claim["metadata"]["name"],
                "uid": claim["metadata"]["uid"], "resourceVersion": claim["metadata"]["resourceVersion"],
            },
        },
    })
}
