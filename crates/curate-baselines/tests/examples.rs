//! The examples run, and their numbers are right.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../examples/clip_score.rs"]
mod clip_score;

#[test]
fn clip_score_runs() {
    clip_score::main().unwrap();
}
