//! What a new policy is about: flags first, then a person, then defaults. Everything is validated, and all that is wrong told at
//! once.

use super::AuthoringError;
use super::ask::{Question, Talk};
use super::kinds::Target;
use crate::admission::request::Operation;
use crate::policy::metadata::CHECKLIST;
use crate::policy::mode::{Action, Severity, Tier};
use crate::words::closest;
use std::collections::BTreeSet;

/// What the flags say; what is left out is asked or defaulted.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The policy's id.
    pub id: String,
    /// `--title`
    pub title: Option<String>,
    /// `--resource`, each one or several separated by commas.
    pub resources: Vec<String>,
    /// `--operations`
    pub operations: Option<String>,
    /// `--checklist`
    pub checklist: Option<String>,
    /// `--severity`
    pub severity: Option<String>,
    /// `--actions`
    pub actions: Option<String>,
    /// `--patch`
    pub patch: bool,
}

/// Everything that the files are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Kebab-case.
    pub id: String,
    /// One line.
    pub title: String,
    /// At least one.
    pub targets: Vec<Target>,
    /// At least one, without CONNECT.
    pub operations: Vec<Operation>,
    /// Id of the checklist item.
    pub checklist: String,
    /// How bad a violation is.
    pub severity: Severity,
    /// For tier-0 to tier-3.
    pub actions: Vec<Action>,
    /// Whether it also writes a default.
    pub patch: bool,
}

/// Where nothing else is said.
const RESOURCE: &str = "statefulsets";
const OPERATIONS: &str = "CREATE,UPDATE";
const CHECKLIST_ITEM: &str = "governance";
const SEVERITY: &str = "medium";
const ACTIONS: &str = "Deny,Warn,Warn,Audit";

impl Plan {
    /// Settles everything. `embedded` are the ids of the policies in the binary.
    ///
    /// # Errors
    /// All flags that cannot be used, before anything is asked.
    pub fn settle(given: &Given, embedded: &BTreeSet<String>, talk: &mut Talk<'_>) -> Result<Self, AuthoringError> {
        let mut problems = Vec::new();
        problems.extend(id(&given.id, embedded).err());
        let title_of = |word: &str| title(word);
        check("title", given.title.as_deref(), &title_of, &mut problems);
        let resources = (!given.resources.is_empty()).then(|| given.resources.join(","));
        check("resource", resources.as_deref(), &targets, &mut problems);
        check("operations", given.operations.as_deref(), &operations, &mut problems);
        check("checklist", given.checklist.as_deref(), &checklist, &mut problems);
        check("severity", given.severity.as_deref(), &severity, &mut problems);
        check("actions", given.actions.as_deref(), &actions, &mut problems);
        let creates = |operations: &[Operation]| operations.contains(&Operation::Create);
        let no_create =
            given.operations.as_deref().and_then(|text| operations(text).ok()).is_some_and(|o| !creates(&o));
        if given.patch && no_create {
            problems.push("--patch: defaults are written on CREATE; add it to --operations".to_owned());
        }
        if !problems.is_empty() {
            return Err(AuthoringError::Flags(problems));
        }
        let mut settle = Settle { talk };
        let resources = settle.one(
            resources.as_deref(),
            &Question {
                flag: "resource",
                text: "Which resources is it about (plural, several with commas)",
                default: RESOURCE,
                read: &targets,
            },
        )?;
        let operations = settle.one(
            given.operations.as_deref(),
            &Question { flag: "operations", text: "On which operations", default: OPERATIONS, read: &operations },
        )?;
        let checklist = settle.one(
            given.checklist.as_deref(),
            &Question {
                flag: "checklist",
                text: "Which checklist item does it serve",
                default: CHECKLIST_ITEM,
                read: &checklist,
            },
        )?;
        let severity = settle.one(
            given.severity.as_deref(),
            &Question {
                flag: "severity",
                text: "How bad is a violation (critical, high, medium, low)",
                default: SEVERITY,
                read: &severity,
            },
        )?;
        let actions = settle.one(
            given.actions.as_deref(),
            &Question {
                flag: "actions",
                text: "What happens then in tier-0, tier-1, tier-2 and tier-3 (Deny, Warn, Audit, Off)",
                default: ACTIONS,
                read: &actions,
            },
        )?;
        let patch = given.patch
            || (settle.talk.terminal.is_some()
                && creates(&operations)
                && settle.one(
                    None,
                    &Question {
                        flag: "patch",
                        text: "Shall it also write a safe default (yes, no)",
                        default: "no",
                        read: &yes,
                    },
                )?);
        let kinds: Vec<&str> = resources.iter().map(|target| target.kind.as_str()).collect();
        let title = settle.one(
            given.title.as_deref(),
            &Question {
                flag: "title",
                text: "Its title, one line",
                default: &format!("{} must name an owner", kinds.join(", ")),
                read: &title_of,
            },
        )?;
        Ok(Self { id: given.id.clone(), title, targets: resources, operations, checklist, severity, actions, patch })
    }

    /// The policy's id with `_`: folder and end of the package.
    #[must_use]
    pub fn folder(&self) -> String {
        self.id.replace('-', "_")
    }
}

struct Settle<'s, 't> {
    talk: &'s mut Talk<'t>,
}

impl Settle<'_, '_> {
    fn one<T>(&mut self, flag: Option<&str>, question: &Question<'_, T>) -> Result<T, AuthoringError> {
        match flag {
            Some(word) => (question.read)(word)
                .map_err(|problem| AuthoringError::Flags(vec![format!("--{}: {problem}", question.flag)])),
            None => self.talk.ask(question),
        }
    }
}

fn check<T>(flag: &str, word: Option<&str>, read: &dyn Fn(&str) -> Result<T, String>, problems: &mut Vec<String>) {
    if let Some(Err(problem)) = word.map(read) {
        problems.push(format!("--{flag}: {problem}"));
    }
}

/// Whether an id can be that of a new policy.
fn id(id: &str, embedded: &BTreeSet<String>) -> Result<(), String> {
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !id.split('-').all(word) || !id.starts_with(|c: char| c.is_ascii_lowercase()) {
        let mut kebab = String::new();
        for c in id.chars() {
            match c {
                'A'..='Z' => {
                    if kebab.ends_with(|c: char| c.is_ascii_lowercase()) {
                        kebab.push('-');
                    }
                    kebab.push(c.to_ascii_lowercase());
                }
                'a'..='z' | '0'..='9' => kebab.push(c),
                _ if !kebab.is_empty() && !kebab.ends_with('-') => kebab.push('-'),
                _ => {}
            }
        }
        let kebab = kebab.trim_matches('-').trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
        let better = if kebab.is_empty() { String::new() } else { format!("; did you mean {kebab:?}?") };
        return Err(format!("{id:?} is no id: wanted words of lower-case letters and digits, joined by -{better}"));
    }
    if embedded.contains(id) {
        return Err(format!(
            "{id} is a policy of Seawall's own, which yours would replace; choose another id (to change its actions, parameters or \
             match, use the configuration: policies.{id})"
        ));
    }
    Ok(())
}

fn title(word: &str) -> Result<String, String> {
    if word.trim().is_empty() || word.chars().any(char::is_control) {
        return Err("wanted one line of text".to_owned());
    }
    Ok(word.trim().to_owned())
}

/// The parts of a list, without empty ones.
fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn targets(list: &str) -> Result<Vec<Target>, String> {
    let mut found: Vec<Target> = Vec::new();
    let mut problems = Vec::new();
    for word in parts(list) {
        match Target::parse(word) {
            Ok(target) if found.contains(&target) => {}
            Ok(target) => found.push(target),
            Err(problem) => problems.push(problem),
        }
    }
    match (problems.is_empty(), found.is_empty()) {
        (true, false) => Ok(found),
        (true, true) => Err("wanted at least one resource, as statefulsets".to_owned()),
        _ => Err(problems.join("; ")),
    }
}

fn operations(list: &str) -> Result<Vec<Operation>, String> {
    let mut found = Vec::new();
    for word in parts(list) {
        let operation = match word.to_ascii_uppercase().as_str() {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            "CONNECT" => return Err("CONNECT has no object that a policy could judge".to_owned()),
            upper => {
                let near = closest(upper, ["CREATE", "UPDATE", "DELETE"].into_iter());
                return Err(format!("no operation {word:?}{near}; wanted CREATE, UPDATE, DELETE"));
            }
        };
        if !found.contains(&operation) {
            found.push(operation);
        }
    }
    if found.is_empty() { Err("wanted at least one of CREATE, UPDATE, DELETE".to_owned()) } else { Ok(found) }
}

fn checklist(word: &str) -> Result<String, String> {
    if CHECKLIST.contains(&word) {
        return Ok(word.to_owned());
    }
    let near = closest(word, CHECKLIST.iter().copied());
    Err(format!("no checklist item {word:?}{near}; wanted one of {}", CHECKLIST.join(", ")))
}

fn severity(word: &str) -> Result<Severity, String> {
    let known = Severity::ALL.iter().map(|severity| severity.as_str());
    word.parse().map_err(|error| format!("{error}{}", closest(word, known)))
}

fn actions(list: &str) -> Result<Vec<Action>, String> {
    let known = || Action::ALL.iter().map(|action| action.as_str());
    let read = |word: &str| {
        let exact = known().find(|action| action.eq_ignore_ascii_case(word)).unwrap_or(word);
        exact.parse::<Action>().map_err(|error| format!("{error}{}", closest(word, known())))
    };
    let found: Vec<Action> = parts(list).map(read).collect::<Result<_, String>>()?;
    match found.as_slice() {
        [one] => Ok(vec![*one; Tier::ALL.len()]),
        all if all.len() == Tier::ALL.len() => Ok(found),
        all => Err(format!("{} actions; wanted four, for tier-0 to tier-3 ({ACTIONS}), or one for all", all.len())),
    }
}

fn yes(word: &str) -> Result<bool, String> {
    match word.to_ascii_lowercase().as_str() {
        "y" | "yes" | "true" => Ok(true),
        "n" | "no" | "false" => Ok(false),
        _ => Err(format!("{word:?} is neither yes nor no")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(given: &Given, answers: Option<&str>) -> (Result<Plan, String>, String) {
        let embedded = ["class-reclaim-retain".to_owned()].into();
        let (mut answers, mut shown) = (answers.map(str::as_bytes), Vec::new());
        let terminal =
            answers.as_mut().map(|a| (a as &mut dyn std::io::BufRead, &mut shown as &mut dyn std::io::Write));
        let mut talk = Talk { terminal, assumed: Vec::new() };
        let plan = Plan::settle(given, &embedded, &mut talk).map_err(|e| e.to_string());
        let assumed = talk.assumed.join("\n");
        (plan, if shown.is_empty() { assumed } else { String::from_utf8(shown).unwrap() })
    }

    fn given(id: &str) -> Given {
        Given { id: id.to_owned(), ..Given::default() }
    }

    #[test]
    fn all_flags_that_are_wrong_are_told_at_once() {
        let wrong = Given {
            resources: vec!["statefulset".to_owned()],
            operations: Some("CREAT".to_owned()),
            checklist: Some("probe".to_owned()),
            severity: Some("hihg".to_owned()),
            actions: Some("Deny,Wran".to_owned()),
            ..given("My_Policy")
        };
        let (plan, _) = settle(&wrong, None);
        insta::assert_snapshot!(plan.unwrap_err().replace(&CHECKLIST.join(", "), "..."), @r#"
        "My_Policy" is no id: wanted words of lower-case letters and digits, joined by -; did you mean "my-policy"?
        --resource: no resource "statefulset" is known; did you mean "statefulsets"?; a custom one is written with group and version, backups.velero.io/v1
        --operations: no operation "CREAT"; did you mean "CREATE"?; wanted CREATE, UPDATE, DELETE
        --checklist: no checklist item "probe"; did you mean "probes"?; wanted one of ...
        --severity: "hihg" is not a severity; wanted one of critical, high, medium, low; did you mean "high"?
        --actions: "Wran" is not a action; wanted one of Off, Audit, Warn, Deny; did you mean "Warn"?
        "#);
    }

    #[test]
    fn ids_are_new_and_kebab_case() {
        let error = |id: &str| settle(&given(id), None).0.unwrap_err();
        assert!(error("OwnerLabel").contains("did you mean \"owner-label\"?"), "{}", error("OwnerLabel"));
        assert!(error("9lives").contains("did you mean \"lives\"?"));
        assert!(error("../x").contains("did you mean \"x\"?"));
        assert!(error("").contains("is no id"));
        assert!(error("class-reclaim-retain").contains("Seawall's own"));
    }

    #[test]
    fn a_person_is_asked_and_asked_again() {
        let answers = "services,\nbogus\n\ngov\ngovernance\nlow\nDeny,Warn\nwarn\ny\n\n";
        let (plan, shown) = settle(&given("owner-label"), Some(answers));
        let plan = plan.unwrap();
        assert_eq!((plan.targets[0].kind.as_str(), plan.severity, plan.patch), ("Service", Severity::Low, true));
        assert_eq!(plan.actions, [Action::Warn; 4]);
        assert_eq!(plan.title, "Service must name an owner");
        insta::assert_snapshot!(shown.replace(&CHECKLIST.join(", "), "..."), @r#"
        Which resources is it about (plural, several with commas) [statefulsets]: On which operations [CREATE,UPDATE]:   no operation "bogus"; wanted CREATE, UPDATE, DELETE
        On which operations [CREATE,UPDATE]: Which checklist item does it serve [governance]:   no checklist item "gov"; wanted one of ...
        Which checklist item does it serve [governance]: How bad is a violation (critical, high, medium, low) [medium]: What happens then in tier-0, tier-1, tier-2 and tier-3 (Deny, Warn, Audit, Off) [Deny,Warn,Warn,Audit]:   2 actions; wanted four, for tier-0 to tier-3 (Deny,Warn,Warn,Audit), or one for all
        What happens then in tier-0, tier-1, tier-2 and tier-3 (Deny, Warn, Audit, Off) [Deny,Warn,Warn,Audit]: Shall it also write a safe default (yes, no) [no]: Its title, one line [Service must name an owner]:
        "#);
    }

    #[test]
    fn without_a_terminal_the_defaults_are_told() {
        let (plan, assumed) = settle(&given("owner-label"), None);
        assert!(!plan.unwrap().patch);
        insta::assert_snapshot!(assumed, @r#"
        --resource statefulsets
        --operations CREATE,UPDATE
        --checklist governance
        --severity medium
        --actions Deny,Warn,Warn,Audit
        --title 'StatefulSet must name an owner'
        "#);
    }

    #[test]
    fn defaults_are_written_on_create() {
        let wrong = Given { operations: Some("UPDATE".to_owned()), patch: true, ..given("a") };
        assert!(settle(&wrong, None).0.unwrap_err().contains("written on CREATE"));
    }
}
