//! What has to be known of rows before they are added up.

use std::ops::Range;

use curate_core::{
    BLOCK_ROWS, EmbeddingSource, Progress, SourceError, embedding, fault::UNIT_TOLERANCE,
};
use curate_kernels::FixedPoint;
use rayon::prelude::*;

use crate::{ClusterError, Metric, task::task};

/// What is known of the rows that a search passes over.
pub(crate) enum Facts {
    /// Nothing: the search looks at each row.
    Unknown,
    /// They are finite, and of length 1 or 0.
    Unit,
    /// They are finite, and their lengths were measured.
    Measured(Lengths),
}

/// Lengths of rows.
pub(crate) struct Lengths {
    /// The squared length of each row.
    squares: Vec<f64>,
    /// The largest absolute value among their numbers.
    largest: f32,
}

impl Facts {
    /// What has to be known before a first pass. Sums of unit rows need nothing; those of others a
    /// step that fits the largest number, and it has to be the same from the first row on.
    pub(crate) fn before<S: EmbeddingSource + ?Sized>(
        metric: Metric,
        source: &S,
        progress: &dyn Progress,
    ) -> Result<Self, ClusterError> {
        match metric {
            Metric::Spherical => Ok(Self::Unknown),
            Metric::Euclidean => {
                let measured = || Lengths::measure(source, progress);
                task(progress, "lengths of rows", source.rows(), measured).map(Self::Measured)
            }
        }
    }

    /// What is known after a pass over all rows found no fault.
    pub(crate) fn after_a_pass(self, metric: Metric) -> Self {
        match (self, metric) {
            (Self::Unknown, Metric::Spherical) => Self::Unit,
            (facts, _) => facts,
        }
    }

    /// The same of some of the rows, in another order.
    pub(crate) fn of(&self, rows: &[usize]) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Unit => Self::Unit,
            Self::Measured(lengths) => Self::Measured(Lengths {
                squares: rows.iter().map(|&row| lengths.squares[row]).collect(),
                largest: lengths.largest,
            }),
        }
    }

    /// The squared lengths of rows, where they were measured.
    pub(crate) fn squares(&self, rows: Range<usize>) -> Option<&[f64]> {
        match self {
            Self::Measured(lengths) => Some(&lengths.squares[rows]),
            Self::Unknown | Self::Unit => None,
        }
    }

    /// Steps in which these rows can be added up.
    pub(crate) fn steps(&self) -> FixedPoint {
        match self {
            Self::Measured(lengths) => {
                FixedPoint::up_to(lengths.largest).expect("the largest of finite numbers")
            }
            Self::Unknown | Self::Unit => FixedPoint::UNIT,
        }
    }
}

impl Lengths {
    fn measure<S: EmbeddingSource + ?Sized>(
        source: &S,
        progress: &dyn Progress,
    ) -> Result<Self, ClusterError> {
        let mut all = Self { squares: Vec::with_capacity(source.rows()), largest: 0.0 };
        let (mut buffer, mut squares) = (Vec::new(), Vec::new());
        for start in (0..source.rows()).step_by(BLOCK_ROWS) {
            progress.check().map_err(SourceError::from)?;
            let rows = start..source.rows().min(start + BLOCK_ROWS);
            let vectors = embedding::read_rows(source, rows.clone(), &mut buffer)?;
            self::squares(vectors, source.dim(), &mut squares);
            squares.resize(rows.len(), 0.0);
            if let Some(bad) = squares.iter().position(|square| !square.is_finite()) {
                return Err(ClusterError::NotFinite { row: start + bad });
            }
            let largest = vectors.par_chunks(1 << 16).map(curate_kernels::largest);
            all.largest = all.largest.max(largest.reduce(|| 0.0, f32::max));
            all.squares.append(&mut squares);
            progress.advance(rows.len() as u64);
        }
        Ok(all)
    }
}

/// The squared length of every row, in f64.
pub(crate) fn squares(vectors: &[f32], dim: usize, out: &mut Vec<f64>) {
    vectors.par_chunks_exact(dim.max(1)).map(|x| embedding::dot(x, x)).collect_into_vec(out);
}

/// An error that names the first row that is not finite, or whose length is neither 1 nor 0; `first`
/// is the row that `vectors` begin with.
///
/// Of other lengths spherical k-means would make something without a complaint: long rows pull the
/// means towards themselves, and where `1 - similarity` falls below 0 every iteration looks converged.
pub(crate) fn check_unit(vectors: &[f32], dim: usize, first: usize) -> Result<(), ClusterError> {
    let dim = dim.max(1);
    let bad = |vector: &[f32]| wrong_norm(vector).is_some();
    let Some(bad) = vectors.par_chunks_exact(dim).position_first(bad) else { return Ok(()) };
    let row = first + bad;
    match wrong_norm(&vectors[bad * dim..][..dim]) {
        Some(norm) if norm.is_finite() => Err(ClusterError::NotUnit { row, norm }),
        _ => Err(ClusterError::NotFinite { row }),
    }
}

/// The length of a vector that is neither a unit vector nor zero.
fn wrong_norm(vector: &[f32]) -> Option<f64> {
    // A sum in f32 lanes is an eighth of the work and decides all but the doubtful ones.
    const SURE: f32 = 1.9 * UNIT_TOLERANCE as f32;
    if (curate_kernels::square(vector) - 1.0).abs() < SURE {
        return None;
    }
    let norm = embedding::norm(vector);
    let fits = norm == 0.0 || (norm - 1.0).abs() <= UNIT_TOLERANCE;
    (!fits).then_some(norm)
}

/// Centroids that rows can be compared with: finite, and of length 1 (or 0) when spherical.
pub(crate) fn check_centroids(
    metric: Metric,
    centroids: &[f32],
    dim: usize,
) -> Result<(), ClusterError> {
    let mut vectors = centroids.chunks_exact(dim.max(1));
    if let Some(centroid) = vectors.position(|c| c.iter().any(|x| !x.is_finite())) {
        return Err(ClusterError::CentroidNotFinite { centroid });
    }
    match metric {
        Metric::Euclidean => Ok(()),
        Metric::Spherical => check_unit(centroids, dim, 0).map_err(|error| match error {
            ClusterError::NotUnit { row, norm } => {
                ClusterError::CentroidNotUnit { centroid: row, norm }
            }
            other => other,
        }),
    }
}

#[cfg(test)]
mod tests {
    use curate_core::NoProgress;
    use ndarray::array;

    use super::*;

    #[test]
    fn the_first_row_of_a_wrong_length_is_named() {
        let check = |rows: &[f32]| check_unit(rows, 2, 10);
        check(&[0.6, 0.8, 0.0, 0.0, 1.0, 0.1, 0.991, 0.0]).unwrap();
        let complaint = check(&[1.0, 0.0, 0.6, 0.9, 5.0, 0.0]).unwrap_err().to_string();
        assert!(complaint.contains("row 11 has length 1.08"), "{complaint}");
        assert!(complaint.contains("UnitRows") && complaint.contains("Euclidean"), "{complaint}");
        for (row, norm) in [([0.98_f32, 0.0], 0.98), ([1e-30, 0.0], 1e-30), ([1e30, 0.0], 1e30)] {
            let error = check(&row).unwrap_err();
            let ClusterError::NotUnit { row: 10, norm: found } = error else { panic!("{error}") };
            assert!((found / norm - 1.0).abs() < 1e-6);
        }
        for bad in [f32::NAN, f32::INFINITY] {
            let error = check(&[1.0, 0.0, bad, 0.0]).unwrap_err();
            assert!(matches!(error, ClusterError::NotFinite { row: 11 }), "{error}");
        }
        check_unit(&[], 0, 0).unwrap();
    }

    #[test]
    fn centroids_of_a_wrong_length_are_for_euclidean_distances_alone() {
        check_centroids(Metric::Euclidean, &[3.0, 4.0], 2).unwrap();
        let error = check_centroids(Metric::Spherical, &[0.0, 0.0, 3.0, 4.0], 2).unwrap_err();
        let ClusterError::CentroidNotUnit { centroid: 1, norm: 5.0 } = error else {
            panic!("{error}")
        };
        let error = check_centroids(Metric::Euclidean, &[3.0, f32::NAN], 2).unwrap_err();
        assert!(matches!(error, ClusterError::CentroidNotFinite { centroid: 0 }), "{error}");
    }

    #[test]
    fn lengths_are_those_of_the_rows_and_a_bad_row_is_named() {
        let mut rows = array![[3.0, -4.0], [0.0, 0.0], [0.5, 0.0]];
        let facts = Facts::before(Metric::Euclidean, &rows.view(), &NoProgress).unwrap();
        assert_eq!(facts.squares(0..3), Some(&[25.0, 0.0, 0.25][..]));
        assert_eq!(facts.of(&[2, 0]).squares(0..2), Some(&[0.25, 25.0][..]));
        assert_eq!(Some(facts.of(&[2]).steps()), FixedPoint::up_to(4.0), "one step for all rows");
        rows[[1, 1]] = f32::NAN;
        let error = Facts::before(Metric::Euclidean, &rows.view(), &NoProgress).err().unwrap();
        assert!(matches!(error, ClusterError::NotFinite { row: 1 }), "{error}");
    }
}
