//! What is judged, written, deleted and told, and what is not.

use super::*;
use crate::admission::request::{Gvk, Gvr};
use crate::audit::stream::Source;
use crate::report::{Source as Place, UnknownRow, Violation};

fn source() -> Source {
    let (group, version) = ("apps".to_owned(), "v1".to_owned());
    let gvk = Gvk { group: group.clone(), version: version.clone(), kind: "StatefulSet".into() };
    let gvr = Gvr { group, version, resource: "statefulsets".into() };
    Source { resource: "statefulsets".into(), path: String::new(), gvk, gvr, judged: true, fact: false }
}

fn object(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}")}})
}

fn row(object: &Value, policies: &[&str]) -> Judged {
    let source = Place { file: "cluster".into(), line: 0, column: 0 };
    let finding = |policy: &&str| {
        let finding = json!({"policy": policy, "checklist": "updates", "severity": "high", "action": "Deny",
            "effective": "Audit", "tier": "tier-1", "mode": "audit", "path": [], "message": "m", "found": null,
            "wanted": "w", "fix": "f", "key": "k", "ratcheted": false, "capped_by": null, "note": null,
            "expanded_from": null});
        Violation { finding: serde_json::from_value(finding).unwrap(), source: source.clone() }
    };
    let text = |pointer: &str| object.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    Judged {
        resource: ResourceId {
            api_version: "apps/v1".into(),
            kind: "StatefulSet".into(),
            namespace: Some("shop".into()),
            name: text("/metadata/name"),
        },
        uid: Some(text("/metadata/uid")),
        judged_in: None,
        violations: policies.iter().map(finding).collect(),
        patches: vec![],
        unknown: vec![],
        source: source.clone(),
    }
}

struct Rig {
    memory: Memory,
    source: Source,
}

impl Rig {
    /// After one complete pass over an empty cluster.
    fn new() -> Self {
        let mut rig = Self { memory: Memory::default(), source: source() };
        rig.pass(BTreeMap::new());
        rig.memory.end(&BTreeSet::new(), true);
        rig
    }

    fn pass(&mut self, reports: BTreeMap<ReportKey, String>) {
        self.memory.begin(Some(Flavour::WgPolicy), reports);
    }

    fn end(&mut self, complete: bool) -> Vec<Order> {
        self.memory.end(&BTreeSet::from(["statefulsets".to_owned()]), complete)
    }

    fn learn(&mut self, object: &Value, input: u64, verdict: Verdict, unknown: &[&str]) -> Vec<Order> {
        let group = Group { first: Item { source: &self.source, object }, claims: vec![] };
        let unknown = unknown.iter().map(|kind| (*kind).to_owned()).collect();
        self.memory.learn(&group, &[verdict], (input, &[input]), &unknown)
    }

    fn found(&mut self, object: &Value, input: u64, policies: &[&str]) -> Vec<Order> {
        self.learn(object, input, Verdict::Row { row: Box::new(row(object, policies)), whole: true }, &[])
    }

    fn knows(&mut self, object: &Value, input: u64) -> bool {
        self.memory.knows(&Group { first: Item { source: &self.source, object }, claims: vec![] }, input)
    }

    fn count(&self) -> u64 {
        self.memory.counts().values().sum()
    }
}

/// Executes the orders on a cluster of reports, and gives them in words.
fn execute(memory: &mut Memory, orders: Vec<Order>) -> Vec<String> {
    let mut said = Vec::new();
    for order in orders {
        match order {
            Order::Report { key, hash, .. } => {
                said.push(format!("write {}", key.1));
                memory.wrote(key, Some(hash));
            }
            Order::Remove(key) => {
                said.push(format!("remove {}", key.1));
                memory.wrote(key, None);
            }
            Order::Announce(told) => {
                let word = if told.appeared { "came" } else { "went" };
                said.push(format!("{word} {}", told.policies.join(",")));
            }
        }
    }
    said
}

#[test]
fn what_is_found_is_written_once_and_told_when_it_changes() {
    let (mut rig, db) = (Rig::new(), object("db"));
    let orders = rig.found(&db, 1, &["a", "b"]);
    assert_eq!(execute(&mut rig.memory, orders), ["came a,b", "write seawall-uid-db"]);
    assert!(rig.knows(&db, 1) && !rig.knows(&db, 2));
    assert_eq!(rig.count(), 2);
    // judged again with the same result
    assert!(rig.found(&db, 2, &["a", "b"]).is_empty());
    let orders = rig.found(&db, 3, &["b", "c"]);
    assert_eq!(execute(&mut rig.memory, orders), ["came c", "went a", "write seawall-uid-db"]);
    let orders = rig.found(&db, 4, &[]);
    assert_eq!(execute(&mut rig.memory, orders), ["went b,c", "remove seawall-uid-db"]);
    assert_eq!(rig.count(), 0);
    // in mode off nothing became better
    let orders = rig.found(&db, 5, &["a"]);
    execute(&mut rig.memory, orders);
    let orders = rig.learn(&db, 6, Verdict::PassedOver, &[]);
    assert_eq!(execute(&mut rig.memory, orders), ["remove seawall-uid-db"]);
}

#[test]
fn a_first_pass_tells_nothing_and_leaves_reports_that_are_right() {
    let (mut first, db) = (Rig::new(), object("db"));
    let orders = first.found(&db, 1, &["a"]);
    let reports: BTreeMap<ReportKey, String> = orders
        .into_iter()
        .filter_map(|order| match order {
            Order::Report { key, hash, .. } => Some((key, hash)),
            _ => None,
        })
        .chain([(("shop".to_owned(), "seawall-uid-gone".to_owned()), "h".to_owned())])
        .collect();
    // another replica, with the reports of the first
    let mut next = Rig { memory: Memory::default(), source: source() };
    next.pass(reports);
    assert!(!next.knows(&db, 1) && next.found(&db, 1, &["a"]).is_empty());
    let orders = next.end(true);
    assert_eq!(execute(&mut next.memory, orders), ["remove seawall-uid-gone"]);
}

#[test]
fn what_others_did_to_reports_is_repaired() {
    let (mut rig, db) = (Rig::new(), object("db"));
    let orders = rig.found(&db, 1, &["a"]);
    execute(&mut rig.memory, orders);
    // somebody deleted it, or wrote it differently: judged again, because reports are not remembered
    for reports in [BTreeMap::new(), BTreeMap::from([(("shop".into(), "seawall-uid-db".into()), "other".into())])] {
        rig.pass(reports);
        assert!(!rig.knows(&db, 1));
        let orders = rig.found(&db, 1, &["a"]);
        assert_eq!(execute(&mut rig.memory, orders), ["write seawall-uid-db"]);
        assert!(rig.knows(&db, 1));
    }
    // the CustomResourceDefinition is gone and comes back
    rig.memory.begin(None, BTreeMap::new());
    assert!(rig.knows(&db, 1), "nothing is to be written");
    assert!(rig.found(&db, 2, &["a"]).is_empty());
    rig.pass(BTreeMap::new());
    assert!(!rig.knows(&db, 2));
}

#[test]
fn without_an_answer_nothing_changes() {
    let (mut rig, db) = (Rig::new(), object("db"));
    let orders = rig.found(&db, 1, &["a"]);
    execute(&mut rig.memory, orders);
    let mut doubtful = row(&db, &[]);
    doubtful.unknown.push(UnknownRow { policy: "a".into(), missing: "services".into() });
    for (verdict, unknown) in [
        (Verdict::Row { row: Box::new(row(&db, &[])), whole: false }, &[][..]),
        (Verdict::Failed, &[]),
        (Verdict::Row { row: Box::new(doubtful.clone()), whole: true }, &["services"]),
    ] {
        assert!(rig.learn(&db, 2, verdict, unknown).is_empty());
        assert_eq!(rig.count(), 1);
        assert!(!rig.knows(&db, 1) && !rig.knows(&db, 2), "to be judged again");
    }
    // a kind that is not served is no doubt: it stays unknown
    let orders = rig.learn(&db, 2, Verdict::Row { row: Box::new(doubtful), whole: true }, &[]);
    assert_eq!(execute(&mut rig.memory, orders), ["went a", "write seawall-uid-db"]);
}

#[test]
fn only_what_was_listed_to_its_end_can_be_gone() {
    let (mut rig, a, b) = (Rig::new(), object("a"), object("b"));
    for object in [&a, &b] {
        let orders = rig.found(object, 1, &["p"]);
        execute(&mut rig.memory, orders);
    }
    let reports = rig.memory.reports.clone();
    rig.pass(reports.clone());
    assert!(rig.knows(&a, 1));
    // the list broke off before b
    assert!(rig.memory.end(&BTreeSet::new(), false).is_empty());
    assert_eq!(rig.memory.len(), 2);
    // it did not, but something else was not seen: reports stay until everything was
    rig.pass(reports.clone());
    assert!(rig.knows(&a, 1) && rig.end(false).is_empty());
    assert_eq!(rig.memory.len(), 1);
    rig.pass(reports);
    assert!(rig.knows(&a, 1));
    let orders = rig.end(true);
    assert_eq!(execute(&mut rig.memory, orders), ["remove seawall-uid-b"]);
}

#[test]
fn events_are_about_the_controller_that_owns_an_object() {
    let (mut rig, mut db) = (Rig::new(), object("db"));
    db["metadata"]["ownerReferences"] = json!([
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1"},
        {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "name": "pg", "uid": "2", "controller": true}]);
    let orders = rig.found(&db, 1, &["a"]);
    let Some(Order::Announce(told)) = orders.first() else { panic!("{orders:?}") };
    assert_eq!(
        told.regarding,
        json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "name": "pg", "uid": "2", "namespace": "shop"})
    );
    assert!(told.note.starts_with("StatefulSet db: [a] "), "{}", told.note);
}
