//! The stage that filters by one of DataComp's baselines.

use std::path::PathBuf;

use curate_baselines::{Arch, BaselineName, BaselineParams, MorphyRule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;

/// A stage that keeps the rows that one of DataComp's baselines keeps (arXiv 2304.14108): the same
/// rules as `curate baseline`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BaselineStage {
    /// The stage's name.
    #[serde(default = "defaults::baseline")]
    pub name: String,
    /// The stage whose rows it takes; left out, the one before.
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
    #[serde(default, skip_serializing_if = "defaults::is_default")]
    pub morphy: MorphyRule,
    /// Centroids of the pool's ViT-L/14 image features, an npy file, for `image_based`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centroids: Option<PathBuf>,
    /// ViT-L/14 features of the pictures wanted, an npy file, for `image_based`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_features: Option<PathBuf>,
}

impl BaselineStage {
    /// As the baselines take it, with the recipe's seed.
    pub(crate) fn params(&self, seed: u64) -> BaselineParams {
        type With<T> = fn(BaselineParams, T) -> BaselineParams;
        fn with<T: Clone>(
            params: BaselineParams,
            value: &Option<T>,
            set: With<T>,
        ) -> BaselineParams {
            value.clone().map_or_else(|| params.clone(), |value| set(params.clone(), value))
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
    pub(super) fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
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
