//! Where the right answer stands.

use curate_kernels::inner_products;
use rayon::prelude::*;

use crate::EvalError;

/// Queries compared with all candidates at once: what bounds the memory.
const AT_ONCE: usize = 64;

/// For each query, how many candidates stand before its own one: 0 when its own has the largest inner
/// product. Of equal ones the first stands first, as a stable sort has it; a NaN stands last. Queries and
/// candidates have `dim` elements each.
///
/// # Errors
/// When there is not one own candidate for each query, candidates are not whole, or an own candidate does
/// not exist.
///
/// ```
/// use curate_eval::metrics::{ranks, recall_at};
///
/// let (queries, candidates) = ([1.0, 0.0, 0.6, 0.8], [1.0, 0.0, 0.0, 1.0]);
/// let ranks = ranks(&queries, &candidates, &[0, 0], 2)?;
/// assert_eq!(ranks, [0, 1]);
/// assert_eq!((recall_at(&ranks, 1), recall_at(&ranks, 2)), (Some(0.5), Some(1.0)));
/// # Ok::<(), curate_eval::EvalError>(())
/// ```
pub fn ranks(
    queries: &[f32],
    candidates: &[f32],
    own: &[usize],
    dim: usize,
) -> Result<Vec<usize>, EvalError> {
    EvalError::unless_length("queries", queries.len(), own.len() * dim)?;
    let rows = candidates.len().checked_div(dim).unwrap_or(0);
    EvalError::unless_length("candidates", candidates.len(), rows * dim)?;
    EvalError::unless_row("own", own, rows)?;
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let block = |(queries, own): (&[f32], &[usize])| -> Vec<usize> {
        let scores = inner_products(queries, candidates, dim);
        scores.chunks_exact(rows).zip(own).map(|(scores, &own)| rank(scores, own)).collect()
    };
    let blocks = queries.par_chunks(AT_ONCE * dim).zip(own.par_chunks(AT_ONCE));
    Ok(blocks.flat_map_iter(block).collect())
}

/// As [`ranks`], from scores that are known: a row of `answers` scores for each query.
///
/// # Errors
/// When there is not one own answer for each row of scores, or one does not exist.
pub fn ranks_of_scores(
    scores: &[f32],
    own: &[usize],
    answers: usize,
) -> Result<Vec<usize>, EvalError> {
    EvalError::unless_length("scores", scores.len(), own.len() * answers)?;
    EvalError::unless_row("own", own, answers)?;
    let rows = scores.chunks_exact(answers.max(1)).zip(own);
    Ok(rows.map(|(scores, &own)| rank(scores, own)).collect())
}

/// Share of queries of which fewer than `k` candidates stand before their own: recall at `k`, top-`k`
/// accuracy. `None` without queries.
pub fn recall_at(ranks: &[usize], k: usize) -> Option<f64> {
    let hits = ranks.iter().filter(|&&rank| rank < k).count();
    (!ranks.is_empty()).then(|| hits as f64 / ranks.len() as f64)
}

fn rank(scores: &[f32], own: usize) -> usize {
    let key = |score: f32| if score.is_nan() { f32::NEG_INFINITY } else { score };
    let mine = key(scores[own]);
    let before = |(i, &score): (usize, &f32)| {
        let score = key(score);
        score > mine || (score == mine && i < own)
    };
    scores.iter().enumerate().filter(|&pair| before(pair)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first_and_nan_is_last() {
        let of = |scores: &[f32], own| ranks_of_scores(scores, &[own], scores.len()).unwrap()[0];
        assert_eq!((of(&[1.0, 1.0], 0), of(&[1.0, 1.0], 1)), (0, 1));
        assert_eq!((of(&[f32::NAN, 0.0], 0), of(&[f32::NAN, 0.0], 1)), (1, 0));
        assert_eq!(ranks(&[], &[], &[], 2).unwrap(), [0; 0]);
        assert_eq!(recall_at(&[], 1), None);
    }

    #[test]
    fn blocks_do_not_matter() {
        let n = 3 * AT_ONCE + 5;
        let rows: Vec<f32> = (0..n * 2).map(|i| ((i * 37) % 101) as f32).collect();
        let own: Vec<usize> = (0..n).collect();
        let all = ranks(&rows, &rows, &own, 2).unwrap();
        for (i, rank) in all.iter().enumerate() {
            assert_eq!(ranks(&rows[2 * i..][..2], &rows, &[i], 2).unwrap(), [*rank]);
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let said = |e: EvalError| e.to_string();
        assert!(said(ranks(&[1.0], &[1.0], &[0], 2).unwrap_err()).starts_with("`queries`"));
        assert!(said(ranks(&[1.0], &[1.0], &[1], 1).unwrap_err()).starts_with("`own`: row 1"));
        assert!(said(ranks_of_scores(&[1.0], &[0], 2).unwrap_err()).starts_with("`scores`"));
    }
}
