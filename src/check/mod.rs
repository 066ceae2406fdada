//! `seawall check`: manifests judged as the API server would have them judged.
//!
//! Files become documents ([`document`], [`yaml`], [`json`]) with the place of every field ([`position`]), documents
//! become objects with the API's defaults ([`defaults`]), objects become CREATE requests for `review`.

pub mod defaults;
pub mod document;
pub mod json;
pub mod position;
pub mod scalar;
pub mod yaml;

#[cfg(test)]
mod testing;
#[cfg(test)]
use testing::arbitrary_json;
