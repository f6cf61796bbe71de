//! Bad rows, found before a method runs, so that they never change another row's fate.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{EmbeddingSource, Progress, Removal, SourceError, embedding};

/// What is wrong with a row of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The vector holds a NaN.
    EmbeddingNan,
    /// The vector holds an infinity.
    EmbeddingInfinite,
    /// Every element of the vector is zero.
    EmbeddingZero,
    /// The vector's length is not 1 where unit vectors were asked for.
    EmbeddingNotUnit,
    /// The row has no value in the score column, or a NaN.
    ScoreMissing,
    /// The row's id occurred earlier in the pool.
    DuplicateId,
    /// The row's id is not a number of 1 to 32 hexadecimal digits.
    MalformedId,
    /// The sample has no image.
    ImageMissing,
    /// The sample has no caption.
    CaptionMissing,
    /// The record that describes the sample is not a JSON object.
    RecordMalformed,
    /// The image file is of no format that is read.
    ImageOfNoKnownFormat,
    /// The image has no pixels.
    ImageWithoutPixels,
    /// The image declares more pixels than the limit.
    ImageOverPixelLimit,
    /// The image file ends before the image does.
    ImageCutOff,
    /// The bytes of the image file break their format.
    ImageDamaged,
    /// The caption made its repair fail inside.
    CaptionNotRepaired,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 16] = [
        Self::EmbeddingNan,
        Self::EmbeddingInfinite,
        Self::EmbeddingZero,
        Self::EmbeddingNotUnit,
        Self::ScoreMissing,
        Self::DuplicateId,
        Self::MalformedId,
        Self::ImageMissing,
        Self::CaptionMissing,
        Self::RecordMalformed,
        Self::ImageOfNoKnownFormat,
        Self::ImageWithoutPixels,
        Self::ImageOverPixelLimit,
        Self::ImageCutOff,
        Self::ImageDamaged,
        Self::CaptionNotRepaired,
    ];

    /// The fault of this name. Evidence names rules; those that are faults were quarantined.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// The fault in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::EmbeddingNan => "embedding holds a NaN",
            Self::EmbeddingInfinite => "embedding holds an infinity",
            Self::EmbeddingZero => "embedding is all zero",
            Self::EmbeddingNotUnit => "embedding does not have length 1",
            Self::ScoreMissing => "score is missing",
            Self::DuplicateId => "id occurred before",
            Self::MalformedId => "id is malformed",
            Self::ImageMissing => "image is missing",
            Self::CaptionMissing => "caption is missing",
            Self::RecordMalformed => "record is not a JSON object",
            Self::ImageOfNoKnownFormat => "image is of no format that is read",
            Self::ImageWithoutPixels => "image has no pixels",
            Self::ImageOverPixelLimit => "image is over the pixel limit",
            Self::ImageCutOff => "image is cut off",
            Self::ImageDamaged => "image is damaged",
            Self::CaptionNotRepaired => "caption could not be repaired",
        }
    }

    /// The name under which evidence and reports show the fault.
    pub fn name(self) -> &'static str {
        match self {
            Self::EmbeddingNan => "embedding-nan",
            Self::EmbeddingInfinite => "embedding-infinite",
            Self::EmbeddingZero => "embedding-zero",
            Self::EmbeddingNotUnit => "embedding-not-unit",
            Self::ScoreMissing => "score-missing",
            Self::DuplicateId => "duplicate-id",
            Self::MalformedId => "malformed-id",
            Self::ImageMissing => "image-missing",
            Self::CaptionMissing => "caption-missing",
            Self::RecordMalformed => "record-malformed",
            Self::ImageOfNoKnownFormat => "image-of-no-known-format",
            Self::ImageWithoutPixels => "image-without-pixels",
            Self::ImageOverPixelLimit => "image-over-pixel-limit",
            Self::ImageCutOff => "image-cut-off",
            Self::ImageDamaged => "image-damaged",
            Self::CaptionNotRepaired => "caption-not-repaired",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What to do with vectors whose length is not 1.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormPolicy {
    /// A vector whose length differs from 1 by more than [`UNIT_TOLERANCE`] is a fault.
    #[default]
    RequireUnit,
    /// Any finite length above zero is accepted.
    Any,
}

/// How far from 1 the length of a "unit" vector may lie: f16 storage of a 768-dimensional unit
/// vector stays within 0.001.
pub const UNIT_TOLERANCE: f64 = 0.01;

/// A row with a fault; the norm is NaN where it has none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Faulty {
    /// The row of the source.
    pub row: usize,
    /// What is wrong.
    pub fault: Fault,
    /// The length of the vector.
    pub norm: f64,
}

impl Faulty {
    /// The fault as the reason for a removal; its value is the length of the vector.
    pub fn removal(&self) -> Removal {
        let removal = Removal::new(self.row, self.fault.name());
        if self.norm.is_nan() { removal } else { removal.valued(self.norm) }
    }
}

/// Finds every faulty row of a source, in row order.
///
/// # Errors
/// When rows cannot be read, or the caller cancels.
pub fn check<S: EmbeddingSource + ?Sized>(
    source: &S,
    policy: NormPolicy,
    progress: &dyn Progress,
) -> Result<Vec<Faulty>, SourceError> {
    let dim = source.dim().max(1);
    let blocks = embedding::map_blocks(source, progress, |rows, block| {
        rows.zip(block.chunks_exact(dim))
            .filter_map(|(row, vector)| {
                let norm = embedding::norm(vector);
                fault_of(vector, norm, policy).map(|fault| Faulty { row, fault, norm })
            })
            .collect::<Vec<_>>()
    })?;
    Ok(blocks.concat())
}

pub(crate) fn fault_of(vector: &[f32], norm: f64, policy: NormPolicy) -> Option<Fault> {
    // The sum of squares of finite f32 values cannot overflow f64, so it shows the other two.
    if norm.is_nan() {
        Some(Fault::EmbeddingNan)
    } else if norm.is_infinite() {
        Some(Fault::EmbeddingInfinite)
    } else if vector.iter().all(|&x| x == 0.0) {
        Some(Fault::EmbeddingZero)
    } else if policy == NormPolicy::RequireUnit && (norm - 1.0).abs() > UNIT_TOLERANCE {
        Some(Fault::EmbeddingNotUnit)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::NoProgress;

    #[test]
    fn each_fault_is_named_and_good_rows_are_not() {
        let rows = array![
            [0.6, 0.8],
            [f32::NAN, f32::INFINITY],
            [f32::NEG_INFINITY, 0.0],
            [0.0, -0.0],
            [2.0, 0.0],
            [1.0, 0.001],
        ];
        let faults = |policy| {
            let found = check(&rows.view(), policy, &NoProgress).unwrap();
            found.iter().map(|f| (f.row, f.fault)).collect::<Vec<_>>()
        };
        let bad = vec![
            (1, Fault::EmbeddingNan),
            (2, Fault::EmbeddingInfinite),
            (3, Fault::EmbeddingZero),
        ];
        assert_eq!(faults(NormPolicy::Any), bad);
        let strict = [bad, vec![(4, Fault::EmbeddingNotUnit)]].concat();
        assert_eq!(faults(NormPolicy::RequireUnit), strict);
    }

    #[test]
    fn every_fault_is_found_by_its_name() {
        for fault in Fault::ALL {
            assert_eq!(Fault::named(fault.name()), Some(fault));
        }
        assert_eq!(Fault::named("fraction"), None);
    }

    #[test]
    fn tiny_and_huge_finite_rows_are_not_mistaken_for_zero_or_infinite() {
        let rows = array![[f32::MIN_POSITIVE * 1e-3, 0.0], [f32::MAX, f32::MAX]];
        assert_eq!(check(&rows.view(), NormPolicy::Any, &NoProgress).unwrap(), []);
    }
}
