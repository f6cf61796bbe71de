//! What a rule says of a row.

use std::fmt;

use curate_core::{Removal, fault::Fault};
use curate_text::rules::{self, Failure};
use serde::{Serialize, Serializer};

/// The part of a rule that drops a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The features of the row's image hold a NaN.
    BadFeatures,
    /// The caption is too short.
    FewCharacters,
    /// The caption has too few of fastText's tokens.
    FewTokens,
    /// The caption has too few words.
    FewWords,
    /// The image is too long for its width, or the other way around.
    LongImage,
    /// The score is below the floor.
    LowScore,
    /// There is no caption.
    NoCaption,
    /// The caption names no entity of the list.
    NoEntity,
    /// There is no score, or a NaN.
    NoScore,
    /// The caption is in another language than English.
    NotEnglish,
    /// The id was not drawn.
    NotDrawn,
    /// The image falls into a cluster that is not wanted.
    OtherCluster,
    /// The image's shorter side is too short.
    SmallImage,
}

impl DropReason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::BadFeatures,
        Self::FewCharacters,
        Self::FewTokens,
        Self::FewWords,
        Self::LongImage,
        Self::LowScore,
        Self::NoCaption,
        Self::NoEntity,
        Self::NoScore,
        Self::NotEnglish,
        Self::NotDrawn,
        Self::OtherCluster,
        Self::SmallImage,
    ];

    /// In words, such as `few words`.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::BadFeatures => "bad features",
            Self::FewCharacters => "few characters",
            Self::FewTokens => "few tokens",
            Self::FewWords => "few words",
            Self::LongImage => "long image",
            Self::LowScore => "low score",
            Self::NoCaption => "no caption",
            Self::NoEntity => "no entity",
            Self::NoScore => "no score",
            Self::NotEnglish => "not English",
            Self::NotDrawn => "not drawn",
            Self::OtherCluster => "other cluster",
            Self::SmallImage => "small image",
        }
    }

    /// The rule under which a [`Removal`] shows it, such as `few-words`. What no other row's score or
    /// vector could mend is a [`Fault`].
    pub fn rule(self) -> &'static str {
        match self {
            Self::BadFeatures => Fault::EmbeddingNan.name(),
            Self::NoCaption => Fault::CaptionMissing.name(),
            Self::NoScore => Fault::ScoreMissing.name(),
            Self::FewCharacters => "few-characters",
            Self::FewTokens => "few-tokens",
            Self::FewWords => "few-words",
            Self::LongImage => "long-image",
            Self::LowScore => "low-score",
            Self::NoEntity => "no-entity",
            Self::NotEnglish => "not-english",
            Self::NotDrawn => "not-drawn",
            Self::OtherCluster => "other-cluster",
            Self::SmallImage => "small-image",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.in_words())
    }
}

impl Serialize for DropReason {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.in_words())
    }
}

/// What a rule says of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The first part of the rule that drops the row; `None` for a row that stays.
    pub dropped: Option<DropReason>,
    /// The number that was compared, where one was.
    pub value: Option<f64>,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// The cluster of the row's image, where the rule looked.
    pub cluster: Option<u32>,
}

impl Verdict {
    /// Nothing is wrong with the row, and nothing was compared.
    pub(crate) const KEPT: Self =
        Self { dropped: None, value: None, threshold: None, cluster: None };

    pub(crate) fn dropped(reason: DropReason) -> Self {
        Self { dropped: Some(reason), ..Self::KEPT }
    }

    pub(crate) fn compared(self, value: f64, threshold: f64) -> Self {
        Self { value: Some(value), threshold: Some(threshold), ..self }
    }

    /// The reason and the number of a failure.
    pub(crate) fn of(failure: &Failure) -> Self {
        let (reason, value, threshold) = match *failure {
            Failure::FewWords(n) => (DropReason::FewWords, n as f64, rules::BASIC_MIN_WORDS as f64),
            Failure::FewTokens(n) => {
                (DropReason::FewTokens, n as f64, rules::CAPTION_MIN_TOKENS as f64)
            }
            Failure::FewCharacters(n) => {
                (DropReason::FewCharacters, n as f64, rules::MIN_CHARACTERS as f64)
            }
            Failure::NotEnglish { .. } => return Self::dropped(DropReason::NotEnglish),
            Failure::SmallImage(side) => (DropReason::SmallImage, side, rules::MIN_SIDE),
            Failure::LongImage(ratio) => (DropReason::LongImage, ratio, rules::MAX_ASPECT),
            Failure::LowScore(score) if score.is_nan() => {
                return Self::dropped(DropReason::NoScore);
            }
            Failure::LowScore(score) => (DropReason::LowScore, score, rules::LAION2B_MIN_SCORE),
            Failure::NoEntity => return Self::dropped(DropReason::NoEntity),
        };
        Self::dropped(reason).compared(value, threshold)
    }

    /// Why a row goes; `None` for one that stays.
    pub fn removal(&self, row: usize) -> Option<Removal> {
        let reason = self.dropped?;
        Some(Removal {
            value: self.value,
            threshold: self.threshold,
            cluster: self.cluster,
            ..Removal::new(row, reason.rule())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_their_numbers_and_two_names_each() {
        for (number, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{reason}\""));
        }
        let removal = Verdict::dropped(DropReason::FewWords).compared(2.0, 3.0).removal(7).unwrap();
        assert_eq!(removal.to_string(), "row 7: few-words, 2 against 3");
        assert_eq!(Verdict::KEPT.removal(7), None);
        assert_eq!(DropReason::NoCaption.rule(), "caption-missing");
    }
}
