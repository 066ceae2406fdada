//! The life of one CA step by step. The interleavings of several replicas are in `ca_model.rs`.

use super::*;

const DAY: i64 = 86_400;
const T0: i64 = 1_700_000_000;

fn timing() -> Timing {
    Timing::default()
}

pub(super) fn fake(name: &str, not_before: i64, not_after: i64) -> Authority {
    let info = CaInfo { id: CaId(name.into()), not_before, not_after };
    Authority { certificate: CaCertificate { info, pem: name.into() }, key: KeyPem::new("") }
}

fn state(current: Authority, next: Option<Authority>) -> CaState {
    CaState { current, next, previous: Vec::new(), incarnation: "first".into() }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn id(name: &str) -> CaId {
    CaId(name.into())
}

#[test]
fn nothing_stored_is_created_and_a_young_ca_is_left_alone() {
    let sightings = Sightings::default();
    assert_eq!(step(T0, seconds(0), None, &sightings, &timing()), Step::Create);
    let made = CaState::apply(Step::Create, None, None, || Some(fake("a", T0, T0 + 365 * DAY))).unwrap();
    assert_eq!(step(T0 + 243 * DAY, seconds(0), Some(&made), &sightings, &timing()), Step::Wait);
    assert_eq!(step(T0 + 244 * DAY, seconds(0), Some(&made), &sightings, &timing()), Step::AddNext);
}

#[test]
fn a_successor_signs_only_after_it_was_published_long_enough() {
    let now = T0 + 250 * DAY;
    let both = state(fake("a", T0, T0 + 365 * DAY), Some(fake("b", now, now + 365 * DAY)));
    let mut sightings = Sightings::default();
    sightings.see_stored(seconds(100), &both);
    assert_eq!(step(now, seconds(699), Some(&both), &sightings, &timing()), Step::Wait);
    assert_eq!(step(now, seconds(700), Some(&both), &sightings, &timing()), Step::Promote);
    // the wall clock has no say in this
    assert_eq!(step(now + DAY, seconds(101), Some(&both), &sightings, &timing()), Step::Wait);

    let promoted = CaState::apply(Step::Promote, Some(&both), None, || None).unwrap();
    assert_eq!(promoted.current.certificate.info.id, id("b"));
    assert_eq!(promoted.previous[0].info.id, id("a"));
    assert!(promoted.next.is_none());
    // the old one stays in the bundle to its own end, then goes
    let end = T0 + 365 * DAY;
    assert_eq!(step(end - 1, seconds(0), Some(&promoted), &sightings, &timing()), Step::Wait);
    assert_eq!(step(end, seconds(0), Some(&promoted), &sightings, &timing()), Step::Prune { now: end });
    let pruned = CaState::apply(Step::Prune { now: end }, Some(&promoted), None, || None).unwrap();
    assert!(pruned.previous.is_empty());
    assert_eq!(pruned.current, promoted.current);
}

/// A state that was deleted and made again may bring CAs that were seen before, but never had the time to be published.
#[test]
fn a_state_made_again_starts_the_wait_again() {
    let now = T0 + 250 * DAY;
    let mut both = state(fake("a", T0, T0 + 365 * DAY), Some(fake("b", now, now + 365 * DAY)));
    let mut sightings = Sightings::default();
    sightings.see_stored(seconds(0), &both);
    assert_eq!(step(now, seconds(600), Some(&both), &sightings, &timing()), Step::Promote);
    both.incarnation = "second".into();
    sightings.see_stored(seconds(600), &both);
    assert_eq!(step(now, seconds(1199), Some(&both), &sightings, &timing()), Step::Wait);
    assert_eq!(step(now, seconds(1200), Some(&both), &sightings, &timing()), Step::Promote);
}

#[test]
fn where_the_live_bundle_is_read_back_it_decides() {
    let now = T0 + 250 * DAY;
    let both = state(fake("a", T0, T0 + 365 * DAY), Some(fake("b", now, now + 365 * DAY)));
    let mut sightings = Sightings::default();
    sightings.see_stored(seconds(0), &both);
    sightings.see_live(seconds(0), BTreeSet::from([id("a")]));
    assert_eq!(step(now, seconds(100_000), Some(&both), &sightings, &timing()), Step::Wait, "never published");
    sightings.see_live(seconds(100_000), BTreeSet::from([id("a"), id("b")]));
    assert_eq!(step(now, seconds(100_059), Some(&both), &sightings, &timing()), Step::Wait, "API servers' caches");
    // taken out and put back: it starts anew
    sightings.see_live(seconds(100_050), BTreeSet::from([id("a")]));
    sightings.see_live(seconds(100_055), BTreeSet::from([id("a"), id("b")]));
    assert_eq!(step(now, seconds(100_110), Some(&both), &sightings, &timing()), Step::Wait);
    assert_eq!(step(now, seconds(100_115), Some(&both), &sightings, &timing()), Step::Promote);
}

#[test]
fn a_ca_that_is_over_is_replaced_at_once() {
    let end = T0 + 365 * DAY;
    let sightings = Sightings::default();
    let alone = state(fake("a", T0, end), None);
    assert_eq!(step(end, seconds(0), Some(&alone), &sightings, &timing()), Step::Replace);
    let replaced = CaState::apply(Step::Replace, Some(&alone), None, || Some(fake("b", end, end + DAY))).unwrap();
    assert_eq!(replaced.current.certificate.info.id, id("b"));
    // a successor that nobody has published is still better than one that nobody has heard of
    let both = state(fake("a", T0, end), Some(fake("b", T0, end + DAY)));
    assert_eq!(step(end, seconds(0), Some(&both), &sightings, &timing()), Step::Promote);
}

#[test]
fn a_successor_that_would_not_live_longer_is_dropped() {
    let end = T0 + 365 * DAY;
    let both = state(fake("a", T0, end), Some(fake("b", T0, end)));
    let prune = step(T0, seconds(0), Some(&both), &Sightings::default(), &timing());
    assert_eq!(prune, Step::Prune { now: T0 });
    assert!(CaState::apply(prune, Some(&both), None, || None).unwrap().next.is_none());
}

#[test]
fn a_deleted_state_comes_back_with_its_ca_and_a_successor() {
    let known = state(fake("a", T0, T0 + 365 * DAY), None);
    let back = CaState::apply(Step::Create, None, Some(&known), || Some(fake("b", T0, T0 + 400 * DAY))).unwrap();
    assert_eq!(back.current, known.current);
    assert_eq!(back.next.unwrap().certificate.info.id, id("b"));
    assert_ne!(back.incarnation, known.incarnation);
    // and nothing is written when no CA can be made, or over a state that is there
    assert!(CaState::apply(Step::Create, None, None, || None).is_none());
    assert!(CaState::apply(Step::Create, Some(&known), None, || Some(fake("c", T0, T0))).is_none());
    assert!(CaState::apply(Step::AddNext, Some(&known), None, || None).is_none());
    assert!(CaState::apply(Step::Promote, Some(&known), None, || None).is_none());
    assert!(CaState::apply(Step::Wait, Some(&known), None, || None).is_none());
}

fn leaf(issuer: &str, from: i64, to: i64) -> LeafInfo {
    LeafInfo { issuer: id(issuer), not_before: from, renew_at: from + (to - from) * 2 / 3, not_after: to }
}

#[test]
fn a_leaf_is_renewed_at_a_third_and_after_the_clock_went_back() {
    let state = state(fake("a", T0, T0 + 365 * DAY), None);
    let sightings = Sightings::default();
    let wants = |now, serving: Option<&LeafInfo>| wants_leaf(now, seconds(0), serving, &state, &sightings, &timing());
    let serving = leaf("a", T0, T0 + 3 * DAY);
    assert!(wants(T0, None));
    assert!(!wants(T0 + 2 * DAY - 1, Some(&serving)));
    assert!(wants(T0 + 2 * DAY, Some(&serving)));
    assert!(wants(T0 + DAY, Some(&leaf("a", T0 + 2 * DAY, T0 + 5 * DAY))), "it has not begun");
    // the CA ends with it: another one would be no longer
    assert!(!wants(T0 + 364 * DAY, Some(&leaf("a", T0 + 360 * DAY, T0 + 365 * DAY))));
}

#[test]
fn another_ca_is_followed_once_it_is_trusted_or_at_the_last_moment() {
    let promoted = state(fake("b", T0, T0 + 365 * DAY), None);
    let mut sightings = Sightings::default();
    sightings.see_stored(seconds(0), &promoted);
    let serving = leaf("a", T0, T0 + 2 * DAY);
    let wants = |now, clock| wants_leaf(now, seconds(clock), Some(&serving), &promoted, &sightings, &timing());
    assert!(!wants(T0 + DAY, 599));
    assert!(wants(T0 + DAY, 600));
    assert!(wants(T0 + 2 * DAY - 3600, 0), "an hour before its end there is nothing to lose");
}

#[test]
fn only_real_cas_with_their_own_keys_are_read() {
    let now = crate::certs::now();
    let (one, two) = (
        crate::certs::issue::authority(now, seconds(60)).unwrap(),
        crate::certs::issue::authority(now, seconds(60)).unwrap(),
    );
    let again = Authority::from_pem(&one.certificate.pem, one.key.clone()).unwrap();
    assert_eq!(again, one);
    let error = |certificate: &str, key: &str| Authority::from_pem(certificate, KeyPem::new(key)).unwrap_err();
    assert!(matches!(error(&one.certificate.pem, two.key.expose()), CaError::Mismatch));
    assert!(matches!(error(&one.certificate.pem, "nonsense"), CaError::Key));
    assert!(matches!(error("nonsense", one.key.expose()), CaError::Read(_)));
    let both = format!("{}{}", one.certificate.pem, two.certificate.pem);
    assert!(matches!(error(&both, one.key.expose()), CaError::Count(2)));
    assert_eq!(CaCertificate::all_from_pem(&both).unwrap().len(), 2);
    assert_eq!(CaId::of_bundle(both.as_bytes()).len(), 2);
    let plain = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    assert!(matches!(error(&plain.cert.pem(), &plain.signing_key.serialize_pem()), CaError::NotCa));
    assert!(!format!("{one:?}").contains("PRIVATE"), "keys do not show");
}
