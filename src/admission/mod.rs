//! AdmissionReview on the wire: [`request`] reads it, [`response`] answers it.
//!
//! Objects stay raw JSON, so that fields newer than this program are kept (never a typed round trip).

pub mod pointer;
pub mod request;
