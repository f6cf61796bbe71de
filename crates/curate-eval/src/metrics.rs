//! How good scores and embeddings are.
//!
//! Classification and retrieval both ask where the right answer stands among all answers:
//! [`ranks`] and [`ranks_of_scores`] say so, [`recall_at`] and [`Accuracy`] sum it up.

mod classify;
mod neighbors;
mod retrieval;

pub use classify::{Accuracy, class_embeddings};
pub use neighbors::{Neighbors, knn_scores};
pub use retrieval::{ranks, ranks_of_scores, recall_at};

use curate_kernels::{Centroids, Nearest};

use crate::EvalError;

/// Probability that a right pair scores above a wrong one, ties counting half (the area under the
/// ROC curve). `None` without one of each. A NaN counts as above every number.
///
/// # Errors
/// When there is not one answer for each score.
///
/// ```
/// use curate_eval::metrics::auroc;
///
/// let right = [false, false, true, true];
/// assert_eq!(auroc(&[0.1, 0.4, 0.35, 0.8], &right)?, Some(0.75));
/// # Ok::<(), curate_eval::EvalError>(())
/// ```
pub fn auroc(scores: &[f32], right: &[bool]) -> Result<Option<f64>, EvalError> {
    EvalError::unless_length("right", right.len(), scores.len())?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut rank_sum, mut rights, mut first) = (0.0, 0_usize, 0);
    while first < order.len() {
        let same = order[first..].iter().take_while(|&&i| scores[i] == scores[order[first]]);
        let last = first + same.count().max(1);
        let shared = (first + last + 1) as f64 / 2.0;
        let tied = order[first..last].iter().filter(|&&i| right[i]).count();
        rank_sum += tied as f64 * shared;
        rights += tied;
        first = last;
    }
    let wrongs = order.len() - rights;
    if rights == 0 || wrongs == 0 {
        return Ok(None);
    }
    let (rights, wrongs) = (rights as f64, wrongs as f64);
    Ok(Some((rank_sum - rights * (rights + 1.0) / 2.0) / (rights * wrongs)))
}

/// Share of `kept` rows that are right; `None` for none.
///
/// # Errors
/// When a row is beyond the answers.
pub fn precision(kept: &[usize], right: &[bool]) -> Result<Option<f64>, EvalError> {
    EvalError::unless_row("kept", kept, right.len())?;
    let hits = kept.iter().filter(|&&row| right[row]).count();
    Ok((!kept.is_empty()).then(|| hits as f64 / kept.len() as f64))
}

/// Share of queries whose nearest candidate (largest inner product, ties to the first) is their
/// own: zero-shot accuracy when candidates are classes, recall at 1 when they are texts. Queries
/// and candidates have `dim` elements each. `None` without queries or candidates.
///
/// # Errors
/// When there is not one own candidate for each query, candidates are not whole, or an own candidate does
/// not exist.
pub fn top_1(
    queries: &[f32],
    candidates: &[f32],
    own: &[usize],
    dim: usize,
) -> Result<Option<f64>, EvalError> {
    EvalError::unless_length("queries", queries.len(), own.len() * dim)?;
    let rows = candidates.len().checked_div(dim).unwrap_or(0);
    EvalError::unless_length("candidates", candidates.len(), rows * dim)?;
    if own.is_empty() || rows == 0 {
        return Ok(None);
    }
    EvalError::unless_row("own", own, rows)?;
    let mut nearest = vec![Nearest::default(); own.len()];
    Centroids::new(candidates, dim, None).nearest_parallel(queries, &mut nearest);
    let hits = nearest.iter().zip(own).filter(|(found, own)| found.index as usize == **own).count();
    Ok(Some(hits as f64 / own.len() as f64))
}

/// Mean and standard deviation of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of a sample; zero for one value.
    pub deviation: f64,
}

/// Mean and standard deviation; `None` for no value.
pub fn spread(values: &[f64]) -> Option<Spread> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    let deviation = if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 };
    (!values.is_empty()).then_some(Spread { mean, deviation })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auroc_by_hand() {
        let of = |scores: &[f32], right: &[bool]| auroc(scores, right).unwrap();
        assert_eq!(of(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), Some(0.75));
        assert_eq!(of(&[1.0, 1.0], &[true, false]), Some(0.5));
        assert_eq!(of(&[3.0, 2.0, 1.0], &[true, false, false]), Some(1.0));
        assert_eq!(of(&[1.0], &[true]), None);
        let with_nan = of(&[f32::NAN, 0.0, 1.0], &[false, false, true]);
        assert_eq!(with_nan, Some(0.5), "a NaN sorts last and is no tie");
    }

    #[test]
    fn precision_and_top_1_by_hand() {
        assert_eq!(precision(&[0, 2], &[true, false, false]).unwrap(), Some(0.5));
        assert_eq!(precision(&[], &[true]).unwrap(), None);
        let (queries, candidates) = ([1.0, 0.0, 0.6, 0.8], [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(top_1(&queries, &candidates, &[0, 0], 2).unwrap(), Some(0.5));
        assert_eq!(top_1(&[], &candidates, &[], 2).unwrap(), None);
    }

    #[test]
    fn spread_is_of_a_sample() {
        let of = |values: &[f64]| spread(values).map(|s| (s.mean, s.deviation));
        assert_eq!(of(&[1.0, 3.0]), Some((2.0, 2f64.sqrt())));
        assert_eq!((of(&[5.0]), of(&[])), (Some((5.0, 0.0)), None));
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_it() {
        let error = |found: Result<Option<f64>, EvalError>| found.unwrap_err().to_string();
        assert!(error(auroc(&[1.0], &[])).starts_with("`right`: 0 values, but 1"));
        assert!(error(precision(&[3], &[true])).starts_with("`kept`: row 3"));
        assert!(error(top_1(&[1.0], &[1.0], &[0], 2)).starts_with("`queries`: 1 values, but 2"));
        assert!(error(top_1(&[1.0, 0.0], &[1.0], &[0], 2)).starts_with("`candidates`"));
        assert!(error(top_1(&[1.0], &[1.0], &[1], 1)).starts_with("`own`: row 1"));
        assert!(error(top_1(&[], &[1.0], &[0], 0)).starts_with("`candidates`"));
    }
}
