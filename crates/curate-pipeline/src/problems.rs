//! What is wrong with a stage of a recipe.

use curate_core::ParamsError;

/// What is wrong with a stage, collected while it is checked.
#[derive(Default)]
pub(crate) struct Problems(pub(crate) Vec<String>);

impl Problems {
    pub(crate) fn must(&mut self, holds: bool, what: &str) {
        if !holds {
            self.0.push(what.to_owned());
        }
    }

    /// What a method says of its parameters, under the keys that recipes have for them.
    pub(crate) fn violations(&mut self, error: &ParamsError, key: impl Fn(&str) -> String) {
        for violation in &error.violations {
            let allowed = violation.allowed.trim_start_matches("a number ");
            let key = key(&violation.field.replace('_', "-"));
            self.0.push(format!("`{key}` must be {allowed}, not {}", violation.value));
        }
    }

    /// A share of rows to keep.
    pub(crate) fn fraction(&mut self, fraction: Option<f64>) {
        let holds = fraction.is_none_or(|share| share > 0.0 && share <= 1.0);
        self.must(holds, "`fraction` must be above 0 and at most 1: 0.3 keeps 30 %");
    }

    /// A number of rows, clusters or the like.
    pub(crate) fn at_least_one(&mut self, key: &str, count: Option<usize>) {
        self.must(count != Some(0), &format!("`{key}` must be at least 1"));
    }
}
