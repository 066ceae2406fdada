//! Writing, repairing and leaving alone.

use super::super::fake::Fake;
use super::super::{Options, WebhookTarget, generate};
use super::*;
use crate::config::Settings;
use crate::policy::metadata::Metadata;
use serde_json::{Value, json};

const PATH: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/seawall";

fn configurations() -> Configurations {
    let text = "# METADATA\n# title: T\n# description: D\n# custom:\n#   id: a\n#   checklist: probes\n#   severity: high\n\
        #   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Deny}\n#   match:\n\
        #   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}\n\
        package seawall.policies.a\n";
    let policy = Metadata::parse("p.rego", text).unwrap();
    let options = Options {
        target: WebhookTarget::service("seawall-system/seawall").unwrap(),
        ca_bundle: None,
        own_namespace: None,
        own_user: None,
    };
    generate([&policy], &Settings::default(), &options).unwrap()
}

fn pem() -> Bundle {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["a".into()]).unwrap().self_signed(&key).unwrap();
    Bundle::Pem(certificate.pem().into())
}

fn first(fake: &Fake) -> Value {
    fake.get(PATH).unwrap()["webhooks"][0].clone()
}

#[tokio::test]
async fn nothing_is_written_when_nothing_differs() {
    let (fake, wanted, bundle) = (Fake::default(), configurations().validating, pem());
    let client = fake.client();
    assert_eq!(apply(&client, &wanted, &bundle).await.unwrap(), Applied::Created);
    assert_eq!(fake.writes().len(), 1);
    assert_eq!(apply(&client, &wanted, &bundle).await.unwrap(), Applied::Unchanged);
    assert!(fake.writes().is_empty());
    // a new CA is a difference
    assert_eq!(apply(&client, &wanted, &pem()).await.unwrap(), Applied::Replaced);
    assert_eq!(fake.writes(), [format!("PUT {PATH}")]);
}

#[tokio::test]
async fn changes_by_others_are_undone_but_not_what_platforms_add() {
    let (fake, wanted, bundle) = (Fake::default(), configurations().validating, pem());
    let client = fake.client();
    apply(&client, &wanted, &bundle).await.unwrap();
    fake.edit(PATH, |object| {
        object["metadata"]["labels"]["helm.sh/chart"] = json!("x");
        object["webhooks"][0]["failurePolicy"] = json!("Ignore");
        object["webhooks"][0]["namespaceSelector"]["matchExpressions"].as_array_mut().unwrap().extend([
            json!({"key": "control-plane", "operator": "DoesNotExist"}),
            json!({"key": "nobody", "operator": "Exists"}),
        ]);
        let mut foreign = object["webhooks"][0].clone();
        foreign["name"] = json!("foreign.example.com");
        object["webhooks"].as_array_mut().unwrap().push(foreign);
    });
    assert_eq!(apply(&client, &wanted, &bundle).await.unwrap(), Applied::Replaced);
    assert_eq!(first(&fake)["failurePolicy"], "Fail");
    let selector = first(&fake)["namespaceSelector"].to_string();
    assert!(selector.contains("control-plane") && !selector.contains("nobody"), "{selector}");
    let stored = fake.get(PATH).unwrap();
    let names: Vec<&Value> = stored["webhooks"].as_array().unwrap().iter().map(|w| &w["name"]).collect();
    assert_eq!(names, ["enforce.seawall.dev", "observe.seawall.dev"]);
    assert_eq!(stored["metadata"]["labels"]["helm.sh/chart"], "x");
    assert_eq!(apply(&client, &wanted, &bundle).await.unwrap(), Applied::Unchanged);
}

#[tokio::test]
async fn a_bundle_that_could_not_be_used_is_never_written() {
    let (fake, wanted) = (Fake::default(), configurations().validating);
    let client = fake.client();
    for bad in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(apply(&client, &wanted, &Bundle::Pem(bad.into())).await, Err(ApplyError::Bundle(_))));
    }
    assert!(apply(&client, &wanted, &Bundle::Unknown).await.is_err());
    assert!(fake.writes().is_empty());
}

#[tokio::test]
async fn a_bundle_that_another_program_fills_in_is_left() {
    let (fake, wanted) = (Fake::default(), configurations().validating);
    let client = fake.client();
    apply(&client, &wanted, &Bundle::Leave).await.unwrap();
    assert!(first(&fake)["clientConfig"].get("caBundle").is_none());
    fake.edit(PATH, |object| object["webhooks"][0]["clientConfig"]["caBundle"] = json!("QQ=="));
    assert_eq!(apply(&client, &wanted, &Bundle::Leave).await.unwrap(), Applied::Unchanged);
    fake.edit(PATH, |object| object["webhooks"][0]["timeoutSeconds"] = json!(30));
    assert_eq!(apply(&client, &wanted, &Bundle::Leave).await.unwrap(), Applied::Replaced);
    assert_eq!(first(&fake)["clientConfig"]["caBundle"], "QQ==");
    assert_eq!(first(&fake)["timeoutSeconds"], 5);
}

#[tokio::test]
async fn whoever_keeps_changing_it_is_fought_less_and_less() {
    let (fake, wanted, bundle) = (Fake::default(), configurations().validating, pem());
    let client = fake.client();
    let (mut rivalry, status) = (Rivalry::default(), Registration::default());
    keep(&client, &wanted, &bundle, &mut rivalry, &status).await.unwrap();
    for _ in 0..PATIENCE {
        fake.remove(PATH);
        assert_eq!(keep(&client, &wanted, &bundle, &mut rivalry, &status).await.unwrap(), Applied::Created);
    }
    fake.edit(PATH, |object| {
        object["webhooks"][0]["timeoutSeconds"] = json!(30);
        let time = "2026-01-01T00:00:00Z";
        object["metadata"]["managedFields"] =
            json!([{"manager": "seawall", "time": time}, {"manager": "other", "time": time}]);
    });
    let error = keep(&client, &wanted, &bundle, &mut rivalry, &status).await.unwrap_err();
    assert!(matches!(&error, ApplyError::Rival { by, .. } if by == "other"), "{error}");
    assert_eq!(status.get().repairs, u64::from(PATIENCE));
    // after the pause it is tried again, and our own changes do not wait
    rivalry.last = Instant::now().checked_sub(Duration::from_secs(11));
    assert_eq!(keep(&client, &wanted, &bundle, &mut rivalry, &status).await.unwrap(), Applied::Replaced);
    fake.edit(PATH, |object| object["webhooks"][0]["timeoutSeconds"] = json!(30));
    assert!(keep(&client, &wanted, &bundle, &mut rivalry, &status).await.is_err());
    assert_eq!(keep(&client, &wanted, &pem(), &mut rivalry, &status).await.unwrap(), Applied::Replaced);
    let pauses: Vec<u64> = (0..12).map(|fights| Rivalry::<()>::pause(fights).as_secs()).collect();
    assert_eq!(pauses, [0, 0, 0, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
}

#[tokio::test]
async fn deleting_twice_is_no_error() {
    let fake = Fake::default();
    let client = fake.client();
    apply(&client, &configurations().validating, &pem()).await.unwrap();
    apply(&client, &configurations().mutating, &pem()).await.unwrap();
    assert_eq!(delete(&client).await.unwrap(), ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"]);
    assert!(delete(&client).await.unwrap().is_empty());
    fake.break_with(Some(403));
    assert!(
        delete(&client).await.unwrap_err().to_string().starts_with("delete ValidatingWebhookConfiguration seawall")
    );
}

#[tokio::test]
async fn the_keeper_waits_for_a_bundle_writes_follows_and_gives_the_lease_back() {
    let fake = Fake::default();
    let (configurations_sender, wanted) = watch::channel(Arc::new(configurations()));
    let (bundle_sender, bundle) = watch::channel(Bundle::Unknown);
    let (status, shutdown) = (Registration::default(), CancellationToken::new());
    let identity = Identity { namespace: "seawall-system".into(), pod: "p".into() };
    let task = tokio::spawn(run(fake.client(), identity, wanted, bundle, status.clone(), shutdown.clone()));
    let until = async |condition: &dyn Fn() -> bool| {
        for _ in 0..200 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not within 2 s: {:?}", status.get());
    };
    until(&|| status.get().holder).await;
    assert!(fake.get(PATH).is_none() && status.get().problem.unwrap().contains("no CA bundle yet"));
    bundle_sender.send(pem()).unwrap();
    until(&|| status.get().in_place).await;
    assert_eq!(status.get().writes, 2);
    let mut changed = configurations();
    changed.validating.webhooks().truncate(1);
    configurations_sender.send(Arc::new(changed)).unwrap();
    until(&|| status.get().writes == 3).await;
    assert_eq!(fake.get(PATH).unwrap()["webhooks"].as_array().unwrap().len(), 1);
    shutdown.cancel();
    task.await.unwrap();
    let lease = fake.get("/apis/coordination.k8s.io/v1/namespaces/seawall-system/leases/seawall-webhooks").unwrap();
    assert!(lease["spec"].get("holderIdentity").is_none());
}

#[tokio::test]
async fn every_replica_tells_which_bundles_are_in_the_cluster() {
    let fake = Fake::default();
    let wanted = configurations();
    let Bundle::Pem(first) = pem() else { panic!("a bundle is PEM here") };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = seen.clone();
    let status = Registration::observed_by(move |bundles| keep.lock().unwrap().push(bundles));
    let client = fake.client();
    let mut keeper =
        Keeper { client: client.clone(), status, validating: Rivalry::default(), mutating: Rivalry::default() };
    let mut holder = Election::new(client.clone(), lease::WEBHOOKS, "seawall-system", "a");
    let mut other = Election::new(client, lease::WEBHOOKS, "seawall-system", "b");
    let round = Bundle::Pem(first.clone());
    assert!(holder.round().await.unwrap());
    keeper.round(&mut other, &wanted, &round).await;
    assert_eq!(seen.lock().unwrap().pop().unwrap(), Vec::<Vec<u8>>::new());
    keeper.round(&mut holder, &wanted, &round).await;
    let both = vec![first.as_bytes().to_vec(); 2];
    assert_eq!(seen.lock().unwrap().pop().unwrap()[..2], both);
    fake.edit(PATH, |object| object["webhooks"][1]["clientConfig"]["caBundle"] = json!("QQ=="));
    keeper.round(&mut other, &wanted, &round).await;
    assert_eq!(seen.lock().unwrap().pop().unwrap()[1], b"A");
    keeper.round(&mut other, &wanted, &Bundle::Leave).await;
    assert!(seen.lock().unwrap().is_empty());
}
