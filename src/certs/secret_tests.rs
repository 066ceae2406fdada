//! Tests of secret.
