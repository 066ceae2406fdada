//! The CA bundle that goes into a webhook configuration. The API server does not check it when it is written, and every
//! call fails when it is wrong, so it is checked here.

use x509_parser::pem::Pem;

/// Why a bundle is not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// No certificate in it.
    #[error("the CA bundle holds no certificate; wanted PEM blocks `BEGIN CERTIFICATE`")]
    Empty,
    /// Not PEM.
    #[error("the CA bundle is not PEM after {good} good blocks: {problem}")]
    Pem {
        /// Blocks before the bad one.
        good: usize,
        /// What is wrong.
        problem: String,
    },
    /// A block that is something else; a key, for example, that must not get out.
    #[error("block {number} of the CA bundle is a {label}; only certificates may be in it")]
    Label {
        /// Number of the block, from 1.
        number: usize,
        /// Its label.
        label: String,
    },
    /// A certificate that cannot be read.
    #[error("certificate {number} of the CA bundle cannot be read: {problem}")]
    Certificate {
        /// Number of the block, from 1.
        number: usize,
        /// What is wrong.
        problem: String,
    },
}

/// Checks that a bundle is PEM certificates and nothing else.
///
/// # Errors
/// When it is empty, cannot be read or holds something else.
pub fn check(pem: &str) -> Result<(), BundleError> {
    let mut certificates = 0;
    for block in Pem::iter_from_buffer(pem.as_bytes()) {
        let number = certificates + 1;
        let block = block.map_err(|error| BundleError::Pem { good: certificates, problem: error.to_string() })?;
        if block.label != "CERTIFICATE" {
            return Err(BundleError::Label { number, label: block.label });
        }
        block.parse_x509().map_err(|error| BundleError::Certificate { number, problem: error.to_string() })?;
        certificates += 1;
    }
    if certificates == 0 { Err(BundleError::Empty) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_are_a_bundle() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let one = rcgen::CertificateParams::new(vec!["a".into()]).unwrap().self_signed(&key).unwrap().pem();
        assert_eq!(check(&one), Ok(()));
        assert_eq!(check(&format!("{one}\n{one}")), Ok(()));
        assert_eq!(check(""), Err(BundleError::Empty));
        assert_eq!(check("no PEM at all"), Err(BundleError::Empty));
        assert!(matches!(check(&format!("{one}{}", key.serialize_pem())), Err(BundleError::Label { number: 2, .. })));
        let cut = one.get(..one.len() / 2).unwrap();
        assert!(check(cut).is_err());
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(check(garbage), Err(BundleError::Certificate { number: 1, .. })));
    }
}
