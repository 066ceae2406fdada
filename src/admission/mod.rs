//! AdmissionReview on the wire: [`request`] reads it, [`expand`] finds the parts in it, [`response`] answers it.
//!
//! Objects stay raw JSON, so that fields newer than this program are kept (never a typed round trip).

pub mod expand;
pub mod pointer;
pub mod request;
pub mod response;
