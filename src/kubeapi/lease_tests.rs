//! One holder at a time, and somebody always.

use super::*;
use crate::webhookconfig::fake::Fake;

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/seawall-system/leases/seawall-webhooks";

fn candidate(fake: &Fake, name: &str) -> Election {
    let mut election = Election::new(fake.client(), WEBHOOKS, "seawall-system", name);
    election.patience = Duration::from_millis(200);
    election
}

#[tokio::test]
async fn one_holds_and_the_next_takes_over_when_it_is_gone() {
    let fake = Fake::default();
    let (mut a, mut b) = (candidate(&fake, "a"), candidate(&fake, "b"));
    assert!(a.round().await.unwrap());
    assert!(!b.round().await.unwrap());
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(80)).await;
        assert!(a.round().await.unwrap());
        assert!(!b.round().await.unwrap(), "renewals keep it");
    }
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(b.round().await.unwrap());
    assert!(!a.round().await.unwrap() && !a.holds());
    let spec = &fake.get(PATH).unwrap()["spec"];
    assert_eq!((&spec["holderIdentity"], &spec["leaseTransitions"]), (&"b".into(), &1.into()));
}

#[tokio::test]
async fn each_lease_has_a_holder_of_its_own() {
    let fake = Fake::default();
    let mut webhooks = candidate(&fake, "a");
    let mut audit = Election::new(fake.client(), AUDIT, "seawall-system", "b");
    assert!(webhooks.round().await.unwrap() && audit.round().await.unwrap());
    assert!(audit.until().unwrap() > Instant::now());
}

#[tokio::test]
async fn of_two_at_once_one_wins() {
    let fake = Fake::default();
    let mut all: Vec<Election> = (0..8).map(|n| candidate(&fake, &n.to_string())).collect();
    let won = futures::future::join_all(all.iter_mut().map(Election::round)).await;
    assert_eq!(won.into_iter().filter(|w| *w.as_ref().unwrap()).count(), 1);
}

#[tokio::test]
async fn a_lease_that_was_given_back_is_free_at_once() {
    let fake = Fake::default();
    let (mut a, mut b) = (candidate(&fake, "a"), candidate(&fake, "b"));
    assert!(a.round().await.unwrap());
    assert!(!b.round().await.unwrap());
    a.release().await;
    assert!(!a.holds());
    assert!(b.round().await.unwrap());
    // giving back what is not ours does nothing
    a.release().await;
    assert_eq!(fake.get(PATH).unwrap()["spec"]["holderIdentity"], "b");
}

#[tokio::test]
async fn who_cannot_renew_stops_to_hold() {
    let fake = Fake::default();
    let mut a = candidate(&fake, "a");
    assert!(a.round().await.unwrap());
    fake.break_with(Some(500));
    assert!(a.round().await.is_err());
    a.renewed = Instant::now().checked_sub(BELIEF);
    assert!(!a.holds());
}
