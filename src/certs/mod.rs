//! The serving certificate: where it comes from, how it is renewed, and which CA bundle clients need for it.
//!
//! | source | module | CA | leaf |
//! | --- | --- | --- | --- |
//! | files (`--tls-cert`, `--tls-key`) | [`files`] | the operator's | the operator's, read again when it changes |
//! | self-made, alone | [`manager`] over memory | in memory | in memory |
//! | self-made, in a cluster | [`manager`] over [`secret`] | one Secret for all replicas | in memory of each replica |
//!
//! [`ca`] decides, without I/O, when a CA is made, published, used and retired; [`issue`] makes certificates; [`pair`]
//! checks them; [`resolver`] serves them. Decisions about expiry use the wall clock, because a monotonic clock stands
//! still while a machine sleeps; waiting times use the monotonic one, because the wall clock can jump.

pub mod ca;
pub mod issue;
pub mod pair;
pub mod resolver;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub use pair::Pair;
pub use resolver::Resolver;
use rustls::crypto::CryptoProvider;

/// The cryptography used everywhere in this program, named explicitly: the process default is global state that a
/// dependency could set otherwise.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The wall clock in Unix seconds.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
