//! Where tier, mode and patch setting of a request come from: a label, a flag, the configuration.

use crate::admission::request::{Request, label};
use crate::context::scope::{MODE, PATCH, TIER, deciding_namespace, namespace_of, raised};
use crate::policy::mode::{Mode, Tier};
use crate::review::Snapshot;
use serde::Serialize;

/// What was said on the command line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given {
    /// `--mode`; `None`: from the labels.
    pub mode: Option<Mode>,
    /// `--tier`.
    pub tier: Option<Tier>,
}

/// What holds for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// The tier.
    pub tier: Said,
    /// The mode.
    pub mode: Said,
    /// The patch setting.
    pub patch: Said,
}

/// A value and who said it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The value.
    pub value: &'static str,
    /// Where it comes from.
    pub from: String,
}

/// What holds for a request, and where it comes from.
#[must_use]
pub fn of(request: &Request, snapshot: &Snapshot, given: Given) -> Scope {
    let scope = snapshot.scope(request);
    let configured =
        |flag: Option<&str>| flag.map_or_else(|| "the default of the configuration".to_owned(), str::to_owned);
    let said = |key: &str, is_word: &dyn Fn(&str) -> bool, otherwise: String| match written(request, snapshot, key) {
        Written::Label(place, word) if is_word(&word) => format!("label {key} of {place}"),
        Written::Label(place, word) => format!("{otherwise} (label {key} of {place} is {word:?}, which is no value)"),
        Written::Unknown(namespace) if given.mode.is_none() => {
            format!(
                "{otherwise} (the labels of namespace {namespace} are not known; give it with --snapshot or --live)"
            )
        }
        Written::Unknown(_) | Written::None => otherwise,
    };
    let tier_from = said(TIER, &|word| Tier::from_label(word).is_ok(), configured(given.tier.map(|_| "--tier")));
    let tier_from = match raised(request) {
        // the own label counts where it asks for more than the others
        Some(own) if own == scope.tier && !tier_is_of_namespace(request, snapshot, own) => {
            format!("label {TIER} of the object, which may raise it")
        }
        _ => tier_from,
    };
    let mode_from = said(MODE, &|word| word.parse::<Mode>().is_ok(), configured(given.mode.map(|_| "--mode")));
    let follows = match snapshot.settings.defaults.patch {
        Some(_) => "the default of the configuration".to_owned(),
        None => format!("it follows the mode, which is {}", scope.mode),
    };
    let patch_from = said(PATCH, &|word| matches!(word, "enabled" | "disabled"), follows);
    Scope {
        tier: Said { value: scope.tier.as_str(), from: tier_from },
        mode: Said { value: scope.mode.as_str(), from: mode_from },
        patch: Said { value: scope.patch.as_str(), from: patch_from },
    }
}

/// Whether the namespace has the same tier already.
fn tier_is_of_namespace(request: &Request, snapshot: &Snapshot, own: Tier) -> bool {
    match written(request, snapshot, TIER) {
        Written::Label(_, word) => Tier::from_label(&word).is_ok_and(|tier| tier <= own),
        _ => snapshot.settings.defaults.tier <= own,
    }
}

enum Written {
    /// Whose label, and its value.
    Label(String, String),
    /// The namespace is not known.
    Unknown(String),
    None,
}

fn written(request: &Request, snapshot: &Snapshot, key: &str) -> Written {
    match (namespace_of(request), deciding_namespace(request)) {
        (Some(namespace), _) => match snapshot.facts.namespace_labels(&namespace) {
            Some(labels) => labels
                .get(key)
                .map_or(Written::None, |word| Written::Label(format!("namespace {namespace}"), word.clone())),
            None => Written::Unknown(namespace),
        },
        // a Namespace: its own labels, on UPDATE the stricter of old and new
        (None, Some(name)) => {
            let own =
                [request.object(), request.old_object()].into_iter().flatten().find_map(|object| label(object, key));
            own.map_or(Written::None, |word| Written::Label(format!("the namespace {name} itself"), word.to_owned()))
        }
        (None, None) => Written::None,
    }
}
