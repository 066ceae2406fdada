//! The manager with real certificates, a clock that is turned by hand, and a store that fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use super::super::store::{MemoryStore, Stored};
use super::*;
use crate::certs::ca::CaError;
use crate::telemetry::Metrics;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const NAME: &str = "seawall.seawall-system.svc";

/// Both clocks of all replicas; starts today, because rustls reads nothing else.
#[derive(Clone)]
struct Time(Arc<AtomicI64>, i64);

impl Time {
    fn new() -> Self {
        let now = crate::certs::now();
        Self(Arc::new(AtomicI64::new(now)), now)
    }

    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    fn clocks(&self) -> Clocks {
        let (wall, monotonic, start) = (self.clone(), self.clone(), self.1);
        Clocks::new(move || wall.now(), move || Duration::from_secs((monotonic.now() - start).unsigned_abs()))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    Unreachable,
    Corrupt,
    /// The write arrives, its answer does not.
    LostAnswer,
    AlwaysConflict,
}

#[derive(Clone)]
struct Faulty {
    inner: MemoryStore,
    fault: Arc<Mutex<Fault>>,
}

impl Faulty {
    fn new() -> Self {
        Self { inner: MemoryStore::default(), fault: Arc::new(Mutex::new(Fault::None)) }
    }

    fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    fn get(&self) -> Fault {
        *self.fault.lock().unwrap()
    }
}

impl CaStore for Faulty {
    type Version = u64;

    async fn read(&self) -> Result<Option<Stored<u64>>, StoreError> {
        match self.get() {
            Fault::Unreachable => Err(StoreError::Timeout("seawall-system/seawall-ca".to_owned())),
            Fault::Corrupt => Err(StoreError::Corrupt { part: "ca.crt and ca.key", source: CaError::Key }),
            _ => self.inner.read().await,
        }
    }

    async fn write(&self, state: &CaState, over: Option<&u64>) -> Result<(), StoreError> {
        match self.get() {
            Fault::LostAnswer => {
                self.inner.write(state, over).await?;
                Err(StoreError::Timeout("seawall-system/seawall-ca".to_owned()))
            }
            Fault::AlwaysConflict => Err(StoreError::Conflict),
            _ => self.inner.write(state, over).await,
        }
    }
}

struct Replica {
    manager: Manager<Faulty>,
    status: Arc<Mutex<Option<Status>>>,
    metrics: Arc<Metrics>,
}

impl Replica {
    fn new(store: &Faulty, time: &Time) -> Self {
        let status = Arc::new(Mutex::new(None));
        let metrics = Arc::new(Metrics::new());
        let reports = Reports::new(Arc::clone(&metrics), {
            let status = Arc::clone(&status);
            move |now| *status.lock().unwrap() = Some(now)
        });
        let timing = Timing {
            ca_life: Duration::from_secs(30 * 86_400),
            leaf_life: Duration::from_secs(2 * 86_400),
            ..Timing::default()
        };
        let config = SelfMade { timing, ..SelfMade::new(vec![NAME.to_owned()]) };
        Self { manager: Manager::new(config, store.clone(), time.clocks(), reports), status, metrics }
    }

    fn status(&self) -> Status {
        self.status.lock().unwrap().clone().unwrap()
    }

    fn bundle(&self) -> Vec<u8> {
        self.manager.bundle.borrow().as_ref().unwrap().as_bytes().to_vec()
    }

    fn verifies(&self, bundle: &[u8], time: &Time) -> bool {
        self.manager.leaf.as_ref().unwrap().0.verifies(bundle, NAME, time.now())
    }

    fn observe(&self, bundle: &[u8]) {
        self.manager.live.send_replace(Some(vec![bundle.to_vec()]));
    }

    fn issuer(&self) -> CaId {
        self.manager.leaf.as_ref().unwrap().1.issuer.clone()
    }
}

#[tokio::test]
async fn alone_it_serves_at_once_what_its_bundle_verifies() {
    let reports = Reports::new(Arc::new(Metrics::new()), |_| {});
    let names = issue::local_names();
    let (certificates, rounds) =
        SelfMade::new(names).start(MemoryStore::default(), Clocks::system(), reports, Duration::ZERO).await.unwrap();
    drop(rounds);
    let bundle = certificates.bundle_pem().borrow().clone().unwrap();
    let key = certificates.resolver().current();
    let pair = Pair { key, not_before: 0, not_after: i64::MAX, names: Vec::new() };
    assert!(pair.verifies(bundle.as_bytes(), "localhost", crate::certs::now()));
}

/// Four months with CAs of 30 days and leaves of two: three replicas, one of them writes the bundle. At every look the
/// leaf of each verifies against what is live, by rustls' own verifier.
#[tokio::test]
async fn months_of_renewals_without_a_gap() {
    for reads_back in [true, false] {
        let (store, time) = (Faulty::new(), Time::new());
        let mut replicas: Vec<Replica> = (0..3).map(|_| Replica::new(&store, &time)).collect();
        for replica in &mut replicas {
            replica.manager.round().await.unwrap();
        }
        let mut live = replicas[0].bundle();
        let (mut leaves, mut issuers) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..4 * 30 * 8 {
            time.pass(3 * HOUR);
            for replica in &mut replicas {
                if reads_back {
                    replica.observe(&live);
                }
                replica.manager.round().await.unwrap();
                assert!(replica.verifies(&live, &time), "before the bundle is written");
                assert_eq!(replica.status(), Status::Ok);
                leaves.insert(replica.manager.leaf.as_ref().unwrap().0.key.cert[0].to_vec());
                issuers.insert(replica.issuer());
            }
            live = replicas[0].bundle();
            for replica in &replicas {
                assert!(replica.verifies(&live, &time), "after it was written");
            }
        }
        assert!(leaves.len() > 200 && issuers.len() >= 5, "{} leaves of {} CAs", leaves.len(), issuers.len());
    }
}

#[tokio::test]
async fn while_the_store_is_gone_leaves_are_renewed_and_it_is_told() {
    for fault in [Fault::Unreachable, Fault::Corrupt] {
        let (store, time) = (Faulty::new(), Time::new());
        let mut replica = Replica::new(&store, &time);
        replica.manager.round().await.unwrap();
        let (bundle, first) = (replica.bundle(), replica.manager.resolver.as_ref().unwrap().current());
        store.set(fault);
        for _ in 0..7 {
            time.pass(DAY);
            assert!(replica.manager.round().await.is_err());
            assert!(replica.verifies(&bundle, &time));
        }
        assert!(!Arc::ptr_eq(&first, &replica.manager.resolver.as_ref().unwrap().current()));
        let Status::Degraded(why) = replica.status() else { panic!("{:?}", replica.status()) };
        assert!(why.contains(if fault == Fault::Corrupt { "delete the Secret" } else { "in time" }), "{why}");
        store.set(Fault::None);
        replica.manager.round().await.unwrap();
        assert_eq!(replica.status(), Status::Ok);
    }
}

#[tokio::test]
async fn without_a_store_there_is_no_start_and_the_reason_is_the_stores() {
    let (store, time) = (Faulty::new(), Time::new());
    for (fault, expected) in [
        (Fault::Unreachable, "in time"),
        (Fault::Corrupt, "delete the Secret"),
        (Fault::AlwaysConflict, "kept changing"),
    ] {
        store.set(fault);
        let reports = Reports::new(Arc::new(Metrics::new()), |_| {});
        let started = SelfMade::new(vec![NAME.to_owned()]).start(store.clone(), time.clocks(), reports, Duration::ZERO);
        let Err(error) = started.await else { panic!("started") };
        assert!(chain(&error).contains(expected), "{}", chain(&error));
    }
}

#[tokio::test]
async fn a_store_that_comes_late_is_waited_for() {
    let (store, time) = (Faulty::new(), Time::new());
    store.set(Fault::Unreachable);
    let reports = Reports::new(Arc::new(Metrics::new()), |_| {});
    let start =
        SelfMade::new(vec![NAME.to_owned()]).start(store.clone(), time.clocks(), reports, Duration::from_secs(30));
    let (started, ()) = tokio::join!(start, async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        store.set(Fault::None);
    });
    assert!(started.is_ok());
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_makes_no_second_ca() {
    let (store, time) = (Faulty::new(), Time::new());
    let mut replica = Replica::new(&store, &time);
    store.set(Fault::LostAnswer);
    assert!(replica.manager.round().await.is_err());
    store.set(Fault::None);
    replica.manager.round().await.unwrap();
    let stored = store.inner.read().await.unwrap().unwrap();
    assert_eq!(stored.version, 0, "written once");
    assert_eq!(stored.state.unwrap().current.certificate.info.id, replica.issuer());
}

/// `kubectl delete secret seawall-ca` is a renewal: the CA comes back, a successor is published, promoted, and no
/// bundle on the way lacks a CA in use.
#[tokio::test]
async fn deleting_the_secret_renews_without_a_gap() {
    let (store, time) = (Faulty::new(), Time::new());
    let mut replicas: Vec<Replica> = (0..2).map(|_| Replica::new(&store, &time)).collect();
    for replica in &mut replicas {
        replica.manager.round().await.unwrap();
    }
    let mut live = replicas[0].bundle();
    let first = replicas[0].issuer();
    let emptied = Faulty::new();
    for replica in &mut replicas {
        replica.manager.store = emptied.clone();
    }
    for _ in 0..60 {
        time.pass(60);
        for replica in &mut replicas {
            replica.manager.round().await.unwrap();
            assert!(replica.verifies(&live, &time));
        }
        live = replicas[0].bundle();
        assert!(replicas.iter().all(|replica| replica.verifies(&live, &time)));
    }
    let state = emptied.inner.read().await.unwrap().unwrap().state.unwrap();
    assert_ne!(state.current.certificate.info.id, first, "the new CA signs");
    assert!(replicas.iter().all(|replica| replica.issuer() == state.current.certificate.info.id));
    assert!(state.previous.iter().any(|old| old.info.id == first), "the old one is still trusted");
}

/// A CA put in by hand, unknown to the replicas, must not take the trust from what is being served.
#[tokio::test]
async fn a_replaced_ca_is_followed_only_when_it_is_live_and_the_old_one_stays_in_the_bundle() {
    let (store, time) = (Faulty::new(), Time::new());
    let mut replica = Replica::new(&store, &time);
    replica.manager.round().await.unwrap();
    let (live, first) = (replica.bundle(), replica.issuer());
    replica.observe(&live);
    let foreign = issue::authority(time.now(), Duration::from_secs(365 * 86_400)).unwrap();
    let stored = store.inner.read().await.unwrap().unwrap();
    let state = CaState { current: foreign, next: None, previous: Vec::new(), incarnation: "first".into() };
    store.inner.write(&state, Some(&stored.version)).await.unwrap();
    time.pass(HOUR);
    replica.manager.round().await.unwrap();
    assert_eq!(replica.issuer(), first, "nobody trusts the new one yet");
    assert!(replica.verifies(&replica.bundle(), &time), "the bundle still has the old one");
    assert_eq!(CaId::of_bundle(&replica.bundle()).len(), 2);
    replica.observe(&replica.bundle());
    replica.manager.round().await.unwrap();
    assert_eq!(replica.issuer(), first, "API servers have caches");
    time.pass(61);
    replica.manager.round().await.unwrap();
    assert_eq!(replica.issuer(), state.current.certificate.info.id);
}

#[tokio::test]
async fn a_live_bundle_that_does_not_fit_makes_the_replica_unready() {
    let (store, time) = (Faulty::new(), Time::new());
    let mut replica = Replica::new(&store, &time);
    replica.manager.round().await.unwrap();
    assert_eq!(replica.status(), Status::Ok);
    let stranger = issue::authority(time.now(), Duration::from_secs(86_400)).unwrap();
    replica.manager.live.send_replace(Some(vec![replica.bundle(), stranger.certificate.pem.as_bytes().to_vec()]));
    replica.manager.round().await.unwrap();
    let Status::Failed(why) = replica.status() else { panic!("{:?}", replica.status()) };
    assert!(why.contains(NAME) && why.contains("caBundle"), "{why}");
    assert!(replica.metrics.encode().unwrap().contains("seawall_certificate_in_bundle 0"));
    replica.observe(&replica.bundle());
    replica.manager.round().await.unwrap();
    assert_eq!(replica.status(), Status::Ok);
    assert!(replica.metrics.encode().unwrap().contains("seawall_certificate_in_bundle 1"));
}

#[tokio::test]
async fn a_jump_of_the_wall_clock_ends_with_a_valid_leaf() {
    for jump in [DAY, -DAY, 3 * DAY, -3 * DAY] {
        let (store, time) = (Faulty::new(), Time::new());
        let mut replica = Replica::new(&store, &time);
        replica.manager.round().await.unwrap();
        time.pass(10 * DAY);
        replica.manager.round().await.unwrap();
        time.pass(jump);
        replica.manager.round().await.unwrap();
        time.pass(-jump);
        replica.manager.round().await.unwrap();
        assert_eq!(replica.status(), Status::Ok, "after {jump} seconds and back");
        assert!(replica.verifies(&replica.bundle(), &time));
    }
}

#[tokio::test]
async fn the_running_loop_reacts_to_what_was_read_back() {
    let status = Arc::new(Mutex::new(None));
    let metrics = Arc::new(Metrics::new());
    let reports = Reports::new(metrics, {
        let status = Arc::clone(&status);
        move |now| *status.lock().unwrap() = Some(now)
    });
    let config = SelfMade { interval: Duration::from_secs(3600), ..SelfMade::new(vec![NAME.to_owned()]) };
    let (certificates, rounds) =
        config.start(MemoryStore::default(), Clocks::system(), reports, Duration::ZERO).await.unwrap();
    let rounds = tokio::spawn(rounds);
    assert_eq!(*status.lock().unwrap(), Some(Status::Ok));
    certificates.observe_live(vec![Vec::new()]);
    for _ in 0..500 {
        if matches!(*status.lock().unwrap(), Some(Status::Failed(_))) {
            rounds.abort();
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", status.lock().unwrap());
}
