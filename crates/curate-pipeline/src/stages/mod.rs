//! The kinds of stages, one file each.

mod against;
mod baseline;
mod classifier;
mod cluster;
mod combine;
mod dedup;
mod fraction;
mod neg_clip_loss;
mod norm_sim;
mod prune;
mod rank;
mod score;
mod shared;
mod threshold;
mod top;

use std::path::Path;

use curate_device::DeviceName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    stage::{Method, Settings, Source},
};

pub(crate) use shared::given_clusters::of_stage as clusters_of_stage;

pub use against::DedupAgainstStage;
pub use baseline::BaselineStage;
pub use classifier::ClassifierStage;
pub use cluster::ClusterStage;
pub use combine::{CombineStage, Op};
pub use dedup::{DedupMode, SemanticDedupStage};
pub use fraction::FractionStage;
pub use neg_clip_loss::NegClipLossStage;
pub use norm_sim::{NormSimStage, SimilarityNorm};
pub use prune::ConceptPruneStage;
pub use rank::{RankStage, RankedScore};
pub use score::ScoreStage;
pub use shared::{alternative::ClusterMethod, by_id::Repeated, clustering::KMeansRecipe};
pub use threshold::ThresholdStage;
pub use top::TopStage;

/// Makes the list of kinds: what recipes are read as, their schema, and the way from a stage to what
/// its file says of it.
macro_rules! stages {
    ($($(#[$words:meta])* $kind:literal => $variant:ident($settings:ty),)*) => {
        /// One stage of a recipe.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "kind")]
        #[non_exhaustive]
        pub enum Stage {
            $($(#[$words])* #[serde(rename = $kind)] $variant($settings),)*
        }

        impl Stage {
            /// The kinds, as recipes write them.
            pub const KINDS: &[&str] = &[$($kind),*];

            /// The kind, as recipes write it.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $kind,)*
                }
            }

            pub(crate) fn settings(&self) -> &dyn Settings {
                match self {
                    $(Self::$variant(settings) => settings,)*
                }
            }

            fn settings_mut(&mut self) -> &mut dyn Settings {
                match self {
                    $(Self::$variant(settings) => settings,)*
                }
            }

            /// Reads a stage from its table without `kind`. The derived reader of the whole would do, but
            /// for errors that do not name the key.
            pub(crate) fn read(kind: &str, table: toml::Value) -> Result<Self, toml::de::Error> {
                match kind {
                    $($kind => table.try_into().map(Self::$variant),)*
                    _ => Err(serde::de::Error::unknown_variant(kind, Self::KINDS)),
                }
            }
        }

        $(impl From<$settings> for Stage {
            fn from(settings: $settings) -> Self {
                Self::$variant(settings)
            }
        })*
    };
}

stages! {
    /// Gives every row a score. Removes only rows that cannot be scored.
    "score" => Score(ScoreStage),
    /// Keeps rows whose score is good enough.
    "threshold" => Threshold(ThresholdStage),
    /// Keeps the best fraction of rows.
    "fraction" => Fraction(FractionStage),
    /// Keeps a number of best rows.
    "top" => Top(TopStage),
    /// Removes rows that mean the same as a preferred row (SemDeDup, arXiv 2303.09540).
    "semantic-dedup" => SemanticDedup(SemanticDedupStage),
    /// Keeps more rows of complex concepts than of simple ones (arXiv 2401.04578).
    "concept-prune" => ConceptPrune(ConceptPruneStage),
    /// Combines the rows of other stages or of subset files.
    "combine" => Combine(CombineStage),
    /// Keeps the rows that one of DataComp's baselines keeps (arXiv 2304.14108).
    "baseline" => Baseline(BaselineStage),
    /// Scores pairs by their cosine minus what both share with all others (arXiv 2405.19547).
    "neg-clip-loss" => NegClipLoss(NegClipLossStage),
    /// Scores rows by their similarity to a target set (arXiv 2405.19547).
    "norm-sim" => NormSim(NormSimStage),
    /// Scores rows by how much a classifier takes them for good samples (arXiv 2309.17425).
    "classifier" => Classifier(ClassifierStage),
    /// Scores rows by the weighted mean of their ranks in several scores.
    "rank" => Rank(RankStage),
    /// Clusters rows, for later stages to share.
    "cluster" => Cluster(ClusterStage),
    /// Removes rows that are near to a reference: what is kept already, or an evaluation set.
    "dedup-against" => DedupAgainst(DedupAgainstStage),
}

impl Stage {
    /// The stage's name.
    pub fn name(&self) -> &str {
        self.settings().name()
    }

    /// Clusters on another device; does nothing to a stage that does not cluster.
    pub fn set_device(&mut self, device: DeviceName) {
        self.settings_mut().set_device(device);
    }

    /// The score stages that this stage reads.
    pub fn scores(&self) -> Vec<&str> {
        self.settings().reads().scores
    }

    /// Where it takes its rows from.
    pub(crate) fn sources(&self) -> Vec<Source<'_>> {
        self.settings().sources()
    }

    /// Lets the relative paths that it names start at a folder.
    pub(crate) fn anchor(&mut self, folder: &Path) {
        self.settings_mut().anchor(folder);
    }

    /// With everything that the recipe left open filled in, now that the number of rows is known.
    pub(crate) fn completed(&self, rows: usize) -> Self {
        let mut stage = self.clone();
        if let Some(device) = self.settings().reads().device {
            stage.set_device(device.resolve());
        }
        stage.settings_mut().complete(rows);
        stage
    }

    /// The completed stage without open questions.
    pub(crate) fn resolve(&self) -> Result<Box<dyn Method>, Error> {
        self.settings().resolve().map_err(|e| e.in_stage(self.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_under_the_name_that_it_is_written_under() {
        let stage = Stage::read("top", toml::toml! { count = 3 }.into()).unwrap();
        let written = toml::Value::try_from(&stage).unwrap();
        assert_eq!(written["kind"].as_str(), Some(stage.kind()));
        assert_eq!(written.try_into::<Stage>().unwrap(), stage);
        for kind in Stage::KINDS {
            let empty = Stage::read(kind, toml::Table::new().into());
            let unknown = empty.err().is_some_and(|e| e.to_string().contains("unknown variant"));
            assert!(!unknown, "{kind} is in the list and has a reader");
        }
        let error = Stage::read("sort", toml::Table::new().into()).unwrap_err().to_string();
        assert!(error.starts_with("unknown variant `sort`, expected one of `score`"), "{error}");
    }
}
