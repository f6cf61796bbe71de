//! The search: every row's most similar preferred row, inside clusters.

use curate_cluster::Ordered;
use curate_core::{
    BLOCK_ROWS, Cut, EmbeddingSource, Progress, Selection, SourceError, rank::similarity_threshold,
};
use curate_kernels::Earlier;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{DedupError, Mode, found::Found, stream};

/// Every row's most similar preferred row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Matches {
    /// The largest similarity to a row of the same cluster that is preferred, at least 0.
    pub similarity: Vec<f32>,
    /// That row plus one; 0 for none. See [`Matches::cause`].
    cause: Vec<u64>,
}

impl Matches {
    /// Searches every cluster of `order`. Rows of `source` that `order` does not list get
    /// similarity 0.
    ///
    /// # Errors
    /// When the mode's epsilon is out of range, `order` lists a row that the source does not have,
    /// rows cannot be read, or the caller cancels.
    pub fn find<S: EmbeddingSource + ?Sized>(
        source: &S,
        order: &Ordered,
        mode: Mode,
        progress: &dyn Progress,
    ) -> Result<Self, DedupError> {
        Self::find_within(source, order, mode, BLOCK_ROWS, progress)
    }

    /// What searches found of these rows of a source.
    pub(crate) fn of_rows(rows: &Selection, found: &[Found]) -> Result<Self, DedupError> {
        if found.len() != rows.len() {
            let (given, rows) = (found.len(), rows.len());
            return Err(DedupError::Mismatch { what: "found matches", given, rows });
        }
        let mut matches = Self { similarity: vec![0.0; rows.len()], cause: vec![0; rows.len()] };
        for found in found {
            let place = |row: usize| rows.position(row).ok_or(DedupError::NotCompared { row });
            let at = place(found.row)?;
            matches.similarity[at] = found.similarity;
            matches.cause[at] =
                found.cause.map_or(Ok(0), |row| place(row).map(|at| at as u64 + 1))?;
        }
        Ok(matches)
    }

    /// [`Matches::find`] that holds at most `rows` vectors of a cluster at a time (at least 1). A
    /// larger cluster is read in pairs of blocks of half as many; the answer is the same to the bit.
    ///
    /// # Errors
    /// As [`Matches::find`].
    pub fn find_within<S: EmbeddingSource + ?Sized>(
        source: &S,
        order: &Ordered,
        mode: Mode,
        rows: usize,
        progress: &dyn Progress,
    ) -> Result<Self, DedupError> {
        let greedy = match mode {
            Mode::Reference => None,
            Mode::Greedy(epsilon) => {
                Cut::Epsilon(epsilon).check()?;
                Some(similarity_threshold(epsilon))
            }
        };
        if order.rows() > source.rows() {
            let (row, rows) = (order.rows() - 1, source.rows());
            return Err(SourceError::OutOfRange { row, rows }.into());
        }
        progress.start("compare", order.clusters().iter().map(|c| c.len() as u64).sum(), "rows");
        let found = Self::search(source, order, rows, greedy, progress);
        progress.finish();
        Ok(found?)
    }

    /// Clusters that fit in memory side by side, larger ones in blocks one after the other.
    fn search<S: EmbeddingSource + ?Sized>(
        source: &S,
        order: &Ordered,
        limit: usize,
        greedy: Option<f32>,
        progress: &dyn Progress,
    ) -> Result<Self, SourceError> {
        let n = source.rows();
        let (small, large): (Vec<_>, Vec<_>) =
            order.clusters().iter().partition(|cluster| cluster.len() <= limit.max(1));
        let mut matches = Self { similarity: vec![0.0; n], cause: vec![0; n] };
        let found: Vec<_> = small
            .par_iter()
            .map(|cluster| {
                progress.check()?;
                let vectors = stream::gather(source, cluster)?;
                let earlier = match greedy {
                    None => curate_kernels::max_earlier(&vectors, source.dim()),
                    Some(threshold) => curate_kernels::survivors(&vectors, source.dim(), threshold),
                };
                progress.advance(cluster.len() as u64);
                Ok::<_, SourceError>(earlier)
            })
            .collect();
        for (cluster, found) in small.into_iter().zip(found) {
            matches.record(cluster, &found?);
        }
        for cluster in large {
            let block = limit.div_ceil(2).max(1);
            let found = stream::search(source, cluster, block, greedy, progress)?;
            matches.record(cluster, &found);
        }
        Ok(matches)
    }

    fn record(&mut self, cluster: &[usize], found: &[Earlier]) {
        for (&row, earlier) in cluster.iter().zip(found) {
            self.similarity[row] = earlier.similarity;
            let cause = earlier.position.map(|position| cluster[position as usize]);
            self.cause[row] = cause.map_or(0, |row| row as u64 + 1);
        }
    }

    /// The preferred row that `row` is most similar to, if its similarity is above 0.
    pub fn cause(&self, row: usize) -> Option<usize> {
        self.cause.get(row)?.checked_sub(1).map(|row| row as usize)
    }

    /// Records a more similar preferred row.
    pub(crate) fn improve(&mut self, row: usize, similarity: f32, cause: usize) {
        self.similarity[row] = similarity;
        self.cause[row] = cause as u64 + 1;
    }
}

#[cfg(test)]
mod tests {
    use curate_core::NoProgress;
    use ndarray::array;

    use super::*;

    fn find(order: Vec<Vec<usize>>, mode: Mode) -> Result<Matches, DedupError> {
        let rows = array![[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]];
        let of_rows = order.iter().flatten().max().map_or(0, |row| row + 1);
        let order = Ordered::from_clusters(order, of_rows).unwrap();
        Matches::find(&rows, &order, mode, &NoProgress)
    }

    #[test]
    fn causes_are_rows_of_the_source_not_places_in_the_cluster() {
        let found = find(vec![vec![3, 1], vec![], vec![2, 0]], Mode::Reference).unwrap();
        assert_eq!(found.similarity, [1.0, 1.0, 0.0, 0.0]);
        let causes: Vec<_> = (0..5).map(|row| found.cause(row)).collect();
        assert_eq!(causes, [Some(2), Some(3), None, None, None]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let error = find(vec![vec![4]], Mode::Reference).unwrap_err().to_string();
        assert!(error.contains("row 4 was asked for, but the source has 4 rows"), "{error}");
        let error = find(vec![vec![0]], Mode::Greedy(f64::NAN)).unwrap_err().to_string();
        assert!(error.contains("`epsilon` is NaN"), "{error}");
    }
}
