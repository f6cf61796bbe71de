//! The examples run, and what they assert holds.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../examples/k_means.rs"]
mod k_means;

#[test]
fn k_means_runs() {
    k_means::main().unwrap();
}
