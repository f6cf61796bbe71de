//! Filters and samples of a picture's grid.

use ndarray::{Array2, Array3};

/// A picture as `height x width x channels`.
pub(super) type Picture = Array3<f64>;

/// What lies beyond a picture's edge.
#[derive(Clone, Copy)]
pub(super) enum Edge {
    /// The edge again.
    Nearest,
    /// The picture mirrored at its last pixel, which is not repeated.
    Mirror,
    /// The picture mirrored at its edge, so that the last pixel is repeated.
    Reflect,
}

impl Edge {
    pub(super) fn index(self, at: isize, size: usize) -> usize {
        let size = size.cast_signed();
        let inside = match self {
            Self::Nearest => at.clamp(0, size - 1),
            Self::Mirror if size == 1 => 0,
            Self::Mirror => {
                let at = at.rem_euclid(2 * (size - 1));
                at.min(2 * (size - 1) - at)
            }
            Self::Reflect => {
                let at = at.rem_euclid(2 * size);
                at.min(2 * size - 1 - at)
            }
        };
        inside.cast_unsigned()
    }
}

/// A picture of the same size from what `value` says of row, column and channel.
pub(super) fn map(picture: &Picture, value: impl FnMut((usize, usize, usize)) -> f64) -> Picture {
    Picture::from_shape_fn(picture.dim(), value)
}

/// A picture whose pixels were changed one by one; a pixel is its channels.
pub(super) fn pixels(picture: &Picture, mut change: impl FnMut(&mut [f64])) -> Picture {
    let mut changed = picture.as_standard_layout().into_owned();
    let channels = picture.dim().2;
    let values = changed.as_slice_mut().expect("in standard layout");
    values.chunks_exact_mut(channels).for_each(&mut change);
    changed
}

/// Weights of a Gaussian, cut at `truncate` standard deviations; one weight where it has no width.
fn bell(sigma: f64, truncate: f64) -> Vec<f64> {
    if sigma <= 0.0 {
        return vec![1.0];
    }
    let reach = (truncate * sigma + 0.5).floor() as usize;
    normalized(reach, sigma)
}

/// `2 reach + 1` weights of a Gaussian that add up to 1.
pub(super) fn normalized(reach: usize, sigma: f64) -> Vec<f64> {
    let weight = |i: usize| (-0.5 * ((i as f64 - reach as f64) / sigma).powi(2)).exp();
    let weights: Vec<f64> = (0..=2 * reach).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// A picture blurred by a Gaussian.
pub(super) fn gaussian(picture: &Picture, sigma: f64, truncate: f64, edge: Edge) -> Picture {
    let weights = bell(sigma, truncate);
    let upright = Array2::from_shape_fn((weights.len(), 1), |(i, _)| weights[i]);
    let lying = Array2::from_shape_fn((1, weights.len()), |(_, i)| weights[i]);
    correlate(&correlate(picture, &upright, edge), &lying, edge)
}

/// The sum of a pixel's neighbors, weighed by a kernel whose middle lies on the pixel.
pub(super) fn correlate(picture: &Picture, kernel: &Array2<f64>, edge: Edge) -> Picture {
    let (height, width, _) = picture.dim();
    let (tall, wide) = kernel.dim();
    let at = |pixel: usize, of: usize, size: usize, middle: usize| {
        edge.index((pixel + of).cast_signed() - middle.cast_signed(), size)
    };
    map(picture, |(y, x, channel)| {
        let weigh = |((i, j), weight): ((usize, usize), &f64)| {
            let (y, x) = (at(y, i, height, tall / 2), at(x, j, width, wide / 2));
            weight * picture[[y, x, channel]]
        };
        kernel.indexed_iter().map(weigh).sum()
    })
}

/// A picture between its pixels: linear in both directions.
pub(super) fn between(picture: &Picture, y: f64, x: f64, channel: usize, edge: Edge) -> f64 {
    let (height, width, _) = picture.dim();
    let (top, left) = (y.floor(), x.floor());
    let (down, right) = (y - top, x - left);
    let pixel = |down: isize, right: isize| {
        let y = edge.index(top as isize + down, height);
        picture[[y, edge.index(left as isize + right, width), channel]]
    };
    (1.0 - down) * ((1.0 - right) * pixel(0, 0) + right * pixel(0, 1))
        + down * ((1.0 - right) * pixel(1, 0) + right * pixel(1, 1))
}

/// The middle of a picture, enlarged by a factor from 1 on to the picture's size.
pub(super) fn zoom(picture: &Picture, factor: f64) -> Picture {
    let (height, width, _) = picture.dim();
    let place = |size: usize| {
        let cut = (size as f64 / factor).ceil();
        // Half a pixel goes to the even side, as in Python's `round`.
        let enlarged = (cut * factor).round_ties_even();
        let step = if enlarged > 1.0 { (cut - 1.0) / (enlarged - 1.0) } else { 0.0 };
        let trimmed = ((enlarged - size as f64) / 2.0).floor();
        let first = ((size as f64 - cut) / 2.0).floor();
        move |at: usize| first + (at as f64 + trimmed) * step
    };
    let (row, column) = (place(height), place(width));
    map(picture, |(y, x, channel)| between(picture, row(y), column(x), channel, Edge::Nearest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_scipys() {
        let of = |edge: Edge| (-4..8).map(|at| edge.index(at, 4)).collect::<Vec<_>>();
        assert_eq!(of(Edge::Nearest), [0, 0, 0, 0, 0, 1, 2, 3, 3, 3, 3, 3]);
        assert_eq!(of(Edge::Mirror), [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
        assert_eq!(of(Edge::Reflect), [3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0]);
        for edge in [Edge::Nearest, Edge::Mirror, Edge::Reflect] {
            assert!((-3..3).all(|at| edge.index(at, 1) == 0));
        }
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        let flat = Picture::from_elem((7, 5, 2), 0.25);
        let near = |other: &Picture| other.iter().all(|x| (x - 0.25).abs() < 1e-12);
        assert!(near(&gaussian(&flat, 1.3, 4.0, Edge::Reflect)));
        assert!(near(&zoom(&flat, 1.7)));
        assert_eq!(gaussian(&flat, 0.0, 4.0, Edge::Nearest), flat);
    }
}
