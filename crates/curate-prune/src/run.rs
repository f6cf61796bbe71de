//! The front door: quarantine, clusters, complexity, order of preference in one call.

use curate_cluster::{Clusters, Engine, Ordered};
use curate_core::{
    Cut, CutError, Progress, Removal, Rows, SampleId, Selection, fault::Faulty, random,
    rank::fraction_of,
};

use serde::{Deserialize, Serialize};

use crate::{
    AllocationReport, Complexity, ConceptPrune, PruneError, Quotas, Share, allocate, lower_bounds,
    params::suggested_clusters, select, softmax,
};

/// The rule under which rows beyond their concept's quota go.
pub const CONCEPT_QUOTA: &str = "concept-quota";
/// The rule under which rows go that a control does not keep.
pub const CONTROL: &str = "control";

/// What pruning can be given beside the rows.
#[derive(Clone, Copy, Default)]
pub struct Inputs<'a> {
    /// Clusters that are there already: the rows are not clustered again. Every usable row has to be in
    /// one.
    pub clusters: Option<&'a Clusters>,
    /// Where nearest centroids are searched; the native kernels if left out.
    pub engine: Option<&'a dyn Engine>,
}

impl ConceptPrune {
    /// Clusters the usable rows into concepts and finds each concept's complexity. The answer is in
    /// rows of the source that `rows` was made of.
    ///
    /// # Errors
    /// When vectors cannot be read, or the caller cancels.
    pub fn run(&self, rows: &Rows<'_>, progress: &dyn Progress) -> Result<Concepts, PruneError> {
        self.run_with(rows, Inputs::default(), progress)
    }

    /// [`Self::run`] with clusters or an engine of one's own.
    ///
    /// # Errors
    /// As [`Self::run`], and when a row is in no cluster, the clusters are Euclidean, or the engine
    /// fails.
    pub fn run_with(
        &self,
        rows: &Rows<'_>,
        inputs: Inputs<'_>,
        progress: &dyn Progress,
    ) -> Result<Concepts, PruneError> {
        let clusters = self.clusters(rows, inputs, progress)?;
        let ids = rows.usable_ids();
        let clustering = clusters.clustering();
        let complexity = Complexity::new(clustering, self.0.neighbors)?;
        let order = clustering.order(self.0.preference, &ids, self.seed())?;
        Ok(Concepts {
            method: self.clone(),
            given: rows.given().clone(),
            faults: rows.faults().to_vec(),
            clusters,
            ids,
            complexity,
            order,
        })
    }

    fn clusters(
        &self,
        rows: &Rows<'_>,
        inputs: Inputs<'_>,
        progress: &dyn Progress,
    ) -> Result<Clusters, PruneError> {
        if let Some(clusters) = inputs.clusters {
            return Ok(clusters.only(rows.usable())?);
        }
        // Bad rows do not change how many clusters there are.
        let wanted = self.0.clusters.unwrap_or_else(|| suggested_clusters(rows.given().len()));
        let k_means = self.0.k_means.clone();
        Ok(k_means.run_inside(wanted, self.0.seed, rows, inputs.engine, progress)?)
    }

    fn seed(&self) -> u64 {
        random::derive(self.0.seed, "prune")
    }
}

/// Rows in concepts, and how complex each concept is. Any number of rows to keep is a view on it; all
/// rows are those of the source that was clustered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Concepts {
    method: ConceptPrune,
    given: Selection,
    faults: Vec<Faulty>,
    clusters: Clusters,
    /// The id of each clustered row.
    ids: Vec<SampleId>,
    complexity: Complexity,
    order: Ordered,
}

/// What pruning keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruned {
    /// The rows that stay.
    pub kept: Selection,
    /// Rows that each concept keeps.
    pub counts: Vec<usize>,
    /// How uneven the shares are, and where the bounds decided; `None` for a control.
    pub report: Option<AllocationReport>,
}

impl Concepts {
    /// The rows that stay: a fraction of all rows given (so that bad rows do not shrink the result),
    /// or a count.
    ///
    /// # Errors
    /// When the cut does not name a number of rows, or that number is not possible.
    pub fn select(&self, cut: Cut) -> Result<Selection, PruneError> {
        Ok(self.prune(cut)?.kept)
    }

    /// The rows that stay, and how many of each concept.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub fn prune(&self, cut: Cut) -> Result<Pruned, PruneError> {
        let usable = self.clusters.rows().len();
        let wanted = match cut.check().map_err(CutError::from)? {
            Cut::Fraction(fraction) => fraction_of(self.given.len(), fraction).min(usable),
            Cut::Top(count) => count,
            cut => return Err(PruneError::NoCount { cut }),
        };
        let (places, report) = match self.method.0.control {
            Some(control) => {
                let clustering = self.clusters.clustering();
                (control.keep(clustering, &self.ids, wanted, self.method.seed())?, None)
            }
            None => {
                let (quotas, report) = self.quotas(wanted)?;
                (select(&self.order, &quotas.counts, self.method.0.pick)?, Some(report))
            }
        };
        let mut counts = vec![0; self.clusters.k()];
        let cluster = self.clusters.clustering().assignment.cluster();
        places.iter().for_each(|&place| counts[cluster[place] as usize] += 1);
        let rows = self.clusters.rows().rows();
        Ok(Pruned { kept: places.iter().map(|&place| rows[place]).collect(), counts, report })
    }

    fn quotas(&self, wanted: usize) -> Result<(Quotas, AllocationReport), PruneError> {
        let sizes = self.clusters.sizes();
        let share = match self.method.0.share {
            Share::Complexity => softmax(&self.complexity.complexity, self.method.0.temperature)?,
            Share::Uniform => vec![1.0 / sizes.len() as f64; sizes.len()],
            Share::Size => {
                let total = self.clusters.rows().len() as f64;
                sizes.iter().map(|&size| size as f64 / total).collect()
            }
        };
        let least = lower_bounds(wanted, self.method.0.balance, &sizes);
        let quotas = allocate(&share, wanted, &least, &sizes)?;
        let report = AllocationReport::new(&quotas, &share, &least, &sizes)?;
        Ok((quotas, report))
    }

    /// Why each row that does not stay goes, in row order. The number of a row that a quota left out is
    /// its rank in its concept; that of a row that a control left out is its distance to its centroid.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub fn removals(&self, cut: Cut) -> Result<Vec<Removal>, PruneError> {
        let pruned = self.prune(cut)?;
        let gone = self.clusters.rows().minus(&pruned.kept);
        let ranks = self.ranks();
        let distances = self.distances();
        let removal = |row: usize| {
            let place = self.clusters.rows().position(row)?;
            let cluster = self.clusters.cluster(row)?;
            let removal = match self.method.0.control {
                Some(_) => Removal::new(row, CONTROL).valued(f64::from(distances[place])),
                None => Removal::new(row, CONCEPT_QUOTA)
                    .compared(ranks[place] as f64, pruned.counts[cluster as usize] as f64),
            };
            Some(removal.in_cluster(cluster))
        };
        let faults = self.faults.iter().map(Faulty::removal);
        let mut removals: Vec<Removal> = faults.chain(gone.iter().filter_map(removal)).collect();
        removals.sort_by_key(|removal| removal.row);
        Ok(removals)
    }

    /// The rows that were given.
    pub fn given(&self) -> &Selection {
        &self.given
    }

    /// Those of them whose vectors could not be used, with what is wrong.
    pub fn faults(&self) -> &[Faulty] {
        &self.faults
    }

    /// The concepts.
    pub fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// How complex each concept is.
    pub fn complexity(&self) -> &Complexity {
        &self.complexity
    }

    /// The rank of each row in its concept's order of preference, from 1, in the order of
    /// [`Self::clusters`]' rows.
    pub fn ranks(&self) -> Vec<usize> {
        let mut ranks = vec![0; self.clusters.rows().len()];
        for cluster in self.order.clusters() {
            cluster.iter().enumerate().for_each(|(at, &place)| ranks[place] = at + 1);
        }
        ranks
    }

    /// How far each row is from its centroid, `1 - cosine`, in the order of [`Self::clusters`]' rows.
    pub fn distances(&self) -> Vec<f32> {
        self.clusters.clustering().distances()
    }
}
