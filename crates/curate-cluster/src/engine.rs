//! An engine in place of the native kernels.

use curate_core::embedding;
use curate_kernels::{Engine, LoadedCentroids, Nearest};
use rayon::prelude::*;

use crate::ClusterError;

/// A search on an engine, whose values are computed here.
pub(crate) struct OnEngine<'e> {
    pub(crate) engine: &'e dyn Engine,
    loaded: Box<dyn LoadedCentroids + 'e>,
    /// Kept to compute values from indices.
    centroids: Vec<f32>,
    bias: Option<Vec<f32>>,
    dim: usize,
}

impl<'e> OnEngine<'e> {
    pub(crate) fn new(
        engine: &'e dyn Engine,
        centroids: &[f32],
        dim: usize,
        bias: Option<Vec<f32>>,
    ) -> Result<Self, ClusterError> {
        let loaded = engine.load(centroids, dim, bias.as_deref()).map_err(ClusterError::Engine)?;
        Ok(Self { engine, loaded, centroids: centroids.to_vec(), bias, dim })
    }

    /// The nearest centroid of every row. The value of a row that is not finite is not finite.
    pub(crate) fn nearest(
        &self,
        vectors: &[f32],
        nearest: &mut [Nearest],
    ) -> Result<(), ClusterError> {
        let Self { loaded, centroids, bias, dim, .. } = self;
        let dim = *dim;
        let mut found = vec![0; nearest.len()];
        loaded.nearest(vectors, &mut found).map_err(ClusterError::Engine)?;
        let k = centroids.len() / dim.max(1);
        if let Some(wrong) = found.iter().find(|&&index| index as usize >= k) {
            let problem = format!("it answered centroid {wrong} of {k}");
            return Err(ClusterError::Engine(problem.into()));
        }
        let value = |vector: &[f32], index: usize| {
            let product = embedding::dot(vector, &centroids[index * dim..][..dim]);
            (product + bias.as_ref().map_or(0.0, |bias| f64::from(bias[index]))) as f32
        };
        let rows = vectors.par_chunks_exact(dim.max(1)).zip(found);
        nearest.par_iter_mut().zip(rows).for_each(|(nearest, (vector, index))| {
            *nearest = Nearest { index, value: value(vector, index as usize) };
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use curate_core::{NoProgress, SampleId};
    use curate_kernels::{EngineError, reference};
    use ndarray::Array2;

    use super::*;
    use crate::{
        HierarchyParams, KMeans, KMeansParams, Level, Metric, assign, assign_on, mixture::mixture,
    };

    /// Searches with plain loops; `wrong` is added to every index.
    struct Loops {
        wrong: u32,
    }

    struct LoadedLoops {
        centroids: Vec<f32>,
        bias: Option<Vec<f32>>,
        dim: usize,
        wrong: u32,
    }

    impl Engine for Loops {
        fn load<'a>(
            &'a self,
            centroids: &[f32],
            dim: usize,
            bias: Option<&[f32]>,
        ) -> Result<Box<dyn LoadedCentroids + 'a>, EngineError> {
            let (centroids, bias) = (centroids.to_vec(), bias.map(<[f32]>::to_vec));
            Ok(Box::new(LoadedLoops { centroids, bias, dim, wrong: self.wrong }))
        }
    }

    impl LoadedCentroids for LoadedLoops {
        fn nearest(&self, rows: &[f32], out: &mut [u32]) -> Result<(), EngineError> {
            let found = reference::nearest(rows, &self.centroids, self.dim, self.bias.as_deref());
            out.iter_mut().zip(found).for_each(|(out, n)| *out = n.index + self.wrong);
            Ok(())
        }
    }

    fn ids(n: usize) -> Vec<SampleId> {
        (0..n as u128).map(SampleId).collect()
    }

    fn kmeans(k: usize, metric: Metric, batch_rows: Option<usize>) -> KMeans {
        KMeansParams::new(k).metric(metric).iterations(6).batch_rows(batch_rows).check().unwrap()
    }

    #[test]
    fn an_engine_with_exact_products_gives_the_native_centroids() {
        // The larger case is one where the native kernels look with integers and follow by bounds.
        for (n, groups, dim, k) in [(900, 9, 12, 9), (2_500, 30, 40, 80)] {
            let rows = mixture(n, groups, dim);
            for metric in [Metric::Spherical, Metric::Euclidean] {
                for batch_rows in [None, Some(200)] {
                    let kmeans = kmeans(k, metric, batch_rows);
                    let native = kmeans.fit(&rows.view(), &ids(n), &NoProgress).unwrap();
                    let engine: &dyn Engine = &Loops { wrong: 0 };
                    let found =
                        kmeans.fit_on(Some(engine), &rows.view(), &ids(n), &NoProgress).unwrap();
                    assert_eq!(found.centroids, native.centroids, "{metric:?}");
                    assert_eq!(found.assignment.cluster(), native.assignment.cluster());
                    let pairs =
                        found.assignment.nearness().iter().zip(native.assignment.nearness());
                    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5), "{metric:?}");
                }
            }
        }
    }

    #[test]
    fn levels_and_assignments_run_on_the_engine_too() {
        let rows = mixture(300, 6, 8);
        let levels = vec![Level::new(12).resampled(1, 10), Level::new(4)];
        let params = HierarchyParams::new(KMeansParams::new(1).iterations(4), levels);
        let hierarchy = params.check().unwrap();
        let native = hierarchy.fit(&rows.view(), &ids(300), &NoProgress).unwrap();
        let engine: &dyn Engine = &Loops { wrong: 0 };
        let found = hierarchy.fit_on(Some(engine), &rows.view(), &ids(300), &NoProgress).unwrap();
        assert_eq!(found.clusters_at(1).unwrap(), native.clusters_at(1).unwrap());
        let centroids = native.levels()[0].centroids.view();
        let on = assign_on(Some(engine), centroids, Metric::Spherical, &rows.view(), &NoProgress);
        let native = assign(centroids, Metric::Spherical, &rows.view(), &NoProgress).unwrap();
        assert_eq!(on.unwrap().cluster(), native.cluster());
        let wrong: &dyn Engine = &Loops { wrong: 12 };
        let error = hierarchy.fit_on(Some(wrong), &rows.view(), &ids(300), &NoProgress);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("of 12: use the native kernels"), "{error}");
    }

    #[test]
    fn a_bad_row_is_named_whatever_the_engine_answers() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut rows: Array2<f32> = mixture(50, 3, 4);
            rows[[33, 2]] = bad;
            let engine: &dyn Engine = &Loops { wrong: 0 };
            let error = kmeans(9, Metric::Euclidean, None)
                .fit_on(Some(engine), &rows.view(), &ids(50), &NoProgress)
                .unwrap_err();
            assert!(matches!(error, ClusterError::NotFinite { row: 33 }), "{error}");
        }
    }
}
