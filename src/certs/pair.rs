//! A certificate chain and its key, checked before anything is served with it.
//!
//! The checks are those whose failure would otherwise show only as `failed calling webhook` at the API server: the key
//! belongs to the certificate, there is a subject alternative name (Go ignores the common name), it may be used for
//! servers, and it is valid now.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

use super::provider;

/// Why a certificate and key are not served.
///
/// Nothing in here ever quotes the key: a key file whose line breaks got lost would otherwise end up in the log.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The certificate file is not PEM.
    #[error("the certificate is not valid PEM")]
    CertificatePem(#[source] rustls::pki_types::pem::Error),
    /// The certificate file is PEM, but holds no certificate.
    #[error("the certificate file has no BEGIN CERTIFICATE block")]
    NoCertificate,
    /// A block is not a certificate.
    #[error("certificate {position} of the chain cannot be read")]
    Certificate {
        /// 1 is the certificate of the server itself.
        position: usize,
        /// What the parser said.
        #[source]
        source: x509_parser::nom::Err<x509_parser::error::X509Error>,
    },
    /// The key file is not PEM or holds no key in a known form.
    #[error("the key file has no readable BEGIN PRIVATE KEY block (PKCS #8, PKCS #1 or SEC 1, without a password)")]
    KeyPem,
    /// The key is of a kind that TLS cannot use here.
    #[error("the key cannot be used: give an ECDSA P-256 or P-384, Ed25519 or RSA (2048 bits or more) key")]
    Key(#[source] rustls::Error),
    /// Key and certificate do not belong together.
    #[error("the key does not belong to the certificate: were both files replaced?")]
    Mismatch(#[source] rustls::Error),
    /// There is no name that a client could check.
    #[error("the certificate has no DNS name or IP address in its subjectAltName; the common name is not used")]
    NoName,
    /// The key usage forbids servers.
    #[error("the certificate is not for servers: its extendedKeyUsage lacks serverAuth")]
    NotForServers,
    /// It is over.
    #[error("the certificate ended on {0}")]
    Expired(Timestamp),
    /// It has not begun.
    #[error("the certificate begins on {0}: check the clocks")]
    NotYetValid(Timestamp),
}

/// A checked certificate with its key.
#[derive(Clone)]
pub struct Pair {
    /// Ready to be served.
    pub key: Arc<CertifiedKey>,
    /// Unix seconds.
    pub not_before: i64,
    /// Unix seconds.
    pub not_after: i64,
    /// DNS names and addresses that it is for.
    pub names: Vec<String>,
}

/// Written by hand so that no key material can get into a log.
impl std::fmt::Debug for Pair {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pair")
            .field("names", &self.names)
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl Pair {
    /// Reads and checks PEM; `now` is Unix seconds.
    ///
    /// # Errors
    /// The first check of [`PairError`] that fails.
    pub fn from_pem(certificate: &[u8], key: &[u8], now: i64) -> Result<Self, PairError> {
        let chain = chain(certificate)?;
        // deliberately without the parser's error, see `PairError`
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| PairError::KeyPem)?;
        Self::new(chain, key, now)
    }

    /// Checks a chain and key in DER; `now` is Unix seconds.
    ///
    /// # Errors
    /// The first check of [`PairError`] that fails.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>, now: i64) -> Result<Self, PairError> {
        let facts = Facts::read(&chain)?;
        let signing = provider().key_provider.load_private_key(key).map_err(PairError::Key)?;
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match().map_err(PairError::Mismatch)?;
        if facts.names.is_empty() {
            return Err(PairError::NoName);
        }
        if !facts.for_servers {
            return Err(PairError::NotForServers);
        }
        if now < facts.not_before {
            return Err(PairError::NotYetValid(timestamp(facts.not_before)));
        }
        if now >= facts.not_after {
            return Err(PairError::Expired(timestamp(facts.not_after)));
        }
        Ok(Self {
            key: Arc::new(certified),
            not_before: facts.not_before,
            not_after: facts.not_after,
            names: facts.names,
        })
    }

    /// Whether a client that calls `name` finds it in the certificate (wildcards included).
    #[must_use]
    pub fn is_for(&self, name: &str) -> bool {
        let (Some(leaf), Ok(name)) = (self.key.cert.first(), ServerName::try_from(name)) else {
            return false;
        };
        rustls::server::ParsedCertificate::try_from(leaf)
            .is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, &name).is_ok())
    }

    /// Whether a client that trusts only `bundle` (PEM) and calls `name` accepts this certificate at `now`.
    #[must_use]
    pub fn verifies(&self, bundle: &[u8], name: &str, now: i64) -> bool {
        let mut roots = RootCertStore::empty();
        let Ok(certificates) = chain(bundle) else {
            return false;
        };
        for certificate in certificates {
            // one strange block must not hide the good ones; Go's AppendCertsFromPEM skips it too
            let _ = roots.add(certificate);
        }
        let (Ok(verifier), Ok(name), Some((leaf, intermediates))) = (
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build(),
            ServerName::try_from(name),
            self.key.cert.split_first(),
        ) else {
            return false;
        };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or(0)));
        verifier.verify_server_cert(leaf, intermediates, &name, &[], now).is_ok()
    }
}

/// Every certificate of a PEM text, in its order. Text between the blocks is skipped.
pub(super) fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PairError> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(PairError::CertificatePem)?;
    if chain.is_empty() { Err(PairError::NoCertificate) } else { Ok(chain) }
}

/// What the certificate of the server says of itself.
struct Facts {
    not_before: i64,
    not_after: i64,
    names: Vec<String>,
    for_servers: bool,
}

impl Facts {
    fn read(chain: &[CertificateDer<'_>]) -> Result<Self, PairError> {
        let mut facts = None;
        for (index, der) in chain.iter().enumerate() {
            let (_, certificate) = x509_parser::parse_x509_certificate(der)
                .map_err(|source| PairError::Certificate { position: index.saturating_add(1), source })?;
            if facts.is_none() {
                facts = Some(Self::of(&certificate));
            }
        }
        facts.ok_or(PairError::NoCertificate)
    }

    fn of(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Self {
        let names = certificate.subject_alternative_name().ok().flatten();
        let usage = certificate.extended_key_usage().ok().flatten();
        Self {
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            names: names.map_or_else(Vec::new, |names| names.value.general_names.iter().filter_map(name).collect()),
            for_servers: usage.is_none_or(|usage| usage.value.any || usage.value.server_auth),
        }
    }
}

fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// For messages only; a date outside jiff's range becomes its end.
pub(super) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};

    use super::*;
    use crate::certs::now;

    fn own(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        change(&mut params);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn read(certificate: &str, key: &str) -> Result<Pair, PairError> {
        Pair::from_pem(certificate.as_bytes(), key.as_bytes(), now())
    }

    #[test]
    fn a_good_pair_tells_names_and_dates() {
        let (certificate, key) = own(|_| {});
        let pair = read(&certificate, &key).unwrap();
        assert_eq!(pair.names, ["localhost", "127.0.0.1"]);
        assert!(pair.not_before < now() && pair.not_after > now());
        assert!(pair.verifies(certificate.as_bytes(), "localhost", now()));
        assert!(!pair.verifies(certificate.as_bytes(), "elsewhere.example", now()));
    }

    #[test]
    fn windows_line_ends_and_text_between_the_blocks_are_no_mistake() {
        let (certificate, key) = own(|_| {});
        let (other, _) = own(|_| {});
        let chain = format!("# leaf\n{certificate}\nsome text\n{other}").replace('\n', "\r\n");
        let pair = read(&chain, &key.replace('\n', "\r\n")).unwrap();
        assert_eq!(pair.key.cert.len(), 2);
    }

    #[test]
    fn every_usual_kind_of_key_is_taken() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            let certificate = params.self_signed(&key).unwrap().pem();
            assert!(read(&certificate, &key.serialize_pem()).is_ok(), "{algorithm:?}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let (certificate, key) = own(|_| {});
        let (_, other_key) = own(|_| {});
        let half = &certificate[..certificate.len() / 2];
        let (nameless, nameless_key) = own(|params| params.subject_alt_names.clear());
        let (client, client_key) = own(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
        let (old, old_key) = own(|params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
        let (young, young_key) = own(|params| params.not_before = rcgen::date_time_ymd(3000, 1, 1));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (certificate, key, expected) in [
            (certificate.as_str(), other_key.as_str(), "does not belong"),
            (certificate.as_str(), "", "no readable BEGIN PRIVATE KEY"),
            (certificate.as_str(), certificate.as_str(), "no readable BEGIN PRIVATE KEY"),
            ("", key.as_str(), "no BEGIN CERTIFICATE"),
            (half, key.as_str(), "not valid PEM"),
            (garbage, key.as_str(), "certificate 1 of the chain"),
            (nameless.as_str(), nameless_key.as_str(), "no DNS name or IP address"),
            (client.as_str(), client_key.as_str(), "lacks serverAuth"),
            (old.as_str(), old_key.as_str(), "ended on 2001-01-01"),
            (young.as_str(), young_key.as_str(), "begins on 3000-01-01"),
        ] {
            let error = read(certificate, key).unwrap_err();
            assert!(error.to_string().contains(expected), "{error} instead of {expected}");
        }
    }

    #[test]
    fn the_key_never_gets_into_a_message() {
        let (certificate, key) = own(|_| {});
        let secret = key.lines().nth(1).unwrap();
        // line breaks lost, as a shell without quotes does it
        let error = read(&certificate, &key.replace('\n', " ")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&secret[..16]));
        assert!(std::error::Error::source(&error).is_none());
        let pair = read(&certificate, &key).unwrap();
        assert!(!format!("{pair:?}").contains(&secret[..16]));
    }
}
