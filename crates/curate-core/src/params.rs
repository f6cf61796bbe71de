//! Checked parameters: every violation at once, each with its field, value and allowed range.

use std::borrow::Cow;
use std::fmt;

/// One parameter outside its allowed range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The parameter's name, as the user writes it.
    pub field: Cow<'static, str>,
    /// The value that was given.
    pub value: String,
    /// What is allowed, in words.
    pub allowed: Cow<'static, str>,
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
/// let known = ["a", "b"];
/// check.that(known.contains(&"c"), "pool", "c", format!("one of {}", known.join(", ")));
/// let error = check.finish().unwrap_err();
/// assert_eq!(error.violations.len(), 3);
/// assert!(error.to_string().ends_with("`pool` is c, but must be one of a, b"));
/// ```
#[derive(Default)]
pub struct Checker(Vec<Violation>);

impl Checker {
    /// Records a violation of `field` unless `holds`.
    pub fn that(
        &mut self,
        holds: bool,
        field: impl Into<Cow<'static, str>>,
        value: impl fmt::Display,
        allowed: impl Into<Cow<'static, str>>,
    ) {
        if !holds {
            let (field, allowed) = (field.into(), allowed.into());
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
