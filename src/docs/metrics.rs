//! The page of the metrics, from their registration.

use super::cell;
use crate::policy::mode::{Mode, Tier};
use crate::telemetry::Metrics;
use crate::telemetry::families::{Described, Label};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One row for each family, then what the labels can be.
#[must_use]
pub fn page() -> String {
    of(Metrics::new().described())
}

fn of(families: &[Described]) -> String {
    let mut page = String::from(
        "`serve` answers `/metrics` on `--metrics-listen` in the OpenMetrics text format. A family shows nothing before the first \
         event that it counts. Durations are in seconds, a `_timestamp_seconds` is Unix time.\n\n\
         | metric | type | labels | what it is |\n| --- | --- | --- | --- |\n",
    );
    let mut labels: BTreeMap<(&str, Vec<&str>), Vec<&str>> = BTreeMap::new();
    let mut families: Vec<&Described> = families.iter().collect();
    families.sort_by(|a, b| a.name.cmp(&b.name));
    for family in families {
        for label in &family.labels {
            labels.entry((label.name, values(label))).or_default().push(&family.name);
        }
        let names: Vec<String> = family.labels.iter().map(|label| format!("`{}`", label.name)).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            written(family),
            family.kind,
            names.join(", "),
            cell(&family.help)
        );
    }
    page.push_str("\n## Labels\n\nNo label ever has the name of an object or a namespace.\n\n| label | of | values |\n| --- | --- | --- |\n");
    for ((name, values), families) in labels {
        let listed: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        let values = if listed.is_empty() { open(name).to_owned() } else { listed.join(", ") };
        let of = if families.len() > 4 {
            format!("{} metrics", families.len())
        } else {
            families.iter().map(|family| format!("`{family}`")).collect::<Vec<_>>().join(", ")
        };
        let _ = writeln!(page, "| `{name}` | {of} | {values} |");
    }
    page
}

/// The name by which a series is asked for.
fn written(family: &Described) -> String {
    let suffix = match family.kind {
        "counter" => "_total",
        "info" => "_info",
        "histogram" => "_bucket` `_sum` `_count",
        _ => "",
    };
    format!("{}{suffix}", family.name)
}

/// All values of a label; those of tiers and modes are listed elsewhere in the code.
fn values(label: &Label) -> Vec<&'static str> {
    match label.name {
        "tier" => Tier::ALL.iter().map(|tier| tier.as_str()).collect(),
        "mode" => Mode::ALL.iter().map(|mode| mode.as_str()).collect(),
        _ => label.values.to_vec(),
    }
}

/// Where the values of a label come from that cannot be listed.
fn open(label: &str) -> &'static str {
    match label {
        "policy" => "id of a loaded policy",
        "resource" => {
            "plural resource that a loaded policy matches or reads, with its subresource; anything else is `other`"
        }
        "listener" => "`admission` or `metrics`",
        "version" => "version of this program",
        "digest" => "digest of the policy set that is serving",
        "revision" => "revision of the policy set that is serving, from its manifest",
        "change" => "what would change, in the words of `seawall policy diff`",
        "reason" => "why, in a word",
        _ => "a bounded set",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::ReviewSample;
    use std::time::Duration;

    /// The page says of a metric what the exposition says.
    #[test]
    fn the_page_and_the_exposition_agree() {
        let metrics = Metrics::new();
        metrics.record_review(&ReviewSample {
            webhook: crate::telemetry::labels::Webhook::Enforce,
            operation: crate::telemetry::labels::Operation::Create,
            resource: "x",
            outcome: crate::telemetry::labels::Outcome::Deny,
            duration: Duration::from_millis(1),
        });
        let described = metrics.described();
        let text = metrics.encode().unwrap();
        let mut seen = 0;
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            let family = described.iter().find(|family| family.name == name).unwrap();
            assert_eq!(family.kind, kind, "{name}");
            assert!(text.contains(&format!("# HELP {name} {}.", family.help)), "{name}");
            seen += 1;
        }
        assert!(seen > 10, "{text}");
        let requests = described.iter().find(|family| family.name == "seawall_admission_requests").unwrap();
        let line = text.lines().find(|line| line.starts_with("seawall_admission_requests_total{")).unwrap();
        let mut at = 0;
        for label in &requests.labels {
            let place = line.find(&format!("{}=\"", label.name)).unwrap();
            assert!(place > at, "{line}");
            at = place;
        }
    }

    #[test]
    fn every_metric_is_on_the_page_with_its_labels() {
        let page = page();
        for family in Metrics::new().described() {
            assert!(page.contains(&family.name), "{}", family.name);
        }
        assert!(page.contains("| `reason` | `seawall_policy_failures` | `error`, `timeout`, `not_run`"), "{page}");
        assert!(!page.contains("a bounded set"), "say in `open` where the values come from:\n{page}");
    }
}
