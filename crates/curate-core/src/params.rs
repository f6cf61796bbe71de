//! Checked parameters: every violation at once, each with its field, value and allowed range.

use std::fmt;

/// One parameter outside its allowed range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The parameter's name, as the user writes it.
    pub field: &'static str,
    /// The value that was given.
    pub value: String,
    /// What is allowed, in words.
    pub allowed: &'static str,
}

/// The parameters of a method are not valid; lists every violation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ParamsError {
    /// All violations found, in declaration order; never empty.
    pub violations: Vec<Violation>,
}

impl fmt::Display for ParamsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, v) in self.violations.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}`{}` is {}, but must be {}", v.field, v.value, v.allowed)?;
        }
        Ok(())
    }
}

/// Collects violations while parameters are checked.
///
/// ```
/// use curate_core::params::Checker;
///
/// let mut check = Checker::default();
/// check.that(0 > 1, "clusters", 0, "at least 1");
/// check.that(false, "epsilon", f32::NAN, "a number from 0 to 2");
/// assert_eq!(check.finish().unwrap_err().violations.len(), 2);
/// ```
#[derive(Default)]
pub struct Checker(Vec<Violation>);

impl Checker {
    /// Records a violation of `field` unless `holds`.
    pub fn that(
        &mut self,
        holds: bool,
        field: &'static str,
        value: impl fmt::Display,
        allowed: &'static str,
    ) {
        if !holds {
            self.0.push(Violation { field, value: value.to_string(), allowed });
        }
    }

    /// Takes over the violations of parameters that are part of these.
    pub fn take<T>(&mut self, checked: Result<T, ParamsError>) {
        if let Err(error) = checked {
            self.0.extend(error.violations);
        }
    }

    /// `Ok` when nothing was violated.
    ///
    /// # Errors
    /// All violations recorded.
    pub fn finish(self) -> Result<(), ParamsError> {
        if self.0.is_empty() { Ok(()) } else { Err(ParamsError { violations: self.0 }) }
    }
}
