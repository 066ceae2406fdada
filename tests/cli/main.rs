//! The command line, as a person or a pipeline uses it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

mod bench;
mod browser;
mod catalogue;
mod check_embedded;
mod check_errors;
mod check_fix;
mod check_json;
mod check_snapshot;
mod check_stored;
mod check_text;
mod check_versions;
mod checklist;
mod checklist_page;
mod diff;
mod distribution;
mod docs;
mod editor;
mod exemptions;
mod explain;
mod field;
mod formats;
mod guide;
mod import;
mod lint;
mod mutation;
mod pipelines;
mod policy_new;
mod policytest;
mod replay;
mod rig;
mod schemas;
#[path = "../tools/tool.rs"]
mod tool;
