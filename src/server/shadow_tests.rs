use super::*;
use crate::config::Limits;
use crate::policy::bundle::Bundle;
use serde_json::json;
use std::path::Path;

fn policies(at_least: u32) -> Arc<PolicySet> {
    let text = format!(
        "# METADATA
# title: T
# description: D
# custom:
#   id: enough-replicas
#   checklist: probes
#   severity: high
#   actions: {{tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Deny}}
#   match:
#   - {{apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}}
package seawall.policies.enough_replicas

violation contains {{\"msg\": \"too few\", \"path\": [\"spec\", \"replicas\"], \"wanted\": 1, \"fix\": \"more\"}} if {{
	input.request.object.spec.replicas < {at_least}
}}
"
    );
    let files = [("p.rego".to_owned(), text)].into();
    let bundle = Bundle::from_files(Path::new("dir"), files).unwrap();
    Arc::new(PolicySet::build(&bundle, &Settings::default()).unwrap())
}

fn candidate(at_least: u32) -> Candidate {
    let limits = Limits { review_milliseconds: 50, ..Limits::default() };
    Candidate::new(policies(at_least), Arc::new(Settings { limits, ..Settings::default() }))
}

struct Scene {
    request: Arc<Request>,
    active: Arc<Snapshot>,
    metrics: Arc<Metrics>,
}

impl Scene {
    fn new() -> Self {
        let object = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "shop"},
            "spec": {"replicas": 2}});
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": "CREATE", "namespace": "shop", "name": "db", "object": object,
            "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
            "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
            "userInfo": {"username": "somebody"}}});
        let active = Snapshot::new(policies(1), Arc::default(), Arc::default(), jiff::Timestamp::UNIX_EPOCH);
        Self {
            request: Arc::new(Request::from_review(review.to_string().as_bytes()).unwrap()),
            active: Arc::new(active),
            metrics: Arc::new(Metrics::new()),
        }
    }

    fn offer(&self, shadow: &Shadow, bytes: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let outcome = review::review(&self.request, &self.active, Phase::Validate, deadline, &mut Worker::new());
        shadow.offer(&self.request, &self.active, outcome, Phase::Validate, bytes);
    }

    fn metric(&self, line: &str) -> u64 {
        let text = self.metrics.encode().unwrap();
        let value = text.lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or(0)
    }

    async fn becomes(&self, line: &str, wanted: u64) {
        let begun = Instant::now();
        while self.metric(line) != wanted {
            assert!(begun.elapsed() < Duration::from_secs(30), "{line}: {}", self.metric(line));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

const COMPARED: &str = "seawall_shadow_compared_total ";
const DROPPED: &str = "seawall_shadow_dropped_total ";

#[tokio::test]
async fn what_differs_is_counted_by_policy_and_change() {
    let scene = Scene::new();
    let shadow = Shadow::start(candidate(3), scene.metrics.clone()).unwrap();
    scene.offer(&shadow, 10);
    scene.becomes(COMPARED, 1).await;
    // the configuration's mode is warn
    let line = "seawall_shadow_differences_total{policy=\"enough-replicas\",change=\"newly-warned\"}";
    assert_eq!(scene.metric(line), 1);
    shadow.replace(candidate(1));
    scene.offer(&shadow, 10);
    scene.becomes(COMPARED, 2).await;
    assert_eq!(scene.metric(line), 1, "the same as the active set");
    assert_eq!(shadow.bytes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_finds_no_room_is_dropped_and_nobody_waits() {
    let scene = Scene::new();
    let shadow = Shadow::start(candidate(3), scene.metrics.clone()).unwrap();
    // on this one thread nothing is taken out before the first await
    for _ in 0..QUEUE + 5 {
        scene.offer(&shadow, 10);
    }
    assert_eq!(scene.metric(DROPPED), 5);
    scene.becomes(COMPARED, QUEUE as u64).await;
    scene.offer(&shadow, MOST_BYTES + 1);
    assert_eq!(scene.metric(DROPPED), 6);
    scene.offer(&shadow, 10);
    scene.becomes(COMPARED, QUEUE as u64 + 1).await;
}

fn panics(_: &Request, _: &Snapshot, _: Phase, _: Instant, _: &mut Worker) -> Outcome {
    panic!("on purpose")
}

#[tokio::test]
async fn a_panic_is_counted_and_the_next_review_is_judged() {
    let scene = Scene::new();
    let shadow = Shadow::start_with(candidate(3), scene.metrics.clone(), panics).unwrap();
    scene.offer(&shadow, 10);
    scene.offer(&shadow, 10);
    scene.becomes("seawall_shadow_failures_total{reason=\"panic\"}", 2).await;
    assert_eq!((scene.metric(COMPARED), scene.metric(DROPPED)), (0, 0));
}

fn hangs(request: &Request, snapshot: &Snapshot, phase: Phase, deadline: Instant, worker: &mut Worker) -> Outcome {
    // the candidate that follows is well
    if snapshot.settings.excluded_namespaces == ["hangs"] {
        std::thread::sleep(Duration::from_secs(2));
    }
    review::review(request, snapshot, phase, deadline, worker)
}

#[tokio::test]
async fn a_candidate_that_does_not_come_back_is_left_alone_until_it_changes() {
    let scene = Scene::new();
    let mut hanging = candidate(3);
    let settings = Settings { excluded_namespaces: vec!["hangs".to_owned()], ..(*hanging.settings).clone() };
    hanging.settings = Arc::new(settings);
    let shadow = Shadow::start_with(hanging, scene.metrics.clone(), hangs).unwrap();
    for _ in 0..MOST_STUCK + 2 {
        scene.offer(&shadow, 10);
    }
    scene.becomes(DROPPED, 2).await;
    assert_eq!(scene.metric("seawall_shadow_failures_total{reason=\"timeout\"}"), MOST_STUCK as u64);
    shadow.replace(candidate(3));
    scene.offer(&shadow, 10);
    scene.becomes(COMPARED, 1).await;
}

#[test]
fn a_difference_is_logged_once_and_not_too_many_in_a_minute() {
    let start = Instant::now();
    let mut told = Told::new(start);
    let difference = |policy: &str| Difference {
        policy: policy.to_owned(),
        change: Change::NewlyDenied,
        field: String::new(),
        old_action: None,
        new_action: None,
        old: None,
        new: None,
    };
    assert!(told.tells(&difference("a"), "shop", ("1", "2"), start));
    assert!(!told.tells(&difference("a"), "shop", ("1", "2"), start));
    assert!(told.tells(&difference("a"), "bank", ("1", "2"), start));
    assert!(told.tells(&difference("a"), "shop", ("1", "3"), start), "another candidate");
    let logged = (0..100).filter(|n| told.tells(&difference(&n.to_string()), "shop", ("1", "3"), start)).count();
    assert_eq!(logged as u32, LINES - 3);
    // what was left out is logged when there is room again
    let later = start + Duration::from_secs(61);
    assert!(told.tells(&difference("99"), "shop", ("1", "3"), later));
    assert!(!told.tells(&difference("0"), "shop", ("1", "3"), later));
}
