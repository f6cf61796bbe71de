//! What semantic deduplication answers.

use curate_cluster::Clusters;
use curate_core::{
    Cut, Removal, Rows, SampleId, Selection,
    fault::Faulty,
    rank::{Direction, Outcome, fraction_of},
};

use serde::{Deserialize, Serialize};

use crate::{DedupError, Found, Matches, Mode, Recall, probe::Probing};

/// The rule under which duplicates go.
pub const SEMANTIC_DUPLICATE: &str = "semantic-duplicate";
/// The rule under which copies to the bit go.
pub const EXACT_DUPLICATE: &str = "exact-duplicate";

/// Every row's most similar preferred row. Any cut is a view on it that costs a comparison a row; all
/// rows are those of the source that was searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Duplicates {
    mode: Mode,
    given: Selection,
    faults: Vec<Faulty>,
    copies: Vec<Copy>,
    clusters: Clusters,
    /// The id of each clustered row.
    ids: Vec<SampleId>,
    /// Of the clustered rows, by place.
    matches: Matches,
    probing: Option<Probing>,
}

/// A row whose vector is another row's to the bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// The row that goes.
    pub row: usize,
    /// The row that stays in its place.
    pub stays: usize,
}

impl Duplicates {
    pub(crate) fn new(
        mode: Mode,
        rows: &Rows<'_>,
        copies: Vec<Copy>,
        clusters: Clusters,
        ids: Vec<SampleId>,
        matches: Matches,
        probing: Option<Probing>,
    ) -> Self {
        let (given, faults) = (rows.given().clone(), rows.faults().to_vec());
        Self { mode, given, faults, copies, clusters, ids, matches, probing }
    }

    /// The rows that stay. A fraction is one of all rows given, so that bad rows do not shrink the
    /// result; rows of equal similarity stay by ascending id.
    ///
    /// # Errors
    /// When the cut is out of range, or is not the one that a greedy search was made for.
    pub fn select(&self, cut: Cut) -> Result<Selection, DedupError> {
        Ok(self.outcome(cut)?.kept)
    }

    /// The rows that stay, and the largest similarity that stays.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub fn outcome(&self, cut: Cut) -> Result<Outcome, DedupError> {
        if let Mode::Greedy(epsilon) = self.mode
            && cut != Cut::Epsilon(epsilon)
        {
            return Err(DedupError::GreedyHoldsForItsEpsilon { epsilon });
        }
        let cut = match cut.check()? {
            Cut::Fraction(fraction) => Cut::Top(fraction_of(self.given.len(), fraction)),
            other => other,
        };
        let similarity = &self.matches.similarity;
        let Outcome { kept, threshold } =
            cut.apply(similarity, &self.ids, Direction::LowerIsBetter)?;
        let rows = self.clusters.rows().rows();
        Ok(Outcome { kept: kept.iter().map(|place| rows[place]).collect(), threshold })
    }

    /// Why each row that does not stay goes, in row order: bad rows, exact copies, duplicates.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub fn removals(&self, cut: Cut) -> Result<Vec<Removal>, DedupError> {
        let Outcome { kept, threshold } = self.outcome(cut)?;
        let faults = self.faults.iter().map(Faulty::removal);
        let copies = self
            .copies
            .iter()
            .map(|copy| Removal::new(copy.row, EXACT_DUPLICATE).valued(1.0).caused_by(copy.stays));
        let gone = self.clusters.rows().minus(&kept);
        let duplicates = gone.iter().map(|row| self.duplicate(row, threshold));
        let mut removals: Vec<Removal> = faults.chain(copies).chain(duplicates).collect();
        removals.sort_by_key(|removal| removal.row);
        Ok(removals)
    }

    fn duplicate(&self, row: usize, threshold: Option<f64>) -> Removal {
        Removal {
            row,
            rule: SEMANTIC_DUPLICATE.to_owned(),
            value: self.similarity(row).map(f64::from),
            threshold,
            cause: self.cause(row),
            cluster: self.clusters.cluster(row),
        }
    }

    /// The rows that were given.
    pub fn given(&self) -> &Selection {
        &self.given
    }

    /// Those of them whose vectors could not be used, with what is wrong.
    pub fn faults(&self) -> &[Faulty] {
        &self.faults
    }

    /// Rows that are copies to the bit, where they were collapsed.
    pub fn copies(&self) -> &[Copy] {
        &self.copies
    }

    /// The clusters in which rows were compared. Copies and bad rows are in none.
    pub fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// The largest similarity of a row to a preferred one, at least 0, in the order of
    /// [`Self::clusters`]' rows.
    pub fn similarities(&self) -> &[f32] {
        &self.matches.similarity
    }

    /// The largest similarity of a row to a preferred one, at least 0; 1 for an exact copy. `None` for
    /// a row that was not compared.
    pub fn similarity(&self, row: usize) -> Option<f32> {
        let compared = self.clusters.rows().position(row);
        let copy = || self.copy(row).map(|_| 1.0);
        compared.map(|place| self.matches.similarity[place]).or_else(copy)
    }

    /// The preferred row that a row is most similar to, if its similarity is above 0.
    pub fn cause(&self, row: usize) -> Option<usize> {
        let rows = self.clusters.rows();
        match rows.position(row) {
            Some(place) => self.matches.cause(place).map(|cause| rows.rows()[cause]),
            None => self.copy(row).map(|copy| copy.stays),
        }
    }

    /// What the search found of each row that was compared, to be put together with what other searches
    /// found ([`crate::Inputs::found`]).
    pub fn found(&self) -> Vec<Found> {
        let rows = self.clusters.rows();
        let similarities = rows.iter().zip(&self.matches.similarity);
        let found = |(row, &similarity)| Found { row, similarity, cause: self.cause(row) };
        similarities.map(found).collect()
    }

    fn copy(&self, row: usize) -> Option<&Copy> {
        let found = self.copies.binary_search_by_key(&row, |copy| copy.row);
        found.ok().map(|at| &self.copies[at])
    }

    /// What looking into neighboring clusters found, where that was asked for.
    pub fn probing(&self) -> Option<&Probing> {
        self.probing.as_ref()
    }

    /// How many of all duplicates at an epsilon the search found, measured on a sample; `None` where
    /// no clusters were probed.
    pub fn recall(&self, epsilon: f64) -> Option<Recall> {
        self.probing.as_ref().map(|probing| probing.recall(epsilon))
    }
}
