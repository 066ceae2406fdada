//! Tests of manager.
