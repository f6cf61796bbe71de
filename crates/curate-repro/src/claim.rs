//! A number of a paper, measured again.

use serde::{Deserialize, Serialize};

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
    /// What a paper says of large models, looked for with small ones.
    ScaledDown,
    /// The same, with what was changed after a first look at the answer.
    ScaledDownAfterLook,
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
    /// What the paper says, where it is not the number to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<String>,
}

/// A claim of a paper that cannot be looked at here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutOfReach {
    /// What the paper says.
    pub quoted: String,
    /// Why it is not measured.
    pub why: String,
}

impl Claim {
    /// With what the paper says.
    pub fn quoting(mut self, quoted: impl Into<String>) -> Claim {
        self.quoted = Some(quoted.into());
        self
    }

    /// A number that must be `expected`, give or take `tolerance`.
    pub fn within(
        name: impl Into<String>,
        kind: Kind,
        expected: f64,
        measured: f64,
        tolerance: f64,
    ) -> Claim {
        let passed = (measured - expected).abs() <= tolerance;
        let (name, bar) = (name.into(), Bar::Within);
        Claim { name, kind, bar, expected, measured, tolerance, passed, quoted: None }
    }

    /// A number that may not exceed `expected`.
    pub fn at_most(name: impl Into<String>, kind: Kind, expected: f64, measured: f64) -> Claim {
        let passed = measured <= expected;
        let (name, bar) = (name.into(), Bar::AtMost);
        Claim { name, kind, bar, expected, measured, tolerance: 0.0, passed, quoted: None }
    }

    /// A number that may not be below `expected`.
    pub fn at_least(name: impl Into<String>, kind: Kind, expected: f64, measured: f64) -> Claim {
        let passed = measured >= expected;
        let (name, bar) = (name.into(), Bar::AtLeast);
        Claim { name, kind, bar, expected, measured, tolerance: 0.0, passed, quoted: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_met_or_missed() {
        let within = |measured| Claim::within("w", Kind::Exact, 2.0, measured, 0.5).passed;
        assert!(within(2.5) && within(1.5) && !within(2.6) && !within(f64::NAN));
        let at_most = |measured| Claim::at_most("m", Kind::Found, 2.0, measured).passed;
        assert!(at_most(2.0) && at_most(-9.0) && !at_most(2.1) && !at_most(f64::NAN));
        let at_least = |measured| Claim::at_least("l", Kind::RealData, 2.0, measured).passed;
        assert!(at_least(2.0) && at_least(9.0) && !at_least(1.9) && !at_least(f64::NAN));
    }
}
