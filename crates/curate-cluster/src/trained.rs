//! What training leaves.

use curate_kernels::Ruled;

use crate::{facts::Facts, search::Search};

/// What training leaves.
pub(crate) struct Trained<'e> {
    pub(crate) centroids: Vec<f32>,
    pub(crate) objective: Vec<f64>,
    pub(crate) converged: bool,
    pub(crate) reseeded: usize,
    /// The cluster where the last pass put each row, or the start did; empty where that is not known.
    pub(crate) cluster: Vec<u32>,
    /// A search among these centroids that remembers the rows it was trained on.
    pub(crate) search: Option<Search<'e>>,
    /// What is known of the rows it was trained on.
    pub(crate) facts: Facts,
    /// What decided the pairs of rows and centroids.
    pub(crate) ruled: Ruled,
}

impl Trained<'_> {
    /// Takes down the mean objective of a pass; returns whether it stalled.
    pub(crate) fn stalled(&mut self, mean: f64, tolerance: f64) -> bool {
        stalled(&mut self.objective, mean, tolerance)
    }
}

/// Takes down the mean objective of a pass after those before it; returns whether it stalled.
pub(crate) fn stalled(objective: &mut Vec<f64>, mean: f64, tolerance: f64) -> bool {
    let last = objective.last().copied();
    objective.push(mean);
    tolerance > 0.0 && last.is_some_and(|last| last - mean <= tolerance * last)
}
