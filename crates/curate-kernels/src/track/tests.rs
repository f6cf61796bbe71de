//! Answers and bounds against plain loops.

use std::sync::Arc;

use super::*;
use crate::{
    axes::{Axes, Rotation},
    dispatch::available,
    numbers::numbers,
    reference, vnni,
};

/// A few steps of centroids, each with what a search over all finds, for every kind and with heads
/// of some lengths.
fn follow(steps: &[(Vec<f32>, Vec<f32>)], rows: &[f32], dim: usize) {
    let kinds = vnni::available().into_iter().map(Some).chain([None]);
    for (kind, with) in kinds.flat_map(|kind| available().into_iter().map(move |w| (kind, w))) {
        for count in [0, 4, dim.min(16)] {
            let (first, bias) = &steps[0];
            let mut centroids = Centroids::with(kind, first, dim, Some(bias));
            let heads = (count > 0).then(|| heads(&centroids, rows, count));
            let how = (kind, heads.as_ref());
            centroids.pack_again(how);
            assert_eq!(matches!(centroids.packed, Packed::Heads(_)), count > 0);
            follow_with(centroids, how, with, steps, rows);
        }
    }
}

fn heads(centroids: &Centroids, rows: &[f32], count: usize) -> Arc<Rotation> {
    let less = |x: &[f32]| -> Vec<f32> {
        let less = x.iter().zip(&centroids.center).map(|(x, m)| x - m);
        less.map(|x| if x.is_finite() { x } else { 0.0 }).collect()
    };
    let sample: Vec<f32> = rows.chunks(centroids.dim).flat_map(less).collect();
    Arc::new(Axes::fit(&sample, centroids.dim, count).rotation(count, &centroids.center))
}

fn follow_with(
    mut centroids: Centroids,
    how: crate::packed::How<'_>,
    with: Instructions,
    steps: &[(Vec<f32>, Vec<f32>)],
    rows: &[f32],
) {
    let (dim, count) = (centroids.dim, how.1.map_or(0, |rotation| rotation.count));
    let mut out = vec![Nearest::default(); rows.len() / dim];
    centroids.nearest_with(with, rows, &mut out);
    assert_eq!(out, reference::nearest(rows, &steps[0].0, dim, Some(&steps[0].1)));
    suppose(&centroids, with, steps, rows);
    let mut tracked = vec![Tracked::UNKNOWN; rows.len() / dim];
    let mut kept = crate::kept::KeptRows::new(tracked.len(), count, dim);
    let all = (tracked.len() * centroids.bias.len()) as u64;
    let (reach, ruled) =
        centroids.track_with(with, rows, (&mut tracked, false), kept.part(0, rows.len() / dim));
    let sum = |r: Ruled| r.bounds + r.heads + r.integers + r.exact;
    assert_eq!((ruled.pairs, sum(ruled), ruled.bounds), (all, all, 0));
    check(&steps[0], rows, dim, &tracked);
    for step in &steps[1..] {
        centroids = centroids.moved_with(how, &step.0, Some(&step.1), reach);
        let part = kept.part(0, tracked.len());
        let (more, ruled) = centroids.track_with(with, rows, (&mut tracked, false), part);
        assert!(more == 0.0 || !more.is_finite() || rows.iter().any(|x| !x.is_finite()));
        assert!(sum(ruled) >= all, "{ruled:?}");
        check(step, rows, dim, &tracked);
    }
}

/// Whatever centroid is supposed to be near, the answers are the same.
fn suppose(
    centroids: &Centroids,
    with: Instructions,
    steps: &[(Vec<f32>, Vec<f32>)],
    rows: &[f32],
) {
    let (dim, k) = (centroids.dim, centroids.bias.len());
    let best = reference::nearest(rows, &steps[0].0, dim, Some(&steps[0].1));
    let right = |row: usize| best[row].index;
    let wrong = |row: usize| ((row * 7) % k) as u32;
    for near in [&right as &dyn Fn(usize) -> u32, &wrong] {
        let mut tracked: Vec<Tracked> =
            (0..best.len()).map(|r| Tracked::supposed(near(r))).collect();
        let (.., ruled) = centroids.track_with(with, rows, (&mut tracked, true), Kept::default());
        check(&steps[0], rows, dim, &tracked);
        assert!(ruled.exact >= best.len() as u64, "{ruled:?}");
    }
}

fn check((step, bias): &(Vec<f32>, Vec<f32>), rows: &[f32], dim: usize, tracked: &[Tracked]) {
    let expected = reference::nearest(rows, step, dim, Some(bias));
    for (i, (row, found)) in rows.chunks(dim).zip(tracked).enumerate() {
        assert_eq!(found.nearest, expected[i], "row {i}");
        for (j, centroid) in step.chunks(dim).enumerate() {
            if j != found.nearest.index as usize {
                let products = row.iter().zip(centroid).map(|(&x, &c)| f64::from(x) * f64::from(c));
                let value = products.sum::<f64>() + f64::from(bias[j]);
                let holds = value <= f64::from(found.others) || value.is_nan();
                assert!(holds, "row {i}, {j}: {value} {found:?}");
            }
        }
    }
}

/// Large steps of centroids, small ones, one of a single centroid, and none.
fn steps(mut first: Vec<f32>, bias: Vec<f32>, dim: usize, scale: f32) -> Vec<(Vec<f32>, Vec<f32>)> {
    first.truncate(bias.len() * dim);
    let mut steps = vec![(first, bias)];
    for (s, size) in [0.5, 0.05, 0.05, 1e-4, 0.0, 0.0].into_iter().enumerate() {
        let (mut next, mut bias) = steps[s].clone();
        let change = numbers(next.len(), 10 + s as u32);
        next.iter_mut().zip(change).for_each(|(x, d)| *x += scale * size * d);
        if s == 4 {
            next[2 * dim..3 * dim].fill(0.1 * scale);
            bias[2] += 0.2 * scale;
        }
        steps.push((next, bias));
    }
    steps
}

#[test]
fn tracking_equals_searching_to_the_bit_and_its_bounds_hold() {
    for (n, k, dim) in [(40, 5, 8), (600, 90, 40)] {
        let steps = steps(numbers(k * dim, 2), numbers(k, 9), dim, 1.0);
        follow(&steps, &numbers(n * dim, 1), dim);
    }
}

/// Rows whose spectrum falls, far from 0, tiny, huge and broken ones, copies and zeros among them.
#[test]
fn bounds_hold_for_rows_that_are_meant_to_break_them() {
    let (n, k, dim) = (60, 70, 36);
    let falling = |count: usize, seed: u32| -> Vec<f32> {
        let rows = numbers(count * dim, seed);
        rows.iter().enumerate().map(|(t, x)| x / (1 + t % dim) as f32).collect()
    };
    for (offset, scale) in
        [(0.0, 1.0), (0.5, 1.0), (1e4, 1.0), (0.0, 1e-22), (0.0, 1e-38), (0.0, 1e13)]
    {
        let all = |x: Vec<f32>| x.iter().map(|x| scale * (x + offset)).collect::<Vec<f32>>();
        let (mut rows, centroids) = (all(falling(n, 1)), all(falling(k, 2)));
        rows.copy_within(0..dim, 5 * dim);
        rows[7 * dim..8 * dim].copy_from_slice(&centroids[3 * dim..4 * dim]);
        rows[8 * dim..9 * dim].fill(0.0);
        rows[9 * dim..10 * dim].iter_mut().for_each(|x| *x *= 1e-20);
        let mut steps = steps(centroids, vec![0.0; k], dim, scale);
        // Two centroids that differ in the last place, and two that are equal.
        for (vectors, _) in &mut steps[2..4] {
            vectors.copy_within(0..dim, 11 * dim);
            vectors.copy_within(0..dim, 60 * dim);
            vectors[60 * dim] = f32::from_bits(vectors[60 * dim].to_bits() + 1);
        }
        follow(&steps, &rows, dim);
        rows[20 * dim + 3] = f32::NAN;
        rows[21 * dim] = f32::INFINITY;
        follow(&steps[..1], &rows, dim);
    }
}

#[test]
fn equal_centroids_go_to_the_lowest_index_wherever_they_come_from() {
    let (k, dim) = (70, 33);
    let rows = numbers(30 * dim, 1);
    let apart = numbers(k * dim, 2);
    let together = apart[..dim].repeat(k);
    let bias = vec![0.0; k];
    let steps = [(apart.clone(), bias.clone()), (together, bias.clone()), (apart, bias)];
    follow(&steps, &rows, dim);
}
