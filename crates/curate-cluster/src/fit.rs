//! k-means from its start to the cluster of every row.

use curate_core::{EmbeddingSource, Progress, SampleId, embedding::RowsOf, random};
use curate_kernels::{Engine, Ruled};
use ndarray::{Array2, ArrayView2};

use crate::{
    ClusterError, Clustering, KMeans,
    facts::{self, Facts},
    init::{self, Start},
    lloyd, minibatch, result,
    search::Search,
    start,
    trained::Trained,
};

impl KMeans {
    /// Clusters the rows of `source`; `ids` has one id a row and decides the random draws.
    ///
    /// # Errors
    /// When there are fewer rows than clusters, a row is not finite, rows cannot be read, or the
    /// caller cancels.
    pub fn fit<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Clustering, ClusterError> {
        self.fit_on(None, source, ids, progress)
    }

    /// [`Self::fit`] with nearest centroids searched on `engine`; on the native kernels when there
    /// is none. Sums stay on the host, so only the choice between centroids that are equally near but
    /// for rounding can differ between engines.
    ///
    /// # Errors
    /// As [`Self::fit`], and when the engine fails.
    pub fn fit_on<S: EmbeddingSource + ?Sized>(
        &self,
        engine: Option<&dyn Engine>,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Clustering, ClusterError> {
        self.fit_with(engine, None, source, ids, progress)
    }

    /// [`Self::fit`] from centroids that are given, one a row, in place of a random start: to go on
    /// from an earlier result, or to start two programs alike.
    ///
    /// # Errors
    /// As [`Self::fit`], and when `start` is not as many finite vectors of the rows' length as there
    /// are clusters.
    pub fn fit_from<S: EmbeddingSource + ?Sized>(
        &self,
        start: ArrayView2<'_, f32>,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Clustering, ClusterError> {
        if start.ncols() != source.dim() {
            let (centroids, rows) = (start.ncols(), source.dim());
            return Err(ClusterError::DimMismatch { centroids, rows });
        }
        if start.nrows() != self.clusters() {
            return Err(ClusterError::StartMismatch {
                centroids: start.nrows(),
                clusters: self.clusters(),
            });
        }
        let start: Vec<f32> = start.iter().copied().collect();
        facts::check_centroids(self.metric(), &start, source.dim())?;
        self.fit_with(None, Some(start), source, ids, progress)
    }

    fn fit_with<S: EmbeddingSource + ?Sized>(
        &self,
        engine: Option<&dyn Engine>,
        start: Option<Vec<f32>>,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Clustering, ClusterError> {
        let (clusters, dim, metric) = (self.clusters(), source.dim(), self.metric());
        let trained = self.trained(engine, start, source, ids, progress)?;
        let Trained { centroids, objective, converged, reseeded, search, facts, ruled, .. } =
            trained;
        let mut search = match search {
            Some(search) => search,
            None => Search::new(engine, &centroids, dim, metric)?,
        };
        let centroids = Array2::from_shape_vec((clusters, dim), centroids)
            .expect("k vectors of the source's length");
        let assignment = result::assign_with(&mut search, clusters, source, &facts, progress)?;
        let ruled = search.ruled().unwrap_or(ruled);
        Ok(Clustering { centroids, metric, assignment, objective, converged, reseeded, ruled })
    }

    /// Trains the centroids, on a sample of the rows where that is asked for.
    pub(crate) fn trained<'e, S: EmbeddingSource + ?Sized>(
        &self,
        engine: Option<&'e dyn Engine>,
        start: Option<Vec<f32>>,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Trained<'e>, ClusterError> {
        self.check_rows(source, ids)?;
        let Some(sample) = self.training_rows(ids) else {
            let facts = Facts::before(self.metric(), source, progress)?;
            return self.train((engine, facts), start, source, ids, progress);
        };
        let ids: Vec<SampleId> = sample.iter().map(|&row| ids[row]).collect();
        let source = RowsOf::new(source, &sample);
        let trained = Facts::before(self.metric(), &source, progress)
            .and_then(|facts| self.train((engine, facts), start, &source, &ids, progress));
        // What is known of these rows says nothing of the others.
        Ok(Trained { search: None, facts: Facts::Unknown, ..trained.map_err(|e| e.at(&sample))? })
    }

    /// An error unless there are rows enough to train on, with an id each.
    pub(crate) fn check_rows<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        ids: &[SampleId],
    ) -> Result<(), ClusterError> {
        let (clusters, rows) = (self.clusters(), source.rows());
        if ids.len() != rows {
            return Err(ClusterError::IdsMismatch { ids: ids.len(), rows });
        }
        if rows < clusters {
            return Err(ClusterError::TooFewRows { clusters, rows });
        }
        match source.dim() {
            0 => Err(ClusterError::NoDimensions { rows }),
            _ => Ok(()),
        }
    }

    /// How many of so many rows it trains on.
    fn rows_to_train_on(&self, rows: usize) -> usize {
        let sample = self.train_rows_per_cluster();
        sample.map_or(rows, |each| each.saturating_mul(self.clusters()).min(rows))
    }

    /// The rows to train on, ascending; `None` for all.
    fn training_rows(&self, ids: &[SampleId]) -> Option<Vec<usize>> {
        let wanted = self.rows_to_train_on(ids.len());
        let seed = random::derive(self.seed(), "k-means training rows");
        (wanted < ids.len()).then(|| {
            let mut sample = init::smallest_hashes(ids, wanted, seed);
            sample.sort_unstable();
            sample
        })
    }

    /// Trains the centroids on all rows, of which `facts` are known.
    pub(crate) fn train<'e, S: EmbeddingSource + ?Sized>(
        &self,
        (engine, mut facts): (Option<&'e dyn Engine>, Facts),
        start: Option<Vec<f32>>,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Trained<'e>, ClusterError> {
        let Start { centroids, cluster } = match start {
            Some(centroids) => centroids.into(),
            None => start::start(self, source, &facts, ids, progress)?,
        };
        if !cluster.is_empty() {
            facts = facts.after_a_pass(self.metric());
        }
        let start = Trained {
            centroids,
            cluster,
            objective: Vec::new(),
            converged: false,
            reseeded: 0,
            search: None,
            facts,
            ruled: Ruled::default(),
        };
        match self.batch_rows() {
            Some(rows) => minibatch::train(self, engine, start, rows, source, ids, progress),
            None => lloyd::train(self, engine, start, source, ids, progress),
        }
    }
}
