//! Classification by the nearest labeled rows.

use curate_kernels::inner_products;
use rayon::prelude::*;

use crate::EvalError;

/// Queries compared with the whole bank at once: what bounds the memory.
const AT_ONCE: usize = 64;

/// How neighbors vote.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbors {
    /// How many vote; all where there are fewer.
    pub k: usize,
    /// A neighbor of similarity `s` votes with weight `exp(s / temperature)`.
    pub temperature: f32,
}

impl Default for Neighbors {
    /// 20 neighbors at a temperature of 0.07, as DINO (arXiv 2104.14294) has it.
    fn default() -> Self {
        Self { k: 20, temperature: 0.07 }
    }
}

/// For each query, a score for every class: the votes of its `k` nearest rows of the bank (largest inner
/// product, of equal ones the first), each weighing `exp(s / temperature)`, as shares of all votes. Queries
/// and bank have `dim` elements a row, of length one; the answer has `classes` scores a query.
///
/// # Errors
/// When there is not one class for each row of the bank, a class is not below `classes`, rows are not
/// whole, or no neighbor can vote.
///
/// ```
/// use curate_eval::metrics::{Neighbors, knn_scores};
///
/// let (bank, class) = ([1.0, 0.0, 0.0, 1.0, 0.6, 0.8], [0, 1, 1]);
/// let vote = Neighbors { k: 2, temperature: 1.0 };
/// let scores = knn_scores(&[0.0, 1.0], &bank, &class, 2, 2, vote)?;
/// assert_eq!(scores, [0.0, 1.0]); // both nearest rows are of class 1
/// # Ok::<(), curate_eval::EvalError>(())
/// ```
pub fn knn_scores(
    queries: &[f32],
    bank: &[f32],
    class: &[usize],
    classes: usize,
    dim: usize,
    vote: Neighbors,
) -> Result<Vec<f32>, EvalError> {
    EvalError::unless_length("bank", bank.len(), class.len() * dim)?;
    EvalError::unless_row("class", class, classes)?;
    let rows = queries.len().checked_div(dim).unwrap_or(0);
    EvalError::unless_length("queries", queries.len(), rows * dim)?;
    if class.is_empty() || vote.k == 0 || vote.temperature.is_nan() || vote.temperature <= 0.0 {
        return Err(EvalError::NoVote { rows: class.len(), k: vote.k, at: vote.temperature });
    }
    let block = |queries: &[f32]| -> Vec<f32> {
        let all = inner_products(queries, bank, dim);
        all.chunks_exact(class.len()).flat_map(|row| votes(row, class, classes, vote)).collect()
    };
    Ok(queries.par_chunks(AT_ONCE * dim.max(1)).flat_map_iter(block).collect())
}

fn votes(similarities: &[f32], class: &[usize], classes: usize, vote: Neighbors) -> Vec<f32> {
    let mut order: Vec<usize> = (0..similarities.len()).collect();
    let nearer =
        |a: &usize, b: &usize| similarities[*b].total_cmp(&similarities[*a]).then(a.cmp(b));
    let k = vote.k.min(order.len());
    if k < order.len() {
        order.select_nth_unstable_by(k, nearer);
    }
    order.truncate(k);
    order.sort_unstable_by(nearer);
    // Relative to the nearest: a small temperature would overflow.
    let most = similarities[order[0]];
    let mut scores = vec![0.0_f64; classes];
    for &row in &order {
        let weight = f64::from(similarities[row] - most) / f64::from(vote.temperature);
        scores[class[row]] += weight.exp();
    }
    let all: f64 = scores.iter().sum();
    scores.iter().map(|score| (score / all) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_temperature_leaves_the_nearest() {
        let (bank, class) = ([1.0, 0.0, 0.8, 0.6, 0.8, 0.6], [1, 0, 0]);
        let vote = Neighbors { k: 9, temperature: 1e-3 };
        let scores = knn_scores(&[1.0, 0.0], &bank, &class, 2, 2, vote).unwrap();
        assert_eq!(scores, [0.0, 1.0]);
        let even = Neighbors { temperature: 1e3, ..vote };
        let scores = knn_scores(&[1.0, 0.0], &bank, &class, 2, 2, even).unwrap();
        assert!(scores[0] > 0.66 && (scores[0] + scores[1] - 1.0).abs() < 1e-6, "{scores:?}");
    }

    #[test]
    fn nobody_to_vote_is_an_error() {
        let of =
            |class: &[usize], vote| knn_scores(&[1.0], &vec![1.0; class.len()], class, 1, 1, vote);
        let said = |class, vote| of(class, vote).unwrap_err().to_string();
        assert!(said(&[], Neighbors::default()).contains("0 rows"));
        assert!(said(&[0], Neighbors { k: 0, temperature: 1.0 }).contains("`k` is 0"));
        assert!(said(&[0], Neighbors { k: 1, temperature: 0.0 }).contains("`temperature` is 0"));
        assert!(said(&[1], Neighbors::default()).starts_with("`class`: row 1"));
    }
}
