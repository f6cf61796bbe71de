//! What a program without training says of a recipe that asks for trainings.

use std::path::Path;

use curate::pipeline::Recipe;

use crate::{failure::Failure, progress::Shown};

/// There is none.
pub(crate) enum Evaluation {}

impl Evaluation {
    /// An error where a recipe asks for trainings, before its run.
    pub(crate) fn of(
        recipe: &Recipe,
        file: &Path,
        _: &Path,
        _: bool,
        _: &Shown,
    ) -> Result<Option<Self>, Failure> {
        match recipe.evaluate {
            None => Ok(None),
            Some(_) => {
                let problem = Failure::NoTraining;
                Err(Failure::Usage(format!("{}: `[evaluate]`: {problem}", file.display())))
            }
        }
    }

    pub(crate) fn carry_out(&self, _: &Shown) -> Result<(), Failure> {
        match *self {}
    }
}
