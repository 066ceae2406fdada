//! Tier, mode, action, severity: the words by which the platform team says how much a rule matters where.
//!
//! Rego never sees them (but the tier, as data): a policy says what is wrong, these say what happens then.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A word that is none of the permitted ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a {what}; wanted one of {wanted}")]
pub struct UnknownWord {
    /// What the word should have been, for example `tier`.
    pub what: &'static str,
    /// The word that was found.
    pub found: String,
    /// The permitted words, separated by commas.
    pub wanted: &'static str,
}

/// Makes an enum whose variants are written as fixed words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $wanted:literal, {$($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)?}) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All values, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as written in labels, METADATA and configuration.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.as_str()) }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { what: $what, found: word.to_owned(), wanted: $wanted }),
                }
            }
        }
    };
}

words!(
    /// How much the data matters, tier-0 most. Namespace label `seawall.dev/tier`; a workload may only raise it.
    Tier, "tier", "tier-0, tier-1, tier-2, tier-3", {
        /// Payments, identity.
        Tier0 = "tier-0",
        /// Customer-facing.
        Tier1 = "tier-1",
        /// Internal production.
        Tier2 = "tier-2",
        /// Caches, demos, development (`dev` is read as this).
        Tier3 = "tier-3",
    }
);

words!(
    /// What a violation leads to, weakest first.
    Action, "action", "Off, Audit, Warn, Deny", {
        /// The policy is not evaluated.
        Off = "Off",
        /// Recorded, nothing shown.
        Audit = "Audit",
        /// Allowed, the user is told.
        Warn = "Warn",
        /// Rejected.
        Deny = "Deny",
    }
);

words!(
    /// Caps every action in a namespace, weakest first. Namespace label `seawall.dev/mode`.
    Mode, "mode", "enforce, warn, audit, off", {
        /// Nothing is evaluated.
        Off = "off",
        /// The dry run: recorded, nothing shown, nothing changed.
        Audit = "audit",
        /// Users are told, nothing is rejected.
        Warn = "warn",
        /// Violations are rejected.
        Enforce = "enforce",
    }
);

words!(
    /// How bad a violation is, whatever is done about it.
    Severity, "severity", "critical, high, medium, low", {
        /// Data can be lost or corrupted.
        Critical = "critical",
        /// Outage.
        High = "high",
        /// Operability.
        Medium = "medium",
        /// Hygiene.
        Low = "low",
    }
);

words!(
    /// Whether safe defaults are written. Namespace label `seawall.dev/patch`.
    PatchSetting, "patch setting", "enabled, disabled", {
        /// Safe defaults are written.
        Enabled = "enabled",
        /// Safe defaults are only reported.
        Disabled = "disabled",
    }
);

impl Tier {
    /// Reads a label value; `dev` is tier-3.
    ///
    /// # Errors
    /// When the value is no tier.
    pub fn from_label(value: &str) -> Result<Self, UnknownWord> {
        if value == "dev" { Ok(Self::Tier3) } else { value.parse() }
    }
}

impl Mode {
    /// The most that a violation may lead to in this mode.
    #[must_use]
    pub const fn cap(self) -> Action {
        match self {
            Self::Off => Action::Off,
            Self::Audit => Action::Audit,
            Self::Warn => Action::Warn,
            Self::Enforce => Action::Deny,
        }
    }
}

impl Action {
    /// The weaker of the two.
    #[must_use]
    pub fn at_most(self, cap: Self) -> Self {
        self.min(cap)
    }
}

/// The schema of a mapping from tiers to something, in which a tier may be left out.
pub fn by_tier<V: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let of_tier = generator.subschema_for::<V>();
    let tiers: serde_json::Map<String, serde_json::Value> =
        Tier::ALL.iter().map(|tier| (tier.as_str().to_owned(), of_tier.clone().to_value())).collect();
    json_schema!({"type": "object", "properties": tiers, "additionalProperties": false})
}

/// One action for each tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Actions {
    /// Action in tier-0.
    #[serde(rename = "tier-0")]
    pub tier0: Action,
    /// Action in tier-1.
    #[serde(rename = "tier-1")]
    pub tier1: Action,
    /// Action in tier-2.
    #[serde(rename = "tier-2")]
    pub tier2: Action,
    /// Action in tier-3.
    #[serde(rename = "tier-3")]
    pub tier3: Action,
}

impl Actions {
    /// The action in a tier.
    #[must_use]
    pub const fn get(&self, tier: Tier) -> Action {
        match tier {
            Tier::Tier0 => self.tier0,
            Tier::Tier1 => self.tier1,
            Tier::Tier2 => self.tier2,
            Tier::Tier3 => self.tier3,
        }
    }

    /// Sets the action of a tier.
    pub const fn set(&mut self, tier: Tier, action: Action) {
        match tier {
            Tier::Tier0 => self.tier0 = action,
            Tier::Tier1 => self.tier1 = action,
            Tier::Tier2 => self.tier2 = action,
            Tier::Tier3 => self.tier3 = action,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_written() {
        for tier in Tier::ALL {
            assert_eq!(tier.as_str().parse::<Tier>().unwrap(), *tier);
        }
        for mode in Mode::ALL {
            assert_eq!(mode.as_str().parse::<Mode>().unwrap(), *mode);
        }
        assert_eq!(Tier::from_label("dev").unwrap(), Tier::Tier3);
        let error = "enforced".parse::<Mode>().unwrap_err().to_string();
        assert_eq!(error, r#""enforced" is not a mode; wanted one of enforce, warn, audit, off"#);
    }

    #[test]
    fn a_mode_caps_an_action() {
        assert_eq!(Action::Deny.at_most(Mode::Warn.cap()), Action::Warn);
        assert_eq!(Action::Audit.at_most(Mode::Enforce.cap()), Action::Audit);
        assert_eq!(Action::Deny.at_most(Mode::Off.cap()), Action::Off);
    }
}
