//! Centroids that moved, and how much their values can have grown by that: see [`crate::track`].

use crate::{
    Centroids, dispatch, lanes,
    packed::How,
    quant::{TINY, UNIT, UP},
};

impl Centroids {
    /// These centroids after they moved to `vectors`, with new biases. No row whose bound they will
    /// bring up to date may lie farther than `reach` from their center.
    pub(crate) fn moved_with(
        &self,
        how: How<'_>,
        vectors: &[f32],
        bias: Option<&[f32]>,
        reach: f32,
    ) -> Self {
        assert_eq!(vectors.len(), self.vectors.len(), "as many centroids as before");
        let bias = bias.map_or_else(|| vec![0.0; self.bias.len()], <[f32]>::to_vec);
        assert_eq!(bias.len(), self.bias.len(), "one bias for each centroid");
        let growth = self.growth_to(vectors, &bias, reach);
        let mut order: Vec<u32> = (0..bias.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| {
            growth[b as usize].total_cmp(&growth[a as usize]).then(a.cmp(&b))
        });
        // Largest growth first, so that what could have passed a row's own centroid is a prefix and one
        // binary search finds its end. Ties by index, or the packing would depend on the sort.
        let growth: Vec<f32> = order.iter().map(|&index| growth[index as usize]).collect();
        let mut moved = Self::pack(how, vectors.to_vec(), bias, self.center.clone(), order, growth);
        let dim = self.dim.max(1);
        let pairs = self.vectors.chunks_exact(dim).zip(moved.vectors.chunks_exact(dim));
        let biases = self.bias.iter().zip(&moved.bias);
        moved.still = pairs.zip(biases).map(|((a, b), (x, y))| a == b && x == y).collect();
        moved.norm = reach + lanes::square(dispatch::instructions(), &self.center).sqrt() * UP;
        moved
    }

    /// At least how much each centroid's value can have grown for any row.
    fn growth_to(&self, vectors: &[f32], bias: &[f32], reach: f32) -> Vec<f32> {
        let with = dispatch::instructions();
        let center = lanes::square(with, &self.center).sqrt() * UP;
        let growth = |(j, (old, new)): (usize, (&[f32], &[f32]))| {
            // Exactly nothing, not something within rounding: most centroids stand still in late
            // passes, and a growth above 0 would make every row look at all of them.
            if bias[j] == self.bias[j] && old == new {
                return 0.0;
            }
            let step = lanes::distance(with, old, new).sqrt() * UP + TINY;
            // In f64, because it is the small difference of large numbers.
            let along: f64 = (self.center.iter().zip(old).zip(new))
                .map(|((&m, &old), &new)| f64::from(m) * (f64::from(new) - f64::from(old)))
                .sum();
            let rest = along + f64::from(bias[j]) - f64::from(self.bias[j]);
            let norm = lanes::square(with, old).sqrt() * UP + step;
            // The bounds it will be added to are rounded too.
            let rounding =
                8.0 * UNIT * ((reach + center) * norm + bias[j].abs()) + f32::MIN_POSITIVE;
            let growth = reach * step + rest as f32 + rounding;
            if growth.is_nan() { f32::INFINITY } else { growth }
        };
        let dim = self.dim.max(1);
        let pairs = self.vectors.chunks_exact(dim).zip(vectors.chunks_exact(dim));
        pairs.enumerate().map(growth).collect()
    }
}
