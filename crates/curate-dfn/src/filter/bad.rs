//! Rows that cannot be embedded, by what is wrong with them.

use std::{collections::BTreeMap, fmt};

use curate_core::{SampleId, fault::Fault};
use serde::{Deserialize, Serialize};

use crate::image::ImageError;

/// Bad rows that [`Counts`] keeps as examples.
const EXAMPLES: usize = 5;

/// What is wrong with a row, in a word to count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadKind {
    /// The sample has no caption.
    NoCaption,
    /// The sample has no image.
    NoImage,
    /// The bytes are no image of a known format.
    UnknownFormat,
    /// The image has no pixels.
    Empty,
    /// The image declares more pixels than the limit.
    TooLarge,
    /// The file ends before the image does.
    Truncated,
    /// The bytes break their format.
    Damaged,
    /// The caption made its repair fail inside.
    CaptionFailed,
}

impl BadKind {
    /// The fault of a pool's row that it is: what a run quarantines the row for.
    pub fn fault(self) -> Fault {
        match self {
            Self::NoCaption => Fault::CaptionMissing,
            Self::NoImage => Fault::ImageMissing,
            Self::UnknownFormat => Fault::ImageOfNoKnownFormat,
            Self::Empty => Fault::ImageWithoutPixels,
            Self::TooLarge => Fault::ImageOverPixelLimit,
            Self::Truncated => Fault::ImageCutOff,
            Self::Damaged => Fault::ImageDamaged,
            Self::CaptionFailed => Fault::CaptionNotRepaired,
        }
    }
}

impl fmt::Display for BadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCaption => "without a caption",
            Self::NoImage => "without an image",
            Self::UnknownFormat => "of no known image format",
            Self::Empty => "without pixels",
            Self::TooLarge => "over the pixel limit",
            Self::Truncated => "cut off",
            Self::Damaged => "damaged",
            Self::CaptionFailed => "with a caption that could not be repaired",
        })
    }
}

/// A row that could not be embedded; its embeddings and score are NaN, which a pool sets aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// The sample.
    pub id: SampleId,
    /// What is wrong, to count by.
    pub kind: BadKind,
    /// What is wrong, in full.
    pub reason: String,
}

/// How many rows are bad and why, with a few of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows by what is wrong with them.
    pub kinds: BTreeMap<BadKind, usize>,
    /// The first of them.
    pub examples: Vec<BadRow>,
}

impl Counts {
    /// All bad rows.
    pub fn total(&self) -> usize {
        self.kinds.values().sum()
    }

    pub(super) fn add(&mut self, rows: Vec<BadRow>) {
        for row in rows {
            *self.kinds.entry(row.kind).or_default() += 1;
            if self.examples.len() < EXAMPLES {
                self.examples.push(row);
            }
        }
    }
}

/// Why a sample has no embedding.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the sample has no caption")]
    NoCaption,
    #[error("the sample has no image")]
    NoImage,
    #[error("the repair of the caption failed inside")]
    CaptionFailed,
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl Trouble {
    pub(super) fn of(&self, id: SampleId) -> BadRow {
        let kind = match self {
            Self::NoCaption => BadKind::NoCaption,
            Self::NoImage => BadKind::NoImage,
            Self::CaptionFailed => BadKind::CaptionFailed,
            Self::Image(ImageError::UnknownFormat | ImageError::Unsupported(_)) => {
                BadKind::UnknownFormat
            }
            Self::Image(ImageError::Empty { .. }) => BadKind::Empty,
            Self::Image(ImageError::TooLarge { .. } | ImageError::TooLong { .. }) => {
                BadKind::TooLarge
            }
            Self::Image(ImageError::Truncated) => BadKind::Truncated,
            Self::Image(
                ImageError::Damaged(_) | ImageError::Panicked(_) | ImageError::Argument { .. },
            ) => BadKind::Damaged,
        };
        BadRow { id, kind, reason: self.to_string() }
    }
}
