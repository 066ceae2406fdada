//! Tests of the phase machine.
