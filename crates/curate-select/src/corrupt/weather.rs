//! Weather.

use ndarray::Array2;

use super::{
    blur::streak,
    grid::{Picture, map, zoom},
};
use crate::draws::Draws;

/// A cloudy height map is added, and the sum is scaled back to the picture's largest value.
pub(super) fn fog(picture: &Picture, severity: usize, draws: &mut Draws) -> Picture {
    let (thick, decay) = [(0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)][severity];
    let (height, width, _) = picture.dim();
    let cloud = plasma(height.max(width).next_power_of_two().max(2), decay, draws);
    let most = picture.iter().copied().fold(0.0, f64::max);
    map(picture, |(y, x, channel)| {
        (picture[[y, x, channel]] + thick * cloud[[y, x]]) * most / (most + thick)
    })
}

/// A height map from 0 to 1 whose edges meet, by the diamond-square algorithm: the middle of a square is the mean of
/// its corners and a random number, whose range falls by `decay` squared with each halving. `side` is a power of two.
fn plasma(side: usize, decay: f64, draws: &mut Draws) -> Array2<f64> {
    let mut map = Array2::<f64>::zeros((side, side));
    let (mut step, mut wibble) = (side, 100.0);
    while step >= 2 {
        let half = step / 2;
        // Middles of squares; then those of their upper, and of their left edges.
        fill(
            &mut map,
            step,
            (half, half),
            |y, x| [(y, x), (y + step, x), (y, x + step), (y + step, x + step)],
            wibble,
            draws,
        );
        fill(
            &mut map,
            step,
            (0, half),
            |y, x| [(y + half, x + half), (y + side - half, x + half), (y, x), (y, x + step)],
            wibble,
            draws,
        );
        fill(
            &mut map,
            step,
            (half, 0),
            |y, x| [(y + half, x + half), (y + half, x + side - half), (y, x), (y + step, x)],
            wibble,
            draws,
        );
        step = half;
        wibble /= decay;
    }
    let least = map.iter().copied().fold(f64::INFINITY, f64::min);
    let most = map.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    map.mapv(|height| (height - least) / (most - least))
}

/// Sets a point of each square of side `step`, at `offset` from its corner, to the mean of four others and a random
/// number. `others` gets the corner; it may go beyond the map's end, where the map begins again.
fn fill(
    map: &mut Array2<f64>,
    step: usize,
    offset: (usize, usize),
    others: impl Fn(usize, usize) -> [(usize, usize); 4],
    wibble: f64,
    draws: &mut Draws,
) {
    let side = map.nrows();
    for y in (0..side).step_by(step) {
        for x in (0..side).step_by(step) {
            let sum: f64 = others(y, x).iter().map(|&(y, x)| map[[y % side, x % side]]).sum();
            let random = wibble * draws.between(-wibble, wibble);
            map[[y + offset.0, x + offset.1]] = sum / 4.0 + random;
        }
    }
}

/// Flakes that the wind drives, twice over, and a picture that is paler.
pub(super) fn snow(picture: &Picture, severity: usize, draws: &mut Draws) -> Picture {
    let (mean, spread, size, least, (radius, sigma), kept) = [
        (0.1, 0.2, 1.0, 0.6, (8, 3.0), 0.95),
        (0.1, 0.2, 1.0, 0.5, (10, 4.0), 0.9),
        (0.15, 0.3, 1.75, 0.55, (10, 4.0), 0.9),
        (0.25, 0.3, 2.25, 0.6, (12, 6.0), 0.85),
        (0.3, 0.3, 1.25, 0.65, (14, 12.0), 0.8),
    ][severity];
    let (height, width, channels) = picture.dim();
    let flakes =
        Picture::from_shape_simple_fn((height, width, 1), || mean + spread * draws.normal());
    let flakes = zoom(&flakes, size).mapv(|x| if x < least { 0.0 } else { x.min(1.0) });
    let flakes = streak(&flakes, radius, sigma, draws.between(-135.0, -45.0));
    map(picture, |(y, x, channel)| {
        let value = picture[[y, x, channel]];
        let gray = match channels {
            3 => {
                0.299 * picture[[y, x, 0]] + 0.587 * picture[[y, x, 1]] + 0.114 * picture[[y, x, 2]]
            }
            _ => value,
        };
        let pale = kept * value + (1.0 - kept) * value.max(1.5 * gray + 0.5);
        pale + flakes[[y, x, 0]] + flakes[[height - 1 - y, width - 1 - x, 0]]
    })
}

/// More light: the largest channel of a pixel (value of HSV) rises, and the others with it.
pub(super) fn brightness(picture: &Picture, severity: usize) -> Picture {
    let more = [0.05, 0.1, 0.15, 0.2, 0.3][severity];
    super::grid::pixels(picture, |pixel| {
        let value = pixel.iter().copied().fold(0.0, f64::max);
        let lifted = (value + more).min(1.0);
        pixel.iter_mut().for_each(|x| *x = if value > 0.0 { *x * lifted / value } else { lifted });
    })
}
