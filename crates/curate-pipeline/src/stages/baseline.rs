//! DataComp's baselines on the rows of a pool.

use std::path::{Path, PathBuf};

use curate_baselines::{
    Arch, Baseline, BaselineName, BaselineParams, FEATURES, MorphyRule, Rule, ScoreFloor, Verdict,
    Verdicts,
};
use curate_core::Selection;
use curate_io::Pool;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::baseline_rows::Columns;
use crate::{
    Error,
    error::StageError,
    record::{Outcome, StageRecord},
    rows::StageRows,
    stage::{
        Context, Cost, Method, Problems, Reads, Settings, Source, anchored, is_default, percent,
        told,
    },
};

/// A stage that keeps the rows that one of DataComp's baselines keeps (arXiv 2304.14108): the same
/// rules as `curate baseline`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BaselineStage {
    /// The stage's name.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The baseline, as DataComp names it.
    pub rule: BaselineName,
    /// Whose CLIP score is cut, for `clip_score` and `image_based_intersect_clip_score`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// Keeps rows of at least this score. Either this or `fraction`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Keeps rows of at least the score at place `floor(fraction * rows)` from the top, counted
    /// from 0, ties included. The rows are those that the stage was given; where that is the whole
    /// pool, with the rows that were set aside when it was read, as DataComp counts. For
    /// `random_subset` the share to draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// A fastText model that names languages, such as lid.176.bin. Left out, a built-in identifier
    /// of 16 languages is used, which gives another subset. A relative path starts at the recipe's
    /// folder, as all paths here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language_model: Option<PathBuf>,
    /// WordNet 3.0's folder, for `text_based`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wordnet: Option<PathBuf>,
    /// The WordNet ids to look for, one a line, for `text_based`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_ids: Option<PathBuf>,
    /// How words are brought to their base form, for `text_based`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub morphy: MorphyRule,
    /// Centroids of the pool's ViT-L/14 image features, an npy file, for `image_based`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centroids: Option<PathBuf>,
    /// ViT-L/14 features of the images wanted, an npy file, for `image_based`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_features: Option<PathBuf>,
}

fn name() -> String {
    "baseline".to_owned()
}

impl Settings for BaselineStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn sources(&self) -> Vec<Source<'_>> {
        Source::from(self.from.as_deref())
    }

    fn reads(&self) -> Reads<'_> {
        let features = self.rule.reads_features().then_some(FEATURES);
        Reads {
            embeddings: features.into_iter().collect(),
            columns: self.params(0).check().map_or(vec![], |baseline| baseline.rule().columns()),
            files: self.files().into_iter().flatten().map(PathBuf::as_path).collect(),
            ..Reads::default()
        }
    }

    fn check(&self, wrong: &mut Problems) {
        match self.params(0).check() {
            Ok(baseline) => {
                for parameter in baseline.unnamed() {
                    wrong.must(false, &format!("{} needs `{parameter}`", self.rule));
                }
            }
            Err(error) => wrong.must(false, &format!("{}: {error}", self.rule)),
        }
    }

    fn anchor(&mut self, folder: &Path) {
        self.files_mut().for_each(|path| *path = anchored(folder, path));
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        Ok(Box::new(Filter { baseline: self.params(0).check()?, stage: self.clone() }))
    }
}

impl BaselineStage {
    /// As the baselines take it, with the recipe's seed.
    fn params(&self, seed: u64) -> BaselineParams {
        type With<T> = fn(BaselineParams, T) -> BaselineParams;
        fn with<T: Clone>(
            params: BaselineParams,
            value: &Option<T>,
            set: With<T>,
        ) -> BaselineParams {
            match value {
                Some(value) => set(params, value.clone()),
                None => params,
            }
        }
        let seed = (self.rule == BaselineName::RandomSubset).then_some(seed);
        let params = BaselineParams::new(self.rule).morphy(self.morphy);
        let params = with(params, &self.arch, BaselineParams::arch);
        let params = with(params, &self.threshold, BaselineParams::threshold);
        let params = with(params, &self.fraction, BaselineParams::fraction);
        let params = with(params, &seed, BaselineParams::seed);
        let params = with(params, &self.language_model, BaselineParams::language_model);
        let params = with(params, &self.wordnet, BaselineParams::wordnet);
        let params = with(params, &self.entity_ids, BaselineParams::entity_ids);
        let params = with(params, &self.centroids, BaselineParams::centroids);
        with(params, &self.target_features, BaselineParams::target_features)
    }

    /// The files and folders that it names.
    fn files(&self) -> [&Option<PathBuf>; 5] {
        [
            &self.language_model,
            &self.wordnet,
            &self.entity_ids,
            &self.centroids,
            &self.target_features,
        ]
    }

    fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let files = [
            &mut self.language_model,
            &mut self.wordnet,
            &mut self.entity_ids,
            &mut self.centroids,
            &mut self.target_features,
        ];
        files.into_iter().flatten()
    }
}

/// A baseline whose settings fit its rule.
struct Filter {
    stage: BaselineStage,
    /// With the seed 0: only its execution knows the recipe's.
    baseline: Baseline,
}

/// What a baseline tells.
#[derive(Default, Serialize, Deserialize)]
struct BaselineTold {
    /// The score at the place of the fraction, or the threshold itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    /// The model that named languages: its path, or that of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    language: Option<String>,
}

/// What names languages where no model is given.
const BUILT_IN: &str = "built-in";

impl Method for Filter {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let baseline = self.stage.params(context.seed).check()?;
        let loaded = baseline.read_inputs()?;
        let columns = Columns::read(baseline.rule(), context.pool)?;
        let given = columns.parts(context.input)?;
        let floor = if context.input == context.earlier.pool() {
            // DataComp counts every row of the pool, those with faults included.
            let all = Selection::all(context.pool.len());
            baseline.floor(&columns.parts(&all)?, context.progress)?
        } else {
            baseline.floor(&given, context.progress)?
        };
        let verdicts = baseline.run_from(&given, floor, &loaded.inputs(), context.progress)?;
        let model = self.stage.language_model.as_ref().map(|model| model.display().to_string());
        let language = model.unwrap_or_else(|| BUILT_IN.to_owned());
        let language = self.stage.rule.asks_language().then_some(language);
        Ok(Outcome::new(judged(context.input, &verdicts))
            .telling(&BaselineTold { threshold: floor, language }))
    }

    fn in_words(&self) -> String {
        let rows = match *self.baseline.rule() {
            Rule::NoFilter => "all rows".to_owned(),
            Rule::RandomSubset { fraction, .. } => {
                format!("a random {} % of the ids", percent(fraction))
            }
            Rule::BasicFilter => {
                "rows with an English caption of more than 2 words and 5 characters and an image of \
                 at least 200 pixels a side, aspect at most 3"
                    .to_owned()
            }
            Rule::ClipScore { arch, floor } => format!("rows {}", floor_in_words(arch, floor)),
            Rule::Laion2b => {
                "rows with an English caption and a ViT-B/32 score of at least 0.28".to_owned()
            }
            Rule::TextBased => "rows whose English caption names an entity".to_owned(),
            Rule::ImageBased => "rows whose image falls into a wanted cluster".to_owned(),
            Rule::ImageBasedIntersectClipScore { arch, floor } => {
                let good = floor_in_words(arch, floor);
                format!("rows {good} whose image falls into a wanted cluster")
            }
        };
        format!("keep {rows} (DataComp's {})", self.stage.rule)
    }

    fn cost(&self, rows: usize, _: &Pool) -> Result<Cost, Error> {
        // A verdict for each, and which rows of each shard are judged.
        Ok(Cost { memory: 80 * rows as u64, ..Cost::default() })
    }

    fn explain(&self, value: Option<f64>, threshold: Option<f64>) -> Option<String> {
        value.map(|_| format!("found {}, limit {}", told(value), told(threshold)))
    }

    fn notes(&self, record: &StageRecord) -> Result<Vec<String>, Error> {
        let language = record.told::<BaselineTold>()?.and_then(|told| told.language);
        if language.as_deref() != Some(BUILT_IN) {
            return Ok(vec![]);
        }
        let note = "languages were named by the built-in identifier of 16 languages; DataComp's \
                    subset needs `language-model`";
        Ok(vec![note.to_owned()])
    }
}

fn floor_in_words(arch: Arch, floor: ScoreFloor) -> String {
    let network = if arch == Arch::B32 { "ViT-B/32" } else { "ViT-L/14" };
    match floor {
        ScoreFloor::Threshold(least) => format!("whose {network} score is at least {least}"),
        ScoreFloor::Fraction(share) => {
            format!("of the best {} % by {network} score", percent(share))
        }
    }
}

/// The verdicts as a stage's rows.
fn judged(input: &Selection, verdicts: &Verdicts) -> StageRows {
    let mut rows = StageRows::new(input);
    let verdicts = verdicts.rows();
    if verdicts.iter().any(|verdict| verdict.cluster.is_some()) {
        rows.cluster = verdicts.iter().map(|verdict| verdict.cluster).collect();
    }
    let numbers = |of: fn(&Verdict) -> Option<f64>| -> Vec<f64> {
        verdicts.iter().map(|verdict| of(verdict).unwrap_or(f64::NAN)).collect()
    };
    rows.value = numbers(|verdict| verdict.value).into();
    rows.threshold = numbers(|verdict| verdict.threshold).into();
    for (position, verdict) in verdicts.iter().enumerate() {
        if let Some(reason) = verdict.dropped {
            rows.remove(position, reason.rule());
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_says_what_it_reads_and_what_is_wrong_with_it() {
        let image = "rule = \"image_based\"\ncentroids = \"c.npy\"\ntarget-features = \"t.npy\"";
        let mut stage: BaselineStage = toml::from_str(image).unwrap();
        stage.anchor(Path::new("/recipes"));
        let reads = stage.reads();
        assert_eq!(reads.embeddings, [FEATURES]);
        assert_eq!(reads.files, [Path::new("/recipes/c.npy"), Path::new("/recipes/t.npy")]);
        let stage: BaselineStage = toml::from_str("rule = \"clip_score\"").unwrap();
        let mut wrong = Problems::default();
        stage.check(&mut wrong);
        assert_eq!(wrong.0.len(), 1, "{:?}", wrong.0);
    }
}
