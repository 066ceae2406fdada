//! RFC 6902 patches: [`plan`] merges what policies propose, [`json`] applies it with missing parents made, [`record`]
//! remembers what was patched and puts it back on UPDATE.

pub mod json;
pub mod plan;
pub mod record;
