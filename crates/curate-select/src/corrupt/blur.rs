//! Blurs.

use ndarray::{Array2, s};

use super::grid::{Edge, Picture, correlate, map, normalized, zoom as enlarged};
use crate::draws::Draws;

/// Where scikit-image cuts a Gaussian.
const TRUNCATE: f64 = 4.0;

pub(super) fn gaussian(picture: &Picture, severity: usize) -> Picture {
    let sigma = [0.4, 0.6, 0.7, 0.8, 1.0][severity];
    super::grid::gaussian(picture, sigma, TRUNCATE, Edge::Nearest)
}

/// A lens out of focus: the mean over a disk whose rim is soft.
pub(super) fn defocus(picture: &Picture, severity: usize) -> Picture {
    let (radius, rim) = [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)][severity];
    correlate(picture, &disk(radius, rim), Edge::Mirror)
}

/// Rows and columns of a disk's kernel on each side of its middle.
const REACH: usize = 8;

fn disk(radius: f64, rim: f64) -> Array2<f64> {
    let side = 2 * REACH + 1;
    let off = |at: usize| at as f64 - REACH as f64;
    let inside = |y, x| off(y).powi(2) + off(x).powi(2) <= radius * radius;
    let hard =
        Picture::from_shape_fn((side, side, 1), |(y, x, _)| f64::from(u8::from(inside(y, x))));
    let hard = &hard / hard.sum();
    let bell = normalized(1, rim);
    let kernel = Array2::from_shape_fn((3, 3), |(i, j)| bell[i] * bell[j]);
    correlate(&hard, &kernel, Edge::Mirror).slice(s![.., .., 0]).to_owned()
}

/// Frosted glass: pixels change places with a neighbor above or to the left, between two blurs.
pub(super) fn glass(picture: &Picture, severity: usize, draws: &mut Draws) -> Picture {
    let (sigma, rounds) = [(0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)][severity];
    let (height, width, channels) = picture.dim();
    let mut mixed = super::grid::gaussian(picture, sigma, TRUNCATE, Edge::Nearest);
    for _ in 0..rounds {
        for y in (2..height).rev() {
            for x in (2..width).rev() {
                let (left, up) = (draws.unit() < 0.5, draws.unit() < 0.5);
                let other = (y - usize::from(up), x - usize::from(left));
                for channel in 0..channels {
                    mixed.swap([y, x, channel], [other.0, other.1, channel]);
                }
            }
        }
    }
    super::grid::gaussian(&mixed, sigma, TRUNCATE, Edge::Nearest)
}

/// A camera that moves while it looks, in a direction from -45 to 45 degrees.
pub(super) fn motion(picture: &Picture, severity: usize, draws: &mut Draws) -> Picture {
    let (radius, sigma) = [(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)][severity];
    streak(picture, radius, sigma, draws.between(-45.0, 45.0))
}

/// The mean along a line from each pixel, weights falling as half a Gaussian: ImageMagick's motion blur.
pub(super) fn streak(picture: &Picture, radius: usize, sigma: f64, degrees: f64) -> Picture {
    let (height, width, _) = picture.dim();
    let length = 2 * radius + 1;
    let weight = |i: usize| (-0.5 * (i as f64 / sigma).powi(2)).exp();
    let whole: f64 = (0..length).map(weight).sum();
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let step = |i: usize, along: f64| (i as f64 * along - 0.5).ceil() as isize;
    map(picture, |(y, x, channel)| {
        let value = |i: usize| {
            let y = Edge::Nearest.index(y.cast_signed() + step(i, sine), height);
            let x = Edge::Nearest.index(x.cast_signed() + step(i, cosine), width);
            weight(i) * picture[[y, x, channel]]
        };
        (0..length).map(value).sum::<f64>() / whole
    })
}

/// A camera that moves towards what it looks at: the mean of the picture and its enlargements.
pub(super) fn zoom(picture: &Picture, severity: usize) -> Picture {
    // Steps of 1 % up to 6, 11, 15, 20 and 25 %: what `arange(1, 1.06, 0.01)` and the like come to, to the last bit of
    // numpy's step.
    let more = (1.0 + 0.01) - 1.0;
    let count = [7, 12, 16, 21, 26][severity];
    let mut sum = picture.clone();
    (0..count).for_each(|step| sum += &enlarged(picture, 1.0 + more * f64::from(step)));
    sum / f64::from(count + 1)
}
