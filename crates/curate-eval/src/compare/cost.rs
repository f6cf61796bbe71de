//! What trainings cost.

use burn::tensor::Device;
use serde::Serialize;

use crate::{
    compare::{Arena, Compare, Model},
    fit::steps_of,
};

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Runs in all.
    pub runs: usize,
    /// Runs that are made already.
    pub made: usize,
    /// Samples that the others will see.
    pub samples: u64,
    /// Floating-point operations of their trainings, about.
    pub operations: f64,
    /// Runs that are trained at the same time.
    pub at_once: usize,
}

impl Compare {
    /// Samples of the whole steps in a budget.
    pub(crate) fn samples_seen(&self, budget: u64) -> u64 {
        let batch = self.params.batch;
        (steps_of(budget, batch) * batch) as u64
    }

    /// Forward and backward: three times two operations a weight.
    pub(crate) fn operations_per_sample(&self, arena: &Arena) -> f64 {
        let params = &self.params;
        let wide = |dim: usize| (dim * params.hidden) as f64;
        let images = arena.images.table().dim();
        let classes = arena.classes.len();
        6.0 * match params.model {
            Model::Projections => {
                let texts = arena.texts.as_ref().map_or(0, |texts| texts.table().dim());
                wide(images + texts) + 2.0 * wide(params.dim) + (params.batch * params.dim) as f64
            }
            Model::Linear => (images * classes) as f64,
            Model::Mlp => wide(images) + wide(classes),
            Model::Cnn => {
                // Sides halve and channels double, so the second and third convolution cost alike.
                let (channels, pixels) = (params.hidden as f64, (images / 3) as f64 / 4.0);
                9.0 * pixels * channels * (3.0 + channels / 2.0 + channels / 2.0)
                    + 4.0 * wide(classes)
            }
        }
    }

    /// On the CPU as many runs as there are threads; a device is shared badly.
    pub(crate) fn at_once(&self, runs: usize) -> usize {
        let threads = if self.device == Device::flex() { rayon::current_num_threads() } else { 1 };
        threads.clamp(1, runs.max(1))
    }
}
