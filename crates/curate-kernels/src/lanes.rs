//! Passes over one vector, sixteen elements side by side, compiled for each instruction set.
//!
//! What they sum up bounds errors or decides nothing: a sum in lanes has bytes of its own, so it
//! never becomes an answer. [`add`] is the exception: it works element by element.

use crate::dispatch::dispatched;

/// `1.5 * 2^23`.
const ROUND: f32 = 12_582_912.0;
/// Elements side by side.
const LANES: usize = 16;

dispatched! {
    /// Writes `x - m` to `y`; returns its largest absolute element, its square and its inner product
    /// with `m`. A NaN makes the square a NaN.
    fn center = center_body(x: &[f32], m: &[f32], y: &mut [f32]) -> (f32, f32, f32)
}

#[inline(always)]
fn center_body(x: &[f32], m: &[f32], y: &mut [f32]) -> (f32, f32, f32) {
    let (mut largest, mut square, mut shift) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    let n = x.len().min(m.len()).min(y.len());
    let (x, m, y) = (&x[..n], &m[..n], &mut y[..n]);
    let whole = n / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        let x: &[f32; LANES] = x[start..].first_chunk().expect("a whole step");
        let m: &[f32; LANES] = m[start..].first_chunk().expect("a whole step");
        let y: &mut [f32; LANES] = y[start..].first_chunk_mut().expect("a whole step");
        for t in 0..LANES {
            let d = x[t] - m[t];
            y[t] = d;
            largest[t] = if d.abs() > largest[t] { d.abs() } else { largest[t] };
            square[t] += d * d;
            shift[t] += d * m[t];
        }
    }
    for t in whole..n {
        let (d, lane) = (x[t] - m[t], t - whole);
        y[t] = d;
        largest[lane] = if d.abs() > largest[lane] { d.abs() } else { largest[lane] };
        square[lane] += d * d;
        shift[lane] += d * m[t];
    }
    (largest.into_iter().fold(0.0, f32::max), square.iter().sum(), shift.iter().sum())
}

dispatched! {
    /// Writes `round(y / scale)` to `q`; returns the square of what that loses and the sum of `q`.
    fn quantize = quantize_body(y: &[f32], scale: f32, inverse: f32, q: &mut [i8]) -> (f32, i32)
}

#[inline(always)]
fn quantize_body(y: &[f32], scale: f32, inverse: f32, q: &mut [i8]) -> (f32, i32) {
    let (mut square, mut sum) = ([0.0_f32; LANES], [0_i32; LANES]);
    let n = y.len().min(q.len());
    let (y, q) = (&y[..n], &mut q[..n]);
    let whole = n / LANES * LANES;
    let one = |y: f32| -> (i32, f32) {
        // In [2^23, 2^24) neighboring f32 are integers: adding rounds to the nearest, and the bits
        // count up from those of the number added.
        let shifted = (y * inverse).clamp(-127.0, 127.0) + ROUND;
        let rest = y - scale * (shifted - ROUND);
        (shifted.to_bits().wrapping_sub(ROUND.to_bits()).cast_signed(), rest * rest)
    };
    for start in (0..whole).step_by(LANES) {
        let y: &[f32; LANES] = y[start..].first_chunk().expect("a whole step");
        let q: &mut [i8; LANES] = q[start..].first_chunk_mut().expect("a whole step");
        for t in 0..LANES {
            let (near, rest) = one(y[t]);
            q[t] = near as i8;
            square[t] += rest;
            sum[t] += near;
        }
    }
    for t in whole..n {
        let (near, rest) = one(y[t]);
        q[t] = near as i8;
        square[t - whole] += rest;
        sum[t - whole] += near;
    }
    (square.iter().sum(), sum.iter().sum())
}

dispatched! {
    /// The square of a vector's length.
    fn square = square_body(x: &[f32]) -> f32
}

#[inline(always)]
fn square_body(x: &[f32]) -> f32 {
    let mut square = [0.0; LANES];
    let (steps, rest) = x.as_chunks::<LANES>();
    for x in steps {
        for t in 0..LANES {
            square[t] += x[t] * x[t];
        }
    }
    square.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>()
}

dispatched! {
    /// The inner product of two vectors.
    fn product = product_body(a: &[f32], b: &[f32]) -> f32
}

#[inline(always)]
fn product_body(a: &[f32], b: &[f32]) -> f32 {
    // Four sums of a register each: the latency of one addition to the next is as long as eight of them take.
    const WIDE: usize = 4 * LANES;
    let mut sums = [0.0; WIDE];
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<WIDE>(), b.as_chunks::<WIDE>());
    for (a, b) in a.iter().zip(b) {
        for t in 0..WIDE {
            sums[t] = a[t].mul_add(b[t], sums[t]);
        }
    }
    for (t, (a, b)) in rest_a.iter().zip(rest_b).enumerate() {
        sums[t] = a.mul_add(*b, sums[t]);
    }
    for half in [WIDE / 2, WIDE / 4, WIDE / 8, WIDE / 16] {
        for t in 0..half {
            sums[t] += sums[t + half];
        }
    }
    sums[..WIDE / 16].iter().sum()
}

dispatched! {
    /// The square of the distance between two vectors.
    fn distance = distance_body(a: &[f32], b: &[f32]) -> f32
}

#[inline(always)]
fn distance_body(a: &[f32], b: &[f32]) -> f32 {
    let mut square = [0.0; LANES];
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for t in 0..LANES {
            let d = a[t] - b[t];
            square[t] += d * d;
        }
    }
    let rest = rest_a.iter().zip(rest_b).map(|(a, b)| (a - b) * (a - b));
    square.iter().sum::<f32>() + rest.sum::<f32>()
}

dispatched! {
    /// Adds a vector to a sum, element by element.
    fn add = add_body(sum: &mut [f64], x: &[f32])
}

#[inline(always)]
fn add_body(sum: &mut [f64], x: &[f32]) {
    for (sum, &x) in sum.iter_mut().zip(x) {
        *sum += f64::from(x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dispatch::available, numbers::numbers};

    #[test]
    fn every_instruction_set_measures_the_same_up_to_rounding() {
        for dim in [1, 15, 16, 67, 150] {
            let (x, m) = (numbers(dim, 1), numbers(dim, 2));
            let exact: Vec<f64> =
                x.iter().zip(&m).map(|(&x, &m)| f64::from(x) - f64::from(m)).collect();
            let largest = exact.iter().fold(0.0, |max: f64, d| max.max(d.abs()));
            let length: f64 = exact.iter().map(|d| d * d).sum();
            let inner: f64 = exact.iter().zip(&m).map(|(d, &m)| d * f64::from(m)).sum();
            for with in available() {
                let (mut y, mut q) = (vec![0.0; dim], vec![0; dim]);
                let (l, s, i) = center(with, &x, &m, &mut y);
                let near = |a: f32, b: f64| (f64::from(a) - b).abs() < 1e-4;
                assert!(near(l, largest) && near(s, length) && near(i, inner), "{with:?} {dim}");
                assert!(near(distance(with, &x, &m), length));
                let both = x.iter().zip(&m).map(|(&x, &m)| f64::from(x) * f64::from(m));
                assert!(near(product(with, &x, &m), both.sum()));
                assert!(near(square(with, &y), length));
                let scale = l / 127.0;
                let (rest, sum) = quantize(with, &y, scale, 1.0 / scale, &mut q);
                assert_eq!(sum, q.iter().map(|&q| i32::from(q)).sum::<i32>());
                let lost: f64 = y
                    .iter()
                    .zip(&q)
                    .map(|(&y, &q)| (f64::from(y) - f64::from(scale) * f64::from(q)).powi(2))
                    .sum();
                assert!(near(rest, lost));
                assert!(lost.sqrt() <= 0.51 * f64::from(scale) * (dim as f64).sqrt());
            }
        }
    }

    #[test]
    fn sums_are_element_by_element_on_every_instruction_set() {
        let x = numbers(37, 3);
        for with in available() {
            let mut sum: Vec<f64> = numbers(37, 4).into_iter().map(f64::from).collect();
            let expected: Vec<f64> = sum.iter().zip(&x).map(|(s, &x)| s + f64::from(x)).collect();
            add(with, &mut sum, &x);
            assert_eq!(sum, expected);
        }
    }
}
