//! The examples run, and their numbers are right.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../examples/probe.rs"]
mod probe;

#[test]
fn probe_runs() {
    probe::main().unwrap();
}
