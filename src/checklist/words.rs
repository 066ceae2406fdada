//! Words that all formats share: titles of items, reasons, names of objects.

use super::{Found, Gap};
use crate::decision::inline;
use crate::report::ResourceId;
use crate::report::page::plural;

pub(super) use crate::report::page::{name as object, plain as clean};

/// What an item asks for, in a few words.
pub(super) fn title(item: &str) -> &'static str {
    match item {
        "storage-approach" => "Storage approach chosen",
        "storage-class" => "Storage class and CSI driver fit",
        "access-mode" => "Access mode verified",
        "statefulset" => "StatefulSets for stateful Pods",
        "reclaim-policy" => "Production data is retained",
        "node-drain" => "Node drain tested and timed",
        "topology" => "Topology constraints configured",
        "backup-type" => "Backup type fits the engine",
        "rpo-rto" => "RPO and RTO defined for the tier",
        "restore-drill" => "Restore drill done and timed",
        "capacity" => "Capacity watched, growth possible",
        "class-standard" => "Small standard set of classes",
        "self-service" => "Developers serve themselves",
        "probes" => "Readiness and liveness probes",
        "headless-service" => "Headless governing Service",
        "namespace" => "Namespace of its own",
        "configuration" => "Settings and secrets apart",
        "scaling" => "Ordered, safe scaling",
        "updates" => "Guarded updates",
        "operators" => "Operators and their resources",
        "replication" => "Replication and quorum",
        "placement" => "Placement without pinning",
        "sizing" => "Requests, quotas, sizes",
        "deletion-protection" => "Protected from deletion",
        "governance" => "Tiers and exemptions hold",
        _ => "",
    }
}

/// A gap as a sentence without a full stop.
pub(super) fn gap(gap: &Gap) -> String {
    match gap {
        Gap::NoPolicy => "no loaded policy covers this item yet".to_owned(),
        Gap::SwitchedOff => "the policies of this item are switched off in this tier".to_owned(),
        Gap::RequestsOnly => "its policies judge requests that change or delete, which nothing stored shows".to_owned(),
        Gap::NothingJudged { on } => {
            let more = on.len().checked_sub(5).filter(|more| *more > 0);
            let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
            let on = on.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("no policy of this item judges what was seen of this workload (they judge {on}{more})")
        }
        Gap::MissingFacts { policy, missing } => format!("[{policy}] too little is known of {missing}"),
        Gap::PolicyFailed { policy, reason } => format!("[{policy}] failed: {reason}"),
        Gap::NotListed { policy, missing } => format!("[{policy}] not all {missing} could be listed"),
    }
}

/// A number of workloads.
pub(super) fn workloads(number: usize) -> String {
    plural(number, "workload", "workloads")
}

/// `namespace/name`.
pub(super) fn name(id: &ResourceId) -> String {
    match &id.namespace {
        Some(namespace) => format!("{namespace}/{}", id.name),
        None => id.name.clone(),
    }
}

/// Where a violation is: the object where it is not the workload itself, the part, the field.
pub(super) fn place(found: &Found, workload: &ResourceId) -> String {
    let mut words = Vec::new();
    if found.object != *workload {
        words.push(object(&found.object));
    }
    words.extend(found.part.clone().filter(|part| !found.field.contains(part.as_str())));
    words.push(found.field.clone());
    if found.more_objects > 0 {
        words.push(format!("(and {} more)", found.more_objects));
    }
    words.join(" ")
}

/// What is wanted, in one line.
pub(super) fn wanted(found: &Found) -> String {
    inline(&found.wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::metadata::CHECKLIST;

    #[test]
    fn every_item_has_a_title() {
        assert!(CHECKLIST.iter().all(|item| !title(item).is_empty()));
    }
}
