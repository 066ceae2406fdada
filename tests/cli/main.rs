//! The command line, as a person or a pipeline uses it.

mod check_errors;
mod check_json;
mod check_stored;
mod check_text;
mod rig;
