//! The command line, as a person or a pipeline uses it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

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
mod docs;
mod editor;
mod exemptions;
mod field;
mod formats;
mod guide;
mod pipelines;
mod rig;
mod schemas;
