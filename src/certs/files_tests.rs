//! Files as operators, the kubelet and cert-manager change them.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Mutex;

use super::*;
use crate::certs::ca::Authority;
use crate::certs::{issue, now};
use crate::telemetry::Metrics;

const DAY: Duration = Duration::from_secs(86_400);
const NAME: &str = "seawall.seawall-system.svc";

struct Folder {
    folder: tempfile::TempDir,
    authority: Authority,
    status: Arc<Mutex<Vec<Status>>>,
    metrics: Arc<Metrics>,
}

impl Folder {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            authority: issue::authority(now(), 365 * DAY).unwrap(),
            status: Arc::default(),
            metrics: Arc::new(Metrics::new()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new certificate and key in PEM; the leaf key is exported with rcgen, so it is made here.
    fn made(&self, names: &[&str], days: u32) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let issuer = rcgen::Issuer::from_ca_cert_pem(
            &self.authority.certificate.pem,
            rcgen::KeyPair::from_pem(self.authority.key.expose()).unwrap(),
        )
        .unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.not_before = (std::time::SystemTime::now() - Duration::from_secs(3600)).into();
        params.not_after = (std::time::SystemTime::now() + days * DAY).into();
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    }

    fn write(&self, certificate: &str, key: &str) {
        fs::write(self.path("tls.crt"), certificate).unwrap();
        fs::write(self.path("tls.key"), key).unwrap();
    }

    fn files(&self) -> CertificateFiles {
        CertificateFiles {
            interval: Duration::from_millis(20),
            ..CertificateFiles::new(self.path("tls.crt"), self.path("tls.key"))
        }
    }

    async fn open(&self, files: CertificateFiles) -> Result<Certificates, FilesError> {
        let status = Arc::clone(&self.status);
        let reports = Reports::new(Arc::clone(&self.metrics), move |now| status.lock().unwrap().push(now));
        let (certificates, looks) = files.open(reports).await?;
        tokio::spawn(looks);
        Ok(certificates)
    }

    fn status(&self) -> Status {
        self.status.lock().unwrap().last().unwrap().clone()
    }

    /// Waits for a status.
    async fn until(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        for _ in 0..500 {
            if wanted(&self.status()) {
                return self.status();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still {:?}", self.status());
    }

    async fn refused(&self) -> String {
        match self.until(|status| matches!(status, Status::Degraded(_))).await {
            Status::Degraded(why) => why,
            other => panic!("{other:?}"),
        }
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics.encode().unwrap().contains(line)
    }
}

async fn changes(certificates: &Certificates, from: &Arc<rustls::sign::CertifiedKey>) {
    for _ in 0..500 {
        if !Arc::ptr_eq(from, &certificates.resolver().current()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the new certificate is not served");
}

#[tokio::test]
async fn a_new_pair_is_taken_and_a_bad_one_is_not() {
    let folder = Folder::new();
    let (certificate, key) = folder.made(&[NAME], 90);
    folder.write(&certificate, &key);
    let certificates = folder.open(folder.files()).await.unwrap();
    let first = certificates.resolver().current();
    assert!(certificates.bundle_pem().borrow().is_none(), "nobody said which CA it is");

    let (new_certificate, new_key) = folder.made(&[NAME], 90);
    // between the two writes the pair does not fit
    fs::write(folder.path("tls.crt"), &new_certificate).unwrap();
    let why = folder.refused().await;
    assert!(why.contains("does not belong to the certificate"), "{why}");
    assert!(Arc::ptr_eq(&first, &certificates.resolver().current()));
    fs::write(folder.path("tls.key"), &new_key).unwrap();
    changes(&certificates, &first).await;
    folder.until(|status| *status == Status::Ok).await;
    let second = certificates.resolver().current();

    for (certificate, key, expected) in [
        (&new_certificate[..200], new_key.as_str(), "not valid PEM"),
        (new_certificate.as_str(), key.as_str(), "does not belong"),
        ("", "", "no BEGIN CERTIFICATE"),
    ] {
        folder.write(certificate, key);
        folder.until(|status| matches!(status, Status::Degraded(why) if why.contains(expected))).await;
        assert!(Arc::ptr_eq(&second, &certificates.resolver().current()));
    }
    fs::remove_file(folder.path("tls.key")).unwrap();
    folder.until(|status| matches!(status, Status::Degraded(why) if why.contains("cannot be read"))).await;
    folder.write(&new_certificate, &new_key);
    folder.until(|status| *status == Status::Ok).await;
    assert!(Arc::ptr_eq(&second, &certificates.resolver().current()), "what is served already is not taken again");
    assert!(folder.metric("seawall_certificate_reloads_total{result=\"success\"} 2"));
}

#[tokio::test]
async fn a_mistake_is_counted_once_however_long_it_stays() {
    let folder = Folder::new();
    let (certificate, key) = folder.made(&[NAME], 90);
    folder.write(&certificate, &key);
    let _certificates = folder.open(folder.files()).await.unwrap();
    folder.write(&certificate, "nonsense");
    folder.refused().await;
    let looks = folder.status.lock().unwrap().len();
    while folder.status.lock().unwrap().len() < looks + 5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let failed = "seawall_certificate_reloads_total{result=\"failure\"}";
    let before = folder.metrics.encode().unwrap();
    let count = |text: &str| {
        text.lines().find_map(|line| line.strip_prefix(failed)).map(|rest| rest.trim().parse::<u32>().unwrap())
    };
    // a look between the two writes above may have met another mistake
    assert!(count(&before).unwrap() <= 2, "{before}");
}

/// The kubelet writes a new folder and swaps the symbolic link `..data`; the files' own links never change.
#[tokio::test]
async fn the_kubelets_swap_of_a_link_is_seen() {
    let folder = Folder::new();
    let version = |name: &str| {
        let (certificate, key) = folder.made(&[NAME], 90);
        fs::create_dir(folder.path(name)).unwrap();
        fs::write(folder.path(name).join("tls.crt"), certificate).unwrap();
        fs::write(folder.path(name).join("tls.key"), key).unwrap();
    };
    version("..2026_01");
    symlink("..2026_01", folder.path("..data")).unwrap();
    symlink("..data/tls.crt", folder.path("tls.crt")).unwrap();
    symlink("..data/tls.key", folder.path("tls.key")).unwrap();
    let certificates = folder.open(folder.files()).await.unwrap();
    for round in 2..8 {
        let before = certificates.resolver().current();
        let name = format!("..2026_0{round}");
        version(&name);
        symlink(&name, folder.path("..data_tmp")).unwrap();
        fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
        changes(&certificates, &before).await;
    }
    let refused = folder.status.lock().unwrap().iter().filter(|status| **status != Status::Ok).count();
    assert_eq!(refused, 0, "a swap never looks like a mistake");
}

#[tokio::test]
async fn what_is_wrong_at_the_start_ends_the_start() {
    let folder = Folder::new();
    let Err(error) = folder.open(folder.files()).await else { panic!("no file is there") };
    assert!(matches!(&error, FilesError::Read { path, .. } if path.ends_with("tls.crt")), "{error}");

    let (certificate, key) = folder.made(&["elsewhere.example"], 90);
    folder.write(&certificate, &key);
    let Err(error) = folder.open(CertificateFiles { name: Some(NAME.to_owned()), ..folder.files() }).await else {
        panic!("the name is wrong")
    };
    let text = error.to_string();
    assert!(text.contains("elsewhere.example") && text.contains(NAME), "{text}");

    let stranger = issue::authority(now(), DAY).unwrap();
    for (authority, expected) in [(&*stranger.certificate.pem, "does not verify"), ("nonsense", "no usable CA")] {
        fs::write(folder.path("ca.crt"), authority).unwrap();
        let files = CertificateFiles { authority: Some(folder.path("ca.crt")), ..folder.files() };
        let Err(error) = folder.open(files).await else { panic!("{expected}") };
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_wildcard_counts_as_the_name() {
    let folder = Folder::new();
    let (certificate, key) = folder.made(&["*.seawall-system.svc"], 90);
    folder.write(&certificate, &key);
    let files = CertificateFiles { name: Some(NAME.to_owned()), ..folder.files() };
    assert!(folder.open(files).await.is_ok());
}

#[tokio::test]
async fn the_ca_file_is_the_bundle_and_changes_with_the_pair() {
    let mut folder = Folder::new();
    let (certificate, key) = folder.made(&[NAME], 90);
    folder.write(&certificate, &key);
    fs::write(folder.path("ca.crt"), &*folder.authority.certificate.pem).unwrap();
    let files = CertificateFiles { authority: Some(folder.path("ca.crt")), ..folder.files() };
    let certificates = folder.open(files).await.unwrap();
    let mut bundle = certificates.bundle_pem();
    assert_eq!(bundle.borrow_and_update().as_deref(), Some(&*folder.authority.certificate.pem));

    // another CA: its leaf alone is refused, with the CA file it is taken
    let first = certificates.resolver().current();
    folder.authority = issue::authority(now(), 365 * DAY).unwrap();
    let (certificate, key) = folder.made(&[NAME], 90);
    folder.write(&certificate, &key);
    folder.until(|status| matches!(status, Status::Degraded(why) if why.contains("does not verify"))).await;
    assert!(Arc::ptr_eq(&first, &certificates.resolver().current()));
    fs::write(folder.path("ca.crt"), &*folder.authority.certificate.pem).unwrap();
    changes(&certificates, &first).await;
    assert!(bundle.has_changed().unwrap());
    assert_eq!(bundle.borrow_and_update().as_deref(), Some(&*folder.authority.certificate.pem));
}

#[tokio::test]
async fn a_certificate_that_ends_soon_and_one_that_is_over_are_told() {
    let folder = Folder::new();
    let (certificate, key) = folder.made(&[NAME], 1);
    folder.write(&certificate, &key);
    let status = Arc::clone(&folder.status);
    let reports = Reports::new(Arc::clone(&folder.metrics), move |now| status.lock().unwrap().push(now));
    let content = folder.files().read().await.unwrap();
    let pair = folder.files().check(&content, now()).unwrap();
    let mut watched = Watched {
        resolver: Arc::new(Resolver::new(Arc::clone(&pair.key))),
        bundle: watch::Sender::new(None),
        live: Arc::default(),
        hasher: RandomState::new(),
        serving: content,
        files: folder.files(),
        pair,
        refused: None,
        reports,
    };
    watched.look(now()).await;
    assert_eq!(folder.status(), Status::Ok);
    watched.look(now() + 23 * 3600).await;
    assert!(matches!(folder.status(), Status::Degraded(why) if why.contains("no new one yet")));
    watched.look(now() + 25 * 3600).await;
    assert!(matches!(folder.status(), Status::Failed(why) if why.contains("ended on")));
}

#[tokio::test]
async fn the_live_bundle_is_compared_here_too() {
    let folder = Folder::new();
    let (certificate, key) = folder.made(&[NAME], 90);
    folder.write(&certificate, &key);
    let certificates = folder.open(folder.files()).await.unwrap();
    let stranger = issue::authority(now(), DAY).unwrap();
    certificates.observe_live(vec![stranger.certificate.pem.as_bytes().to_vec()]);
    folder.until(|status| matches!(status, Status::Failed(why) if why.contains("caBundle"))).await;
    certificates.observe_live(vec![folder.authority.certificate.pem.as_bytes().to_vec()]);
    folder.until(|status| *status == Status::Ok).await;
}
