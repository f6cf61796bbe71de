//! Keeps a number of the best rows.

use curate_core::{Cut, rank::Direction};
use curate_report::counted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{score, shared::score_cut::ScoreCut};
use crate::{
    error::StageError,
    stage::{Method, Problems, Reads, Settings, Source},
};

/// A stage that keeps a number of best rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TopStage {
    /// The stage's name.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The score stage whose score decides.
    #[serde(default = "score::name")]
    pub score: String,
    /// Rows to keep; ties go to the smaller id.
    pub count: usize,
    /// Which end of the score is the good one.
    #[serde(default)]
    pub better: Direction,
}

fn name() -> String {
    "top".to_owned()
}

impl Settings for TopStage {
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
        wrong.at_least_one("count", Some(self.count));
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        Ok(Box::new(ScoreCut {
            score: self.score.clone(),
            cut: Cut::Top(self.count),
            better: self.better,
            rule: "top",
            words: format!("keep the best {} by {}", counted(self.count as u64, "row"), self.score),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_leaves_at_most_what_there_is() {
        let stage: TopStage = toml::from_str("count = 7\nbetter = \"lower-is-better\"").unwrap();
        let top = stage.resolve().unwrap();
        assert_eq!((top.leaves(10), top.leaves(3)), (7, 3));
        assert_eq!(top.in_words(), "keep the best 7 rows by score");
        assert_eq!(top.numbers().unwrap().better(), Direction::LowerIsBetter);
    }
}
