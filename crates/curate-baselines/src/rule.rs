//! DataComp's rules by name, with the numbers that each needs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The columns of image sizes.
pub(crate) const SIZES: [&str; 2] = ["original_width", "original_height"];

/// Which CLIP model's score or features to read.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// ViT-B/32.
    B32,
    /// ViT-L/14.
    L14,
}

impl Arch {
    /// The metadata's column with this model's scores.
    pub fn score_column(self) -> &'static str {
        match self {
            Self::B32 => "clip_b32_similarity_score",
            Self::L14 => "clip_l14_similarity_score",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::B32 { "b32" } else { "l14" })
    }
}

/// The score from which rows stay.
///
/// This is not a [`curate_core::Cut`], which keeps an exact number of rows and breaks ties by id: DataComp's
/// fraction names a *score*, and every row of at least that score stays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreFloor {
    /// This score.
    Threshold(f64),
    /// The score at place `floor(fraction * N)` from the top, counted from 0: ties, and the row at that
    /// place itself, make the rows that stay more than the fraction.
    Fraction(f64),
}

/// The baselines, as DataComp names them.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaselineName {
    /// Every row.
    NoFilter,
    /// A seeded share of the ids.
    RandomSubset,
    /// English captions of enough words, images of enough pixels.
    BasicFilter,
    /// A good enough CLIP score.
    ClipScore,
    /// English captions with a ViT-B/32 score of at least 0.28.
    Laion2b,
    /// English captions that name an entity of a list.
    TextBased,
    /// Images in the clusters of ImageNet's.
    ImageBased,
    /// Both `image_based` and `clip_score`.
    ImageBasedIntersectClipScore,
}

impl BaselineName {
    /// Every baseline.
    pub const ALL: [Self; 8] = [
        Self::NoFilter,
        Self::RandomSubset,
        Self::BasicFilter,
        Self::ClipScore,
        Self::Laion2b,
        Self::TextBased,
        Self::ImageBased,
        Self::ImageBasedIntersectClipScore,
    ];

    pub(crate) fn cuts_score(self) -> bool {
        matches!(self, Self::ClipScore | Self::ImageBasedIntersectClipScore)
    }

    /// Whether the rule looks at images, by the embedding [`FEATURES`](crate::FEATURES).
    pub fn reads_features(self) -> bool {
        matches!(self, Self::ImageBased | Self::ImageBasedIntersectClipScore)
    }

    /// Whether the rule asks for a caption's language.
    pub fn asks_language(self) -> bool {
        !matches!(self, Self::NoFilter | Self::RandomSubset | Self::ClipScore)
    }
}

impl fmt::Display for BaselineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoFilter => "no_filter",
            Self::RandomSubset => "random_subset",
            Self::BasicFilter => "basic_filter",
            Self::ClipScore => "clip_score",
            Self::Laion2b => "laion2b",
            Self::TextBased => "text_based",
            Self::ImageBased => "image_based",
            Self::ImageBasedIntersectClipScore => "image_based_intersect_clip_score",
        })
    }
}

/// A rule with its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Rule {
    /// Every row.
    NoFilter,
    /// A share of the ids, drawn by a hash of seed and id: a row's fate does not depend on the
    /// others, and all occurrences of an id share it. DataComp's code has no such baseline.
    RandomSubset {
        /// The share, from 0 to 1.
        fraction: f64,
        /// The seed.
        seed: u64,
    },
    /// English captions of more than 2 words and 5 characters, images of at least 200 pixels a
    /// side and an aspect ratio of at most 3.
    BasicFilter,
    /// A good enough CLIP score.
    ClipScore {
        /// The model.
        arch: Arch,
        /// What is good enough.
        floor: ScoreFloor,
    },
    /// English captions with a ViT-B/32 score of at least 0.28.
    Laion2b,
    /// English captions with a word whose first synset is in a list.
    TextBased,
    /// Acceptable captions whose image falls into a cluster that ImageNet's images fall into too.
    ImageBased,
    /// The same among rows with a good enough score; a fraction is of the whole pool.
    ImageBasedIntersectClipScore {
        /// The model whose score is cut.
        arch: Arch,
        /// What is good enough.
        floor: ScoreFloor,
    },
}

impl Rule {
    /// The rule's name.
    pub fn name(&self) -> BaselineName {
        match self {
            Self::NoFilter => BaselineName::NoFilter,
            Self::RandomSubset { .. } => BaselineName::RandomSubset,
            Self::BasicFilter => BaselineName::BasicFilter,
            Self::ClipScore { .. } => BaselineName::ClipScore,
            Self::Laion2b => BaselineName::Laion2b,
            Self::TextBased => BaselineName::TextBased,
            Self::ImageBased => BaselineName::ImageBased,
            Self::ImageBasedIntersectClipScore { .. } => BaselineName::ImageBasedIntersectClipScore,
        }
    }

    /// Whose score is cut, and where; `None` for a rule that cuts none.
    pub fn floor(&self) -> Option<(Arch, ScoreFloor)> {
        match *self {
            Self::ClipScore { arch, floor }
            | Self::ImageBasedIntersectClipScore { arch, floor } => Some((arch, floor)),
            _ => None,
        }
    }

    /// The columns of numbers that the rule reads.
    pub fn columns(&self) -> Vec<&'static str> {
        match self {
            Self::BasicFilter => SIZES.to_vec(),
            Self::Laion2b => vec![Arch::B32.score_column()],
            _ => self.floor().map(|(arch, _)| arch.score_column()).into_iter().collect(),
        }
    }
}
