//! Where nearest centroids can be searched besides this crate's kernels.

/// Why an engine could not answer.
pub type EngineError = Box<dyn std::error::Error + Send + Sync>;

/// A device that searches nearest centroids in place of [`crate::Centroids`].
///
/// An engine may add up an inner product in an order of its own, so where two centroids are equally
/// near but for rounding it may answer with the other one. Callers that need values compute them
/// from the index, so that only such choices differ between engines.
pub trait Engine: Sync {
    /// Makes centroids ready, each `dim` numbers, one after the other. `bias` has one number for
    /// each, which is added to its inner products.
    ///
    /// # Errors
    /// When the device fails or the centroids do not fit.
    fn load<'a>(
        &'a self,
        centroids: &[f32],
        dim: usize,
        bias: Option<&[f32]>,
    ) -> Result<Box<dyn LoadedCentroids + 'a>, EngineError>;
}

/// Centroids that lie on an [`Engine`]. Whatever holds them may go to another thread.
pub trait LoadedCentroids: Send {
    /// Writes the index of the centroid with the largest inner product plus bias for each row, ties
    /// to the lowest index. `rows` holds `out.len()` rows, one after the other. For a row with a
    /// NaN or an infinity any index will do.
    ///
    /// # Errors
    /// When the device fails.
    fn nearest(&self, rows: &[f32], out: &mut [u32]) -> Result<(), EngineError>;
}
