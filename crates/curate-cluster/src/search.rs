//! Nearest centroids of all rows, block by block.

use std::ops::Range;

use curate_core::{BLOCK_ROWS, EmbeddingSource, Progress, SourceError, embedding};
use curate_kernels::{Centroids, Engine, Nearest, Ruled, Tracker};

use crate::{
    ClusterError, Metric,
    engine::OnEngine,
    facts::{self, Facts},
};

/// A search among centroids, which may move between two passes over the rows.
pub(crate) struct Search<'e> {
    place: Place<'e>,
    metric: Metric,
    dim: usize,
    /// Rows that are still to come, if they are so many that it may pay to get ready for them.
    expected: Option<usize>,
}

/// Where the search runs.
enum Place<'e> {
    Native(Box<Centroids>),
    /// The native kernels, with what the last pass found out about each row.
    Tracking(Box<Tracker>),
    Engine(OnEngine<'e>),
}

/// The answers for one block of rows.
pub(crate) struct Block<'a> {
    pub(crate) rows: Range<usize>,
    pub(crate) cluster: &'a [u32],
    pub(crate) nearness: &'a [f32],
}

impl<'e> Search<'e> {
    pub(crate) fn new(
        engine: Option<&'e dyn Engine>,
        centroids: &[f32],
        dim: usize,
        metric: Metric,
    ) -> Result<Self, ClusterError> {
        let bias = metric.bias(centroids, dim);
        let place = match engine {
            Some(engine) => Place::Engine(OnEngine::new(engine, centroids, dim, bias)?),
            None => Place::Native(Box::new(Centroids::new(centroids, dim, bias.as_deref()))),
        };
        Ok(Self { place, metric, dim, expected: None })
    }

    /// A search that remembers what it finds out about each of a number of rows, so that the next pass
    /// over the same rows, after [`Self::move_to`], need not search again. An engine does not. `near` has a
    /// centroid near each row, where one is known.
    pub(crate) fn tracking(
        engine: Option<&'e dyn Engine>,
        centroids: &[f32],
        dim: usize,
        metric: Metric,
        (rows, near): (usize, Option<&[u32]>),
    ) -> Result<Self, ClusterError> {
        let search = Self::new(engine, centroids, dim, metric)?;
        Ok(match search.place {
            Place::Native(centroids) => {
                let mut tracker = Tracker::new(*centroids, rows);
                near.into_iter().for_each(|near| tracker.suppose(near));
                Self { place: Place::Tracking(Box::new(tracker)), ..search }
            }
            place => Self { place, ..search },
        })
    }

    /// Tells how many rows will be searched for among these centroids.
    pub(crate) fn expect(&mut self, rows: usize) {
        self.expected = Some(rows);
    }

    /// What decided the pairs of rows and centroids so far; `None` where nobody counts.
    pub(crate) fn ruled(&self) -> Option<Ruled> {
        match &self.place {
            Place::Tracking(tracker) => Some(tracker.ruled()),
            Place::Native(_) | Place::Engine(_) => None,
        }
    }

    /// The same search after the centroids moved.
    pub(crate) fn move_to(&mut self, centroids: &[f32]) -> Result<(), ClusterError> {
        let bias = self.metric.bias(centroids, self.dim);
        match &mut self.place {
            Place::Native(place) => **place = Centroids::new(centroids, self.dim, bias.as_deref()),
            Place::Tracking(tracker) => tracker.move_to(centroids, bias.as_deref()),
            Place::Engine(place) => {
                *place = OnEngine::new(place.engine, centroids, self.dim, bias)?;
            }
        }
        Ok(())
    }

    /// Reads every block, finds the nearest centroids on all threads, and hands vectors and answers
    /// to `each`, in block order. What is not known of the rows is found out.
    pub(crate) fn each_block<S: EmbeddingSource + ?Sized>(
        &mut self,
        source: &S,
        facts: &Facts,
        progress: &dyn Progress,
        mut each: impl FnMut(&[f32], Block<'_>),
    ) -> Result<(), ClusterError> {
        let (mut buffer, mut squares) = (Vec::new(), Vec::new());
        let (mut cluster, mut nearness) = (Vec::new(), Vec::new());
        let mut nearest = Vec::new();
        for start in (0..source.rows()).step_by(BLOCK_ROWS) {
            progress.check().map_err(SourceError::from)?;
            let rows = start..source.rows().min(start + BLOCK_ROWS);
            let vectors = embedding::read_rows(source, rows.clone(), &mut buffer)?;
            if let (Metric::Spherical, Facts::Unknown) = (self.metric, facts) {
                facts::check_unit(vectors, self.dim, start)?;
            }
            nearest.clear();
            nearest.resize(rows.len(), Nearest::default());
            self.nearest(vectors, &mut nearest)?;
            if let Some(bad) = nearest.iter().position(|n| !n.value.is_finite()) {
                return Err(ClusterError::NotFinite { row: start + bad });
            }
            cluster.clear();
            cluster.extend(nearest.iter().map(|n| n.index));
            let squares = self.squares(facts, rows.clone(), vectors, &mut squares);
            let near = |(n, &square): (&Nearest, &f64)| self.metric.nearness(n.value, square);
            nearness.clear();
            nearness.extend(nearest.iter().zip(squares).map(near));
            each(vectors, Block { rows: rows.clone(), cluster: &cluster, nearness: &nearness });
            progress.advance(rows.len() as u64);
        }
        Ok(())
    }

    fn nearest(&mut self, vectors: &[f32], nearest: &mut [Nearest]) -> Result<(), ClusterError> {
        let expected = self.expected.take();
        if let (Place::Native(centroids), Some(rows)) = (&mut self.place, expected) {
            centroids.prepare(rows, vectors);
        }
        match &mut self.place {
            Place::Native(centroids) => centroids.nearest_parallel(vectors, nearest),
            Place::Tracking(tracker) => tracker.nearest(vectors, nearest),
            Place::Engine(place) => place.nearest(vectors, nearest)?,
        }
        Ok(())
    }

    /// The squared lengths of rows, where nearness depends on them; zeros elsewhere.
    fn squares<'a>(
        &self,
        facts: &'a Facts,
        rows: Range<usize>,
        vectors: &[f32],
        fresh: &'a mut Vec<f64>,
    ) -> &'a [f64] {
        if let Some(squares) = facts.squares(rows.clone()) {
            return squares;
        }
        match self.metric {
            Metric::Spherical => fresh.clear(),
            Metric::Euclidean => facts::squares(vectors, self.dim, fresh),
        }
        fresh.resize(rows.len(), 0.0);
        fresh
    }
}
