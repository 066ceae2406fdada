//! A certificate and key given as files, read again when their content changes.
//!
//! They are polled by content. The kubelet replaces a Secret volume by swapping the symbolic link `..data`, which a
//! watch on the files never sees (kubewarden policy-server#1061), and one small read every few seconds costs nothing.
//!
//! Certificate, key and CA are one thing: they are taken together or not at all, and what was there before goes on being
//! served.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::manager::chain;
use super::pair::{PairError, timestamp};
use super::{Certificates, Pair, Reports, Resolver, Status};

/// How often a read may be repeated because the files change under it.
const READS: usize = 5;

/// Why the files are not served.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// They are being rewritten all the time.
    #[error("the certificate files changed while they were read")]
    Unsteady,
    /// They do not make a usable pair.
    #[error("{certificate} and {key} cannot be served")]
    Pair {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What is wrong.
        #[source]
        source: PairError,
    },
    /// The CA file is not one that clients could use.
    #[error("{0} has no usable CA certificate")]
    Authority(PathBuf, #[source] PairError),
    /// Clients that trust the CA file would refuse the certificate.
    #[error("the certificate does not verify against {0}: is an intermediate certificate missing in the chain?")]
    Chain(PathBuf),
    /// Clients would not accept it under the name they use.
    #[error("the certificate is for {names:?}, but the API server will ask for {wanted}")]
    Name {
        /// The name needed.
        wanted: String,
        /// The names it has.
        names: Vec<String>,
    },
}

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its key in PEM.
    pub key: PathBuf,
    /// The CA certificates in PEM that clients need, if this program is to publish them (`ca.crt` of cert-manager).
    pub authority: Option<PathBuf>,
    /// A name that the certificate must be for: `<service>.<namespace>.svc` in a cluster.
    pub name: Option<String>,
    /// Time between two looks.
    pub interval: Duration,
}

impl CertificateFiles {
    /// These two files, a look every 5 seconds, no CA and any name.
    #[must_use]
    pub fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key, authority: None, name: None, interval: Duration::from_secs(5) }
    }

    /// Reads the files and gives them out. The returned future looks at them from then on and never ends; spawn it.
    ///
    /// # Errors
    /// [`FilesError`], when what is there at the start cannot be served: it is better not to start than to start broken.
    pub async fn open(
        self,
        reports: Reports,
    ) -> Result<(Certificates, impl Future<Output = ()> + Send + 'static), FilesError> {
        let content = self.read().await?;
        let pair = self.check(&content, super::now())?;
        let files = Watched {
            resolver: Arc::new(Resolver::new(Arc::clone(&pair.key))),
            bundle: watch::Sender::new(content.bundle()),
            live: Arc::default(),
            hasher: RandomState::new(),
            serving: content,
            pair,
            refused: None,
            files: self,
            reports,
        };
        files.reports.metrics.record_certificate(files.pair.not_after);
        files.report(super::now(), None);
        let certificates = Certificates {
            resolver: Arc::clone(&files.resolver),
            bundle: files.bundle.subscribe(),
            live: Arc::clone(&files.live),
        };
        // before anybody can call `observe_live`, so that the first call wakes the loop
        let live = files.live.subscribe();
        Ok((certificates, files.run(live)))
    }

    /// Reads everything twice, until both reads are the same: a read in the middle of a replacement would pair an old
    /// certificate with a new key.
    async fn read(&self) -> Result<Content, FilesError> {
        let mut before = self.read_once().await?;
        for _ in 0..READS {
            let again = self.read_once().await?;
            if again == before {
                return Ok(again);
            }
            before = again;
        }
        Err(FilesError::Unsteady)
    }

    async fn read_once(&self) -> Result<Content, FilesError> {
        Ok(Content {
            certificate: read(&self.certificate).await?,
            key: read(&self.key).await?,
            authority: match &self.authority {
                Some(path) => Some(read(path).await?),
                None => None,
            },
        })
    }

    fn check(&self, content: &Content, now: i64) -> Result<Pair, FilesError> {
        let pair = Pair::from_pem(&content.certificate, &content.key, now).map_err(|source| FilesError::Pair {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        })?;
        if let Some(wanted) = self.name.as_ref().filter(|wanted| !pair.is_for(wanted)) {
            return Err(FilesError::Name { wanted: wanted.clone(), names: pair.names });
        }
        if let (Some(path), Some(authority)) = (&self.authority, &content.authority) {
            super::pair::chain(authority).map_err(|source| FilesError::Authority(path.clone(), source))?;
            let name = self.name.as_ref().or(pair.names.first());
            if !name.is_some_and(|name| pair.verifies(authority, name, now)) {
                return Err(FilesError::Chain(path.clone()));
            }
        }
        Ok(pair)
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, FilesError> {
    tokio::fs::read(path).await.map_err(|source| FilesError::Read { path: path.to_owned(), source })
}

#[derive(PartialEq, Eq, Hash)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authority: Option<Vec<u8>>,
}

impl Content {
    fn bundle(&self) -> Option<Arc<str>> {
        self.authority.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into())
    }
}

struct Watched {
    files: CertificateFiles,
    reports: Reports,
    resolver: Arc<Resolver>,
    bundle: watch::Sender<Option<Arc<str>>>,
    live: Arc<watch::Sender<Option<Vec<Vec<u8>>>>>,
    hasher: RandomState,
    serving: Content,
    pair: Pair,
    /// What was refused last, so that each mistake is logged and counted once: content and message.
    refused: Option<(u64, String)>,
}

impl Watched {
    async fn run(mut self, mut live: watch::Receiver<Option<Vec<Vec<u8>>>>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.files.interval) => {}
                _ = live.changed() => {}
            }
            self.look(super::now()).await;
        }
    }

    async fn look(&mut self, now: i64) {
        let trouble = match self.files.read().await {
            Ok(content) if content == self.serving => {
                self.refused = None;
                None
            }
            Ok(content) => match self.files.check(&content, now) {
                Ok(pair) => {
                    self.take(content, pair);
                    None
                }
                Err(error) => Some((self.hasher.hash_one(&content), chain(&error))),
            },
            Err(error) => Some((0, chain(&error))),
        };
        if let Some(trouble) = trouble.as_ref().filter(|trouble| self.refused.as_ref() != Some(trouble)) {
            tracing::error!(error = trouble.1, "the new certificate files are not used; the old certificate stays");
            self.reports.metrics.record_certificate_refused();
            self.refused = Some(trouble.clone());
        }
        self.report(now, trouble.map(|(_, message)| message));
    }

    fn take(&mut self, content: Content, pair: Pair) {
        // clients must know the new CA no later than they meet the new certificate
        self.bundle.send_if_modified(|bundle| {
            let next = content.bundle();
            let changed = *bundle != next;
            *bundle = next;
            changed
        });
        self.resolver.swap(Arc::clone(&pair.key));
        tracing::info!(names = ?pair.names, not_after = %timestamp(pair.not_after), "serving a new certificate");
        self.reports.metrics.record_certificate(pair.not_after);
        self.serving = content;
        self.pair = pair;
        self.refused = None;
    }

    fn report(&self, now: i64, trouble: Option<String>) {
        let names = self.files.name.as_ref().map_or(self.pair.names.as_slice(), std::slice::from_ref);
        let live = self.live.borrow();
        let status = super::judge(&self.pair, names, live.as_deref(), now, &self.reports);
        let ends_soon = super::ca::is_nearly_over(self.pair.not_before, self.pair.not_after, now);
        self.reports.tell(match (status, trouble) {
            (Status::Ok, Some(why)) => Status::Degraded(format!("new certificate files are not used: {why}")),
            (Status::Ok, None) if ends_soon => Status::Degraded(format!(
                "the certificate ends on {} and there is no new one yet",
                timestamp(self.pair.not_after)
            )),
            (Status::Failed(what), Some(why)) => {
                Status::Failed(format!("{what}; new certificate files are not used: {why}"))
            }
            (status, _) => status,
        });
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
