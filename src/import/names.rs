//! What references of a foreign policy are called here.

use crate::context::kinds::Kinds;

/// Where a policy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A ConstraintTemplate: `input.review`, `input.parameters`, `data.inventory`, `data.lib`.
    Gatekeeper,
    /// A policy of conftest: `input` is the manifest.
    Conftest,
}

/// The names of one policy.
pub(super) struct Names {
    pub(super) origin: Origin,
    /// Old package without `data.`, and the new one in full.
    pub(super) packages: Vec<(String, String)>,
}

/// A reference in the words of here, and which of its keys follow.
type Renamed = Option<(String, Vec<usize>)>;

impl Names {
    /// The new package of an import or reference, given its parts without `data`, and how many of them it is.
    pub(super) fn library(&self, parts: &[&str]) -> Option<(String, usize)> {
        let fits = |old: &str| {
            let old: Vec<&str> = old.split('.').collect();
            parts.starts_with(&old).then_some(old.len())
        };
        self.packages.iter().find_map(|(old, new)| Some((new.clone(), fits(old)?)))
    }

    /// What a reference becomes; `None` where it stays. A key that is computed has no text.
    ///
    /// # Errors
    /// Why it cannot be carried over, and what to do.
    pub(super) fn resolve(&self, root: &str, keys: &[Option<String>]) -> Result<Renamed, String> {
        let leading: Vec<&str> = keys.iter().map_while(|key| key.as_deref()).collect();
        let rest = |used: usize| (used..keys.len()).collect::<Vec<_>>();
        match (root, self.origin) {
            ("input", Origin::Conftest) => Ok(Some(("input.request.object".to_owned(), rest(0)))),
            ("input", Origin::Gatekeeper) => match leading.as_slice() {
                ["review", key @ ("_unstable" | "namespaceObject"), ..] => Err(format!(
                    "`input.review.{key}`: a request carries no Namespace here; read data.cluster.namespaces[name]"
                )),
                ["review", ..] => Ok(Some(("input.request".to_owned(), rest(1)))),
                ["parameters", ..] => Ok(Some(("input.seawall.parameters".to_owned(), rest(1)))),
                _ => Err("`input` without a key that is written out: name input.review or input.parameters".to_owned()),
            },
            ("data", _) => {
                if let Some((new, used)) = self.library(&leading) {
                    return Ok(Some((new, rest(used))));
                }
                match leading.first() {
                    Some(&"inventory") if self.origin == Origin::Gatekeeper => inventory(keys).map(Some),
                    _ => Err(format!(
                        "`data.{}`: a policy reads data.cluster, data.seawall.knowledge and its libraries; make it a parameter",
                        leading.join(".")
                    )),
                }
            }
            _ => Ok(None),
        }
    }
}

/// `data.inventory.cluster[version][kind][name]` and `data.inventory.namespace[namespace][version][kind][name]`.
fn inventory(keys: &[Option<String>]) -> Result<(String, Vec<usize>), String> {
    let text = |position: usize| keys.get(position).and_then(|key| key.as_deref());
    let (version, namespace) = match text(1) {
        Some("cluster") => (2, None),
        Some("namespace") => (3, Some(2)),
        _ => return Err("`data.inventory` as a whole: name the kind that is read".to_owned()),
    };
    let (Some(api_version), Some(kind)) = (text(version), text(version + 1)) else {
        return Err("`data.inventory` with a computed version or kind: write both out, once for each kind".to_owned());
    };
    let fact = Kinds::default().resolve(api_version, kind).fact_name();
    let word = fact.chars().all(|c| c.is_ascii_alphanumeric());
    let root = if word { format!("data.cluster.{fact}") } else { format!("data.cluster[{fact:?}]") };
    Ok((root, namespace.into_iter().chain(version + 2..keys.len()).collect()))
}

/// An id in kebab-case.
pub(super) fn kebab(name: &str) -> String {
    let mut id = String::new();
    let mut lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && lower {
            id.push('-');
        }
        lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        id.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    }
    id.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(origin: Origin, root: &str, keys: &[&str]) -> Result<Renamed, String> {
        let packages = vec![("lib.tools".to_owned(), "data.seawall.lib.x_tools".to_owned())];
        // a star is computed
        let keys: Vec<Option<String>> = keys.iter().map(|key| (*key != "*").then(|| (*key).to_owned())).collect();
        Names { origin, packages }.resolve(root, &keys)
    }

    #[test]
    fn references_get_the_names_of_here() {
        let gatekeeper = |root: &str, keys: &[&str]| resolve(Origin::Gatekeeper, root, keys).map(Option::unwrap);
        assert_eq!(gatekeeper("input", &["review", "object"]).unwrap(), ("input.request".to_owned(), vec![1]));
        assert_eq!(
            gatekeeper("input", &["parameters", "*"]).unwrap(),
            ("input.seawall.parameters".to_owned(), vec![1])
        );
        assert_eq!(
            gatekeeper("data", &["lib", "tools", "f"]).unwrap(),
            ("data.seawall.lib.x_tools".to_owned(), vec![2])
        );
        let found = gatekeeper("data", &["inventory", "cluster", "v1", "Namespace", "*", "metadata"]).unwrap();
        assert_eq!(found, ("data.cluster.namespaces".to_owned(), vec![4, 5]));
        let found = gatekeeper("data", &["inventory", "namespace", "*", "velero.io/v1", "Backup", "*"]).unwrap();
        assert_eq!(found, ("data.cluster[\"backups.velero.io\"]".to_owned(), vec![2, 5]));
        assert!(gatekeeper("data", &["inventory", "namespace", "*", "*", "Ingress", "*"]).is_err());
        assert!(gatekeeper("input", &["*"]).is_err());
        assert!(gatekeeper("data", &["other"]).unwrap_err().contains("make it a parameter"));
        let conftest = resolve(Origin::Conftest, "input", &["spec"]).unwrap();
        assert_eq!(conftest, Some(("input.request.object".to_owned(), vec![0])));
        assert_eq!(resolve(Origin::Conftest, "x", &["spec"]).unwrap(), None);
    }

    #[test]
    fn names_become_ids() {
        assert_eq!(kebab("K8sRequiredLabels"), "k8s-required-labels");
        assert_eq!(kebab("all_ns.must have--it"), "all-ns-must-have-it");
    }
}
