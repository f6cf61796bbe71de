//! Accuracy over classes.

use curate_core::embedding::normalize;
use serde::{Deserialize, Serialize};

use crate::{EvalError, metrics::recall_at};

/// How often the right class was found. All are shares from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// The right class came first.
    pub top_1: f64,
    /// The right class was among the first five.
    pub top_5: f64,
    /// The mean over the classes of each class's `top_1`: every class counts alike.
    pub mean_per_class: f64,
    /// The class with the lowest `top_1`, of several the first.
    pub worst_class: usize,
    /// Its `top_1`.
    pub worst: f64,
}

impl Accuracy {
    /// Sums up `ranks` of queries whose classes are `own`. Classes without a query do not count. `None`
    /// without queries.
    ///
    /// # Errors
    /// When there is not one rank for each query.
    ///
    /// ```
    /// use curate_eval::metrics::Accuracy;
    ///
    /// // Three queries of class 0, one of which is mistaken, and one of class 4, which is.
    /// let found = Accuracy::of(&[0, 0, 1, 7], &[0, 0, 0, 4])?.expect("there are queries");
    /// assert_eq!((found.top_1, found.top_5), (0.5, 0.75));
    /// assert_eq!((found.worst_class, found.worst), (4, 0.0));
    /// assert!((found.mean_per_class - 1.0 / 3.0).abs() < 1e-12);
    /// # Ok::<(), curate_eval::EvalError>(())
    /// ```
    pub fn of(ranks: &[usize], own: &[usize]) -> Result<Option<Self>, EvalError> {
        EvalError::unless_length("ranks", ranks.len(), own.len())?;
        let (Some(top_1), Some(top_5)) = (recall_at(ranks, 1), recall_at(ranks, 5)) else {
            return Ok(None);
        };
        let classes = own.iter().max().map_or(0, |last| last + 1);
        let mut counts = vec![(0_usize, 0_usize); classes];
        for (&rank, &class) in ranks.iter().zip(own) {
            counts[class].0 += usize::from(rank == 0);
            counts[class].1 += 1;
        }
        let of_class = |&(hits, all): &(usize, usize)| hits as f64 / all as f64;
        let there = counts.iter().enumerate().filter(|(_, (_, all))| *all > 0);
        let accuracies: Vec<(usize, f64)> = there.map(|(i, c)| (i, of_class(c))).collect();
        let mean = accuracies.iter().map(|(_, a)| a).sum::<f64>() / accuracies.len() as f64;
        let lowest = accuracies.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let &(worst_class, worst) = lowest.expect("a query has a class");
        Ok(Some(Self { top_1, top_5, mean_per_class: mean, worst_class, worst }))
    }
}

/// The embedding of each class, as CLIP's zero-shot classifier has it: the mean of the embeddings of length
/// one of the class's prompts (its name in several templates), scaled to length one. A class without
/// prompts, or whose prompts cancel each other, is all zeros.
///
/// `prompts` has `dim` elements for each entry of `class`, which is the class of that prompt.
///
/// # Errors
/// When prompts are not whole, or a class is not below `classes`.
///
/// ```
/// use curate_eval::metrics::class_embeddings;
///
/// let found = class_embeddings(&[2.0, 0.0, 0.0, 1.0], &[0, 0], 1, 2)?;
/// assert!((found[0] - 0.5_f32.sqrt()).abs() < 1e-6 && found[0] == found[1]);
/// # Ok::<(), curate_eval::EvalError>(())
/// ```
pub fn class_embeddings(
    prompts: &[f32],
    class: &[usize],
    classes: usize,
    dim: usize,
) -> Result<Vec<f32>, EvalError> {
    EvalError::unless_length("prompts", prompts.len(), class.len() * dim)?;
    EvalError::unless_row("class", class, classes)?;
    let mut sums = vec![0.0; classes * dim];
    for (prompt, &class) in prompts.chunks_exact(dim.max(1)).zip(class) {
        let mut unit = prompt.to_vec();
        normalize(&mut unit);
        sums[class * dim..][..dim].iter_mut().zip(&unit).for_each(|(sum, x)| *sum += x);
    }
    sums.chunks_exact_mut(dim.max(1)).for_each(normalize);
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degenerate_classes() {
        assert_eq!(Accuracy::of(&[], &[]).unwrap(), None);
        assert!(Accuracy::of(&[0], &[]).unwrap_err().to_string().starts_with("`ranks`"));
        let found = class_embeddings(&[1.0, 0.0], &[1], 3, 2).unwrap();
        assert_eq!(found, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        let error = class_embeddings(&[1.0], &[3], 3, 1).unwrap_err().to_string();
        assert!(error.starts_with("`class`: row 3"), "{error}");
    }
}
