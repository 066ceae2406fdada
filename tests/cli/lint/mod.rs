//! `seawall lint`: every code by the examples of its page, the embedded policies, hostile files, and what a person reads.

mod embedded;
mod examples;
mod hostile;
mod metadata;
mod output;
mod pages;
