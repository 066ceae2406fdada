//! Requests that would have been rejected, kept as cases for tests (`serve --record-bodies FOLDER`; nothing is kept without it).
//!
//! One folder for a policy and an object, `POLICY/OPERATION-KIND-NAMESPACE-NAME/` with `input.yaml`, `context.yaml` and
//! `expected.yaml` as [`crate::policytest`] reads them. Secrets are replaced ([`super::redact`]); what the policy knew of the
//! cluster is not kept. Files are written by a thread of their own, never while an answer is waited for, and there are at
//! most [`MOST`] of at most [`LONGEST`] bytes.

use super::redact::redacted;
use crate::admission::pointer::to_pointer;
use crate::admission::request::{Operation, Request};
use crate::policy::mode::Tier;
use crate::report::yaml::to_yaml;
use crate::review::Outcome;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Most folders in one life of the process.
pub const MOST: usize = 500;
/// Longest `input.yaml` in bytes; what is longer is left out.
pub const LONGEST: usize = 256 << 10;
/// Requests that wait to be written.
const WAITING: usize = 64;

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("--record-bodies {}: {source}; is it a folder that this user may write to?", folder.display())]
pub struct BodiesError {
    folder: PathBuf,
    #[source]
    source: io::Error,
}

/// What is kept of one request for one policy.
struct Kept {
    /// Below the folder.
    path: PathBuf,
    object: Value,
    old: Value,
    operation: Operation,
    tier: Tier,
    violations: Vec<String>,
}

/// Keeps requests. Shared by all handlers.
#[derive(Debug)]
pub struct Bodies {
    /// Folders so far.
    seen: Mutex<BTreeSet<PathBuf>>,
    sender: SyncSender<Kept>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Bodies {
    /// Makes the folder and starts the thread.
    ///
    /// # Errors
    /// When the folder cannot be made or the thread not be started.
    pub fn start(folder: &Path) -> Result<Self, BodiesError> {
        let failed = |source| BodiesError { folder: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let (sender, receiver) = sync_channel::<Kept>(WAITING);
        let root = folder.to_owned();
        let write = move || {
            for kept in receiver {
                if let Err(error) = kept.write(&root) {
                    tracing::warn!(path = %kept.path.display(), %error, "a request could not be recorded");
                }
            }
        };
        std::thread::Builder::new().name("record-bodies".to_owned()).spawn(write).map_err(failed)?;
        Ok(Self { seen: Mutex::default(), sender })
    }

    /// Keeps a request for each policy that would have rejected it. What is there already, or has no room, is left out.
    pub fn add(&self, request: &Request, outcome: &Outcome) {
        let mut violations: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for finding in outcome.findings.iter().filter(|finding| finding.would_deny()) {
            violations.entry(&finding.policy).or_default().push(to_pointer(&finding.path));
        }
        if violations.is_empty() {
            return;
        }
        let redact = |object: Option<&Value>| object.map_or(Some(Value::Null), redacted);
        let (Some(object), Some(old)) = (redact(request.object()), redact(request.old_object())) else { return };
        for (policy, violations) in violations {
            let name = if request.name.is_empty() { "generated" } else { &request.name };
            let namespace = request.namespace.as_deref().unwrap_or("cluster");
            let operation = request.operation;
            let folder = format!("{operation}-{}-{namespace}-{name}", request.kind.kind).to_lowercase();
            let path = Path::new(&plain(policy)).join(plain(&folder));
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= MOST || !seen.insert(path.clone()) {
                continue;
            }
            let kept = Kept {
                path,
                object: object.clone(),
                old: old.clone(),
                operation,
                tier: outcome.scope.tier,
                violations,
            };
            if let Err(TrySendError::Full(kept) | TrySendError::Disconnected(kept)) = self.sender.try_send(kept) {
                // another request like it may come when there is room
                seen.remove(&kept.path);
            }
        }
    }
}

impl Kept {
    fn write(&self, root: &Path) -> io::Result<()> {
        let mut input = json!({"operation": self.operation, "object": self.object});
        if let Some(fields) = input.as_object_mut().filter(|_| !self.old.is_null()) {
            fields.insert("oldObject".to_owned(), self.old.clone());
        }
        let input = to_yaml(&input);
        if input.len() > LONGEST {
            tracing::info!(path = %self.path.display(), bytes = input.len(), "a request is too long to be recorded");
            return Ok(());
        }
        let violations: Vec<Value> = self.violations.iter().map(|path| json!({"path": path})).collect();
        let folder = root.join(&self.path);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("context.yaml"), to_yaml(&json!({"tier": self.tier.to_string()})))?;
        fs::write(folder.join("expected.yaml"), to_yaml(&json!({"violations": violations})))?;
        // last: what has it is complete
        fs::write(folder.join("input.yaml"), input)
    }
}

/// A name that stays within its folder on every file system.
fn plain(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    plain.trim_start_matches('.').chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Defaults, Settings};
    use crate::context::facts::Facts;
    use crate::engine::evaluate::Worker;
    use crate::policy::bundle::CaseFiles;
    use crate::policy::mode::Mode;
    use crate::policy::store::PolicySet;
    use crate::policytest::case::Case;
    use crate::review::{Phase, Snapshot, review};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    const POLICY: &str = "database-without-volume";

    fn request(name: &str) -> Request {
        let object = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"template": {"spec": {"containers": [{"name": "db", "image": "postgres:16",
                "env": [{"name": "POSTGRES_PASSWORD", "value": "hunter2"}]}]}}}});
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": "CREATE", "namespace": "shop", "name": name, "object": object,
            "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
            "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
            "userInfo": {"username": "somebody"}}});
        Request::from_review(review.to_string().as_bytes()).unwrap()
    }

    fn outcome(set: &PolicySet, mode: Mode, request: &Request) -> Outcome {
        let only = set.only(POLICY, &serde_json::Map::new()).unwrap();
        let defaults = Defaults { tier: Tier::Tier1, mode, ..Defaults::default() };
        let settings = Settings { defaults, ..Settings::default() };
        let facts = Arc::new(Facts::default());
        let snapshot = Snapshot::new(Arc::new(only), Arc::new(settings), facts, jiff::Timestamp::UNIX_EPOCH);
        review(request, &snapshot, Phase::Validate, Instant::now() + Duration::from_secs(30), &mut Worker::new())
    }

    #[test]
    fn what_is_kept_is_a_case_that_passes() {
        let folder = tempfile::tempdir().unwrap();
        let bodies = Bodies::start(folder.path()).unwrap();
        let set = PolicySet::embedded(&Settings::default()).unwrap();
        // what is rejected already is nothing that would have been
        for (name, mode) in [("real", Mode::Enforce), ("orders", Mode::Audit), ("orders", Mode::Audit)] {
            let request = request(name);
            bodies.add(&request, &outcome(&set, mode, &request));
        }
        let kept = folder.path().join(POLICY).join("create-statefulset-shop-orders");
        let begun = Instant::now();
        while !kept.join("input.yaml").exists() {
            assert!(begun.elapsed() < Duration::from_secs(10), "nothing was written");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(fs::read_dir(folder.path().join(POLICY)).unwrap().count(), 1);
        let read = |name: &str| fs::read_to_string(kept.join(name)).unwrap();
        assert!(!read("input.yaml").contains("hunter2"), "{}", read("input.yaml"));
        let files = CaseFiles {
            name: "orders".to_owned(),
            folder: String::new(),
            input: read("input.yaml"),
            context: Some(read("context.yaml")),
            expected: read("expected.yaml"),
        };
        let case = Case::parse(&files).unwrap();
        assert_eq!(case.run(&set, POLICY, &mut Worker::new()), Vec::<String>::new());
    }

    #[test]
    fn names_stay_within_the_folder() {
        assert_eq!(plain("../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(plain("system:node"), "system_node");
    }
}
