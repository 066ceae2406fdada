//! The life of a CA, decided without I/O.
//!
//! A CA is *next* (published in the bundle, signs nothing), then *current* (signs), then *previous* (still published)
//! until it ends. Every client that has any of the bundles of the last minutes therefore trusts every leaf that is
//! served. No peer has this overlap working (reliability.md fact 16), and without it each renewal is an outage.
//!
//! ```text
//! Create ─► current ──AddNext──► current + next ──Promote──► current(new) + previous(old) ──Prune──► current
//! ```
//!
//! All replicas share one stored state and every replica may take any step: a step is one write guarded by the version
//! that was read, so a crash leaves the state before or after it, and of two writers one reads again. What a step may
//! rely on is only the state, the wall clock for dates, and [`Sightings`]: how long *this process* has seen a CA
//! published, by its monotonic clock. A restart or a jump of the wall clock can therefore delay a promotion, never
//! hasten it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::pair::{self, PairError};

/// Why something is not a usable CA.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// It cannot be read.
    #[error("the CA certificate cannot be read")]
    Read(#[from] PairError),
    /// More or less than one certificate.
    #[error("expected one CA certificate, found {0}")]
    Count(usize),
    /// It may not sign certificates.
    #[error("the certificate is not a CA (basicConstraints lacks CA:TRUE)")]
    NotCa,
    /// The key cannot be read.
    #[error("the CA's key cannot be read")]
    Key,
    /// The key is not that of the certificate.
    #[error("the CA's key does not belong to its certificate")]
    Mismatch,
}

/// Names one CA certificate: the beginning of the SHA-256 of its DER form, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaId(Arc<str>);

impl CaId {
    /// The id of a certificate in DER.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
        // rustls names SHA-256 only through its suites; this one is TLS 1.3 by definition
        let digest = suite.tls13().map(|suite| suite.common.hash_provider.hash(der));
        let bytes = digest.as_ref().map_or(der, AsRef::as_ref);
        Self(bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>().into())
    }

    /// The ids of all certificates in a PEM text; empty when it cannot be read.
    #[must_use]
    pub fn of_bundle(pem: &[u8]) -> BTreeSet<Self> {
        pair::chain(pem).unwrap_or_default().iter().map(|der| Self::of(der)).collect()
    }
}

impl fmt::Display for CaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What the decisions need to know of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaInfo {
    /// Which one.
    pub id: CaId,
    /// Unix seconds.
    pub not_before: i64,
    /// Unix seconds.
    pub not_after: i64,
}

impl CaInfo {
    fn is_over(&self, now: i64) -> bool {
        now >= self.not_after
    }
}

/// A CA certificate without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaCertificate {
    /// Id and dates.
    pub info: CaInfo,
    /// One PEM block.
    pub pem: Arc<str>,
}

impl CaCertificate {
    /// Reads exactly one certificate.
    ///
    /// # Errors
    /// [`CaError::Count`] for more or less than one, [`CaError::NotCa`] for a certificate that may not sign.
    pub fn from_pem(pem: &str) -> Result<Self, CaError> {
        let mut all = Self::all_from_pem(pem)?;
        match (all.pop(), all.len()) {
            (Some(one), 0) => Ok(one),
            (_, rest) => Err(CaError::Count(rest.saturating_add(1))),
        }
    }

    /// Reads any number of certificates, none included.
    ///
    /// # Errors
    /// As [`Self::from_pem`], but for the count.
    pub fn all_from_pem(pem: &str) -> Result<Vec<Self>, CaError> {
        if pem.trim().is_empty() {
            return Ok(Vec::new());
        }
        let chain = pair::chain(pem.as_bytes())?;
        chain.iter().map(|der| Self::from_der(der)).collect()
    }

    fn from_der(der: &[u8]) -> Result<Self, CaError> {
        let (_, parsed) = x509_parser::parse_x509_certificate(der)
            .map_err(|source| PairError::Certificate { position: 1, source })?;
        if !parsed.is_ca() {
            return Err(CaError::NotCa);
        }
        let info = CaInfo {
            id: CaId::of(der),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
        };
        Ok(Self { info, pem: to_pem(der) })
    }
}

/// RFC 7468: base64 in lines of 64.
fn to_pem(der: &[u8]) -> Arc<str> {
    use base64::Engine as _;
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for (index, character) in base64::engine::general_purpose::STANDARD.encode(der).chars().enumerate() {
        if index > 0 && index.is_multiple_of(64) {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text.into()
}

/// A private key in PEM that does not show in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPem(Arc<str>);

impl KeyPem {
    /// Wraps a key; space around it does not count.
    #[must_use]
    pub fn new(pem: impl AsRef<str>) -> Self {
        Self(format!("{}\n", pem.as_ref().trim()).into())
    }

    /// The key itself, for signing and for storing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyPem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyPem(…)")
    }
}

/// A CA that can sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// What clients trust.
    pub certificate: CaCertificate,
    /// What signs.
    pub key: KeyPem,
}

impl Authority {
    /// Reads one certificate and checks that the key is its own.
    ///
    /// # Errors
    /// As [`CaCertificate::from_pem`]; [`CaError::Key`] and [`CaError::Mismatch`] for the key. The parser's words on a
    /// key are left out, they can quote it.
    pub fn from_pem(certificate: &str, key: KeyPem) -> Result<Self, CaError> {
        let certificate = CaCertificate::from_pem(certificate)?;
        let signing = rcgen::KeyPair::from_pem(key.expose()).map_err(|_| CaError::Key)?;
        let chain = pair::chain(certificate.pem.as_bytes())?;
        let matches = chain.first().is_some_and(|der| {
            x509_parser::parse_x509_certificate(der)
                .is_ok_and(|(_, parsed)| &*parsed.public_key().subject_public_key.data == signing.public_key_raw())
        });
        if matches { Ok(Self { certificate, key }) } else { Err(CaError::Mismatch) }
    }
}

/// What all replicas share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaState {
    /// Signs.
    pub current: Authority,
    /// Will sign.
    pub next: Option<Authority>,
    /// Has signed.
    pub previous: Vec<CaCertificate>,
    /// Set when the state is created, kept by every other step. Another value means that the state was deleted and made
    /// again, maybe with CAs that were seen before but had no time to be published.
    pub incarnation: Arc<str>,
}

impl CaState {
    /// All certificates that clients must trust: current, next, previous.
    pub fn certificates(&self) -> impl Iterator<Item = &CaCertificate> {
        std::iter::once(&self.current.certificate)
            .chain(self.next.iter().map(|next| &next.certificate))
            .chain(&self.previous)
    }

    /// What the state becomes by a step. `fresh` is the new CA for the steps that make one.
    ///
    /// `known` is the last state that this process has seen: when the stored one was deleted, the CA that replicas are
    /// signing with comes back with it, and a new one starts as *next*. Deleting the Secret is therefore a renewal
    /// without an outage.
    ///
    /// Returns `None` if the step needs something that is not there; then nothing is written.
    #[must_use]
    pub fn apply(
        step: Step,
        stored: Option<&Self>,
        known: Option<&Self>,
        fresh: impl FnOnce() -> Option<Authority>,
    ) -> Option<Self> {
        match (step, stored) {
            (Step::Wait, _) => None,
            (Step::Create, None) => {
                let fresh = fresh()?;
                // unique, because the CA is
                let incarnation = Arc::clone(&fresh.certificate.info.id.0);
                Some(match known {
                    Some(known) => {
                        // the old successor may have been promoted since we looked, so it stays trusted; but it does
                        // not become the successor again, because others may count from when they first saw it as that
                        let mut previous = known.previous.clone();
                        previous.extend(known.next.iter().map(|next| next.certificate.clone()));
                        Self { current: known.current.clone(), next: Some(fresh), previous, incarnation }
                    }
                    None => Self { current: fresh, next: None, previous: Vec::new(), incarnation },
                })
            }
            (Step::Create, Some(_)) | (_, None) => None,
            (Step::AddNext, Some(stored)) => Some(Self { next: Some(fresh()?), ..stored.clone() }),
            (Step::Promote, Some(stored)) => {
                let mut previous = stored.previous.clone();
                previous.push(stored.current.certificate.clone());
                Some(Self { current: stored.next.clone()?, next: None, previous, ..stored.clone() })
            }
            (Step::Replace, Some(stored)) => {
                let mut previous = stored.previous.clone();
                previous.push(stored.current.certificate.clone());
                Some(Self { current: fresh()?, next: None, previous, ..stored.clone() })
            }
            (Step::Prune { now }, Some(stored)) => {
                let mut pruned = stored.clone();
                pruned.previous.retain(|certificate| !certificate.info.is_over(now));
                pruned.next = pruned.next.filter(|next| outlives(next, &stored.current));
                Some(pruned)
            }
        }
    }
}

/// The next thing to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Wait,
    /// There is no state: make one.
    Create,
    /// The current CA has used two thirds of its life: publish its successor.
    AddNext,
    /// The successor is published everywhere: it signs from now on.
    Promote,
    /// The current CA is over and nobody can follow it (the cluster slept for months): start anew.
    Replace,
    /// Drop what has ended, and a successor that would not live longer.
    Prune {
        /// Wall clock of the decision, Unix seconds.
        now: i64,
    },
}

/// Times that the decisions use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Life of a CA; renewed when a third is left.
    pub ca_life: Duration,
    /// Life of a leaf; renewed when a third is left.
    pub leaf_life: Duration,
    /// How long a CA must have been in the stored state before it may sign, where nobody reads back the live
    /// configuration. At least twice the slowest propagation.
    pub publish: Duration,
    /// How long a CA must have been in the live configuration before it may sign; covers the API servers' own caches.
    pub settle: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ca_life: Duration::from_secs(365 * 86_400),
            leaf_life: Duration::from_secs(48 * 3_600),
            publish: Duration::from_secs(600),
            settle: Duration::from_secs(60),
        }
    }
}

/// Since when this process has seen each CA published, in its own monotonic time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sightings {
    incarnation: Option<Arc<str>>,
    stored: BTreeMap<CaId, Duration>,
    /// `None`: nobody reads back the live configuration.
    live: Option<BTreeMap<CaId, Duration>>,
}

impl Sightings {
    /// The stored state was read at `clock`.
    pub fn see_stored(&mut self, clock: Duration, state: &CaState) {
        if self.incarnation.as_ref() != Some(&state.incarnation) {
            self.stored.clear();
            self.incarnation = Some(Arc::clone(&state.incarnation));
        }
        let ids: BTreeSet<CaId> = state.certificates().map(|one| one.info.id.clone()).collect();
        refresh(&mut self.stored, clock, ids);
    }

    /// The live webhook configurations were read at `clock`; `ids` are the CAs that are in each of their bundles.
    pub fn see_live(&mut self, clock: Duration, ids: BTreeSet<CaId>) {
        refresh(self.live.get_or_insert_default(), clock, ids);
    }

    /// Whether the API servers can be taken to trust this CA at `clock`.
    #[must_use]
    pub fn is_published(&self, clock: Duration, id: &CaId, timing: &Timing) -> bool {
        let (seen, wait) = match &self.live {
            Some(live) => (live.get(id), timing.settle),
            None => (self.stored.get(id), timing.publish),
        };
        seen.is_some_and(|since| clock.saturating_sub(*since) >= wait)
    }

    /// Whether this CA is in the live bundles right now; `None` when nobody reads them back.
    #[must_use]
    pub fn is_live(&self, id: &CaId) -> Option<bool> {
        self.live.as_ref().map(|live| live.contains_key(id))
    }
}

/// First sightings last only while the sighting is unbroken.
fn refresh(seen: &mut BTreeMap<CaId, Duration>, clock: Duration, ids: BTreeSet<CaId>) {
    seen.retain(|id, _| ids.contains(id));
    for id in ids {
        seen.entry(id).or_insert(clock);
    }
}

/// What to write next. `now`: wall clock, Unix seconds; `clock`: this process's monotonic time.
#[must_use]
pub fn step(now: i64, clock: Duration, state: Option<&CaState>, sightings: &Sightings, timing: &Timing) -> Step {
    let Some(state) = state else {
        return Step::Create;
    };
    let current = &state.current.certificate.info;
    if state.previous.iter().any(|one| one.info.is_over(now))
        || state.next.as_ref().is_some_and(|next| !outlives(next, &state.current))
    {
        return Step::Prune { now };
    }
    match &state.next {
        Some(next) if current.is_over(now) && !next.certificate.info.is_over(now) => Step::Promote,
        _ if current.is_over(now) => Step::Replace,
        Some(next) if sightings.is_published(clock, &next.certificate.info.id, timing) => Step::Promote,
        None if is_due(current.not_before, current.not_after, now) => Step::AddNext,
        _ => Step::Wait,
    }
}

fn outlives(next: &Authority, current: &Authority) -> bool {
    next.certificate.info.not_after > current.certificate.info.not_after
}

/// Whether two thirds of the time between the dates are over.
#[must_use]
pub fn is_due(not_before: i64, not_after: i64, now: i64) -> bool {
    let (life, left) = (not_after.saturating_sub(not_before), not_after.saturating_sub(now));
    left.saturating_mul(3) <= life
}

/// Whether less than a tenth of the time between the dates is left.
#[must_use]
pub fn is_nearly_over(not_before: i64, not_after: i64, now: i64) -> bool {
    let (life, left) = (not_after.saturating_sub(not_before), not_after.saturating_sub(now));
    left.saturating_mul(10) <= life
}

/// The leaf that a replica serves, as far as decisions go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafInfo {
    /// Who signed it.
    pub issuer: CaId,
    /// Unix seconds.
    pub not_before: i64,
    /// When it is to be renewed, Unix seconds; somewhat different on each replica.
    pub renew_at: i64,
    /// Unix seconds.
    pub not_after: i64,
}

/// Whether a replica should sign itself a new leaf with the current CA now.
#[must_use]
pub fn wants_leaf(
    now: i64,
    clock: Duration,
    serving: Option<&LeafInfo>,
    state: &CaState,
    sightings: &Sightings,
    timing: &Timing,
) -> bool {
    let current = &state.current.certificate.info;
    let Some(serving) = serving else { return true };
    if current.is_over(now) || now < current.not_before {
        // nothing that it could sign would be accepted
        return false;
    }
    if now < serving.not_before {
        // signed while the clock was ahead
        return true;
    }
    if serving.issuer == current.id {
        // a CA about to end gives leaves as short as itself; signing again would change nothing
        return now >= serving.renew_at && serving.not_after < current.not_after;
    }
    // another CA signs now: follow it once clients trust it, or when the own leaf is all but over
    let life = serving.not_after.saturating_sub(serving.not_before);
    let last_chance = serving.not_after.saturating_sub(now).saturating_mul(6) <= life;
    last_chance || sightings.is_published(clock, &current.id, timing)
}

#[cfg(test)]
#[path = "ca_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "ca_model.rs"]
mod model;
