//! Tries a new policy before anybody sees it, and puts it in place as a whole: a folder that is there is complete.

use super::AuthoringError;
use super::plan::Plan;
use super::template;
use crate::config::Settings;
use crate::policy::bundle::Bundle;
use crate::policy::store::PolicySet;
use crate::policytest;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Makes the folder an OPA bundle (`opa test -b`), as the embedded policies are.
const MANIFEST: &str = "{\n  \"revision\": \"\",\n  \"roots\": [\"seawall\"],\n  \"rego_version\": 1\n}\n";

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The policy's folder.
    pub folder: PathBuf,
    /// The files in it, by relative path.
    pub files: Vec<String>,
    /// How many cases it has.
    pub cases: usize,
}

/// Writes a policy into a bundle folder, which is made where it is not there.
///
/// # Errors
/// When there is something already, the folder has files that are no policies, or nothing can be written.
pub fn write(root: &Path, plan: &Plan) -> Result<Written, AuthoringError> {
    let files = template::files(plan);
    let parent = root.join("seawall/policies");
    let folder = parent.join(plan.folder());
    if folder.symlink_metadata().is_ok() {
        return Err(AuthoringError::Exists { path: folder });
    }
    free(root, plan)?;
    let cases = tried(plan, &files)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| AuthoringError::Write { path, source }
    };
    fs::create_dir_all(&parent).map_err(failed(&parent))?;
    // hidden, so that a server that reads this folder meanwhile does not see a half of it
    let temporary = tempfile::Builder::new().prefix(".new-").tempdir_in(&parent).map_err(failed(&parent))?;
    let staged = temporary.path().join("policy");
    for (name, text) in &files {
        let file = staged.join(name);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        fs::write(&file, text).map_err(failed(&file))?;
    }
    fs::rename(&staged, &folder).map_err(failed(&folder))?;
    let manifest = root.join(".manifest");
    if !manifest.exists() {
        fs::write(&manifest, MANIFEST).map_err(failed(&manifest))?;
    }
    Ok(Written { folder, files: files.into_keys().collect(), cases })
}

/// Whether the folder's policies leave room for this one.
fn free(root: &Path, plan: &Plan) -> Result<(), AuthoringError> {
    let has_files = fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
    if !has_files {
        return Ok(());
    }
    let bundle = match Bundle::read(root) {
        Ok(bundle) => bundle,
        // a folder for other things, to which the first policy comes
        Err(crate::policy::bundle::BundleError::Empty(_)) => return Ok(()),
        Err(error) => {
            return Err(AuthoringError::Folder { folder: root.to_owned(), problem: error.to_string() });
        }
    };
    let package = format!("seawall.policies.{}", plan.folder());
    match bundle.modules.get(&package).and_then(|modules| modules.first()) {
        Some(module) => Err(AuthoringError::Taken { file: root.join(&module.file), id: plan.id.clone() }),
        None => Ok(()),
    }
}

/// Runs the cases of the new policy on both engines. Returns how many there are.
fn tried(plan: &Plan, files: &BTreeMap<String, String>) -> Result<usize, AuthoringError> {
    let place = |name: &String| format!("seawall/policies/{}/{name}", plan.folder());
    let files = files.iter().map(|(name, text)| (place(name), text.clone())).collect();
    let broken = |problem: String| AuthoringError::Broken(problem);
    let bundle = Bundle::from_files(Path::new("new"), files).map_err(|e| broken(e.to_string()))?;
    let set = PolicySet::build(&bundle, &Settings::default()).map_err(|e| broken(e.to_string()))?;
    let (count, failures) = policytest::run_all(&bundle, &set);
    match failures.is_empty() {
        true => Ok(count),
        false => Err(broken(failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))),
    }
}
