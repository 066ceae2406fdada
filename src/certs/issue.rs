//! Making certificates: a CA that signs, a leaf that is served. ECDSA P-256 throughout.
//!
//! Everything begins an hour early, because clocks differ, and has a random serial number of 128 bits.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::ca::{Authority, CaCertificate, KeyPem};
use super::pair::{Pair, PairError};
use super::provider;

/// How far back a certificate begins, for clients whose clock is behind.
const CLOCK_SKEW_SECONDS: i64 = 3600;

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A name cannot stand in a certificate.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    Name(String, #[source] rcgen::Error),
    /// The system gave no random numbers.
    #[error("no random numbers from the system")]
    Random,
    /// Signing failed, or the CA cannot be read.
    #[error("the certificate could not be signed")]
    Sign(#[from] rcgen::Error),
    /// What was made does not pass our own checks.
    #[error("the certificate that was made cannot be served")]
    Pair(#[from] PairError),
    /// What was made is not a CA.
    #[error("the CA that was made cannot be used")]
    Authority(#[from] super::ca::CaError),
}

/// The names under which one machine reaches its own server.
#[must_use]
pub fn local_names() -> Vec<String> {
    ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
}

/// The names of a Service. The API server asks for `<service>.<namespace>.svc`
/// (`k8s.io/apiserver` `pkg/util/webhook/client.go`); the others are for people and probes.
#[must_use]
pub fn service_names(service: &str, namespace: &str) -> Vec<String> {
    vec![
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
        format!("{service}.{namespace}"),
        service.to_owned(),
    ]
}

/// A new CA that is valid for `life` from `now` (Unix seconds) on.
///
/// # Errors
/// [`IssueError::Random`] and [`IssueError::Sign`], when the system's cryptography fails.
pub fn authority(now: i64, life: Duration) -> Result<Authority, IssueError> {
    let key = KeyPair::generate()?;
    let serial = serial()?;
    let mut params = CertificateParams::default();
    // a name of its own: two CAs of the same name in one bundle make verifiers try both keys
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Seawall");
    params.distinguished_name.push(DnType::CommonName, format!("seawall-ca-{}", short(&serial)));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = time(now.saturating_sub(CLOCK_SKEW_SECONDS)).into();
    params.not_after = time(now.saturating_add(seconds(life))).into();
    let certificate = params.self_signed(&key)?;
    Ok(Authority { certificate: CaCertificate::from_pem(&certificate.pem())?, key: KeyPem::new(key.serialize_pem()) })
}

/// A new serving certificate for `names`, signed by `authority`, valid for `life` from `now` (Unix seconds) on and
/// never longer than the CA itself. Its key exists only in the result.
///
/// # Errors
/// [`IssueError::Name`] for a name that cannot be written, [`IssueError::Sign`] when key and certificate of the CA do not
/// work, [`IssueError::Pair`] when the result could not be served.
pub fn leaf(authority: &Authority, names: &[String], now: i64, life: Duration) -> Result<Pair, IssueError> {
    let ca_key = KeyPair::from_pem(authority.key.expose())?;
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate.pem, ca_key)?;
    let key = KeyPair::generate()?;
    let serial = serial()?;
    let mut params = CertificateParams::default();
    for name in names {
        let one = CertificateParams::new([name.clone()]).map_err(|source| IssueError::Name(name.clone(), source))?;
        params.subject_alt_names.extend(one.subject_alt_names);
    }
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Seawall");
    params.distinguished_name.push(DnType::CommonName, "seawall");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let info = &authority.certificate.info;
    params.not_before = time(now.saturating_sub(CLOCK_SKEW_SECONDS).max(info.not_before)).into();
    params.not_after = time(now.saturating_add(seconds(life)).min(info.not_after)).into();
    let certificate = params.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(Pair::new(vec![certificate.der().clone()], key, now)?)
}

fn serial() -> Result<[u8; 16], IssueError> {
    let mut serial = [0; 16];
    provider().secure_random.fill(&mut serial).map_err(|_| IssueError::Random)?;
    // positive and without leading zeros in DER, which RFC 5280 4.1.2.2 asks for
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(serial)
}

fn short(serial: &[u8; 16]) -> String {
    serial.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn time(seconds: i64) -> SystemTime {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// The certificates of several CAs as one PEM text, each once.
#[must_use]
pub fn bundle<'a>(certificates: impl IntoIterator<Item = &'a CaCertificate>) -> Arc<str> {
    let mut seen = std::collections::BTreeSet::new();
    let mut text = String::new();
    for certificate in certificates {
        if seen.insert(&certificate.info.id) {
            text.push_str(certificate.pem.trim_end());
            text.push('\n');
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::now;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_leaf_verifies_for_its_names_against_its_own_ca_only() {
        let (ours, other) = (authority(now(), 365 * DAY).unwrap(), authority(now(), 365 * DAY).unwrap());
        let names = [local_names(), service_names("seawall", "seawall-system")].concat();
        let pair = leaf(&ours, &names, now(), 2 * DAY).unwrap();
        for name in ["localhost", "127.0.0.1", "::1", "seawall.seawall-system.svc"] {
            assert!(pair.verifies(ours.certificate.pem.as_bytes(), name, now()), "{name}");
        }
        assert!(!pair.verifies(ours.certificate.pem.as_bytes(), "other.seawall-system.svc", now()));
        assert!(!pair.verifies(other.certificate.pem.as_bytes(), "localhost", now()));
        let both = bundle([&other.certificate, &ours.certificate, &ours.certificate]);
        assert_eq!(both.matches("BEGIN CERTIFICATE").count(), 2);
        assert!(pair.verifies(both.as_bytes(), "localhost", now()));
    }

    #[test]
    fn it_begins_an_hour_early_and_ends_with_its_ca() {
        let ca = authority(now(), DAY).unwrap();
        let pair = leaf(&ca, &local_names(), now(), 2 * DAY).unwrap();
        assert!(pair.not_before <= now() - CLOCK_SKEW_SECONDS);
        assert_eq!(pair.not_after, ca.certificate.info.not_after);
        assert!(pair.verifies(ca.certificate.pem.as_bytes(), "localhost", now() - 3500));
        assert!(!pair.verifies(ca.certificate.pem.as_bytes(), "localhost", pair.not_after + 1));
    }

    #[test]
    fn serials_and_names_of_cas_differ() {
        let (one, two) = (authority(now(), DAY).unwrap(), authority(now(), DAY).unwrap());
        assert_ne!(one.certificate.info.id, two.certificate.info.id);
        let subject = |authority: &Authority| {
            let chain = super::super::pair::chain(authority.certificate.pem.as_bytes()).unwrap();
            let (_, parsed) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
            assert!(parsed.raw_serial().len() == 16 && parsed.is_ca());
            parsed.subject().to_string()
        };
        assert_ne!(subject(&one), subject(&two));
    }

    #[test]
    fn a_name_that_cannot_be_written_is_quoted() {
        let ca = authority(now(), DAY).unwrap();
        let error = leaf(&ca, &["söawall".to_owned()], now(), DAY).unwrap_err();
        assert!(error.to_string().contains("söawall"), "{error}");
    }
}
