//! Keeps rows whose score is good enough.

use curate_core::{Cut, rank::Direction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{score, shared::score_cut::ScoreCut};
use crate::{
    error::StageError,
    stage::{Method, Problems, Reads, Settings, Source},
};

/// A stage that compares a score with a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ThresholdStage {
    /// The stage's name.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The score stage whose score is compared.
    #[serde(default = "score::name")]
    pub score: String,
    /// Keeps rows with at least this score. Either this or `at-most`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// Keeps rows with at most this score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
}

fn name() -> String {
    "threshold".to_owned()
}

impl Settings for ThresholdStage {
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
        if let Err(problem) = self.limit() {
            wrong.must(false, problem);
        }
        let number = self.at_least.or(self.at_most).unwrap_or(0.0);
        wrong.must(!number.is_nan(), "the threshold must be a number");
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        let limit = self.limit().map_err(|problem| StageError::Problem(problem.to_owned()))?;
        let (cut, better, words) = match limit {
            Limit::AtLeast(least) => (least, Direction::HigherIsBetter, format!("least {least}")),
            Limit::AtMost(most) => (most, Direction::LowerIsBetter, format!("most {most}")),
        };
        Ok(Box::new(ScoreCut {
            score: self.score.clone(),
            cut: Cut::Threshold(cut),
            better,
            rule: "threshold",
            words: format!("keep rows whose {} is at {words}", self.score),
        }))
    }
}

enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl ThresholdStage {
    fn limit(&self) -> Result<Limit, &'static str> {
        match (self.at_least, self.at_most) {
            (Some(least), None) => Ok(Limit::AtLeast(least)),
            (None, Some(most)) => Ok(Limit::AtMost(most)),
            _ => Err("give either `at-least` or `at-most`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(at_least: Option<f64>, at_most: Option<f64>) -> ThresholdStage {
        ThresholdStage { name: name(), from: None, score: score::name(), at_least, at_most }
    }

    #[test]
    fn the_limit_is_put_into_words_and_cut_again_in_its_direction() {
        let least = stage(Some(0.5), None).resolve().unwrap();
        assert_eq!(least.in_words(), "keep rows whose score is at least 0.5");
        assert_eq!(least.numbers().unwrap().better(), Direction::HigherIsBetter);
        let most = stage(None, Some(0.25)).resolve().unwrap();
        assert_eq!(most.in_words(), "keep rows whose score is at most 0.25");
        assert_eq!(most.numbers().unwrap().better(), Direction::LowerIsBetter);
    }

    #[test]
    fn one_limit_is_asked_for() {
        for (least, most) in [(None, None), (Some(1.0), Some(2.0))] {
            let mut wrong = Problems::default();
            stage(least, most).check(&mut wrong);
            assert_eq!(wrong.0, ["give either `at-least` or `at-most`"]);
            assert!(stage(least, most).resolve().is_err());
        }
    }
}
