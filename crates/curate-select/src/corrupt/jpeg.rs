//! What JPEG loses: colors at half the resolution, and rounded frequencies. What follows in a file loses nothing.

use std::f64::consts::PI;

use ndarray::{Array2, s};

use super::grid::{Edge, Picture};

/// Pixels of a block on a side.
const BLOCK: usize = 8;

/// The standard's quantization of brightness and of colors (ITU-T T.81, tables K.1 and K.2).
const LUMINANCE: [[u8; BLOCK]; BLOCK] = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
];
const CHROMINANCE: [[u8; BLOCK]; BLOCK] = [
    [17, 18, 24, 47, 99, 99, 99, 99],
    [18, 21, 26, 66, 99, 99, 99, 99],
    [24, 26, 56, 99, 99, 99, 99, 99],
    [47, 66, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
];

/// A picture as it comes back from a JPEG file of a quality that Pillow and libjpeg call 80 to 40.
pub(super) fn jpeg(picture: &Picture, severity: usize) -> Picture {
    let quality = [80, 65, 58, 50, 40][severity];
    let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    let bytes = picture.mapv(|x| (255.0 * x).round());
    if picture.dim().2 == 1 {
        let gray = coded(&bytes.slice(s![.., .., 0]).to_owned(), &LUMINANCE, scale);
        return Picture::from_shape_fn(picture.dim(), |(y, x, _)| gray[[y, x]] / 255.0);
    }
    let mix = |weights: [f64; 3], offset: f64| {
        let (height, width, _) = bytes.dim();
        Array2::from_shape_fn((height, width), |(y, x)| {
            let sum: f64 = (0..3).map(|channel| weights[channel] * bytes[[y, x, channel]]).sum();
            // Half goes down for colors, up for brightness.
            (sum + offset + if offset > 0.0 { 0.4999 } else { 0.5 }).floor()
        })
    };
    let luminance = coded(&mix([0.299, 0.587, 0.114], 0.0), &LUMINANCE, scale);
    let color = |weights| {
        let full = mix(weights, 128.0);
        twice(&coded(&halved(&full), &CHROMINANCE, scale), full.dim())
    };
    let blue = color([-0.168_735_892, -0.331_264_108, 0.5]);
    let red = color([0.5, -0.418_687_589, -0.081_312_411]);
    Picture::from_shape_fn(picture.dim(), |(y, x, channel)| {
        let (blue, red) = (blue[[y, x]] - 128.0, red[[y, x]] - 128.0);
        let value = match channel {
            0 => 1.402 * red,
            1 => -0.344_136_286 * blue - 0.714_136_286 * red,
            _ => 1.772 * blue,
        };
        (luminance[[y, x]] + value).round().clamp(0.0, 255.0) / 255.0
    })
}

/// One channel after its blocks' frequencies were rounded to multiples of the table's steps.
fn coded(plane: &Array2<f64>, table: &[[u8; BLOCK]; BLOCK], scale: u32) -> Array2<f64> {
    let (height, width) = plane.dim();
    let mut out = Array2::zeros((height, width));
    for top in (0..height).step_by(BLOCK) {
        for left in (0..width).step_by(BLOCK) {
            let block = block_of(plane, top, left);
            let round = |(u, v): (usize, usize), value: f64| {
                let step = f64::from(((u32::from(table[u][v]) * scale + 50) / 100).clamp(1, 255));
                // libjpeg keeps eighths, and rounds half away from 0; so a frequency in the middle between two steps
                // goes where it does there.
                let eighths = (8.0 * value.abs()).round();
                ((eighths + 4.0 * step) / (8.0 * step)).floor() * step * value.signum()
            };
            let mut frequencies = transform(&block, true);
            frequencies.indexed_iter_mut().for_each(|(at, value)| *value = round(at, *value));
            let block = transform(&frequencies, false);
            for ((y, x), value) in block.indexed_iter() {
                if let Some(pixel) = out.get_mut([top + y, left + x]) {
                    *pixel = (value + 128.0).round().clamp(0.0, 255.0);
                }
            }
        }
    }
    out
}

/// Eight rows and columns, around 0; beyond the picture's end the last ones again.
fn block_of(plane: &Array2<f64>, top: usize, left: usize) -> Array2<f64> {
    let (height, width) = plane.dim();
    Array2::from_shape_fn((BLOCK, BLOCK), |(y, x)| {
        plane[[(top + y).min(height - 1), (left + x).min(width - 1)]] - 128.0
    })
}

/// The cosine transform of a block, or its inverse.
fn transform(block: &Array2<f64>, forward: bool) -> Array2<f64> {
    let basis = Array2::from_shape_fn((BLOCK, BLOCK), |(frequency, at)| {
        let size = if frequency == 0 { 0.125_f64.sqrt() } else { 0.5 };
        size * (PI * (2 * at + 1) as f64 * frequency as f64 / 16.0).cos()
    });
    match forward {
        true => basis.dot(block).dot(&basis.t()),
        false => basis.t().dot(block).dot(&basis),
    }
}

/// The mean of each two by two pixels, as wide as whole blocks: beyond the right end the last column again.
fn halved(plane: &Array2<f64>) -> Array2<f64> {
    let (height, width) = plane.dim();
    Array2::from_shape_fn((height.div_ceil(2), width.div_ceil(2 * BLOCK) * BLOCK), |(y, x)| {
        let (left, right) = ((2 * x).min(width - 1), (2 * x + 1).min(width - 1));
        let down = (2 * y + 1).min(height - 1);
        let sum = plane[[2 * y, left]]
            + plane[[2 * y, right]]
            + plane[[down, left]]
            + plane[[down, right]];
        // Half rounds up and down in turn, so that no color is favored.
        ((sum + 1.0 + (x % 2) as f64) / 4.0).floor()
    })
}

/// Twice the size: three quarters of the nearest pixel and a quarter of the next, in both directions.
fn twice(plane: &Array2<f64>, to: (usize, usize)) -> Array2<f64> {
    let near = |at: usize, size: usize| {
        let next = (at / 2).cast_signed() + if at.is_multiple_of(2) { -1 } else { 1 };
        [(at / 2, 0.75), (Edge::Nearest.index(next, size.div_ceil(2)), 0.25)]
    };
    Array2::from_shape_fn(to, |(y, x)| {
        let columns = near(x, to.1);
        let row = |y: usize| columns.iter().map(|(x, share)| share * plane[[y, *x]]).sum::<f64>();
        let value: f64 = near(y, to.0).iter().map(|&(y, share)| share * row(y)).sum();
        (value + if x.is_multiple_of(2) { 8.0 / 16.0 } else { 7.0 / 16.0 }).floor()
    })
}
