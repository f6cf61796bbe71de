//! Keeps the best fraction of rows.

use curate_core::{Cut, rank::Direction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{score, shared::score_cut::ScoreCut};
use crate::{
    error::StageError,
    stage::{Method, Problems, Reads, Settings, Source, percent},
};

/// A stage that keeps the best fraction of its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FractionStage {
    /// The stage's name.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The score stage whose score decides.
    #[serde(default = "score::name")]
    pub score: String,
    /// The fraction of the stage's rows to keep, rounded down; ties go to the smaller id.
    pub fraction: f64,
    /// Which end of the score is the good one.
    #[serde(default)]
    pub better: Direction,
}

fn name() -> String {
    "fraction".to_owned()
}

impl Settings for FractionStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn sources(&self) -> Vec<Source<'_>> {
        Source::from(self.from.as_deref())
    }

    fn reads(&self) -> Reads<'_> {
        Reads { scores: vec![&self.score], ..Reads::default() }
    }

    fn check(&self, wrong: &mut Problems) {
        wrong.fraction(Some(self.fraction));
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        Ok(Box::new(ScoreCut {
            score: self.score.clone(),
            cut: Cut::Fraction(self.fraction),
            better: self.better,
            rule: "fraction",
            words: format!("keep the best {} % of rows by {}", percent(self.fraction), self.score),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_leaves_at_most_its_share_rounded_down() {
        let stage: FractionStage = toml::from_str("fraction = 0.35").unwrap();
        let fraction = stage.resolve().unwrap();
        assert_eq!(fraction.leaves(10), 3);
        assert_eq!(fraction.in_words(), "keep the best 35 % of rows by score");
    }
}
