//! Clusters of images, and which of them are wanted.

use std::path::Path;

use curate_core::EmbeddingSource;
use curate_io::{
    IoError,
    vectors::{Embedding, StoredArray},
};
use curate_kernels::{Centroids, Nearest};

use crate::{
    BaselineError,
    rows::MetadataRows,
    verdict::{DropReason, Verdict},
};

/// The array of the metadata that DataComp clusters by.
pub const FEATURES: &str = "l14_img";
/// Rows compared with the centroids at once.
const BLOCK: usize = 4096;

/// Centroids of a pool's images, and which clusters the images of another data set (ImageNet's
/// training set) fall into.
///
/// An image belongs to the centroid of the largest plain inner product, ties to the first.
/// DataComp's centroids are not of length one, and scaling them would change the answer.
pub struct Concepts {
    centroids: Centroids,
    dim: usize,
    wanted: Vec<bool>,
}

impl Concepts {
    /// Reads centroids (`k x d`) and features of the images wanted (`n x d`), each an npy file of
    /// floats. DataComp publishes them as PyTorch files: save the arrays with `numpy.save`.
    ///
    /// # Errors
    /// Files that cannot be read, and features of another width.
    pub fn read(centroids: &Path, wanted: &Path) -> Result<Self, BaselineError> {
        let table = Embedding::new(vec![StoredArray::open_npy(centroids)?])?;
        let (count, dim) = (table.rows(), table.dim());
        let mut values = vec![0.0; count * dim];
        read(&table, 0..count, &mut values, centroids)?;
        let packed = Centroids::new(&values, dim, None);
        let features = Embedding::new(vec![StoredArray::open_npy(wanted)?])?;
        let mut found = Self { centroids: packed, dim, wanted: vec![false; count] };
        found.same_width(&features, || wanted.display().to_string())?;
        let mut hits = vec![false; count];
        for first in (0..features.rows()).step_by(BLOCK) {
            let rows: Vec<usize> = (first..(first + BLOCK).min(features.rows())).collect();
            for nearest in found.nearest(&features, &rows, wanted)? {
                if nearest.value > f32::NEG_INFINITY {
                    hits[nearest.index as usize] = true;
                }
            }
        }
        found.wanted = hits;
        Ok(found)
    }

    /// Number of clusters.
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    /// How many of them are wanted.
    pub fn wanted(&self) -> usize {
        self.wanted.iter().filter(|wanted| **wanted).count()
    }

    /// Whether there are no clusters.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// What some rows' images say: the cluster, and whether it is wanted.
    pub(crate) fn judge(
        &self,
        table: &dyn MetadataRows,
        rows: &[usize],
    ) -> Result<Vec<Verdict>, BaselineError> {
        let features = table.features(FEATURES)?;
        let file = table.path();
        self.same_width(&*features, || format!("`{FEATURES}` of {}", file.display()))?;
        let mut verdicts = Vec::with_capacity(rows.len());
        for block in rows.chunks(BLOCK) {
            for nearest in self.nearest(&*features, block, file)? {
                let Nearest { index, value } = nearest;
                let cluster = Some(index);
                verdicts.push(match self.wanted[index as usize] {
                    _ if value == f32::NEG_INFINITY => Verdict::dropped(DropReason::BadFeatures),
                    true => Verdict { cluster, ..Verdict::KEPT },
                    false => Verdict { cluster, ..Verdict::dropped(DropReason::OtherCluster) },
                });
            }
        }
        Ok(verdicts)
    }

    fn same_width(
        &self,
        features: &dyn EmbeddingSource,
        what: impl Fn() -> String,
    ) -> Result<(), BaselineError> {
        if features.dim() == self.dim {
            return Ok(());
        }
        Err(BaselineError::Width { what: what(), found: features.dim(), expected: self.dim })
    }

    fn nearest(
        &self,
        features: &dyn EmbeddingSource,
        rows: &[usize],
        file: &Path,
    ) -> Result<Vec<Nearest>, IoError> {
        let mut values = vec![0.0; rows.len() * self.dim];
        features.gather(rows, &mut values).map_err(|e| IoError::malformed(file, e.to_string()))?;
        let mut nearest = vec![Nearest::default(); rows.len()];
        self.centroids.nearest(&values, &mut nearest);
        Ok(nearest)
    }
}

fn read(
    from: &Embedding,
    rows: std::ops::Range<usize>,
    out: &mut [f32],
    file: &Path,
) -> Result<(), IoError> {
    from.read(rows, out).map_err(|e| IoError::malformed(file, e.to_string()))
}
