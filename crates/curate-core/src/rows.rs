//! The rows that a method is given.

use crate::{
    Cut, CutError, EmbeddingSource, NoProgress, Progress, SampleId, Selection, SourceError,
    examined::Examined,
    fault::{Faulty, NormPolicy},
    rank::Direction,
    vectors::{Scale, Vectors},
};

/// The rows that a method is given: their vectors, their ids, and which of them can be used.
///
/// Every method that works on embeddings takes `Rows` and answers in row numbers of the source, so
/// selections of one method go into the next without any translation ([`Rows::only`]). Bad rows are
/// found once, here, and never reach a method: a method reports them among its removals.
///
/// ```
/// use curate_core::{Rows, Selection};
/// use ndarray::array;
///
/// let vectors = array![[0.6, 0.8], [f32::NAN, 0.0], [1.0, 0.0]];
/// let rows = Rows::new(&vectors)?;
/// assert_eq!(rows.usable().rows(), [0, 2]);
/// assert_eq!(rows.faults()[0].row, 1);
/// let fewer = rows.only(&Selection::from_unsorted(vec![1, 2]))?;
/// assert_eq!((fewer.given().len(), fewer.usable().rows()), (2, &[2][..]));
/// # Ok::<(), curate_core::RowsError>(())
/// ```
#[derive(Clone)]
pub struct Rows<'a> {
    source: &'a dyn EmbeddingSource,
    ids: Option<&'a [SampleId]>,
    given: Selection,
    usable: Selection,
    faults: Vec<Faulty>,
    scale: Scale,
}

/// What else than the vectors a method is given.
#[derive(Clone, Debug, Default)]
pub struct Given<'a> {
    /// One id for each row of the source; left out, the id of a row is its number. Ids settle ties and
    /// random draws, so with ids of their own rows have the same fate in any order.
    pub ids: Option<&'a [SampleId]>,
    /// The rows of the source that are given; left out, all of them.
    pub rows: Option<Selection>,
    /// What to do with vectors whose length is not 1.
    pub norm: NormPolicy,
}

/// Rows cannot be given to a method.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// There is not one id for each row.
    #[error("{ids} ids for {rows} rows: give one id for each row of the source")]
    IdsMismatch {
        /// Ids given.
        ids: usize,
        /// Rows of the source.
        rows: usize,
    },
    /// A row was named that is not there.
    #[error("row {row} is not among the {given} rows that were given: select among those")]
    NotGiven {
        /// The first such row.
        row: usize,
        /// How many rows were given.
        given: usize,
    },
    /// Most vectors are not unit vectors, so probably none was meant to be.
    #[error(
        "{count} of {rows} vectors do not have length 1 (median {median:.3}): scale them, or accept \
         any length (NormPolicy::Any)"
    )]
    NotUnit {
        /// Vectors of another length.
        count: usize,
        /// Rows given.
        rows: usize,
        /// The median of their lengths.
        median: f64,
    },
    /// The vectors could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl RowsError {
    /// True when the caller asked the work to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Source(error) if error.is_cancelled())
    }
}

impl<'a> Rows<'a> {
    /// All rows of a source of unit vectors, with their numbers as ids. Reads all vectors once.
    ///
    /// # Errors
    /// As [`Rows::read`].
    pub fn new(source: &'a dyn EmbeddingSource) -> Result<Self, RowsError> {
        Self::read(source, Given::default(), &NoProgress)
    }

    /// Reads the vectors of all given rows once and sets those aside that cannot be used.
    ///
    /// # Errors
    /// When ids or rows do not fit the source, more than half of the vectors do not have length 1
    /// where the policy asks for it, vectors cannot be read, or the caller cancels.
    pub fn read(
        source: &'a dyn EmbeddingSource,
        what: Given<'a>,
        progress: &dyn Progress,
    ) -> Result<Self, RowsError> {
        let given = check(source, &what)?;
        let examined = Examined::examine(source, &given, what.norm, progress)?;
        Self::of(source, what.ids, given, examined)
    }

    /// [`Self::read`] of rows whose vectors were read before, perhaps in parts ([`Examined::merge`]):
    /// reads none.
    ///
    /// # Errors
    /// As [`Self::read`], but for those of reading; when a fault is that of a row that is not given.
    pub fn examined(
        source: &'a dyn EmbeddingSource,
        what: Given<'a>,
        examined: Examined,
    ) -> Result<Self, RowsError> {
        let given = check(source, &what)?;
        let mut faulty = examined.faults().iter().map(|faulty| faulty.row);
        match faulty.find(|&row| !given.contains(row)) {
            Some(row) => Err(RowsError::NotGiven { row, given: given.len() }),
            None => Self::of(source, what.ids, given, examined),
        }
    }

    fn of(
        source: &'a dyn EmbeddingSource,
        ids: Option<&'a [SampleId]>,
        given: Selection,
        examined: Examined,
    ) -> Result<Self, RowsError> {
        if let Some((count, median)) = examined.unscaled(given.len()) {
            return Err(RowsError::NotUnit { count, rows: given.len(), median });
        }
        let bad: Selection = examined.faults().iter().map(|faulty| faulty.row).collect();
        let usable = given.minus(&bad);
        let (faults, scale) = examined.into_parts();
        Ok(Self { source, ids, given, usable, faults, scale })
    }

    /// Some of the given rows, without reading them again.
    ///
    /// # Errors
    /// When a row was not given.
    pub fn only(&self, rows: &Selection) -> Result<Self, RowsError> {
        if let Some(row) = rows.minus(&self.given).iter().next() {
            return Err(RowsError::NotGiven { row, given: self.given.len() });
        }
        let mut faults = self.faults.clone();
        faults.retain(|faulty| rows.contains(faulty.row));
        let usable = self.usable.intersect(rows);
        Ok(Self { given: rows.clone(), usable, faults, ..self.clone() })
    }

    /// The given rows that a cut keeps by a score of every row of the source, usable or not; ties stay
    /// by ascending id.
    ///
    /// # Errors
    /// When there is not one score for each row of the source, or the cut is out of range.
    pub fn select(
        &self,
        scores: &[f32],
        direction: Direction,
        cut: Cut,
    ) -> Result<Selection, CutError> {
        if scores.len() != self.source.rows() {
            let (ids, scores) = (self.source.rows(), scores.len());
            return Err(CutError::IdsMismatch { ids, scores });
        }
        let given: Vec<f32> = self.given.iter().map(|row| scores[row]).collect();
        let ids: Vec<SampleId> = self.given.iter().map(|row| self.id_of(row)).collect();
        let kept = cut.apply(&given, &ids, direction)?.kept;
        Ok(kept.iter().map(|place| self.given.rows()[place]).collect())
    }

    /// The rows of the source that were given.
    pub fn given(&self) -> &Selection {
        &self.given
    }

    /// Those of them whose vectors can be used.
    pub fn usable(&self) -> &Selection {
        &self.usable
    }

    /// The others, with what is wrong, in row order.
    pub fn faults(&self) -> &[Faulty] {
        &self.faults
    }

    /// Length of a vector.
    pub fn dim(&self) -> usize {
        self.source.dim()
    }

    /// Rows of the source, given or not.
    pub fn source_rows(&self) -> usize {
        self.source.rows()
    }

    /// The ids of some rows of the source, in row order.
    ///
    /// # Errors
    /// When a row is beyond the source.
    pub fn ids(&self, rows: &Selection) -> Result<Vec<SampleId>, RowsError> {
        match rows.rows().last().copied().filter(|&row| row >= self.source.rows()) {
            Some(row) => Err(RowsError::NotGiven { row, given: self.source.rows() }),
            None => Ok(rows.iter().map(|row| self.id_of(row)).collect()),
        }
    }

    /// The ids of the usable rows, in row order.
    pub fn usable_ids(&self) -> Vec<SampleId> {
        self.usable.iter().map(|row| self.id_of(row)).collect()
    }

    fn id_of(&self, row: usize) -> SampleId {
        self.ids.map_or(SampleId(row as u128), |ids| ids[row])
    }

    /// The vectors of the usable rows, each of length 1, in row order.
    pub fn unit(&self) -> Vectors<'_> {
        Vectors::new(self.source, &self.usable, self.scale)
    }

    /// The vectors of the usable rows as the source has them, in row order.
    pub fn as_stored(&self) -> Vectors<'_> {
        Vectors::new(self.source, &self.usable, Scale::Done)
    }
}

/// The rows that are given, when they and the ids fit the source.
fn check(source: &dyn EmbeddingSource, what: &Given<'_>) -> Result<Selection, RowsError> {
    let rows = source.rows();
    if let Some(ids) = what.ids.filter(|ids| ids.len() != rows) {
        return Err(RowsError::IdsMismatch { ids: ids.len(), rows });
    }
    let given = what.rows.clone().unwrap_or_else(|| Selection::all(rows));
    match given.rows().last().copied().filter(|&row| row >= rows) {
        Some(row) => Err(RowsError::NotGiven { row, given: rows }),
        None => Ok(given),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::fault::Fault;

    fn some() -> Array2<f32> {
        array![[0.6, 0.8], [f32::NAN, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    }

    #[test]
    fn bad_rows_are_set_aside_and_answers_are_in_rows_of_the_source() {
        let vectors = some();
        let rows = Rows::new(&vectors).unwrap();
        assert_eq!(rows.usable().rows(), [0, 2, 4, 5]);
        let faults: Vec<_> = rows.faults().iter().map(|f| (f.row, f.fault)).collect();
        assert_eq!(faults, [(1, Fault::EmbeddingNan), (3, Fault::EmbeddingZero)]);
        let fewer = rows.only(&Selection::from_unsorted(vec![3, 4, 0])).unwrap();
        assert_eq!((fewer.given().rows(), fewer.usable().rows()), (&[0, 3, 4][..], &[0, 4][..]));
        assert_eq!(fewer.faults().len(), 1);
        let mut out = [0.0; 2];
        fewer.unit().read(1..2, &mut out).unwrap();
        assert_eq!(out, [0.0, 1.0]);
        assert_eq!(fewer.usable_ids(), [0_u64, 4].map(SampleId::from));
    }

    #[test]
    fn unit_vectors_are_borrowed_and_others_scaled() {
        let unit = array![[0.0, 1.0], [1.0, 0.0]];
        let rows = Rows::new(&unit).unwrap();
        assert_eq!(rows.unit().in_memory(0..2), unit.as_slice());

        let long = array![[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]];
        let given = Given { norm: NormPolicy::Any, ..Given::default() };
        let rows = Rows::read(&long, given, &NoProgress).unwrap();
        assert!(rows.unit().in_memory(0..2).is_none());
        let mut out = [0.0; 4];
        rows.unit().gather(&[0, 1], &mut out).unwrap();
        assert_eq!(out, [0.6, 0.8, 0.0, 1.0]);
        rows.as_stored().read(0..2, &mut out).unwrap();
        assert_eq!(out, [3.0, 4.0, 0.0, 2.0]);
    }

    #[test]
    fn an_embedding_that_was_never_normalized_is_refused() {
        let long = array![[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]];
        let error = Rows::new(&long).err().unwrap();
        assert!(matches!(error, RowsError::NotUnit { count: 2, rows: 3, .. }), "{error}");
        let few = array![[3.0, 4.0], [0.0, 1.0], [1.0, 0.0]];
        assert_eq!(Rows::new(&few).unwrap().usable().rows(), [1, 2]);
    }

    #[test]
    fn a_score_selects_among_the_given_rows() {
        let vectors = some();
        let rows = Rows::new(&vectors).unwrap();
        let scores = [0.9, 0.8, 0.1, 0.2, 0.7, 0.3];
        let best = |rows: &Rows<'_>, cut| {
            rows.select(&scores, Direction::HigherIsBetter, cut).unwrap().rows().to_vec()
        };
        assert_eq!(best(&rows, Cut::Fraction(0.5)), [0, 1, 4]);
        let fewer = rows.only(&Selection::from_unsorted(vec![2, 3, 4, 5])).unwrap();
        assert_eq!(best(&fewer, Cut::Fraction(0.5)), [4, 5]);
        assert!(rows.select(&scores[1..], Direction::HigherIsBetter, Cut::Top(1)).is_err());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let vectors = some();
        let ids = [SampleId(1); 5];
        let given = Given { ids: Some(&ids), ..Given::default() };
        let error = Rows::read(&vectors, given, &NoProgress).err().unwrap();
        assert!(matches!(error, RowsError::IdsMismatch { ids: 5, rows: 6 }), "{error}");
        let given = Given { rows: Some(Selection::all(7)), ..Given::default() };
        let error = Rows::read(&vectors, given, &NoProgress).err().unwrap();
        assert!(matches!(error, RowsError::NotGiven { row: 6, given: 6 }), "{error}");
        let rows = Rows::new(&vectors).unwrap();
        assert!(rows.only(&Selection::all(7)).is_err());
        assert!(rows.ids(&Selection::all(7)).is_err());
        let mut out = [0.0; 2];
        assert!(rows.unit().read(4..5, &mut out).is_err());
        assert!(rows.unit().gather(&[4], &mut out).is_err());
    }

    #[test]
    fn vectors_examined_in_parts_are_not_read_again() {
        let vectors = some();
        let whole = Rows::new(&vectors).unwrap();
        let part = |rows: Vec<usize>| {
            let rows = Selection::from_unsorted(rows);
            Examined::examine(&vectors, &rows, NormPolicy::RequireUnit, &NoProgress).unwrap()
        };
        let mut examined = part(vec![3, 4, 5]);
        examined.merge(part(vec![0, 1, 2]));
        let rows = Rows::examined(&vectors, Given::default(), examined.clone()).unwrap();
        assert_eq!((rows.usable(), rows.faults().len()), (whole.usable(), 2));
        let given = Given { rows: Some(Selection::from_unsorted(vec![0, 1])), ..Given::default() };
        let error = Rows::examined(&vectors, given, examined).err().unwrap();
        assert!(matches!(error, RowsError::NotGiven { row: 3, given: 2 }), "{error}");
    }
}
