//! Checks a METADATA block: everything that is wrong with it, each with its place and what to write instead. The loader and
//! `seawall lint` both ask here.

use super::annotation::{self, At, Block, Entry, Node, Part};
use super::metadata::{CHECKLIST, Metadata};
use super::mode::{Action, Severity, Tier};
use crate::words::{closest, near};

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// There is no block.
    Missing,
    /// It is no YAML.
    Syntax,
    /// A key that nobody reads.
    UnknownKey,
    /// A key that must be there.
    MissingKey,
    /// A value of another type, or none of the permitted words.
    WrongType,
    /// No item of the checklist.
    Checklist,
    /// No severity.
    Severity,
    /// The actions by tier.
    Actions,
    /// Tiers of `patch` and `tierParameters`.
    Tiers,
    /// Rows of `match` that match nothing.
    Match,
    /// A wildcard in `match`.
    Wildcard,
    /// Id and package.
    Id,
}

/// Something that is wrong with a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The policy file.
    pub file: String,
    /// Line and column in it, from 1.
    pub at: At,
    /// Which kind.
    pub rule: Rule,
    /// The key; empty for the block as a whole.
    pub key: String,
    /// What was found.
    pub problem: String,
    /// What to write instead.
    pub fix: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, at: (line, column), rule, key, problem, fix } = self;
        write!(f, "{file}:{line}:{column}: ")?;
        match (rule, key.as_str()) {
            (Rule::Missing, _) => {}
            (_, "") => write!(f, "METADATA: ")?,
            (_, key) => write!(f, "METADATA `{key}`: ")?,
        }
        write!(f, "{problem}; {fix}")
    }
}

/// What a key holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Bool,
    List,
    Map,
    Any,
}

/// Name, what it holds, whether it must be there.
type Key = (&'static str, Kind, bool);

/// OPA's annotations (<https://www.openpolicyagent.org/docs/policy-language#annotations>).
const BLOCK: &[Key] = &[
    ("title", Kind::Text, true),
    ("description", Kind::Text, true),
    ("related_resources", Kind::List, false),
    ("scope", Kind::Text, false),
    ("authors", Kind::Any, false),
    ("organizations", Kind::Any, false),
    ("schemas", Kind::Any, false),
    ("entrypoint", Kind::Bool, false),
    ("custom", Kind::Map, true),
];

const CUSTOM: &[Key] = &[
    ("id", Kind::Text, true),
    ("checklist", Kind::Text, true),
    ("severity", Kind::Text, true),
    ("actions", Kind::Map, true),
    ("patch", Kind::List, false),
    ("match", Kind::List, true),
    ("context", Kind::List, false),
    ("parameters", Kind::Map, false),
    ("tierParameters", Kind::Map, false),
    ("guardsFinalizers", Kind::Bool, false),
    ("exemptible", Kind::Bool, false),
];

const ROW: &[Key] = &[
    ("apiGroups", Kind::List, true),
    ("apiVersions", Kind::List, true),
    ("resources", Kind::List, true),
    ("operations", Kind::List, true),
    ("via", Kind::Text, false),
    ("registered", Kind::Bool, false),
];

const NEED: &[Key] = &[("resource", Kind::Text, true), ("optional", Kind::Bool, false)];
const LINK: &[Key] = &[("ref", Kind::Text, true), ("description", Kind::Text, false)];

/// What is known of a policy's METADATA: what it says, where every key stands, and all that is wrong.
#[derive(Debug)]
pub struct Inspected {
    /// What it says, where nothing is wrong.
    pub metadata: Option<Metadata>,
    /// The block's keys and places, where it is YAML.
    pub root: Option<Node>,
    /// The package below it.
    pub package: Option<String>,
    /// All that is wrong.
    pub problems: Vec<Problem>,
}

/// Reads and checks the block of a policy file.
#[must_use]
pub fn inspect(file: &str, source: &str) -> Inspected {
    let mut check = Check { file, problems: Vec::new() };
    let block = match annotation::block(source) {
        Ok(block) => block,
        Err(line) => {
            let problem = "no `# METADATA` block above the package line";
            let fix = "every policy needs one (docs/policy-format.md)";
            check.add(Rule::Missing, (line, 1), "", problem, fix);
            return Inspected { metadata: None, root: None, package: None, problems: check.problems };
        }
    };
    let root = match annotation::read(&block) {
        Ok(root) => root,
        Err((at, problem)) => {
            check.add(Rule::Syntax, at, "", format!("it is no YAML: {problem}"), "see docs/policy-format.md");
            None
        }
    };
    match &root {
        Some(root) => check.block(root, &block),
        None if check.problems.is_empty() => {
            check.add(Rule::MissingKey, (block.line, 1), "", "it is empty", "write title, description and custom");
        }
        None => {}
    }
    let mut metadata = None;
    if check.problems.is_empty() {
        match Metadata::of_block(&block.yaml) {
            Ok(found) => metadata = Some(found),
            // what the reader does not take and the checks above do not know
            Err((line, column, problem)) => {
                let at = (block.line + line, column + 2);
                check.add(Rule::Syntax, at, "", problem, "see docs/policy-format.md");
            }
        }
    }
    Inspected { metadata, root, package: Some(block.package), problems: check.problems }
}

struct Check<'f> {
    file: &'f str,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn add(&mut self, rule: Rule, at: At, key: &str, problem: impl Into<String>, fix: impl Into<String>) {
        let (key, problem, fix) = (key.to_owned(), problem.into(), fix.into());
        self.problems.push(Problem { file: self.file.to_owned(), at, rule, key, problem, fix });
    }

    fn block(&mut self, root: &Node, block: &Block) {
        self.keys(root, BLOCK, "", (block.line, 1));
        for key in ["title", "description"] {
            if let Some(entry) = root.entry(key).filter(|entry| entry.value.text().is_some_and(|t| t.trim().is_empty()))
            {
                self.add(Rule::MissingKey, entry.at, key, "it is empty", "say what the policy asks for and why");
            }
        }
        for link in root.entry("related_resources").map(|e| e.value.items()).unwrap_or_default() {
            self.keys(link, LINK, "related_resources", link.at);
        }
        let Some(custom) = root.entry("custom").filter(|entry| matches!(entry.value.part, Part::Map(_))) else {
            return;
        };
        self.custom(custom, block);
    }

    /// Unknown keys, keys that are missing, values of another type.
    fn keys(&mut self, node: &Node, known: &[Key], parent: &str, at: At) {
        let Part::Map(entries) = &node.part else {
            let names: Vec<&str> = known.iter().filter(|(.., required)| *required).map(|(name, ..)| *name).collect();
            let problem = format!("found {}", node.words());
            return self.add(
                Rule::WrongType,
                node.at,
                parent,
                problem,
                format!("wanted a mapping with {}", names.join(", ")),
            );
        };
        let mut meant = Vec::new();
        for entry in entries {
            match known.iter().find(|(name, ..)| *name == entry.key) {
                Some((_, kind, _)) => self.kind(entry, *kind),
                None => {
                    let (near, fix) = unknown_key(&entry.key, known, parent);
                    meant.extend(near);
                    let place = if parent.is_empty() { String::new() } else { format!(" of `{parent}`") };
                    self.add(Rule::UnknownKey, entry.at, &entry.key, format!("no such key{place}"), fix);
                }
            }
        }
        for (name, ..) in known.iter().filter(|(name, _, required)| *required && node.entry(name).is_none()) {
            // a misspelt key is told once
            if !meant.contains(name) {
                let place = if parent.is_empty() { String::new() } else { format!(" in `{parent}`") };
                self.add(Rule::MissingKey, at, name, format!("it is missing{place}"), wanted(name));
            }
        }
    }

    fn kind(&mut self, entry: &Entry, kind: Kind) {
        let value = &entry.value;
        let (fits, wanted) = match kind {
            Kind::Text => (value.text().is_some(), "text"),
            Kind::Bool => (value.boolean().is_some(), "true or false"),
            Kind::List => (matches!(value.part, Part::List(_)), "a list"),
            Kind::Map => (matches!(value.part, Part::Map(_)), "a mapping"),
            Kind::Any => (true, ""),
        };
        if !fits {
            let fix = format!("wanted {wanted}, as in docs/policy-format.md");
            self.add(Rule::WrongType, value.at, &entry.key, format!("found {}", value.words()), fix);
        }
    }

    fn custom(&mut self, custom: &Entry, block: &Block) {
        let node = &custom.value;
        self.keys(node, CUSTOM, "custom", custom.at);
        if let Some(id) = node.entry("id") {
            self.id(id, &block.package);
        }
        if let Some((entry, word)) = word(node, "checklist")
            && !CHECKLIST.contains(&word)
        {
            let problem = format!("{word:?} is no checklist item{}", closest(word, CHECKLIST.iter().copied()));
            let fix = format!("wanted one of {}", CHECKLIST.join(", "));
            self.add(Rule::Checklist, entry.value.at, "checklist", problem, fix);
        }
        if let Some((entry, word)) = word(node, "severity")
            && word.parse::<Severity>().is_err()
        {
            let near = closest(word, Severity::ALL.iter().map(|s| s.as_str()));
            let problem = format!("{word:?} is no severity{near}");
            self.add(Rule::Severity, entry.value.at, "severity", problem, "wanted critical, high, medium or low");
        }
        if let Some(actions) = node.entry("actions").filter(|e| matches!(e.value.part, Part::Map(_))) {
            self.actions(actions);
        }
        for tier in node.entry("patch").map(|e| e.value.items()).unwrap_or_default() {
            self.tier(Rule::Tiers, "patch", tier.at, tier.text());
        }
        if let Some(rows) = node.entry("match").filter(|e| matches!(e.value.part, Part::List(_))) {
            if rows.value.items().is_empty() {
                self.add(Rule::Match, rows.at, "match", "it matches nothing", "wanted at least one row");
            }
            for row in rows.value.items() {
                self.row(row);
            }
        }
        for need in node.entry("context").map(|e| e.value.items()).unwrap_or_default() {
            self.keys(need, NEED, "context", need.at);
            if let Some(entry) = need.entry("resource").filter(|e| e.value.text() == Some("")) {
                self.add(Rule::WrongType, entry.value.at, "resource", "it is empty", "name the kind: storageclasses");
            }
        }
        self.tier_parameters(node);
    }

    fn id(&mut self, entry: &Entry, package: &str) {
        let Some(id) = entry.value.text() else { return };
        let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !id.split('-').all(word) {
            let fix = "write small letters and digits with - between: class-reclaim-retain";
            return self.add(Rule::Id, entry.value.at, "id", format!("{id:?} is not kebab-case"), fix);
        }
        let wanted = format!("seawall.policies.{}", id.replace('-', "_"));
        if package != wanted {
            let problem = format!("{id:?} belongs to package {wanted}, found package {package}");
            self.add(Rule::Id, entry.value.at, "id", problem, "change one of the two");
        }
    }

    fn actions(&mut self, actions: &Entry) {
        let mut meant = Vec::new();
        for entry in actions.value.entries() {
            meant.extend(self.tier(Rule::Actions, "actions", entry.at, Some(&entry.key)));
            match entry.value.text() {
                Some(word) if word.parse::<Action>().is_ok() => {}
                found => {
                    let near = closest(found.unwrap_or_default(), Action::ALL.iter().map(|a| a.as_str()));
                    let problem = format!("{} is no action{near}", entry.value.words());
                    self.add(Rule::Actions, entry.value.at, &entry.key, problem, "wanted Deny, Warn, Audit or Off");
                }
            }
        }
        let given = |tier: &Tier| meant.contains(tier) || actions.value.entry(tier.as_str()).is_some();
        let missing: Vec<&str> = Tier::ALL.iter().filter(|tier| !given(tier)).map(|tier| tier.as_str()).collect();
        if !missing.is_empty() {
            let problem = format!("there is no action for {}", missing.join(", "));
            self.add(
                Rule::Actions,
                actions.at,
                "actions",
                problem,
                "give each of the four tiers Deny, Warn, Audit or Off",
            );
        }
    }

    /// Checks the name of a tier. Returns the one that a misspelt name means.
    fn tier(&mut self, rule: Rule, key: &str, at: At, name: Option<&str>) -> Option<Tier> {
        let name = name.unwrap_or_default();
        if name.parse::<Tier>().is_ok() {
            return None;
        }
        let known = || Tier::ALL.iter().map(|tier| tier.as_str());
        let problem = format!("{name:?} is no tier{}", closest(name, known()));
        self.add(rule, at, key, problem, "wanted tier-0, tier-1, tier-2 or tier-3");
        near(name, known()).and_then(|name| name.parse().ok())
    }

    fn row(&mut self, row: &Node) {
        self.keys(row, ROW, "match", row.at);
        for entry in row.entries() {
            if let Part::List(items) = &entry.value.part {
                self.row_list(entry, items);
            }
        }
        if let Some((entry, word)) = word(row, "via")
            && !["template", "direct", "both"].contains(&word)
        {
            let problem = format!("found {word:?}");
            self.add(Rule::WrongType, entry.value.at, "via", problem, "wanted template, direct or both");
        }
    }

    fn row_list(&mut self, entry: &Entry, items: &[Node]) {
        let key = entry.key.as_str();
        if items.is_empty() && ROW.iter().any(|(name, ..)| *name == key) {
            let problem = "the list is empty, so the row matches nothing";
            self.add(Rule::Match, entry.at, key, problem, "name at least one; \"\" is the core API group");
        }
        for item in items {
            match (key, item.text()) {
                (_, None) => self.add(Rule::WrongType, item.at, key, format!("found {}", item.words()), "wanted text"),
                ("operations", Some(word)) => {
                    const OPERATIONS: [&str; 4] = ["CREATE", "UPDATE", "DELETE", "CONNECT"];
                    if !OPERATIONS.contains(&word) {
                        let near = closest(&word.to_uppercase(), OPERATIONS.into_iter());
                        let problem = format!("{word:?} is no operation{near}");
                        self.add(Rule::WrongType, item.at, key, problem, "wanted CREATE, UPDATE or DELETE");
                    }
                }
                ("apiGroups" | "apiVersions" | "resources", Some(word)) if word.contains('*') => {
                    let problem = format!("{word:?}: wildcards are not permitted, webhooks stay narrow");
                    self.add(Rule::Wildcard, item.at, key, problem, "name them one by one");
                }
                _ => {}
            }
        }
    }

    fn tier_parameters(&mut self, custom: &Node) {
        let declared = |name: &str| custom.entry("parameters").is_some_and(|p| p.value.entry(name).is_some());
        for entry in custom.entry("tierParameters").map(|e| e.value.entries()).unwrap_or_default() {
            self.tier(Rule::Tiers, "tierParameters", entry.at, Some(&entry.key));
            if !matches!(entry.value.part, Part::Map(_)) {
                let problem = format!("found {}", entry.value.words());
                self.add(Rule::WrongType, entry.value.at, &entry.key, problem, "wanted a mapping of parameters");
            }
            for parameter in entry.value.entries().iter().filter(|parameter| !declared(&parameter.key)) {
                let parameters = custom.entry("parameters").map(|p| p.value.entries()).unwrap_or_default();
                let near = closest(&parameter.key, parameters.iter().map(|p| p.key.as_str()));
                let problem = format!("{}: {:?} has no default in `parameters`{near}", entry.key, parameter.key);
                self.add(Rule::Tiers, parameter.at, "tierParameters", problem, "give it a default there");
            }
        }
    }
}

/// An entry with its text.
fn word<'n>(node: &'n Node, key: &str) -> Option<(&'n Entry, &'n str)> {
    let entry = node.entry(key)?;
    Some((entry, entry.value.text()?))
}

/// What to do about an unknown key, and the known one that it probably is.
fn unknown_key(key: &str, known: &[Key], parent: &str) -> (Option<&'static str>, String) {
    let names = || known.iter().map(|(name, ..)| *name);
    if let Some(near) = near(key, names()) {
        return (Some(near), format!("did you mean {near:?}?"));
    }
    let elsewhere = |keys: &[Key]| keys.iter().any(|(name, ..)| *name == key);
    let fix = match parent {
        "" if elsewhere(CUSTOM) => format!("move it below `custom`: {key:?} is Seawall's"),
        "custom" if elsewhere(BLOCK) => format!("move it out of `custom`: {key:?} is OPA's"),
        _ => format!("wanted one of {}", names().collect::<Vec<_>>().join(", ")),
    };
    (None, fix)
}

/// How to write a key that is missing.
fn wanted(key: &str) -> &'static str {
    match key {
        "title" => "say in one line what is asked for",
        "description" => "say what is asked for and why",
        "custom" => "add id, checklist, severity, actions and match below it (docs/policy-format.md)",
        "id" => "write the folder's name with - for _",
        "checklist" => "name the checklist item (docs/policy-format.md)",
        "severity" => "add one of critical, high, medium, low",
        "actions" => "add {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Audit}",
        "match" => "say which requests are judged (docs/policy-format.md)",
        _ => "see docs/policy-format.md",
    }
}
