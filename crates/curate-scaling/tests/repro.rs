//! The published numbers, and the coverage of intervals.

#![allow(clippy::unwrap_used)]

use curate_scaling::repro::{Kind, coverage, quick_claims};
use std::path::Path;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"))
}

#[test]
fn every_quick_claim_holds() {
    let claims = quick_claims(folder()).unwrap();
    let missed: Vec<_> = claims.iter().filter(|c| !c.passed).collect();
    assert!(missed.is_empty(), "{missed:#?}");
    let of = |kind| claims.iter().filter(|c| c.kind == kind).count();
    assert_eq!((of(Kind::Exact), of(Kind::Found)), (11, 4));
    assert_eq!((of(Kind::RealData), of(Kind::RealDataAfterLook)), (14, 2));
}

#[test]
fn a_missing_folder_is_named() {
    let message = quick_claims(Path::new("no/such/folder")).unwrap_err().to_string();
    assert!(message.contains("no/such/folder"), "{message}");
}

/// The documented statement: covariance intervals of every parameter and prediction of the case
/// hold the truth in 85 to 95 % of tables.
#[test]
fn covariance_intervals_cover() {
    for row in coverage(500, 0).unwrap() {
        let held = (0.85..=0.95).contains(&row.covariance);
        assert!(held, "{}: {}", row.quantity, row.covariance);
        assert_eq!(row.bootstrap, None);
    }
}
