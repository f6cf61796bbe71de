//! Ranges of arguments that several functions take, in the workspace's one vocabulary of wrong
//! parameters.

use crate::span::Span;
use curate_core::ParamsError;
use curate_core::params::Checker;

/// Most draws or starting points: beyond it a slip of the keyboard is likelier than patience.
pub(crate) const MOST_DRAWS: usize = 10_000_000;

/// Refuses a level that is not a probability strictly between 0 and 1.
pub(crate) fn level(level: f64) -> Result<(), ParamsError> {
    let mut check = Checker::default();
    check_level(&mut check, level);
    check.finish()
}

/// As [`level`], beside other checks.
pub(crate) fn check_level(check: &mut Checker, level: f64) {
    check.that(level > 0.0 && level < 1.0, "level", level, "between 0 and 1");
}

/// Refuses a quantity that is not a positive, finite number.
pub(crate) fn check_positive(check: &mut Checker, name: &'static str, value: f64) {
    check.that(value > 0.0 && value.is_finite(), name, value, "a finite number above 0");
}

/// Refuses a range that does not rise from a positive number to a finite one.
pub(crate) fn check_range(check: &mut Checker, range: Span) {
    check_positive(check, "range.low", range.low);
    let rises = range.high > range.low && range.high.is_finite();
    check.that(rises, "range.high", range.high, format!("finite and above {}", range.low));
}

/// Refuses a budget or a level that no question can have.
pub(crate) fn check_question(samples: f64, level: f64) -> Result<(), ParamsError> {
    let mut check = Checker::default();
    check_positive(&mut check, "samples", samples);
    check_level(&mut check, level);
    check.finish()
}
