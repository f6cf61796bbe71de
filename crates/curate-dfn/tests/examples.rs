//! The examples run, and their numbers are right.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../examples/filter_pool.rs"]
mod filter_pool;

#[test]
fn filter_pool_runs() {
    filter_pool::main().unwrap();
}
