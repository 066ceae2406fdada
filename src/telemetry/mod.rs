//! What the running program tells about itself: logs and metrics.
//!
//! Nothing in here decides anything. [`logging`] sets up the subscriber once, in `main`; [`metrics`] is one struct that
//! everybody else calls. Neither may ever carry a key, a Secret or the body of an object.

pub mod audit;
pub mod families;
pub mod labels;
pub mod logging;
pub mod metrics;
pub mod shadow;

pub use metrics::Metrics;
