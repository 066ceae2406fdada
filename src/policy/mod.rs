//! What a policy is: [`metadata`] read from its annotation block, [`matcher`] for requests, [`mode`] for what follows
//! from a violation, [`exemption`] for who is spared, [`bundle`] for files, [`store`] for the compiled set that is served,
//! [`api_versions`] for what is known of old versions of kinds. [`inspect`] and [`declared`] find what is wrong with METADATA, for
//! [`store`] and for `seawall lint`; [`annotation`] has its places.

pub mod annotation;
pub mod api_versions;
pub mod bundle;
pub mod declared;
pub mod exemption;
pub mod files;
pub mod inspect;
pub mod matcher;
pub mod metadata;
pub mod mode;
pub mod store;
