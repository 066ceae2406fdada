//! Exemptions: who is spared from which policies, why, until when, and who approved it.
//!
//! Two ways: rows of the configuration, written by the platform team, and annotations on the object itself, written by
//! whoever may write the object and therefore bounded by its tier. An annotation that is not well-formed does not count;
//! the policy `exemption-wellformed` also rejects it. Expired ones never count, in any front end.

use crate::admission::request::annotation;
use crate::policy::mode::Tier;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

/// Comma-separated policy ids.
pub const EXEMPT: &str = "seawall.dev/exempt";
/// Why.
pub const REASON: &str = "seawall.dev/exempt-reason";
/// Last day, `YYYY-MM-DD`, UTC.
pub const UNTIL: &str = "seawall.dev/exempt-until";
/// Who approved it; needed in tier-0.
pub const BY: &str = "seawall.dev/exempt-by";

/// The policy whose parameters bound annotations.
pub const POLICY: &str = "exemption-wellformed";

/// Where an exemption is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// On the object.
    Annotation,
    /// In the configuration file.
    Configuration,
}

/// An exemption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exemption {
    /// The policies that it names.
    pub policies: BTreeSet<String>,
    /// Why.
    pub reason: String,
    /// Its last day, UTC.
    pub until: Date,
    /// Who approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Where it is written.
    pub source: Source,
}

impl fmt::Display for Exemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exempt until {}", self.until)?;
        if let Some(by) = &self.by {
            write!(f, " by {by}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// A row of the configuration's `exemptions`. The schema says what [`Row::validate`] checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("anyOf" = [
    {"required": ["namespace"], "properties": {"namespace": {"type": "string"}}},
    {"required": ["name"], "properties": {"name": {"type": "string"}}},
]))]
#[schemars(rename = "ExemptionRow", description = "An exemption in the configuration.")]
pub struct Row {
    /// Policy ids.
    #[schemars(length(min = 1))]
    pub policies: Vec<String>,
    /// Namespace of the objects; left out: cluster-scoped objects.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Plural resources, as `statefulsets`; left out: all.
    #[serde(default)]
    pub resources: Vec<String>,
    /// Name of the object; left out: all in the namespace.
    #[serde(default)]
    pub name: Option<String>,
    /// Why.
    #[schemars(regex(pattern = r"\S"))]
    pub reason: String,
    /// Last day, `YYYY-MM-DD`, UTC.
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    pub until: String,
    /// Who approved it.
    #[serde(default)]
    pub by: Option<String>,
}

impl Row {
    /// What is wrong with the row: the key and the problem.
    ///
    /// # Errors
    /// When it is not a complete exemption.
    pub fn validate(&self) -> Result<Date, (&'static str, String)> {
        if self.policies.is_empty() {
            return Err(("policies", "names no policy".to_owned()));
        }
        if self.namespace.is_none() && self.name.is_none() {
            return Err((
                "namespace",
                "neither namespace nor name; to switch a policy off everywhere set its actions to Off".to_owned(),
            ));
        }
        if self.reason.trim().is_empty() {
            return Err(("reason", "is empty".to_owned()));
        }
        date(&self.until).ok_or_else(|| ("until", format!("{:?} is no date; wanted YYYY-MM-DD", self.until)))
    }

    /// Whether the row speaks of an object: its plural resource, namespace (empty: none) and name.
    #[must_use]
    pub fn covers(&self, resource: &str, namespace: &str, name: &str) -> bool {
        self.namespace.as_deref().unwrap_or_default() == namespace
            && (self.resources.is_empty() || self.resources.iter().any(|r| r == resource))
            && self.name.as_deref().is_none_or(|wanted| wanted == name)
    }

    /// The exemption, where the row is complete.
    #[must_use]
    pub fn exemption(&self) -> Option<Exemption> {
        Some(Exemption {
            policies: self.policies.iter().cloned().collect(),
            reason: self.reason.trim().to_owned(),
            until: self.validate().ok()?,
            by: self.by.clone(),
            source: Source::Configuration,
        })
    }
}

/// What bounds annotations in a tier: parameters of the policy `exemption-wellformed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Longest time from today, in days.
    pub max_days: i64,
    /// Whether somebody must have approved it.
    pub approver: bool,
}

impl Bounds {
    /// The bounds of rules.md where the policy is not loaded.
    #[must_use]
    pub const fn of_tier(tier: Tier) -> Self {
        let max_days = match tier {
            Tier::Tier0 => 14,
            Tier::Tier1 => 30,
            Tier::Tier2 => 90,
            Tier::Tier3 => 365,
        };
        Self { max_days, approver: matches!(tier, Tier::Tier0) }
    }
}

/// What the annotations of an object say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declared {
    /// Nothing.
    None,
    /// A well-formed exemption that has not expired.
    Valid(Exemption),
    /// One that does not count.
    Invalid {
        /// The words of `seawall.dev/exempt`.
        policies: BTreeSet<String>,
        /// What is wrong, in words.
        problems: Vec<String>,
    },
}

/// Reads the annotations of an object. `exemptible` tells of a policy whether it may be exempted on the object, `None` where no
/// such policy is loaded.
#[must_use]
pub fn declared(object: &Value, today: Date, bounds: Bounds, exemptible: impl Fn(&str) -> Option<bool>) -> Declared {
    let text = |key: &str| annotation(object, key).map(str::trim).filter(|text| !text.is_empty());
    let Some(list) = text(EXEMPT) else { return Declared::None };
    let policies: BTreeSet<String> =
        list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let mut problems = Vec::new();
    if policies.is_empty() {
        problems.push(format!("{EXEMPT} names no policy"));
    }
    for id in &policies {
        match exemptible(id) {
            None => problems.push(format!("{EXEMPT} names {id:?}, and no such policy is loaded")),
            Some(false) => problems.push(format!("nobody can be exempted from {id} by an annotation")),
            Some(true) => {}
        }
    }
    if text(REASON).is_none() {
        problems.push(format!("{REASON} is missing"));
    }
    if bounds.approver && text(BY).is_none() {
        problems.push(format!("{BY} is missing, which this tier asks for"));
    }
    let until = text(UNTIL).and_then(date);
    match (text(UNTIL), until) {
        (None, _) => problems.push(format!("{UNTIL} is missing")),
        (Some(word), None) => problems.push(format!("{UNTIL} is {word:?}; wanted YYYY-MM-DD")),
        (Some(_), Some(until)) => {
            let days = today.until(until).map_or(i64::MAX, |span| i64::from(span.get_days()));
            if until < today {
                problems.push(format!("it expired on {until}"));
            } else if days > bounds.max_days {
                problems.push(format!("{UNTIL} is {until}, more than {} days ahead", bounds.max_days));
            }
        }
    }
    match until.filter(|_| problems.is_empty()) {
        Some(until) => Declared::Valid(Exemption {
            policies,
            reason: text(REASON).unwrap_or_default().to_owned(),
            until,
            by: text(BY).map(str::to_owned),
            source: Source::Annotation,
        }),
        None => Declared::Invalid { policies, problems },
    }
}

/// `YYYY-MM-DD` and nothing else.
fn date(text: &str) -> Option<Date> {
    let date: Date = text.parse().ok()?;
    (date.to_string() == text).then_some(date)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::json;

    const TODAY: Date = jiff::civil::date(2026, 1, 15);

    fn read(annotations: Value, tier: Tier) -> Declared {
        let object = json!({"metadata": {"annotations": annotations}});
        declared(&object, TODAY, Bounds::of_tier(tier), |id| match id {
            "a" | "b" => Some(true),
            "delete-claim" => Some(false),
            _ => None,
        })
    }

    fn problems(annotations: Value, tier: Tier) -> Vec<String> {
        match read(annotations, tier) {
            Declared::Invalid { problems, .. } => problems,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn complete_annotations_are_an_exemption() {
        let good = json!({EXEMPT: "a, b", REASON: "moving", UNTIL: "2026-04-15"});
        let Declared::Valid(found) = read(good, Tier::Tier2) else { panic!() };
        assert_eq!(found.policies, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        assert_eq!(found.to_string(), "exempt until 2026-04-15: moving");
        assert_eq!(read(json!({REASON: "moving"}), Tier::Tier2), Declared::None);
        // the last day counts
        assert!(matches!(
            read(json!({EXEMPT: "a", REASON: "r", UNTIL: "2026-01-15"}), Tier::Tier2),
            Declared::Valid(_)
        ));
    }

    #[test]
    fn whatever_is_missing_or_too_much_is_named() {
        let all = problems(json!({EXEMPT: "a"}), Tier::Tier0);
        assert_eq!(
            all,
            [
                format!("{REASON} is missing"),
                format!("{BY} is missing, which this tier asks for"),
                format!("{UNTIL} is missing")
            ]
        );
        let of = |until: &str, tier| problems(json!({EXEMPT: "a", REASON: "r", BY: "x", UNTIL: until}), tier);
        assert_eq!(of("2026-01-14", Tier::Tier2), ["it expired on 2026-01-14"]);
        assert_eq!(of("2026-01-30", Tier::Tier0), [format!("{UNTIL} is 2026-01-30, more than 14 days ahead")]);
        assert_eq!(of("20260120", Tier::Tier2), [format!("{UNTIL} is \"20260120\"; wanted YYYY-MM-DD")]);
        assert_eq!(of("2026-02-30", Tier::Tier2), [format!("{UNTIL} is \"2026-02-30\"; wanted YYYY-MM-DD")]);
        let unknown = problems(json!({EXEMPT: "c", REASON: "r", UNTIL: "2026-01-20"}), Tier::Tier2);
        assert_eq!(unknown, [format!("{EXEMPT} names \"c\", and no such policy is loaded")]);
        let never = problems(json!({EXEMPT: "delete-claim", REASON: "r", UNTIL: "2026-01-20"}), Tier::Tier2);
        assert_eq!(never, ["nobody can be exempted from delete-claim by an annotation"]);
    }

    #[test]
    fn a_row_speaks_of_its_objects_only() {
        let row = Row {
            policies: vec!["a".into()],
            namespace: Some("shop".into()),
            resources: vec!["statefulsets".into()],
            name: Some("db".into()),
            reason: "r".into(),
            until: "2026-02-01".into(),
            by: None,
        };
        assert!(row.covers("statefulsets", "shop", "db"));
        assert!(!row.covers("statefulsets", "shop", "db2"));
        assert!(!row.covers("statefulsets", "other", "db"));
        assert!(!row.covers("deployments", "shop", "db"));
        assert!(Row { name: None, resources: vec![], ..row.clone() }.covers("deployments", "shop", "x"));
        assert!(!Row { namespace: None, ..row.clone() }.covers("statefulsets", "shop", "db"));
        assert_eq!(Row { until: "soon".into(), ..row.clone() }.validate().unwrap_err().0, "until");
        assert_eq!(Row { reason: " ".into(), ..row.clone() }.validate().unwrap_err().0, "reason");
        assert_eq!(Row { namespace: None, name: None, ..row.clone() }.validate().unwrap_err().0, "namespace");
        assert_eq!(Row { policies: vec![], ..row }.validate().unwrap_err().0, "policies");
    }
}
