//! Where vectors come from: rows of f32, read in blocks of fixed size.

use std::{error::Error, ops::Range};

use ndarray::{ArrayBase, ArrayView1, Axis, Data, Ix2};
use rayon::prelude::*;

use crate::{Cancelled, Progress};

/// Rows in a block. Sums run over blocks of this size in block order, whatever the number of
/// threads, shards or tasks, so their bytes never depend on how work was split.
pub const BLOCK_ROWS: usize = 8192;

/// A table of `rows() x dim()` f32 vectors that is read in pieces.
pub trait EmbeddingSource: Sync {
    /// Number of vectors.
    fn rows(&self) -> usize;

    /// Length of a vector.
    fn dim(&self) -> usize;

    /// Writes the vectors `rows` one after the other into `out`, which holds exactly
    /// `rows.len() * dim()` numbers.
    ///
    /// # Errors
    /// When the rows cannot be read.
    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), SourceError>;

    /// Writes the vectors at `rows`, in the order given, into `out`.
    ///
    /// # Errors
    /// When a row cannot be read.
    fn gather(&self, rows: &[usize], out: &mut [f32]) -> Result<(), SourceError> {
        let dim = self.dim().max(1);
        rows.iter()
            .zip(out.chunks_exact_mut(dim))
            .try_for_each(|(&r, out)| self.read(r..r + 1, out))
    }

    /// The vectors `rows` where they lie in memory one after the other, if they do: a reader then
    /// need not copy them.
    fn in_memory(&self, rows: Range<usize>) -> Option<&[f32]> {
        let _ = rows;
        None
    }
}

/// A source that is borrowed, so that one whose type is not known here can be handed on as
/// `&dyn EmbeddingSource`.
impl<S: EmbeddingSource + ?Sized> EmbeddingSource for &S {
    fn rows(&self) -> usize {
        (**self).rows()
    }

    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        (**self).read(rows, out)
    }

    fn gather(&self, rows: &[usize], out: &mut [f32]) -> Result<(), SourceError> {
        (**self).gather(rows, out)
    }

    fn in_memory(&self, rows: Range<usize>) -> Option<&[f32]> {
        (**self).in_memory(rows)
    }
}

/// Rows that one thread reads at a time.
const READ_ROWS: usize = 1024;

/// The vectors `rows`: where they lie, or read into `buffer` on all threads of the current pool.
///
/// # Errors
/// The first error in row order.
pub fn read_rows<'a, S: EmbeddingSource + ?Sized>(
    source: &'a S,
    rows: Range<usize>,
    buffer: &'a mut Vec<f32>,
) -> Result<&'a [f32], SourceError> {
    if let Some(vectors) = source.in_memory(rows.clone()) {
        return Ok(vectors);
    }
    let dim = source.dim();
    buffer.resize(rows.len() * dim, 0.0);
    let parts: Vec<Result<(), SourceError>> = buffer
        .par_chunks_mut((READ_ROWS * dim).max(1))
        .enumerate()
        .map(|(part, out)| {
            let start = rows.start + part * READ_ROWS;
            source.read(start..rows.end.min(start + READ_ROWS), out)
        })
        .collect();
    parts.into_iter().collect::<Result<(), SourceError>>()?;
    Ok(buffer)
}

/// Vectors could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The caller asked the work to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A row was asked for that the source does not have.
    #[error("row {row} was asked for, but the source has {rows} rows: give rows of this source")]
    OutOfRange {
        /// The first such row.
        row: usize,
        /// Rows there are.
        rows: usize,
    },
    /// The space for the vectors has another size.
    #[error("space for {received} numbers was given to {expected} numbers: give rows * dim")]
    WrongSpace {
        /// Numbers asked for: rows times dimensions.
        expected: usize,
        /// Numbers that there is space for.
        received: usize,
    },
    /// The source failed.
    #[error(transparent)]
    Read(Box<dyn Error + Send + Sync>),
}

impl SourceError {
    /// True when the caller asked the work to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled(_))
    }
}

/// Arrays and views of them, in any memory layout.
impl<S> EmbeddingSource for ArrayBase<S, Ix2>
where
    S: Data<Elem = f32>,
    Self: Sync,
{
    fn rows(&self) -> usize {
        self.nrows()
    }

    fn dim(&self) -> usize {
        self.ncols()
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        let dim = self.ncols();
        if rows.end > self.nrows() {
            return Err(SourceError::OutOfRange { row: rows.end - 1, rows: self.nrows() });
        }
        if out.len() != rows.len() * dim {
            let (expected, received) = (rows.len() * dim, out.len());
            return Err(SourceError::WrongSpace { expected, received });
        }
        for (row, out) in rows.zip(out.chunks_exact_mut(dim.max(1))) {
            copy_row(self.index_axis(Axis(0), row), out);
        }
        Ok(())
    }

    fn in_memory(&self, rows: Range<usize>) -> Option<&[f32]> {
        let dim = self.ncols();
        self.as_slice()?.get(rows.start * dim..rows.end * dim)
    }
}

fn copy_row(row: ArrayView1<'_, f32>, out: &mut [f32]) {
    match row.as_slice() {
        Some(slice) => out.copy_from_slice(slice),
        None => out.iter_mut().zip(row).for_each(|(out, &value)| *out = value),
    }
}

/// Some rows of another source, in the order given.
pub struct RowsOf<'a, S: ?Sized> {
    source: &'a S,
    rows: &'a [usize],
}

impl<'a, S: EmbeddingSource + ?Sized> RowsOf<'a, S> {
    /// The vectors of `source` at `rows`.
    pub fn new(source: &'a S, rows: &'a [usize]) -> Self {
        Self { source, rows }
    }
}

impl<S: EmbeddingSource + ?Sized> EmbeddingSource for RowsOf<'_, S> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn dim(&self) -> usize {
        self.source.dim()
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        self.source.gather(&self.rows[rows], out)
    }

    fn gather(&self, rows: &[usize], out: &mut [f32]) -> Result<(), SourceError> {
        let rows: Vec<usize> = rows.iter().map(|&row| self.rows[row]).collect();
        self.source.gather(&rows, out)
    }
}

/// Another source with every row scaled to length 1. A zero row stays zero.
pub struct UnitRows<'a, S: ?Sized>(pub &'a S);

impl<S: EmbeddingSource + ?Sized> EmbeddingSource for UnitRows<'_, S> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        self.0.read(rows, out)?;
        out.chunks_exact_mut(self.dim().max(1)).for_each(normalize);
        Ok(())
    }

    fn gather(&self, rows: &[usize], out: &mut [f32]) -> Result<(), SourceError> {
        self.0.gather(rows, out)?;
        out.chunks_exact_mut(self.dim().max(1)).for_each(normalize);
        Ok(())
    }
}

/// How far from 1 the length of a vector may lie so that scaling it changes no number: a quotient
/// within a quarter of the spacing of f32 numbers rounds back to where it was.
pub(crate) const UNIT_TO_THE_BIT: f64 = 1.0 / (1_u64 << 26) as f64;

/// Scales a vector to length 1, with the length in f64; a zero vector stays zero.
pub fn normalize(vector: &mut [f32]) {
    let norm = norm(vector);
    if norm > 0.0 && (norm - 1.0).abs() > UNIT_TO_THE_BIT {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
    }
}

/// The Euclidean length of a vector, summed in f64 in element order.
pub fn norm(vector: &[f32]) -> f64 {
    vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

/// The inner product of two vectors, summed in f64 in element order.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// Rows whose sums run side by side in [`dots`].
const SIDE: usize = 8;

/// The inner product of every row with one vector, as [`dot`] computes each: several rows side by
/// side, because one sum alone waits for its own last step.
pub fn dots(rows: &[f32], vector: &[f32]) -> Vec<f64> {
    let dim = vector.len().max(1);
    let mut out = Vec::with_capacity(rows.len() / dim);
    for group in rows.chunks(SIDE * dim) {
        if group.len() < SIDE * dim {
            out.extend(group.chunks_exact(dim).map(|row| dot(row, vector)));
            continue;
        }
        let rows: [&[f32]; SIDE] = std::array::from_fn(|s| &group[s * dim..(s + 1) * dim]);
        let mut sums = [0.0_f64; SIDE];
        for (t, &y) in vector.iter().enumerate() {
            for s in 0..SIDE {
                sums[s] += f64::from(rows[s][t]) * f64::from(y);
            }
        }
        out.extend(sums);
    }
    out
}

/// Runs `work` on every block of [`BLOCK_ROWS`] rows, in parallel, and returns the answers in
/// block order. `work` gets the block's rows and their vectors.
///
/// # Errors
/// The first error in block order, or [`Cancelled`].
pub fn map_blocks<S, T>(
    source: &S,
    progress: &dyn Progress,
    work: impl Fn(Range<usize>, &[f32]) -> T + Sync,
) -> Result<Vec<T>, SourceError>
where
    S: EmbeddingSource + ?Sized,
    T: Send,
{
    let (n, dim) = (source.rows(), source.dim());
    let answers: Vec<Result<T, SourceError>> = (0..n.div_ceil(BLOCK_ROWS))
        .into_par_iter()
        .map_init(Vec::new, |buffer: &mut Vec<f32>, block| {
            progress.check()?;
            let rows = block * BLOCK_ROWS..n.min((block + 1) * BLOCK_ROWS);
            buffer.resize(rows.len() * dim, 0.0);
            source.read(rows.clone(), buffer)?;
            let answer = work(rows.clone(), buffer);
            progress.advance(rows.len() as u64);
            Ok(answer)
        })
        .collect();
    answers.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array, s};

    use super::*;
    use crate::NoProgress;

    #[test]
    fn views_of_any_layout_read_the_same_rows() {
        let c = Array2::from_shape_fn((5, 3), |(i, j)| (10 * i + j) as f32);
        let f = c.t().as_standard_layout().to_owned();
        for view in [c.view(), f.t()] {
            let mut out = [0.0; 6];
            view.read(1..3, &mut out).unwrap();
            assert_eq!(out, [10.0, 11.0, 12.0, 20.0, 21.0, 22.0]);
            view.gather(&[4, 0], &mut out).unwrap();
            assert_eq!(out, [40.0, 41.0, 42.0, 0.0, 1.0, 2.0]);
        }
        let every_other = c.slice(s![..;2, ..]);
        let view = RowsOf::new(&every_other, &[2, 0]);
        let mut out = [0.0; 3];
        view.read(0..1, &mut out).unwrap();
        assert_eq!(out, [40.0, 41.0, 42.0]);
    }

    #[test]
    fn products_side_by_side_have_the_bytes_of_products_alone() {
        let rows = Array2::from_shape_fn((21, 7), |(i, j)| ((i * 7 + j * 13) % 11) as f32 / 3.0);
        let rows = rows.as_slice().unwrap();
        let vector = &rows[14..21];
        let alone: Vec<f64> = rows.chunks(7).map(|row| dot(row, vector)).collect();
        assert_eq!(dots(rows, vector), alone);
        assert!(dots(&[], vector).is_empty());
    }

    #[test]
    fn rows_are_borrowed_where_they_lie_together_and_read_otherwise() {
        let array = Array2::from_shape_fn((2_500, 3), |(i, j)| (10 * i + j) as f32);
        let (view, turned) = (array.view(), array.t().as_standard_layout().to_owned());
        let turned = turned.t();
        let mut buffer = Vec::new();
        let borrowed = read_rows(&view, 2..2_400, &mut buffer).unwrap().to_vec();
        assert!(buffer.is_empty(), "nothing was copied");
        assert!(turned.in_memory(0..1).is_none());
        assert_eq!(read_rows(&turned, 2..2_400, &mut buffer).unwrap(), borrowed);
        assert_eq!(borrowed[..3], [20.0, 21.0, 22.0]);
        assert_eq!(borrowed.len(), 2_398 * 3);
    }

    #[test]
    fn a_row_that_is_not_there_is_an_error_not_a_panic() {
        let array = Array2::<f32>::zeros((3, 2));
        let mut out = [0.0; 4];
        let error = array.read(2..4, &mut out).unwrap_err();
        assert!(matches!(error, SourceError::OutOfRange { row: 3, rows: 3 }), "{error}");
        let error = array.gather(&[0, 9], &mut out).unwrap_err();
        assert!(matches!(error, SourceError::OutOfRange { row: 9, rows: 3 }), "{error}");
        let error = array.read(0..3, &mut out).unwrap_err();
        assert!(matches!(error, SourceError::WrongSpace { expected: 6, received: 4 }), "{error}");
        assert_eq!(array.in_memory(2..4), None);
    }

    #[test]
    fn scaling_a_vector_that_has_length_one_to_the_bit_changes_nothing() {
        for seed in 0..2_000_u64 {
            let mut vector: Vec<f32> = (0..37)
                .map(|i| crate::random::unit(seed, crate::SampleId(i)) as f32 - 0.5)
                .collect();
            normalize(&mut vector);
            let length = norm(&vector);
            if (length - 1.0).abs() <= UNIT_TO_THE_BIT {
                for &x in &vector {
                    assert_eq!((f64::from(x) / length) as f32, x, "{length}");
                }
            }
        }
    }

    #[test]
    fn unit_rows_have_length_one_and_zero_stays_zero() {
        let array = array![[3.0, 4.0], [0.0, 0.0]];
        let mut out = [0.0; 4];
        UnitRows(&array.view()).read(0..2, &mut out).unwrap();
        assert_eq!(out, [0.6, 0.8, 0.0, 0.0]);
    }

    #[test]
    fn blocks_come_back_in_order_and_cover_every_row_once() {
        let n = 2 * BLOCK_ROWS + 5;
        let array = Array2::from_shape_fn((n, 1), |(i, _)| i as f32);
        let blocks = map_blocks(&array.view(), &NoProgress, |rows, block| {
            assert_eq!(block[0], rows.start as f32);
            rows
        });
        assert_eq!(blocks.unwrap(), [0..8192, 8192..16384, 16384..16389]);
    }

    #[test]
    fn cancelling_stops_between_blocks() {
        struct Stop;
        impl Progress for Stop {
            fn start(&self, _: &str, _: u64, _: &str) {}
            fn advance(&self, _: u64) {}
            fn is_cancelled(&self) -> bool {
                true
            }
        }
        let array = Array2::<f32>::zeros((3, 2));
        let answer = map_blocks(&array.view(), &Stop, |_, _| ());
        assert!(matches!(answer, Err(SourceError::Cancelled(_))));
    }
}
