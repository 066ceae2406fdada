//! Keys that sign and verify policy sets, read from PEM files.

use ring::rand::SystemRandom;
use ring::signature::{
    self as algorithms, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use std::path::{Path, PathBuf};
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// How a set is signed. Names: RFC 7518, section 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256. Each signature is another one.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256. The same signature for the same files.
    Rs256,
}

impl Algorithm {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No such file, or not for this user.
    #[error("the key {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No PEM with a key of the kind.
    #[error("{path} has {found}; wanted {wanted}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is in it.
        found: String,
        /// What is wanted, and how it is made.
        wanted: &'static str,
    },
    /// It is for another algorithm.
    #[error("{path} is no key for {algorithm}; leave the algorithm out, or give a key for it ({problem})")]
    Algorithm {
        /// The file.
        path: PathBuf,
        /// The algorithm.
        algorithm: &'static str,
        /// What the library says.
        problem: String,
    },
}

/// A private key in PEM.
const PRIVATE: &str = "a PEM private key, P-256 or RSA with 2048 bits or more; \
                       `openssl ecparam -name prime256v1 -genkey -noout -out key.pem` makes one";

/// A public key in PEM.
const PUBLIC: &str = "a PEM public key or certificate, P-256, P-384 or RSA with 2048 bits or more; \
                      `openssl pkey -in key.pem -pubout -out public.pem` takes it out of a private key";

/// The first PEM block that is not about parameters only.
fn block(path: &Path, wanted: &'static str) -> Result<Pem, KeyError> {
    let text = std::fs::read(path).map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
    let content = |found: String| KeyError::Content { path: path.to_owned(), found, wanted };
    for block in Pem::iter_from_buffer(&text) {
        let block = block.map_err(|e| content(format!("a PEM block that cannot be read ({e})")))?;
        if block.label != "EC PARAMETERS" {
            return Ok(block);
        }
    }
    Err(content("no PEM block".to_owned()))
}

enum Private {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A key that signs. Nothing of it is ever printed.
pub struct SigningKey {
    key: Private,
    /// Name of the key, written into the signature.
    pub id: Option<String>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm()).field("id", &self.id).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads a private key (PKCS #8, PKCS #1 or SEC 1). Without an algorithm the key decides.
    ///
    /// # Errors
    /// When there is none that can sign.
    pub fn load(path: &Path, algorithm: Option<Algorithm>, id: Option<String>) -> Result<Self, KeyError> {
        let block = block(path, PRIVATE)?;
        let random = SystemRandom::new();
        let ecdsa =
            |der: &[u8]| EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random).map(Private::Ecdsa);
        let key = match (block.label.as_str(), algorithm) {
            ("EC PRIVATE KEY", _) => pkcs8_of_sec1(&block.contents).map_or_else(|| ecdsa(&[]), |der| ecdsa(&der)),
            ("RSA PRIVATE KEY", _) => RsaKeyPair::from_der(&block.contents).map(Private::Rsa),
            ("PRIVATE KEY", Some(Algorithm::Es256)) => ecdsa(&block.contents),
            ("PRIVATE KEY", Some(Algorithm::Rs256)) => RsaKeyPair::from_pkcs8(&block.contents).map(Private::Rsa),
            ("PRIVATE KEY", None) => {
                ecdsa(&block.contents).or_else(|_| RsaKeyPair::from_pkcs8(&block.contents).map(Private::Rsa))
            }
            (label, _) => {
                let found = format!("a block {label:?}");
                return Err(KeyError::Content { path: path.to_owned(), found, wanted: PRIVATE });
            }
        };
        let wrong = |algorithm: &'static str, problem: String| KeyError::Algorithm {
            path: path.to_owned(),
            algorithm,
            problem,
        };
        let key = key.map_err(|e| wrong(algorithm.map_or("ES256 or RS256", Algorithm::as_str), e.to_string()))?;
        let key = Self { key, id };
        match algorithm {
            Some(asked) if asked != key.algorithm() => {
                Err(wrong(asked.as_str(), format!("it is one for {}", key.algorithm().as_str())))
            }
            _ => Ok(key),
        }
    }

    /// What it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.key {
            Private::Ecdsa(_) => Algorithm::Es256,
            Private::Rsa(_) => Algorithm::Rs256,
        }
    }

    /// Signs; none when the library cannot, for want of random numbers.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.key {
            Private::Ecdsa(key) => key.sign(&random, message).ok().map(|s| s.as_ref().to_vec()),
            Private::Rsa(key) => {
                let mut out = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut out).ok().map(|()| out)
            }
        }
    }
}

/// Wraps a SEC 1 key of P-256 as PKCS #8 (RFC 5915, RFC 5958), which is what the library reads.
fn pkcs8_of_sec1(sec1: &[u8]) -> Option<Vec<u8>> {
    /// `INTEGER 0`, then `SEQUENCE {ecPublicKey, prime256v1}`
    const HEAD: [u8; 24] = [
        0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    // a key of P-256 with its public half has about 120 bytes, so both lengths fit one byte
    let octets = u8::try_from(sec1.len()).ok().filter(|length| *length < 0x80)?;
    let body: Vec<u8> = HEAD.into_iter().chain([0x04, octets]).chain(sec1.iter().copied()).collect();
    let length = u8::try_from(body.len()).ok()?;
    let head: &[u8] = if length < 0x80 { &[0x30, length] } else { &[0x30, 0x81, length] };
    Some([head, &body].concat())
}

/// What a public key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
}

/// A key that verifies, and what a signature must say.
#[derive(Debug, Clone)]
pub struct VerificationKey {
    kind: Kind,
    key: Vec<u8>,
    /// Where it was read from, for messages.
    pub path: PathBuf,
    /// Name that the signature must give its key.
    pub id: Option<String>,
    /// Scope that the signature must have; none: it must have none.
    pub scope: Option<String>,
}

impl VerificationKey {
    /// Reads a public key or a certificate.
    ///
    /// # Errors
    /// When there is none.
    pub fn load(path: &Path, id: Option<String>, scope: Option<String>) -> Result<Self, KeyError> {
        let block = block(path, PUBLIC)?;
        let content = |found: String| KeyError::Content { path: path.to_owned(), found, wanted: PUBLIC };
        let (kind, key) = match block.label.as_str() {
            "PUBLIC KEY" => {
                let (_, info) = SubjectPublicKeyInfo::from_der(&block.contents)
                    .map_err(|e| content(format!("a public key that cannot be read ({e})")))?;
                public(&info).ok_or_else(|| content("a public key of another kind".to_owned()))?
            }
            "CERTIFICATE" => {
                let certificate =
                    block.parse_x509().map_err(|e| content(format!("a certificate that cannot be read ({e})")))?;
                let found = || content("a certificate with a key of another kind".to_owned());
                public(certificate.public_key()).ok_or_else(found)?
            }
            "RSA PUBLIC KEY" => (Kind::Rsa, block.contents),
            label if label.contains("PRIVATE") => {
                return Err(content("a private key, which no server should have".to_owned()));
            }
            label => return Err(content(format!("a block {label:?}"))),
        };
        Ok(Self { kind, key, path: path.to_owned(), id, scope })
    }

    /// Whether this key made the signature. None: an algorithm that is not for this key.
    #[must_use]
    pub fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        let by: &'static dyn VerificationAlgorithm = match (self.kind, algorithm) {
            (Kind::Rsa, "RS256") => &algorithms::RSA_PKCS1_2048_8192_SHA256,
            (Kind::Rsa, "RS384") => &algorithms::RSA_PKCS1_2048_8192_SHA384,
            (Kind::Rsa, "RS512") => &algorithms::RSA_PKCS1_2048_8192_SHA512,
            (Kind::Rsa, "PS256") => &algorithms::RSA_PSS_2048_8192_SHA256,
            (Kind::Rsa, "PS384") => &algorithms::RSA_PSS_2048_8192_SHA384,
            (Kind::Rsa, "PS512") => &algorithms::RSA_PSS_2048_8192_SHA512,
            (Kind::P256, "ES256") => &algorithms::ECDSA_P256_SHA256_FIXED,
            (Kind::P384, "ES384") => &algorithms::ECDSA_P384_SHA384_FIXED,
            _ => return None,
        };
        Some(UnparsedPublicKey::new(by, &self.key).verify(message, signature).is_ok())
    }

    /// The algorithms that it is for.
    #[must_use]
    pub const fn algorithms(&self) -> &'static str {
        match self.kind {
            Kind::Rsa => "RS256, RS384, RS512, PS256, PS384 and PS512",
            Kind::P256 => "ES256",
            Kind::P384 => "ES384",
        }
    }
}

/// Kind and bytes of a public key as the library wants them.
fn public(info: &SubjectPublicKeyInfo<'_>) -> Option<(Kind, Vec<u8>)> {
    let bits = info.subject_public_key.data.to_vec();
    let oid = &info.algorithm.algorithm;
    if *oid == OID_PKCS1_RSAENCRYPTION {
        return Some((Kind::Rsa, bits));
    }
    let curve = info.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
    match curve {
        Some(curve) if *oid == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == OID_EC_P256 => Some((Kind::P256, bits)),
        Some(curve) if *oid == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == OID_NIST_EC_P384 => Some((Kind::P384, bits)),
        _ => None,
    }
}
