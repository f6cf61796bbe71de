//! One score from the ranks of several.

use curate_core::{ScoreColumn, rank::Direction};
use curate_dfn::filter::ensemble::{Member, by_rank};
use curate_io::Pool;
use curate_report::Section;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::score_section;
use crate::{
    Error,
    error::StageError,
    page::Page,
    record::Outcome,
    rows::StageRows,
    stage::{Context, Cost, Done, Gives, Method, Numbers, Problems, Reads, Settings, Source, told},
};

/// A stage that scores rows by the weighted mean of their ranks in several scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RankStage {
    /// The stage's name; later stages name the score by it.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The scores. A row that one of them lacks is set aside.
    pub of: Vec<RankedScore>,
}

/// A score that is ranked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RankedScore {
    /// The score stage.
    pub score: String,
    /// How much its ranks count, against the others' weights.
    #[serde(default = "one")]
    pub weight: f64,
    /// Which end of the score is the good one.
    #[serde(default)]
    pub better: Direction,
}

fn name() -> String {
    "rank".to_owned()
}

fn one() -> f64 {
    1.0
}

impl Settings for RankStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn sources(&self) -> Vec<Source<'_>> {
        Source::from(self.from.as_deref())
    }

    fn reads(&self) -> Reads<'_> {
        Reads { scores: self.of.iter().map(|of| &*of.score).collect(), ..Reads::default() }
    }

    fn gives(&self) -> Gives {
        Gives::Score
    }

    fn check(&self, wrong: &mut Problems) {
        wrong.must(!self.of.is_empty(), "`of` must name at least one score");
        for RankedScore { score, weight, .. } in &self.of {
            let holds = weight.is_finite() && *weight > 0.0;
            wrong.must(holds, &format!("`weight` of `{score}` must be a number above 0"));
        }
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        Ok(Box::new(self.clone()))
    }
}

/// Its settings leave nothing open.
impl Method for RankStage {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let scores =
            self.of.iter().map(|of| context.score(&of.score)).collect::<Result<Vec<_>, _>>()?;
        let scores: Vec<Vec<f64>> = scores.iter().map(ScoreColumn::to_vec).collect();
        let members: Vec<Member<'_, f64>> = scores
            .iter()
            .zip(&self.of)
            .map(|(scores, of)| Member { scores, direction: of.better, weight: of.weight })
            .collect();
        let mut rows = StageRows::new(context.input);
        rows.value = by_rank(&members)?.into();
        rows.set_unscored_aside();
        Ok(Outcome::new(rows))
    }

    fn in_words(&self) -> String {
        let weight = |of: &RankedScore| match of.weight {
            1.0 => of.score.clone(),
            weight => format!("{} (weight {weight})", of.score),
        };
        let scores: Vec<String> = self.of.iter().map(weight).collect();
        format!("score each row by its mean rank in {}", scores.join(", "))
    }

    fn cost(&self, rows: usize, _: &Pool) -> Result<Cost, Error> {
        // Each score, its order and its ranks, one score after the other.
        let memory = rows * (8 * self.of.len() + 8 + 8 + 8);
        let compared = rows as f64 * (rows.max(2) as f64).log2() * self.of.len() as f64;
        Ok(Cost { memory: memory as u64, operations: compared, ..Cost::default() })
    }

    fn explain(&self, value: Option<f64>, _: Option<f64>) -> Option<String> {
        Some(format!("mean rank {}, from 0 (worst) to 1 (best)", told(value)))
    }

    fn numbers(&self) -> Option<Numbers> {
        Some(Numbers::Scores(Direction::HigherIsBetter))
    }

    fn report(&self, page: &Page<'_>, done: &Done<'_>) -> Result<Vec<Section>, Error> {
        Ok(vec![score_section::section(page, done, &self.in_words())?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_checked_and_put_into_words() {
        let of = "of = [{ score = \"clip\" }, { score = \"beauty\", weight = 2.5 }]";
        let stage: RankStage = toml::from_str(of).unwrap();
        assert_eq!(stage.reads().scores, ["clip", "beauty"]);
        let words = "score each row by its mean rank in clip, beauty (weight 2.5)";
        assert_eq!(stage.resolve().unwrap().in_words(), words);
        let stage: RankStage = toml::from_str(&of.replace("2.5", "-1.0")).unwrap();
        let mut wrong = Problems::default();
        stage.check(&mut wrong);
        assert_eq!(wrong.0, ["`weight` of `beauty` must be a number above 0"]);
    }
}
