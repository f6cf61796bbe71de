//! The published and measured numbers that this crate must reproduce, each as a [`Claim`].
//!
//! The folder that the functions take is `tests/data` of this crate; its `PROVENANCE.md` says
//! where every number comes from. Expected values and tolerances are fixed here; the measured
//! values are computed from the folder each time.

mod coverage;
mod data;
mod data_constrained;
mod qqt;
mod real;

pub use coverage::{Coverage, coverage};
pub use data::{
    clip, datablations, dmsl, gadre, openclip_series, regmix_test, regmix_train, synthetic,
};

use crate::error::ScalingError;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How a measured number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    /// `|measured - expected| <= tolerance`.
    Within,
    /// `measured <= expected`.
    AtMost,
    /// `measured >= expected`.
    AtLeast,
}

/// What kind of evidence a claim is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The same inputs give the same numbers as the released code or the paper.
    Exact,
    /// The search finds an optimum at least as good as a known one.
    Found,
    /// Accuracy on published measurements.
    RealData,
    /// The same, where a choice was made after a first look at the answer: the name says which.
    RealDataAfterLook,
    /// Frequencies over synthetic data of known truth.
    Coverage,
}

/// One number to reproduce.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// What is measured, and in which unit.
    pub name: String,
    /// What kind of evidence it is.
    pub kind: Kind,
    /// How it is compared.
    pub bar: Bar,
    /// The number to compare with.
    pub expected: f64,
    /// The number measured now.
    pub measured: f64,
    /// Allowed difference, for [`Bar::Within`].
    pub tolerance: f64,
    /// Whether the bar is met.
    pub passed: bool,
}

impl Claim {
    fn new(
        name: impl Into<String>,
        kind: Kind,
        bar: Bar,
        expected: f64,
        measured: f64,
        tolerance: f64,
    ) -> Claim {
        let passed = match bar {
            Bar::Within => (measured - expected).abs() <= tolerance,
            Bar::AtMost => measured <= expected,
            Bar::AtLeast => measured >= expected,
        };
        Claim { name: name.into(), kind, bar, expected, measured, tolerance, passed }
    }

    fn within(
        name: impl Into<String>,
        kind: Kind,
        expected: f64,
        got: f64,
        tolerance: f64,
    ) -> Claim {
        Claim::new(name, kind, Bar::Within, expected, got, tolerance)
    }

    fn at_most(name: impl Into<String>, kind: Kind, expected: f64, got: f64) -> Claim {
        Claim::new(name, kind, Bar::AtMost, expected, got, 0.0)
    }

    fn at_least(name: impl Into<String>, kind: Kind, expected: f64, got: f64) -> Claim {
        Claim::new(name, kind, Bar::AtLeast, expected, got, 0.0)
    }
}

/// Every claim. The coverage study is the slow part; [`quick_claims`] leaves it out.
///
/// # Errors
/// Missing or unreadable files in the folder.
pub fn claims(folder: &Path) -> Result<Vec<Claim>, ScalingError> {
    let mut all = quick_claims(folder)?;
    all.extend(coverage::claims()?);
    Ok(all)
}

/// Every claim but the coverage study.
///
/// # Errors
/// Missing or unreadable files in the folder.
pub fn quick_claims(folder: &Path) -> Result<Vec<Claim>, ScalingError> {
    let mut all = qqt::claims(folder)?;
    all.extend(data_constrained::claims(folder)?);
    all.extend(real::claims(folder)?);
    Ok(all)
}
