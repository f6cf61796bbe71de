//! From a network to a filter: embed a pool, score it, decide.
//!
//! - [`score_pairs`] → [`PairScores`]: the score of every pair of an open pool, in memory.
//! - [`EmbedParams`] → [`Embed`]: images and texts of a pool to embeddings and scores on disk, shard by
//!   shard; [`Embedded`] reads them.
//! - [`ScoreParams`] → [`Scorer`] → [`Scores`]: any score of an embedded pool, in the memory of a shard.
//! - [`align`]: scores of the literature that need embeddings alone: cosine, negCLIPLoss, NormSim.
//! - [`classifier`]: a quality classifier on features.
//! - [`ensemble`]: several scores as one, by rank.
//! - [`card`]: what a trained filter is, for people and programs.
//!
//! Every result says what any [`curate_core::Cut`] keeps (`select`) and why each other row goes
//! (`removals`), without computing a score again.
//!
//! A filter is a score and a [`curate_core::Cut`]: a fraction (the DFN paper keeps the best 15 %),
//! a threshold, or an exact count. [`threshold_of_sample`] carries a fraction from a sample to a
//! pool that is too large to sort.

pub mod align;
mod bad;
pub mod card;
mod check;
mod chunk;
pub mod classifier;
mod embed;
mod embedded;
pub mod ensemble;
mod error;
mod out_folder;
mod pairs;
mod record;
mod score;
mod usable;

use curate_core::{Cut, CutError, SampleId, rank::Direction};

pub use bad::{BadKind, BadRow, Counts};
pub use check::check_images;
pub use chunk::EMBEDDED_TOGETHER;
pub use classifier::{Classifier, ClassifierParams};
pub use curate_io::npy::Precision;
pub use embed::{Embed, EmbedParams, EmbedReport};
pub use embedded::{Embedded, EmbeddedShard, ScoreTable, read_scores};
pub use error::FilterError;
pub use pairs::{BadPair, LOW_SCORE, PairScores, score_pairs};
pub use score::{Features, ScoreInputs, ScoreParams, Scorer, Scores, sample};

/// The threshold that keeps this fraction of a sample of scores; `None` where it keeps nothing.
/// With [`Cut::Threshold`] it induces the filter on the whole pool in one pass.
///
/// # Errors
/// When the fraction lies outside `[0, 1]`.
pub fn threshold_of_sample(scores: &[f32], fraction: f64) -> Result<Option<f32>, CutError> {
    // Ids break ties; the threshold is the same whichever of the tied rows are kept.
    let ids: Vec<SampleId> = (0..scores.len() as u128).map(SampleId).collect();
    let outcome = Cut::Fraction(fraction).apply(scores, &ids, Direction::HigherIsBetter)?;
    Ok(outcome.threshold.map(|score| score as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_of_a_sample_keeps_about_the_fraction_of_the_pool() {
        let pool = crate::random::normal(1, "pool", 20_000, 1.0);
        let sample = crate::random::normal(2, "sample", 2000, 1.0);
        let threshold = threshold_of_sample(&sample, 0.15).unwrap().unwrap();
        let kept = pool.iter().filter(|&&s| s >= threshold).count() as f64 / 2e4;
        assert!((kept - 0.15).abs() < 0.02, "{kept}");
        assert_eq!(threshold_of_sample(&[], 0.15), Ok(None));
        assert_eq!(threshold_of_sample(&[0.3, f32::NAN], 0.5), Ok(Some(0.3)));
        assert!(threshold_of_sample(&[0.3], 1.5).is_err());
    }
}
