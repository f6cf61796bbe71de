//! Principal components and canonical correlations, in closed form and double precision.

use anyhow::{Result, anyhow};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Mat, MatRef, Par, Side};
use half::f16;
use rayon::prelude::*;

use crate::features::Features;

/// Rows a block; sums run block after block, so the result does not depend on the threads.
const BLOCK: usize = 1024;
/// Columns of a product that one thread computes.
const PANEL: usize = 128;

/// Mean of the given rows.
pub(crate) fn mean(features: &Features, rows: &[usize]) -> Vec<f64> {
    let mut sum = vec![0.0; features.width];
    for &row in rows {
        sum.iter_mut().zip(features.row(row)).for_each(|(s, x)| *s += x.to_f64());
    }
    sum.iter_mut().for_each(|s| *s /= rows.len() as f64);
    sum
}

/// One side of a covariance: features and the mean to take off.
#[derive(Clone, Copy)]
pub(crate) struct Centred<'a> {
    pub(crate) features: &'a Features,
    pub(crate) mean: &'a [f64],
}

impl Centred<'_> {
    fn block(&self, rows: &[usize]) -> Mat<f64> {
        Mat::from_fn(rows.len(), self.mean.len(), |i, j| {
            self.features.row(rows[i])[j].to_f64() - self.mean[j]
        })
    }
}

/// Covariance of `a` with `b` over the given rows.
pub(crate) fn covariance(a: Centred<'_>, b: Centred<'_>, rows: &[usize]) -> Mat<f64> {
    let (height, width) = (a.mean.len(), b.mean.len());
    let mut panels: Vec<Mat<f64>> =
        (0..width).step_by(PANEL).map(|from| Mat::zeros(height, PANEL.min(width - from))).collect();
    let scale = 1.0 / rows.len() as f64;
    for rows in rows.chunks(BLOCK) {
        let (left, right) = (a.block(rows), b.block(rows));
        panels.par_iter_mut().enumerate().for_each(|(index, panel)| {
            let columns = right.subcols(index * PANEL, panel.ncols());
            matmul(panel.as_mut(), Accum::Add, left.transpose(), columns, scale, Par::Seq);
        });
    }
    Mat::from_fn(height, width, |i, j| panels[j / PANEL][(i, j % PANEL)])
}

/// The directions of largest variance, largest first, as columns.
pub(crate) fn principal(covariance: &Mat<f64>, count: usize) -> Result<Mat<f64>> {
    let eigen = covariance
        .self_adjoint_eigen(Side::Lower)
        .map_err(|e| anyhow!("the covariance has no eigenvectors ({e:?}): are features finite?"))?;
    let all = eigen.U();
    let mut directions = Mat::from_fn(all.nrows(), count, |i, j| all[(i, all.ncols() - 1 - j)]);
    for column in 0..count {
        let sign = leading_sign(directions.as_ref(), column);
        (0..directions.nrows()).for_each(|i| directions[(i, column)] *= sign);
    }
    Ok(directions)
}

/// Two linear maps into one space and the correlation along each of its axes.
#[derive(Debug, Clone)]
pub(crate) struct Canonical {
    pub(crate) left: Mat<f64>,
    pub(crate) right: Mat<f64>,
    pub(crate) correlations: Vec<f64>,
}

/// Regularised canonical correlation analysis: whiten both sides, then a singular value
/// decomposition of what is left between them. `ridge` is in units of the mean variance.
pub(crate) fn canonical(
    left: &Mat<f64>,
    right: &Mat<f64>,
    between: &Mat<f64>,
    ridge: f64,
    count: usize,
) -> Result<Canonical> {
    let (left, right) = (whitener(left, ridge)?, whitener(right, ridge)?);
    let mut whitened = between.clone();
    solve_lower_triangular_in_place(left.as_ref(), whitened.as_mut(), Par::Seq);
    let mut whitened = whitened.transpose().to_owned();
    solve_lower_triangular_in_place(right.as_ref(), whitened.as_mut(), Par::Seq);
    let svd = whitened
        .transpose()
        .thin_svd()
        .map_err(|e| anyhow!("no singular values ({e:?}): are the features finite?"))?;
    let (u, v) = (svd.U(), svd.V());
    let signs: Vec<f64> = (0..count).map(|column| leading_sign(u, column)).collect();
    let back = |axes: MatRef<'_, f64>, factor: &Mat<f64>| {
        let mut map = Mat::from_fn(axes.nrows(), count, |i, j| axes[(i, j)] * signs[j]);
        solve_upper_triangular_in_place(factor.transpose(), map.as_mut(), Par::Seq);
        map
    };
    Ok(Canonical {
        left: back(u, &left),
        right: back(v, &right),
        correlations: (0..count).map(|i| svd.S()[i]).collect(),
    })
}

fn whitener(covariance: &Mat<f64>, ridge: f64) -> Result<Mat<f64>> {
    let size = covariance.nrows();
    let variance = (0..size).map(|i| covariance[(i, i)]).sum::<f64>() / size as f64;
    let mut loaded = covariance.clone();
    (0..size).for_each(|i| loaded[(i, i)] += ridge * variance);
    let factor = loaded
        .llt(Side::Lower)
        .map_err(|e| anyhow!("the covariance is singular ({e:?}): raise the ridge"))?;
    Ok(factor.L().to_owned())
}

/// Decompositions leave the sign of an axis open: its largest coordinate is made positive.
fn leading_sign(axes: MatRef<'_, f64>, column: usize) -> f64 {
    let mut leading = 0.0_f64;
    for row in 0..axes.nrows() {
        if axes[(row, column)].abs() > leading.abs() {
            leading = axes[(row, column)];
        }
    }
    if leading < 0.0 { -1.0 } else { 1.0 }
}

/// A map from features to unit vectors.
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    pub(crate) mean: Vec<f64>,
    pub(crate) map: Mat<f64>,
}

impl Projection {
    /// Every row centred, mapped and brought to unit length; a zero vector stays one.
    pub(crate) fn apply(&self, features: &Features) -> Features {
        let rows: Vec<usize> = (0..features.data.len() / features.width).collect();
        let centred = Centred { features, mean: &self.mean };
        let width = self.map.ncols();
        let blocks: Vec<Vec<f16>> = rows
            .par_chunks(BLOCK)
            .map(|rows| {
                let mut mapped = Mat::zeros(rows.len(), width);
                let block = centred.block(rows);
                matmul(mapped.as_mut(), Accum::Replace, &block, &self.map, 1.0, Par::Seq);
                (0..rows.len()).flat_map(|row| unit(&mapped, row)).collect()
            })
            .collect();
        Features { width, data: blocks.concat() }
    }
}

fn unit(mapped: &Mat<f64>, row: usize) -> Vec<f16> {
    let values = || (0..mapped.ncols()).map(|column| mapped[(row, column)]);
    let length = values().map(|x| x * x).sum::<f64>().sqrt();
    values().map(|x| f16::from_f64(if length > 0.0 { x / length } else { 0.0 })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest;

    fn noise(purpose: &str, row: usize) -> f32 {
        digest::unit(purpose, &row.to_string()) as f32 - 0.5
    }

    fn features(rows: usize, row: impl Fn(usize) -> [f32; 3]) -> Features {
        Features { width: 3, data: (0..rows).flat_map(row).map(f16::from_f32).collect() }
    }

    fn covariances(a: &Features, b: &Features, rows: &[usize]) -> [Mat<f64>; 3] {
        let (mean_a, mean_b) = (mean(a, rows), mean(b, rows));
        let a = Centred { features: a, mean: &mean_a };
        let b = Centred { features: b, mean: &mean_b };
        [covariance(a, a, rows), covariance(b, b, rows), covariance(a, b, rows)]
    }

    #[test]
    fn the_shared_direction_is_found_under_larger_noise() {
        let rows: Vec<usize> = (0..3000).collect();
        // The signal is the smallest part of either side.
        let a = features(3000, |i| [4.0 * noise("a", i), noise("s", i), 2.0 * noise("b", i)]);
        let b = features(3000, |i| [5.0 * noise("c", i), 3.0 * noise("d", i), -noise("s", i)]);
        let [aa, bb, ab] = covariances(&a, &b, &rows);
        let found = canonical(&aa, &bb, &ab, 1e-6, 2).unwrap();
        assert!(found.correlations[0] > 0.99 && found.correlations[1] < 0.1);
        let share = |map: &Mat<f64>, axis: usize| {
            map[(axis, 0)].abs() / (0..3).map(|i| map[(i, 0)].powi(2)).sum::<f64>().sqrt()
        };
        assert!(share(&found.left, 1) > 0.99 && share(&found.right, 2) > 0.99);
    }

    #[test]
    fn principal_directions_come_by_variance_and_with_a_fixed_sign() {
        let rows: Vec<usize> = (0..2500).collect();
        let a = features(2500, |i| [noise("a", i), -6.0 * noise("b", i), 3.0 * noise("c", i)]);
        let directions = principal(&covariances(&a, &a, &rows)[0], 2).unwrap();
        assert!(directions[(1, 0)] > 0.99 && directions[(2, 1)] > 0.99);
    }

    #[test]
    fn projections_have_unit_length_and_zero_stays_zero() {
        let a = features(2, |i| [i as f32 * 3.0, i as f32 * 4.0, 0.0]);
        let projection = Projection { mean: vec![0.0; 3], map: Mat::identity(3, 2) };
        let unit = projection.apply(&a);
        assert!(unit.row(0).iter().all(|x| x.to_f32() == 0.0));
        assert!((unit.row(1)[0].to_f32() - 0.6).abs() < 1e-3);
    }
}
