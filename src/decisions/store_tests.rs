use super::*;
use crate::webhookconfig::fake::Fake;
use serde_json::json;

const MAPS: &str = "/api/v1/namespaces/seawall-system/configmaps";

fn now() -> Timestamp {
    "2026-11-21T08:00:00Z".parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() + seconds).unwrap()
}

fn path(pod: &str) -> String {
    format!("{MAPS}/seawall-decisions-{pod}")
}

/// As if a denial had been recorded.
fn deny(recorder: &Recorder, time: Timestamp) {
    let mut earlier = Record::new(time);
    let count = Count { denials: 1, patches: 0, first: time, last: time, last_denial: Some(time) };
    earlier.rows.insert(("shop".to_owned(), "p".to_owned()), count);
    recorder.resume(earlier);
}

fn keeper(fake: &Fake, pod: &str) -> (Keeper, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::new(now()));
    (Keeper::new(fake.client(), "seawall-system", pod, recorder.clone()), recorder)
}

async fn denials(fake: &Fake) -> u64 {
    let recorded = read(fake.client(), "seawall-system").await.unwrap();
    assert_eq!(recorded.unreadable, []);
    recorded.record.map_or(0, |record| record.rows.values().map(|count| count.denials).sum())
}

#[tokio::test]
async fn replicas_add_up_and_a_restart_goes_on() {
    let fake = Fake::default();
    let (mut a, in_a) = keeper(&fake, "a");
    let (mut b, in_b) = keeper(&fake, "b");
    deny(&in_a, at(1));
    deny(&in_b, at(2));
    a.round(at(3)).await.unwrap();
    b.round(at(3)).await.unwrap();
    assert_eq!(denials(&fake).await, 2);
    // the same Pod, another process
    let (mut again, in_again) = keeper(&fake, "a");
    deny(&in_again, at(4));
    again.round(at(5)).await.unwrap();
    assert_eq!(denials(&fake).await, 3);
    let sum = read(fake.client(), "seawall-system").await.unwrap();
    assert_eq!((sum.maps, sum.record.unwrap().since), (2, now()));
}

#[tokio::test]
async fn nothing_is_written_when_nothing_changed() {
    let fake = Fake::default();
    let (mut a, recorder) = keeper(&fake, "a");
    a.round(at(1)).await.unwrap();
    assert_eq!(fake.writes(), [format!("POST {MAPS}")], "that recording has begun");
    a.round(at(2)).await.unwrap();
    a.round(at(3)).await.unwrap();
    assert_eq!(fake.writes(), [] as [String; 0]);
    deny(&recorder, at(4));
    a.round(at(4)).await.unwrap();
    assert_eq!(fake.writes(), [format!("PUT {}", path("a"))]);
}

#[tokio::test]
async fn faults_lose_and_double_nothing() {
    let fake = Fake::default();
    let (mut a, recorder) = keeper(&fake, "a");
    fake.break_with(Some(500));
    deny(&recorder, at(1));
    assert!(a.round(at(1)).await.is_err());
    fake.break_with(None);
    a.round(at(2)).await.unwrap();
    assert_eq!(denials(&fake).await, 1);
    // somebody wrote into it: the next round but one has its way
    fake.edit(&path("a"), |map| map["metadata"]["labels"]["team"] = json!("x"));
    deny(&recorder, at(3));
    assert!(a.round(at(3)).await.is_err());
    a.round(at(4)).await.unwrap();
    assert_eq!(denials(&fake).await, 2);
    assert_eq!(fake.get(&path("a")).unwrap()["metadata"]["labels"]["team"], "x");
    // somebody removed it
    fake.remove(&path("a"));
    deny(&recorder, at(5));
    // 404 or 409, by whether the API server looks at the uid first
    if a.round(at(5)).await.is_err() {
        a.round(at(5)).await.unwrap();
    }
    assert_eq!(denials(&fake).await, 3);
    // written by a broken hand: told, and started anew
    fake.edit(&path("a"), |map| map["data"][DATA] = json!("{"));
    assert_eq!(read(fake.client(), "seawall-system").await.unwrap().unreadable.len(), 1);
    let (mut again, _) = keeper(&fake, "a");
    again.round(at(6)).await.unwrap();
    assert_eq!(denials(&fake).await, 0);
}

#[tokio::test]
async fn only_records_of_long_ago_are_removed() {
    let fake = Fake::default();
    for (pod, days) in [("old", 32), ("recent", 30)] {
        let (mut keeper, recorder) = keeper(&fake, pod);
        let then = at(-days * 24 * 60 * 60);
        deny(&recorder, then);
        keeper.round(then).await.unwrap();
    }
    let (mut a, _) = keeper(&fake, "a");
    a.round(now()).await.unwrap();
    assert!(fake.get(&path("old")).is_none() && fake.get(&path("recent")).is_some());
    assert_eq!(denials(&fake).await, 1);
}

#[test]
fn names_are_names() {
    assert_eq!(name_of("seawall-7d4b-x2k"), "seawall-decisions-seawall-7d4b-x2k");
    assert_eq!(name_of("My_Host-12-"), "seawall-decisions-my-host-12");
    assert_eq!(name_of(&"x".repeat(400)).len(), 253);
}
